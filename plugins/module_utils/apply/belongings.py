# SPDX-License-Identifier: GPL-3.0-or-later
"""What links of a namespace hold, to the letter: so that they get it back as it was, and it is seen that they have it.

What goes with a link's state, its last address or the link itself isn't only what a document can say: routes have
metrics, preferences and sources, addresses a peer or no route of their own, neighbours are written down. All of it is
kept as the kernel tells it (see replay), and compared so, without times and what the kernel tells of its state.
"""

from __future__ import annotations

import socket
from typing import (
    AbstractSet,
    Any,
    Dict,
    FrozenSet,
    Iterable,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Set,
    Tuple,
)

from ..document.prefix import known_prefix
from ..rtnetlink import notes, replay
from ..rtnetlink.channel import Channel
from ..rtnetlink.constants import (
    IFA_ADDRESS,
    IFA_CACHEINFO,
    IFA_F_GIVEN,
    IFA_F_PERMANENT,
    IFA_F_SECONDARY,
    IFA_FLAGS,
    IFA_LOCAL,
    IFA_PROTO,
    IFA_TARGET_NETNSID,
    NDA_DST,
    NTF_PROXY,
    RTA_ENCAP,
    RTA_ENCAP_TYPE,
    RTA_GATEWAY,
    RTA_MULTIPATH,
    RTA_OIF,
    RTA_SRC,
    RTA_VIA,
    RTPROT_RA,
    RTPROT_REDIRECT,
)
from ..rtnetlink.links import read_links
from ..rtnetlink.wire import Message
from ..uplink import metric_beside_the_routers

Work = List[Tuple[str, Message]]  # what a message is about, and the message

_UNTOLD = (IFA_FLAGS, IFA_CACHEINFO, IFA_TARGET_NETNSID, IFA_PROTO)  # of an address, where two are compared
_OF_THE_OBJECT = (RTA_GATEWAY, RTA_VIA, RTA_OIF, RTA_MULTIPATH, RTA_ENCAP, RTA_ENCAP_TYPE)  # where RTA_NH_ID is


class Room(NamedTuple):
    """What links of a namespace held at a time, in seconds since the boot; ``links``: the names of all with indexes.

    ``noted``: the names of those whose things are here, None for all.
    """

    links: Dict[str, int]
    addresses: Tuple[replay.HeldAddress, ...]
    routes: Tuple[replay.HeldRoute, ...]
    neighbours: Tuple[replay.HeldNeighbour, ...]
    time: int
    noted: Optional[FrozenSet[str]] = None

    def names(self) -> Dict[int, str]:
        """The names of links by their index."""
        return {index: name for name, index in self.links.items()}

    def only(self, family: int) -> Room:
        """The same without what the links held of the other family."""
        ipv6 = family == 6
        return self._replace(
            addresses=tuple(one for one in self.addresses if one.is_ipv6 == ipv6),
            routes=tuple(one for one in self.routes if one.is_ipv6 == ipv6),
            neighbours=tuple(one for one in self.neighbours if one.is_ipv6 == ipv6),
        )

    def with_later(self, later: Room) -> Room:
        """The same with what was noted later of other links."""
        noted, names = self.noted, later.names()
        if noted is None:
            return self

        def is_new(*indexes: int) -> bool:
            return noted.isdisjoint(names.get(index, "") for index in indexes)

        return Room(
            {**later.links, **self.links},
            self.addresses + tuple(one for one in later.addresses if is_new(one.header[4])),
            self.routes + tuple(one for one in later.routes if is_new(*replay.devices_of(one))),
            self.neighbours + tuple(one for one in later.neighbours if is_new(one.header[2])),
            self.time,
            None if later.noted is None else noted | later.noted,
        )


def read(
    channel: Channel,
    now: int,
    indexes: Optional[Dict[str, int]] = None,
    noted: Optional[AbstractSet[str]] = None,
    plain: AbstractSet[str] = frozenset(),
) -> Room:
    """What links of the channel's namespace hold: all, or these. ``indexes``: of all, if they are known.

    Of ``plain`` ones only neighbours are noted.
    """
    links = {name: link.index for name, link in read_links(channel).items()} if indexes is None else indexes
    names = None if noted is None or links.keys() <= noted else frozenset(noted)
    neighbours = tuple(replay.neighbours_of(channel, None if names is None else {links[name] for name in names}))
    which = None
    if names is not None or plain:
        which = {links[name] for name in (links.keys() if names is None else names) - plain}
    routes = (_plain(route) for route in replay.every_route(channel, which) if route.protocol != RTPROT_REDIRECT)
    held = replay.addresses_of(channel, which)
    addresses = (one for one in held if not (one.is_ipv6 and one.flags & IFA_F_SECONDARY))
    return Room(links, tuple(addresses), tuple(routes), neighbours, now, names)


def known(links: Dict[str, int], names: FrozenSet[str], fixed: Iterable[Tuple[Any, Any]], now: int) -> Room:
    """The same of links that hold nothing but neighbours, of which ``fixed`` are those of the namespace."""
    indexes = {links[name] for name in names} if fixed else ()
    neighbours = tuple(replay.HeldNeighbour(header, parts) for header, parts in fixed if header[2] in indexes)
    return Room(links, (), (), neighbours, now, names)


def _plain(route: replay.HeldRoute) -> replay.HeldRoute:
    """The route as it is said: where its way is an object of its own, the kernel tells what that is beside."""
    if not replay.uses_nexthop_object(route):
        return route
    parts = {number: part for number, part in route.parts.items() if number not in _OF_THE_OBJECT}
    return route._replace(parts=parts)


class Change:
    """From what some links of a namespace held ``then`` to what is there ``now``: what they lack, and have too much.

    Links may have been made anew since. What nobody had then on them is others', but for routes that the kernel made
    of an address that has none of its own.
    """

    def __init__(self, then: Room, now: Room, links: Iterable[str]) -> None:
        self._then, self._now = then, now
        self._links = {then.links[name]: name for name in links if name in then.links and name in now.links}
        self._renumbered = {index: now.links[name] for name, index in then.links.items() if name in now.links}
        self._there = {replay.route_body(route, {}) for route in now.routes}

    def lines(self) -> List[str]:
        """What isn't as it was, in words."""
        found = [
            f"{subject}: isn't as it was"
            for subject in dict.fromkeys(subject for subject, _message in self.addresses())
        ]
        found += [f"{self._called(route)}: isn't as it was" for route in self._lost()]
        found += [f"{self._called(route, self._now)}: is left over" for route in self._surplus()]
        return found + [f"{subject}: isn't as it was" for subject, _message in self.neighbours()]

    def addresses(self) -> Work:
        """What gives back addresses."""
        work: Work = []
        for index, name in self._links.items():
            then = [one for one in self._then.addresses if one.header[4] == index]
            now = [one for one in self._now.addresses if one.header[4] == self._renumbered[index]]
            work += self._ipv4(name, [one for one in then if not one.is_ipv6], [one for one in now if not one.is_ipv6])
            there = {_name_of(one): one for one in now}
            for held in reversed(then):  # the kernel lists the last one first
                other = there.get(_name_of(held))
                if not held.is_ipv6 or _is_alike(held, other):
                    continue
                if other is not None and _body(held) != _body(other):
                    work.append((_of(name, held), replay.take_address(other, self._now.links[name])))
                work += self._give(name, held)
        return work

    def _ipv4(self, link: str, then: Sequence[replay.HeldAddress], now: Sequence[replay.HeldAddress]) -> Work:
        """Within a subnet the first address is the primary one, and takes the others along: their order counts."""
        work: Work = []
        for home in dict.fromkeys(map(_home, then)):
            group = [one for one in then if _home(one) == home]
            names = set(map(_name_of, group))
            there = [one for one in now if _home(one) == home or _name_of(one) in names]
            alike = [one for one in there if _name_of(one) in names]
            if len(group) == len(alike) and all(map(_is_alike, group, alike)):
                continue
            if not all(map(_is_alike, group, alike)):
                index = self._now.links[link]
                work += [(_of(link, held), replay.take_address(held, index)) for held in reversed(there)]
                group += [one for one in there if one not in alike]
                alike = []
            work += [entry for held in group[len(alike) :] for entry in self._give(link, held)]
        return work

    def _give(self, link: str, held: replay.HeldAddress) -> Work:
        then, old = self._then, self._then.links[link]
        if held.header[4] != old or held not in then.addresses:  # somebody else's, who gave it since
            return [(_of(link, held), one) for one in replay.give_address(held, self._now.links[link], (link, link))]
        note = notes.note_address(held, link, old, then.time)
        if note.ends is not None and note.ends <= self._now.time:
            return []
        aged = notes.address_of(note, self._now.time)
        return [(_of(link, held), one) for one in replay.give_address(aged, self._now.links[link], (link, link))]

    def routes(self) -> Work:
        """What gives back routes. One that leads otherwise by the same links goes first: it is what is left of it."""
        work: Work = [(self._called(route, self._now), replay.take_route(route)) for route in self._surplus()]
        rest = set(self._wanted().values())
        for route in self._lost():
            subject = self._called(route)
            hops = _hops(route, self._renumbered)
            for other in self._now.routes:
                if _key(other) == _key(route) and replay.route_body(other, {}) not in rest and _hops(other, {}) <= hops:
                    work.append((subject, replay.take_route(other)))
            work.append((subject, self._made_again(route)))
        return work

    def _made_again(self, route: replay.HeldRoute) -> Message:
        """One that the kernel made of an advertisement comes again with the next one, which isn't to find ours."""
        note = notes.note_route(route, "", 0, self._then.time)
        names = [self._links[index] for index in replay.devices_of(route) if index in self._links]
        metric = metric_beside_the_routers(route, names[0]) if route.protocol == RTPROT_RA and names else None
        return replay.make_route(notes.route_of(note, self._now.time), self._renumbered, metric)

    def _wanted(self) -> Dict[int, bytes]:
        """The routes of then that lead through the links, by their number, each in the words that make it now."""
        return {
            number: replay.route_body(route, self._renumbered)
            for number, route in enumerate(self._then.routes)
            if any(index in self._links for index in replay.devices_of(route))
        }

    def _lost(self) -> List[replay.HeldRoute]:
        """Routes of which there is none to the letter; of one from an advertisement any that leads as it did will do.

        Where others have put another one in the place of one, it isn't lost.
        """
        found: List[replay.HeldRoute] = []
        for number, body in self._wanted().items():
            route = self._then.routes[number]
            if body in self._there or self._has_ended(route):
                continue
            hops = _hops(route, self._renumbered)
            if route.protocol == RTPROT_RA and any(
                (other.to, other.table) == (route.to, route.table) and _hops(other, {}) == hops
                for other in self._now.routes
            ):
                continue
            found.append(route)
        return found

    def _has_ended(self, route: replay.HeldRoute) -> bool:
        note = notes.note_route(route, "", 0, self._then.time)
        return note.ends is not None and note.ends <= self._now.time

    def _surplus(self) -> List[replay.HeldRoute]:
        """Routes that the kernel made since of addresses which had none: that can't be others'."""
        wanted = set(self._wanted().values())
        held = [one for one in self._then.addresses if one.header[4] in self._links and not one.is_link_local]
        homes: Set[Tuple[int, str]] = {
            (self._renumbered[one.header[4]], network)
            for one in held
            for network in (_home(one), known_prefix(one.address).network)
        }
        return [
            route
            for route in self._now.routes
            if replay.is_the_kernels(route)
            and any((index, route.to) in homes for index in replay.devices_of(route))
            and replay.route_body(route, {}) not in wanted
        ]

    def neighbours(self) -> Work:
        """What gives back fixed neighbours."""
        there = {_neighbour(one, one.header[2]) for one in self._now.neighbours}
        return [
            (self._neighbour_called(held), replay.give_neighbour(held, self._renumbered[held.header[2]]))
            for held in self._then.neighbours
            if held.header[2] in self._links and _neighbour(held, self._renumbered[held.header[2]]) not in there
        ]

    def _neighbour_called(self, held: replay.HeldNeighbour) -> str:
        return f"{self._links[held.header[2]]}: neighbour {socket.inet_ntop(held.header[0], held.parts[NDA_DST])}"

    def _called(self, route: replay.HeldRoute, room: Optional[Room] = None) -> str:
        names = (room or self._then).names()
        through = " ".join(names.get(index, str(index)) for index in replay.devices_of(route)) or "-"
        return f"{through}: route {route.to} table {route.table} metric {route.metric}"


def _of(link: str, held: replay.HeldAddress) -> str:
    return f"{link}: address {held.address}"


def _home(held: replay.HeldAddress) -> str:
    return known_prefix(held.home).network


def _name_of(held: replay.HeldAddress) -> Tuple[object, ...]:
    """What no two addresses of a link have in common. IPv4 ones are told apart by their other end, too."""
    own = held.parts.get(IFA_LOCAL) or held.parts[IFA_ADDRESS]
    return (
        held.header[0],
        held.header[1] if not held.is_ipv6 else 0,
        own,
        b"" if held.is_ipv6 else held.parts[IFA_ADDRESS],
    )


def _is_alike(then: replay.HeldAddress, now: Optional[replay.HeldAddress]) -> bool:
    """Whether it is the same address. The kernel's own, and one that ends one day, are told another time otherwise."""
    if now is None or _name_of(then) != _name_of(now):
        return False
    if then.is_link_local:
        return True
    if not then.flags & IFA_F_PERMANENT:
        return not now.flags & IFA_F_PERMANENT
    return _body(then) == _body(now)


def _body(held: replay.HeldAddress) -> Tuple[object, ...]:
    parts = {number: part for number, part in held.parts.items() if number not in _UNTOLD}
    return held.header[1], held.scope, held.flags & IFA_F_GIVEN, parts


def _key(route: replay.HeldRoute) -> Tuple[object, ...]:
    """What routes have in common of which one may stand in another's place."""
    header = route.header
    return header[0], route.to, header[2], route.parts.get(RTA_SRC), header[3], route.table, route.metric


def _hops(route: replay.HeldRoute, renumbered: Mapping[int, int]) -> Set[Tuple[object, ...]]:
    """The ways of a route: by which link, to which gateway."""
    return {(gateway, renumbered.get(index, index)) for gateway, index in replay.ways_of(route)}


def _neighbour(held: replay.HeldNeighbour, index: int) -> Tuple[object, ...]:
    family, _pad, _old, state, flags, kind = held.header
    state = 0 if flags & NTF_PROXY else state
    return family, index, state, flags, kind, tuple(sorted(held.parts.items()))
