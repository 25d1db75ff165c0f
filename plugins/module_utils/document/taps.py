# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the taps of a document."""

from __future__ import annotations

from typing import Optional

from ..model import Tap
from .fields import MTU_HIGHEST, MTU_LOWEST, USER_NAME, Fields, shown


def tap(fields: Fields, absent: bool) -> Optional[Tap]:
    """One entry of ``taps``; None if its name or namespace can't be read."""
    before = len(fields.problems)
    fields.required("name", "how the tap is called")
    name, netns = fields.interface("name"), fields.netns()
    readable = name is not None and len(fields.problems) == before
    value = Tap(
        name or "",
        netns,
        fields.interface("bridge"),
        fields.mac(),
        fields.integer("mtu", MTU_LOWEST, MTU_HIGHEST),
        fields.flag("up", True),
        _owner(fields),
    )
    return value if readable else None


def _owner(fields: Fields) -> Optional[str]:
    value = fields.values.get("owner")
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return str(value)
    owner = fields.text("owner", "a user of the host, like qemu")
    if owner is None or USER_NAME.fullmatch(owner):
        return owner
    fields.problem("owner", f"{shown(owner)} is no user's name; use letters, digits, - and _, like qemu")
    return None
