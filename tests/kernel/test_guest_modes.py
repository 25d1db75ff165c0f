# SPDX-License-Identifier: GPL-3.0-or-later
"""Guest networks of namespaces: each cell of the table of modes, tried with real packets."""

from __future__ import annotations

import os
import subprocess
from typing import Any, List, Mapping, Optional, Tuple

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import engine
from ansible_collections.hostwire.linux.tests.guest_modes import GUEST, NO, OTHER, wrong_cells
from ansible_collections.hostwire.linux.tests.kernel import guest_world, world
from ansible_collections.hostwire.linux.tests.kernel.firewall_world import call, listening, sysctl
from ansible_collections.hostwire.linux.tests.kernel.guest_world import (
    FILTERS,
    PORTS,
    Network,
    World,
    apply,
    documents,
    network,
    ping,
    remove,
)

MODES = ["nat", "nat_network", "bridged", "internal", "host_only", "routed"]
WORKERS = 8


@pytest.fixture(params=[0, 1], ids=["routed", "bridge-nf"])
def each_world(private_host: object, backend: str, request: pytest.FixtureRequest) -> None:
    """The world of guest_world.py, plainly, or as a host that routes for all, or as one of Docker's: there bridged
    packets are filtered (bridge-nf-call-iptables 1), and what nobody accepts isn't forwarded."""
    guest_world.build(request.param)
    if request.param or backend == "legacy":
        route_for_all()
    if request.param:
        for program in ("iptables", "ip6tables"):
            subprocess.run([program, "-P", "FORWARD", "DROP"], check=True)


@pytest.fixture
def plain_world(private_host: object) -> None:
    """The same, once only."""
    guest_world.build(1)


def route_for_all() -> None:
    sysctl("net/ipv4/ip_forward", 1)
    sysctl("net/ipv6/conf/all/forwarding", 1)


def otherwise(subject: Network, ports: Optional[Mapping[str, int]] = None, **options: Any) -> List[str]:
    """The cells of a network that are otherwise than the table says."""
    there = World(subject, ports)
    there.be_unfriendly()
    found = wrong_cells(subject.mode, there.reach, (4, 6), workers=WORKERS, **options)
    there.make_up()
    return found


@pytest.mark.parametrize("mode", MODES)
def test_each_cell_of_the_table_holds(mode: str, each_world: None) -> None:
    before = world.image()
    subject = network(mode)
    found = documents(subject)
    apply(found)
    assert otherwise(subject) == []
    remove(found)
    assert world.differences(before, world.image()) == []


@pytest.mark.parametrize("mode", ["nat", "nat_network", "internal", "host_only"])
def test_it_is_the_policy_of_the_switch_that_closes_cells(mode: str, plain_world: None) -> None:
    """Without it more gets through, and these tests see that."""
    route_for_all()
    subject = network(mode)
    for document in documents(subject):
        engine.run({**document, "bridges": [{**bridge, "guests": {}} for bridge in document.get("bridges", ())]})
    if mode == "internal":
        # A switch on which the host has no address is closed without being told so: rules know it by its group.
        guest_world.batch([f"link set {subject.name} group 0"])
    assert any(line.endswith(": gets through") for line in otherwise(subject))


def test_host_access_false_closes_guests_to_the_host_and_nothing_else(plain_world: None) -> None:
    subject = network("nat", host_access=False)
    apply(documents(subject))
    assert otherwise(subject, otherwise={"guest → host": NO}) == []


@pytest.mark.parametrize(
    ("first", "mode"),
    [
        ("nat", "bridged"),
        ("bridged", "nat"),
        ("nat_network", "internal"),
        ("internal", "routed"),
        ("routed", "host_only"),
        ("host_only", "nat_network"),
    ],
)
def test_a_network_in_another_mode_is_as_if_it_had_never_had_the_first(
    first: str, mode: str, plain_world: None
) -> None:
    """Nothing of the first mode stays, no setting of the switch either."""
    found = documents(network(mode, name="office"))
    apply(found)
    anew = world.image()
    remove(found)
    bare = world.image()
    apply(documents(network(first, name="office")))
    apply(found)
    different = [line for line in world.differences(anew, world.image()) if not _by_chance(line)]
    assert different == []
    remove(found)
    assert world.differences(bare, world.image()) == []


def _by_chance(line: str) -> bool:
    """MAC addresses are random, and the state has numbers that the kernel gave."""
    return "/address: " in line or ".state: " in line


def test_networks_of_all_modes_on_one_host_keep_to_their_modes(plain_world: None) -> None:
    before = world.image()
    subjects = [network(mode, **({"uplink": "bridged"} if mode == "routed" else {})) for mode in MODES]
    for subject in subjects:  # one port of the host leads to one guest
        if subject.mode == "nat":
            for guest, port in zip(subject.guests, (9001, 9002)):
                for published in guest["nics"][0]["published_ports"]:
                    published["port"] = port
    found = documents(*subjects)
    apply(found)
    for subject in subjects:
        assert otherwise(subject, ports={GUEST: 9001, OTHER: 9002} if subject.mode == "nat" else PORTS) == []
    closed_to = {"internal", "host_only", "nat_network"}  # nobody on another network gets at their guests
    for subject in subjects:
        for other in subjects:
            if other.mode in closed_to and other is not subject:
                address = other.guests[0]["nics"][0]["address"].partition("/")[0]
                assert not ping(subject.guests[0]["name"], address), (subject.mode, other.mode)
    routed = next(subject for subject in subjects if subject.mode == "routed")
    address = routed.guests[0]["nics"][0]["address"].partition("/")[0]
    for subject in subjects:  # to guests of the same host a routed network is what it is to the LAN
        if subject.mode not in ("routed", "bridged"):  # on the LAN itself the way is its router's matter
            leads_out = subject.mode in ("nat", "nat_network")
            assert ping(subject.guests[0]["name"], address) == leads_out, subject.mode
    remove(found)
    assert world.differences(before, world.image()) == []


def test_two_routed_networks_reach_each_other(plain_world: None) -> None:
    networks = [
        {"name": name, "mode": "routed", "uplink": "eth0", "subnet": f"10.{number}.0.0/24"}
        for name, number in (("east", 30), ("west", 31))
    ]
    guests = [
        {"name": f"{name}.guest", "nics": [{"network": name, "address": f"10.{number}.0.4/24"}]}
        for name, number in (("east", 30), ("west", 31))
    ]
    apply(FILTERS["guest_documents"](networks, guests))
    assert ping("east.guest", "10.31.0.4")
    assert ping("west.guest", "10.30.0.4")
    assert ping("lan", "10.30.0.4")


def test_shows_2_ports_of_the_host_lead_to_two_guests_with_one_address(plain_world: None) -> None:
    ports = {"one": (1234, 22), "two": (8989, 80)}
    guests = [
        {
            "name": name,
            "nics": [{"network": "nat", "published_ports": [{"port": port, "to_port": to, "address": "any"}]}],
        }
        for name, (port, to) in ports.items()
    ]
    apply(FILTERS["guest_documents"]([{"name": "nat", "mode": "nat"}], guests))
    for name in ports:
        assert "10.0.2.15/24" in subprocess.check_output(["ip", "-n", name, "address"], text=True)
    with listening("one", 22) as one, listening("two", 80) as two:
        for room, address in ((None, "127.0.0.1"), (None, "192.168.1.2"), ("lan", "192.168.1.2")):
            assert call(room, address, 1234, one) is not None
            assert call(room, address, 8989, two) is not None
    for guest, router in (("one", "100.64.0.3"), ("two", "100.64.0.2")):
        assert ping(guest, "203.0.113.1")
        assert not ping(guest, router)


@pytest.mark.parametrize("order", [("desk", "nat"), ("nat", "desk")])
def test_the_pair_of_host_only_and_nat_has_the_internet_and_the_host(order: Tuple[str, str], plain_world: None) -> None:
    nics = {"desk": {"network": "desk", "address": "192.168.56.3/24"}, "nat": {"network": "nat"}}
    networks = [{"name": "desk", "mode": "host_only"}, {"name": "nat", "mode": "nat"}]
    apply(FILTERS["guest_documents"](networks, [{"name": "linux", "nics": [nics[name] for name in order]}]))
    routes = world.ip("linux", "route show default")[0]
    assert [(route["dev"], route["gateway"]) for route in routes] == [(f"eth{order.index('nat')}", "10.0.2.2")]
    assert ping("linux", "203.0.113.1")
    assert ping("linux", "192.168.56.1")
    with listening("linux", 22) as ssh:
        assert call(None, "192.168.56.3", 22, ssh) == "192.168.56.1"


def test_a_guest_that_is_no_longer_listed_goes_with_its_namespace_and_its_router(plain_world: None) -> None:
    networks = [{"name": "office", "mode": "nat_network"}, {"name": "nat", "mode": "nat", "subnet": "10.0.9.0/24"}]
    one, two = (
        {"name": name, "nics": [{"network": "office", "address": f"10.0.2.{number}/24"}, {"network": "nat"}]}
        for name, number in (("one", 4), ("two", 12))
    )
    alone = FILTERS["guest_documents"](networks, [two])
    apply(alone)
    image = world.image()
    both = FILTERS["guest_documents"](networks, [two, one])
    for document in both:
        engine.run(document)
    assert sorted(os.listdir("/run/netns")) == ["lan", "nat-one", "nat-two", "one", "two"]
    for document in FILTERS["guest_documents"](networks, [two], {document["name"]: document for document in both}):
        engine.run(document)
    assert world.differences(image, world.image()) == []
