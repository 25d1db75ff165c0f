# SPDX-License-Identifier: GPL-3.0-or-later
"""What the guests on a switch may reach, and who may reach them."""

from __future__ import annotations

from typing import Optional

from ..model import GuestPolicy
from .fields import Fields, join, open_mapping


def guest_policy(fields: Fields) -> Optional[GuestPolicy]:
    """``guests`` of a bridge, also empty; None if it is left out or is no mapping."""
    value = fields.values.get("guests")
    if value is None:
        return None
    if fields.values.get("netns") is not None:
        fields.problem("guests", "is for bridges of the host; leave it out, or leave netns out")
    inner = open_mapping(value, join(fields.path, "guests"), frozenset(GuestPolicy._fields), fields.problems)
    return GuestPolicy(*(inner.flag(name, True) for name in GuestPolicy._fields)) if inner else None
