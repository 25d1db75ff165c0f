# SPDX-License-Identifier: GPL-3.0-or-later
"""Packets that would go where a document wants them, were it not for a neighbour that somebody wrote down, or an
interface by which nothing is let on. Pure."""

from __future__ import annotations

from typing import Dict, List, Mapping, Optional, Sequence, Set, Tuple, Union

from ..document.prefix import known_prefix
from ..firewall.want import within
from ..model import Address, Bridge, End, HostView, Interface, NamespaceView, Topology
from ..rtnetlink.neighbours import Neighbour
from ..visible import visible
from .sheet import place
from .ways import LOOPBACK


def places_to_ask(topology: Topology, view: HostView) -> List[Optional[str]]:
    """The namespaces in which others' packets come by bridges of the document."""
    return [netns for netns in dict.fromkeys(bridge.netns for bridge in topology.bridges) if netns in view.views]


def links_to_ask(topology: Topology, view: HostView) -> Dict[Optional[str], List[int]]:
    """The indexes of the document's links with addresses there."""
    found: Dict[Optional[str], List[int]] = {netns: [] for netns in places_to_ask(topology, view)}
    links: List[Union[Bridge, End]] = [*topology.bridges, *(end for veth in topology.veths for end in veth)]
    for one in links:
        if one.addresses and one.netns in found:
            have = view.views[one.netns].links.get(one.name)
            found[one.netns] += [have.index] if have is not None and have.index > 0 else []  # not one on paper
    return found


def misled_warnings(
    topology: Topology, view: HostView, written: Mapping[Optional[str], Sequence[Neighbour]]
) -> List[str]:
    """A line for each neighbour on a link of the document that is written down with another's MAC address."""
    if not any(written.values()):
        return []
    links: List[Union[Bridge, End]] = [*topology.bridges, *(end for veth in topology.veths for end in veth)]
    ours = {(one.netns, one.name) for one in links}
    macs: Dict[str, Set[str]] = {}
    for one in links:
        room = view.views.get(one.netns)
        if room is not None and one.name in room.links:
            for address in one.addresses:
                macs.setdefault(address.partition("/")[0], set()).add(room.links[one.name].mac)
    names = {netns: {link.index: link.name for link in view.views[netns].links.values()} for netns in written}
    return [
        f"{place(netns)}: {entry.address} is written down as {entry.mac or 'nobody'} on {visible(name)}, and is"
        f" {' or '.join(sorted(macs[entry.address]))}: nothing gets there; delete that"
        f" (ip neigh del {entry.address} dev {visible(name)})"
        for netns, entries in written.items()
        for entry in entries
        for name in (names[netns].get(entry.index, ""),)
        if (netns, name) in ours and entry.mac not in macs.get(entry.address, {entry.mac})
    ]


def kept_warnings(topology: Topology, view: HostView) -> List[str]:
    """A line for each address of a network of the document that somebody gave to the loopback link where it is routed,
    or in a namespace of the document: what is for the machine that has it stays there."""
    own = [namespace.name for namespace in topology.namespaces if namespace.name in view.views]
    found: List[str] = []
    for netns in dict.fromkeys([*places_to_ask(topology, view), *own]):
        entries = [one for one in _on_loopback(view.views[netns]) if not one.address.startswith(("127.", "::1/"))]
        said = _said(topology, netns) if entries else ()
        found += [
            f"{place(netns)}: address {entry.address} is on lo, and in the document's network {network}: what is for"
            " the machine that has it there is kept; take it from lo"
            for entry in entries
            if entry.address.partition("/")[0] not in said
            for network in networks_of(topology, netns)
            if within(entry.address.partition("/")[0], network)
        ]
    return found


def _said(topology: Topology, netns: Optional[str]) -> Set[str]:
    """The addresses that the document itself gives to this namespace."""
    links: List[Union[Bridge, End, Interface]] = [*topology.bridges, *topology.interfaces]
    links += [end for veth in topology.veths for end in veth]
    return {text.partition("/")[0] for link in links if link.netns == netns for text in link.addresses}


def networks_of(topology: Topology, netns: Optional[str]) -> Tuple[str, ...]:
    """The networks of the addresses that a document gives to links of its own in a namespace; not those of a LAN."""
    links: List[Union[Bridge, End]] = [bridge for bridge in topology.bridges if bridge.uplink is None]
    links += [end for veth in topology.veths for end in veth]
    held = [text for link in links if link.netns == netns for text in link.addresses]
    return tuple(dict.fromkeys(known_prefix(text).network for text in held))


def _on_loopback(room: NamespaceView) -> Sequence[Address]:
    lo = room.links.get(LOOPBACK)
    return room.addresses.get(lo.index, ()) if lo is not None else ()
