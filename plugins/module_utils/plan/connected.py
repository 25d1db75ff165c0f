# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel makes along with an address and somebody took away, or what somebody made of an address: it doesn't
last, isn't to be used for new connections, or no route leads to its subnet."""

from __future__ import annotations

import functools
from typing import Dict, Optional, Tuple

from ..document.prefix import WIDTH, is_link_local, known_prefix
from ..model import TABLE_MAIN, Address, Link
from ..rtnetlink import constants as nl
from .actions import AddressRenew, RouteAdd, RouteDelete
from .sheet import ADDRESS, ROUTE, Sheet, place

_PLAIN = nl.IFA_F_PERMANENT  # of the flags below, those of an address as it is given
_JUDGED = nl.IFA_F_PERMANENT | nl.IFA_F_DEPRECATED | nl.IFA_F_TENTATIVE
_METRIC = {4: 0, 6: 256}  # IP6_RT_PRIO_ADDRCONF, net/ip6_route.h
_SCOPE = {4: nl.RT_SCOPE_LINK, 6: nl.RT_SCOPE_UNIVERSE}


def plan_connected(
    sheet: Sheet, netns: Optional[str], have: Link, wanted: Tuple[str, ...], judged: Dict[str, Address]
) -> None:
    """Let the addresses of a link of ours that are there last, and lead to their subnets."""
    if (netns, have.name) in sheet.falling:
        return
    leads = have.up and have.master is None
    for address in wanted:
        entry = judged.get(address)
        if entry is None:
            continue
        if entry.flags & _JUDGED != _PLAIN or (entry.flags & nl.IFA_F_NOPREFIXROUTE and ":" in address):
            if entry.flags & nl.IFA_F_TENTATIVE:
                continue
            _let_last(sheet, netns, have.name, entry)
            if ":" in address:
                continue  # along with that the kernel makes the route
        network, ip, family = _subnet(address)
        if network is None or not leads or (family == 6 and not have.running):
            continue
        if entry.peer is None and not sheet.is_connected(netns, network, have.index):
            _lead_there(sheet, netns, have.name, network, ip, family)


@functools.lru_cache(maxsize=4096)
def _subnet(address: str) -> Tuple[Optional[str], str, int]:
    """The subnet of an address, None if it has none but itself, with the address and its family."""
    own = known_prefix(address)
    none = own.length >= WIDTH[own.family] or is_link_local(own.family, own.number)
    return None if none else own.network, address.partition("/")[0], own.family


def _let_last(sheet: Sheet, netns: Optional[str], link: str, entry: Address) -> None:
    words = "not deprecated" if entry.flags & nl.IFA_F_DEPRECATED else "for good"
    if entry.flags & nl.IFA_F_PERMANENT and not entry.flags & nl.IFA_F_DEPRECATED:
        words = "with the route to its subnet"
    line = sheet.line(f"{place(netns)}: {link}: address {entry.address}: {words}")
    was = entry.lifetimes or AddressRenew(netns, link, entry.address).lifetimes
    undo = AddressRenew(netns, link, entry.address, was, entry.flags & nl.IFA_F_GIVEN)
    sheet.do(ADDRESS, line, AddressRenew(netns, link, entry.address), undo)


def _lead_there(sheet: Sheet, netns: Optional[str], link: str, network: str, ip: str, family: int) -> None:
    line = sheet.line(f"{place(netns)}: {link}: the route to {network}: add")
    source = ip if family == 4 else None
    add = RouteAdd(
        netns, network, None, link, _METRIC[family], TABLE_MAIN, nl.RTN_UNICAST, (), nl.RTPROT_KERNEL, source,
        _SCOPE[family],
    )  # fmt: skip
    sheet.do(ROUTE, line, add, RouteDelete(*add[:9]))
