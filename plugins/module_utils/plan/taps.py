# SPDX-License-Identifier: GPL-3.0-or-later
"""Taps: from what is there to what is wanted."""

from __future__ import annotations

from typing import Iterable

from ..model import Tap
from .actions import LinkChange, LinkDelete, TapAdd
from .links import IPV6_MTU, VETH_MTU, mend, refuse_advertisements, usable
from .owned import UNKNOWN
from .ports import join
from .sheet import MAKE_LINKS, Sheet, place


def plan_taps(sheet: Sheet, wanted: Iterable[Tap]) -> None:
    """Make missing taps; mend those that differ. One that belongs to another user is made anew."""
    for tap in wanted:
        owner = sheet.view.users.get(tap.owner) if tap.owner is not None else None
        have = usable(sheet, tap.netns, tap.name, "tun")
        if have is not None and sheet.is_ours(tap.netns, have) and have.owner != owner:
            line = sheet.line(f"{place(tap.netns)}: tap {tap.name}: remove (it belongs to {_user(have.owner)})")
            sheet.take_link(tap.netns, have, line)
            have = None
        if have is None:
            _make_tap(sheet, tap, owner)
        else:
            sheet.after.links[(tap.netns, tap.name)] = have.index
            mend(sheet, tap._replace(mtu=tap.mtu or VETH_MTU), have)


def _user(number: object) -> str:
    return "root alone" if number is None else f"user {number}"


def _make_tap(sheet: Sheet, tap: Tap, owner: object) -> None:
    netns, name = tap.netns, tap.name
    line = sheet.line(f"{place(netns)}: tap {name}: create, for {tap.owner or 'root alone'}")
    number = owner if isinstance(owner, int) else None
    sheet.do(MAKE_LINKS, line, TapAdd(netns, name, number), LinkDelete(netns, name))
    if not tap.bridge and (tap.mtu or VETH_MTU) >= IPV6_MTU:
        refuse_advertisements(sheet, netns, name, line)
    change = LinkChange(netns, name, tap.up, tap.mac, tap.mtu, tap.bridge, sheet.owned.mark)
    join(sheet, line, change, tap)
    sheet.after.links[(netns, name)] = UNKNOWN
