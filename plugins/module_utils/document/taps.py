# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the taps of a document."""

from __future__ import annotations

from typing import Optional

from ..model import Tap
from .fields import ALL_DIGITS, MTU_HIGHEST, MTU_LOWEST, USER_NAME, Fields, shown

USER_ID_HIGHEST = 2**32 - 2  # uid_t is 32 bits, and its highest number stands for "leave it alone" (chown(2))


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
    number = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    owner = str(value) if number else fields.text("owner", "a user of the host, like qemu")
    if owner is not None and ALL_DIGITS.fullmatch(owner) and int(owner) > USER_ID_HIGHEST:
        fields.problem("owner", f"{shown(value)} is no user's number; they go from 0 to {USER_ID_HIGHEST}")
        return None
    if owner is None or USER_NAME.fullmatch(owner):
        return owner
    fields.problem("owner", f"{shown(owner)} is no user's name; use letters, digits, - and _, like qemu")
    return None
