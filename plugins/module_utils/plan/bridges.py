# SPDX-License-Identifier: GPL-3.0-or-later
"""Bridges of others: on which of them somebody else's guests live, and which lead out. Pure."""

from __future__ import annotations

from typing import List, Optional, Set, Tuple

from ..document.prefix import known_prefix
from ..document.routes import DEFAULTS
from ..firewall.groups import is_ours
from ..firewall.want import GUESTS_BRIDGES, within
from ..model import Link, NamespaceView, Nexthop, Route, Topology
from ..rtnetlink.constants import RTN_UNICAST
from .owned import owner_of

_WIRES = (None, "bond", "team", "vlan")  # kinds of links with a wire at their end; None is hardware


def bystanders(
    view: NamespaceView, topology: Topology, netns: Optional[str]
) -> Tuple[Tuple[str, ...], Tuple[str, ...]]:
    """Bridges with somebody else's guests that their names don't give away, and bridges that look so and lead out.

    A bridge leads out if a gateway is behind it, if hardware is among its ports, or if the document names it. Documents
    share the rules about the former, so those must not depend on what one of them names, or routes.
    """
    named = {interface.name for interface in topology.interfaces if interface.netns == netns}
    ways = [way for route in topology.routes if route.netns == netns for way in ways_of(route)]
    named |= {way.dev for way in ways if way.dev is not None}
    vias = [way.via for way in ways if way.via is not None]
    foreign: List[str] = []
    uplinks = [bridge.name for bridge in topology.bridges if bridge.netns == netns and bridge.uplink is not None]
    passages = [name for name in uplinks if netns is None and name.startswith(GUESTS_BRIDGES)]
    for link in view.links.values():
        known = netns is None and link.name.startswith(GUESTS_BRIDGES)
        if link.kind != "bridge" or (owner_of(link.alias) is not None and not is_ours(link.group)):
            if known:  # it is only called like one: an uplink of ours, or no bridge at all
                passages.append(link.name)
            continue
        if owner_of(link.alias) is not None:
            continue
        hardware = _has_hardware(view, link)
        if hardware and not known:
            continue
        if not known:
            foreign.append(link.name)
        homes = [known_prefix(address.address).network for address in view.addresses.get(link.index, ())]
        behind = any(within(via, home) for via in vias for home in homes)
        if behind or link.name in named or leads_out(view, link):
            passages.append(link.name)
    return tuple(sorted(foreign)), tuple(sorted(set(passages)))


def ways_of(route: Route) -> Tuple[Nexthop, ...]:
    """The ways that a route leads by."""
    return route.nexthops or (Nexthop(route.via, route.dev),)


def leads_out(view: NamespaceView, bridge: Link) -> bool:
    """Whether a default route leads by a bridge, or hardware is among its ports."""
    defaults = [route for route in view.routes if route.to in DEFAULTS and route.type == RTN_UNICAST]
    gateways = {dev for route in defaults for dev in (route.dev, *(dev for _via, dev, _weight in route.nexthops))}
    return bridge.index in gateways or _has_hardware(view, bridge)


def _has_hardware(view: NamespaceView, bridge: Link) -> bool:
    ports: Set[Optional[str]] = {link.kind for link in view.links.values() if link.master == bridge.index}
    return not ports.isdisjoint(_WIRES)
