# SPDX-License-Identifier: GPL-3.0-or-later
"""What an interface that isn't ours loses with its state or IPv6: said beforehand, for no later run brings it back.

Ours are another matter: see strangers.
"""

from __future__ import annotations

from typing import List, Optional

from ..model import TABLE_MAIN, KernelRoute, Link
from ..rtnetlink.constants import IFA_F_PERMANENT, RT_SCOPE_LINK, RTPROT_KERNEL, RTPROT_RA, RTPROT_REDIRECT
from .sheet import Sheet, devices, is_our_route

_BY_ITSELF = (RTPROT_KERNEL, RTPROT_RA, RTPROT_REDIRECT)
_SHOWN = 5  # the rest is counted


def words_of_losses(sheet: Sheet, netns: Optional[str], link: Link, ipv6_only: bool = False) -> str:
    """A plan's words for others' routes through the link and their IPv6 addresses on it, "" if there are none."""
    view = sheet.view.views[netns]
    lost = [
        entry.address
        for entry in view.addresses.get(link.index, ())
        if ":" in entry.address
        and entry.scope != RT_SCOPE_LINK
        and entry.flags & IFA_F_PERMANENT
        and (netns, link.name, entry.address) not in sheet.owned.addresses
    ]
    lost += [
        _words(route)
        for route in (*view.routes, *view.beyond)
        if link.index in devices(route)
        and route.protocol not in _BY_ITSELF
        and not is_our_route(route)
        and (not ipv6_only or ":" in route.to)
    ]
    return f", which loses {_listed(lost)}" if lost else ""


def _words(route: KernelRoute) -> str:
    via = f" via {route.via}" if route.via else ""
    table = f" (table {route.table})" if route.table != TABLE_MAIN else ""
    return f"route {'default' if route.to in ('0.0.0.0/0', '::/0') else route.to}{via}{table}"


def _listed(names: List[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
