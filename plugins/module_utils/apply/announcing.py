# SPDX-License-Identifier: GPL-3.0-or-later
"""What others believe: neighbours who knew an address by another MAC address are told, or made to ask again (hazard 3).

Whoever has an entry for an address goes on sending to the old MAC address for up to 20 s. So all that came to a link,
or changed its place, is announced there; only where nobody could have known anything nobody is told.
"""

from __future__ import annotations

import contextlib
import time
from typing import Callable, Dict, Iterable, List, NamedTuple, Optional, Sequence, Set

from ..announce import Claim, Held, announce
from ..errors import HostwireError
from ..model import HostView, Link, LinkKey
from ..netns import Tour
from ..plan import actions as act
from ..rtnetlink.channel import Channel
from ..rtnetlink.constants import NUD_NOARP, NUD_PERMANENT, RT_SCOPE_HOST
from ..rtnetlink.neighbours import delete_neighbour, read_neighbours
from .verify import CARRIER_SECONDS

_POLL_SECONDS = 0.02
_ETHERNET = 17  # characters of a MAC address; links of other kinds, and lo, have none that neighbours use
_BY_HAND = NUD_PERMANENT | NUD_NOARP


class News(NamedTuple):
    """``claims``: what is to be announced, by namespace. ``stale``: links that may have entries for those addresses,
    each with the MAC addresses that are right there."""

    claims: Dict[Optional[str], List[Claim]]
    stale: Dict[Optional[str], Dict[int, Dict[str, str]]]


def tell(
    actions: Sequence[act.Action],
    before: HostView,
    view: HostView,
    look: Callable[[], HostView],
    patience: float,
) -> None:
    """Announce what these actions brought to links.

    ``before`` is how the host was, ``view`` how it is, ``look`` reads it again: links that have just been made take a
    moment until they carry anything. ``patience`` is in seconds; with 0 that isn't waited for.
    """
    if not any(key[1] != "lo" for key in _old_links(before, view)):
        return  # nobody could have known anything
    touched = touched_by(actions)
    news = news_of(touched, before, view)
    began = time.monotonic()
    while news.claims and _is_silent(news, view) and time.monotonic() - began < min(CARRIER_SECONDS, patience):
        time.sleep(_POLL_SECONDS)
        view = look()
        news = news_of(touched, before, view)
    if news.claims:
        _forget_and_announce(news)


def touched_by(actions: Iterable[act.Action]) -> Set[LinkKey]:
    """The links that actions gave an address, another MAC address, another place or life."""
    found: Set[LinkKey] = set()
    for action in actions:
        if isinstance(action, act.AddressAdd):
            found.add((action.netns, action.link))
        elif isinstance(action, act.LinkChange):
            if action.up or action.mac is not None or action.bridge:
                found.add((action.netns, action.name))
        elif isinstance(action, act.VethAdd):
            found.update(((action.netns, action.name), (action.peer_netns, action.peer)))
        elif isinstance(action, act.UplinkAttach):
            found.add((action.netns, action.name))
        elif isinstance(action, act.UplinkDetach):
            found.update(((action.netns, action.name), (action.netns, action.link)))
    return found


def news_of(touched: Set[LinkKey], before: HostView, view: HostView) -> News:
    """What these links and the other ends of their cables are to say, where somebody has been listening. Pure."""
    ends = touched | {view.peers[key] for key in touched if key in view.peers}
    speaking = [(key, claim) for key in sorted(ends, key=str) for claim in _claim(view, key)]
    if not speaking:
        return News({}, {})
    segments = _Segments(view)
    known = {segments.of(key) for key in _old_links(before, view)}
    claims: Dict[Optional[str], List[Claim]] = {}
    right: Dict[LinkKey, Dict[str, str]] = {}
    for key, claim in speaking:
        segment = segments.of(key)
        if segment in known:
            claims.setdefault(key[0], []).append(claim)
            right.setdefault(segment, {}).update((held.plain, claim.mac.hex(":")) for held in claim.held)
    return News(claims, _stale(view, segments, right))


def _claim(view: HostView, key: LinkKey) -> Iterable[Claim]:
    room = view.views.get(key[0])
    link = room.links.get(key[1]) if room is not None else None
    if room is None or link is None or not _speaks(view, key, link):
        return
    held = tuple(
        Held(entry.address, entry.scope, entry.flags)
        for entry in room.addresses.get(link.index, ())
        if entry.scope != RT_SCOPE_HOST
    )
    if held:
        yield Claim(link.name, link.index, bytes.fromhex(link.mac.replace(":", "")), held)


def _speaks(view: HostView, key: LinkKey, link: Link) -> bool:
    peer = _peer(view, key)
    return link.up and len(link.mac) == _ETHERNET and link.name != "lo" and (peer is None or peer.up)


def _peer(view: HostView, key: LinkKey) -> Optional[Link]:
    other = view.peers.get(key)
    return view.views[other[0]].links.get(other[1]) if other is not None else None


def _old_links(before: HostView, view: HostView) -> Iterable[LinkKey]:
    """The links that are still there from before."""
    for netns, room in view.views.items():
        old = before.views.get(netns)
        if old is not None and old.inode == room.inode:
            for name, link in room.links.items():
                was = old.links.get(name)
                if was is not None and was.index == link.index:
                    yield netns, name


class _Segments:
    """Which links hear each other: ports of one bridge, ends of a cable, links on top of another."""

    def __init__(self, view: HostView) -> None:
        self._parents: Dict[LinkKey, LinkKey] = {}
        for one, other in view.peers.items():
            self._join(one, other)
        for netns, room in view.views.items():
            names = {link.index: link.name for link in room.links.values()}
            for link in room.links.values():
                below = link.peer_index if link.peer_netnsid is None else None
                for index in (link.master, below):
                    if index in names:
                        self._join((netns, link.name), (netns, names[index]))

    def of(self, key: LinkKey) -> LinkKey:
        """One link that stands for all that this one hears."""
        while key in self._parents:
            key = self._parents[key]
        return key

    def _join(self, one: LinkKey, other: LinkKey) -> None:
        root, top = self.of(one), self.of(other)
        if root != top:
            self._parents[root] = top


def _stale(
    view: HostView, segments: _Segments, right: Dict[LinkKey, Dict[str, str]]
) -> Dict[Optional[str], Dict[int, Dict[str, str]]]:
    """The host's own links, and bridges anywhere, that may have entries for what is announced.

    Everybody else hears the announcement; those are on the way of all that is forwarded, and may not listen to it.
    """
    found: Dict[Optional[str], Dict[int, Dict[str, str]]] = {}
    for netns, room in view.views.items() if right else ():
        for name, link in room.links.items():
            macs = right.get(segments.of((netns, name))) if netns is None or link.kind == "bridge" else None
            if macs and room.addresses.get(link.index):
                found.setdefault(netns, {})[link.index] = macs
    return found


def _is_silent(news: News, view: HostView) -> bool:
    """Whether a cable with something to say doesn't carry anything yet though both its ends are up."""
    for netns, claims in news.claims.items():
        for claim in claims:
            key = (netns, claim.link)
            ends = (view.views[netns].links[claim.link], _peer(view, key))
            if ends[1] is not None and not all(end is not None and end.running for end in ends):
                return True
    return False


def _forget_and_announce(news: News) -> None:
    with Tour() as tour:
        for netns, links in news.stale.items():
            _within(tour, netns, lambda channel, links=links: _forget(channel, links))  # type: ignore[misc]
        for netns, claims in news.claims.items():
            _within(tour, netns, lambda channel, claims=claims: announce(channel, claims))  # type: ignore[misc]


def _within(tour: Tour, netns: Optional[str], deed: Callable[[Channel], None]) -> None:
    """Do it there, unless the namespace has just gone, or its kernel won't: neighbours find out by themselves then."""
    with contextlib.suppress(HostwireError, OSError):
        tour.enter(netns)
        with Channel() as channel:
            deed(channel)


def _forget(channel: Channel, links: Dict[int, Dict[str, str]]) -> None:
    wrong = [
        delete_neighbour(entry.index, entry.address)
        for entry in read_neighbours(channel)
        if entry.mac is not None
        and not entry.state & _BY_HAND
        and links.get(entry.index, {}).get(entry.address, entry.mac) != entry.mac
    ]
    if wrong:
        channel.transact(wrong)
