# SPDX-License-Identifier: GPL-3.0-or-later
"""Guests in two networks: they answer by their default route whatever address of theirs was asked. Pure.

So a published port to such a guest's other address is answered by the interface of another network, with a source that
is true though the way back to it isn't that interface.
"""

from __future__ import annotations

from typing import Container, Dict, Iterable, Iterator, List, NamedTuple, Set, Tuple

from ..document.containers import cables
from ..document.identity import RouteKey
from ..document.prefix import known_prefix
from ..document.routes import DEFAULTS
from ..firewall import FirewallWant
from ..firewall.groups import is_ours
from ..firewall.want import Answer, family_of, within
from ..model import End, HostView, PublishedPort, Topology
from .owned import owner_of

_LINK_LOCAL = "fe80::/10"


class _Nic(NamedTuple):
    """An address of a guest, and the interface of the host that it lives behind."""

    room: str
    link: str
    address: str
    interface: str


def answers(
    want: FirewallWant,
    topology: Topology,
    published: Iterable[PublishedPort],
    view: HostView,
    routes: Container[RouteKey] = (),
) -> Tuple[Answer, ...]:
    """Those of the guests that the document's published ports lead to, or the ones ``published`` by other documents:
    whichever of them comes last, the ports' or the one with the guests' default routes, sees all there is to see.

    ``topology``: the document, with the guests and routes of others where a port of its own leads to these. ``routes``
    are the document's own: what it has made so far is as ``topology`` says once it is applied.
    """
    targets = {port.to_address for port in (*want.published_ports, *published) if port.netns is None}
    if want.netns is not None or not targets:
        return ()
    nics = [*_wanted(topology), *_present(view, topology.name)]
    asked = {nic.room for nic in nics if nic.address.partition("/")[0] in targets}
    rooms: Dict[str, List[_Nic]] = {}
    for nic in nics:
        if nic.room in asked:
            rooms.setdefault(nic.room, []).append(nic)
    rooms = {room: held for room, held in rooms.items() if len({nic.interface for nic in held}) > 1}
    if not rooms:
        return ()
    own = {guest.interface for guest in want.guests}
    host = view.views[None]
    ours = own | {link.name for link in host.links.values() if is_ours(link.group)}
    found: Set[Answer] = set()
    for room, family, gate in {*_wanted_gates(topology, rooms), *_present_gates(view, rooms, routes)}:
        for nic in rooms[room]:
            address = nic.address.partition("/")[0]
            other = family_of(address) == family and nic.interface != gate
            if other and nic.interface in ours and address in targets:
                found.add(Answer(gate, address, gate in ours))
    return tuple(sorted(found))


def _wanted(topology: Topology) -> Iterator[_Nic]:
    """As the document has it."""
    for veth in cables(topology):
        for end, other in (veth, veth[::-1]):
            if end.netns is not None and other.netns is None:
                for address in end.addresses:
                    yield _Nic(end.netns, end.name, address, _interface(other))


def _interface(end: End) -> str:
    return end.bridge or end.name


def _present(view: HostView, name: str) -> Iterator[_Nic]:
    """As it is: other documents than the one of this name have plugged these guests in, too."""
    host = view.views[None]
    names = {link.index: link.name for link in host.links.values()}
    for netns, room in view.views.items():
        for link in room.links.values() if netns is not None else ():
            peer = view.peers.get((netns, link.name))
            end = host.links.get(peer[1]) if peer is not None and peer[0] is None else None
            # Of a cable into a namespace that wasn't looked at, an end here may only look like the other one.
            if end is not None and owner_of(end.alias) == owner_of(link.alias) != name:
                interface = names.get(end.master or 0, end.name)
                for address in room.addresses.get(link.index, ()):
                    if within(address.address.partition("/")[0], _LINK_LOCAL):
                        continue  # nobody is answered with it on another link, and the kernel makes it when it likes
                    yield _Nic(netns or "", link.name, address.address, interface)


def _wanted_gates(topology: Topology, rooms: Dict[str, List[_Nic]]) -> Iterator[Tuple[str, int, str]]:
    """By which interface of the host each guest's default route leads, by family."""
    for route in topology.routes:
        if route.netns is None or route.to not in DEFAULTS:
            continue
        for nic in rooms.get(route.netns, ()):
            through = route.via is not None and within(route.via, known_prefix(nic.address).network)
            if nic.link == route.dev or through:
                yield nic.room, family_of(route.to), nic.interface


def _present_gates(
    view: HostView, rooms: Dict[str, List[_Nic]], routes: Container[RouteKey]
) -> Iterator[Tuple[str, int, str]]:
    interfaces = {(room, nic.link): nic.interface for room, nics in rooms.items() for nic in nics}
    for netns, room in view.views.items() if rooms else ():
        names = {link.index: link.name for link in room.links.values()}
        for route in room.routes if netns is not None else ():
            gate = interfaces.get((netns or "", names.get(route.dev or 0, "")))
            mine = (netns, route.to, route.table, route.metric) in routes
            if route.to in DEFAULTS and gate is not None and not mine:
                yield netns or "", family_of(route.to), gate
