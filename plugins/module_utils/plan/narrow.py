# SPDX-License-Identifier: GPL-3.0-or-later
"""Links whose MTU is too small for IPv6, and switches that take theirs from a port (hazards 21 and 22)."""

from __future__ import annotations

from typing import Iterable, List, Set, Union

from ..document.links import same_mtu
from ..document.prefix import has_ipv6
from ..model import Bridge, End, Interface, LinkKey, Tap, Topology
from .links import IPV6_MTU
from .sheet import Sheet, place


def narrow_switches(sheet: Sheet, topology: Topology) -> Set[LinkKey]:
    """The bridges with a port of the document whose MTU is too small for IPv6."""
    ports: Iterable[Union[End, Tap]] = (*(end for veth in topology.veths for end in same_mtu(veth)), *topology.taps)
    found = {
        (port.netns, port.bridge)
        for port in ports
        if port.mtu is not None and port.mtu < IPV6_MTU and port.bridge is not None
    }
    return found.union((port.netns, port.bridge or "") for port in _small_interfaces(sheet, topology))


def _small_interfaces(sheet: Sheet, topology: Topology) -> List[Interface]:
    """Those that the document plugs in as they are, too small for IPv6."""
    found: List[Interface] = []
    for one in topology.interfaces:
        have = sheet.link(one.netns, one.name) if one.bridge is not None and one.mtu is None else None
        if have is not None and have.mtu < IPV6_MTU:
            found.append(one)
    return found


def refuse_small_mtus(sheet: Sheet, topology: Topology) -> None:
    """What is there with an MTU too small for IPv6, of which the document says none (hazard 22)."""
    pulled = {(one.netns, one.bridge): one.name for one in _small_interfaces(sheet, topology)}
    for bridge in topology.bridges:
        port = pulled.get((bridge.netns, bridge.name)) if bridge.mtu is None and has_ipv6(bridge.addresses) else None
        if port is not None:
            sheet.conflicts.append(
                f"{place(bridge.netns)}: {bridge.name}: it gets the mtu of its port {port}, and {IPV6_MTU} is the "
                "least that IPv6 works with; give one of the two an mtu, or leave its IPv6 addresses out"
            )
    links: List[Union[Bridge, Interface]] = [*topology.bridges, *topology.interfaces]
    for value in links:
        have = sheet.link(value.netns, value.name) if value.mtu is None and has_ipv6(value.addresses) else None
        if have is not None and have.mtu < IPV6_MTU:
            room = sheet.view.views[value.netns].links.values()
            small = [port for port in room if port.master == have.index and port.mtu < IPV6_MTU]
            named = {(one.netns, one.name) for one in topology.interfaces if one.mtu is not None}
            if any(sheet.is_ours(value.netns, port) or (value.netns, port.name) in named for port in small):
                continue  # which may get another one now, and the bridge along with it
            whose = f", its port {small[0].name}'s" if small else ""
            sheet.conflicts.append(
                f"{place(value.netns)}: {value.name}: its mtu is {have.mtu}{whose}, and {IPV6_MTU} is the least that "
                "IPv6 works with; give it an mtu, or leave its IPv6 addresses out"
            )
