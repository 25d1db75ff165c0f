# SPDX-License-Identifier: GPL-3.0-or-later
"""What the Docker engine says of itself, as values. Imports nothing of ours."""

from __future__ import annotations

from typing import Dict, NamedTuple, Optional, Tuple

# The network that containers are in unless told otherwise, and its bridge.
DEFAULT_NETWORK = "bridge"
DEFAULT_BRIDGE = "docker0"


class Subnet(NamedTuple):
    """One range of a network; ``gateway`` is without prefix length, "" where the engine tells none."""

    subnet: str
    gateway: str = ""
    ip_range: str = ""


class Network(NamedTuple):
    """A network of the engine. ``bridge`` is its link's name on the host where the driver is bridge, else ""."""

    id: str
    name: str
    driver: str
    bridge: str = ""
    internal: bool = False
    ipv6: bool = False
    subnets: Tuple[Subnet, ...] = ()
    options: Dict[str, str] = {}


class Endpoint(NamedTuple):
    """A container's place in one network.

    Addresses are bare, "" where it has none (now). The ``static`` ones are those its user asked for: the engine insists
    on them at each start.
    """

    network: str
    ipv4: str = ""
    ipv6: str = ""
    mac: str = ""
    static_ipv4: str = ""
    static_ipv6: str = ""


class PublishedPort(NamedTuple):
    """A container's port on the host. ``address`` "" is every address; ``host_port`` 0 is one that it chooses."""

    protocol: str
    port: int
    address: str
    host_port: int


class Container(NamedTuple):
    """A container, running or not.

    ``policy`` is its restart policy: no, always, unless-stopped or on-failure. ``health`` is healthy, unhealthy or
    starting, "" without a check. ``mode`` is its network mode: a network's name or id, host, none, container:ID.
    ``auto_remove``: it is gone for good once it stops (docker run --rm). ``ipv4_only`` are those of ``ports`` that are
    published at every IPv4 address (0.0.0.0) and at no IPv6 one, ``ipv6_only`` the other way round. ``started`` is the
    engine's time of its last start. ``settings`` are those that may name an address, each with its value, which is
    nobody's to read but for that. ``first_check``: seconds from its start to its first check of health.
    """

    id: str
    name: str
    running: bool
    paused: bool = False
    status: str = ""
    policy: str = "no"
    mode: str = ""
    health: str = ""
    auto_remove: bool = False
    pid: int = 0
    endpoints: Tuple[Endpoint, ...] = ()
    ports: Tuple[PublishedPort, ...] = ()
    ipv4_only: Tuple[PublishedPort, ...] = ()
    ipv6_only: Tuple[PublishedPort, ...] = ()
    started: str = ""
    restarts: int = 0
    settings: Tuple[Tuple[str, str], ...] = ()
    first_check: float = 0.0

    @property
    def rests(self) -> bool:
        """Whether it is stopped though Docker starts it with every start of its own."""
        return not self.running and self.policy == "always" and self.status != "created"

    def endpoint(self, network: str) -> Optional[Endpoint]:
        """Its place in a network, None if it isn't in there."""
        return next((endpoint for endpoint in self.endpoints if endpoint.network == network), None)


class Engine(NamedTuple):
    """An engine as it was read. ``firewall`` is the driver it says (API 1.49 on), "" before.

    ``root`` and ``storage`` are its directory and its storage driver; ``traits`` is what else it says of itself, by
    the key of daemon.json that chooses it. ``swarm`` is "manager", "worker" or "", and
    ``swarm_pools`` the ranges that Swarm takes its networks' subnets from, which only managers know.
    """

    version: str
    api: str
    live_restore: bool
    firewall: str = ""
    networks: Tuple[Network, ...] = ()
    containers: Tuple[Container, ...] = ()
    root: str = ""
    storage: str = ""
    swarm: str = ""
    swarm_pools: Tuple[str, ...] = ()
    traits: Dict[str, Tuple[str, ...]] = {}

    @property
    def release(self) -> Tuple[int, ...]:
        """The version in numbers: (28, 5, 2) of "28.5.2+dfsg4"."""
        return release(self.version)

    def network(self, name: str) -> Optional[Network]:
        """The network of this name, None if there is none."""
        return next((network for network in self.networks if network.name == name), None)

    def running(self) -> Tuple[Container, ...]:
        """The containers that run."""
        return tuple(container for container in self.containers if container.running)


def release(version: str) -> Tuple[int, ...]:
    """The leading numbers of a version, three of them: (20, 10, 24) of "20.10.24+dfsg1"."""
    numbers = []
    for part in version.split(".")[:3]:
        digits = ""
        for character in part:
            if not character.isdigit():
                break
            digits += character
        numbers.append(int(digits or 0))
    return tuple(numbers + [0] * (3 - len(numbers)))
