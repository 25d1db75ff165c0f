# SPDX-License-Identifier: GPL-3.0-or-later
"""What a document asks of the packet filter of one namespace, and what that means for whom, as pure functions."""

from __future__ import annotations

import functools
import socket
from typing import Iterable, NamedTuple, Optional, Tuple

from ..model import Masquerade, PublishedPort

ANY = "any"  # PublishedPort.address: every local address
_LOOPBACK = "127.0.0.0/8"


class GuestNetwork(NamedTuple):
    """An interface behind which guests of the document live, and the network prefixes (both families) on it."""

    interface: str
    prefixes: Tuple[str, ...] = ()


class SwitchPolicy(NamedTuple):
    """A bridge of the host with guests on it, and which new connections there may be; see model.GuestPolicy."""

    interface: str
    to_host: bool = True
    from_host: bool = True
    among: bool = True
    outside: bool = True


class FirewallWant(NamedTuple):
    """Everything one document asks of one namespace's packet filter.

    ``guests``: the networks to protect; in a namespace (``netns`` set) they only tell who is a neighbour of whom.
    ``named``: every interface of the host that the document names. ``forwarding``: the families (4, 6) in which the
    document makes the host a router between them. ``guard``: the families in which it was the engine that turned
    forwarding on, so that what goes between interfaces nobody names is dropped. ``let_through``: prefixes between
    which new connections pass all the same. ``switches``: what may be reached from where guests live. In a namespace
    the last five say nothing: it forwards plainly.
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


def within(inner: str, outer: str) -> bool:
    """Whether every address of ``inner`` (a prefix or an address) is in the prefix ``outer``."""
    family, first, last = _span(inner)
    outer_family, outer_first, outer_last = _span(outer)
    return family == outer_family and outer_first <= first and last <= outer_last


def any_within(prefix: str, outers: Iterable[str]) -> bool:
    """Whether one of the prefixes ``outers`` holds all of ``prefix``."""
    return any(within(prefix, outer) for outer in outers)


def overlap(one: str, other: str) -> bool:
    """Whether two prefixes share an address. Of two prefixes that do, one lies in the other."""
    return within(one, other) or within(other, one)


def of_family(prefixes: Iterable[str], family: int) -> Tuple[str, ...]:
    """The prefixes of one family, sorted, each once."""
    return tuple(sorted({prefix for prefix in prefixes if family_of(prefix) == family}))


def guest_of(want: FirewallWant, address: str) -> Optional[GuestNetwork]:
    """The guest network that an address lives in; the most specific one if several hold it."""
    found, narrowest = None, -1
    for guest in want.guests:
        for prefix in guest.prefixes:
            length = int(prefix.partition("/")[2])
            if length > narrowest and within(address, prefix):
                found, narrowest = guest, length
    return found


def is_hidden(want: FirewallWant, guest: GuestNetwork) -> bool:
    """Whether the document masquerades a guest network, in either family: then nobody outside is meant to see it."""
    return any(overlap(entry.source, prefix) for entry in want.masquerade for prefix in guest.prefixes)


def localnet_interfaces(want: FirewallWant) -> Tuple[str, ...]:
    """The interfaces that need ``net/ipv4/conf/IFACE/route_localnet`` so that the host reaches a port at 127.0.0.1.

    Only interfaces of guest networks, never an uplink. IPv6 knows no such setting.
    """
    kinds = {(port.to_address, port.address, port.sources) for port in want.published_ports}
    targets = {to for to, address, sources in kinds if family_of(to) == 4 and _reached_by_loopback(address, sources)}
    homes = (guest_of(want, target) for target in targets)
    return tuple(sorted({guest.interface for guest in homes if guest is not None}))


def _reached_by_loopback(address: str, sources: Tuple[str, ...]) -> bool:
    if address != ANY and not within(address, _LOOPBACK):
        return False
    return not sources or any(overlap(source, _LOOPBACK) for source in sources)


def families(want: FirewallWant) -> Tuple[int, ...]:
    """The families that need rules at all: (), (4,), (6,) or (4, 6)."""
    needed = {family_of(entry.source) for entry in want.masquerade}
    needed.update(family_of(port.to_address) for port in want.published_ports)
    if want.netns is None:
        needed.update(want.forwarding if want.named or want.let_through else (), want.guard)
        if want.switches:
            needed.update((4, 6))
        for guest in want.guests:
            needed.update({family_of(prefix) for prefix in guest.prefixes} or {4, 6})
    return tuple(sorted(needed))


def needed(want: FirewallWant) -> bool:
    """False if no rule at all would result, so that a host without iptables will do."""
    return bool(families(want))
