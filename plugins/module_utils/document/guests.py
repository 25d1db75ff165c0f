# SPDX-License-Identifier: GPL-3.0-or-later
"""What the guests on a switch may reach, and who may reach them."""

from __future__ import annotations

from typing import List, Optional, Tuple

from ..model import GuestPolicy
from ..suggestion import suggestion
from .fields import Fields, join, open_mapping, shown

SERVICES = ("dhcp", "dns")
_KNOWN = frozenset(GuestPolicy._fields)


def guest_policy(fields: Fields) -> Optional[GuestPolicy]:
    """``guests`` of a bridge, also empty; None if it is left out or is no mapping."""
    value = fields.values.get("guests")
    if value is None:
        return None
    if fields.values.get("netns") is not None:
        fields.problem("guests", "is for bridges of the host; leave it out, or leave netns out")
    inner = open_mapping(value, join(fields.path, "guests"), _KNOWN, fields.problems)
    if inner is None:
        return None
    to_host, services = inner.flag("to_host", True), _services(inner)
    if services and not to_host:
        inner.problem("services", "are the host's, and to_host is false; leave one of the two out")
    from_host, among, outside = (inner.flag(name, True) for name in ("from_host", "among", "outside"))
    from_others = inner.flag("from_others", False)
    if from_others and not outside:
        inner.problem("from_others", "lets guests of other networks in, and outside is false; leave one of the two out")
    return GuestPolicy(to_host, from_host, among, outside, services, from_others)


def _services(fields: Fields) -> Tuple[str, ...]:
    """Which servers of the host the guests use, sorted: their order means nothing."""
    found: List[str] = []
    for where, text in fields.text_items("services", "[dhcp, dns]"):
        if text not in SERVICES:
            fields.problem(where, f"{shown(text)} is none of {', '.join(SERVICES)}{suggestion(text, SERVICES)}")
        elif text in found:
            fields.problem(where, f"{text} is there twice")
        else:
            found.append(text)
    return tuple(sorted(found))
