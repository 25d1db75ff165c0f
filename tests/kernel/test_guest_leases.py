# SPDX-License-Identifier: GPL-3.0-or-later
"""Guests that ask DHCP and DNS get from the network's server what their mode allows, and no more."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Dict, List

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import engine
from ansible_collections.hostwire.linux.tests.kernel import guest_world, world
from ansible_collections.hostwire.linux.tests.kernel.dhcp_world import (
    lease,
    offered6,
    pair,
    plug,
    resolved,
    serving,
    start,
    wait,
)
from ansible_collections.hostwire.linux.tests.kernel.guest_world import FILTERS, ping, remove
from ansible_collections.hostwire.linux.tests.kernel.ssh import ssh_server

DHCP = {"enabled": True}
ASKS = {"network": "office"}
FROM_3 = {"enabled": True, "range": "192.168.56.3-192.168.56.254", "sequential": True}


@pytest.fixture(autouse=True)
def surroundings(private_host: Path) -> Path:
    guest_world.build(1)
    return private_host


def defaults(room: str, family: int = 4) -> List[str]:
    """Gateways of a room's default routes."""
    text = subprocess.check_output(["ip", "-n", room, "-j", f"-{family}", "route", "show", "default"], text=True)
    return [route["gateway"] for route in json.loads(text or "[]")]


def global6(room: str) -> List[str]:
    entries = world.ip(room, "address show dev eth0")[0][0]["addr_info"]
    return [entry["local"] for entry in entries if entry["family"] == "inet6" and entry["scope"] == "global"]


def test_shows_5_host_only_guests_get_3_and_4_and_no_way_out(surroundings: Path) -> None:
    before = world.image()
    networks = [{"name": "desk", "mode": "host_only", "dhcp": FROM_3}]
    guests = list(pair({"network": "desk"}))
    found = plug(networks, guests)
    with serving(networks, guests, surroundings):
        for guest, address in (("one", "192.168.56.3"), ("two", "192.168.56.4")):
            told = lease(guest, "eth0", surroundings)
            assert told == {"lease": address, "router": "", "dns": "", "domain": ""}
            assert defaults(guest) == []
            assert not ping(guest, "203.0.113.1")
            (surroundings / guest).mkdir()
            with ssh_server(surroundings / guest, address, server=guest) as login:
                said = subprocess.check_output([*login, "echo $SSH_CONNECTION"], text=True).split()
            assert (said[0], said[2]) == ("192.168.56.1", address)
        for document in found:
            assert engine.run(document).plan == ()  # what was leased stays
    remove(found)
    assert world.differences(before, world.image()) == []


def test_shows_5_a_second_nic_in_nat_brings_the_internet_and_the_default_route(surroundings: Path) -> None:
    networks = [{"name": "desk", "mode": "host_only", "dhcp": FROM_3}, {"name": "nat", "mode": "nat", "dhcp": DHCP}]
    guests = list(pair({"network": "desk"}, {"network": "nat"}))
    plug(networks, guests)
    with serving(networks, guests, surroundings):
        for guest in ("one", "two"):
            lease(guest, "eth0", surroundings)
            assert defaults(guest) == ["10.0.2.2"]
            assert ping(guest, "203.0.113.1")
            told = lease(guest, "eth1", surroundings)
            assert (told["lease"], told["router"]) == ("10.0.2.15", "10.0.2.2")


def test_a_guest_gets_the_address_that_its_name_or_its_mac_address_stands_for(surroundings: Path) -> None:
    nics: List[Dict[str, Any]] = [
        {"network": "office", "address": "10.0.2.77/24", "mac": "02:00:00:00:00:77"},
        {"network": "office", "address": "10.0.2.78/24"},
        {"network": "office"},
    ]
    networks = [{"name": "office", "mode": "nat_network", "dhcp": {**DHCP, "range": "10.0.2.76-10.0.2.79"}}]
    guests = [{"name": name, "nics": [nic]} for name, nic in zip(("mac", "name", "any"), nics)]
    # The guests ask although they could know: a machine does, of which only the server knows the address.
    asking = [{**guest, "nics": [{**guest["nics"][0], "address": None}]} for guest in guests]
    plug(networks, asking)
    with serving(networks, guests, surroundings):
        assert lease("any", "eth0", surroundings)["lease"] in ("10.0.2.76", "10.0.2.79")
        assert lease("mac", "eth0", surroundings, "other")["lease"] == "10.0.2.77"
        assert lease("name", "eth0", surroundings)["lease"] == "10.0.2.78"
        assert ping("any", "203.0.113.1")


def test_leases_outlive_the_server(surroundings: Path) -> None:
    networks = [{"name": "desk", "mode": "host_only", "dhcp": FROM_3}]
    guests = list(pair({"network": "desk"}))
    plug(networks, guests)
    with serving(networks, guests, surroundings) as running:
        assert lease("two", "eth0", surroundings)["lease"] == "192.168.56.3"
        running["guest-desk"].kill()
        running["guest-desk"].wait()
        running["guest-desk"] = start(FILTERS["guest_services"](networks, guests)[0], surroundings)
        assert lease("one", "eth0", surroundings)["lease"] == "192.168.56.4"
        assert lease("two", "eth0", surroundings)["lease"] == "192.168.56.3"


def test_a_host_that_drops_what_comes_in_serves_its_own_networks_and_nobody_else(surroundings: Path) -> None:
    networks = [{"name": "office", "mode": "nat_network", "dhcp": DHCP, "dns": DHCP}]
    guests = [
        {"name": name, "nics": [nic]} for name, nic in (("one", ASKS), ("two", {**ASKS, "address": "10.0.2.12/24"}))
    ]
    subprocess.run(["iptables", "-P", "INPUT", "DROP"], check=True)
    plug(networks, guests)
    with serving(networks, guests, surroundings):
        assert lease("one", "eth0", surroundings)["router"] == "10.0.2.1"
        assert resolved("one", "two", "10.0.2.1") == "10.0.2.12"
        assert not ping("one", "10.0.2.1")


def test_a_guest_whose_default_route_leads_elsewhere_is_told_of_no_router(surroundings: Path) -> None:
    networks = [{"name": "office", "mode": "nat_network", "dhcp": DHCP}]
    one, two = pair({"network": "office"})
    two["nics"][0]["default_route"] = False
    plug(networks, [one, two])
    with serving(networks, [one, two], surroundings):
        assert lease("one", "eth0", surroundings)["router"] == "10.0.2.1"
        assert lease("two", "eth0", surroundings)["router"] == ""


def test_an_internal_network_is_served_without_the_host(surroundings: Path) -> None:
    networks = [{"name": "iso", "mode": "internal", "dhcp": DHCP, "dns": {"enabled": True, "domain": "iso.test"}}]
    guests = [*pair({"network": "iso"}), {"name": "db", "nics": [{"network": "iso", "address": "192.168.57.9/24"}]}]
    plug(networks, guests)
    with serving(networks, guests, surroundings):
        told = lease("one", "eth0", surroundings)
        assert (told["router"], told["dns"], told["domain"]) == ("", "192.168.57.1", "iso.test")
        assert resolved("one", "db.iso.test", "192.168.57.1") == "192.168.57.9"
        lease("two", "eth0", surroundings)
        assert resolved("one", "two.iso.test", "192.168.57.1").startswith("192.168.57.")  # by its lease
        assert not ping("one", "192.168.1.2")


@pytest.mark.parametrize(
    ("mode", "server", "own"), [("nat_network", "10.0.2.1", "10.0.2.4"), ("nat", "10.0.2.2", "10.0.2.15")]
)
def test_names_of_the_own_domain_are_never_asked_elsewhere_and_others_are(
    mode: str, server: str, own: str, surroundings: Path
) -> None:
    dns = {"enabled": True, "domain": "office.test", "upstream": ["192.168.1.3"]}
    networks = [{"name": "office", "mode": mode, "dns": dns}]
    guests = [{"name": "linux", "nics": [{"network": "office", "address": f"{own}/24"}]}]
    plug(networks, guests)
    upstream = {"name": "upstream", "netns": "lan", "lines": ["no-resolv", "address=/test/93.184.215.14"]}
    with serving(networks, guests, surroundings) as running:
        running["upstream"] = start(upstream, surroundings)
        assert wait(lambda: resolved("linux", "www.test", server) == "93.184.215.14")
        assert resolved("linux", "linux.office.test", server) == own
        assert resolved("linux", "nobody.office.test", server) == ""
    assert Path("/etc/netns/linux/resolv.conf").read_text().splitlines()[-1] == f"nameserver {server}"


def test_security_upstream_names_nothing_in_here_and_is_not_asked_who_is(surroundings: Path) -> None:
    dns = {"enabled": True, "domain": "office.test", "upstream": ["192.168.1.3"], "rebind_ok": ["corp.test"]}
    networks = [{"name": "office", "mode": "nat_network", "dns": dns}]
    guests = [{"name": "linux", "nics": [{"network": "office", "address": "10.0.2.4/24"}]}]
    plug(networks, guests)
    told = {"www.test": "93.184.215.14", "evil.test": "192.168.1.2", "own.test": "10.0.2.4", "db.corp.test": "10.9.9.9"}
    answers = [f"host-record={name},{address}" for name, address in told.items()]
    upstream = {"name": "upstream", "netns": "lan", "lines": ["no-resolv", *answers]}
    with serving(networks, guests, surroundings) as running:
        running["upstream"] = start(upstream, surroundings)
        assert wait(lambda: resolved("linux", "www.test", "10.0.2.1") == "93.184.215.14")
        assert resolved("lan", "evil.test", "192.168.1.3") == "192.168.1.2"
        assert resolved("linux", "evil.test", "10.0.2.1") == ""
        assert resolved("linux", "own.test", "10.0.2.1") == ""
        assert resolved("linux", "db.corp.test", "10.0.2.1") == "10.9.9.9"
        assert resolved("linux", "linux.office.test", "10.0.2.1") == "10.0.2.4"
        assert "www.test" in name_of("linux", "93.184.215.14", "10.0.2.1")
        assert "linux" in name_of("linux", "10.0.2.4", "10.0.2.1")
        assert "corp.test" in name_of("lan", "10.9.9.9", "192.168.1.3")
        assert "corp.test" not in name_of("linux", "10.9.9.9", "10.0.2.1")


def name_of(room: str, address: str, server: str) -> str:
    """What a server says of who has an IPv4 address."""
    question = ".".join(reversed(address.split("."))) + ".in-addr.arpa"
    command = ["ip", "netns", "exec", room, "busybox", "nslookup", "-type=ptr", question, server]
    said = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60).stdout
    return said.partition("name = ")[2]


def test_servers_of_two_networks_answer_on_their_own_network_only(surroundings: Path) -> None:
    networks = [
        {"name": "office", "mode": "nat_network", "dhcp": DHCP, "dns": {"enabled": True, "domain": "office.test"}},
        {"name": "desk", "mode": "host_only", "dhcp": DHCP, "dns": {"enabled": True, "domain": "desk.test"}},
    ]
    guests = [{"name": name, "nics": [{"network": name}]} for name in ("office", "desk")]
    plug(networks, guests)
    with serving(networks, guests, surroundings):
        for name, subnet in (("office", "10.0.2."), ("desk", "192.168.56.")):
            told = lease(name, "eth0", surroundings)
            assert told["lease"].startswith(subnet)
            assert told["domain"] == f"{name}.test"
            assert resolved(name, f"{name}.{name}.test", f"{subnet}1") == told["lease"]
            assert resolved("lan", f"{name}.{name}.test", "192.168.1.2") == ""
        assert lease("lan", "eth0", surroundings, tries=2) == {}


def test_dhcpv6_gives_the_address_that_is_kept_for_a_guest(surroundings: Path) -> None:
    dhcp = {"enabled": True, "range6": "fd00:2::100-fd00:2::1ff"}
    networks = [{"name": "office", "mode": "nat_network", "subnet6": "fd00:2::/64", "dhcp": dhcp}]
    one, two = pair({"network": "office"})
    plug(networks, [one, two])
    kept = {"network": "office", "address": "10.0.2.4/24", "address6": "fd00:2::4/64", "mac": mac_of("one")}
    with serving(networks, [{**one, "nics": [kept]}, two], surroundings):
        assert wait(lambda: offered6("one", mac_of("one")) == "fd00:2::4")
        assert wait(lambda: offered6("two", mac_of("two")).startswith("fd00:2::1"))


def mac_of(room: str) -> str:
    return str(world.ip(room, "link show dev eth0")[0][0]["address"])


@pytest.mark.parametrize("mode", ["nat_network", "host_only"])
def test_ipv6_by_router_advertisements_with_a_router_only_where_the_network_leads_out(
    mode: str, surroundings: Path
) -> None:
    dhcp = {"enabled": True, "range6": "slaac"}
    networks = [{"name": "office", "mode": mode, "subnet6": "fd00:2::/64", "dhcp": dhcp}]
    guests = list(pair({"network": "office"}))
    found = plug(networks, guests)
    with serving(networks, guests, surroundings):
        assert wait(lambda: any(address.startswith("fd00:2:") for address in global6("one")))
        assert wait(lambda: ping("one", "fd00:2::1"))
        if mode == "nat_network":
            assert wait(lambda: len(defaults("one", 6)) == 1)
            assert wait(lambda: ping("one", guest_world.INTERNET_ADDRESS[6]))
        else:
            assert defaults("one", 6) == []
        for document in found:
            assert engine.run(document).plan == ()
