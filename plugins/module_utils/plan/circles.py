# SPDX-License-Identifier: GPL-3.0-or-later
"""Cables that join switches in a circle, in which what is sent to all goes round for ever: pure."""

from __future__ import annotations

from typing import Dict, List, Optional, Tuple

from ..model import Topology

_Switch = Tuple[Optional[str], str]  # namespace and name


def circle_warnings(topology: Topology) -> List[str]:
    """A line for each cable that closes a circle of switches of which none has a spanning tree to open it again."""
    open_ones = {(bridge.netns, bridge.name) for bridge in topology.bridges if bridge.stp or not bridge.up}
    leads: Dict[_Switch, _Switch] = {}

    def first(switch: _Switch) -> _Switch:
        while leads.get(switch, switch) != switch:
            switch = leads[switch]
        return switch

    found = []
    for one, other in topology.veths:
        if not (one.bridge and other.bridge and one.up and other.up):
            continue
        here, there = (one.netns, one.bridge), (other.netns, other.bridge)
        if here in open_ones or there in open_ones:
            continue
        if first(here) != first(there):
            leads[first(here)] = first(there)
            continue
        what = f"both its ends are on {here[1]}" if here == there else f"{here[1]} and {there[1]} are joined already"
        found.append(
            f"veth {one.name}: {what}, and none of the bridges in that circle has stp: whatever is sent to all goes "
            "round in it for ever and takes the machine's time; set stp: true on one of them, or leave the cable out"
        )
    return found
