# SPDX-License-Identifier: GPL-3.0-or-later
"""Which two links are the ends of one cable: the kernel tells of each only the other's index and a namespace number."""

from __future__ import annotations

from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from . import netns as namespaces
from .model import Link, LinkKey, NamespaceView
from .rtnetlink.channel import Channel
from .rtnetlink.namespace_ids import read_ids

_Ends = Dict[Tuple[int, int], List[Tuple[Optional[str], Link]]]


def find_peers(views: Mapping[Optional[str], NamespaceView]) -> Dict[LinkKey, LinkKey]:
    """Both ends of every veth among these namespaces, each by the other.

    Two ends whose indexes fit are peers if nothing else fits; where indexes repeat, the kernel is asked which
    namespace is meant.
    """
    ends: _Ends = {}
    for netns, view in views.items():
        for link in view.links.values():
            if link.kind == "veth" and link.peer_index is not None:
                ends.setdefault((link.index, link.peer_index), []).append((netns, link))
    peers: Dict[LinkKey, LinkKey] = {}
    for (index, peer_index), here in ends.items():
        there = ends.get((peer_index, index), ())
        for netns, link in here:
            fitting = [end for end in there if (end[0] == netns) == (link.peer_netnsid is None)]
            if len(fitting) > 1 and link.peer_netnsid is not None:
                fitting = _asked(netns, link.peer_netnsid, fitting)
            if len(fitting) == 1:
                peers[(netns, link.name)] = (fitting[0][0], fitting[0][1].name)
    return {key: peer for key, peer in peers.items() if peers.get(peer) == key}


def _asked(
    netns: Optional[str], wanted: int, ends: Sequence[Tuple[Optional[str], Link]]
) -> List[Tuple[Optional[str], Link]]:
    """Those ends whose namespace has the number ``wanted`` in the namespace ``netns``."""
    with namespaces.Tour() as tour:
        tour.enter(netns)
        fds = [tour.open(where) for where, _link in ends]
        try:
            with Channel() as channel:
                numbers = read_ids(channel, fds)
        finally:
            namespaces.close(fds)
    return [end for end, number in zip(ends, numbers) if number == wanted]
