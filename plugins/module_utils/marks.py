# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose things on this host are, read off the things themselves.

Links say it by their alias, namespaces by that of their lo, files by their header. Routes say by their protocol that
the collection made them, and rules by their comment; see recall for what follows from those.
"""

from __future__ import annotations

import glob
from typing import Dict, Iterator, List, NamedTuple, Optional, Set, Tuple

from . import files, firewall
from . import netns as namespaces
from .document.identity import RouteKey
from .errors import HostwireError, MissingOnHost
from .model import KernelRoute, Link, LinkKey
from .plan.owned import mark_of, owner_of
from .plan.settings import HEADER
from .plan.sheet import devices, is_our_route
from .rtnetlink.channel import Channel
from .rtnetlink.links import read_links
from .rtnetlink.netconf import read_forwarding
from .rtnetlink.routes import read_all_routes

_FILES = ("/etc/netns/*/hosts", "/etc/netns/*/resolv.conf")


class Room(NamedTuple):
    """A namespace: its number, its links by name, and the families (4, 6) in which it forwards."""

    inode: int
    links: Dict[str, Link]
    forwards: Tuple[int, ...]


Rooms = Dict[Optional[str], Room]


def look() -> Rooms:
    """The host and every named namespace that can be entered."""
    rooms: Rooms = {None: _room(namespaces.inode_of(None))}
    inodes = namespaces.inodes()
    with namespaces.Tour() as tour:
        for netns in _entered(tour, sorted(inodes)):
            rooms[netns] = _room(inodes[netns])
    return rooms


def _entered(tour: namespaces.Tour, names: List[str]) -> Iterator[str]:
    """Those of the namespaces that can be entered, each when the thread is in it."""
    for name in names:
        try:
            tour.enter(name)
        except MissingOnHost:  # gone meanwhile, or nobody's who may not enter any
            continue
        yield name


def _room(inode: int) -> Room:
    with Channel() as channel:
        links, switches = read_links(channel), read_forwarding(channel)
    return Room(inode, links, tuple(family for family, on in zip((4, 6), switches) if on))


def marked_namespaces(rooms: Rooms, name: str) -> Dict[str, int]:
    """The namespaces of the document of this name, with their numbers."""
    marked = {netns: room for netns, room in rooms.items() if "lo" in room.links and _is(room.links["lo"], name)}
    return {netns: room.inode for netns, room in marked.items() if netns is not None}


def marked_links(rooms: Rooms, name: str) -> Dict[LinkKey, int]:
    """The links of the document of this name, with their indexes."""
    links = ((netns, link) for netns, room in rooms.items() for link in room.links.values())
    return {(netns, link.name): link.index for netns, link in links if link.name != "lo" and _is(link, name)}


def _is(link: Link, name: str) -> bool:
    return link.alias == mark_of(name)


def owners(rooms: Rooms) -> Set[str]:
    """The names of all documents that have a link here."""
    found = {owner_of(link.alias) for room in rooms.values() for link in room.links.values()}
    return {name for name in found if name is not None}


def routes(rooms: Rooms) -> Dict[RouteKey, Set[str]]:
    """Every route that the collection made, with the names of the links that it leads through."""
    found = dict(_routes(None, rooms[None].links))
    with namespaces.Tour() as tour:
        for netns in _entered(tour, [name for name in rooms if name is not None]):
            found.update(_routes(netns, rooms[netns].links))
    return found


def _routes(netns: Optional[str], links: Dict[str, Link]) -> Iterator[Tuple[RouteKey, Set[str]]]:
    with Channel() as channel:
        every: Tuple[KernelRoute, ...] = read_all_routes(channel, local=False)
    names = {link.index: link.name for link in links.values()}
    for route in every:
        if is_our_route(route):
            ways = {names[index] for index in devices(route) if index in names}
            yield (netns, route.to, route.table, route.metric), ways


def marked_files(name: str) -> List[str]:
    """The files of namespaces that the document of this name wrote."""
    header = HEADER.format(name=name)
    return [path for pattern in _FILES for path in sorted(glob.glob(pattern)) if _begins(path, header)]


def _begins(path: str, header: str) -> bool:
    try:
        return (files.read(path) or "").startswith(header)
    except HostwireError:  # what is no file, or can't be read, is none of ours
        return False


class Rules(NamedTuple):
    """The families (4, 6) in which a document has rules in a packet filter, and the names of all documents that do."""

    families: Tuple[int, ...]
    owners: Set[str]


def rules(netns: Optional[str], name: str) -> Rules:
    """What stands in a namespace's packet filter; runs iptables-save."""
    from .firewall.rules import SHARED
    from .firewall.tables import owned_marks

    marked: Set[int] = set()
    owners: Set[str] = set()
    for (_backend, family), ruleset in firewall.observe(netns).rulesets.items():
        lines = [line for chains in ruleset.values() for chain in chains.values() for line in chain]
        found = {mark.rpartition(":")[0] for mark in owned_marks(lines) if mark is not None}
        owners |= found - {SHARED}
        if name in found:
            marked.add(family)
    return Rules(tuple(sorted(marked)), owners)
