# SPDX-License-Identifier: GPL-3.0-or-later
"""Who has a port already that is to be published: a process that listens there, or somebody else's rule."""

from __future__ import annotations

from typing import Callable, Collection, Dict, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple

from ..document import Where
from ..document.prefix import known_prefix
from ..firewall import Tables, iptables_rules
from ..firewall.labels import publish_label
from ..firewall.obstacles import ACCEPT, RETURN, Rule
from ..firewall.others import others
from ..firewall.packet import Packet, hold
from ..firewall.tables import target_of
from ..firewall.want import ANY, FirewallWant, family_of
from ..model import HostView, NamespaceView, PublishedPort
from ..sockets import Listener
from .ways import ways_out

_Listeners = Callable[[Optional[str], Collection[Tuple[str, int]]], Sequence[Listener]]
_NONE: Set[str] = set()
_ASKED = ("protocol", "ports", "destination", "source")


class NewPort(NamedTuple):
    """A published port with the ``numbers`` of it that weren't published before, and its ``path`` in the document."""

    path: str
    port: PublishedPort
    numbers: Tuple[int, ...]


def rivals(
    ports: Sequence[NewPort],
    view: HostView,
    tables: Mapping[Optional[str], Tables],
    listeners: _Listeners,
    holders: Callable[[Collection[int]], Dict[int, str]],
) -> List[str]:
    """A line for each new port that would take somebody's callers away, or whose callers somebody takes."""
    led: Dict[NewPort, str] = {}
    heard: Dict[NewPort, Listener] = {}
    for netns in sorted({new.port.netns for new in ports}, key=lambda name: name or ""):
        here = [new for new in ports if new.port.netns == netns]
        leading: Dict[int, List[Rule]] = {}
        waiting = listeners(netns, {(new.port.protocol, number) for new in here for number in new.numbers})
        for new in here:
            family = family_of(new.port.to_address)
            if family not in leading:
                leading[family] = _leading(tables.get(netns), family)
            line = _led_elsewhere(new, view, leading[family])
            rival = next((one for one in waiting if _meets(new, one)), None)
            if line is not None:
                led[new] = line
            elif rival is not None:
                heard[new] = rival
    names = holders({rival.inode for rival in heard.values()}) if heard else {}
    listened = {new: _listened(new, rival, names.get(rival.inode, "somebody")) for new, rival in heard.items()}
    return [line for new in ports for line in (led.get(new), listened.get(new)) if line is not None]


def taken(
    ports: Sequence[PublishedPort], view: HostView, ahead: Mapping[int, Sequence[str]], chain: str = "PREROUTING"
) -> List[str]:
    """A line for each published port whose callers a rule of others takes, for it stands ``ahead`` of ours."""
    leading = {
        family: [iptables_rules.rule(line) for line in lines if target_of(line) in ("DNAT", "REDIRECT")]
        for family, lines in ahead.items()
    }
    passing = {family: _ending(lines, chain) for family, lines in ahead.items()}
    found = []
    for port in ports:
        known = NewPort("", port, tuple(range(port.port, port.port_last + 1)))
        for rule in leading.get(family_of(port.to_address), ()):
            if _leads_away(rule, known, view):
                label = publish_label(port).partition(" ")[2]
                found.append(
                    f"published port {label}: its callers are led elsewhere by {rule.words} in {rule.where} (iptables, "
                    "nat), which stands before ours; take it away, or let it stand behind"
                )
                break
        for rule in passing.get(family_of(port.to_address), ()):
            if all(hold(packet, rule.conditions) for packet in _calls(known, view)):
                label = publish_label(port).partition(" ")[2]
                found.append(
                    f"published port {label}: its callers aren't led there: {rule.words} in {rule.where} (iptables, "
                    "nat) stands before ours and has them pass; take it away, or let it stand behind"
                )
                break
    return found


def _ending(lines: Sequence[str], chain: str) -> List[Rule]:
    """The rules of a chain of the kernel's own after which a packet comes to no other of its table."""
    found = [iptables_rules.rule(line) for line in lines if line.startswith(f"-A {chain} ")]
    return [rule for rule in found if rule.verdict in (ACCEPT, RETURN)]


def _held(room: NamespaceView, names: Sequence[Optional[str]]) -> Set[Optional[str]]:
    """The addresses of these links; of all, where there is none."""
    links = [room.links[name] for name in names if name is not None] or [*room.links.values()]
    return {entry.address.partition("/")[0] for link in links for entry in room.addresses.get(link.index, ())}


def unmasked(want: FirewallWant, room: Optional[NamespaceView], ahead: Mapping[int, Sequence[str]]) -> List[str]:
    """A line for each masqueraded network whose packets a rule of others, ``ahead`` of ours, has leave as it likes."""
    found = []
    for entry in want.masquerade if room is not None else ():
        family = family_of(entry.source)
        lines = [line for line in ahead.get(family, ()) if line.startswith("-A POSTROUTING ")]
        outs: List[Optional[str]] = [*ways_out(room, family)] if room is not None else []
        fine = {entry.to_source} if entry.to_source or room is None else _held(room, outs)
        others = [
            iptables_rules.rule(line)
            for line in lines
            if target_of(line) in ("SNAT", "NETMAP")
            and line.partition(" --to-source ")[2].partition(" ")[0] not in fine
        ]
        packets = [Packet(family, to=out, source=entry.source, protocol="tcp") for out in outs or [None]]
        for rule in (*_ending(lines, "POSTROUTING"), *others):
            if all(hold(packet, rule.conditions) for packet in packets):
                found.append(
                    f"masqueraded network {entry.source} leaves with another source: {rule.words} in {rule.where} "
                    "(iptables, nat) stands before ours; take it away, or let it stand behind"
                )
                break
    return found


def new_ports(ports: Sequence[PublishedPort], before: Sequence[PublishedPort], where: Where) -> List[NewPort]:
    """What of ``ports`` isn't in ``before``, whatever it leads to."""
    known: Dict[Tuple[Optional[str], str, int, int], Set[str]] = {}
    for port in before:
        for number in range(port.port, port.port_last + 1):
            known.setdefault((*_kind(port), number), set()).add(port.address)
    found: List[NewPort] = []
    for position, port in enumerate(ports):
        numbers = tuple(
            number
            for number in range(port.port, port.port_last + 1)
            if not known.get((*_kind(port), number), _NONE) & {ANY, port.address}
        )
        if numbers:
            found.append(NewPort(where.path("published_ports", position), port, numbers))
    return found


def _kind(port: PublishedPort) -> Tuple[Optional[str], str, int]:
    return port.netns, port.protocol, family_of(port.to_address)


def _meets(new: NewPort, listener: Listener) -> bool:
    """Whether the published port takes calls that the listener has now."""
    port = new.port
    if (listener.protocol, listener.family) != (port.protocol, family_of(port.to_address)):
        return False
    if listener.port not in new.numbers:
        return False
    if port.address == ANY:
        return listener.address != "::1"  # where nothing is led away from
    return listener.everywhere or listener.address == port.address


def _listened(new: NewPort, rival: Listener, name: str) -> str:
    address = f"[{rival.address}]" if rival.family == 6 else rival.address
    return (
        f"{new.path}.port: {name} listens on {rival.protocol} {address}:{rival.port}, and callers at"
        f" {new.port.address} would reach it no more; publish another port or at another address, or stop it first"
    )


def _leading(tables: Optional[Tables], family: int) -> List[Rule]:
    """The rules of others that lead calls to another place."""
    chains = tables.rulesets.get((tables.backend, family), {}).get("nat", {}) if tables else {}
    found = [line for lines in chains.values() for line in others(lines) if target_of(line) == "DNAT"]
    return [iptables_rules.rule(line) for line in found]


def _led_elsewhere(new: NewPort, view: HostView, leading: List[Rule]) -> Optional[str]:
    """A line about a rule of others that leads the same calls to another place."""
    port = new.port
    for rule in leading:
        if _leads_away(rule, new, view):
            return (
                f"{new.path}.port: {port.protocol} {port.address}:{port.port} is led elsewhere already"
                f" by {rule.words} in {rule.where} (iptables, nat); publish another port, or take that away first"
            )
    return None


def _leads_away(rule: Rule, new: NewPort, view: HostView) -> bool:
    asked = [condition for condition in rule.conditions if condition.kind in _ASKED]
    if not {"protocol", "ports"} <= {condition.kind for condition in asked if not condition.negated}:
        return False  # all of an address, or all but a port: what is published is an exception from that
    return any(hold(packet, asked) is not False for packet in _calls(new, view))


def _calls(new: NewPort, view: HostView) -> List[Packet]:
    """The packets that a published port is for."""
    port = new.port
    return [
        Packet(
            family_of(port.to_address),
            source=source,
            destination=address,
            protocol=port.protocol,
            ports=(new.numbers[0], new.numbers[-1]),
        )
        for address in _addresses(port, view)
        for source in port.sources or (None,)
    ]


def _addresses(port: PublishedPort, view: HostView) -> List[Optional[str]]:
    """The local addresses at which it is published; [None] if they aren't known."""
    room = view.views.get(port.netns)
    if port.address != ANY or room is None:
        return [None if port.address == ANY else port.address]
    held = [known_prefix(entry.address).ip for entries in room.addresses.values() for entry in entries]
    return [address for address in held if family_of(address) == family_of(port.to_address)] or [None]
