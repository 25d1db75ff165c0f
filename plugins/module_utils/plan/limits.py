# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel would refuse half-way: more ports than a bridge takes, and a bridge as the port of another one."""

from __future__ import annotations

from typing import Container, Dict, Iterator, List, Mapping, Optional, Set

from ..document.links import FOREIGN, Key, WantedLink
from ..model import HostView

MOST_PORTS = 1023  # BR_MAX_PORTS of net/bridge/br_private.h is 1 << 10, and the number 0 is no port's


def limit_problems(
    links: List[WantedLink], uplinks: Mapping[Key, str], host: HostView, going: Container[Key]
) -> Iterator[str]:
    """A line for each bridge that would have too many ports, and for each bridge that is to be a port.

    ``uplinks`` are those of the bridges that the document makes. Links in ``going`` are this document's: they stay only
    if they are wanted.
    """
    yield from _bridges_as_ports(links, host)
    ports: Dict[Key, Set[str]] = {key: {uplink} for key, uplink in uplinks.items()}
    paths: Dict[Key, str] = {}
    for link in links:
        if link.bridge is not None:
            ports.setdefault((link.netns, link.bridge), set()).add(link.name)
            paths[link.netns, link.bridge] = link.path
    _add_those_that_stay(ports, links, host, going)
    for key, path in paths.items():
        number = len(ports[key])
        if number > MOST_PORTS:
            yield (
                f"{path}.bridge: {key[1]} would have {number} ports, and the kernel gives a bridge {MOST_PORTS} at "
                f"most; take a second bridge, and join the two by a cable"
            )


def _add_those_that_stay(
    ports: Dict[Key, Set[str]], links: List[WantedLink], host: HostView, going: Container[Key]
) -> None:
    """Add to the ports of each bridge those that it has already, and of which the document says nothing else."""
    named = {link.key for link in links if link.bridge is not None}
    bridges: Dict[Optional[str], Dict[int, Key]] = {}
    for netns, name in ports:
        found = host.views[netns].links.get(name) if netns in host.views else None
        if found is not None:
            bridges.setdefault(netns, {})[found.index] = (netns, name)
    for netns, by_index in bridges.items():
        for other in host.views[netns].links.values():
            key = (netns, other.name)
            if other.master in by_index and key not in named and key not in going:
                ports[by_index[other.master]].add(other.name)


def _bridges_as_ports(links: List[WantedLink], host: HostView) -> Iterator[str]:
    for link in links:
        view = host.views.get(link.netns) if link.bridge is not None and link.kind == FOREIGN else None
        found = view.links.get(link.name) if view else None
        if found is not None and found.kind == "bridge":
            yield (
                f"{link.path}.bridge: {link.name} is a bridge itself, which can't be a port of another one; "
                "join the two by a cable, an end in each"
            )
