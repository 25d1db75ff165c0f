# SPDX-License-Identifier: GPL-3.0-or-later
"""The networks that documents make here, and the documents, in sets."""

from __future__ import annotations

import ipaddress
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from ansible_collections.hostwire.linux.plugins.filter.guests import FilterModule

Document = Dict[str, Any]
MASQUERADED, HOST_ONLY, INTERNAL, ROUTED, NAT = "masqueraded", "host_only", "internal", "routed", "nat"

HOST = {4: "192.168.1.2", 6: "2001:db8:1::2"}
NAS = {4: "192.168.1.50", 6: "2001:db8:1::50"}
ALLOWED = {4: "192.168.1.3", 6: "2001:db8:1::3"}  # who may use the port with sources


class Network(NamedTuple):
    """One of a kind. ``number`` is in its addresses; ``from_host``: whether the host may connect to its guests."""

    name: str
    kind: str
    number: int
    from_host: bool = True

    @property
    def prefixes(self) -> Dict[int, str]:
        if self.kind == NAT:
            return {4: "100.64.0.0/24", 6: "fd64::/64"}
        return {4: f"10.{self.number}.0.0/24", 6: f"fd00:{self.number}::/64"}

    def address(self, family: int, number: int) -> str:
        """That of the host is 1; of the guests, or in mode nat of their routers, 2 and 3."""
        return str(ipaddress.ip_network(self.prefixes[family])[number])

    def holds(self, address: str) -> bool:
        return ipaddress.ip_address(address) in _NETWORKS[self.prefixes[6 if ":" in address else 4]]

    @property
    def guests(self) -> Tuple[str, str]:
        return f"{self.name}.a", f"{self.name}.b"

    @property
    def leads_out(self) -> bool:
        return self.kind in (MASQUERADED, ROUTED, NAT)

    @property
    def translated(self) -> bool:
        return self.kind in (MASQUERADED, NAT)


FIRST = Network("one", MASQUERADED, 1)
SECOND = Network("two", MASQUERADED, 2, from_host=False)
DESK = Network("desk", HOST_ONLY, 3)
LAB = Network("lab", INTERNAL, 4, from_host=False)
BRANCH = Network("branch", ROUTED, 5)
ALONE = Network("alone", NAT, 6, from_host=False)
ALL = (FIRST, SECOND, DESK, LAB, BRANCH, ALONE)
_NETWORKS = {text: ipaddress.ip_network(text) for network in ALL for text in network.prefixes.values()}
BEHIND_ROUTER = {4: "10.0.6.15", 6: "fd00:6::15"}  # each guest of mode nat
INSIDE_ROUTER = {4: "10.0.6.2", 6: "fd00:6::2"}


class Port(NamedTuple):
    """A published port: at 127.0.0.1 (``loopback``) or everywhere, to a place's port."""

    name: str
    number: int
    place: str
    to_port: int
    loopback: bool = False
    sources: bool = False


PORTS = (
    Port("loopback", 5001, "one.a", 80, loopback=True),
    Port("any", 5002, "one.a", 81),
    Port("sources", 5003, "one.a", 82, sources=True),
    Port("nas", 5004, "nas", 83),
)
NAT_PORT = Port("nat", 5006, "alone.a", 80)


def _ports() -> List[Document]:
    entries = []
    for port in PORTS:
        for family in (4,) if port.loopback else (4, 6):
            target = FIRST.address(family, 2) if port.place == "one.a" else NAS[family]
            to = f"[{target}]:{port.to_port}" if family == 6 else f"{target}:{port.to_port}"
            for protocol in ("tcp", "udp"):
                entry: Document = {"protocol": protocol, "port": str(port.number), "to": to}
                entry.update({} if port.loopback else {"address": "any"})
                entry.update({"sources": [f"{ALLOWED[family]}/{128 if family == 6 else 32}"]} if port.sources else {})
                entries.append(entry)
    return entries


def part(network: Network) -> Document:
    """What a document says of a network; its guests' namespaces are there."""
    bridge: Document = {"name": network.name}
    guests = {
        MASQUERADED: None if network.from_host else {"from_host": False},
        HOST_ONLY: {"outside": False},
        INTERNAL: {"to_host": False, "from_host": False, "outside": False},
        ROUTED: {},
    }[network.kind]
    if guests is not None:
        bridge["guests"] = guests
    lengths = {4: 24, 6: 64}

    def addresses(number: int) -> List[str]:
        return [f"{network.address(family, number)}/{length}" for family, length in lengths.items()]

    if network.kind != INTERNAL:
        bridge["addresses"] = addresses(1)
    document: Document = {"bridges": [bridge], "veths": [], "routes": []}
    for number, guest in enumerate(network.guests, 2):
        peer = {"name": "eth0", "netns": guest, "addresses": addresses(number)}
        document["veths"].append({"name": f"v-{guest}", "bridge": network.name, "peer": peer})
        if network.kind != INTERNAL:
            document["routes"] += [
                {"netns": guest, "to": "default", "via": network.address(family, 1)} for family in lengths
            ]
    if network.leads_out:
        document["forwarding"] = {"ipv4": True, "ipv6": True}
    if network.kind == MASQUERADED:
        document["masquerade"] = [{"source": network.prefixes[family], "except_to": network.name} for family in lengths]
    if network.kind == ROUTED:
        document["interfaces"] = [{"name": "eth0"}]
    return document


def document(name: str, *parts: Document) -> Document:
    """One document out of several parts."""
    merged: Document = {"name": name}
    for each in parts:
        for section, value in each.items():
            merged[section] = [*merged.get(section, []), *value] if isinstance(value, list) else value
    return merged


def nat_documents() -> List[Document]:
    """Those of a network of mode nat, without the one of the guests' namespaces, which are there."""
    network = {"name": ALONE.name, "mode": "nat", "subnet": "10.0.6.0/24", "subnet6": "fd00:6::/64"}
    guests = []
    for guest in ALONE.guests:
        ports = [
            {"protocol": protocol, "port": NAT_PORT.number, "to_port": NAT_PORT.to_port, "address": "any"}
            for protocol in ("tcp", "udp")
        ]
        nic = {"network": ALONE.name, "published_ports": ports if guest == NAT_PORT.place else []}
        guests.append({"name": guest, "nics": [nic]})
    found: List[Document] = FilterModule().filters()["guest_documents"]([network], guests)
    return [each for each in found if each["name"] != "guest-namespaces"]


PUBLISHED: Document = {"published_ports": _ports()}


def _alone(network: Network, *more: Document) -> List[Document]:
    return [document(network.name, part(network), *more)]


class Documents(NamedTuple):
    """A set: its networks, and its documents in blocks of which the order doesn't matter."""

    networks: Tuple[Network, ...]
    blocks: Callable[[], List[List[Document]]]


SETS: Dict[str, Documents] = {
    "one": Documents((FIRST, SECOND), lambda: [[document("main", part(FIRST), part(SECOND), PUBLISHED)]]),
    "two": Documents((FIRST, SECOND), lambda: [_alone(FIRST), _alone(SECOND), [document("ports", PUBLISHED)]]),
    "closed": Documents((FIRST, DESK, LAB), lambda: [_alone(FIRST, PUBLISHED), _alone(DESK), _alone(LAB)]),
    "routed": Documents((FIRST, BRANCH), lambda: [_alone(FIRST, PUBLISHED), _alone(BRANCH)]),
    "nat": Documents((FIRST, ALONE), lambda: [_alone(FIRST, PUBLISHED), nat_documents()]),
    "everything": Documents(
        ALL,
        lambda: [
            [document("main", *(part(each) for each in (FIRST, SECOND, DESK, LAB, BRANCH)), PUBLISHED)],
            nat_documents(),
        ],
    ),
    "forwarding": Documents((), lambda: [[{"name": "router", "forwarding": {"ipv4": True, "ipv6": True}}]]),
}


def documents(name: str, backwards: bool = False) -> List[Document]:
    """A set's documents in the order in which they are applied."""
    blocks = SETS[name].blocks()
    return [each for block in (reversed(blocks) if backwards else blocks) for each in block]


def network_of(address: str, networks: Tuple[Network, ...]) -> Optional[Network]:
    """The one that an address is in."""
    return next((network for network in networks if network.holds(address)), None)
