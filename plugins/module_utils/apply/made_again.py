# SPDX-License-Identifier: GPL-3.0-or-later
"""Links that a run deletes and whose making anew gives them all that is seen on them: there is little to note. Pure."""

from __future__ import annotations

import socket
from typing import AbstractSet, Dict, Optional, Set, Tuple

from ..document.prefix import known_prefix
from ..model import TABLE_MAIN, Address, Link, LinkKey, NamespaceView
from ..plan.actions import AddressAdd, BridgeAdd, NetnsDelete, RouteAdd, TapAdd, VethAdd
from ..plan.sheet import devices, is_our_route
from ..rtnetlink.constants import IFA_F_PERMANENT, IFA_F_TENTATIVE, RT_SCOPE_LINK, RTN_UNICAST, RTPROT_KERNEL
from .endangered import Endangered

_LOOPBACK = ("127.0.0.1/8", "::1/128")
_LINK_LOCAL = "fe80::/64"
_METRIC = 256  # of a route of IPv6 that the kernel makes along with an address: IP6_RT_PRIO_ADDRCONF


class MadeAgain:
    """What the undoing of steps makes anew that delete links and namespaces."""

    def __init__(self, endangered: Endangered) -> None:
        self._others = endangered.others
        self._rooms: Set[Optional[str]] = set()
        self._links: Set[LinkKey] = set()
        self._addresses: Set[Tuple[Optional[str], str, str]] = set()
        self._routes: Set[Tuple[Optional[str], str, int, int]] = set()
        for step in endangered.taking:
            if isinstance(step.action, NetnsDelete):
                self._rooms.add(step.action.netns)
            for action in step.inverse:
                if isinstance(action, AddressAdd):
                    self._addresses.add((action.netns, action.link, action.address))
                elif isinstance(action, RouteAdd):
                    self._routes.add((action.netns, action.to, action.table, action.metric))
                elif isinstance(action, (BridgeAdd, TapAdd, VethAdd)):
                    self._links.add((action.netns, action.name))
                    if isinstance(action, VethAdd):
                        self._links.add((action.peer_netns, action.peer))

    def plain_ones(self, view: NamespaceView, names: AbstractSet[str]) -> AbstractSet[str]:
        """Those of these links on which nothing is to be seen but what comes back by itself or with them.

        None where not all routes are to be seen, and none to which something else happens as well.
        """
        netns = view.netns
        again = names if netns in self._rooms else {name for name in names if (netns, name) in self._links}
        if not again or view.fixed is None or (netns, "all") in self._others:
            return frozenset()
        odd: Set[int] = set()
        ways: Dict[int, Set[str]] = {}  # by the index of a link, where the kernel's routes lead
        for route in (*view.routes, *view.beyond):
            to, via, dev, metric, table, kind, protocol, hops = route[:8]
            usual = protocol == RTPROT_KERNEL and table == TABLE_MAIN and metric == (_METRIC if ":" in to else 0)
            if usual and kind == RTN_UNICAST and dev is not None and via is None and not hops:
                there = ways.setdefault(dev, set())
                if to in there:  # the kernel makes one for a network
                    odd.add(dev)
                there.add(to)
            elif not (is_our_route(route) and (netns, route.to, route.table, route.metric) in self._routes):
                odd |= devices(route)
        return {
            name
            for name in again
            if (netns, name) not in self._others
            and view.links[name].index not in odd
            and self._is_plain(view, view.links[name], ways.get(view.links[name].index, set()))
        }

    def _is_plain(self, view: NamespaceView, link: Link, ways: Set[str]) -> bool:
        may: Set[str] = set()  # networks to which the kernel may have a route, and has one
        must: Set[str] = set()
        for one in view.addresses.get(link.index, ()):
            if one.flags & ~IFA_F_TENTATIVE != IFA_F_PERMANENT or one.peer is not None or one.lifetimes is not None:
                return False
            if one.scope == RT_SCOPE_LINK and ":" in one.address:
                if one.address != _of_itself(link.mac):
                    return False
                may.add(_LINK_LOCAL)
            elif one.address in _LOOPBACK:
                may.add(one.address)
            elif (view.netns, link.name, one.address) in self._addresses:
                (may if _is_alone(one) else must).add(known_prefix(one.address).network)
            else:
                return False
        return ways <= may | must and (must <= ways or not link.up)


def _is_alone(address: Address) -> bool:
    """Whether the address has no subnet that a route has to lead to."""
    return address.address.endswith("/128" if ":" in address.address else "/32")


def _of_itself(mac: str) -> str:
    """The IPv6 address that a link with this MAC address has for itself (RFC 4291, appendix A)."""
    if len(mac) != 17:
        return ""
    own = bytearray.fromhex(mac.replace(":", ""))
    own[0] ^= 2
    return f"{socket.inet_ntop(socket.AF_INET6, bytes((0xFE, 0x80, *bytes(6), *own[:3], 0xFF, 0xFE, *own[3:])))}/64"
