# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules between objects say what looking at every pair would say; the pairs are looked at here, with ipaddress."""

from __future__ import annotations

import itertools
from ipaddress import ip_address, ip_interface
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.hostwire.linux.plugins.module_utils import document

ROOMS = [None, "red", "blue"]
ADDRESSES = [
    "10.0.0.1/24", "10.0.0.2/24", "10.0.0.1/16", "10.0.7.1/24", "10.0.7.1/30", "10.1.0.1/24", "10.1.0.2/32",
    "10.1.0.3/31", "fd00::1/64", "fd00::2/64", "fd00:0:0:1::1/48", "fe80::1/64", "fe80::2/64",
]  # fmt: skip
GATEWAYS = [
    "10.0.0.1",
    "10.0.0.255",
    "10.0.0.9",
    "10.0.7.2",
    "10.0.9.9",
    "10.1.0.2",
    "10.1.0.255",
    "fd00::9",
    "fd00:0:0:9::9",
]


@st.composite
def networks(draw: st.DrawFn) -> dict[str, Any]:
    """Some switches and cables in three rooms, with addresses that collide now and then, and routes."""
    some = st.lists(st.sampled_from(ADDRESSES), max_size=2, unique=True)
    bridges = [
        {"name": f"br{i}", "netns": draw(st.sampled_from(ROOMS)), "addresses": draw(some)}
        for i in range(draw(st.integers(0, 3)))
    ]

    def end(name: str) -> dict[str, Any]:
        netns = draw(st.sampled_from(ROOMS))
        here = [bridge["name"] for bridge in bridges if bridge["netns"] == netns]
        bridge = draw(st.sampled_from([None, *here]))
        up = draw(st.booleans())
        return {"name": name, "netns": netns, "bridge": bridge, "addresses": [] if bridge else draw(some), "up": up}

    veths = [{**end(f"a{i}"), "peer": end(f"b{i}")} for i in range(draw(st.integers(0, 4)))]
    routes = [
        {"netns": draw(st.sampled_from(ROOMS[1:])), "to": "default", "via": via, "metric": i + 1}
        for i, via in enumerate(draw(st.lists(st.sampled_from(GATEWAYS), max_size=2)))
    ]
    rooms = [{"name": "red"}, {"name": "blue"}]
    return {"namespaces": rooms, "bridges": bridges, "veths": veths, "routes": routes}


def links(network: dict[str, Any]) -> list[dict[str, Any]]:
    return [*network["bridges"], *(end for veth in network["veths"] for end in (veth, veth["peer"]))]


def collide_in_a_room(network: dict[str, Any]) -> bool:
    """Two interfaces of a room have one address, or subnets that overlap, link-local ones aside."""
    placed = [
        (link["netns"], link["name"], ip_interface(text)) for link in links(network) for text in link["addresses"]
    ]
    return any(
        room == other_room and (one.ip == other.ip or (name != other_name and one.network.overlaps(other.network)))
        for (room, name, one), (other_room, other_name, other) in itertools.combinations(placed, 2)
        if one.version == other.version and not (one.version == 6 and one.ip.is_link_local)
    )


def collide_on_a_wire(network: dict[str, Any]) -> bool:
    """Two interfaces that hear each other have one address; a switch's interface is one of those on it."""
    wires = [{(bridge["netns"], bridge["name"])} for bridge in network["bridges"]]
    for veth in network["veths"]:
        both = set()
        for end in (veth, veth["peer"]):
            both.add((end["netns"], end["bridge"] or end["name"]))
        wires.append(both)
    joined: list[set[Any]] = []
    for wire in wires:
        apart = [other for other in joined if not other & wire]
        joined = [*apart, wire.union(*(other for other in joined if other & wire))]
    where = {(link["netns"], link["name"]): link for link in links(network)}
    for wire in joined:
        heard = [(key[0], ip_interface(text).ip) for key in wire for text in where[key]["addresses"]]
        for (room, one), (other_room, other) in itertools.combinations(heard, 2):
            if one == other and (room != other_room or (one.version == 6 and one.is_link_local)):
                return True
    return False


def unreachable(network: dict[str, Any]) -> int:
    """How many routes have a gateway that is in no subnet of an interface that is up, or is nobody's address."""
    count = 0
    for route in network["routes"]:
        via = ip_address(route["via"])
        there = [
            ip_interface(text)
            for link in links(network)
            if link["netns"] == route["netns"] and link.get("up", True)
            for text in link["addresses"]
        ]
        near = [interface for interface in there if via in interface.network]
        closest = max(near, key=lambda interface: interface.network.prefixlen, default=None)
        wrong = closest is None or any(interface.ip == via for interface in there)
        if closest is not None and via.version == 4 and closest.network.prefixlen < 31:
            wrong |= via in (closest.network.network_address, closest.network.broadcast_address)
        count += wrong
    return count


@given(networks())
def test_collisions_and_gateways_are_found_as_by_looking_at_every_pair(network: dict[str, Any]) -> None:
    problems = document.read(network).problems
    on_wires = [line for line in problems if "on the same" in line]
    in_rooms = [line for line in problems if ".addresses" in line and line not in on_wires]
    gateways = [line for line in problems if ".via: " in line]
    assert bool(in_rooms) == collide_in_a_room(network), problems
    assert bool(on_wires) == collide_on_a_wire(network), problems
    assert len(gateways) == unreachable(network), problems
    assert len(problems) == len(on_wires) + len(in_rooms) + len(gateways)


port_ranges = st.tuples(st.integers(1, 12), st.integers(0, 4)).map(lambda pair: (pair[0], pair[0] + pair[1]))
published = st.tuples(
    port_ranges,
    st.sampled_from(["any", "10.0.0.8", "10.0.0.9"]),
    st.sampled_from(["tcp", "udp"]),
    st.sampled_from([4, 6]),
)


@given(st.lists(published, max_size=6))
def test_a_port_published_twice_is_found_as_by_looking_at_every_pair(ports: list[Any]) -> None:
    entries = []
    for (first, last), address, protocol, family in ports:
        target = "10.0.0.1" if family == 4 else "[fd00::1]"
        local = address if family == 4 or address == "any" else address.replace("10.0.0.", "fd00::")
        entries.append(
            {"port": f"{first}-{last}", "protocol": protocol, "address": local, "to": f"{target}:{first}-{last}"}
        )
    twice = any(
        one[2:] == other[2:]
        and one[0][0] <= other[0][1]
        and other[0][0] <= one[0][1]
        and (one[1] == other[1] or "any" in (one[1], other[1]))
        for one, other in itertools.combinations(ports, 2)
    )
    problems = document.read({"published_ports": entries}).problems
    assert bool(problems) == twice, problems
    assert all("is published already" in line for line in problems)


def test_a_probe_that_claims_the_contrary_of_another_one() -> None:
    probe = {"from": "red", "to": "10.0.0.1", "protocol": "tcp", "port": 80}
    other = {**probe, "port": 81, "expect": "unreachable"}
    document_ = {"namespaces": [{"name": "red"}], "probes": [probe, other, probe, {**probe, "expect": "unreachable"}]}
    assert document.read(document_).problems == (
        "probes[3].expect: probes[0] claims the contrary of the same; leave one of the two out",
    )
