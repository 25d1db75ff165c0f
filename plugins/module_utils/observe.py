# SPDX-License-Identifier: GPL-3.0-or-later
"""What is there: the namespaces that somebody asks about, read through rtnetlink and /proc/sys. Writes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict, Iterable, Mapping, NamedTuple, Optional, Tuple

from . import files, model, sysctl, tap
from . import netns as namespaces
from .errors import MissingOnHost
from .peers import find_peers
from .rtnetlink.channel import Channel
from .rtnetlink.links import read_links
from .rtnetlink.routes import read_all_routes, read_routes
from .rtnetlink.rules import read_beside
from .uplink_settings import settings_of

if TYPE_CHECKING:
    from .rtnetlink.replay import HeldNeighbour


class Question(NamedTuple):
    """What to read in one namespace beside its links, addresses and forwarding.

    In ``sysctls`` a ``*`` stands for each link. ``beyond``: whether the routes in other tables and fixed neighbours
    matter, too.
    """

    tables: Tuple[int, ...] = (model.TABLE_MAIN,)
    sysctls: Tuple[str, ...] = ()
    carriers: Tuple[str, ...] = ()  # links whose work another takes over, or may
    beyond: bool = False


def observe(
    questions: Mapping[Optional[str], Question],
    paths: Iterable[str] = (),
    users: Iterable[str] = (),
    glance: bool = False,
) -> model.HostView:
    """Read these namespaces (None is the host), files and users' ids.

    A namespace that doesn't exist has no view, nor has one that somebody removes in this moment. Raises MissingOnHost
    for one that can't be entered; with ``glance`` that has none, either, and peers aren't looked for.
    """
    named = namespaces.inodes()
    inodes = {**named, **namespaces.lent_inodes()}
    views: Dict[Optional[str], model.NamespaceView] = {}
    here = namespaces.inode_of(None)
    with namespaces.Tour() as tour:
        for netns, question in questions.items():
            if netns is not None and netns not in inodes:
                continue
            try:
                tour.enter(netns)
            except MissingOnHost:
                if not glance and netns in namespaces.inodes():
                    raise
                continue
            views[netns] = _view(netns, here if netns is None else inodes[netns], question)
    texts = {path: files.read(path) for path in paths}
    peers = {} if glance else find_peers(views)
    return model.HostView(tuple(sorted(named)), views, texts, peers, tap.user_ids(users))


def _view(netns: Optional[str], inode: int, question: Question) -> model.NamespaceView:
    with Channel() as channel:
        links = read_links(channel)
        addresses, forwarding, rules = read_beside(channel)
        routes, others = _routes(channel, question, rules)
        fixed = _fixed(channel) if question.beyond else None
        baggage = _baggage(channel, links, question.carriers) if question.carriers else {}
    return model.NamespaceView(
        netns,
        inode,
        links,
        addresses,
        routes,
        *forwarding,
        _settings(question.sysctls, links),
        baggage,
        others,
        rules,
        fixed,
    )


def _routes(
    channel: Channel, question: Question, rules: Optional[Tuple[model.PolicyRule, ...]]
) -> Tuple[Tuple[model.KernelRoute, ...], Tuple[model.KernelRoute, ...]]:
    """The routes of the tables that are asked for, table by table, and those beyond if these matter.

    These do, too, where somebody's rules may lead there. The kernel's own routes to a namespace's addresses matter to
    nobody.
    """
    if not question.beyond and rules is None:
        return read_routes(channel, question.tables), ()
    every = read_all_routes(channel, local=False)
    asked = tuple(route for table in question.tables for route in every if route.table == table)
    return asked, tuple(route for route in every if route.table not in question.tables)


def _baggage(channel: Channel, links: Mapping[str, model.Link], carriers: Iterable[str]) -> Dict[str, model.Baggage]:
    from . import uplink  # loaded when it is needed: few bridges have one

    found = {name: uplink.read_baggage(channel, links[name]) for name in carriers if name in links}
    if not any(links[name].kind != "bridge" and links[name].master is None for name in found):
        return found  # nothing is about to move to a bridge
    return {name: baggage._replace(settings=settings_of(name)) for name, baggage in found.items()}


def _fixed(channel: Channel) -> Tuple[HeldNeighbour, ...]:
    from .rtnetlink.replay import neighbours_of  # loaded when it is needed: most runs take nothing away

    return tuple(neighbours_of(channel))


def _settings(paths: Iterable[str], links: Iterable[str]) -> Dict[str, Optional[str]]:
    named = (path.replace("/*/", f"/{name}/") for path in paths for name in (links if "/*/" in path else ("",)))
    return {path: sysctl.read(path) for path in named}
