# SPDX-License-Identifier: GPL-3.0-or-later
"""Which two links are the ends of one cable: the kernel tells of each only the other's index and a namespace number."""

from __future__ import annotations

from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from . import netns as namespaces
from .model import Link, LinkKey, NamespaceView
from .rtnetlink.channel import Channel
from .rtnetlink.links import read_links_elsewhere
from .rtnetlink.namespace_ids import read_ids

_End = Tuple[Optional[str], Link]


class _Group:
    """The ends of veths with one index and one index of the peer, by where they are and by what they look like."""

    def __init__(self) -> None:
        self.ends: List[_End] = []
        self._by_netns: Dict[Optional[str], List[_End]] = {}
        self._by_looks: Dict[Tuple[str, str], List[_End]] = {}

    def add(self, end: _End) -> None:
        self.ends.append(end)
        self._by_netns.setdefault(end[0], []).append(end)
        self._by_looks.setdefault((end[1].name, end[1].mac), []).append(end)

    def inside(self, netns: Optional[str]) -> Sequence[_End]:
        return self._by_netns.get(netns, ())

    def outside(self, netns: Optional[str]) -> Sequence[_End]:
        if netns not in self._by_netns:  # as a rule: then there is nothing to leave out, however many there are
            return self.ends
        return [end for end in self.ends if end[0] != netns]

    def alike(self, seen: Optional[Link]) -> Sequence[_End]:
        return self._by_looks.get((seen.name, seen.mac), ()) if seen is not None else ()


class _Doubt(NamedTuple):
    """An end whose peer is one of several in other namespaces; ``number`` is that namespace's as the end sees it."""

    link: Link
    number: int
    group: _Group


def find_peers(views: Mapping[Optional[str], NamespaceView]) -> Dict[LinkKey, LinkKey]:
    """Both ends of every veth among these namespaces, each by the other.

    Two ends whose indexes fit are peers if nothing else fits; where indexes repeat, the kernel is asked which is meant.
    """
    groups: Dict[Tuple[int, int], _Group] = {}
    for netns, view in views.items():
        for link in view.links.values():
            if link.kind == "veth" and link.peer_index is not None:
                groups.setdefault((link.index, link.peer_index), _Group()).add((netns, link))
    peers: Dict[LinkKey, LinkKey] = {}
    doubts: Dict[Optional[str], List[_Doubt]] = {}
    nobody = _Group()
    for (index, peer_index), here in groups.items():
        there = groups.get((peer_index, index), nobody)
        for netns, link in here.ends:
            number = link.peer_netnsid
            fitting = there.inside(netns) if number is None else there.outside(netns)
            if len(fitting) == 1:
                peers[(netns, link.name)] = _key(fitting[0])
            elif fitting and number is not None:
                doubts.setdefault(netns, []).append(_Doubt(link, number, there))
    for netns, entries in doubts.items():
        peers.update(_asked(netns, entries))
    return {key: peer for key, peer in peers.items() if peers.get(peer) == key}


def _key(end: _End) -> LinkKey:
    return end[0], end[1].name


def _asked(netns: Optional[str], doubts: Sequence[_Doubt]) -> Dict[LinkKey, LinkKey]:
    """The peers of these ends of one namespace, as far as the kernel tells.

    It shows the peer, so that only ends of that name and MAC address come into question; then it tells whether such an
    end's namespace has the number in question. A kernel that can't show it is asked about all of them.
    """
    found: Dict[LinkKey, LinkKey] = {}
    with namespaces.Tour() as tour:
        tour.enter(netns)
        with Channel() as channel:
            shown = read_links_elsewhere(channel, [(doubt.number, doubt.link.peer_index or 0) for doubt in doubts])
            for doubt, seen in zip(doubts, shown):
                candidates = doubt.group.alike(seen) or doubt.group.outside(netns)
                rooms = [end for end in candidates if end[0] != netns]
                numbers = _numbers(tour, channel, rooms)
                fitting = [end for end, number in zip(rooms, numbers) if number == doubt.number]
                if len(fitting) == 1:
                    found[(netns, doubt.link.name)] = _key(fitting[0])
    return found


def _numbers(tour: namespaces.Tour, channel: Channel, ends: Sequence[_End]) -> List[Optional[int]]:
    """What the namespaces of these ends are called where the channel is."""
    fds = [tour.open(netns) for netns, _link in ends]
    try:
        return read_ids(channel, fds)
    finally:
        namespaces.close(fds)
