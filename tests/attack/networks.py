# SPDX-License-Identifier: GPL-3.0-or-later
"""The networks that documents make here, and the documents, in sets."""

from __future__ import annotations

import functools
import ipaddress
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

from ansible_collections.hostwire.linux.plugins.filter.guests import FilterModule

Document = Dict[str, Any]
MASQUERADED, HOST_ONLY, INTERNAL, ROUTED, NAT = "masqueraded", "host_only", "internal", "routed", "nat"
BARE = "bare"  # a switch of which nothing is said and on which the host has no address
UNADDRESSED = (INTERNAL, BARE)

HOST = {4: "192.168.1.2", 6: "2001:db8:1::2"}
NAS = {4: "192.168.1.50", 6: "2001:db8:1::50"}
ALLOWED = {4: "192.168.1.3", 6: "2001:db8:1::3"}  # who may use the port with sources


class Network(NamedTuple):
    """One of a kind. ``number`` is in its addresses; ``from_host``: whether the host may connect to its guests.

    ``callers``: places beside a port's from which its guests are called though they are kept apart, or the interfaces'
    that the document names where the network is routed. ``router``: whether its first guest is one, of what is BEHIND.
    """

    name: str
    kind: str
    number: int
    from_host: bool = True
    callers: Tuple[str, ...] = ()
    router: bool = False

    @property
    def prefixes(self) -> Dict[int, str]:
        if self.kind == NAT:
            return {4: "100.64.0.0/24", 6: "fd64::/64"}
        if self.kind == BARE:  # within another network's
            return {4: f"10.{self.number}.0.16/28", 6: f"fd00:{self.number}::10/124"}
        return {4: f"10.{self.number}.0.0/24", 6: f"fd00:{self.number}::/64"}

    def address(self, family: int, number: int) -> str:
        """That of the host is 1; of the guests, or in mode nat of their routers, 2 and 3."""
        return str(ipaddress.ip_network(self.prefixes[family])[number])

    def holds(self, address: str) -> bool:
        family = 6 if ":" in address else 4
        it = _address(address)
        return it in _network(self.prefixes[family]) or (self.router and it in _network(BEHIND[family]))

    @property
    def guests(self) -> Tuple[str, str]:
        return f"{self.name}.a", f"{self.name}.b"

    @property
    def leads_out(self) -> bool:
        return self.kind in (MASQUERADED, ROUTED, NAT)

    @property
    def translated(self) -> bool:
        return self.kind in (MASQUERADED, NAT)


@functools.cache
def _network(prefix: str) -> Union[ipaddress.IPv4Network, ipaddress.IPv6Network]:
    return ipaddress.ip_network(prefix)


@functools.cache
def _address(text: str) -> Union[ipaddress.IPv4Address, ipaddress.IPv6Address]:
    return ipaddress.ip_address(text)


FIRST = Network("one", MASQUERADED, 1)
SECOND = Network("two", MASQUERADED, 2, from_host=False)
DESK = Network("desk", HOST_ONLY, 3)
LAB = Network("lab", INTERNAL, 4, from_host=False)
BRANCH = Network("branch", ROUTED, 5, callers=("lan",))
ALONE = Network("alone", NAT, 6, from_host=False)
ALL = (FIRST, SECOND, DESK, LAB, BRANCH, ALONE)
PLAIN = Network("plain", BARE, 1)
OPENED = FIRST._replace(callers=("lan",))
THROUGH = FIRST._replace(router=True)
OFFICES = BRANCH._replace(callers=("lan", "wan"))
BEHIND = {4: "10.99.0.0/24", 6: "fd00:99::/64"}  # what a guest of THROUGH is the router to
DEEP = {4: "10.99.0.5", 6: "fd00:99::5"}
LEG = "one.a+two"  # the place where the first guest of FIRST is in SECOND too; its default route stays the other
LEG_ADDRESSES = {4: "10.2.0.4", 6: "fd00:2::4"}
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
LEG_PORTS = (Port("leg", 5007, LEG, 84), Port("leg's sources", 5008, LEG, 85, sources=True))
_TARGETS = {"one.a": {family: FIRST.address(family, 2) for family in (4, 6)}, "nas": NAS, LEG: LEG_ADDRESSES}


def _published(ports: Sequence[Port] = PORTS) -> Document:
    entries = []
    for port in ports:
        for family in (4,) if port.loopback else (4, 6):
            target = _TARGETS[port.place][family]
            to = f"[{target}]:{port.to_port}" if family == 6 else f"{target}:{port.to_port}"
            for protocol in ("tcp", "udp"):
                entry: Document = {"protocol": protocol, "port": str(port.number), "to": to}
                entry.update({} if port.loopback else {"address": "any"})
                entry.update({"sources": [f"{ALLOWED[family]}/{128 if family == 6 else 32}"]} if port.sources else {})
                entries.append(entry)
    return {"published_ports": entries}


def part(network: Network) -> Document:
    """What a document says of a network; its guests' namespaces are there."""
    bridge: Document = {"name": network.name}
    guests = {
        BARE: None,
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

    if network.kind not in UNADDRESSED:
        bridge["addresses"] = addresses(1)
    document: Document = {"bridges": [bridge], "veths": [], "routes": []}
    for number, guest in enumerate(network.guests, 2):
        peer = {"name": "eth0", "netns": guest, "addresses": addresses(number)}
        document["veths"].append({"name": f"v-{guest}", "bridge": network.name, "peer": peer})
        if network.kind not in UNADDRESSED:
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


PUBLISHED = _published()


def _leg() -> Document:
    """The first guest of FIRST, in SECOND too."""
    addresses = [f"{LEG_ADDRESSES[4]}/24", f"{LEG_ADDRESSES[6]}/64"]
    peer = {"name": "eth1", "netns": "one.a", "addresses": addresses}
    return {"veths": [{"name": "v-leg", "bridge": SECOND.name, "peer": peer}]}


def _through() -> Document:
    """What the first guest of FIRST is the router to."""
    return {"routes": [{"to": BEHIND[family], "via": FIRST.address(family, 2)} for family in (4, 6)]}


def _let_through() -> Document:
    """A machine of the LAN and FIRST may call each other."""
    prefixes = [f"{ALLOWED[4]}/32", FIRST.prefixes[4], f"{ALLOWED[6]}/128", FIRST.prefixes[6]]
    return {"forwarding": {"ipv4": True, "ipv6": True, "networks": prefixes}}


def _offices() -> Document:
    """A routed network whose document names three interfaces."""
    return {**part(OFFICES), "interfaces": [{"name": name} for name in ("eth0", "eth5", "eth9")]}


def _alone(network: Network, *more: Document) -> List[Document]:
    return [document(network.name, part(network), *more)]


class Documents(NamedTuple):
    """A set: its networks, and its documents in blocks of which the order doesn't matter."""

    networks: Tuple[Network, ...]
    blocks: Callable[[], List[List[Document]]]
    ports: Tuple[Port, ...] = PORTS


SETS: Dict[str, Documents] = {
    "one": Documents((FIRST, SECOND), lambda: [[document("main", part(FIRST), part(SECOND), PUBLISHED)]]),
    "two": Documents((FIRST, SECOND), lambda: [_alone(FIRST), _alone(SECOND), [document("ports", PUBLISHED)]]),
    "closed": Documents((FIRST, DESK, LAB), lambda: [_alone(FIRST, PUBLISHED), _alone(DESK), _alone(LAB)]),
    "routed": Documents((FIRST, BRANCH), lambda: [_alone(FIRST, PUBLISHED), _alone(BRANCH)]),
    "nat": Documents((FIRST, ALONE), lambda: [_alone(FIRST, PUBLISHED), nat_documents()], (*PORTS, NAT_PORT)),
    "everything": Documents(
        ALL,
        lambda: [
            [document("main", *(part(each) for each in (FIRST, SECOND, DESK, LAB, BRANCH)), PUBLISHED)],
            nat_documents(),
        ],
        (*PORTS, NAT_PORT),
    ),
    "legs": Documents(
        (THROUGH, SECOND),
        lambda: [
            _alone(THROUGH, _through()),
            _alone(SECOND, _leg(), _published((*PORTS, *LEG_PORTS))),
        ],
        (*PORTS, *LEG_PORTS),
    ),
    "named": Documents(
        (PLAIN, OPENED, OFFICES),
        lambda: [_alone(PLAIN), _alone(OPENED, PUBLISHED, _let_through()), [document("branch", _offices())]],
    ),
    "forwarding": Documents((), lambda: [[{"name": "router", "forwarding": {"ipv4": True, "ipv6": True}}]], ()),
}


def documents(name: str, backwards: bool = False) -> List[Document]:
    """A set's documents in the order in which they are applied."""
    blocks = SETS[name].blocks()
    return [each for block in (reversed(blocks) if backwards else blocks) for each in block]


def network_of(address: str, networks: Tuple[Network, ...]) -> Optional[Network]:
    """The one that an address is in."""
    return next((network for network in networks if network.holds(address)), None)
