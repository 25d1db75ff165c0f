# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules that need to know the host: what is named and isn't there, and what is there and in the way."""

# ruff: noqa: E501 - a case reads best on one line

from __future__ import annotations

import time
from typing import Any, Container, Optional, Tuple

import pytest
import yaml

from ansible_collections.hostwire.linux.plugins.module_utils import document
from ansible_collections.hostwire.linux.plugins.module_utils.model import HostView
from ansible_collections.hostwire.linux.plugins.module_utils.plan import preflight
from ansible_collections.hostwire.linux.plugins.module_utils.rtnetlink.constants import (
    ROUTE_PROTOCOL,
    RTN_BLACKHOLE,
    RTPROT_KERNEL,
)
from ansible_collections.hostwire.linux.tests.good_documents import GOOD_DOCUMENTS
from ansible_collections.hostwire.linux.tests.host_views import Device, Path, host, view

ETH0 = Device("eth0", ("192.168.1.10/24", "fe80::10/64"))
ON_ETH0 = "; where it is on the wire of eth0 all the same, add the route {to: 10.0.0.1/32, dev: eth0}"
DOCKER0 = Device("docker0", ("172.17.0.1/16",), "bridge")


def problems(
    text: str,
    there: HostView,
    owned_links: Container[Tuple[Optional[str], str]] = (),
    owned_addresses: Container[Tuple[Optional[str], str, str]] = (),
) -> list[str]:
    reading = document.read(yaml.safe_load(text))
    assert not reading.problems
    return preflight.problems(reading.topology, there, owned_links, reading.where, owned_addresses)


@pytest.mark.parametrize(
    "text",
    [
        "namespaces: red",
        "namespaces: [red, blue]",
        "namespaces: {name: red}",
        "namespaces: {red: null}",
        "namespaces: [{nam: red}]",
        "namespaces: [{name: blue}, red]",
    ],
)
def test_what_a_wrong_entry_may_be_called_is_not_missing(text: str) -> None:
    rest = "{veths: [{name: a0, bridge: sw0, peer: {name: b0, netns: red}}], probes: [{from: red, to: 10.0.0.1}]}"
    reading = document.read({**yaml.safe_load(text), **yaml.safe_load(rest), "bridges": ["sw0"]})
    assert reading.problems
    for there, going in ((host(ETH0), ()), (host(ETH0, rooms=(view("red"),)), ("red",))):
        assert preflight.problems(reading.topology, there, (), reading.where, going=going) == []


def test_what_is_missing_is_told_beside_a_wrong_entry() -> None:
    reading = document.read({"namespaces": ["red"], "probes": [{"from": "rde", "to": "10.0.0.1"}]})
    assert preflight.problems(reading.topology, host(ETH0), (), reading.where) == [
        'probes[0].from: no namespace named "rde"'
    ]


@pytest.mark.parametrize("name", ["1-two-rooms", "2-switch", "4-two-lans-one-router", "5-host-as-router"])
def test_a_scenario_fits_on_a_host_with_a_network_of_its_own(name: str) -> None:
    reading = document.read(GOOD_DOCUMENTS[name])
    assert preflight.problems(reading.topology, host(Device("eth0", ("198.51.100.7/24",))), ()) == []


def test_the_third_scenario_fits_beside_what_stands_for_the_world() -> None:
    reading = document.read(GOOD_DOCUMENTS["3-out-to-the-lan"])
    there = host(
        Device("eth0", ("192.168.1.2/24",), "veth"), rooms=(view("lan", (Device("eth0", ("192.168.1.3/24",)),)),)
    )
    assert preflight.problems(reading.topology, there, ()) == []


def test_what_is_on_the_host_may_be_named() -> None:
    there = host(ETH0, DOCKER0, rooms=(view("lan"),), unread=("far",))
    assert (
        problems(
            """
        veths:
          - {name: a0, bridge: docker0, peer: {name: b0, netns: lan}}
          - {name: a1, peer: {name: b1, netns: far, bridge: whatever-br}}
        interfaces: [{name: eth0, bridge: docker0}, {name: lo, netns: lan, addresses: [10.9.9.9/32]}]
        routes: [{to: 10.0.0.0/8, via: 172.17.0.9}, {netns: lan, to: 10.0.0.0/8, dev: b0}, {to: 10.1.0.0/16, dev: eth0}]
        masquerade: [{source: 10.0.0.0/8, except_to: docker0}]
        probes: [{from: lan, to: 10.0.0.1}, {from: "container:web", to: 10.0.0.1}]
        """,
            there,
        )
        == []
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("veths: [{name: a0, bridge: doker0, peer: {name: b0}}]",
         'veths[0].bridge: no bridge named "doker0" on the host; did you mean "docker0"?'),
        ("veths: [{name: a0, bridge: eth0, peer: {name: b0}}]", 'veths[0].bridge: "eth0" is not a bridge, it is hardware'),
        ("veths: [{name: a0, bridge: wg0, peer: {name: b0}}]",
         'veths[0].bridge: "wg0" is not a bridge, it is of kind wireguard'),
        ("interfaces: [{name: eth1, mtu: 1400}]",
         'interfaces[0].name: no interface named "eth1" on the host; did you mean "eth0"?'),
        ("interfaces: [{name: eth0, netns: lan}]", 'interfaces[0].name: no interface named "eth0" in namespace lan'),
        ("routes: [{netns: lan, to: 10.0.0.0/8, dev: eth0}]", 'routes[0].dev: no interface named "eth0" in namespace lan'),
        ("masquerade: [{source: 10.0.0.0/8, except_to: dockr0}]",
         'masquerade[0].except_to: no interface named "dockr0" on the host; did you mean "docker0"?'),
        ("veths: [{name: a0, peer: {name: b0, netns: lam}}]",
         'veths[0].peer.netns: no namespace named "lam"; did you mean "lan"?'),
    ],
)  # fmt: skip
def test_an_unknown_name_is_an_error_with_a_suggestion(text: str, problem: str) -> None:
    there = host(ETH0, DOCKER0, Device("wg0", kind="wireguard"), rooms=(view("lan"),))
    assert problems(text, there) == [problem]


def test_what_this_document_made_and_no_longer_names_is_as_if_it_were_gone() -> None:
    there = host(Device("old-br", ("10.0.0.1/24",), "bridge"))
    owned = {(None, "old-br")}
    text = "veths: [{name: a0, bridge: old-br, peer: {name: b0}}]"
    assert problems(text, there, owned) == ['veths[0].bridge: no bridge named "old-br" on the host']
    assert problems("bridges: [{name: new-br, addresses: [10.0.0.1/24]}]", there, owned) == []
    assert problems("routes: [{to: 10.1.0.0/16, via: 10.0.0.2}]", there, owned) == [
        "routes[0].via: no connected subnet of the host has the gateway 10.0.0.2; IPv4 has no subnet there"
    ]


BRIDGE = "bridges: [{name: br0, addresses: [%s]}]"


@pytest.mark.parametrize(
    ("address", "there", "reason"),
    [
        ("172.17.5.1/24", host(DOCKER0), "172.17.5.1/24 overlaps 172.17.0.1/16, which docker0 has on the host already"),
        ("172.16.0.1/12", host(DOCKER0), "172.16.0.1/12 overlaps 172.17.0.1/16, which docker0 has on the host already"),
        ("172.17.0.9/16", host(DOCKER0), "172.17.0.9/16 overlaps 172.17.0.1/16, which docker0 has on the host already"),
        ("172.17.0.1/16", host(DOCKER0), "172.17.0.1 is there already on the host: docker0 has 172.17.0.1/16"),
        ("172.17.0.1/24", host(DOCKER0), "172.17.0.1 is there already on the host: docker0 has 172.17.0.1/16"),
        ("10.8.0.9/24", host(Device("tun0", ("10.9.0.1/24",), "tun", peer="10.8.0.1")),
         "10.8.0.9/24 overlaps 10.9.0.1/24, which tun0 has on the host already"),
        ("172.17.5.1/24", host(ETH0, paths=(Path("172.16.0.0/12", "192.168.1.1", "eth0"),)),
         "172.17.5.1/24 overlaps the route to 172.16.0.0/12 via 192.168.1.1 dev eth0, which is on the host already"),
        ("172.16.0.1/12", host(paths=(Path("172.17.0.0/16", None, "tun0"),)),
         "172.16.0.1/12 overlaps the route to 172.17.0.0/16, which is on the host already"),
        ("fd00:0:0:7::1/64", host(ETH0, paths=(Path("fd00::/48", "fe80::1", "eth0"),)),
         "fd00:0:0:7::1/64 overlaps the route to fd00::/48 via fe80::1 dev eth0, which is on the host already"),
    ],
)  # fmt: skip
def test_a_wanted_subnet_that_the_host_has_elsewhere_is_an_error(address: str, there: HostView, reason: str) -> None:
    assert problems(BRIDGE % f'"{address}"', there) == [f"bridges[0].addresses[0]: {reason}"]


@pytest.mark.parametrize(
    "path",
    [
        Path("0.0.0.0/0", "192.168.1.1", "eth0"),
        Path("128.0.0.0/1", "192.168.1.1", "eth0"),
        Path("2000::/3", "fe80::1", "eth0"),
        Path("fe80::/64", None, "eth0", RTPROT_KERNEL),
        Path("ff00::/8", None, "eth0", RTPROT_KERNEL),
        Path("172.16.0.0/12", "192.168.1.1", "eth0", ROUTE_PROTOCOL),
        Path("172.16.0.0/12", type=RTN_BLACKHOLE),
        Path("172.17.5.0/24", None, "br0", RTPROT_KERNEL),
        Path("10.0.0.0/8", "192.168.1.1", "eth0"),
    ],
    ids=lambda path: f"{path.to}-{path.protocol}-{path.type}",
)
def test_a_route_that_claims_no_network_of_another_is_not_in_the_way(path: Path) -> None:
    there = host(ETH0, Device("br0", ("172.17.5.1/24", "2001:db8::1/64", "fe80::1/64"), "bridge"), paths=(path,))
    assert problems(BRIDGE % '172.17.5.1/24, "2001:db8::1/64", "fe80::1/64"', there, {(None, "br0")}) == []


def test_the_same_subnet_in_another_namespace_is_fine() -> None:
    there = host(DOCKER0, rooms=(view("red"),))
    assert problems("veths: [{name: a, peer: {name: b, netns: red, addresses: [172.17.0.1/16]}}]", there) == []


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("192.168.1.10/24", []),
        ("192.168.1.11/24", []),
        ("10.5.0.1/24", []),
        ("192.168.1.10/16",
         [("interfaces[0].addresses[0]: eth0 has 192.168.1.10/24 already; the same address with another prefix length would be "
          "a second one: say 192.168.1.10/24, or remove that first")]),
        ("172.17.0.1/16",
         ["interfaces[0].addresses[0]: 172.17.0.1 is there already on the host: docker0 has 172.17.0.1/16"]),
    ],
)  # fmt: skip
def test_an_interface_that_is_not_ours_keeps_what_it_has(address: str, found: list[str]) -> None:
    there = host(ETH0, DOCKER0, paths=(Path("192.168.1.0/24", None, "eth0", RTPROT_KERNEL),))
    assert problems(f"interfaces: [{{name: eth0, addresses: [{address}]}}]", there) == found


def test_an_address_that_we_gave_to_such_an_interface_may_change_its_length() -> None:
    text = "interfaces: [{name: eth0, addresses: [192.168.1.10/16]}]"
    assert problems(text, host(ETH0), (), {(None, "eth0", "192.168.1.10/24")}) == []


ROUTE = "routes: [{netns: lan, to: default, via: 10.0.0.1, %s}]"


@pytest.mark.parametrize(
    ("devices", "paths", "found"),
    [
        ((Device("eth0", ("10.0.0.2/24",)),), (), None),
        ((Device("eth0", ("10.0.0.2/24",), up=False),), (), "IPv4 has no subnet there"),
        ((Device("eth0", ("10.0.1.2/24",)),), (), "there are 10.0.1.0/24 on eth0" + ON_ETH0),
        ((Device("tun0", ("10.9.0.2/32",), peer="10.0.0.1"),), (), None),
        ((Device("eth0"),), (Path("10.0.0.0/30", None, "eth0"),), None),
        ((Device("eth0"),), (Path("10.0.0.0/30", "10.1.0.1", "eth0"),), "IPv4 has no subnet there"),
    ],
)
def test_a_gateway_is_looked_for_in_what_the_host_has(
    devices: tuple[Device, ...], paths: tuple[Path, ...], found: str | None
) -> None:
    there = host(rooms=(view("lan", devices, paths),))
    reason = f"routes[0].via: no connected subnet of namespace lan has the gateway 10.0.0.1; {found}"
    assert problems(ROUTE % "", there) == ([reason] if found else [])


def test_a_gateway_is_found_by_the_host_and_the_document_together() -> None:
    down = view("lan", (Device("eth0", ("10.0.0.2/24",), up=False),))
    assert (
        problems("interfaces: [{name: eth0, netns: lan, up: true}]\n" + ROUTE % "dev: eth0", host(rooms=(down,))) == []
    )
    bare = view("lan", (Device("eth0"),))
    cable = "veths: [{name: a, peer: {name: b, netns: lan, addresses: [10.0.0.2/24]}}]\n"
    assert problems(cable + ROUTE % "", host(rooms=(bare,))) == []
    assert problems(cable + ROUTE % "dev: eth0", host(rooms=(bare,))) == [
        "routes[0].via: no connected subnet on eth0 of namespace lan has the gateway 10.0.0.1; there are 10.0.0.0/24 on b"
        + ON_ETH0
    ]


def test_a_namespace_whose_addresses_are_wrong_in_the_document_is_not_judged() -> None:
    reading = document.read(
        yaml.safe_load("bridges: [{name: br0, addresses: [10.0.0.1]}]\nroutes: [{to: default, via: 10.0.0.2}]")
    )
    assert len(reading.problems) == 1
    assert preflight.problems(reading.topology, host(), (), reading.where) == []


def test_a_document_that_goes_away_has_no_problems() -> None:
    assert problems("{state: absent, routes: [{netns: nowhere, to: default}]}", host()) == []


def test_an_mtu_that_costs_a_foreign_interface_its_ipv6_is_said() -> None:
    there = host(Device("eth0", ("192.168.1.10/24", "2001:db8::10/64")), Device("eth1", ("10.0.0.1/24",)))
    topology = document.read(
        {"interfaces": [{"name": "eth1", "mtu": 1000}, {"name": "eth0", "mtu": 1000}, {"name": "eth9", "mtu": 1000}]}
    ).topology
    assert preflight.warnings(topology, there) == [
        "interfaces[1].mtu: 1000 is under 1280, the least that IPv6 works with: eth0 loses 2001:db8::10/64 for good"
    ]


def test_an_address_that_is_of_no_use_on_a_port_is_said() -> None:
    there = host(ETH0, Device("eth1", ("fe80::11/64",)))
    topology = document.read(
        {
            "bridges": [{"name": "br0"}],
            "interfaces": [{"name": "eth0", "bridge": "br0"}, {"name": "eth1", "bridge": "br0"}],
        }
    ).topology
    assert preflight.warnings(topology, there) == [
        "interfaces[0].bridge: as a port of br0, eth0 can't be reached any more by 192.168.1.10/24"
    ]


def test_a_route_needs_its_interface_up() -> None:
    there = host(Device("eth5", up=False))
    down = ["routes[0].dev: eth5 is down; say interfaces: [{name: eth5, up: true}] to set it up"]
    assert problems("routes: [{to: 10.0.0.0/8, dev: eth5}]", there) == down
    assert problems("routes: [{to: default, via: 'fe80::1', dev: eth5}]", there) == down
    up = "interfaces: [{name: eth5, up: true}]\n"
    assert problems(up + "routes: [{to: 10.0.0.0/8, dev: eth5}]", there) == []
    assert problems("veths: [{name: eth5, peer: {name: b}}]\nroutes: [{to: 10.0.0.0/8, dev: eth5}]", there) == []


def crowd(count: int) -> tuple[Any, HostView, set[tuple[str | None, str]]]:
    """``count`` rooms with a cable each, 500 to a switch, as they are after the first run."""

    def address(i: int) -> str:
        return f"10.{i // 500}.{i % 500 // 250 + 1}.{i % 250 + 1}/16"

    switches = range((count + 499) // 500)
    wanted = {
        "namespaces": [{"name": f"n{i}"} for i in range(count)],
        "bridges": [{"name": f"br{b}", "addresses": [f"10.{b}.0.1/16"]} for b in switches],
        "veths": [
            {
                "name": f"v{i}",
                "bridge": f"br{i // 500}",
                "peer": {"name": "eth0", "netns": f"n{i}", "addresses": [address(i)]},
            }
            for i in range(count)
        ],
        "routes": [{"netns": f"n{i}", "to": "default", "via": f"10.{i // 500}.0.1"} for i in range(count)],
    }
    rooms = tuple(
        view(
            f"n{i}",
            (Device("eth0", (address(i),), "veth"),),
            (Path("0.0.0.0/0", f"10.{i // 500}.0.1", "eth0", ROUTE_PROTOCOL),),
        )
        for i in range(count)
    )
    bridges = tuple(Device(f"br{b}", (f"10.{b}.0.1/16",), "bridge") for b in switches)
    cables = tuple(Device(f"v{i}", (), "veth") for i in range(count))
    owned = {(None, device.name) for device in (*bridges, *cables)} | {(f"n{i}", "eth0") for i in range(count)}
    return wanted, host(*bridges, *cables, rooms=rooms), owned


def test_the_time_grows_with_the_document_and_not_with_its_square() -> None:
    def seconds(count: int) -> float:
        wanted, there, owned = crowd(count)
        reading = document.read(wanted)
        took = []
        for _round in range(3):
            began = time.process_time()
            assert preflight.problems(reading.topology, there, owned, reading.where) == []
            took.append(time.process_time() - began)
        return min(took)

    assert seconds(2000) < 4 * 3 * seconds(500)


def cables(number: int, netns: str | None = None) -> dict[str, Any]:
    """A switch with this many cables plugged in, each with its far end in the same namespace."""
    veths = [
        {"name": f"p{n}", "netns": netns, "bridge": "sw0", "peer": {"name": f"q{n}", "netns": netns}}
        for n in range(number)
    ]
    rooms = [] if netns is None else [{"name": netns}]
    return {"namespaces": rooms, "bridges": [{"name": "sw0", "netns": netns}], "veths": veths}


def ports_told(
    document_: dict[str, Any], there: HostView, owned: Container[Tuple[Optional[str], str]] = ()
) -> list[str]:
    reading = document.read(document_)
    assert not reading.problems
    return preflight.problems(reading.topology, there, owned, reading.where)


@pytest.mark.parametrize("netns", [None, "red"])
def test_more_ports_than_the_kernel_gives_a_bridge_are_told_beforehand(netns: str | None) -> None:
    assert ports_told(cables(1023, netns), host(ETH0)) == []
    (problem,) = ports_told(cables(1024, netns), host(ETH0))
    assert problem.startswith(
        "veths[1023].bridge: sw0 would have 1024 ports, and the kernel gives a bridge 1023 at most"
    )
    one_less = cables(1023, netns)
    one_less["taps"] = [{"name": "tap0", "netns": netns, "bridge": "sw0"}]
    (problem,) = ports_told(one_less, host(ETH0))
    assert problem.startswith("taps[0].bridge: sw0 would have 1024 ports")


@pytest.mark.parametrize("last", ["uplink", "interface", "container"])
def test_a_port_of_any_kind_counts(last: str) -> None:
    wanted = cables(1023)
    if last == "uplink":
        wanted["bridges"][0]["uplink"] = "eth0"
    elif last == "interface":
        wanted["interfaces"] = [{"name": "eth0", "bridge": "sw0"}]
    else:
        wanted["containers"] = [{"container": "web", "name": "eth1", "bridge": "sw0"}]
    assert [line for line in ports_told(wanted, host(Device("eth0"))) if "would have 1024 ports" in line]


def test_ports_that_are_there_count_unless_they_go() -> None:
    there = host(Device("sw0", (), "bridge"), *(Device(f"old{n}", (), "veth") for n in range(24)))
    links = there.views[None].links
    for name in list(links):
        if name.startswith("old"):
            links[name] = links[name]._replace(master=links["sw0"].index)
    wanted = cables(1000)
    assert "would have 1024 ports" in ports_told(wanted, there, {(None, "sw0")})[0]
    assert ports_told(wanted, there, {(None, "sw0"), (None, "old7")}) == []
    wanted["interfaces"] = [{"name": "old3", "bridge": "sw0"}]
    assert len(ports_told(wanted, there, {(None, "sw0")})) == 1


def test_a_bridge_is_no_port() -> None:
    text = "interfaces: [{name: docker0, bridge: sw0}]\nbridges: [{name: sw0}]"
    (problem,) = problems(text, host(DOCKER0))
    assert problem.startswith("interfaces[0].bridge: docker0 is a bridge itself, which can't be a port of another one")
