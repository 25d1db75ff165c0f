# SPDX-License-Identifier: GPL-3.0-or-later
"""A bridge takes over the work of an interface, or gives it back: addresses, routes and fixed neighbours, in one go.

What is there when it happens is what moves: a lease that was renewed a moment ago comes along as it is now. At no time
is an address nowhere, so that whoever finds this half done can finish it either way: first the other link gets the
addresses too, then the interface changes hands and the routes follow, at once, and only then the first link loses what
it had (hazard 4). All but reading is three batches of messages, a millisecond or so; nothing goes down meanwhile
(hazard 23), and whoever is killed in between leaves the host on its LAN.
"""

from __future__ import annotations

import contextlib
import errno
from typing import (
    Callable,
    Container,
    FrozenSet,
    Iterable,
    List,
    Mapping,
    NamedTuple,
    NoReturn,
    Optional,
    Sequence,
    Tuple,
)

from . import sysctl
from .announce import Claim, Held, announce, ask_routers, mac_of
from .document.prefix import known_prefix
from .errors import HostwireError, KernelRefused
from .model import Baggage, Link
from .rtnetlink import notes, replay
from .rtnetlink.channel import Channel
from .rtnetlink.constants import NLM_F_CREATE, NLM_F_EXCL, RTPROT_RA
from .rtnetlink.links import add_altname, change_link, read_links, remove_altname
from .rtnetlink.wire import Message
from .stopwatch import seconds_since_boot
from .uplink_record import ADDRESS, NEIGHBOUR, ROUTE, mark_on, marks_among, notes_of, written
from .uplink_settings import same_settings

RouteName = Tuple[str, int, int]  # prefix, table, metric

_ATTEMPTS = 3  # at what a single fault may keep from being done
_LINK_LOCAL = "fe80::/64"  # which each link has for itself
_ROUTER_METRIC = 1024  # IP6_RT_PRIO_USER, net/ip6_route.h: of a route from an advertisement
_GONE = frozenset((errno.EADDRNOTAVAIL, errno.ESRCH, errno.ENOENT))
_THERE = frozenset((errno.EEXIST,))


class Stay(NamedTuple):
    """What doesn't move: addresses of the first link that remain there, and routes that go with the document."""

    addresses: FrozenSet[str] = frozenset()
    routes: FrozenSet[RouteName] = frozenset()


class _Given(NamedTuple):
    """What the second link has got, and is to be taken from the first: nothing that came there meanwhile."""

    addresses: List[replay.HeldAddress]
    routes: List[replay.HeldRoute]
    neighbours: List[replay.HeldNeighbour]


class _Move(NamedTuple):
    """From one link to another, each with its index; the interface ``port`` becomes one of ``master`` (0: of none)."""

    source: str
    source_index: int
    target: str
    target_index: int
    port: int
    master: int
    stay: Stay


def read_baggage(channel: Channel, link: Link) -> Baggage:
    """What a link of the channel's namespace holds."""
    addresses = [held for held in replay.addresses_of(channel, link.index) if not held.is_link_local]
    routes, neighbours = replay.routes_of(channel, link.index), replay.neighbours_of(channel, link.index)
    homes = {known_prefix(held.home).network for held in addresses}
    objects = [
        f"route {route.to} leads through a nexthop object" for route in routes if replay.uses_nexthop_object(route)
    ]
    rules = [f"policy rule {number} names it" for number in replay.rules_that_name(channel, link.name)]
    return Baggage(
        tuple(held.address for held in addresses),
        tuple(held.address for held in addresses if not replay.is_lasting(held)),
        tuple((route.to, route.table, route.metric) for route in routes if not _comes_by_itself(route, homes)),
        len(neighbours),
        (*objects, *rules),
        _noted(link, addresses, routes, neighbours),
    )


def _noted(
    link: Link,
    addresses: Sequence[replay.HeldAddress],
    routes: Sequence[replay.HeldRoute],
    neighbours: Sequence[replay.HeldNeighbour],
) -> Tuple[str, ...]:
    now, where = seconds_since_boot(), (link.name, link.index)
    own = [route for route in routes if not (replay.is_the_kernels(route) and route.to == _LINK_LOCAL)]
    found = [notes.note_address(held, *where, now) for held in _in_the_order_of_giving(addresses)]
    found += [notes.note_route(route, *where, now) for route in own]
    found += [notes.note_neighbour(held, *where) for held in neighbours]
    return tuple(map(written, found))


def _comes_by_itself(route: replay.HeldRoute, homes: Container[str]) -> bool:
    """Whether a route comes along with an address, or with the next advertisement.

    One that is the kernel's and of no address is the prefix of an advertisement: left where nobody hears those any
    more, it would lead the traffic of the whole LAN into nothing.
    """
    if replay.is_the_kernels(route):
        return route.to in homes or route.to == _LINK_LOCAL
    return route.is_ipv6 and route.protocol == RTPROT_RA


def attach(bridge: str, nic: str, addresses: Iterable[str], settled: bool = False) -> None:
    """The interface becomes a port, and the bridge does its work; ``addresses`` are the bridge's own.

    ``settled``: the bridge behaves on the LAN as it is to already. In the thread's namespace.
    Raises KernelRefused, and then all is as it was before, or the error says that it isn't, and the interface bears the
    bridge's mark.
    """
    with Channel() as channel:
        links = read_links(channel)
        port, master = _named(links, nic), _named(links, bridge)
        if not settled:
            same_settings(nic, bridge)
        _mark(channel, port, mark_on(master.alias, bridge))
        _carry(channel, _Move(nic, port.index, bridge, master.index, port.index, master.index, Stay()), addresses)


def detach(bridge: str, nic: str, addresses: Iterable[str], routes: Iterable[RouteName]) -> None:
    """The interface is a port no longer, and does its work itself again; ``addresses`` and ``routes`` are the
    document's own: the ones stay on the bridge, the others go.

    In the thread's namespace. Raises KernelRefused, and then all is as it was before, or the error says that it isn't.
    """
    with Channel() as channel:
        links = read_links(channel)
        port, master = _named(links, nic), _named(links, bridge)
        stay = Stay(frozenset(addresses), frozenset(routes))
        _carry(channel, _Move(bridge, master.index, nic, port.index, port.index, 0, stay), ())
        _unmark(channel, port.index)


def _named(links: Mapping[str, Link], name: str) -> Link:
    """The link of this name: no other one's altname will do."""
    if name not in links:
        raise KernelRefused(f"interface {name}", errno.ENODEV)
    return links[name]


def _mark(channel: Channel, nic: Link, text: str) -> None:
    """The interface says whose uplink it is from now on, where the kernel has altnames (from 5.5 on)."""
    with contextlib.suppress(OSError):
        stale = [name for name in marks_among(nic.altnames) if name != text]
        work = [remove_altname(nic.index, name) for name in stale]
        if text and text not in nic.altnames:
            work.append(add_altname(nic.index, text))
        channel.transact(work)


def _unmark(channel: Channel, index: int) -> None:
    """The move is done by then: a fault that happens once doesn't leave the mark, and none undoes the move."""
    for _attempt in range(_ATTEMPTS):
        with contextlib.suppress(OSError):
            marks = [name for link in read_links(channel).values() if link.index == index
                     for name in marks_among(link.altnames)]  # fmt: skip
            channel.transact([remove_altname(index, name) for name in marks])
            return


def hand_back(nic: str, addresses: Iterable[str]) -> None:
    """The interface gets what went with its bridge; ``addresses`` is the record of that. Else as :func:`attach`."""
    record = tuple(addresses)
    with Channel() as channel:
        index = _named(read_links(channel), nic).index
        try:
            _hand_back(channel, nic, index, record)
        except (HostwireError, OSError) as error:
            _insist(error, nic, lambda anew: _take_again(anew, nic, index, record))


def take_again(nic: str, addresses: Iterable[str]) -> None:
    """The interface loses what :func:`hand_back` gave by the same record."""
    with Channel() as channel:
        _take_again(channel, nic, _named(read_links(channel), nic).index, tuple(addresses))


def _insist(error: BaseException, subject: str, way_back: Callable[[Channel], None]) -> NoReturn:
    """Go back, over a socket of its own: the other may be what is broken. Raises what failed first, with what failed
    of the way back, too.
    """
    first = error if isinstance(error, HostwireError) else KernelRefused(subject, getattr(error, "errno", 0) or 0)
    try:
        with Channel() as anew:
            way_back(anew)
    except (HostwireError, OSError) as second:
        first.append(f"{subject}: and moving back at once what was moved by then failed, too: {second}")
    raise first


def _hand_back(channel: Channel, nic: str, index: int, record: Sequence[str]) -> None:
    """The interface gets what went with its bridge, where that isn't there by now, and is nobody's uplink any more."""
    now, noted = seconds_since_boot(), notes_of(tuple(record))
    work = [
        (f"{nic}: address {note.name}", message)
        for note in noted
        if note.kind == ADDRESS
        for message in replay.give_address(notes.address_of(note, now), index, (note.link, nic))
    ]
    _transact(channel, work)
    there = {(route.to, route.table, route.metric) for route in replay.routes_of(channel, index)}
    work = [
        (f"{nic}: neighbour {note.name}", replay.give_neighbour(notes.neighbour_of(note), index))
        for note in noted
        if note.kind == NEIGHBOUR
    ]
    for note in noted:
        if note.kind == ROUTE and note.route not in there:
            route = notes.route_of(note, now)
            metric = metric_beside_the_routers(route, nic)
            message = replay.give_route(route, note.index, index, metric)  # one that is there by now isn't replaced
            work.append((f"{nic}: route {note.name}", message._replace(flags=NLM_F_CREATE | NLM_F_EXCL)))
    _transact(channel, work, _THERE)
    _unmark(channel, index)


def _take_again(channel: Channel, nic: str, index: int, record: Sequence[str]) -> None:
    """What :func:`_hand_back` gave goes, and the interface bears its mark again."""
    now, noted = seconds_since_boot(), notes_of(tuple(record))
    given = {note.route for note in noted if note.kind == ROUTE}
    routes = [one for one in replay.routes_of(channel, index) if (one.to, one.table, one.metric) in given]
    work = [(f"{nic}: route {route.to}", replay.take_route(route)) for route in reversed(routes)]
    for note in reversed(noted):
        if note.kind == ADDRESS:
            work.append((f"{nic}: address {note.name}", replay.take_address(notes.address_of(note, now), index)))
        elif note.kind == NEIGHBOUR:
            work.append((f"{nic}: neighbour", replay.take_neighbour(notes.neighbour_of(note), index)))
    _transact(channel, work, _GONE)
    if record and record[0]:
        channel.transact([add_altname(index, record[0])])


def _carry(channel: Channel, move: _Move, own: Iterable[str]) -> None:
    """``own``: addresses of the second link that are to remain there if the move comes to nothing."""
    try:
        _take(channel, move, _give(channel, move))
    except (HostwireError, OSError) as error:
        back = _Move(
            move.target, move.target_index, move.source, move.source_index, move.port,
            move.source_index if not move.master else 0, Stay(frozenset(own)),
        )  # fmt: skip

        def way_back(anew: Channel) -> None:
            _take(anew, back, _give(anew, back))
            if not back.master:  # else its mark is true
                _unmark(anew, move.port)

        _insist(error, f"interface {move.source if move.master else move.target}", way_back)
    _announce(channel, move)


def _announce(channel: Channel, move: _Move) -> None:
    """Where the MAC address is another one now, the neighbours would send to the old one for a while (hazard 3).

    And routes that a router advertised are to be advertised here (see metric_beside_the_routers). The move is done by
    then, and no failure of this undoes it.
    """
    with contextlib.suppress(OSError):
        mac = mac_of(move.target)
        if mac_of(move.source) != mac:
            held = [Held(one.address, one.scope, one.flags) for one in replay.addresses_of(channel, move.target_index)]
            announce(channel, [Claim(move.target, move.target_index, mac, tuple(held))])
    with contextlib.suppress(OSError):
        if any(route.is_ipv6 and route.protocol == RTPROT_RA for route in replay.routes_of(channel, move.target_index)):
            ask_routers(move.target_index)


def _give(channel: Channel, move: _Move) -> _Given:
    """The second link gets all that the first one has, and the interface its new place."""
    target, names = move.target_index, (move.source, move.target)
    has_its_own = any(held.is_link_local for held in replay.addresses_of(channel, move.port)) and not move.master
    moving = [
        held
        for held in _in_the_order_of_giving(replay.addresses_of(channel, move.source_index))
        if held.address not in move.stay.addresses and not (held.is_link_local and has_its_own)
    ]
    work = [
        (f"{move.target}: address {held.address}", message)
        for held in moving
        for message in replay.give_address(held, target, names)
    ]
    held_neighbours = replay.neighbours_of(channel, move.source_index)
    neighbours = [(f"{move.target}: neighbour", replay.give_neighbour(held, target)) for held in held_neighbours]
    _transact(channel, [*work, *neighbours])
    routes, twins, work = _routes_to_give(channel, move)
    # All at once, for in between nobody would be reached: the way to the LAN would lead through a link that hears
    # nothing. Neighbours once more: a link that loses its carrier forgets those that the host answers for.
    _transact_all(
        channel,
        ([(f"{move.target}: bridge", change_link(move.port, master=move.master))], ()),
        ([(f"{move.source}: route {route.to}", replay.take_route(route)) for route in twins], _GONE),
        ([*work, *neighbours], _THERE),
    )
    return _Given(moving, routes, held_neighbours)


def _routes_to_give(
    channel: Channel, move: _Move
) -> Tuple[List[replay.HeldRoute], List[replay.HeldRoute], List[Tuple[str, Message]]]:
    """The routes that are to be taken from the first link then, those that the second one has by its addresses
    already, and the messages that give to it.
    """
    connected = {known_prefix(address).network for address in move.stay.addresses}
    there = {(route.to, route.table, route.metric) for route in replay.routes_of(channel, move.target_index)}
    taken: List[replay.HeldRoute] = []
    twins: List[replay.HeldRoute] = []
    work: List[Tuple[str, Message]] = []
    for route in replay.routes_of(channel, move.source_index):
        name = (route.to, route.table, route.metric)
        if replay.is_the_kernels(route) and route.to in (*connected, _LINK_LOCAL):
            continue
        if replay.is_the_kernels(route) and name in there:  # it came with the address, and needn't go with it
            twins.append(route)
            continue
        if name in move.stay.routes:
            taken.append(route)
            continue
        metric = metric_beside_the_routers(route, move.source)
        if metric is None or (route.to, route.table, metric) not in there:
            message = replay.give_route(route, move.source_index, move.target_index, metric)
            work.append((f"{move.target}: route {route.to}", message))
        if not replay.takes_its_place(route, metric):
            taken.append(route)
    return taken, twins, work


def _in_the_order_of_giving(held: Sequence[replay.HeldAddress]) -> List[replay.HeldAddress]:
    """The kernel lists IPv4 addresses in the order in which they were given, and IPv6 ones the other way round."""
    return [one for one in held if not one.is_ipv6] + [one for one in reversed(held) if one.is_ipv6]


def metric_beside_the_routers(route: replay.HeldRoute, source: str) -> Optional[int]:
    """A route that the kernel made of an advertisement comes again with the next one, which it asks for.

    It must not find ours in its place, for then it drops the advertisement (ndisc_router_discovery, net/ipv6/ndisc.c):
    ours is one worse, serves until then, and ends when the advertised one would have.
    """
    if not route.is_ipv6 or route.protocol != RTPROT_RA or sysctl.read_if_possible(sysctl.accept_ra(source)) == "0":
        return None
    preferred = int(sysctl.read_if_possible(f"net/ipv6/conf/{source}/ra_defrtr_metric") or _ROUTER_METRIC)
    return route.metric + 1 if route.metric in (preferred, _ROUTER_METRIC) else None


def _take(channel: Channel, move: _Move, given: _Given) -> None:
    """The first link loses what the second one has by now. An IPv6 link-local address each keeps for itself."""
    source, index = move.source, move.source_index
    work = [(f"{source}: route {route.to}", replay.take_route(route)) for route in given.routes]
    work += [(f"{source}: neighbour", replay.take_neighbour(held, index)) for held in given.neighbours]
    for held in reversed(given.addresses):  # a primary address takes its secondaries along (hazard 26)
        if not held.is_link_local:
            work.append((f"{source}: address {held.address}", replay.take_address(held, index)))
    _transact(channel, work, _GONE)


def _transact(channel: Channel, work: Sequence[Tuple[str, Message]], harmless: Container[int] = ()) -> None:
    """Send the messages; KernelRefused for the first one that was refused for another reason than a harmless one."""
    _transact_all(channel, (work, harmless))


def _transact_all(channel: Channel, *parts: Tuple[Sequence[Tuple[str, Message]], Container[int]]) -> None:
    """The same of several parts, each with what is harmless to it, in one batch."""
    answers = iter(channel.transact([message for work, _harmless in parts for _subject, message in work]))
    for work, harmless in parts:
        for subject, _message in work:
            refusal = next(answers)
            if refusal is not None and refusal.errno not in harmless:
                raise KernelRefused(subject, refusal.errno, refusal.detail)
