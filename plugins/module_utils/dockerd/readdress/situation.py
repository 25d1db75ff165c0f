# SPDX-License-Identifier: GPL-3.0-or-later
"""What is there before anything is changed: the engine, its configuration, docker0, the host's routes, our memory."""

from __future__ import annotations

import ipaddress
import json
from typing import Any, Dict, NamedTuple, Optional, Tuple
from urllib.parse import quote

from ...docker_api import Api
from ...errors import Conflict, MissingOnHost
from ...rtnetlink.addresses import read_addresses
from ...rtnetlink.channel import Channel
from ...rtnetlink.links import read_links
from .. import service
from ..configuration import Configuration, read_configuration
from ..facts import read_engine
from ..model import DEFAULT_BRIDGE, DEFAULT_NETWORK, Container, Engine
from ..routes import HostRoute, docker_bridges, read_host_routes
from .memory import Origin, Store

_TASKS = quote(json.dumps({"label": ["com.docker.swarm.task"]}))


class Situation(NamedTuple):
    """``addresses`` are docker0's with prefix length; ``since`` tells when each running container began, by id.

    ``socket``: docker.socket listens; ``stale``: systemd has yet to read a changed unit file; ``dependents``: the
    units that stop when Docker does; ``tasks``: the containers, by id, that Swarm replaces by itself.
    """

    engine: Engine
    configuration: Configuration
    addresses: Tuple[str, ...]
    routes: Tuple[HostRoute, ...] = ()
    origin: Optional[Origin] = None
    since: Dict[str, str] = {}
    socket: bool = True
    stale: bool = False
    dependents: Tuple[str, ...] = ()
    tasks: Tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """docker0's IPv4 address with prefix length that the engine uses, "" if it has none."""
        return self._own(4)

    @property
    def address6(self) -> str:
        """The IPv6 one."""
        return self._own(6)

    def _own(self, family: int) -> str:
        network = self.engine.network(DEFAULT_NETWORK)
        for subnet in network.subnets if network else ():
            within = ipaddress.ip_network(subnet.subnet, strict=False)
            for text in self.addresses:
                interface = ipaddress.ip_interface(text)
                if within.version == family == interface.version and interface.ip in within:
                    return text
        return ""

    def in_order(self) -> Tuple[Container, ...]:
        """The running containers, the one that runs longest first; Swarm's tasks are Swarm's to bring back."""
        own = (one for one in self.engine.running() if one.id not in self.tasks)
        return tuple(sorted(own, key=lambda one: self.since.get(one.id, "")))


def read_situation(api: Api, store: Store) -> Situation:
    """Read all of it. The configuration first: what is broken there is the reason why no engine answers.

    Raises InvalidValue, MissingOnHost, Conflict, KernelRefused; changes nothing.
    """
    socket, stale, files = True, False, None
    dependents: Tuple[str, ...] = ()
    if service.detect() == service.SYSTEMD:
        files = service.unit_files()
        if not files.installed:
            raise MissingOnHost("docker.service: Docker is not installed on this host as a service")
        socket, stale, dependents = files.socket_active, files.stale, files.dependents
    configuration = read_configuration(files)
    bridge = configuration.value("bridge")
    if bridge:
        place = configuration.settings["bridge"].places[0].words
        raise Conflict(f"bridge: Docker uses {bridge} in place of {DEFAULT_BRIDGE} ({place}); take that option out")
    engine = _engine(api, configuration)
    return Situation(
        engine,
        configuration,
        docker0_addresses(),
        read_host_routes(docker_bridges(engine.networks)),
        store.origin(),
        {container.id: _started(api, container) for container in engine.running()},
        socket,
        stale,
        dependents,
        tuple(str(entry["Id"]) for entry in api.get(f"/containers/json?filters={_TASKS}")),
    )


def _engine(api: Api, configuration: Configuration) -> Engine:
    try:
        return read_engine(api)
    except MissingOnHost as error:
        for line in configuration.twice:
            error.append(line)
        if not api.answers():
            error.append(
                "Docker must run before docker0 can get another address: start it first (systemctl status docker)"
            )
        raise


def _started(api: Api, container: Container) -> str:
    answer: Any = api.get(f"/containers/{container.id}/json")
    return str(answer["State"]["StartedAt"])


def docker0_addresses() -> Tuple[str, ...]:
    """docker0's addresses with prefix length; IPv6 link-local ones aren't counted."""
    with Channel() as channel:
        link = read_links(channel).get(DEFAULT_BRIDGE)
        if link is None:
            return ()
        found = read_addresses(channel).get(link.index, ())
    plain = [address.address for address in found]
    return tuple(text for text in plain if not ipaddress.ip_interface(text).is_link_local or ":" not in text)
