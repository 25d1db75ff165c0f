# SPDX-License-Identifier: GPL-3.0-or-later
"""What a document asks of the packet filter of one namespace, and what that means for whom, as pure functions."""

from __future__ import annotations

import bisect
import functools
import socket
from typing import Dict, Iterable, List, Optional, Set, Tuple

from ..model import Masquerade, PublishedPort
from ..rows import NamedTuple

ANY = "any"  # PublishedPort.address: every local address
_LOOPBACK = "127.0.0.0/8"
# How the names of bridges begin that programs make for guests of their own; those yet to come are closed, too.
GUESTS_BRIDGES = ("docker", "br-", "virbr", "lxcbr", "lxdbr", "incusbr", "podman", "cni")


class GuestNetwork(NamedTuple):
    """A link of the document's behind which guests live, and the network prefixes (both families) that live there:
    those of its addresses, and those that the document routes through it."""

    interface: str
    prefixes: Tuple[str, ...] = ()


class SwitchPolicy(NamedTuple):
    """A bridge of the host with guests on it, and which new connections there may be; see model.GuestPolicy.

    ``leads_out``: others live behind it as well, a LAN, so that it isn't a network of the document's to protect.
    """

    interface: str
    to_host: bool = True
    from_host: bool = True
    among: bool = True
    outside: bool = True
    services: Tuple[str, ...] = ()
    from_others: bool = False
    leads_out: bool = False


class Answer(NamedTuple):
    """A guest in two networks answers by its default route: by ``interface``, with its ``address`` of the other one."""

    interface: str
    address: str
    ours: bool = True  # whether the interface is a document's


class FirewallWant(NamedTuple):
    """Everything one document asks of one namespace's packet filter.

    ``guests``: the networks to protect. ``named``: every interface that the document names. ``forwarding``: the
    families (4, 6) in which the document makes the host, or this namespace, a router between them. ``guard``: the
    families in which it was the engine that turned forwarding on, so that what goes between interfaces nobody names is
    dropped. ``let_through``: prefixes between which new connections pass all the same. ``switches``: what may be
    reached from where guests live. ``answers``: sources that are true though the way back is another.
    ``forwards``: the families in which packets are forwarded here once the document is applied, by whomever.
    ``foreign``: bridges on which somebody else's guests live, ``passages`` those that look so and aren't.
    ``ways``: the interface towards each published port's target that is no guest of the document. ``borrowed``: those
    that are to answer to the host, since they may have another router.
    """

    owner: str
    netns: Optional[str] = None
    guests: Tuple[GuestNetwork, ...] = ()
    named: Tuple[str, ...] = ()
    masquerade: Tuple[Masquerade, ...] = ()
    published_ports: Tuple[PublishedPort, ...] = ()
    let_through: Tuple[str, ...] = ()
    forwarding: Tuple[int, ...] = ()
    guard: Tuple[int, ...] = ()
    switches: Tuple[SwitchPolicy, ...] = ()
    answers: Tuple[Answer, ...] = ()
    forwards: Tuple[int, ...] = ()
    foreign: Tuple[str, ...] = ()
    passages: Tuple[str, ...] = ()
    borrowed: Tuple[str, ...] = ()
    ways: Tuple[Tuple[str, str], ...] = ()


def family_of(address: str) -> int:
    """4 or 6, of an address or a prefix."""
    return 6 if ":" in address else 4


@functools.cache
def _span(prefix: str) -> Tuple[int, int, int]:
    """Family, first and last address of a prefix (or of one address) as numbers."""
    address, slash, length = prefix.partition("/")
    family = family_of(address)
    raw = socket.inet_pton(socket.AF_INET6 if family == 6 else socket.AF_INET, address)
    free = len(raw) * 8 - int(length) if slash else 0
    first = int.from_bytes(raw, "big") >> free << free
    return family, first, first + (1 << free) - 1


def span(prefix: str) -> Tuple[int, int]:
    """The first and the last address of a prefix, as numbers."""
    return _span(prefix)[1:]


def within(inner: str, outer: str) -> bool:
    """Whether every address of ``inner`` (a prefix or an address) is in the prefix ``outer``."""
    family, first, last = _span(inner)
    outer_family, outer_first, outer_last = _span(outer)
    return family == outer_family and outer_first <= first and last <= outer_last


def overlap(one: str, other: str) -> bool:
    """Whether two prefixes share an address. Of two prefixes that do, one lies in the other."""
    return within(one, other) or within(other, one)


def of_family(prefixes: Iterable[str], family: int) -> Tuple[str, ...]:
    """The prefixes of one family, sorted, each once."""
    return tuple(sorted({prefix for prefix in prefixes if family_of(prefix) == family}))


@functools.lru_cache(maxsize=64)
def _intervals(prefixes: Tuple[str, ...]) -> Dict[int, List[Tuple[int, int]]]:
    """First and last addresses of the prefixes that lie in no other one, in order, by family."""
    found: Dict[int, List[Tuple[int, int]]] = {4: [], 6: []}
    for family, first, last in sorted(map(_span, prefixes), key=lambda it: (it[0], it[1], -it[2])):
        if not found[family] or found[family][-1][1] < first:
            found[family].append((first, last))
    return found


def overlaps_any(prefix: str, prefixes: Tuple[str, ...]) -> bool:
    """Whether a prefix shares an address with one of many."""
    family, first, last = _span(prefix)
    intervals = _intervals(prefixes)[family]
    position = bisect.bisect_right(intervals, (last, 1 << 128))
    return position > 0 and intervals[position - 1][1] >= first


def masqueraded(want: FirewallWant) -> Tuple[str, ...]:
    """The sources that the document masquerades."""
    return tuple(entry.source for entry in want.masquerade)


class Homes:
    """Tells the guest network that an address lives in; the most specific one if several hold it."""

    def __init__(self, guests: Iterable[GuestNetwork]) -> None:
        self._networks: Dict[Tuple[int, int], Dict[int, GuestNetwork]] = {}
        for guest in guests:
            for prefix in guest.prefixes:
                family, first, last = _span(prefix)
                self._networks.setdefault((family, (last - first).bit_length()), {})[first] = guest
        self._order = sorted(self._networks)

    def of(self, address: str) -> Optional[GuestNetwork]:
        """None if it lives in none."""
        family, number, _last = _span(address)
        for kind in self._order:
            if kind[0] == family:
                found = self._networks[kind].get(number >> kind[1] << kind[1])
                if found is not None:
                    return found
        return None


def is_hidden(guest: GuestNetwork, sources: Tuple[str, ...]) -> bool:
    """Whether a guest network is masqueraded, in either family: then nobody outside is meant to see it."""
    return any(overlaps_any(prefix, sources) for prefix in guest.prefixes)


def is_member(want: FirewallWant, guest: GuestNetwork, sources: Tuple[str, ...]) -> bool:
    """Whether new connections of a network's guests are looked at: a namespace forwards plainly between networks that
    are not masqueraded (``sources`` are), and only looks where packets come from."""
    return want.netns is None or is_hidden(guest, sources)


def is_led_out(want: FirewallWant, guest: GuestNetwork, family: int, sources: Tuple[str, ...]) -> bool:
    """Whether guests there may call whom the host reaches: masqueraded (``sources`` are), or routed."""
    prefixes = of_family(guest.prefixes, family)
    return any(overlaps_any(prefix, sources) for prefix in prefixes) or (bool(prefixes) and family in want.forwarding)


def localnet_interfaces(want: FirewallWant) -> Tuple[str, ...]:
    """The interfaces that need ``net/ipv4/conf/IFACE/route_localnet`` so that the host reaches a port at 127.0.0.1.

    What that lets in from elsewhere is dropped on every interface: see :mod:`.shared`. IPv6 knows no such setting.
    """
    homes, ways = Homes(want.guests), dict(want.ways)
    found = set()
    for target in _targets_of_loopback(want):
        home = homes.of(target)
        found.add(home.interface if home is not None else ways.get(target, ""))
    return tuple(sorted(found - {""}))


def leads_loopback_out(want: FirewallWant) -> bool:
    """Whether 127.0.0.1 leads to somebody who is no guest of the document."""
    homes = Homes(want.guests)
    return any(homes.of(target) is None for target in _targets_of_loopback(want))


def _targets_of_loopback(want: FirewallWant) -> Set[str]:
    kinds = {(port.to_address, port.address, port.sources) for port in want.published_ports}
    return {to for to, address, sources in kinds if family_of(to) == 4 and _reached_by_loopback(address, sources)}


def _reached_by_loopback(address: str, sources: Tuple[str, ...]) -> bool:
    if address != ANY and not within(address, _LOOPBACK):
        return False
    return not sources or any(overlap(source, _LOOPBACK) for source in sources)


def families(want: FirewallWant) -> Tuple[int, ...]:
    """The families that need rules at all: (), (4,), (6,) or (4, 6).

    Those of which a network has prefixes, and those in which its guests' packets would be forwarded without any.
    """
    needed = {family_of(entry.source) for entry in want.masquerade}
    needed.update(family_of(port.to_address) for port in want.published_ports)
    needed.update(want.forwarding, want.guard)
    for guest in want.guests:
        needed.update(family_of(prefix) for prefix in guest.prefixes)
        needed.update(want.forwards)
    if want.switches:
        needed.update((4, 6))
    return tuple(sorted(needed))


def needed(want: FirewallWant) -> bool:
    """False if no rule at all would result, so that a host without iptables will do."""
    return bool(families(want))
