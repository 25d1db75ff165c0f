# SPDX-License-Identifier: GPL-3.0-or-later
"""What the steps of a plan for a whole document lay hands on. All else is as the document says: that is why."""

from __future__ import annotations

from typing import Any, Iterable, Iterator, NamedTuple, Optional, Set

from ..model import LinkKey
from .actions import (
    Action,
    FileSet,
    FlowsForget,
    NetnsAdd,
    NetnsDelete,
    RouteAdd,
    RouteDelete,
    SysctlSet,
    TableSet,
    VethAdd,
)

_FILES = "/etc/netns/"  # of namespaces, each in a directory of its name
_OF_NO_LINK = (FlowsForget, RouteAdd, RouteDelete, TableSet)


class Touched(NamedTuple):
    """``links``, and namespaces (``rooms``): those made or taken away, or with another setting or file."""

    links: Set[LinkKey]
    rooms: Set[Optional[str]]

    def has_link(self, netns: Optional[str], name: str) -> bool:
        """Whether anything is done to this link, or to all that is in its namespace."""
        return (netns, name) in self.links or netns in self.rooms


def touched_by(actions: Iterable[Action]) -> Touched:
    """What these actions touch, the links that go along with a deleted one's end left to whoever knows its peer."""
    found = Touched(set(), set())
    for action in actions:
        if isinstance(action, FileSet):
            if action.path.startswith(_FILES):
                found.rooms.add(action.path[len(_FILES) :].partition("/")[0])
        elif isinstance(action, (NetnsAdd, NetnsDelete, SysctlSet)):
            found.rooms.add(action.netns)
        elif not isinstance(action, _OF_NO_LINK):
            found.links.update(_keys(action))
    return found


def _keys(action: Any) -> Iterator[LinkKey]:
    for field in ("name", "link"):
        name = getattr(action, field, None)
        if name is not None:
            yield action.netns, name
    if isinstance(action, VethAdd):
        yield action.peer_netns, action.peer
