# SPDX-License-Identifier: GPL-3.0-or-later
"""What is there before anything is changed: the engine, its configuration, docker0, the host's routes, our memory."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import re
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
from ..process import Process, by_pid_file, executable, groups, listener, start_of
from ..process import running as running_dockerd
from ..routes import HostRoute, docker_bridges, read_host_routes
from .memory import Origin, Store

_STOPPED = "Docker must run before docker0 can get another address: start it first (systemctl status docker)"
_NOT_LOADED = {
    "not-found": "Docker is not installed on this host as a service",
    "masked": "it is masked, so Docker wouldn't start again; unmask it (systemctl unmask docker.service)",
}
_UNIT = (".service", ".conf")
_CONDITION = re.compile(r"^[ \t]*(?:Condition|Assert)\w+[ \t]*=", re.MULTILINE)
_OWN_PROGRAMS = ("dockerd", "docker-proxy", "systemd")
_TASKS = quote(json.dumps({"label": ["com.docker.swarm.task"]}))


class Listening(NamedTuple):
    """A program that listens at an address, in words; ``part`` is what it is a part of, if that stops with Docker."""

    address: str
    words: str
    part: str = ""


class Situation(NamedTuple):
    """``addresses`` are docker0's with prefix length.

    ``socket``: docker.socket listens, at ``listens``; ``stale``: systemd has yet to read a changed unit file;
    ``dependents``: the units that stop when Docker does; ``tasks``: the containers, by id, that Swarm replaces by
    itself; ``process``: the dockerd that runs, None where it isn't seen; ``sockets``: other programs that listen at
    docker0's addresses; ``changed``: those of its files that somebody wrote after its start; ``hindrances``: why
    systemd wouldn't stop and start it, a line each.
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
    sockets: Tuple[Listening, ...] = ()
    changed: Tuple[str, ...] = ()
    hindrances: Tuple[str, ...] = ()

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
    """Read all of it. Raises InvalidValue, MissingOnHost, Conflict, KernelRefused; changes nothing."""
    found = read_host(api, store)
    bridge = found.configuration.settings["bridge"]
    if bridge.value:
        place = bridge.places[0].words
        raise Conflict(
            f"bridge: Docker uses {bridge.value} in place of {DEFAULT_BRIDGE} ({place}); take that option out"
        )
    return found._replace(
        routes=read_host_routes(docker_bridges(found.engine.networks)),
        tasks=tuple(str(entry["Id"]) for entry in api.get(f"/containers/json?filters={_TASKS}")),
        sockets=_sockets(found.addresses, found.engine.running(), found.dependents),
    )


def read_host(api: Api, store: Store, engine: Optional[Engine] = None) -> Situation:
    """The engine, its files and its service; the configuration first: what is broken there is why no engine answers.

    ``engine`` spares the question where it was asked already. Raises as read_situation does.
    """
    files = None
    if service.detect() == service.SYSTEMD:
        files = service.unit_files()
        if not files.installed:
            raise _not_a_service(api, files)
    running = running_dockerd(files.main_pid if files is not None else by_pid_file())
    configuration = read_configuration(files, running)
    if files is not None:
        _demand_own(api, files, running, configuration)
    found = Situation(
        engine or _engine(api, configuration),
        configuration,
        docker0_addresses(),
        origin=store.origin(),
        process=running,
    )
    found = found._replace(changed=_changed_since(running, configuration, found.origin))
    if files is None:
        return found
    return found._replace(
        socket=files.socket_active,
        stale=files.stale,
        dependents=files.dependents,
        listens=files.listens,
        hindrances=(*files.hindrances, *_unmet(configuration)),
    )


def _unmet(configuration: Configuration) -> Tuple[str, ...]:
    """Conditions of the unit that aren't met by now: systemd would pass over its start, and call that a success."""
    if not any(_CONDITION.search(text or "") for path, text in configuration.texts.items() if path.endswith(_UNIT)):
        return ()
    said = service.unmet_conditions()
    return tuple(f"docker.service: {line}; it wouldn't start again" for line in said)


def _changed_since(
    running: Optional[Process], configuration: Configuration, origin: Optional[Origin]
) -> Tuple[str, ...]:
    """The files that were written after dockerd's start, but for those that hold what we wrote.

    By the time of the last change, which moving another file there, or a backup's time, doesn't set back.
    """
    began = start_of(running.pid) if running is not None else None
    written = origin.written if origin is not None else {}
    found = []
    for path, text in configuration.texts.items():
        if began is not None and text is not None and written.get(path) != text:
            with contextlib.suppress(OSError):
                if os.stat(path).st_ctime > began:
                    found.append(path)
    return tuple(sorted(found))


def _not_a_service(api: Api, files: service.UnitFiles) -> MissingOnHost:
    words = _NOT_LOADED.get(files.state, f"systemd can't load it ({files.state})")
    error = MissingOnHost(f"docker.service: {words}")
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


def _sockets(
    addresses: Tuple[str, ...], running: Tuple[Container, ...] = (), dependents: Tuple[str, ...] = ()
) -> Tuple[Listening, ...]:
    """Who listens at docker0's addresses besides Docker and systemd, which listens for docker.socket."""
    listening = listeners_at([address.partition("/")[0] for address in addresses])
    held = holders([one.inode for one in listening]) if listening else {}
    found = []
    for one in listening:
        words = held.get(one.inode, "a program")
        if words.partition(" ")[0] not in _OWN_PROGRAMS:
            pid = words.rpartition(" ")[2].rstrip(")")
            part = _part_of(int(pid), running, dependents) if pid.isdigit() else ""
            found.append(Listening(one.address, f"{words}, port {one.port}/{one.protocol}", part))
    return tuple(found)


def _part_of(pid: int, running: Tuple[Container, ...], dependents: Tuple[str, ...]) -> str:
    """The container on the host's network, or the unit, that stops with Docker and whose process this is."""
    where = groups(pid)
    found = [f"container {one.name}" for one in running if one.id in where]
    return next(iter([*found, *(f"unit {name}" for name in dependents if f"/{name}" in where)]), "")


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
