# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes of somebody else's that take packets away for which a document has an address or a route. Pure.

Only what somebody wrote down counts: what a router, a lease or a routing daemon brings is meant to be there. In a
namespace of the document's own the default route is to be asked for all that is elsewhere; on a host others may know
better ways.
"""

from __future__ import annotations

from typing import Dict, Iterator, List, Optional, Sequence, Tuple

from ..document.prefix import known_prefix
from ..document.routes import DEFAULTS
from ..firewall.want import within
from ..model import CONTAINER, TABLE_MAIN, HostView, KernelRoute, NamespaceView, Route, Topology
from ..rtnetlink.constants import RTN_UNICAST
from ..rtnetlink.routes import TYPES, default_metric
from .misled import networks_of
from .sheet import is_by_hand, place

_WORDS = {**{number: name for name, number in TYPES.items()}, 9: "throw"}
_HALF = 1  # the prefix length of half of all addresses: two of these are one way to outdo a default route


def strayed_warnings(topology: Topology, view: HostView) -> List[str]:
    """A line for each route of others in the main table that a document's packets take instead."""
    own = {namespace.name for namespace in topology.namespaces}
    routes: Dict[Optional[str], List[Route]] = {}
    for route in topology.routes:
        if route.table == TABLE_MAIN:
            routes.setdefault(route.netns, []).append(route)
    return [
        f"{place(netns)}: the route {_called(room, route)}, which isn't ours, is taken instead of {loser}; delete it,"
        " or say it in routes"
        for netns, room in view.views.items()
        if netns is None or not netns.startswith(CONTAINER)
        for route, loser in _straying(topology, room, routes.get(netns, ()), netns in own)
    ]


def _straying(
    topology: Topology, room: NamespaceView, wanted: Sequence[Route], is_own: bool
) -> Iterator[Tuple[KernelRoute, str]]:
    there = [route for route in room.routes if is_by_hand(route)]
    networks = networks_of(topology, room.netns) if there else ()
    for route in there:
        loser = next((network for network in networks if _outdoes(route, network)), None)
        if loser is not None:
            yield route, f"the document's network {loser}"
            continue
        for one in wanted:
            if _is_taken_before(route, one, is_own):
                yield route, f"the document's route {'default' if one.to in DEFAULTS else one.to}"
                break


def _outdoes(route: KernelRoute, network: str) -> bool:
    """Whether it takes packets from a network on a link, whose own route is found last among those of one prefix."""
    if not within(route.to, network):
        return False
    return route.to != network or (route.type != RTN_UNICAST and ":" not in network)


def _is_taken_before(route: KernelRoute, wanted: Route, is_own: bool) -> bool:
    if not within(route.to, wanted.to):
        return False
    if route.to == wanted.to:
        metric = wanted.metric if wanted.metric is not None else default_metric(wanted.to)
        return route.metric < metric
    return is_own or wanted.to not in DEFAULTS or known_prefix(route.to).length <= _HALF


def _called(room: NamespaceView, route: KernelRoute) -> str:
    names = {link.index: name for name, link in room.links.items()}
    words = [_WORDS[route.type]] if route.type in _WORDS and route.type != RTN_UNICAST else []
    words.append("default" if route.to in DEFAULTS else route.to)
    words += [f"via {route.via}"] if route.via else []
    words += [f"dev {names[route.dev]}"] if route.dev in names else []
    words += [f"metric {route.metric}"] if route.metric != default_metric(route.to) else []
    return " ".join(words)
