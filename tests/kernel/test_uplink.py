# SPDX-License-Identifier: GPL-3.0-or-later
"""A bridge takes over all that its host's NIC does, and gives it back: nothing is lost."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from ansible_collections.hostwire.linux.plugins.module_utils import engine
from ansible_collections.hostwire.linux.tests.kernel import lan, world

PAGE = Path(__file__).resolve().parents[2] / "docs" / "bridged.md"

pytestmark = pytest.mark.usefixtures("private_host")


def test_a_bridge_takes_over_all_that_its_uplink_does_and_gives_it_back() -> None:
    lan.build()
    before, work, its_mac = world.image(), lan.work_of("eth0"), lan.mac("eth0")
    assert work["neighbours"], work
    predicted = engine.run(lan.BRIDGED, check=True)
    assert world.differences(before, world.image()) == []

    done = engine.run(lan.BRIDGED)
    assert done.plan == predicted.plan
    assert done.after == {"name": "main", **lan.BRIDGED}
    assert world.differences(work, lan.work_of("br0")) == []
    assert [entry["scope"] for entry in lan.addresses("eth0")] == ["link"]  # each link keeps a link-local one
    assert lan.mac("br0") == its_mac
    assert "mtu 1450" in lan.ip("link", "show", "dev", "br0")
    assert engine.run(lan.BRIDGED).plan == ()

    predicted = engine.run(lan.NOTHING, check=True)
    done = engine.run(lan.NOTHING)
    assert done.plan == predicted.plan
    assert world.differences(work, lan.work_of("eth0")) == []
    assert world.differences(before, world.image()) == []
    assert engine.run(lan.NOTHING).plan == ()


def test_the_pages_example_puts_a_guest_on_the_lan() -> None:
    lan.build()
    found = re.search(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found is not None
    [play] = yaml.safe_load(found[1])
    engine.run(play["tasks"][0]["hostwire.linux.topology"])
    lan.until(lambda: lan.reached("192.168.1.30"))
    assert lan.reached("192.168.1.1", "guest")


def test_a_route_by_two_ways_keeps_the_other_one() -> None:
    lan.build()
    lan.batch("""
        link add eth1 type veth peer name eth1 netns lan
        address add 192.168.2.2/24 dev eth1
        address add 2001:db8:2::2/64 dev eth1 nodad
        link set eth1 up
        route add 203.0.113.0/24 nexthop via 192.168.1.3 weight 2 nexthop via 192.168.2.3 weight 3
        route add 2001:db8:a::/64 nexthop via 2001:db8:1::1 weight 2 nexthop via 2001:db8:2::1 weight 3
    """)
    before = world.image()
    engine.run(lan.BRIDGED)
    for to in ("203.0.113.0/24", "2001:db8:a::/64"):
        (route,) = json.loads(lan.ip("-6" if ":" in to else "-4", "-j", "route", "show", to))
        assert {(hop["dev"], hop["weight"]) for hop in route["nexthops"]} == {("br0", 2), ("eth1", 3)}
    assert engine.run(lan.BRIDGED).plan == ()
    engine.run(lan.NOTHING)
    assert world.differences(before, world.image()) == []


def test_what_came_meanwhile_goes_back_too() -> None:
    lan.build()
    engine.run(lan.BRIDGED)
    lan.batch("""
        address change 192.168.9.5/24 dev br0 valid_lft 7200 preferred_lft 7200
        address add 192.168.1.99/24 dev br0 valid_lft 600 preferred_lft 600
        address del 192.168.1.20/24 dev br0
        route replace default via 192.168.1.3
        route add 203.0.113.0/24 via 192.168.1.1 dev br0 table 9
    """)
    assert engine.run(lan.BRIDGED).plan == ()
    work = lan.work_of("br0")
    engine.run(lan.NOTHING)
    assert world.differences(work, lan.work_of("eth0")) == []
    assert "valid_lft 7" in lan.ip("address", "show", "dev", "eth0", "to", "192.168.9.5")
    assert lan.ip("route", "show", "table", "9").startswith("203.0.113.0/24 via 192.168.1.1 dev eth0")


def test_without_its_uplink_a_bridge_keeps_what_the_document_gave_it() -> None:
    lan.build()
    work = lan.work_of("eth0")
    inner = {
        "namespaces": [{"name": "red"}],
        "veths": [
            {"name": "r", "bridge": "br0", "peer": {"name": "eth0", "netns": "red", "addresses": ["10.5.0.2/24"]}}
        ],
        "routes": [{"to": "10.6.0.0/16", "via": "10.5.0.2"}],
    }
    alone = {**inner, "bridges": [{"name": "br0", "addresses": ["10.5.0.1/24"]}]}
    bridged = {**inner, "bridges": [{"name": "br0", "addresses": ["10.5.0.1/24"], "uplink": "eth0"}]}
    engine.run(alone)
    first = world.image()
    for dummy in range(2):
        engine.run(bridged)
        assert engine.run(bridged).plan == ()
        assert lan.reached("10.5.0.1", "red")
        assert lan.ip("route", "get", "10.6.0.1").startswith("10.6.0.1 via 10.5.0.2 dev br0")
        assert lan.ip("route", "get", "203.0.113.1").startswith("203.0.113.1 via 192.168.1.1 dev br0")
        engine.run(alone)
        assert engine.run(alone).plan == ()
        assert world.differences(work, lan.work_of("eth0")) == []
        assert world.differences(first["rooms"], world.image()["rooms"]) == []


def test_an_address_that_the_document_says_and_the_uplink_has_goes_back_with_it() -> None:
    lan.build()
    before = world.image()
    document = {"bridges": [{"name": "br0", "uplink": "eth0", "addresses": ["192.168.1.2/24", "192.168.1.50/24"]}]}
    engine.run(document)
    assert engine.run(document).plan == ()
    assert lan.reached("192.168.1.50")
    engine.run(lan.BRIDGED)
    assert not lan.reached("192.168.1.50")
    assert lan.reached("192.168.1.2")
    engine.run(lan.NOTHING)
    assert world.differences(before, world.image()) == []


def test_routes_of_the_document_lead_by_what_the_uplink_brings() -> None:
    lan.build()
    before = world.image()
    routes = [
        {"to": "203.0.113.0/24", "via": "192.168.1.3"},
        {"to": "203.0.114.0/24", "via": "192.168.1.3", "dev": "br0"},
    ]
    engine.run({"routes": routes[:1]})
    document = {**lan.BRIDGED, "routes": routes}
    engine.run(document)
    assert engine.run(document).plan == ()
    engine.run({"routes": routes[:1]})
    assert lan.ip("route", "get", "203.0.113.1").startswith("203.0.113.1 via 192.168.1.3 dev eth0")
    assert engine.run({"routes": routes[:1]}).plan == ()
    engine.run(document)
    engine.run(lan.NOTHING)
    assert world.differences(before, world.image()) == []


def test_guests_on_the_bridge_are_on_the_lan() -> None:
    lan.build()
    before = world.image()
    document = {
        **lan.BRIDGED,
        "namespaces": [{"name": "guest"}],
        "veths": [
            {"name": "g", "bridge": "br0", "peer": {"name": "eth0", "netns": "guest", "addresses": ["192.168.1.30/24"]}}
        ],
        "routes": [{"netns": "guest", "to": "default", "via": "192.168.1.1"}],
    }
    engine.run(document)
    lan.until(lambda: lan.reached("192.168.1.30"))
    assert lan.reached("192.168.1.1", "guest")
    assert lan.reached("192.168.1.2", "guest")
    assert engine.run(document).plan == ()
    engine.run(lan.NOTHING)
    assert world.differences(before, world.image()) == []


def test_a_task_for_the_bridge_alone_takes_over_and_gives_back() -> None:
    lan.build()
    before = world.image()
    engine.run(lan.BRIDGED, fragment=True)
    assert lan.reached("192.168.1.2")
    assert engine.run(lan.BRIDGED, fragment=True).plan == ()
    engine.run({**lan.BRIDGED, "bridges": [{"name": "br1"}]}, fragment=True)
    assert "192.168.1.2/24" in lan.ip("-br", "address", "show", "dev", "br0")
    engine.run({"bridges": [{"name": "br1"}], "state": "absent"}, fragment=True)
    engine.run({"bridges": [{"name": "br0"}], "state": "absent"}, fragment=True)
    assert world.differences(before, world.image()) == []


def test_a_nic_in_a_namespace_is_bridged_there() -> None:
    lan.build()
    before = world.image()
    document = {"bridges": [{"name": "br0", "netns": "lan", "uplink": "eth0", "addresses": ["192.168.1.44/24"]}]}
    done = engine.run(document)
    assert "lan: eth0: uplink of br0, which takes over 192.168.1.1/24, 192.168.1.3/24, 2001:db8:1::1/64" in done.plan
    assert engine.run(document).plan == ()
    for address in ("192.168.1.1", "192.168.1.44", "2001:db8:1::1"):
        assert subprocess.run(["ping", "-qc1", "-W2", address], capture_output=True, check=False).returncode == 0
    engine.run(lan.NOTHING)
    assert world.differences(before, world.image()) == []
