# SPDX-License-Identifier: GPL-3.0-or-later
"""The truth about Docker on a host, as plain values: engine, configuration, docker0, networks, containers, overlaps.

Reads only, and never starts an engine: with systemd, a mere connection to the socket of a stopped one would.
"""

from __future__ import annotations

import os
import shutil
from typing import Any, Dict, Iterable, List, Optional, Tuple

from ..apply import job_records
from ..docker_api import DOCKER_SOCKET, Api
from ..errors import HostwireError, MissingOnHost
from ..rtnetlink.addresses import read_addresses
from ..rtnetlink.channel import Channel
from ..rtnetlink.constants import RT_SCOPE_LINK
from ..rtnetlink.links import read_links
from ..search_path import search_path
from ..state_directory import STATE_DIRECTORY
from .configuration import read_configuration
from .facts import read_engine
from .model import DEFAULT_BRIDGE, Container, Engine, Network
from .options import plain
from .readdress.memory import NAME
from .routes import HostRoute, docker_bridges, overlapping, read_host_routes
from .rules import Asked, asked, read
from .service import SYSTEMD, UnitFiles, detect, unit_files


def info(socket: str = DOCKER_SOCKET) -> Dict[str, Any]:
    """All that docker_info returns. Where there is no engine, or it is stopped, the fields say so and nothing fails."""
    unread: List[str] = []
    unit = _unit(unread)
    engine, reason = _engine(socket, unit)
    networks = engine.networks if engine else ()
    routes = read_host_routes(docker_bridges(networks))
    return {
        "installed": engine is not None or installed(),
        "running": engine is not None,
        "reason": reason,
        "version": engine.version if engine else None,
        "api_version": engine.api if engine else None,
        "live_restore": engine.live_restore if engine else None,
        **_configuration(unit, unread),
        "docker0": read_bridge(),
        "networks": [_network(network) for network in networks],
        "containers": [_container(container) for container in (engine.running() if engine else ())],
        "addresses": read_own_addresses(docker_bridges(networks)),
        "routes": [route._asdict() for route in routes],
        "overlaps": find_overlaps(networks, routes),
        **_rules(engine, unit, unread),
        "broken_off": _broken_off(unread),
        "unread": unread,
    }


def _unit(unread: List[str]) -> Optional[UnitFiles]:
    """What systemd knows of Docker, where there is systemd."""
    try:
        return unit_files() if detect() == SYSTEMD else None
    except HostwireError as problem:
        unread.append(str(problem))
        return None


def _configuration(unit: Optional[UnitFiles], unread: List[str]) -> Dict[str, Any]:
    """The options and where they stand; what can't be read goes to ``unread``."""
    try:
        configuration = read_configuration(unit)
    except HostwireError as problem:
        unread.extend(problem.problems)
        return {"options": {}, "twice": []}
    options = {
        key: {
            "value": plain(setting.value),
            "places": [{"kind": place.kind, "file": place.file, "line": place.line} for place in setting.places],
        }
        for key, setting in configuration.settings.items()
        if setting.given
    }
    return {"options": options, "twice": list(configuration.twice)}


def _rules(engine: Optional[Engine], unit: Optional[UnitFiles], unread: List[str]) -> Dict[str, Any]:
    """The firewall rules: who writes them, by which layout, and what is wrong with them."""
    if engine is None:
        return {"backend": None, "layout": None, "damage": []}
    try:
        options = asked(read_configuration(unit), engine)
    except HostwireError:  # said already
        options = Asked()
    try:
        reading = read(engine, options)
    except (HostwireError, OSError) as problem:
        unread.append(f"firewall rules: {problem}")
        return {"backend": None, "layout": None, "damage": []}
    backend = reading.backend if reading.backend == "nftables" else f"iptables-{reading.backend}"
    damage = [
        {"kind": one.kind, "words": one.text, "rule": one.rule, "repairable": one.repairable} for one in reading.damage
    ]
    return {"backend": backend, "layout": reading.layout.name, "damage": damage}


def _broken_off(unread: List[str]) -> Optional[str]:
    """How far a run of docker_bridge had come that was killed, so that its next run takes it back."""
    try:
        found = job_records.read(STATE_DIRECTORY, NAME)
    except (HostwireError, OSError) as problem:
        unread.append(f"docker_bridge's journal: {problem}")
        return None
    return str(found["phase"]) if found else None


def installed() -> bool:
    """Whether the program dockerd is there."""
    return shutil.which("dockerd", path=search_path()) is not None


def _engine(socket: str, unit: Optional[UnitFiles]) -> Tuple[Optional[Engine], Optional[str]]:
    """The engine, or why nothing is known of one."""
    if unit is not None and not unit.active and socket == DOCKER_SOCKET:
        return None, "Docker is stopped" if installed() else "Docker is not installed"
    try:
        return read_engine(Api(socket)), None
    except MissingOnHost as problem:
        return None, str(problem) if installed() or os.path.exists(socket) else "Docker is not installed"


def read_bridge(name: str = DEFAULT_BRIDGE) -> Dict[str, Any]:
    """The bridge as the kernel has it; addresses that it gave itself (fe80::) are left out."""
    with Channel() as channel:
        link = read_links(channel).get(name)
        addresses = read_addresses(channel).get(link.index, ()) if link else ()
    return {
        "present": link is not None,
        "up": link is not None and link.up,
        "mtu": link.mtu if link else None,
        "addresses": [entry.address for entry in addresses if entry.scope < RT_SCOPE_LINK],
    }


def read_own_addresses(bridges: Iterable[str]) -> List[str]:
    """The host's addresses, bare, save those of these links and those that nobody else reaches."""
    with Channel() as channel:
        links = read_links(channel)
        addresses = read_addresses(channel)
    strange = {links[name].index for name in bridges if name in links}
    return [
        entry.address.partition("/")[0]
        for index, of_link in addresses.items()
        if index not in strange
        for entry in of_link
        if entry.scope < RT_SCOPE_LINK
    ]


def _network(network: Network) -> Dict[str, Any]:
    return {
        "name": network.name,
        "driver": network.driver,
        "bridge": network.bridge or None,
        "internal": network.internal,
        "ipv6": network.ipv6,
        "subnets": [{"subnet": its.subnet, "gateway": its.gateway or None} for its in network.subnets],
    }


def _container(container: Container) -> Dict[str, Any]:
    return {
        "name": container.name,
        "policy": container.policy,
        "health": container.health or None,
        "auto_remove": container.auto_remove,
        "paused": container.paused,
        "network_mode": container.mode,
        "addresses": [
            {
                "network": endpoint.network,
                "ipv4": endpoint.ipv4 or None,
                "ipv6": endpoint.ipv6 or None,
                "static": bool(endpoint.static_ipv4 or endpoint.static_ipv6),
            }
            for endpoint in container.endpoints
        ],
        "ports": [
            {
                "protocol": port.protocol,
                "port": port.port,
                "address": port.address or None,
                "host_port": port.host_port,
            }
            for port in container.ports
        ],
    }


def find_overlaps(networks: Iterable[Network], routes: Iterable[HostRoute]) -> List[Dict[str, Any]]:
    """Each network's subnet that shares an address with a route, and that route."""
    known = tuple(routes)
    return [
        {"network": network.name, "subnet": its.subnet, "route": route._asdict(), "words": route.words()}
        for network in networks
        for its in network.subnets
        if its.subnet
        for route in overlapping(its.subnet, known)
    ]
