# SPDX-License-Identifier: GPL-3.0-or-later
"""Every way that is tried in a set-up: from each place, with each source that could matter, to everything there is."""

from __future__ import annotations

from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from ansible_collections.hostwire.linux.tests.attack import company, networks
from ansible_collections.hostwire.linux.tests.attack.networks import DEEP, NAS, NAT, UNADDRESSED, Network, Port
from ansible_collections.hostwire.linux.tests.attack.networks import HOST as HOST_ADDRESS
from ansible_collections.hostwire.linux.tests.attack.places import (
    CLOSED,
    HOST_AT_WAN,
    INTERNET,
    WAN,
    Place,
)
from ansible_collections.hostwire.linux.tests.attack.sensing import HOST
from ansible_collections.hostwire.linux.tests.attack.setups import DOCKER, DOCKER_28, Setup

LOOPBACK = {4: "127.0.0.1", 6: "::1"}
LINK_LOCAL = {4: "169.254.7.7", 6: "fe80::7:7"}
UNSPECIFIED = {4: "0.0.0.0", 6: "::"}
RANDOM = {4: "198.51.100.7", 6: "2001:db8:5::7"}
SEVERAL = (networks.FIRST.name, networks.ALONE.name)  # networks both of whose guests are attacked
UNPUBLISHED, UNHEARD = 7777, 7001  # a port of a guest, and of the host, that nothing leads to


class Target(NamedTuple):
    """Where a packet is sent to, and the place where it would arrive if nothing kept it.

    ``port``: the published port that leads there. ``near``: it is sent to the place's own MAC on a shared switch.
    """

    address: str
    number: int
    place: str
    port: Optional[Port] = None
    near: bool = False


class Way(NamedTuple):
    sender: str
    source: str
    target: Target
    protocol: str

    def __str__(self) -> str:
        return (
            f"{self.sender} as {self.source} to {self.target.address} port {self.target.number} by {self.protocol}"
            f" (which is {self.target.place}{', next door' if self.target.near else ''})"
        )


class Scene(NamedTuple):
    """A set-up with its networks and places."""

    setup: Setup
    networks: Tuple[Network, ...]
    places: Dict[str, Place]


CONTAINER_PORT = Port("container", company.CONTAINER_PORT, "web", 80)


def scene(setup: Setup, places: Sequence[Place]) -> Scene:
    return Scene(setup, networks.SETS[setup.documents].networks, {place.name: place for place in places})


def published(it: Scene) -> List[Port]:
    """What the documents publish."""
    return list(networks.SETS[it.setup.documents].ports)


def targets(it: Scene, family: int) -> Iterator[Target]:
    """Of one family, by the host or a router."""
    for place in it.places.values():
        if family in place.addresses and (not second(place) or (place.network and place.network.name in SEVERAL)):
            yield Target(place.addresses[family], UNPUBLISHED, place.name)
    for port in published(it):
        place = it.places.get(port.place)
        address = place.addresses[family] if place else NAS[family]
        yield Target(address, port.to_port, port.place if place else "lan")  # straight to where it leads
    yield Target(NAS[family], UNPUBLISHED, "lan")
    yield Target(INTERNET[family], UNPUBLISHED, "lan")
    yield Target(CLOSED[family], UNPUBLISHED, "lan")
    for address in (HOST_ADDRESS[family], HOST_AT_WAN[family], LOOPBACK[family]):
        yield Target(address, UNHEARD, HOST)
    for network in it.networks:
        if network.kind not in UNADDRESSED:
            yield Target(network.address(family, 1), UNHEARD, HOST)
        if network.router:
            yield Target(DEEP[family], UNPUBLISHED, network.guests[0])
    for port in published(it):
        for address in (HOST_ADDRESS[family], LOOPBACK[family])[: 2 if family == 4 else 1]:
            yield Target(address, port.number, "lan" if port.place == "nas" else port.place, port)
    if it.setup.company in (DOCKER, DOCKER_28) and family == 4:
        yield Target(HOST_ADDRESS[4], CONTAINER_PORT.number, CONTAINER_PORT.place, CONTAINER_PORT)
        yield Target(it.places["web"].addresses[4], CONTAINER_PORT.to_port, "web")


def sources(it: Scene, family: int) -> List[str]:
    """Whoever a packet could claim to be from."""
    firsts = [place for place in it.places.values() if not second(place)]
    found = [place.addresses[family] for place in firsts if family in place.addresses]
    found += [network.address(family, 1) for network in it.networks[:1]]
    found += [DEEP[family] for network in it.networks if network.router]
    found += [others[family] for others in (NAS, HOST_ADDRESS, LOOPBACK, LINK_LOCAL, UNSPECIFIED, RANDOM)]
    return list(dict.fromkeys(found))


def ways(it: Scene) -> Iterator[Way]:
    """All of a set-up."""
    for family in (4, 6):
        theirs = list(targets(it, family))
        claimed = sources(it, family)
        for place in it.places.values():
            for target in theirs:
                if target.address in place.addresses.values():
                    continue
                for source in _claims(place, claimed, family):
                    for protocol in ("udp", "tcp"):
                        yield Way(place.name, source, target, protocol)
        for target in theirs:
            for protocol in ("udp", "tcp"):
                yield Way(HOST, own_source(it, target, family), target, protocol)
    yield from _next_door(it)


def second(place: Place) -> bool:
    """Whether it is one more of its kind, which sends as itself only."""
    return place.name.endswith(".b") or place.name == "hidden"


def _claims(place: Place, claimed: Sequence[str], family: int) -> Sequence[str]:
    own = place.addresses.get(family)
    neighbour = [place.network.address(family, 3)] if place.network else []
    if second(place):
        return [own] if own else []
    return [*claimed, *neighbour]


def own_source(it: Scene, target: Target, family: int) -> str:
    """The host's own address towards a target."""
    if target.address == LOOPBACK[family]:
        return target.address
    for network in it.networks:
        if network.holds(target.address) and network.kind not in UNADDRESSED:
            return network.address(family, 1)
    for machine in company.MACHINES[it.setup.company]:
        if it.places[machine.name].addresses.get(family) == target.address:
            return machine.gateways[family].partition("/")[0]
    return HOST_AT_WAN[family] if target.address in (WAN[family], HOST_AT_WAN[family]) else HOST_ADDRESS[family]


def _next_door(it: Scene) -> Iterator[Way]:
    """From guest to guest on one switch."""
    for network in it.networks:
        if network.kind == NAT:
            continue
        one, other = network.guests
        for sender, to in ((one, other), (other, one)):
            for family in (4, 6):
                place = it.places[to]
                target = Target(place.addresses[family], UNPUBLISHED, to, near=True)
                for protocol in ("udp", "tcp"):
                    yield Way(sender, it.places[sender].addresses[family], target, protocol)
