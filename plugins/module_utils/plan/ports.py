# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports of bridges on which guests don't reach each other: isolated, so that the bridge hands no frame to another; and
those that are given back the frames that came through them, for a guest's own published port."""

from __future__ import annotations

from typing import Dict, FrozenSet, List, Mapping, Optional, Tuple, Union

from ..document.containers import cables
from ..model import End, HostView, Link, LinkKey, Tap, Topology
from ..rtnetlink.constants import BR_STATE_FORWARDING
from ..visible import visible
from .actions import Action, LinkChange, PortChange
from .owned import owner_of
from .sheet import LINK, Sheet, odd_flags, place, port_again

Port = Union[End, Tap]


def wanted_isolation(stored: Topology, previous: Topology) -> Dict[LinkKey, bool]:
    """The bridges of which it is said, or no longer is, whether their ports are isolated; others are left alone."""
    asked = {(b.netns, b.name) for b in previous.bridges if b.guests is not None and not b.guests.among}
    return {
        (b.netns, b.name): b.guests is not None and not b.guests.among
        for b in stored.bridges
        if b.guests is not None or (b.netns, b.name) in asked
    }


def apart_warnings(topology: Topology, asked: Mapping[LinkKey, bool], view: HostView) -> List[str]:
    """A line for each bridge of which nothing is said whose ports somebody has isolated from each other."""
    found: List[str] = []
    for bridge in topology.bridges:
        room = view.views.get(bridge.netns)
        have = room.links.get(bridge.name) if room is not None else None
        if room is None or have is None or (bridge.netns, bridge.name) in asked:
            continue
        ports = sorted(link.name for link in room.links.values() if link.isolated and link.master == have.index)
        if len(ports) > 1:  # one alone is kept from nobody
            found.append(
                f"{place(bridge.netns)}: bridge {bridge.name}: somebody isolated {', '.join(map(visible, ports))}: who"
                " is there doesn't reach each other; say guests: {among: false} if that is to be, or turn it off"
            )
    return found


def join(sheet: Sheet, line: int, change: LinkChange, want: Port) -> None:
    """Do ``change`` on a link that was just made; it is what a port has to be as soon as it is one."""
    isolated, hairpin = _wanted(sheet, want) or None, _has_hairpin(sheet, want) or None
    told: List[Action] = [PortChange(want.netns, want.name, isolated, hairpin)] if isolated or hairpin else []
    for action in [change, *told] if change.bridge else [*told, change]:
        sheet.do(LINK, line, action)


def mend_link(sheet: Sheet, want: Port, have: Link, words: List[str], change: LinkChange, undo: LinkChange) -> None:
    """Do what ``words`` say, if anything, and put right what a port has to be."""
    netns, name = want.netns, want.name
    steps: List[Tuple[Action, ...]] = []  # each with what undoes it
    moved = change.bridge is not None
    if words:
        steps.append((change, undo, *(port_again(netns, have) if moved else ())))  # lost with the bridge
    isolated, hairpin = _wanted(sheet, want), _has_hairpin(sheet, want) if want.bridge else None
    was = (False, False) if moved else (bool(have.isolated), bool(have.hairpin))
    if isolated not in (None, was[0]) or hairpin not in (None, was[1]):
        told = PortChange(netns, name, None if isolated == was[0] else isolated, None if hairpin == was[1] else hairpin)
        if told.isolated is not None:
            words = [*words, "isolated" if isolated else "not isolated"]
        if told.hairpin is not None:
            words = [*words, "hairpin" if hairpin else "no hairpin"]
        back = PortChange(netns, name, _opposite(told.isolated), _opposite(told.hairpin))
        steps.append((told, *([] if moved else [back])))
    if have.odd and not moved and _is_on_ours(sheet, want):
        told = PortChange(netns, name, flags=odd_flags(have, usual=True))
        words = [*words, *(f"{flag} {'on' if on else 'off'}" for flag, on in told.flags)]
        steps.append((told, PortChange(netns, name, flags=odd_flags(have))))
    shut = have.state not in (None, BR_STATE_FORWARDING)
    if shut and not moved and have.running and _may_pass(sheet, want):
        words = [*words, "let the bridge pass what comes through it"]
        steps.append((PortChange(netns, name, state=BR_STATE_FORWARDING), PortChange(netns, name, state=have.state)))
    if steps:
        line = sheet.line(f"{place(netns)}: {name}: {', '.join(words)}")
        for action, *inverse in steps:
            sheet.do(LINK, line, action, *inverse)


def mend_plugged(sheet: Sheet, netns: Optional[str], have: Link, bridge: Link) -> None:
    """Put right what keeps an interface of others, plugged into a bridge of ours by the document, from being of use."""
    if not (bridge.kind == "bridge" and sheet.is_ours(netns, bridge)):
        return
    words: List[str] = []
    told = back = PortChange(netns, have.name)
    if have.isolated and sheet.isolation.get((netns, bridge.name)):  # of guests that reach nobody but through it
        words.append("not isolated")
        told, back = told._replace(isolated=False), back._replace(isolated=True)
    if have.odd:
        told, back = told._replace(flags=odd_flags(have, usual=True)), back._replace(flags=odd_flags(have))
        words += [f"{flag} {'on' if on else 'off'}" for flag, on in told.flags]
    shut = have.state not in (None, BR_STATE_FORWARDING)
    if shut and have.running and bridge.up and not bridge.stp:
        words.append("let the bridge pass what comes through it")
        told, back = told._replace(state=BR_STATE_FORWARDING), back._replace(state=have.state)
    if words:
        sheet.do(LINK, sheet.line(f"{place(netns)}: {have.name}: {', '.join(words)}"), told, back)


def _may_pass(sheet: Sheet, want: Port) -> bool:
    """Whether a port that has a carrier passes frames, unless somebody forbids it: else a spanning tree says so."""
    bridge = sheet.link(want.netns, want.bridge) if want.bridge else None
    return bridge is not None and bridge.up and not bridge.stp


def _is_on_ours(sheet: Sheet, want: Port) -> bool:
    """Whether it is the port of a bridge of ours: what ports of others' bridges are, these see to."""
    bridge = sheet.link(want.netns, want.bridge) if want.bridge else None
    return bridge is not None and bridge.kind == "bridge" and sheet.is_ours(want.netns, bridge)


def _opposite(value: Optional[bool]) -> Optional[bool]:
    return None if value is None else not value


def plan_other_ports(sheet: Sheet, named: Topology, stored: Topology) -> None:
    """The ports that a fragment doesn't name itself: of bridges that it names, and those that its published ports lead
    to, or led."""
    bridges = {(bridge.netns, bridge.name) for bridge in named.bridges} & sheet.isolation.keys()
    if not bridges and sheet.hairpins == sheet.hairpins_before:
        return
    spoken_of = {(end.netns, end.name) for veth in named.veths for end in veth}
    spoken_of.update((tap.netns, tap.name) for tap in named.taps)
    changed = sheet.hairpins ^ sheet.hairpins_before
    ends: List[Port] = [end for veth in cables(stored) for end in veth]
    for end in [*ends, *stored.taps]:
        key = (end.netns, end.name)
        if ((end.netns, end.bridge) in bridges or key in changed) and key not in spoken_of:
            have = sheet.link(end.netns, end.name)
            if have is not None and have.isolated is not None and sheet.is_ours(end.netns, have):
                nothing = LinkChange(end.netns, end.name)
                mend_link(sheet, end, have, [], nothing, nothing)


def plan_ports_of_others(sheet: Sheet, wanted: FrozenSet[LinkKey], before: FrozenSet[LinkKey]) -> None:
    """The ports of other documents' bridges to which this document's published ports lead (``wanted``), or led.

    They stay theirs. Who publishes a port puts the mode on where the link is there already, and takes it off when the
    port goes; a link that is made or mended later is given it by its own document, which also takes off what a run that
    was killed has left.
    """
    for netns, name in sorted(wanted | (before - sheet.hairpins), key=lambda key: (key[0] or "", key[1])):
        have, hairpin = sheet.link(netns, name), (netns, name) in wanted
        if have is None or have.hairpin in (None, hairpin):
            continue
        owner = owner_of(have.alias)
        if owner not in (None, sheet.owned.name):
            words = "hairpin" if hairpin else "no hairpin"
            line = sheet.line(f"{place(netns)}: {name} (of document {owner}): {words}")
            change = PortChange(netns, name, hairpin=hairpin)
            sheet.do(LINK, line, change, change._replace(hairpin=not hairpin))


def _wanted(sheet: Sheet, want: Port) -> Optional[bool]:
    """None where nothing is said of it."""
    return sheet.isolation.get((want.netns, want.bridge)) if want.bridge else None


def _has_hairpin(sheet: Sheet, want: Port) -> bool:
    return (want.netns, want.name) in sheet.hairpins
