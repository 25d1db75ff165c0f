# SPDX-License-Identifier: GPL-3.0-or-later
"""Good documents mean what they say, whatever the order and the notation, and come back as they went in."""

# ruff: noqa: E501 - a case reads best on one line

from __future__ import annotations

import random
import time
from typing import Any

import pytest
import yaml

from ansible_collections.hostwire.linux.plugins.module_utils import document
from ansible_collections.hostwire.linux.plugins.module_utils.model import (
    Bridge,
    Container,
    End,
    Forwarding,
    GuestPolicy,
    Interface,
    Masquerade,
    Namespace,
    Nexthop,
    Probe,
    PublishedPort,
    Route,
    Tap,
    Topology,
    Veth,
)
from ansible_collections.hostwire.linux.tests.good_documents import GOOD_DOCUMENTS, probes_of

SCENARIOS = ["1-two-rooms", "2-switch", "3-out-to-the-lan", "4-two-lans-one-router", "5-host-as-router"]


@pytest.mark.parametrize("name", GOOD_DOCUMENTS)
def test_a_good_document_has_no_problems(name: str) -> None:
    assert document.read(GOOD_DOCUMENTS[name]).problems == ()


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_with_its_probes_has_no_problems(name: str) -> None:
    reading = document.read({**GOOD_DOCUMENTS[name], "probes": probes_of(name)})
    assert reading.problems == ()
    assert len(reading.topology.probes) == len(probes_of(name))


@pytest.mark.parametrize("name", GOOD_DOCUMENTS)
def test_a_dump_is_read_as_what_it_came_from(name: str) -> None:
    topology = document.read(GOOD_DOCUMENTS[name]).topology
    again = document.read(document.dump(topology))
    assert again.problems == ()
    assert again.topology == document.canonical(topology)


@pytest.mark.parametrize("name", GOOD_DOCUMENTS)
@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_entries_means_nothing(name: str, seed: int) -> None:
    shuffled = {
        key: random.Random(seed).sample(value, len(value)) if isinstance(value, list) else value
        for key, value in random.Random(seed).sample(list(GOOD_DOCUMENTS[name].items()), len(GOOD_DOCUMENTS[name]))
    }
    one, other = document.read(GOOD_DOCUMENTS[name]).topology, document.read(shuffled).topology
    assert document.to_yaml(document.dump(one)) == document.to_yaml(document.dump(other))


def test_defaults_are_left_out_of_a_dump() -> None:
    assert document.dump(document.read({}).topology) == {"name": "main"}
    plain = {"name": "main", "bridges": [{"name": "br0"}], "published_ports": [
        {"protocol": "tcp", "port": 80, "to": "10.0.0.1:80"}]}  # fmt: skip
    told = {"name": "main", "state": "present", "routes": [], "forwarding": {"ipv4": None, "ipv6": None, "networks": []},
            "bridges": [{"name": "br0", "netns": None, "addresses": [], "uplink": None, "mac": None, "mtu": None, "up": True,
                         "stp": False, "vlan_filtering": False}],
            "published_ports": [{"port": "80", "to": "10.0.0.1:80", "address": "127.0.0.1", "sources": []}]}  # fmt: skip
    assert document.dump(document.read(told).topology) == plain


def test_services_of_a_switch_are_dumped_where_there_are_any() -> None:
    bridges = [{"name": "br0", "guests": {"services": ["dns"]}}, {"name": "br1", "guests": {"services": []}}]
    told = document.dump(document.read({"bridges": bridges}).topology)["bridges"]
    assert [bridge["guests"] for bridge in told] == [{"services": ["dns"]}, {}]


def test_one_exception_is_a_name_and_several_are_a_list() -> None:
    entries = [{"source": f"10.{number}.0.0/16", "except_to": names} for number, names in enumerate(
        ("br0", ["br0"], ["br1", "br0"], [], None))]  # fmt: skip
    told = document.dump(document.read({"masquerade": entries}).topology)["masquerade"]
    assert [entry.get("except_to") for entry in told] == ["br0", "br0", ["br0", "br1"], None, None]


def test_the_dump_of_a_switch_is_what_a_person_would_write() -> None:
    assert document.to_yaml(document.dump(document.read(GOOD_DOCUMENTS["3-out-to-the-lan"]).topology)) == THIRD_SCENARIO


THIRD_SCENARIO = """\
name: main
namespaces:
  - name: blue
  - name: green
  - name: red
bridges:
  - name: v-net-0
    addresses:
      - 192.168.15.5/24
veths:
  - name: veth-blue-br
    bridge: v-net-0
    peer:
      name: veth-blue
      netns: blue
      addresses:
        - 192.168.15.2/24
  - name: veth-green-br
    bridge: v-net-0
    peer:
      name: veth-green
      netns: green
      addresses:
        - 192.168.15.3/24
  - name: veth-red-br
    bridge: v-net-0
    peer:
      name: veth-red
      netns: red
      addresses:
        - 192.168.15.1/24
routes:
  - netns: blue
    to: 0.0.0.0/0
    via: 192.168.15.5
  - netns: green
    to: 0.0.0.0/0
    via: 192.168.15.5
  - netns: red
    to: 0.0.0.0/0
    via: 192.168.15.5
masquerade:
  - source: 192.168.15.0/24
    except_to: v-net-0
published_ports:
  - protocol: tcp
    port: 8080
    to: "192.168.15.2:80"
    address: any
forwarding:
  ipv4: true
"""


def test_everything_that_can_be_said_means_this() -> None:
    red_veth = End("veth-red", "red", None, ("192.168.15.1/24", "fd00:15::1/64"), None, 1400)
    assert document.read(GOOD_DOCUMENTS["everything"]).topology == Topology(
        name="office",
        namespaces=(
            Namespace(
                "red",
                Forwarding(True, True),
                (
                    ("net/ipv4/conf/all/rp_filter", "1"),
                    ("net/ipv4/conf/eth0.100/rp_filter", "2"),
                    ("net/ipv4/tcp_ecn", "1"),
                ),
                ("192.168.15.5", "fd00:15::5"),
                (("db.example.com", "fd00:15::6"), ("localdb", "10.0.2.12")),
            ),
            Namespace("blue"),
            Namespace("r1.lab_x-y"),
        ),
        bridges=(
            Bridge("v-net-0", None, ("192.168.15.5/24", "fd00:15::5/64"), "02:00:00:aa:bb:01", 1400, True, False, True),
            Bridge("v-net-1", up=False, guests=GuestPolicy(to_host=False, outside=False)),
            Bridge("v-net-3", guests=GuestPolicy(services=("dhcp", "dns"))),
            Bridge("v-net-2", uplink="eth2"),
            Bridge("v-net-0", "red"),
        ),
        veths=(
            Veth(End("veth-red-br", None, "v-net-0"), red_veth),
            Veth(End("trunk0", None, "v-net-0"), End("trunk1", None, "v-net-1")),
            Veth(
                End("p2p", "blue", None, ("10.9.0.0/31", "fe80::1/64")),
                End("p2p", "r1.lab_x-y", None, ("10.9.0.1/31", "fe80::2/64")),
            ),
        ),
        interfaces=(
            Interface("eth0", None, ("192.168.1.10/24",), 9000, True),
            Interface("eth1", bridge="v-net-0"),
            Interface("lo", "blue", ("10.9.0.1/32", "127.0.0.53/8")),
        ),
        taps=(
            Tap("tap0", bridge="v-net-0", mac="02:00:00:aa:bb:02", mtu=1400, owner="qemu"),
            Tap("tap0", netns="red", up=False, owner="1000"),
        ),
        containers=(
            Container("web", "lan0", "v-net-0", ("192.168.15.8/24", "fd00:15::8/64"), "02:00:00:aa:bb:03", 1400),
            Container("0b5e.db_1", "lan0", "v-net-1"),
        ),
        routes=(
            Route("red", "0.0.0.0/0", "192.168.15.5", metric=100),
            Route("red", "::/0", "fd00:15::5"),
            Route(
                "red", "10.20.0.0/16", nexthops=(Nexthop("192.168.15.6", None, 2), Nexthop("192.168.15.7", "veth-red"))
            ),
            Route("red", "10.21.0.0/16", "192.168.15.6"),
            Route("red", "10.22.0.0/16", type="blackhole", table=100),
            Route("container:web", "10.9.0.0/16", "192.168.15.5"),
            Route("blue", "fd01::/64", "fe80::2", "p2p"),
            Route("blue", "198.51.100.1/32", None, "p2p"),
            Route("blue", "0.0.0.0/0", "198.51.100.1", "p2p", 5),
            Route(None, "203.0.113.0/24", "192.168.1.1", "eth0", table=253),
        ),
        forwarding=Forwarding(True, None, ("10.0.0.0/16", "10.1.0.0/16")),
        masquerade=(
            Masquerade(None, "192.168.15.0/24", ("v-net-0",)),
            Masquerade(None, "fd00:15::/64", ("lo",), "2001:db8::1"),
            Masquerade(None, "192.168.16.0/24", ("lo", "v-net-0")),
            Masquerade(None, "192.168.17.0/24", ("v-net-0",)),
            Masquerade(None, "192.168.18.0/24"),
        ),
        published_ports=(
            PublishedPort(None, "tcp", 8080, 8080, "127.0.0.1", "192.168.15.2", 80),
            PublishedPort(None, "tcp", 8080, 8080, "192.168.1.10", "192.168.15.2", 80),
            PublishedPort(None, "udp", 8000, 8010, "any", "192.168.15.2", 9000, ("10.0.0.0/8", "192.0.2.7/32")),
            PublishedPort(None, "tcp", 8080, 8080, "any", "fd00:15::2", 80),
        ),
        sysctls=(("net/core/somaxconn", "1024"), ("net/ipv4/tcp_rmem", "4096 131072 6291456")),
        probes=(
            Probe("blue", "192.168.1.3"),
            Probe(None, "192.168.15.2", "tcp", 80),
            Probe("container:web", "fd00:15::2", "dns", None, False),
            Probe("blue", "fe80::2%p2p", "udp", 53),
        ),
    )


FINE: dict[str, Any] = {
    "both ends of a /31": {"bridges": [{"name": "a", "addresses": ["10.0.0.0/31"]}, {"name": "b", "addresses": ["10.0.0.3/31"]}]},
    "all of a /127": {"bridges": [{"name": "a", "addresses": ["fd00::/127"]}, {"name": "b", "addresses": ["fd00::3/127"]}]},
    "a single address": {"bridges": [{"name": "a", "addresses": ["10.0.0.0/32", "fd00::/128"]}]},
    "the last address of an IPv6 subnet": {"bridges": [{"name": "a", "addresses": ["fd00::ffff:ffff:ffff:ffff/64"]}]},
    "two addresses of one subnet on a link": {"bridges": [{"name": "a", "addresses": ["10.0.0.1/24", "10.0.0.2/24"]}]},
    "link-local on each link": {
        "bridges": [{"name": "a", "addresses": ["fe80::1/64"]}, {"name": "b", "addresses": ["fe80::1/64"]}]
    },
    "one address in two rooms on two switches": {
        "namespaces": [{"name": "red"}, {"name": "blue"}],
        "bridges": [{"name": "a"}, {"name": "b"}],
        "veths": [
            {"name": "va", "bridge": "a", "peer": {"name": "eth0", "netns": "red", "addresses": ["10.0.0.1/24"]}},
            {"name": "vb", "bridge": "b", "peer": {"name": "eth0", "netns": "blue", "addresses": ["10.0.0.1/24"]}},
        ],
    },
    "a switch of one name in two rooms": {"namespaces": [{"name": "red"}], "bridges": [{"name": "a"}, {"name": "a", "netns": "red"}]},
    "a router's own address on lo": {
        "interfaces": [{"name": "lo", "addresses": ["10.0.0.9/32"]}],
        "bridges": [{"name": "a", "addresses": ["10.0.0.1/24"]}],
    },
    "a small MTU without IPv6": {"bridges": [{"name": "a", "mtu": 576, "addresses": ["10.0.0.1/24"]}]},
    "a small port of a bridge that has its own MTU": {
        "bridges": [{"name": "a", "mtu": 1500, "addresses": ["fd00::1/64"]}],
        "veths": [{"name": "p", "bridge": "a", "mtu": 1000, "peer": {"name": "q"}}],
    },
    "a port for each address": {
        "published_ports": [
            {"port": 80, "to": "10.0.0.1:80"},
            {"port": 80, "to": "10.0.0.1:80", "address": "10.0.0.9"},
            {"port": 80, "to": "10.0.0.1:80", "address": "any", "protocol": "udp"},
            {"port": 80, "to": "[fd00::1]:80", "address": "any"},
            {"port": 80, "to": "10.0.0.1:80", "address": "any", "netns": "red"},
            {"port": "81-90", "to": "10.0.0.1:81-90", "address": "any"},
        ],
        "namespaces": [{"name": "red"}],
    },
    "a route for each metric and table": {
        "routes": [
            {"to": "10.0.0.0/8", "dev": "eth0"},
            {"to": "10.0.0.0/8", "dev": "eth0", "metric": 5},
            {"to": "10.0.0.0/8", "dev": "eth0", "table": 100},
        ]
    },
    "digits and colons that YAML leaves alone": {"bridges": [{"name": "a", "mac": "52:54:00:12:34:56"}]},
    "tuples for lists": {"bridges": ({"name": "a", "addresses": ("10.0.0.1/24",)},)},
    "null for everything": dict.fromkeys(["name", "state", "veths", "taps", "forwarding", "sysctls", "probes"]),
}  # fmt: skip


@pytest.mark.parametrize("case", FINE)
def test_this_is_fine(case: str) -> None:
    assert document.read(FINE[case]).problems == ()


def test_absent_needs_only_what_identifies_an_object() -> None:
    reading = document.read(
        {
            "state": "absent",
            "veths": [{"name": "a0"}],
            "routes": [{"netns": "red", "to": "default"}],
            "published_ports": [{"port": "80-81"}],
        }
    )
    assert reading.problems == ()
    assert not reading.topology.present
    assert reading.topology.veths == (Veth(End("a0"), End("")),)
    assert reading.topology.routes == (Route("red", "default", table=0),)  # in both families, and every table
    assert reading.topology.published_ports == (PublishedPort(None, "", 80, 81, "", "", 80),)  # on every address


def test_booleans_and_numbers_come_as_a_template_makes_them() -> None:
    for text in ("yes", "True", "on", "1", True, 1):
        assert document.read({"forwarding": {"ipv4": text}}).topology.forwarding.ipv4 is True
    for text in ("no", "False", "off", "0", False, 0):
        assert document.read({"forwarding": {"ipv4": text}}).topology.forwarding.ipv4 is False
    bridge = document.read(yaml.safe_load("bridges: [{name: a, mtu: '1400'}]")).topology.bridges[0]
    assert bridge.mtu == 1400


def large(count: int) -> dict[str, Any]:
    """``count`` rooms, each with a cable to one switch, an address and a default route."""
    return {
        "namespaces": [{"name": f"n{i}"} for i in range(count)],
        "bridges": [{"name": "br0", "addresses": ["10.0.0.1/8"]}],
        "veths": [
            {
                "name": f"v{i}",
                "bridge": "br0",
                "peer": {
                    "name": "eth0",
                    "netns": f"n{i}",
                    "addresses": [f"10.{1 + i // 62500}.{i // 250 % 250}.{i % 250 + 1}/8"],
                },
            }
            for i in range(count)
        ],
        "routes": [{"netns": f"n{i}", "to": "default", "via": "10.0.0.1"} for i in range(count)],
        "published_ports": [{"port": 1000 + i, "to": "10.0.0.9:80", "address": "any"} for i in range(count)],
    }


def crowded(count: int) -> dict[str, Any]:
    """``count`` switches on the host, each with a subnet of its own and a route through it."""
    return {
        "bridges": [{"name": f"br{i}", "addresses": [f"10.{i // 250}.{i % 250}.1/24"]} for i in range(count)],
        "routes": [
            {"to": f"172.{16 + i // 250}.{i % 250}.0/24", "via": f"10.{i // 250}.{i % 250}.2"} for i in range(count)
        ],
    }


@pytest.mark.parametrize("shape", [large, crowded])
def test_the_time_to_read_grows_with_the_document_and_not_with_its_square(shape: Any) -> None:
    def seconds(count: int) -> float:
        wanted = shape(count)
        took = []
        for _round in range(3):
            began = time.process_time()
            assert document.read(wanted).problems == ()
            took.append(time.process_time() - began)
        return min(took)

    assert seconds(2000) < 4 * 3 * seconds(500)  # four times the work; 16 times would be the square
