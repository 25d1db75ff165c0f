# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules between the objects of one document.

None looks at each pair: a document may hold thousands of objects.
"""

from __future__ import annotations

from typing import Dict, Iterator, List, NamedTuple, Optional, Set, Tuple

from ..model import CONTAINER, Probe, PublishedPort, Topology
from . import identity
from .gateways import connected_by_document, told_by_document, unreachable_gateways
from .links import BRIDGE, Key, Placed, PrefixTable, WantedLink, place, placed_addresses, room, wanted_links, ways
from .prefix import WIDTH, Prefix, is_link_local
from .published import ANY
from .switches import addresses_on_switches
from .uplinks import uplink_problems
from .where import Where

IPV6_LEAST_MTU = 1280  # RFC 8200, section 5


def rule_problems(topology: Topology, where: Where) -> List[str]:
    """One line per broken rule."""
    links = wanted_links(topology, where)
    return [
        *_namespaces_twice(topology, where),
        *_two_owners(links),
        *_ports_of_bridges(links),
        *uplink_problems(topology, where, links),
        *_small_mtus(links),
        *_addresses_in_namespaces(links),
        *addresses_on_switches(links),
        *_routes(topology, where, links),
        *_masquerades_twice(topology, where),
        *_published_twice(topology, where),
        *_contrary_probes(topology, where),
    ]


def _namespaces_twice(topology: Topology, where: Where) -> Iterator[str]:
    first: Dict[str, str] = {}
    for position, namespace in enumerate(topology.namespaces):
        path = where.path("namespaces", position)
        if first.setdefault(namespace.name, path) != path:
            yield f'{path}.name: namespace "{namespace.name}" is there already, in {first[namespace.name]}'


def _two_owners(links: List[WantedLink]) -> Iterator[str]:
    first: Dict[Key, str] = {}
    said: Set[str] = set()
    for link in links:
        if first.setdefault(link.key, link.path) != link.path and link.path not in said:
            said.add(link.path)
            where = f"{place(link.netns)} is there already, in {first[link.key]}"
            yield f'{link.path}.name: interface "{link.name}" {where}'


def _ports_of_bridges(links: List[WantedLink]) -> Iterator[str]:
    """What a port names as its bridge isn't something else, and the port has no addresses of its own."""
    kinds = {link.key: link.kind for link in links}
    for link in links:
        if link.bridge is None:
            continue
        if kinds.get((link.netns, link.bridge), BRIDGE) != BRIDGE:
            yield f'{link.path}.bridge: "{link.bridge}" is not a bridge in this document'
        elif link.addresses:
            yield (
                f"{link.path}.addresses: {link.name} is a port of bridge {link.bridge}, where addresses do nothing; "
                "put them on the bridge"
            )


def _small_mtus(links: List[WantedLink]) -> Iterator[str]:
    """Hazard 22: with an MTU under 1280 the kernel takes IPv6 away. A bridge without MTU has its smallest port's."""
    ipv6 = {link.key: address for link in links for address in reversed(link.addresses) if ":" in address}
    pinned = {link.key for link in links if link.kind == BRIDGE and link.mtu is not None}
    for link in links:
        if link.mtu is None or link.mtu >= IPV6_LEAST_MTU:
            continue
        reason = f"{link.mtu} is under {IPV6_LEAST_MTU}, the least that IPv6 works with"
        bridge = (link.netns, link.bridge or "")
        if link.key in ipv6:
            yield f"{link.path}.mtu: {reason}, and {ipv6[link.key]} is on it"
        elif bridge in ipv6 and bridge not in pinned:
            yield f"{link.path}.mtu: {reason}, and bridge {link.bridge} with {ipv6[bridge]} takes it; give it an mtu"


def _addresses_in_namespaces(links: List[WantedLink]) -> Iterator[str]:
    """Within a namespace an address is there once, and the subnets of two interfaces don't overlap (hazard 25)."""
    by_namespace: Dict[Optional[str], List[Placed]] = {}
    for placed in placed_addresses(links):
        # A link-local subnet is on every link, and means another thing on each.
        if not is_link_local(placed.prefix.family, placed.prefix.number):
            by_namespace.setdefault(placed.link.netns, []).append(placed)
    for netns, group in by_namespace.items():
        if len(group) > 1:
            yield from _overlaps(netns, group)


def _overlaps(netns: Optional[str], group: List[Placed]) -> Iterator[str]:
    first: Dict[Tuple[int, int], Placed] = {}
    table: PrefixTable[Placed] = PrefixTable()
    for placed in group:
        first.setdefault(placed.prefix[:2], placed)
        if not makes_no_subnet(placed.link.name, placed.prefix):
            table.add(placed.prefix, placed)
    for placed in group:
        prefix = placed.prefix
        other = first[prefix[:2]]
        if other is not placed:
            yield f"{placed.path}: {prefix.ip} is there already {place(netns)}, in {other.path}"
            continue
        if makes_no_subnet(placed.link.name, prefix):
            continue
        for other in table.covering(prefix.family, prefix.number, prefix.length):
            if other.link.key != placed.link.key and other.prefix.number != prefix.number:
                yield f"{placed.path}: {prefix.text} overlaps {other.prefix.text} of {other.link.name}, in {other.path}"
                break


def makes_no_subnet(link: str, prefix: Prefix) -> bool:
    """A single address on lo has no subnet beside it: a router's own address, or one that several machines serve."""
    return link == "lo" and prefix.length == WIDTH[prefix.family]


def _routes(topology: Topology, where: Where, links: List[WantedLink]) -> Iterator[str]:
    """A route is there once, through an interface that is up, and what its gateway is in is connected."""
    down = {link.key for link in links if link.up is False}
    plugged = {value.netns for value in topology.containers}
    first: Dict[identity.RouteKey, str] = {}
    for position, route in enumerate(topology.routes):
        path = where.path("routes", position)
        key = identity.route_key(route)
        if first.setdefault(key, path) != path:
            yield (
                f"{path}.to: a route to {route.to} is there already {place(route.netns)}, in {first[key]}; "
                "give one another metric, or make it one route with nexthops"
            )
        unplugged = (route.netns or "").startswith(CONTAINER) and route.netns not in plugged
        if unplugged and not where.is_doubtful(route.netns):
            yield f"{path}.netns: no entry of containers has a cable into {room(route.netns)}; say one, or another"
        for way in ways(route, path):
            if way.dev and (route.netns, way.dev) in down:
                yield f"{way.path}.dev: {way.dev} is down (up: false), and a route needs it up"
    if topology.routes:
        told = told_by_document(topology, links) & {route.netns for route in topology.routes}
        yield from unreachable_gateways(topology, where, connected_by_document(topology, links, told))


def _masquerades_twice(topology: Topology, where: Where) -> Iterator[str]:
    first: Dict[identity.Key, str] = {}
    for position, masquerade in enumerate(topology.masquerade):
        path = where.path("masquerade", position)
        key = identity.masquerade_key(masquerade)
        if first.setdefault(key, path) != path:
            yield f"{path}.source: {masquerade.source} is there already {place(masquerade.netns)}, in {first[key]}"


def _contrary_probes(topology: Topology, where: Where) -> Iterator[str]:
    """One of the two is wrong whatever comes out."""
    first: Dict[Probe, Tuple[bool, str]] = {}
    for position, probe in enumerate(topology.probes):
        path = where.path("probes", position)
        reachable, other = first.setdefault(probe._replace(reachable=True), (probe.reachable, path))
        if reachable != probe.reachable:
            yield f"{path}.expect: {other} claims the contrary of the same; leave one of the two out"


class _Reached(NamedTuple):
    """The highest port that was published so far, and by whom."""

    last: int
    path: str


def _published_twice(topology: Topology, where: Where) -> Iterator[str]:
    """A port of an address leads to one place; ``any`` is each address of the target's family.

    Goes over the ports from low to high: a range overlaps an earlier one if it begins before that has ended.
    """
    groups: Dict[Tuple[Optional[str], str, bool], List[Tuple[int, int, int]]] = {}
    for position, published in enumerate(topology.published_ports):
        key = (published.netns, published.protocol, ":" in published.to_address)
        groups.setdefault(key, []).append((published.port, position, published.port_last))
    for group in groups.values():
        group.sort()
        if all(last < port for (*_start, last), (port, *_rest) in zip(group, group[1:])):
            continue  # no port at all is published twice
        reached: Dict[str, _Reached] = {}
        highest = _Reached(0, "")  # of all addresses together: what "any" collides with
        for _port, position, _last in group:
            published, path = topology.published_ports[position], where.path("published_ports", position)
            nothing = _Reached(0, "")
            if published.address == ANY:
                other = highest
            else:
                other = max(reached.get(published.address, nothing), reached.get(ANY, nothing))
            if other.last >= published.port:
                yield _published_already(published, path, other.path)
            if published.port_last > reached.get(published.address, nothing).last:
                reached[published.address] = _Reached(published.port_last, path)
            highest = max(highest, _Reached(published.port_last, path))


def _published_already(published: PublishedPort, path: str, other: str) -> str:
    ports = str(published.port) if published.port == published.port_last else f"{published.port}-{published.port_last}"
    address = "any address" if published.address == ANY else published.address
    return f"{path}.port: {published.protocol} {ports} on {address} is published already, in {other}"
