# SPDX-License-Identifier: GPL-3.0-or-later
"""Which ports of bridges lead to the target of a published port.

Where the frames of bridges pass iptables, a guest that calls its own published port is led to itself within the bridge,
which hands no frame back through the port that it came by, unless that port is in hairpin mode (hazard 40).
"""

from __future__ import annotations

from typing import Collection, Container, Dict, FrozenSet, Iterable, List, NamedTuple, Optional, Set, Tuple

from ..document.containers import cables
from ..document.links import PrefixTable
from ..document.prefix import WIDTH, known_ip, known_prefix
from ..model import End, LinkKey, PublishedPort, Topology


class _Ports(NamedTuple):
    """Ports of bridges: by namespace and the address behind them, and by bridge those whose guest has any address."""

    holders: Dict[Tuple[Optional[str], str], List[LinkKey]]
    unknown: Dict[LinkKey, List[LinkKey]]


def lead_elsewhere(topology: Topology, ours: Iterable[PublishedPort], theirs: Iterable[PublishedPort]) -> bool:
    """Whether the bridges of other documents matter: where one of its own ports may lead there, or somebody else's port
    to a guest here of whom nothing is known, so that it matters who is known there."""
    ours, theirs = tuple(ours), tuple(theirs)
    if not (ours or theirs):
        return False
    ports = _ports(topology)
    asked = [*ours, *(theirs if ports.unknown else ())]
    return any((port.netns, port.to_address) not in ports.holders for port in asked)


def hairpins(
    topology: Topology, published: Collection[PublishedPort], bridged: Container[Optional[str]]
) -> FrozenSet[LinkKey]:
    """The ports that need the mode. ``bridged``: the namespaces in which iptables sees what bridges forward.

    Where nobody is known to have a target's address, it is any port whose guest's address isn't known.
    """
    targets = {(port.netns, port.to_address) for port in published if port.netns in bridged}
    if not targets:
        return frozenset()
    ports = _ports(topology)
    networks = _networks(topology, ports)
    found: Set[LinkKey] = set()
    for netns, target in targets:
        known = ports.holders.get((netns, target))
        if known is not None:
            found.update(known)
        elif netns in networks:
            ip = known_ip(target)
            for bridge in networks[netns].covering(ip.family, ip.number, WIDTH[ip.family]):
                found.update(ports.unknown[bridge])
    return frozenset(found)


def _ports(topology: Topology) -> _Ports:
    ports = _Ports({}, {})
    for a, b in cables(topology):
        for end, peer in ((a, b), (b, a)):
            if end.bridge is None:
                continue
            for address in peer.addresses:
                ports.holders.setdefault((end.netns, known_prefix(address).ip), []).append((end.netns, end.name))
            if _is_anybodys(peer):
                ports.unknown.setdefault((end.netns, end.bridge), []).append((end.netns, end.name))
    for tap in topology.taps:
        if tap.bridge is not None:
            ports.unknown.setdefault((tap.netns, tap.bridge), []).append((tap.netns, tap.name))
    return ports


def _is_anybodys(peer: End) -> bool:
    return peer.leased or not (peer.addresses or peer.bridge)


def _networks(topology: Topology, ports: _Ports) -> Dict[Optional[str], PrefixTable[LinkKey]]:
    """The networks of the bridges that have ports with unknown addresses behind them."""
    tables: Dict[Optional[str], PrefixTable[LinkKey]] = {}
    for bridge in topology.bridges:
        key = (bridge.netns, bridge.name)
        for address in bridge.addresses if key in ports.unknown else ():
            tables.setdefault(bridge.netns, PrefixTable()).add(known_prefix(address), key)
    return tables
