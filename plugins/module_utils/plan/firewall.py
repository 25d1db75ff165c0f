# SPDX-License-Identifier: GPL-3.0-or-later
"""The packet filter's part of a plan: what each namespace should have, and the steps towards it."""

from __future__ import annotations

from typing import AbstractSet, Dict, List, Mapping, Optional, Set, Tuple

from .. import sysctl
from ..document.prefix import known_prefix
from ..firewall import FirewallWant, GuestNetwork, SwitchPolicy, Tables, changes, families, needed
from ..firewall.want import within
from ..model import Nexthop, PublishedPort, Topology
from .actions import FlowsForget, TableSet
from .owned import Owned
from .sheet import FILES, PROTECT, UNPROTECT, Sheet


def firewall_wants(topology: Topology) -> Dict[Optional[str], FirewallWant]:
    """What each namespace's packet filter should hold, but for the guard; one that needs nothing is left out."""
    if not topology.present:
        return {}
    places = {entry.netns for entry in topology.masquerade} | {port.netns for port in topology.published_ports}
    forwarding = tuple(family for family, on in ((4, topology.forwarding.ipv4), (6, topology.forwarding.ipv6)) if on)
    switches = tuple(SwitchPolicy(b.name, *b.guests) for b in topology.bridges if b.guests is not None)
    if forwarding or topology.forwarding.networks or switches:
        places.add(None)
    wants = {}
    for netns in places:
        want = FirewallWant(
            owner=topology.name,
            netns=netns,
            guests=_guests(topology, netns),
            masquerade=tuple(entry for entry in topology.masquerade if entry.netns == netns),
            published_ports=tuple(port for port in topology.published_ports if port.netns == netns),
        )
        if netns is None:
            named = {name for name, _prefixes in _networks(topology, None)}
            named |= {interface.name for interface in topology.interfaces if interface.netns is None}
            named |= {bridge.name for bridge in topology.bridges if bridge.netns is None and bridge.uplink is not None}
            want = want._replace(
                named=tuple(sorted(named)),
                let_through=topology.forwarding.networks,
                forwarding=forwarding,
                switches=switches,
            )
        if needed(want):
            wants[netns] = want
    return wants


def _networks(topology: Topology, netns: Optional[str]) -> List[Tuple[str, Tuple[str, ...]]]:
    """Our own links with addresses, and the networks on them."""
    found = []
    links = [(bridge.name, bridge.netns, bridge.addresses) for bridge in topology.bridges]
    links += [(end.name, end.netns, end.addresses) for veth in topology.veths for end in veth if not end.bridge]
    for name, where, addresses in links:
        if where == netns and addresses:
            found.append((name, tuple(sorted({known_prefix(address).network for address in addresses}))))
    return sorted(found)


def _guests(topology: Topology, netns: Optional[str]) -> Tuple[GuestNetwork, ...]:
    """The networks that are ours to protect.

    On the host not one that leads out: the bridge of an interface that isn't ours, or the way of a default route.
    Protecting that would cut off everybody else's guests, Docker's too.
    """
    bridged = {interface.bridge for interface in topology.interfaces if interface.netns == netns}
    bridged |= {bridge.name for bridge in topology.bridges if bridge.netns == netns and bridge.uplink is not None}
    defaults = [route for route in topology.routes if route.netns == netns and route.to in ("0.0.0.0/0", "::/0")]
    ways = [Nexthop(route.via, route.dev) for route in defaults]
    ways += [hop for route in defaults for hop in route.nexthops]
    devices = {way.dev for way in ways}
    gateways = [way.via for way in ways if way.via]

    def leads_out(name: str, prefixes: Tuple[str, ...]) -> bool:
        return name in bridged or name in devices or any(within(via, prefix) for via in gateways for prefix in prefixes)

    return tuple(
        GuestNetwork(name, prefixes)
        for name, prefixes in _networks(topology, netns)
        if netns is not None or not leads_out(name, prefixes)
    )


_SWITCHES = ((4, sysctl.IPV4_FORWARDING), (6, sysctl.IPV6_FORWARDING))


def switched_on(owned: Owned) -> Set[int]:
    """The families in which the host did not forward until a document came that owns this."""
    changes = ((family, owned.sysctls.get((None, path))) for family, path in _SWITCHES)
    return {family for family, change in changes if change is not None and change.before == "0"}


def guarded(
    wants: Dict[Optional[str], FirewallWant],
    owned: Owned,
    elsewhere: AbstractSet[int],
    before: Mapping[int, Optional[bool]],
) -> Dict[Optional[str], FirewallWant]:
    """The same, with a guard where it is the engine that turned the host's forwarding on.

    ``elsewhere``: the families in which another document did. Its guard goes with it, and forwarding stays then.
    ``before``: whether the host forwards now.
    """
    if None not in wants:
        return wants
    ours = switched_on(owned) | elsewhere
    kept = {family for family, path in _SWITCHES if (None, path) in owned.sysctls}
    ours |= {family for family, _path in _SWITCHES if family not in kept and not before[family]}
    return {**wants, None: wants[None]._replace(guard=tuple(sorted(ours.intersection(wants[None].forwarding))))}


def plan_firewall(
    sheet: Sheet,
    tables: Mapping[Optional[str], Tables],
    wants: Mapping[Optional[str], FirewallWant],
    previous: Mapping[Optional[str], FirewallWant],
) -> None:
    """One swap per namespace and family; what only takes away comes last."""
    for netns in sorted(set(wants) | set(sheet.owned.firewall), key=lambda name: name or ""):
        if netns is not None and netns in sheet.gone_namespaces:
            sheet.after.firewall.pop(netns, None)
            continue
        want = wants.get(netns)
        change = changes(tables[netns], want, previous.get(netns), sheet.owned.name, netns)
        first = len(sheet.lines)
        for text in change.lines:
            sheet.line(text)
        for swap in change.swaps:
            sheet.do(
                UNPROTECT if want is None else PROTECT,
                first,
                TableSet(netns, swap.backend, swap.family, swap.text),
                TableSet(netns, swap.backend, swap.family, swap.undo),
            )
        ports = _moved(want, previous.get(netns)) if change.swaps else ()
        if ports:
            sheet.do(FILES, first, FlowsForget(netns, tuple(tuple(port) for port in ports)))
        if want is None:
            sheet.after.firewall.pop(netns, None)
        else:
            sheet.after.firewall[netns] = families(want)


def _moved(want: Optional[FirewallWant], previous: Optional[FirewallWant]) -> Tuple[PublishedPort, ...]:
    """Ports published newly, elsewhere, or no more: flows that are older than the change bypass it (hazard 39)."""
    now = set(want.published_ports) if want else set()
    before = set(previous.published_ports) if previous else set()
    return tuple(sorted(now ^ before))
