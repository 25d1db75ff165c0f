# SPDX-License-Identifier: GPL-3.0-or-later
"""Which gateways a namespace reaches: those in a subnet on one of its links (man ip-route, fib_check_nh)."""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Optional, Set

from ..model import TABLE_MAIN, Route, Topology
from .links import FOREIGN, PrefixTable, WantedLink, room, ways
from .prefix import WIDTH, Ip, Prefix, is_link_local, is_loopback, known_ip, known_prefix
from .where import Where


class _Subnet(NamedTuple):
    prefix: Prefix
    link: str


class Connected:
    """What one namespace reaches without a gateway, by link."""

    def __init__(self) -> None:
        self._subnets: PrefixTable[List[_Subnet]] = PrefixTable()
        self._own: Set[str] = set()
        self._all: List[_Subnet] = []

    def add_address(self, own: Prefix, network: Prefix, link: str) -> None:
        """A link that is up has this address, and with it this network (another one if it has a peer)."""
        if not is_loopback(own.family, own.number):
            self._own.add(own.ip)
            self.add_network(network, link)

    def add_network(self, prefix: Prefix, link: str) -> None:
        """This network is on a link that is up."""
        subnet = _Subnet(prefix, link)
        for same in self._subnets.covering(prefix.family, prefix.number, prefix.length):
            if same[0].prefix.length == prefix.length:
                same.append(subnet)
                break
        else:
            self._subnets.add(prefix, [subnet])
        self._all.append(subnet)

    def why_not(self, via: Ip, dev: Optional[str], netns: Optional[str]) -> Optional[str]:
        """Why this gateway can't be used, in words; None if it can."""
        if is_link_local(via.family, via.number):
            return None  # every link that speaks IPv6 has fe80::/64; the reader asks for dev
        if via.text in self._own:
            return f"{via.text} is an address of {room(netns)} itself, not of a gateway"
        near = [
            subnet
            for subnets in self._subnets.covering(via.family, via.number, WIDTH[via.family])
            for subnet in subnets
            if dev is None or subnet.link == dev
        ]
        if near:
            return _why_not_in(via, max(near, key=lambda subnet: subnet.prefix.length).prefix)
        known = [
            f"{subnet.prefix.network} on {subnet.link}" for subnet in self._all if subnet.prefix.family == via.family
        ]
        texts = list(dict.fromkeys(known))  # an address and the kernel's route for it say the same
        there = f"IPv{via.family} has no subnet there"
        if texts:
            there = f"there are {', '.join(texts[:3])}{' and more' if len(texts) > 3 else ''}"
        on = f" on {dev}" if dev else ""
        return f"no connected subnet{on} of {room(netns)} has the gateway {via.text}; {there}{self._way_out(via, dev)}"

    def _way_out(self, via: Ip, dev: Optional[str]) -> str:
        """What to say where the gateway is on the wire all the same, as with some providers of rented servers."""
        link = dev or next((subnet.link for subnet in self._all if subnet.prefix.family == via.family), None)
        if link is None:
            return ""
        route = f"{{to: {via.text}/{WIDTH[via.family]}, dev: {link}}}"
        return f"; where it is on the wire of {link} all the same, add the route {route}"


def _why_not_in(via: Ip, prefix: Prefix) -> Optional[str]:
    if via.family == 4 and prefix.length < WIDTH[4] - 1 and via.number in (prefix.first, prefix.last):
        which = "network" if via.number == prefix.first else "broadcast"
        return f"{via.text} is the {which} address of {prefix.network}, not a gateway's"
    return None


def connected_by_document(
    topology: Topology, links: List[WantedLink], rooms: Set[Optional[str]]
) -> Dict[Optional[str], Connected]:
    """What each of these namespaces reaches by what the document says alone."""
    found: Dict[Optional[str], Connected] = {netns: Connected() for netns in rooms}
    down = {link.key for link in links if link.up is False}
    for link in links:
        connected = found.get(link.netns)
        if connected is not None and link.key not in down:
            for address in link.addresses:
                prefix = known_prefix(address)
                connected.add_address(prefix, prefix, link.name)
    for route in topology.routes:
        if route.netns in found and on_link(route) and (route.netns, route.dev) not in down:
            found[route.netns].add_network(known_prefix(route.to), route.dev or "")
    return found


def on_link(route: Route) -> bool:
    """Whether the route makes a network reachable without a gateway."""
    return route.via is None and route.dev is not None and route.type == "unicast" and route.table == TABLE_MAIN


def gateway_problems(route: Route, path: str, connected: Connected) -> List[str]:
    """One line per gateway of the route that can't be used."""
    found: List[str] = []
    for way in ways(route, path):
        if way.via is not None:
            reason = connected.why_not(known_ip(way.via), way.dev, route.netns)
            if reason:
                found.append(f"{way.path}.via: {reason}")
    return found


def unreachable_gateways(topology: Topology, where: Where, connected: Dict[Optional[str], Connected]) -> List[str]:
    """The gateways of the routes in these namespaces that nothing connected reaches."""
    found: List[str] = []
    for position, route in enumerate(topology.routes):
        if route.netns in connected and not where.is_doubtful(route.netns):
            found += gateway_problems(route, where.path("routes", position), connected[route.netns])
    return found


def told_by_document(topology: Topology, links: List[WantedLink]) -> Set[Optional[str]]:
    """The namespaces of which the document says everything: it makes them, and nobody else's interface is in them."""
    foreign = {link.netns for link in links if link.kind == FOREIGN and link.name != "lo"}
    return {namespace.name for namespace in topology.namespaces if namespace.name not in foreign}
