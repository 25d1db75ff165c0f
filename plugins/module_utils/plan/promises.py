# SPDX-License-Identifier: GPL-3.0-or-later
"""What others' rules do to the packets that a document promises to let through. Pure."""

from __future__ import annotations

from typing import AbstractSet, Dict, Iterable, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ..document.prefix import ip_text, known_prefix
from ..firewall import FirewallWant, iptables_rules, nft_rules
from ..firewall.labels import publish_label
from ..firewall.obstacles import Judge, Obstacle, Wall
from ..firewall.others import is_forwarded
from ..firewall.packet import Packet
from ..firewall.tables import Ruleset
from ..firewall.want import family_of, overlap, within
from ..model import Masquerade, NamespaceView, PublishedPort
from .ways import LOOPBACK, way_to, ways_out

# The chains of iptables' tables in which others may close the way, in the order in which packets pass them.
_GATES = {"raw": ("PREROUTING",), "mangle": ("PREROUTING", "FORWARD", "POSTROUTING"), "filter": ("FORWARD",)}
_NAMED = 3  # promises that one line names when the same rule stands in the way of more


class _Promise(NamedTuple):
    """Packets that are to be forwarded, and what for, in words. It is broken if none of them gets through.

    ``broken``: what it then does "nowhere"; ``freed``: what to let through.
    """

    words: str
    broken: str
    freed: str
    family: int
    packets: Tuple[Packet, ...]

    def at(self, hook: str) -> Tuple[Packet, ...]:
        """The packets as they come by there: not yet translated, or no longer known by where they came from."""
        if hook == "prerouting":
            return tuple(dict.fromkeys(map(_untranslated, self.packets)))
        if hook == "postrouting":
            return tuple(packet._replace(by=None, not_by=frozenset()) for packet in self.packets)
        return self.packets


def _untranslated(packet: Packet) -> Packet:
    early = packet._replace(to=None)
    if not packet.translated:
        return early
    return early._replace(destination=None, ports=packet.original_ports, original_ports=None, translated=False)


def broken_promises(
    want: FirewallWant,
    view: Optional[NamespaceView],
    rulesets: Mapping[int, Ruleset],
    texts: Sequence[str],
    dropping: AbstractSet[Tuple[int, str, str]] = frozenset(),
) -> List[str]:
    """A warning for each rule of others that keeps promised packets away.

    ``rulesets``: the tables of iptables that may drop them, by family; ``texts``: each table of nftables, as nft prints
    it. ``dropping``: see Tables. ``view`` None: the namespace isn't there.
    """
    found = []
    if is_forwarded(want.published_ports) and any('"name": "firewalld"' in text for text in texts):
        found.append("firewalld is active: its zones don't cover published ports, which are forwarded")
    walls = {
        family: [
            *(
                iptables_rules.wall(chains, table, start, (family, table, start) in dropping)
                for table, chains in rulesets.get(family, {}).items()
                for start in _GATES[table]
            ),
            *(wall for text in texts for wall in nft_rules.walls(text, family)),
        ]
        for family in (4, 6)
    }
    return [*found, *_broken(_promises(want, view), walls)] if view is not None and any(walls.values()) else found


def _promises(want: FirewallWant, view: NamespaceView) -> Iterator[_Promise]:
    ways = {address: way_to(view, address) for address in {port.to_address for port in want.published_ports}}
    for port in want.published_ports:
        way = ways[port.to_address]
        if way not in (None, LOOPBACK) and is_forwarded([port]):
            words = f"published port {publish_label(port).partition(' ')[2]}"
            packets = tuple(_port_packet(port, way, caller) for caller in _callers(view, port, way))
            yield _Promise(words, "lead", "the port", family_of(port.to_address), packets)
    for entry in want.masquerade:
        for interface, source in _sources(want, view, entry):
            words = f"masqueraded network {source} on {interface}"
            family = family_of(source)
            outs: List[Optional[str]] = [name for name in ways_out(view, family) if name != interface]
            packets = tuple(
                Packet(family, interface, to=name, source=source, protocol="tcp") for name in outs or [None]
            )
            yield _Promise(words, "get", "the network", family, packets)


def _port_packet(port: PublishedPort, way: Optional[str], caller: Optional[str]) -> Packet:
    first, last = port.port, port.port_last
    return Packet(
        family=family_of(port.to_address),
        by=caller,
        not_by=frozenset({way, LOOPBACK} - {None}),  # type: ignore[arg-type]
        to=way,
        source=port.sources[0] if len(port.sources) == 1 else None,
        destination=port.to_address,
        protocol=port.protocol,
        ports=(port.to_port, port.to_port + last - first),
        original_ports=(first, last),
        translated=True,
    )


def _callers(view: NamespaceView, port: PublishedPort, way: Optional[str]) -> List[Optional[str]]:
    """The interfaces by which callers from outside come; [None] where that can't be told."""
    held = {index: [entry.address.partition("/")[0] for entry in entries] for index, entries in view.addresses.items()}
    links = [link for link in view.links.values() if link.up and link.name not in (way, LOOPBACK)]
    found = [link.name for link in links if port.address in held.get(link.index, ())]
    found = found or [name for name in ways_out(view, family_of(port.to_address)) if name != way]
    found = found or [
        link.name for link in links if link.kind != "bridge" and link.master is None and held.get(link.index)
    ]
    return [*found] if found else [None]


def _sources(want: FirewallWant, view: NamespaceView, entry: Masquerade) -> Iterator[Tuple[str, str]]:
    """The interfaces behind which masqueraded machines live, and their addresses there; not where guests stay in."""
    kept = {switch.interface for switch in want.switches if not switch.outside}
    homes = [
        (guest.interface, prefix if within(prefix, entry.source) else entry.source)
        for guest in want.guests
        for prefix in guest.prefixes
        if overlap(prefix, entry.source)
    ]
    if not homes and not entry.source.endswith("/0"):
        prefix = known_prefix(entry.source)
        first = ip_text(prefix.family, min(prefix.first + 1, prefix.last))
        way = way_to(view, first)
        homes = [(way, entry.source)] if way not in (None, LOOPBACK) else []
    for interface, source in homes:
        if interface not in kept:
            yield interface, source


def _broken(promises: Iterable[_Promise], walls: Mapping[int, Sequence[Wall]]) -> Iterator[str]:
    shut: Dict[Tuple[Obstacle, str, str], List[str]] = {}
    judge = Judge()
    for promise in promises:
        for wall in walls[promise.family]:
            found = _obstacle(judge, wall, promise.at(wall.hook))
            if found is not None:
                shut.setdefault((found, promise.broken, promise.freed), []).append(promise.words)
                break
    for (found, broken, freed), words in shut.items():
        more = f" and {len(words) - _NAMED} more" if len(words) > _NAMED else ""
        verb = broken if len(words) > 1 else f"{broken}s"
        yield (
            f"{', '.join(words[:_NAMED])}{more} {verb} nowhere: {found.what} in {found.where} {found.why};"
            f" remove it or let {freed} through there"
        )


def _obstacle(judge: Judge, wall: Wall, packets: Sequence[Packet]) -> Optional[Obstacle]:
    """What stands in the way of all of these."""
    found = [judge.obstacle(wall, packet) for packet in packets]
    return found[0] if all(found) else None
