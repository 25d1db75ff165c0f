# SPDX-License-Identifier: GPL-3.0-or-later
"""What is there: the namespaces that somebody asks about, read through rtnetlink and /proc/sys. Writes nothing."""

from __future__ import annotations

from typing import Dict, Iterable, Mapping, NamedTuple, Optional, Tuple

from . import netns as namespaces
from . import sysctl
from .model import TABLE_MAIN, HostView, NamespaceView
from .rtnetlink.addresses import read_addresses
from .rtnetlink.channel import Channel
from .rtnetlink.links import read_links
from .rtnetlink.routes import read_routes


class Question(NamedTuple):
    """What to read in one namespace beside its links, addresses and forwarding."""

    tables: Tuple[int, ...] = (TABLE_MAIN,)
    sysctls: Tuple[str, ...] = ()


def observe(questions: Mapping[Optional[str], Question]) -> HostView:
    """Read these namespaces (None is the host); one that doesn't exist is left out of the views."""
    inodes = namespaces.inodes()
    views: Dict[Optional[str], NamespaceView] = {}
    for netns, question in questions.items():
        if netns is None:
            views[None] = _view(None, namespaces.inode_of(None), question)
        elif netns in inodes:
            with namespaces.inside(netns):
                views[netns] = _view(netns, inodes[netns], question)
    return HostView(tuple(sorted(inodes)), views)


def _view(netns: Optional[str], inode: int, question: Question) -> NamespaceView:
    with Channel() as channel:
        links = read_links(channel)
        addresses = read_addresses(channel)
        routes = read_routes(channel, question.tables)
    return NamespaceView(
        netns,
        inode,
        links,
        addresses,
        routes,
        _flag(sysctl.read(sysctl.IPV4_FORWARDING)),
        _flag(sysctl.read(sysctl.IPV6_FORWARDING)),
        _settings(question.sysctls),
    )


def _settings(paths: Iterable[str]) -> Dict[str, Optional[str]]:
    return {path: sysctl.read(path) for path in paths}


def _flag(value: Optional[str]) -> Optional[bool]:
    return None if value is None else value != "0"
