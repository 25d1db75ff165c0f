# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that we make a router of goes on hearing the routers that it would have heard otherwise (hazard 29).

Where IPv6 is forwarded the kernel takes no notice of advertisements unless accept_ra is 2, and drops default routes
that it has from them. Whether there is such a route at the moment doesn't matter: there may be one after the next boot.
"""

from __future__ import annotations

from typing import Iterator, Optional, Set

from .. import sysctl
from ..document.routes import DEFAULTS
from ..model import Link, NamespaceView
from ..rtnetlink.constants import RTN_UNICAST, RTPROT_RA
from .actions import SysctlSet
from .lost_uplinks import attachments
from .owned import Change
from .sheet import LINK, Sheet, devices, place


def go_on_hearing(sheet: Sheet, netns: Optional[str], namespace: NamespaceView, line: Optional[int] = None) -> None:
    """Tell the links that lead out to listen on, as a part of the plan's ``line``, or each with a line of its own."""
    for link in _deafened(sheet, netns, namespace):
        path, was = sysctl.accept_ra(link.name), str(link.accept_ra or 0)
        if sheet.word(netns, path) is not None:
            continue
        here = sheet.line(f"{place(netns)}: {link.name}: accept_ra {was} -> 2") if line is None else line
        sheet.do(LINK, here, SysctlSet(netns, path, "2"), SysctlSet(netns, path, was))
        sheet.after.sysctls.setdefault((netns, path), Change(was, "2"))


def is_our_doing(sheet: Sheet, netns: Optional[str]) -> bool:
    """Whether it is by this document that IPv6 is forwarded there."""
    change = sheet.owned.sysctls.get((netns, sysctl.IPV6_FORWARDING))
    return netns in sheet.owned.namespaces or (change is not None and change.before == "0")


def _deafened(sheet: Sheet, netns: Optional[str], namespace: NamespaceView) -> Iterator[Link]:
    leading = _leading_out(namespace)
    advertised = {route.dev for route in namespace.routes if route.protocol == RTPROT_RA}
    carriers = {one.bridge for one in attachments(sheet.owned) if one.netns == netns}
    for link in namespace.links.values():
        if (netns, link.name) in sheet.gone or link.accept_ra == 2:
            continue
        uplink = (netns, link.name) in sheet.uplinks or link.name in carriers
        others = link.master is None and not sheet.is_ours(netns, link)
        if link.index in advertised or (link.accept_ra == 1 and (uplink or (others and link.index in leading))):
            yield link


def _leading_out(namespace: NamespaceView) -> Set[int]:
    """The links by which there is a default route."""
    routes = [route for route in namespace.routes if route.to in DEFAULTS and route.type == RTN_UNICAST]
    return {index for route in routes for index in devices(route)}
