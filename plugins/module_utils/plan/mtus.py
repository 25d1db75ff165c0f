# SPDX-License-Identifier: GPL-3.0-or-later
"""Where links that hear each other differ in their MTU: what is larger than the smaller one takes is lost there, and
nobody is told, for neither a cable nor a bridge sends "packet too big". Pure."""

from __future__ import annotations

from typing import Dict, Iterable, Iterator, List, Mapping, NamedTuple, Optional, Tuple, Union

from ..document.containers import cables
from ..document.links import room, same_mtu
from ..model import Bridge, End, HostView, LinkKey, Tap, Topology
from .links import VETH_MTU, describe
from .owned import owner_of


class _Sized(NamedTuple):
    mtu: int
    name: str


def mtu_warnings(named: Topology, topology: Topology, host: HostView) -> Iterator[str]:
    """A line for each cable and each bridge of a document on which packets get lost that way.

    ``named``: the part of it that a run names; of a run that names no link nothing is said.
    """
    if not any((named.bridges, named.veths, named.taps, named.containers, named.interfaces)):
        return
    for veth in topology.veths:
        if None not in (veth.a.mtu, veth.b.mtu) and veth.a.mtu != veth.b.mtu:
            yield (
                f"veth {describe(veth)}: mtu {veth.a.mtu} at one end and {veth.b.mtu} at the other: "
                f"larger packets than {min(veth.a.mtu or 0, veth.b.mtu or 0)} are lost on the way without a word; "
                "say the same at both"
            )
    for (netns, name), members in _switches(topology, host).items():
        small, large = min(members), max(members)
        if small.mtu < large.mtu:
            yield (
                f"bridge {name} of {room(netns)}: {large.name} has mtu {large.mtu} and {small.name} {small.mtu}: "
                f"larger packets than {small.mtu} are lost on their way there without a word; give both the same mtu"
            )


def _switches(topology: Topology, host: HostView) -> Dict[LinkKey, List[_Sized]]:
    """The bridges that the document makes or plugs something into: their ports, and themselves where it is said."""
    found: Dict[LinkKey, List[_Sized]] = {}
    told = {(link.netns, link.name): link.mtu for link in topology.interfaces}
    named = {*told, *((tap.netns, tap.name) for tap in topology.taps)}
    for veth in cables(topology):
        for end in same_mtu(veth):
            named.add((end.netns, end.name))
            _plug(found, end)
    for tap in topology.taps:
        _plug(found, tap)
    for interface in topology.interfaces:
        view = host.views.get(interface.netns)
        link = view.links.get(interface.name) if view is not None else None
        if interface.bridge and link is not None:
            sized = _Sized(interface.mtu or link.mtu, interface.name)
            found.setdefault((interface.netns, interface.bridge), []).append(sized)
    for bridge in topology.bridges:
        if bridge.mtu is not None:
            found.setdefault((bridge.netns, bridge.name), []).append(_Sized(bridge.mtu, bridge.name))
        found.setdefault((bridge.netns, bridge.name), []).extend(_uplink(bridge, host, told))
    for key, sized in _others(topology.name, host, {netns for netns, _name in found}):
        if key in found and (key[0], sized.name) not in named:
            found[key].append(sized)
    return {key: members for key, members in found.items() if members}


def _plug(found: Dict[LinkKey, List[_Sized]], port: Union[End, Tap]) -> None:
    if port.bridge:
        found.setdefault((port.netns, port.bridge), []).append(_Sized(port.mtu or VETH_MTU, port.name))


def _uplink(bridge: Bridge, host: HostView, told: Mapping[LinkKey, Optional[int]]) -> Iterator[_Sized]:
    view = host.views.get(bridge.netns)
    link = view.links.get(bridge.uplink or "") if view is not None else None
    if link is not None:
        yield _Sized(told.get((bridge.netns, link.name)) or link.mtu, link.name)


def _others(document: str, host: HostView, rooms: Iterable[Optional[str]]) -> Iterator[Tuple[LinkKey, _Sized]]:
    """Ports that are there and aren't this document's, each with its bridge; its own that it no longer names go."""
    for netns in rooms:
        view = host.views.get(netns)
        links = list(view.links.values()) if view is not None else []
        names = {link.index: link.name for link in links}
        for link in links:
            if link.master in names and owner_of(link.alias) != document:
                yield (netns, names[link.master]), _Sized(link.mtu, link.name)
