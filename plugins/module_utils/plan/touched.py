# SPDX-License-Identifier: GPL-3.0-or-later
"""What the steps of a plan for a whole document lay hands on. All else is as the document says: that is why."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, NamedTuple, Optional, Set, Type

from ..model import LinkKey
from . import actions as act

_FILES = "/etc/netns/"  # of namespaces, each in a directory of its name


class Touched(NamedTuple):
    """``links``, and namespaces (``rooms``): those made or taken away, or with another setting or file."""

    links: Set[LinkKey]
    rooms: Set[Optional[str]]

    def has_link(self, netns: Optional[str], name: str) -> bool:
        """Whether anything is done to this link, or to all that is in its namespace."""
        return (netns, name) in self.links or netns in self.rooms


def touched_by(actions: Iterable[act.Action]) -> Touched:
    """What these actions touch, the links that go along with a deleted one's end left to whoever knows its peer."""
    found = Touched(set(), set())
    for action in actions:
        _HANDS.get(type(action), _on_links)(found, action)
    return found


def _on_links(found: Touched, action: Any) -> None:
    for field in ("name", "link"):
        name = getattr(action, field, None)
        if name is not None:
            found.links.add((action.netns, name))


def _on_cable(found: Touched, action: act.VethAdd) -> None:
    found.links.update(((action.netns, action.name), (action.peer_netns, action.peer)))


def _on_room(found: Touched, action: Any) -> None:
    found.rooms.add(action.netns)


def _on_file(found: Touched, action: act.FileSet) -> None:
    if action.path.startswith(_FILES):
        found.rooms.add(action.path[len(_FILES) :].partition("/")[0])


def _on_no_link(_found: Touched, _action: Any) -> None:
    pass


_HANDS: Dict[Type[Any], Callable[[Touched, Any], None]] = {
    act.FileSet: _on_file,
    act.FlowsForget: _on_no_link,
    act.NetnsAdd: _on_room,
    act.NetnsDelete: _on_room,
    act.RouteAdd: _on_no_link,
    act.RouteDelete: _on_no_link,
    act.SysctlSet: _on_room,
    act.TableSet: _on_no_link,
    act.VethAdd: _on_cable,
}
