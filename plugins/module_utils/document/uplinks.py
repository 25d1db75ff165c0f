# SPDX-License-Identifier: GPL-3.0-or-later
"""What a document may say of an interface whose work a bridge does: next to nothing, for the bridge says it."""

from __future__ import annotations

from typing import Dict, Iterator, List

from ..model import Topology
from .links import FOREIGN, Key, WantedLink, place, ways
from .where import Where


def uplink_problems(topology: Topology, where: Where, links: List[WantedLink]) -> Iterator[str]:
    """One line for each place where the document gives an uplink another part to play, too."""
    bridges: Dict[Key, str] = {}
    paths: Dict[Key, str] = {}
    made = {link.key: link for link in links if link.kind != FOREIGN}
    for position, switch in enumerate(topology.bridges):
        if switch.uplink is None:
            continue
        key, path = (switch.netns, switch.uplink), f"{where.path('bridges', position)}.uplink"
        if key in paths:
            yield f'{path}: "{switch.uplink}" {place(switch.netns)} is an uplink already, in {paths[key]}'
        elif key in made:
            yield (
                f'{path}: "{switch.uplink}" is made by this document, in {made[key].path}; '
                f"an uplink is there already: say bridge: {switch.name} there instead"
            )
        bridges.setdefault(key, switch.name)
        paths.setdefault(key, path)
    for link in links if bridges else ():
        if link.kind == FOREIGN and link.key in bridges:
            yield from _as_an_interface(link, bridges[link.key], paths[link.key])
    for position, route in enumerate(topology.routes if bridges else ()):
        for way in ways(route, where.path("routes", position)):
            key = (route.netns, way.dev or "")
            if key in bridges:
                bridge = bridges[key]
                yield f"{way.path}.dev: {way.dev} is the uplink of {bridge}, which does its work: say {bridge}"


def _as_an_interface(link: WantedLink, bridge: str, path: str) -> Iterator[str]:
    if link.addresses:
        yield f"{link.path}.addresses: {link.name} is an uplink, in {path}; put them on {bridge}"
    if link.bridge is not None:
        yield f"{link.path}.bridge: {link.name} is an uplink, in {path}, and so a port of {bridge}; leave it out"
