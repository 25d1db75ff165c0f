# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports of bridges on which guests don't reach each other: isolated, so that the bridge hands no frame to another."""

from __future__ import annotations

from typing import Dict, List, Optional, Tuple, Union

from ..document.containers import cables
from ..model import End, Link, LinkKey, Tap, Topology
from .actions import Action, LinkChange, PortChange
from .sheet import LINK, Sheet, place

Port = Union[End, Tap]


def wanted_isolation(stored: Topology, previous: Topology) -> Dict[LinkKey, bool]:
    """The bridges of which it is said, or no longer is, whether their ports are isolated; others are left alone."""
    asked = {(b.netns, b.name) for b in previous.bridges if b.guests is not None and not b.guests.among}
    return {
        (b.netns, b.name): b.guests is not None and not b.guests.among
        for b in stored.bridges
        if b.guests is not None or (b.netns, b.name) in asked
    }


def join(sheet: Sheet, line: int, change: LinkChange, want: Port) -> None:
    """Do ``change`` on a link that was just made; it is isolated as soon as it is a port."""
    isolation: List[Action] = [PortChange(want.netns, want.name, True)] if _wanted(sheet, want) else []
    for action in [change, *isolation] if change.bridge else [*isolation, change]:
        sheet.do(LINK, line, action)


def mend_link(sheet: Sheet, want: Port, have: Link, words: List[str], change: LinkChange, undo: LinkChange) -> None:
    """Do what ``words`` say, if anything, and put the isolation of a port right."""
    netns, name = want.netns, want.name
    steps: List[Tuple[Action, ...]] = []  # each with what undoes it
    moved = change.bridge is not None
    if words:
        isolation = (PortChange(netns, name, True),) if moved and have.isolated else ()  # lost with the bridge
        steps.append((change, undo, *isolation))
    wanted, now = _wanted(sheet, want), bool(have.isolated) and not moved
    if wanted is not None and wanted != now:
        words = [*words, "isolated" if wanted else "not isolated"]
        steps.append((PortChange(netns, name, wanted), *([] if moved else [PortChange(netns, name, now)])))
    if steps:
        line = sheet.line(f"{place(netns)}: {name}: {', '.join(words)}")
        for action, *inverse in steps:
            sheet.do(LINK, line, action, *inverse)


def plan_other_ports(sheet: Sheet, named: Topology, stored: Topology) -> None:
    """The ports, of bridges that a fragment names, that it doesn't name itself."""
    bridges = {(bridge.netns, bridge.name) for bridge in named.bridges} & sheet.isolation.keys()
    if not bridges:
        return
    spoken_of = {(end.netns, end.name) for veth in named.veths for end in veth}
    spoken_of.update((tap.netns, tap.name) for tap in named.taps)
    ends: List[Port] = [end for veth in cables(stored) for end in veth]
    for end in [*ends, *stored.taps]:
        if (end.netns, end.bridge) in bridges and (end.netns, end.name) not in spoken_of:
            have = sheet.link(end.netns, end.name)
            if have is not None and have.isolated is not None and sheet.is_ours(end.netns, have):
                nothing = LinkChange(end.netns, end.name)
                mend_link(sheet, end, have, [], nothing, nothing)


def _wanted(sheet: Sheet, want: Port) -> Optional[bool]:
    """None where nothing is said of it."""
    return sheet.isolation.get((want.netns, want.bridge)) if want.bridge else None
