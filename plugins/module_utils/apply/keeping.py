# SPDX-License-Identifier: GPL-3.0-or-later
"""What the links that a run takes down, deletes or gives other addresses hold: noted before it, given back after it."""

from __future__ import annotations

import errno
from typing import Callable, Dict, Iterable, List, Optional, Set

from .. import netns as namespaces
from ..errors import HostwireError, KernelRefused
from ..model import HostView
from ..plan.sheet import place
from ..rtnetlink.channel import Channel
from ..stopwatch import seconds_since_boot
from .belongings import Change, Room, Work, known, read
from .endangered import Endangered, Lost
from .made_again import MadeAgain

Kept = Dict[Optional[str], Room]  # by namespace

_THERE = frozenset((errno.EEXIST,))
_GONE = frozenset((errno.EADDRNOTAVAIL, errno.ESRCH, errno.ENOENT, errno.ENODEV))


def note(endangered: Endangered, before: HostView) -> Kept:
    """What the endangered links hold; their names and indexes are known. A namespace that is gone holds nothing.

    Of links that get back with themselves what else was seen on them only the neighbours are noted, as they were seen.
    """
    kept: Kept = {}
    made_again = MadeAgain(endangered)
    with namespaces.Tour() as tour:
        for netns, held in endangered.there(before).items():
            view, names = before.views[netns], frozenset().union(*held.values())
            links = {name: link.index for name, link in view.links.items()}
            plain = made_again.plain_ones(view, names)
            if len(plain) == len(names):
                kept[netns] = known(links, names, view.fixed or (), seconds_since_boot())
                continue
            try:
                tour.enter(netns)
            except namespaces.NotEntered as error:
                if error.is_gone:
                    continue
                raise
            with Channel() as channel:
                kept[netns] = read(channel, seconds_since_boot(), links, names, plain)
    return kept


def together(several: Iterable[Kept]) -> Kept:
    """What was noted first of each link: later the run had begun already."""
    found: Kept = {}
    for kept in several:
        for netns, room in kept.items():
            found[netns] = found[netns].with_later(room) if netns in found else room
    return found


def give_back(kept: Kept, links: Lost, go_home: Callable[[], None]) -> List[str]:
    """Give to these links what they held, as far as they are there and lack it. What can't be given, and why."""
    failures: List[str] = []
    for netns, names in links.items():

        def mended(channel: Channel, netns: Optional[str] = netns, names: Dict[int, Set[str]] = names) -> List[str]:
            return _mended(channel, netns, kept[netns], names)

        go_home()
        try:
            failures += _in_room(netns, mended)
        except (HostwireError, OSError) as error:
            failures.append(f"{place(netns)}: what its links held: {error}")
    go_home()
    return failures


def lines(kept: Kept, links: Lost) -> List[str]:
    """What these links hold otherwise than they did, in words."""
    found: List[str] = []
    for netns, names in links.items():

        def told(channel: Channel, netns: Optional[str] = netns, names: Dict[int, Set[str]] = names) -> List[str]:
            changes = _changes(kept[netns], read(channel, seconds_since_boot()), names)
            return [f"{place(netns)}: {line}" for change in changes for line in change.lines()]

        found += _in_room(netns, told)
    return found


def _in_room(netns: Optional[str], deed: Callable[[Channel], List[str]]) -> List[str]:
    """A namespace that is gone has nothing; that it is gone is said elsewhere."""
    with namespaces.Tour() as tour:
        try:
            tour.enter(netns)
        except namespaces.NotEntered as error:
            if error.is_gone:
                return []
            raise
        with Channel() as channel:
            return deed(channel)


def _changes(then: Room, now: Room, links: Dict[int, Set[str]]) -> List[Change]:
    """Family by family, IPv6 first: routes of IPv4 may lead by way of its addresses."""
    return [Change(then.only(family), now.only(family), links[family]) for family in sorted(links, reverse=True)]


def _mended(channel: Channel, netns: Optional[str], then: Room, links: Dict[int, Set[str]]) -> List[str]:
    failures: List[str] = []
    for part in (Change.addresses, Change.routes, Change.neighbours):  # routes need the addresses
        changes = _changes(then, read(channel, seconds_since_boot()), links)
        work: Work = [entry for change in changes for entry in part(change)]
        answers = channel.transact([message for _subject, message in work])
        for (subject, _message), refusal in zip(work, answers):
            if refusal is not None and refusal.errno not in _THERE | _GONE:
                failures.append(str(KernelRefused(f"{place(netns)}: {subject}", refusal.errno, refusal.detail)))
    return failures
