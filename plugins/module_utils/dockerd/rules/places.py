# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine writes rules for: its bridges as one family sees them, addresses and published ports. Pure."""

from __future__ import annotations

from ipaddress import ip_address, ip_interface
from typing import Dict, Iterator, List, Mapping, NamedTuple, Optional, Tuple

from ..model import Container, Endpoint, Engine, Network

_OPTION = "com.docker.network."
_WIDTH = {4: 32, 6: 128}


class Bridge(NamedTuple):
    """A bridge network in one family.

    ``mode`` is nat, routed, nat-unprotected or isolated; ``source`` the address that packets leave with instead of the
    outgoing link's; ``trusted`` the links from which containers may be reached past their published ports.
    """

    name: str
    subnet: str
    internal: bool = False
    icc: bool = True
    masquerade: bool = True
    mode: str = "nat"
    source: str = ""
    trusted: Tuple[str, ...] = ()


class Port(NamedTuple):
    """A published port in one family; ``host_address`` "" is every address, ``host_port`` 0 is routed without NAT."""

    bridge: Bridge
    address: str
    protocol: str
    port: int
    host_address: str
    host_port: int


class Places(NamedTuple):
    """All of one family. ``addresses``: each running container's, with the bridge it is on."""

    family: int
    bridges: Tuple[Bridge, ...]
    addresses: Tuple[Tuple[Bridge, str], ...]
    ports: Tuple[Port, ...]


def places(engine: Engine, family: int, carriers: Optional[Mapping[str, str]] = None) -> Places:
    """What the engine has in ``family`` (4 or 6).

    ``carriers`` (container's id to network's name) says which of its networks a container's ports are published in;
    where it doesn't, it is the first that isn't internal, as the engine chooses.
    """
    by_network = {
        network.name: bridge
        for network in engine.networks
        for bridge in [_bridge(network, family, engine.release)]
        if bridge is not None
    }
    addresses: List[Tuple[Bridge, str]] = []
    ports: List[Port] = []
    for container in engine.running():
        for endpoint in container.endpoints:
            address = _address(endpoint, family)
            if address and endpoint.network in by_network:
                addresses.append((by_network[endpoint.network], address))
        carrier = carrier_of(container, engine, family, carriers or {})
        if carrier is not None and carrier.network in by_network:
            ports += _ports(container, carrier, by_network[carrier.network], family)
    return Places(family, tuple(by_network.values()), tuple(addresses), tuple(ports))


def exact(address: str, family: int) -> str:
    """One address as iptables-save prints it: with the family's whole prefix length."""
    return f"{ip_address(address)}/{_WIDTH[family]}"


def carrier_of(container: Container, engine: Engine, family: int, chosen: Mapping[str, str]) -> Optional[Endpoint]:
    """The endpoint that a container's ports are published through."""
    external = [endpoint for endpoint in container.endpoints if _leads_out(engine.network(endpoint.network))]
    name = chosen.get(container.id)
    wanted = [endpoint for endpoint in external if endpoint.network == name]
    if engine.release >= (28, 0, 0) and not wanted:  # one gateway for each family
        external = [endpoint for endpoint in external if _address(endpoint, family)]
    return next(iter(wanted or external), None)


def carriers_in(engine: Engine, lines: List[str]) -> Dict[str, str]:
    """By the rules that stand there: the network that the ports of each container in several networks go through."""
    found: Dict[str, str] = {}
    text = "\n".join(lines) + "\n"
    for container in engine.running():
        if len(container.endpoints) < 2 or not container.ports:
            continue
        for endpoint in container.endpoints:
            if endpoint.ipv4 and f"--to-destination {endpoint.ipv4}:" in text:
                found[container.id] = endpoint.network
    return found


def _leads_out(network: Optional[Network]) -> bool:
    return network is not None and not network.internal and network.driver not in ("null", "host")


def _address(endpoint: Endpoint, family: int) -> str:
    return endpoint.ipv4 if family == 4 else endpoint.ipv6


def _subnet(network: Network, family: int) -> str:
    for entry in network.subnets:
        if entry.subnet:
            found = ip_interface(entry.subnet).network
            if found.version == family and (family == 4 or network.ipv6):
                return str(found)
    return ""


def _bridge(network: Network, family: int, release: Tuple[int, ...]) -> Optional[Bridge]:
    subnet = _subnet(network, family)
    if not network.bridge or not subnet:
        return None
    option = network.options.get
    mode = option(f"{_OPTION}bridge.gateway_mode_ipv{family}") or "nat"
    if release < (27, 0, 0):
        mode = "nat"
    trusted = option(f"{_OPTION}bridge.trusted_host_interfaces") or ""
    return Bridge(
        name=network.bridge,
        subnet=subnet,
        internal=network.internal,
        icc=_true(option(f"{_OPTION}bridge.enable_icc")),
        masquerade=_true(option(f"{_OPTION}bridge.enable_ip_masquerade")) and not network.internal,
        mode=mode,
        source=option(f"{_OPTION}host_ipv{family}") or "",
        trusted=tuple(filter(None, trusted.split(":"))),
    )


def _true(value: Optional[str]) -> bool:
    """An option of a network, which is on unless it is put off (Go's strconv.ParseBool)."""
    return (value or "true").lower() not in ("0", "f", "false")


def _ports(container: Container, endpoint: Endpoint, bridge: Bridge, family: int) -> Iterator[Port]:
    address = _address(endpoint, family)
    if not address:
        return
    elsewhere = container.ipv6_only if family == 4 else container.ipv4_only
    for port in container.ports:
        if port in elsewhere:
            continue
        if port.address and ip_address(port.address).version != family:
            continue
        if port.host_port or bridge.mode == "routed":
            yield Port(bridge, address, port.protocol, port.port, port.address, port.host_port)
