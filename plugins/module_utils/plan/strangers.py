# SPDX-License-Identifier: GPL-3.0-or-later
"""What isn't ours and hangs on what is: it is named, and what it hangs on stays until its owner has seen to it.

Ports of others in a bridge of ours, links built on one of ours, routes through one, addresses on one, and routes in a
namespace of ours. (Links of others in such a namespace: see removal.)
"""

from __future__ import annotations

from typing import Dict, Iterable, Iterator, List, Optional, Set, Union

from ..document.containers import cables
from ..model import Address, Bridge, End, Interface, KernelRoute, Link, LinkKey, NamespaceView, Topology
from ..rtnetlink.constants import IFA_F_PERMANENT, RT_SCOPE_LINK, RTPROT_KERNEL, RTPROT_RA, RTPROT_REDIRECT
from .owned import UPLINK, owner_of
from .sheet import Sheet, devices, is_our_route, kind_words, place

_SHOWN = 5  # of each kind; the rest is counted
_LOOPBACK = ("127.0.0.1/8", "::1/128")
_BY_ITSELF = (RTPROT_KERNEL, RTPROT_RA, RTPROT_REDIRECT)  # the kernel made these routes, and makes them again


class Hangers:
    """Finds what others have on the links and in the namespaces that a plan takes away.

    ``previous`` is the last run's document, ``remembered`` whether that is all that was done since; ``wanted`` what is
    to be there: a port that it moves to another bridge isn't cut off.
    """

    def __init__(self, sheet: Sheet, previous: Topology, remembered: bool, wanted: Topology) -> None:
        self._sheet = sheet
        self._moved = {(one.netns, one.name) for one in wanted.interfaces if one.bridge is not None}
        self._given: Dict[LinkKey, Set[str]] = {}
        self._leased: Set[LinkKey] = set()
        if remembered:
            self._remember(previous)

    def _remember(self, document: Topology) -> None:
        ends = [end for veth in cables(document) for end in veth]
        self._leased.update((end.netns, end.name) for end in ends if end.leased)
        values: List[Union[Bridge, End, Interface]] = [*document.bridges, *ends, *document.interfaces]
        for value in values:
            self._given.setdefault((value.netns, value.name), set()).update(value.addresses)
        for namespace in document.namespaces:
            self._given.setdefault((namespace.name, "lo"), set())

    def conflicts(self) -> Iterator[str]:
        """A line for each thing of ours that can't go, and for each way in which others need it."""
        gone: Dict[Optional[str], List[str]] = {}
        for netns, name in sorted(self._sheet.gone, key=lambda key: (key[0] or "", key[1])):
            gone.setdefault(netns, []).append(name)
        for netns, names in gone.items():
            view = self._sheet.view.views[netns]
            for name in names:
                if name in view.links:
                    yield from self._of_link(view, view.links[name])
        for netns in sorted(self._sheet.gone_namespaces):
            yield from self._of_namespace(self._sheet.view.views[netns])

    def _of_link(self, view: NamespaceView, link: Link) -> Iterator[str]:
        netns = view.netns
        what = f"{kind_words(link.kind)} {link.name} ({place(netns)}) can't be removed"
        ports = [self._called(port) for port in view.links.values() if self._is_port(netns, port, link)]
        if ports:
            yield f"{what}: ports that aren't ours are plugged into it: {_listed(ports)}; unplug them first"
        above = [self._called(other) for other in view.links.values() if self._is_above(netns, other, link)]
        if above:
            yield f"{what}: links that aren't ours are built on it: {_listed(above)}; delete them first"
        if (netns, link.name) in self._sheet.leaving | self._leased:
            return  # what was moved here goes back, and what somebody gets by lease is got anew
        routes = [route for route in view.routes if link.index in devices(route) and self._is_foreign(netns, route)]
        if routes:
            yield f"{what}: routes that aren't ours lead through it: {_listed(map(_words, routes))}; delete them first"
        addresses = self._addresses(netns, link, view.addresses.get(link.index, ()))
        if addresses:
            yield f"{what}: addresses that aren't ours are on it: {_listed(addresses)}; take them from it first"

    def _of_namespace(self, view: NamespaceView) -> Iterator[str]:
        what = f"namespace {view.netns} can't be removed"
        ways = {link.index for link in view.links.values() if link.name != "lo"}
        routes = [one for one in view.routes if not devices(one) & ways and self._is_foreign(view.netns, one)]
        if routes:
            yield f"{what}: routes that aren't ours are in it: {_listed(map(_words, routes))}; delete them first"
        lo = view.links.get("lo")
        addresses = self._addresses(view.netns, lo, view.addresses.get(lo.index, ())) if lo is not None else []
        if addresses:
            yield f"{what}: addresses that aren't ours are on its lo: {_listed(addresses)}; take them from it first"

    def _is_port(self, netns: Optional[str], port: Link, bridge: Link) -> bool:
        """Whether it is somebody else's who plugged it in, and is cut off."""
        key = (netns, port.name)
        if port.master != bridge.index or self._goes_along(netns, port) or key in self._moved:
            return False
        return not any((*key, field) in self._sheet.owned.settings for field in ("bridge", UPLINK))

    def _is_above(self, netns: Optional[str], other: Link, link: Link) -> bool:
        """Whether it is a VLAN of ``link``, a macvlan or the like."""
        below = other.peer_index == link.index and other.peer_netnsid is None and other.kind != "veth"
        return below and not self._goes_along(netns, other)

    def _goes_along(self, netns: Optional[str], link: Link) -> bool:
        return (netns, link.name) in self._sheet.gone or self._sheet.is_ours(netns, link)

    def _is_foreign(self, netns: Optional[str], route: KernelRoute) -> bool:
        if is_our_route(route):
            mine = (netns, route.to, route.table, route.metric) in self._sheet.owned.routes
            return not mine and (netns is None or not self._sheet.is_our_namespace(netns))
        return route.protocol not in _BY_ITSELF

    def _addresses(self, netns: Optional[str], link: Link, there: Iterable[Address]) -> List[str]:
        """Those that stay until somebody takes them away. Where it isn't known what we gave, none."""
        given = self._given.get((netns, link.name))
        if given is None:
            return []
        return [
            entry.address
            for entry in there
            if entry.flags & IFA_F_PERMANENT
            and entry.scope != RT_SCOPE_LINK
            and entry.address not in given
            and (netns, link.name, entry.address) not in self._sheet.owned.addresses
            and not (link.name == "lo" and entry.address in _LOOPBACK)
        ]

    def _called(self, link: Link) -> str:
        owner = owner_of(link.alias)
        name = link.name if link.name.isprintable() else ascii(link.name)
        return name if owner is None else f"{name} (of the document {owner!r})"


def _words(route: KernelRoute) -> str:
    to = "default" if route.to in ("0.0.0.0/0", "::/0") else route.to
    return f"{to} via {route.via}" if route.via else to


def _listed(names: Iterable[str]) -> str:
    found = list(names)
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return ", ".join(found[:_SHOWN]) + more
