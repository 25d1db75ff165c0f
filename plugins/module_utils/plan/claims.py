# SPDX-License-Identifier: GPL-3.0-or-later
"""What a topology lays claim to, in the terms of what is owned, and the arithmetic of claims."""

from __future__ import annotations

from typing import Dict, Optional, Set

from ..document.identity import route_key
from ..model import Bridge, LinkKey, Topology
from .owned import UNKNOWN, UPLINK, Change, Owned, SysctlKey, nothing

_SETTINGS = ("up", "mtu", "bridge")


def claims(topology: Topology, settings: Dict[SysctlKey, str], files: Dict[str, str]) -> Owned:
    """Everything the topology names, with values that mean nothing."""
    claimed = nothing(topology.name)
    for namespace in topology.namespaces:
        claimed.namespaces[namespace.name] = UNKNOWN
    claimed.links.update(dict.fromkeys(claimed_links(topology), UNKNOWN))
    for bridge in topology.bridges:
        _claim_bridge(claimed, bridge)
    for interface in topology.interfaces:
        for address in interface.addresses:
            claimed.addresses[(interface.netns, interface.name, address)] = None
        for field in _SETTINGS:
            if getattr(interface, field) is not None:
                claimed.settings[(interface.netns, interface.name, field)] = Change("", "")
    for route in topology.routes:
        claimed.routes[route_key(route)] = None
    for key, value in settings.items():
        claimed.sysctls[key] = Change(value, value)
    for path in files:
        claimed.files[path] = None
    return claimed


def claimed_links(topology: Topology) -> Set[LinkKey]:
    """The links that it names."""
    found = {(end.netns, end.name) for veth in topology.veths for end in veth if end.name}
    found.update((bridge.netns, bridge.name) for bridge in topology.bridges)
    found.update((tap.netns, tap.name) for tap in topology.taps)
    return found


def _claim_bridge(claimed: Owned, bridge: Bridge) -> None:
    if bridge.uplink is not None:  # then the bridge's addresses aren't all ours
        claimed.settings[(bridge.netns, bridge.uplink, UPLINK)] = Change("", "")
        claimed.addresses.update({(bridge.netns, bridge.name, address): None for address in bridge.addresses})


def without(owned: Owned, claimed: Owned) -> Owned:
    """What is owned and not claimed."""
    return Owned(
        owned.name,
        *({k: v for k, v in mine.items() if k not in theirs} for mine, theirs in zip(owned.parts, claimed.parts)),
    )


def within(owned: Owned, claimed: Owned) -> Owned:
    """What is owned and claimed."""
    return Owned(
        owned.name,
        *({k: v for k, v in mine.items() if k in theirs} for mine, theirs in zip(owned.parts, claimed.parts)),
    )


def interface_claims(owned: Owned, topology: Topology) -> Owned:
    """What is owned of the interfaces that a topology names, whatever properties it names (to take all of it away)."""
    names = {(interface.netns, interface.name) for interface in topology.interfaces}
    found = nothing(owned.name)
    found.addresses.update({key: None for key in owned.addresses if key[:2] in names})
    found.settings.update({key: change for key, change in owned.settings.items() if key[:2] in names})
    return found


def namespaces_in(owned: Owned) -> set[Optional[str]]:
    """Every namespace in which something is owned."""
    found = {key[0] for part in owned.keyed for key in part}
    return found | set(owned.namespaces) | set(owned.firewall)
