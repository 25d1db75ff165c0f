# SPDX-License-Identifier: GPL-3.0-or-later
"""What the host reaches without Docker: routes of every table, and which of them overlap a subnet.

Docker itself looks only at networks that the host is connected to, so it takes for free what a VPN routes.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Collection, Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple, Union

from ..model import KernelRoute
from ..rtnetlink.channel import Channel
from ..rtnetlink.constants import RTN_LOCAL, RTN_UNICAST
from ..rtnetlink.links import read_links
from ..rtnetlink.routes import read_all_routes
from .model import DEFAULT_BRIDGE, Network

IPNetwork = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]

# A default route says nothing of who has the addresses. Neither do its halves, by which VPN programs take its place.
_SHORTEST = 2
_BRIDGE_NAME = re.compile(r"br-[0-9a-f]{12}|docker_gwbridge")  # libnetwork's names for networks of the user's
_NOT_ROUTED = tuple(
    ipaddress.ip_network(text) for text in ("127.0.0.0/8", "224.0.0.0/4", "::1/128", "fe80::/10", "ff00::/8")
)


class HostRoute(NamedTuple):
    """A network that the host reaches. ``dev`` is a link's name, or several with commas between them."""

    to: str
    via: Optional[str]
    dev: str
    table: int

    def words(self) -> str:
        """The route as a person would say it."""
        way = f" via {self.via}" if self.via else ""
        table = "" if self.table in (254, 255) else f" (table {self.table})"
        return f"{self.to}{way} dev {self.dev}{table}"


def docker_bridges(networks: Iterable[Network]) -> Tuple[str, ...]:
    """The links that belong to these networks, and docker0, which is there while the engine is stopped too."""
    return tuple(sorted({DEFAULT_BRIDGE, *(network.bridge for network in networks if network.bridge)}))


def read_host_routes(bridges: Collection[str] = ()) -> Tuple[HostRoute, ...]:
    """The host's routes in every table save those over ``bridges``, docker0 and links with the names Docker gives.

    Default routes, loopback, link-local and multicast ranges are left out, and addresses of the host's own of which a
    network is in the list. Raises OSError where the kernel refuses.
    """
    with Channel() as channel:
        links = {link.index: link.name for link in read_links(channel).values()}
        routes = read_all_routes(channel)
    own = {name for name in links.values() if name in bridges or name == DEFAULT_BRIDGE or _BRIDGE_NAME.fullmatch(name)}
    return select(routes, links, own)


def select(
    routes: Sequence[KernelRoute], links: Dict[int, str], bridges: Collection[str] = ()
) -> Tuple[HostRoute, ...]:
    """The pure part of read_host_routes: ``links`` are names by index, ``bridges`` all those that are Docker's."""
    found: Dict[HostRoute, IPNetwork] = {}
    own: List[Tuple[HostRoute, IPNetwork]] = []
    for route in routes:
        if route.type not in (RTN_UNICAST, RTN_LOCAL):
            continue
        network = ipaddress.ip_network(route.to)
        named = _named(route, links)
        if named is None or named.dev in bridges or network.prefixlen < _SHORTEST or _inside(network, _NOT_ROUTED):
            continue
        if route.type == RTN_LOCAL:
            own.append((named, network))
        else:
            found[named] = network
    covering = list(found.values())
    found.update({named: network for named, network in own if not _inside(network, covering)})
    return tuple(sorted(found, key=lambda named: (":" in named.to, found[named], named.table, named.dev)))


def _named(route: KernelRoute, links: Dict[int, str]) -> Optional[HostRoute]:
    hops = route.nexthops or ((route.via, route.dev, 1),)
    devices = [links[dev] for dummy, dev, dummy_weight in hops if dev in links]
    if not devices:
        return None
    via = ", ".join(via for via, dummy, dummy_weight in hops if via)
    return HostRoute(route.to, via or None, ", ".join(dict.fromkeys(devices)), route.table)


def _inside(network: IPNetwork, others: Iterable[IPNetwork]) -> bool:
    return any(
        other.version == network.version
        and other.prefixlen <= network.prefixlen
        and other.network_address <= network.network_address <= other.broadcast_address  # type: ignore[operator]
        for other in others
    )


def overlapping(subnet: str, routes: Iterable[HostRoute]) -> Tuple[HostRoute, ...]:
    """The routes that share an address with ``subnet`` (a network, or an address with its prefix length)."""
    network = ipaddress.ip_interface(subnet).network
    return tuple(
        route
        for route in routes
        if (":" in route.to) == (network.version == 6) and network.overlaps(ipaddress.ip_network(route.to))
    )
