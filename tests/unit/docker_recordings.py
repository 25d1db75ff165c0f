# SPDX-License-Identifier: GPL-3.0-or-later
"""What real engines said and wrote, recorded in tests/unit/docker_rules/, and listings of others written by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.model import (
    Container,
    Endpoint,
    Engine,
    Network,
    PublishedPort,
    Subnet,
)
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.rules.expected import Options
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.rules.listing import Listing
from ansible_collections.hostwire.linux.plugins.module_utils.firewall.tables import Ruleset, parse

DIRECTORY = Path(__file__).with_name("docker_rules")
RECORDINGS = sorted(path.stem for path in DIRECTORY.glob("*.json"))


class Recording(NamedTuple):
    """An engine, the options it ran with, and its rules."""

    engine: Engine
    options: Options
    listing: Listing


def recording(name: str) -> Recording:
    read = json.loads((DIRECTORY / f"{name}.json").read_text())
    rulesets = {4: parse("\n".join(read["ipv4"])), 6: parse("\n".join(read["ipv6"]))}
    return Recording(_engine(read["engine"]), Options(**read["options"]), Listing("nft", rulesets))


def written(name: str) -> Ruleset:
    """A listing written by hand."""
    return parse((DIRECTORY / f"{name}.rules").read_text())


def _engine(entry: dict[str, Any]) -> Engine:
    networks = tuple(
        Network(**{**network, "subnets": tuple(Subnet(**subnet) for subnet in network.get("subnets", ()))})
        for network in entry["networks"]
    )
    containers = tuple(
        Container(
            **{
                **container,
                "endpoints": tuple(Endpoint(**endpoint) for endpoint in container.get("endpoints", ())),
                "ports": tuple(PublishedPort(**port) for port in container.get("ports", ())),
            }
        )
        for container in entry["containers"]
    )
    return Engine(**{**entry, "networks": networks, "containers": containers})


def one_container(version: str) -> Engine:
    """The engine that the listings by hand are of: one container on docker0 with a published port."""
    bridge = Network("1" * 64, "bridge", "bridge", "docker0", subnets=(Subnet("172.17.0.0/16", "172.17.0.1"),))
    web = Container(
        id="2" * 64,
        name="web",
        running=True,
        endpoints=(Endpoint("bridge", "172.17.0.2"),),
        ports=(PublishedPort("tcp", 80, "", 8080),),
    )
    return Engine(version, "1.41", live_restore=False, networks=(bridge,), containers=(web,))
