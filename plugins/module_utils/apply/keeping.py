# SPDX-License-Identifier: GPL-3.0-or-later
"""What the links that a run takes down, deletes or gives other addresses hold: noted before it, given back after it."""

from __future__ import annotations

import errno
from typing import Callable, Dict, Iterable, List, Mapping, Optional, Set

from .. import netns as namespaces
from ..errors import HostwireError, KernelRefused, MissingOnHost
from ..plan.sheet import place
from ..rtnetlink.channel import Channel
from ..stopwatch import seconds_since_boot
from .belongings import Change, Room, Work, read

Kept = Dict[Optional[str], Room]  # by namespace

_THERE = frozenset((errno.EEXIST,))
_GONE = frozenset((errno.EADDRNOTAVAIL, errno.ESRCH, errno.ENOENT, errno.ENODEV))


def note(places: Iterable[Optional[str]]) -> Kept:
    """What all links of these namespaces hold. One that isn't there holds nothing."""
    kept: Kept = {}
    with namespaces.Tour() as tour:
        for netns in places:
            try:
                tour.enter(netns)
            except MissingOnHost:
                if netns in namespaces.inodes():
                    raise
                continue
            with Channel() as channel:
                kept[netns] = read(channel, seconds_since_boot())
    return kept


def together(several: Iterable[Kept]) -> Kept:
    """What was noted first of each namespace: later the run had begun already."""
    found: Kept = {}
    for kept in several:
        for netns, room in kept.items():
            found.setdefault(netns, room)
    return found


def give_back(kept: Kept, links: Mapping[Optional[str], Set[str]], go_home: Callable[[], None]) -> List[str]:
    """Give to these links what they held, as far as they are there and lack it. What can't be given, and why."""
    failures: List[str] = []
    for netns, names in links.items():

        def mended(channel: Channel, netns: Optional[str] = netns, names: Set[str] = names) -> List[str]:
            return _mended(channel, netns, kept[netns], names)

        go_home()
        try:
            failures += _in_room(netns, mended)
        except (HostwireError, OSError) as error:
            failures.append(f"{place(netns)}: what its links held: {error}")
    go_home()
    return failures


def lines(kept: Kept, links: Mapping[Optional[str], Set[str]]) -> List[str]:
    """What these links hold otherwise than they did, in words."""
    found: List[str] = []
    for netns, names in links.items():

        def told(channel: Channel, netns: Optional[str] = netns, names: Set[str] = names) -> List[str]:
            change = Change(kept[netns], read(channel, seconds_since_boot()), names)
            return [f"{place(netns)}: {line}" for line in change.lines()]

        found += _in_room(netns, told)
    return found


def _in_room(netns: Optional[str], deed: Callable[[Channel], List[str]]) -> List[str]:
    """A namespace that is gone has nothing; that it is gone is said elsewhere."""
    if netns is not None and netns not in namespaces.inodes() and netns not in namespaces.lent_inodes():
        return []
    with namespaces.Tour() as tour:
        tour.enter(netns)
        with Channel() as channel:
            return deed(channel)


def _mended(channel: Channel, netns: Optional[str], then: Room, links: Set[str]) -> List[str]:
    failures: List[str] = []
    for part in (Change.addresses, Change.routes, Change.neighbours):  # routes need the addresses
        work: Work = part(Change(then, read(channel, seconds_since_boot()), links))
        answers = channel.transact([message for _subject, message in work])
        for (subject, _message), refusal in zip(work, answers):
            if refusal is not None and refusal.errno not in _THERE | _GONE:
                failures.append(str(KernelRefused(f"{place(netns)}: {subject}", refusal.errno, refusal.detail)))
    return failures
