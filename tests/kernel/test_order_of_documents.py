# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks that touch each other though they stand in several documents: the order of these doesn't matter."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import engine
from ansible_collections.hostwire.linux.plugins.module_utils.firewall import iptables
from ansible_collections.hostwire.linux.plugins.module_utils.netns import inside
from ansible_collections.hostwire.linux.tests.kernel import world
from ansible_collections.hostwire.linux.tests.kernel.firewall_world import batch, blocked, call, listening, sysctl
from ansible_collections.hostwire.linux.tests.kernel.test_ports_of_other_documents import absent, foretold, settled

Item = dict[str, Any]
HOST = {4: "192.168.1.2", 6: "2001:db8:1::2"}
LAN = {4: "192.168.1.3", 6: "2001:db8:1::3"}
FAMILIES = pytest.mark.parametrize("family", [4, 6])


@pytest.fixture(autouse=True)
def lan(private_host: object) -> None:
    """A machine on the host's LAN, and a guest's namespace that nobody has plugged in yet."""
    batch(["netns add lan", "netns add red"])
    for netns in (None, "lan", "red"):  # an address is called as soon as it is there
        with inside(netns):
            sysctl("net/ipv6/conf/default/accept_dad", 0)
    batch(["link add eth0 type veth peer name eth0 netns lan"])
    for netns, addresses in ((None, HOST), ("lan", LAN)):
        lengths = {4: 24, 6: 64}
        lines = [f"address add {address}/{lengths[family]} dev eth0" for family, address in addresses.items()]
        batch([*lines, "link set eth0 up"], netns)


def network(name: str, number: int, nic: str, **more: Any) -> Item:
    """A masqueraded network that red is plugged into."""
    addresses = [f"10.{number}.0.2/24", f"fd00:{number}::2/64"]
    return {
        "name": name,
        "bridges": [{"name": name, "addresses": [f"10.{number}.0.1/24", f"fd00:{number}::1/64"]}],
        "veths": [{"name": f"v-{name}", "bridge": name, "peer": {"name": nic, "netns": "red", "addresses": addresses}}],
        "forwarding": {"ipv4": True, "ipv6": True},
        "masquerade": [
            {"source": source, "except_to": name} for source in (f"10.{number}.0.0/24", f"fd00:{number}::/64")
        ],
        **more,
    }


def ways_out(number: int) -> list[Item]:
    """red's default routes."""
    gateways = (("default", f"10.{number}.0.1"), ("::/0", f"fd00:{number}::1"))
    return [{"netns": "red", "to": to, "via": via} for to, via in gateways]


def port(target: str) -> Item:
    return {"port": 8080, "to": f"{target}:80", "address": "any"}


@FAMILIES
@pytest.mark.parametrize("rp_filter", [0, 1])
@pytest.mark.parametrize("ports_apart", [False, True], ids=["", "ports-in-a-third"])
@pytest.mark.parametrize("backwards", [False, True], ids=["", "backwards"])
def test_a_guest_in_two_networks_answers_by_the_other_one(
    family: int, rp_filter: int, ports_apart: bool, backwards: bool
) -> None:
    for scope in ("all", "default", "eth0"):
        sysctl(f"net/ipv4/conf/{scope}/rp_filter", rp_filter)
    before = world.image()
    published = {"published_ports": [port("10.2.0.2"), port("[fd00:2::2]")]}
    documents = [
        network("one", 1, "eth0", routes=ways_out(1)),
        network("two", 2, "eth1", **({} if ports_apart else published)),
        *([{"name": "ports", **published}] if ports_apart else []),
    ]
    for document in documents[::-1] if backwards else documents:
        foretold(document)
    with listening("red", 80, "tcp", family) as red:
        assert call("lan", HOST[family], 8080, red) == LAN[family]
    for document in (*documents, *documents[::-1]):
        assert (document["name"], foretold(document)) == (document["name"], ())
    for document in documents:
        foretold(absent(document["name"]))
    assert world.differences(before, world.image()) == []


@FAMILIES
@pytest.mark.parametrize("backwards", [False, True], ids=["", "backwards"])
@pytest.mark.parametrize("addressed", [False, True], ids=["bare", "addressed"])
def test_a_network_of_which_nothing_is_said_is_closed_whoever_makes_the_host_forward(
    family: int, backwards: bool, addressed: bool
) -> None:
    silent = network("quiet", 3, "eth0")
    del silent["forwarding"], silent["masquerade"]
    if not addressed:
        del silent["bridges"][0]["addresses"]
    documents = [silent, {"name": "router", "forwarding": {"ipv4": True, "ipv6": True}}]
    for document in documents[::-1] if backwards else documents:
        foretold(document)
    if not addressed:  # somebody leads packets there all the same
        batch(["route add 10.3.0.0/24 dev quiet", "route add fd00:3::/64 dev quiet"])
    batch([f"route add default via {HOST[4]}", f"route add default via {HOST[6]}"], "lan")
    batch(["route add default via 10.3.0.1 onlink dev eth0", "route add default via fd00:3::1 onlink dev eth0"], "red")
    target = {4: "10.3.0.2", 6: "fd00:3::2"}[family]
    with listening("red", 80, "udp", family) as red:
        assert blocked("lan", target, 80, red)
        for document in documents:  # one that knew of no forwarding now says so itself
            foretold(document)
        assert blocked("lan", target, 80, red)
    assert settled(*documents)


@pytest.mark.parametrize("forwarding", ["net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding", None])
def test_a_host_that_forwards_and_has_no_packet_filter_is_told_of(
    forwarding: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(iptables, "search_path", lambda: "/nowhere")
    if forwarding is not None:
        sysctl(forwarding, 1)
    silent = network("quiet", 3, "eth0")
    del silent["forwarding"], silent["masquerade"]
    warnings = [engine.run(silent, check=check).warnings for check in (True, False, False)]
    expected = "this host forwards packets and has no iptables: nothing keeps others away from who is on quiet"
    assert [[line.startswith(expected) for line in lines] for lines in warnings] == [[True] * bool(forwarding)] * 3


@pytest.mark.parametrize("family", [4, 6])
def test_a_host_that_stops_forwarding_needs_no_packet_filter(family: int) -> None:
    document = network("quiet", 3, "eth0")
    del document["masquerade"]
    engine.run({**document, "forwarding": {f"ipv{family}": True}}, dad_seconds=0)
    del document["forwarding"]
    foretold(document)
    assert engine.run(document, check=True).warnings == ()
    assert settled(document)
