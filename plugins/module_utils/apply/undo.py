# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking a run back: the inverse of each step that was done, last first, and what went along with them."""

from __future__ import annotations

from typing import Callable, Container, Dict, Iterable, List, Optional, Sequence

from .. import sysctl
from ..errors import HostwireError
from ..model import HostView, Link, LinkKey, NamespaceView
from ..plan.actions import (
    Action,
    AddressAdd,
    LinkChange,
    PortChange,
    Step,
    SysctlSet,
    UplinkAttach,
    UplinkDetach,
)
from .differences import touched_links
from .dragged import moved_settings
from .executor import Executor, Work
from .trade import Trade


def take_back(
    steps: Sequence[Step],
    positions: Iterable[int],
    lines: Sequence[str],
    go_home: Callable[[], None],
    trade: Optional[Trade] = None,
) -> Dict[int, List[str]]:
    """Undo the steps at these positions, in this order; those of which a part could not be undone, and why.

    ``go_home`` is called before each: one that failed may have failed elsewhere. Behind an interface's move that could
    not be undone all stays, for it bears the host's own connection.
    """
    failures: Dict[int, List[str]] = {}
    barred = False
    for position in positions:
        if barred:
            failures[position] = []
            continue
        go_home()
        step = steps[position]
        subject = f"undo of: {lines[step.line] if step.line < len(lines) else 'a step'}"
        words = do_tolerantly([Work(_at_once(action), subject) for action in step.inverse], trade)
        if words:
            failures[position] = words
            barred = isinstance(step.action, (UplinkAttach, UplinkDetach))
    return failures


def _at_once(action: Action) -> Action:
    """An IPv6 address that was there before needn't be checked again, and its neighbours are to know it at once."""
    return action._replace(unchecked=True) if isinstance(action, AddressAdd) and ":" in action.address else action


def do_tolerantly(work: Sequence[Work], trade: Optional[Trade] = None) -> List[str]:
    """Do what can be done, each by itself where it can't be done together; why the rest can't, in words.

    Sockets are new each time: an old one may be what is broken.
    """
    if not work:
        return []
    try:
        with Executor(tolerant=True, trade=trade) as executor:
            executor.run(work)
    except (HostwireError, OSError) as error:
        if len(work) > 1:
            return [words for one in work for words in do_tolerantly([one], trade)]
        return list(error.problems) if isinstance(error, HostwireError) else [f"{work[0].subject}: {error}"]
    return []


def mend(before: HostView, after: HostView, steps: Sequence[Step], stuck: Container[LinkKey] = ()) -> List[Action]:
    """What puts back what the undone steps took along without naming it, but for what links hold (see keeping): a
    link's properties, and settings that a switch drags along.

    Only of links that the steps touched, and of no ``stuck`` ones: what other people changed meanwhile stays changed.
    """
    actions: List[Action] = []
    touched = touched_links(steps, before)
    for netns in {netns for netns, _name in touched} | {step.action.netns for step in steps}:
        then, now = before.views.get(netns), after.views.get(netns)
        if then is None or now is None:
            continue
        for link in then.links.values():
            key = (netns, link.name)
            if key in touched and key not in stuck and link.name in now.links:
                actions += _mend_link(then, now, link)
        moved = moved_settings(steps, netns)
        for path, value in then.sysctls.items():
            if value is not None and now.sysctls.get(path) not in (None, value) and moved(path):
                actions.append(SysctlSet(netns, path, value))
    return actions


def _mend_link(then: NamespaceView, now: NamespaceView, link: Link) -> List[Action]:
    netns, there = then.netns, now.links[link.name]
    actions: List[Action] = []
    if (link.up, link.mtu, link.alias, link.group) != (there.up, there.mtu, there.alias, there.group):
        actions.append(LinkChange(netns, link.name, link.up, mtu=link.mtu, alias=link.alias, group=link.group))
    if None not in (link.accept_ra, there.accept_ra) and link.accept_ra != there.accept_ra:
        # IPv6 went and came back, with the settings of a new link.
        actions.append(SysctlSet(netns, sysctl.accept_ra(link.name), str(link.accept_ra)))
    as_port = link.isolated, link.hairpin
    if None not in (*as_port, there.isolated) and as_port != (there.isolated, there.hairpin):
        actions.append(PortChange(netns, link.name, *as_port))
    return actions
