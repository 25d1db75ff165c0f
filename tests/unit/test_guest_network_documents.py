# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks and guests become documents that the engine takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, List

import pytest
import yaml

from ansible_collections.hostwire.linux.plugins.module_utils import document
from ansible_collections.hostwire.linux.tests.unit.guest_networks import Item, by_name, guest, guest_documents


def test_nat_network_in_full() -> None:
    office = {"name": "office", "mode": "nat_network", "subnet6": "fd00:2::/64", "mtu": 1400}
    port = {"port": 3306, "address": "any"}
    linux = guest("linux", {"network": "office", "address": "10.0.2.4/24", "address6": "fd00:2::4/64"})
    localdb = guest("localdb", {"network": "office", "address": "10.0.2.12/24", "published_ports": [port]})
    assert guest_documents([office], [linux, localdb]) == [
        {"name": "guest-namespaces", "namespaces": [{"name": "linux"}, {"name": "localdb"}]},
        {
            "name": "guest-office",
            "bridges": [
                {
                    "name": "office",
                    "guests": {"from_host": False},
                    "mtu": 1400,
                    "addresses": ["10.0.2.1/24", "fd00:2::1/64"],
                }
            ],
            "veths": [
                {
                    "name": "office_linux",
                    "bridge": "office",
                    "mtu": 1400,
                    "peer": {
                        "name": "eth0",
                        "netns": "linux",
                        "addresses": ["10.0.2.4/24", "fd00:2::4/64"],
                        "mtu": 1400,
                    },
                },
                {
                    "name": "office_localdb",
                    "bridge": "office",
                    "mtu": 1400,
                    "peer": {"name": "eth0", "netns": "localdb", "addresses": ["10.0.2.12/24"], "mtu": 1400},
                },
            ],
            "routes": [
                {"netns": "linux", "to": "0.0.0.0/0", "via": "10.0.2.1"},
                {"netns": "linux", "to": "::/0", "via": "fd00:2::1"},
                {"netns": "localdb", "to": "0.0.0.0/0", "via": "10.0.2.1"},
            ],
            "forwarding": {"ipv4": True, "ipv6": True},
            "masquerade": [
                {"source": "10.0.2.0/24", "except_to": "office"},
                {"source": "fd00:2::/64", "except_to": "office"},
            ],
            "published_ports": [{"protocol": "tcp", "port": "3306", "address": "any", "to": "10.0.2.12:3306"}],
        },
    ]


def test_two_nat_guests_have_the_same_address_behind_routers_of_their_own() -> None:
    one = guest("one", {"network": "nat", "published_ports": [{"port": 1234, "to_port": 22, "address": "any"}]})
    two = guest("two", {"network": "nat", "published_ports": [{"port": 8989, "to_port": 80, "address": "any"}]})
    nat = by_name([{"name": "nat", "mode": "nat"}], [one, two])["guest-nat"]
    assert [room["name"] for room in nat["namespaces"]] == ["nat-one", "nat-two"]
    inner = [veth for veth in nat["veths"] if veth["name"] == "inside"]
    assert [(veth["netns"], veth["addresses"], veth["peer"]) for veth in inner] == [
        ("nat-one", ["10.0.2.2/24"], {"name": "eth0", "addresses": ["10.0.2.15/24"], "netns": "one"}),
        ("nat-two", ["10.0.2.2/24"], {"name": "eth0", "addresses": ["10.0.2.15/24"], "netns": "two"}),
    ]
    assert [(port.get("netns"), port["port"], port["address"], port["to"]) for port in nat["published_ports"]] == [
        (None, "1234", "any", "100.64.0.2:1234"),
        ("nat-one", "1234", "100.64.0.2", "10.0.2.15:22"),
        (None, "8989", "any", "100.64.0.3:8989"),
        ("nat-two", "8989", "100.64.0.3", "10.0.2.15:80"),
    ]
    assert nat["bridges"] == [
        {"name": "nat", "guests": {"among": False, "from_host": False}, "addresses": ["100.64.0.1/24"]}
    ]


def test_a_container_and_a_machine_in_nat_sit_on_a_switch_that_only_their_router_is_on() -> None:
    nics = [{"network": "nat"}]
    guests = [guest("web", *nics, kind="container"), guest("box", *nics, kind="vm", owner="qemu")]
    nat = by_name([{"name": "nat", "mode": "nat"}], guests)["guest-nat"]
    closed = {"to_host": False, "from_host": False, "outside": False}
    assert nat["bridges"][1:] == [{"name": "nat.sw_web", "guests": closed}, {"name": "nat.sw_box", "guests": closed}]
    assert nat["containers"] == [
        {"container": "web", "bridge": "nat.sw_web", "name": "nat", "addresses": ["10.0.2.15/24"]}
    ]
    assert nat["taps"] == [{"name": "nat_box", "bridge": "nat.sw_box", "owner": "qemu"}]
    assert {"netns": "container:web", "to": "0.0.0.0/0", "via": "10.0.2.2"} in nat["routes"]


@pytest.mark.parametrize("mode", ["nat", "nat_network", "internal", "host_only", "routed"])
def test_a_switch_says_which_servers_on_the_host_its_guests_use(mode: str) -> None:
    subnet = {} if mode in ("nat", "internal") else {"subnet": "10.0.2.0/24"}
    network: Item = {"name": "net", "mode": mode, **subnet, **({"uplink": "eth0"} if mode == "routed" else {})}
    on_host = mode in ("nat_network", "host_only", "routed")

    def services(**asked: Item) -> Any:
        found = by_name([{**network, **asked}], [])["guest-net"]
        assert document.read(found).problems == ()
        return found["bridges"][0]["guests"].get("services")

    assert services() is None
    assert services(dhcp={"enabled": True}) == (["dhcp"] if on_host else None)
    assert services(dhcp={"enabled": True}, dns={"enabled": True}) == (["dhcp", "dns"] if on_host else None)


def test_host_access_false_closes_guests_to_host_and_nothing_else() -> None:
    nat = {"name": "nat", "mode": "nat"}
    plain, closed = (by_name([network], [])["guest-nat"] for network in (nat, {**nat, "host_access": False}))
    assert closed["bridges"][0]["guests"] == {**plain["bridges"][0]["guests"], "to_host": False}
    closed["bridges"][0]["guests"].pop("to_host")
    assert closed == plain


def test_the_default_route_leads_through_the_first_nic_that_leads_out_or_the_one_that_says_so() -> None:
    networks = [
        {"name": "desk", "mode": "host_only"},
        {"name": "nat", "mode": "nat"},
        {"name": "lan", "mode": "bridged", "uplink": "eth0"},
    ]
    desk, nat = {"network": "desk", "address": "192.168.56.3/24"}, {"network": "nat"}
    lan = {"network": "lan", "address": "192.168.1.80/24", "gateway": "192.168.1.1"}

    def ways(*nics: Item) -> List[str]:
        found = guest_documents(networks, [guest("linux", *nics)])
        return [route["via"] for item in found for route in item.get("routes", ()) if route["netns"] == "linux"]

    assert ways(desk) == []
    assert ways(desk, nat) == ["10.0.2.2"]
    assert ways(desk, nat, lan) == ["10.0.2.2"]
    assert ways(desk, lan, nat) == ["192.168.1.1"]
    assert ways(desk, nat, {**lan, "default_route": True}) == ["192.168.1.1"]
    assert ways(desk, {**nat, "default_route": False}, lan) == ["192.168.1.1"]
    assert ways({"network": "lan"}, nat) == ["10.0.2.2"]  # what LAN's DHCP says of routes is the guest's matter
    assert ways({**nat, "default_route": False}) == []


def test_a_link_local_router_of_the_lan_is_on_the_nic_that_asks_for_it() -> None:
    nic = {"network": "lan", "name": "wan0", "address6": "2001:db8:1::80/64", "gateway6": "fe80::1"}
    lan = by_name([{"name": "lan", "mode": "bridged", "uplink": "eth0"}], [guest("linux", nic)])["guest-lan"]
    assert lan["routes"] == [{"netns": "linux", "to": "::/0", "via": "fe80::1", "dev": "wan0"}]
    assert document.read(lan).problems == ()


def test_a_routed_network_comes_behind_the_switch_that_is_its_uplink() -> None:
    own = {"name": "own", "mode": "routed", "uplink": "lan", "subnet": "10.30.0.0/24"}
    found = guest_documents([own, {"name": "lan", "mode": "bridged", "uplink": "eth0"}])
    assert [item["name"] for item in found] == ["guest-lan", "guest-own", "guest-namespaces"]


def test_a_routed_network_is_open_to_the_networks_of_its_host_that_lead_out() -> None:
    networks = [
        {"name": "own", "mode": "routed", "uplink": "eth0", "subnet": "10.30.0.0/24", "subnet6": "fd00:30::/64"},
        {"name": "office", "mode": "nat_network", "subnet6": "fd00:2::/64"},
        {"name": "nat", "mode": "nat"},
        {"name": "desk", "mode": "host_only"},
        {"name": "iso", "mode": "internal"},
        {"name": "lan", "mode": "bridged", "uplink": "eth1"},
    ]
    open_ones = [
        name
        for name, item in by_name(networks, []).items()
        if any(bridge["guests"].get("from_others") for bridge in item.get("bridges", ()))
    ]
    assert open_ones == ["guest-own"]
    assert all(document.read(item).problems == () for item in guest_documents(networks))


def test_what_is_absent_goes_first_and_namespaces_come_and_go_around_the_networks() -> None:
    networks = [{"name": "desk", "mode": "host_only"}, {"name": "old", "state": "absent"}]
    one, two = (guest(name, {"network": "desk"}) for name in ("one", "two"))
    assert [item["name"] for item in guest_documents(networks, [one, two])] == [
        "guest-old",
        "guest-namespaces",
        "guest-desk",
    ]
    there = by_name(networks, [one, two])
    found = guest_documents(networks, [one], there)
    assert [item["name"] for item in found] == ["guest-old", "guest-namespaces", "guest-desk", "guest-namespaces"]
    assert [[room["name"] for room in found[place]["namespaces"]] for place in (1, 3)] == [["one", "two"], ["one"]]
    gone = guest_documents([{**network, "state": "absent"} for network in networks], [one, two])
    assert gone == [{"name": f"guest-{name}", "state": "absent"} for name in ("old", "desk", "namespaces")]


def test_namespaces_of_networks_that_are_not_listed_stay_as_they_are() -> None:
    office = {"name": "office", "mode": "nat", "dns": {"enabled": True}}
    desk = {"name": "desk", "mode": "host_only"}
    here, elsewhere = guest("linux", {"network": "desk"}), guest("web", {"network": "office"})
    there = by_name([office, desk], [elsewhere, here])
    again = by_name([desk], [here], there)
    assert again["guest-namespaces"]["namespaces"] == [
        {"name": "linux"},
        {"name": "web", "nameservers": ["10.0.2.2"]},
    ]
    gone = by_name([{**desk, "state": "absent"}], [], there)
    assert [entry["name"] for entry in gone["guest-namespaces"]["namespaces"]] == ["web"]
    last = guest_documents([{**office, "state": "absent"}], [], {**there, "guest-desk": {"veths": None}})
    assert last[-1] == {"name": "guest-namespaces", "state": "absent"}


def test_a_guest_without_an_address_sees_to_it_itself() -> None:
    def leased(nic: Item, **more: Any) -> bool:
        networks = [{"name": "desk", "mode": "host_only", "subnet6": "fd00:5::/64", **more}]
        desk = by_name(networks, [guest("linux", {"network": "desk", **nic})])["guest-desk"]
        return bool(desk["veths"][0]["peer"].get("leased", False))

    four, slaac = {"address": "192.168.56.3/24"}, {"dhcp": {"enabled": True, "range6": "slaac"}}
    assert leased({})
    assert leased({"address6": "fd00:5::3/64"})
    assert not leased(four)
    assert leased(four, **slaac)
    assert not leased({**four, "address6": "fd00:5::3/64"}, **slaac)


def test_an_internal_network_has_a_room_for_its_servers_only_where_it_has_servers() -> None:
    iso = {"name": "iso", "mode": "internal"}
    assert "namespaces" not in by_name([iso], [])["guest-iso"]
    served = by_name([{**iso, "dhcp": {"enabled": True}}], [])["guest-iso"]
    assert served["namespaces"] == [{"name": "iso-services"}]
    assert served["veths"][0]["peer"] == {"name": "inside", "netns": "iso-services", "addresses": ["192.168.57.1/24"]}
    assert all("addresses" not in bridge for bridge in served["bridges"])


def test_a_guest_asks_the_name_server_of_its_network_that_has_one() -> None:
    networks = [
        {"name": "desk", "mode": "host_only", "dns": {"enabled": True}},
        {"name": "office", "mode": "nat_network", "dns": {"enabled": True}},
        {"name": "silent", "mode": "internal"},
    ]
    rooms = by_name(
        networks,
        [
            guest("both", {"network": "desk"}, {"network": "office"}),
            guest("near", {"network": "desk"}),
            guest("none", {"network": "silent"}),
        ],
    )["guest-namespaces"]["namespaces"]
    assert rooms == [
        {"name": "both", "nameservers": ["10.0.2.1"]},
        {"name": "near", "nameservers": ["192.168.56.1"]},
        {"name": "none"},
    ]


def test_a_published_port_leads_to_each_family_that_its_address_and_sources_are_of() -> None:
    office = {"name": "office", "mode": "nat_network", "subnet6": "fd00:2::/64"}

    def targets(**port: Any) -> List[str]:
        nic = {"network": "office", "address": "10.0.2.4/24", "address6": "fd00:2::4/64"}
        linux = guest("linux", {**nic, "published_ports": [{"port": "8000-8010", "to_port": 80, **port}]})
        found = by_name([office], [linux])["guest-office"].get("published_ports", [])
        return [entry["to"] for entry in found]

    assert targets(address="any") == ["10.0.2.4:80-90", "[fd00:2::4]:80-90"]
    assert targets() == ["10.0.2.4:80-90"]
    assert targets(address="2001:db8::2") == ["[fd00:2::4]:80-90"]
    assert targets(address="any", sources=["192.168.1.0/24"]) == ["10.0.2.4:80-90"]


@pytest.mark.parametrize("guests", [100])
def test_a_hundred_guests_are_one_document(guests: int) -> None:
    members = [guest(f"g{n}", {"network": "office", "address": f"10.0.2.{n + 2}/24"}) for n in range(guests)]
    found = guest_documents([{"name": "office", "mode": "nat_network"}], members)
    assert [item["name"] for item in found] == ["guest-namespaces", "guest-office"]
    assert len(found[1]["veths"]) == guests


def test_the_example_of_the_filter_makes_what_its_page_shows() -> None:
    page = yaml.safe_load((Path(__file__).parents[2] / "plugins/filter/guest_documents.yml").read_text())
    variables = yaml.safe_load(page["EXAMPLES"])[0]["vars"]
    found = guest_documents(variables["networks"], variables["guests"])
    sample = page["RETURN"]["_value"]["sample"]
    assert [item["name"] for item in found] == [item["name"] for item in sample]
    assert found[1]["bridges"] == sample[1]["bridges"]
