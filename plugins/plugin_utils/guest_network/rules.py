# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules between networks and guests. None looks at each pair: there may be thousands of guests."""

from __future__ import annotations

import re
from typing import Dict, Iterator, List, Optional, Sequence, Tuple

from ansible_collections.hostwire.linux.plugins.module_utils.document.fields import HOST_NAME

from ..subnets import Named, overlaps
from .model import BRIDGED, INTERNAL, NAT, ROUTED, Guest, Network, Nic, Plugged, Port, Setup
from .names import link_name, router, services

_LEASE_TIME = re.compile(r"infinite|ignore|[0-9]+[smhdw]", re.ASCII)  # words of dnsmasq's beside a name


def rule_problems(setup: Setup) -> List[str]:
    """One line per broken rule."""
    networks = [network for network in setup.networks if network.present]
    return [
        *_twice([(f"{network.path}.name", network.name) for network in setup.networks], "network"),
        *_twice([(f"{guest.path}.name", guest.name) for guest in setup.guests], "guest"),
        *_uplinks(networks),
        *_overlapping(networks),
        *_transfers(setup, networks),
        *(line for guest in setup.guests for line in _guest_problems(guest, {n.name: n for n in networks})),
        *(line for network in networks for line in _addresses(network, setup.plugged[network.name])),
        *(line for network in networks for line in _asking(network, setup.plugged[network.name])),
        *_namespaces(setup, networks),
        *_links(setup, networks),
        *_published(setup),
    ]


def _twice(named: Sequence[Tuple[str, str]], what: str) -> Iterator[str]:
    first: Dict[str, str] = {}
    for path, name in named:
        if first.setdefault(name, path) != path:
            yield f'{path}: {what} "{name}" is there already, in {first[name]}'


def _uplinks(networks: Sequence[Network]) -> Iterator[str]:
    """A card is in one switch at most, and what is in a switch routes no more: the switch does."""
    bridged: Dict[str, Network] = {}
    for network in networks:
        if network.mode == BRIDGED and bridged.setdefault(str(network.uplink), network) is not network:
            other = bridged[str(network.uplink)]
            yield f"{network.path}.uplink: {network.uplink} is in network {other.name} already, in {other.path}.uplink"
    for network in networks:
        if network.mode == ROUTED and network.uplink in bridged:
            other = bridged[network.uplink]
            yield f"{network.path}.uplink: {network.uplink} goes into network {other.name}; say uplink: {other.name}"


def _overlapping(networks: Sequence[Network]) -> Iterator[str]:
    """Subnets that the host itself has addresses of. Those behind routers, and internal ones, may be equal."""
    places: Dict[str, str] = {}
    for network in networks:
        keys = ("transfer", "transfer6") if network.mode == NAT else ("subnet", "subnet6")
        for key in () if network.mode in (BRIDGED, INTERNAL) else keys:
            if getattr(network, key) is not None:
                places[f"{network.path}.{key}"] = str(getattr(network, key))
    for a, b in overlaps([Named(path, subnet) for path, subnet in places.items()]):
        yield f"{b.name}: {b.subnet} overlaps {a.subnet}, in {a.name}; give one of them another subnet"


def _transfers(setup: Setup, networks: Sequence[Network]) -> Iterator[str]:
    """Each guest in mode nat has a router, which has an address outside and another subnet inside."""
    for network in networks:
        for key, outside, inside in (
            ("transfer", network.transfer, network.subnet),
            ("transfer6", network.transfer6, network.subnet6),
        ):
            if outside is None or inside is None:
                continue
            guests, last = len(setup.plugged[network.name]), 1 if outside.version == 4 else 0
            if guests > outside.size - 2 - last:
                yield f"{network.path}.{key}: {outside} has no room for the host and {guests} routers; make it larger"
            if outside.first <= inside.last and inside.first <= outside.last:
                yield f"{network.path}.{key}: {outside} overlaps {inside}, the subnet of the guests"


def _guest_problems(guest: Guest, networks: Dict[str, Network]) -> Iterator[str]:
    names: Dict[str, Nic] = {}
    rooms: Dict[str, Nic] = {}
    defaults: List[Nic] = []
    subnets: List[Named] = []
    for nic in guest.nics:
        if guest.kind != "vm" and names.setdefault(nic.name, nic) is not nic:
            yield f'{nic.path}.name: interface "{nic.name}" is there already, in {names[nic.name].path}'
        if rooms.setdefault(nic.network, nic) is not nic:
            yield f"{nic.path}.network: {guest.name} is in network {nic.network} already, in {rooms[nic.network].path}"
            continue
        if nic.default_route:
            defaults.append(nic)
        yield from _leading_nowhere(nic)
        network = networks.get(nic.network)
        subnets += [Named(nic.path, str(subnet)) for subnet in (network.subnets if network else ())]
    for nic in defaults[1:]:
        yield f"{nic.path}.default_route: {guest.name} has a default route already, in {defaults[0].path}"
    for a, b in overlaps(subnets):
        yield f"{b.name}.network: {b.subnet} overlaps {a.subnet}, which {guest.name} has already, in {a.name}"


def _leading_nowhere(nic: Nic) -> Iterator[str]:
    """A port of an IPv4 address leads to an IPv4 address, and so with IPv6."""
    given = {4: nic.address, 6: nic.address6}
    for port in nic.ports if any(given.values()) else ():
        families = [family for family in given if port.is_of(family)]
        if not families:
            yield f"{port.path}.sources: none of them is of the family of {port.address}, so nobody could use it"
        elif not any(given[family] for family in families):
            what = "sources" if port.address == "any" else "address"
            lacking = "address" if families == [4] else "address6"
            yield f"{port.path}.{what}: IPv{families[0]} leads to no IPv{10 - families[0]}; give the NIC an {lacking}"


def _addresses(network: Network, plugged: Sequence[Plugged]) -> Iterator[str]:
    """On a network each address and each MAC address is there once. In mode nat each guest is alone."""
    first: Dict[str, str] = {}
    for member in () if network.mode == NAT else plugged:
        nic = member.nic
        hosts = [
            (key, address.ip) for key, address in (("address", nic.address), ("address6", nic.address6)) if address
        ]
        for key, value in [*hosts, ("mac", nic.mac)]:
            text, path = str(value), f"{nic.path}.{key}"
            if value is not None and first.setdefault(text, path) != path:
                yield f"{path}: {text} is there already, in {first[text]}"


def _asking(network: Network, plugged: Sequence[Plugged]) -> Iterator[str]:
    """Names that a server of the network can know a guest by, and no other: to it capital letters are small ones."""
    first: Dict[str, Guest] = {}
    for member in plugged if network.dhcp.enabled or network.dns.enabled else ():
        name, path = member.guest.name, f"{member.guest.path}.name"
        other = first.setdefault(name.lower(), member.guest)
        if other.name != name and network.mode != NAT:
            yield f'{path}: "{name}" is "{other.name}", in {other.path}.name, to the server of network {network.name}'
        if not HOST_NAME.fullmatch(name):
            yield f'{path}: "{name}" is no name of a host, as the server of network {network.name} needs it'
        elif network.dhcp.enabled and "." in name:
            yield f'{path}: "{name}" has a dot, and a guest asks the DHCP server of network {network.name} without one'
        elif network.dhcp.enabled and _LEASE_TIME.fullmatch(name.lower()):
            yield f'{path}: "{name}" means something else to the DHCP server of network {network.name}'


def _namespaces(setup: Setup, networks: Sequence[Network]) -> Iterator[str]:
    """No two namespaces have one name: guests', routers' and services'."""
    first = {guest.name: f"{guest.path}.name" for guest in setup.guests if guest.kind == "namespace"}
    made = [
        (router(network.name, member.guest.name), member.nic.path, "router")
        for network in networks
        if network.mode == NAT
        for member in setup.plugged[network.name]
    ]
    made += [(services(n.name), n.path, "servers") for n in networks if n.mode == INTERNAL]
    for name, path, what in made:
        if first.setdefault(name, path) != path:
            yield f'{path}: the namespace of its {what} would be "{name}", which is there already, in {first[name]}'


def _links(setup: Setup, networks: Sequence[Network]) -> Iterator[str]:
    """Taps that were given a name of their own don't take somebody else's."""
    first: Dict[str, str] = {network.name: f"{network.path}.name" for network in networks}
    members = [(network, member) for network in networks for member in setup.plugged[network.name]]
    for network, member in members:
        if member.nic.tap is None:
            first.setdefault(link_name(network.name, member.guest.name), member.nic.path)
    for dummy, member in members:
        tap, path = member.nic.tap, f"{member.nic.path}.tap"
        if tap is not None and first.setdefault(tap, path) != path:
            yield f'{path}: interface "{tap}" is there already, in {first[tap]}'


def _published(setup: Setup) -> Iterator[str]:
    """A port of an address leads to one guest; ``any`` is each address."""
    groups: Dict[str, List[Port]] = {}
    for guest in setup.guests:
        for nic in guest.nics:
            for port in nic.ports:
                groups.setdefault(port.protocol, []).append(port)
    for group in groups.values():
        reached: Dict[Optional[str], Port] = {}  # by address, the port published so far that reaches furthest
        for port in sorted(group, key=lambda port: port.first):
            rivals = [reached.get(None)] if port.address == "any" else [reached.get("any"), reached.get(port.address)]
            for other in rivals:
                if other is not None and other.last >= port.first:
                    yield f"{port.path}.port: {port.protocol} {port.first} is published already, in {other.path}.port"
                    break
            for key in (port.address, None):
                held = reached.get(key)
                if held is None or held.last < port.last:
                    reached[key] = port
