# SPDX-License-Identifier: GPL-3.0-or-later
"""The cables into containers: reading them, and the veth that each of them is."""

from __future__ import annotations

import hashlib
from typing import Optional, Tuple

from ..model import Container, End, Topology, Veth
from .fields import CONTAINER_NAME, MTU_HIGHEST, MTU_LOWEST, Fields, shown


def container(fields: Fields, absent: bool) -> Optional[Container]:
    """One entry of ``containers``; None if the container or the interface in it can't be read."""
    before = len(fields.problems)
    fields.required("container", "the container to plug the cable into, by its name")
    fields.required("name", "how the interface in the container is called")
    if not absent:
        fields.required("bridge", "the bridge of the host that the cable comes from")
    into, name = fields.text("container", "the name of a container, like web"), fields.interface("name")
    if into is not None and not CONTAINER_NAME.fullmatch(into):
        fields.problem("container", f"{shown(into)} names no container; say it as docker ps shows it, like web")
    readable = into is not None and name is not None and len(fields.problems) == before
    value = Container(
        into or "",
        name or "",
        fields.interface("bridge"),
        fields.link_addresses(),
        fields.mac(),
        fields.integer("mtu", MTU_LOWEST, MTU_HIGHEST),
        fields.flag("leased", False),
    )
    return value if readable else None


def cable(value: Container) -> Veth:
    """The cable as any other: its first end is on the host."""
    host = End(host_end(value), None, value.bridge, mtu=value.mtu)
    return Veth(host, End(value.name, value.netns, None, value.addresses, value.mac, value.mtu, leased=value.leased))


def cables(topology: Topology) -> Tuple[Veth, ...]:
    """Every cable of a document, those into containers too."""
    return topology.veths + tuple(cable(value) for value in topology.containers)


def host_end(value: Container) -> str:
    """The name of the end on the host: the same at each run, and another for each interface of each container."""
    digest = hashlib.sha256(f"{value.container}\0{value.name}".encode()).hexdigest()
    return f"ct-{digest[:12]}"
