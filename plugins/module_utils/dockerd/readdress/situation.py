# SPDX-License-Identifier: GPL-3.0-or-later
"""What is there before anything is changed: the engine, its configuration, docker0, the host's routes, our memory."""

from __future__ import annotations

import ipaddress
import json
from typing import NamedTuple, Optional, Tuple
from urllib.parse import quote

from ...docker_api import Api
from ...errors import Conflict, MissingOnHost
from ...rtnetlink.addresses import read_addresses
from ...rtnetlink.channel import Channel
from ...rtnetlink.links import read_links
from ...sockets import holders, listeners_at
from .. import service
from ..configuration import Configuration, read_configuration
from ..facts import read_engine
from ..model import DEFAULT_BRIDGE, DEFAULT_NETWORK, Container, Engine
from ..process import Process, by_pid_file, executable, listener
from ..process import running as running_dockerd
from ..routes import HostRoute, docker_bridges, read_host_routes
from .memory import Origin, Store

_STOPPED = "Docker must run before docker0 can get another address: start it first (systemctl status docker)"
_OWN_PROGRAMS = ("dockerd", "docker-proxy", "systemd")
_TASKS = quote(json.dumps({"label": ["com.docker.swarm.task"]}))


class Situation(NamedTuple):
    """``addresses`` are docker0's with prefix length.

    ``socket``: docker.socket listens, at ``listens``; ``stale``: systemd has yet to read a changed unit file;
    ``dependents``: the units that stop when Docker does; ``tasks``: the containers, by id, that Swarm replaces by
    itself; ``process``: the dockerd that runs, None where it isn't seen; ``sockets``: (address, who in words) of other
    programs that listen at docker0's addresses.
    """

    engine: Engine
    configuration: Configuration
    addresses: Tuple[str, ...]
    routes: Tuple[HostRoute, ...] = ()
    origin: Optional[Origin] = None
    socket: bool = True
    stale: bool = False
    dependents: Tuple[str, ...] = ()
    tasks: Tuple[str, ...] = ()
    process: Optional[Process] = None
    listens: Tuple[str, ...] = ()
    sockets: Tuple[Tuple[str, str], ...] = ()

    @property
    def arguments(self) -> Tuple[str, ...]:
        """dockerd's arguments: as its files say, or, where they start it by way of another program, as it runs."""
        if self.configuration.program is not None and self.process is not None:
            return self.process.arguments
        return self.configuration.command

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
        return tuple(sorted(own, key=lambda one: one.started))


def read_situation(api: Api, store: Store) -> Situation:
    """Read all of it. The configuration first: what is broken there is the reason why no engine answers.

    Raises InvalidValue, MissingOnHost, Conflict, KernelRefused; changes nothing.
    """
    files = None
    if service.detect() == service.SYSTEMD:
        files = service.unit_files()
        if not files.installed:
            raise _not_a_service(api)
    configuration = read_configuration(files)
    bridge = configuration.value("bridge")
    if bridge:
        place = configuration.settings["bridge"].places[0].words
        raise Conflict(f"bridge: Docker uses {bridge} in place of {DEFAULT_BRIDGE} ({place}); take that option out")
    running = running_dockerd(files.main_pid if files is not None else by_pid_file())
    if files is not None:
        _demand_own(api, files, running, configuration)
    engine = _engine(api, configuration)
    addresses = docker0_addresses()
    found = Situation(
        engine,
        configuration,
        addresses,
        read_host_routes(docker_bridges(engine.networks)),
        store.origin(),
        tasks=tuple(str(entry["Id"]) for entry in api.get(f"/containers/json?filters={_TASKS}")),
        process=running,
        sockets=_sockets(addresses),
    )
    if files is None:
        return found
    return found._replace(
        socket=files.socket_active, stale=files.stale, dependents=files.dependents, listens=files.listens
    )


def _not_a_service(api: Api) -> MissingOnHost:
    error = MissingOnHost("docker.service: Docker is not installed on this host as a service")
    other = listener(api.path)
    if other is not None and other.pid != 1:
        error.append(f"what answers at {api.path} is {_words(other)}, which is left alone")
    return error


def _demand_own(api: Api, files: service.UnitFiles, running: Optional[Process], configuration: Configuration) -> None:
    """Refuse an engine that docker.service isn't: stopping one and asking the other would end badly for both.

    Raises Conflict, and MissingOnHost where docker.service is stopped; connecting to docker.socket would start it.
    """
    other = None if not files.active and files.socket_active else listener(api.path)
    if other is not None and other.pid != 1 and (not files.active or (running and other.pid != running.pid)):
        state = "runs, too" if files.active else "is stopped"
        raise Conflict(
            f"docker.service: {state}, but what answers at {api.path} is {_words(other)}; there are two engines on this"
            f" host, and both would have {DEFAULT_BRIDGE}: keep one of them"
        )
    if not files.active:
        raise MissingOnHost([f"docker.service: {_STOPPED}", *configuration.twice])


def _words(other: Process) -> str:
    program = executable(other.pid) or " ".join(other.command[:1]) or "a program that can't be seen"
    return f"{program} (process {other.pid})"


def _sockets(addresses: Tuple[str, ...]) -> Tuple[Tuple[str, str], ...]:
    """Who listens at docker0's addresses besides Docker and systemd, which listens for docker.socket."""
    found = listeners_at([address.partition("/")[0] for address in addresses])
    names = holders([one.inode for one in found]) if found else {}
    return tuple(
        (one.address, f"{names.get(one.inode, 'a program')}, port {one.port}/{one.protocol}")
        for one in found
        if names.get(one.inode, "").partition(" ")[0] not in _OWN_PROGRAMS
    )


def _engine(api: Api, configuration: Configuration) -> Engine:
    try:
        return read_engine(api)
    except MissingOnHost as error:
        for line in configuration.twice:
            error.append(line)
        if not api.answers():
            error.append(_STOPPED)
        raise


def docker0_addresses() -> Tuple[str, ...]:
    """docker0's addresses with prefix length; IPv6 link-local ones aren't counted."""
    with Channel() as channel:
        link = read_links(channel).get(DEFAULT_BRIDGE)
        if link is None:
            return ()
        found = read_addresses(channel).get(link.index, ())
    plain = [address.address for address in found]
    return tuple(text for text in plain if not ipaddress.ip_interface(text).is_link_local or ":" not in text)
