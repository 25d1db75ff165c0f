# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks that ask for DHCP or DNS get servers that dnsmasq takes and that tell guests no more than is so."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, Dict, List

import pytest

from ansible_collections.hostwire.linux.plugins.filter.guests import FilterModule

guest_services = FilterModule().filters()["guest_services"]
Item = Dict[str, Any]
BOTH = {"dhcp": {"enabled": True}, "dns": {"enabled": True, "domain": "office.test"}}


def guest(name: str, *nics: Item) -> Item:
    return {"name": name, "nics": list(nics)}


def lines(network: Item, *guests: Item) -> List[str]:
    found = guest_services([network], list(guests))
    assert [entry["state"] for entry in found] == ["present"]
    return list(found[0]["lines"])


def test_where_each_server_runs() -> None:
    networks = [
        {"name": "nat", "mode": "nat", **BOTH},
        {"name": "office", "mode": "nat_network", **BOTH},
        {"name": "iso", "mode": "internal", **BOTH},
        {"name": "desk", "mode": "host_only"},
        {"name": "lan", "mode": "bridged", "uplink": "eth0"},
        {"name": "old", "state": "absent"},
    ]
    guests = [guest("one", {"network": "nat"}), guest("two", {"network": "nat"})]
    found = guest_services(networks, guests)
    assert [(entry["name"], entry["netns"], entry["state"], entry["network"]) for entry in found] == [
        ("guest-nat_one", "nat-one", "present", "nat"),
        ("guest-nat_two", "nat-two", "present", "nat"),
        ("guest-office", None, "present", "office"),
        ("guest-iso", "iso-services", "present", "iso"),
        ("guest-desk", None, "absent", "desk"),
        ("guest-old", None, "absent", "old"),
    ]
    assert [entry["lines"][0] for entry in found if entry["lines"]] == [
        "interface=inside",
        "interface=inside",
        "interface=office",
        "interface=inside",
    ]


def test_nat_network_in_full() -> None:
    office = {"name": "office", "mode": "nat_network", "subnet6": "fd00:2::/64", **BOTH}
    office["dns"] = {**office["dns"], "upstream": ["192.168.1.1"]}
    office["dhcp"] = {"enabled": True, "range": "10.0.2.100-10.0.2.200", "range6": "fd00:2::100-fd00:2::200"}
    linux = {"network": "office", "address": "10.0.2.4/24", "address6": "fd00:2::4/64", "mac": "02:00:00:00:00:04"}
    assert lines(office, guest("linux", linux), guest("localdb", {"network": "office", "address": "10.0.2.12/24"})) == [
        "interface=office",
        "except-interface=lo",
        "bind-dynamic",
        "no-hosts",
        "domain-needed",
        "bogus-priv",
        "stop-dns-rebind",
        "no-resolv",
        "server=192.168.1.1",
        "domain=office.test",
        "local=/office.test/",
        "expand-hosts",
        "host-record=linux,linux.office.test,10.0.2.4,fd00:2::4",
        "host-record=localdb,localdb.office.test,10.0.2.12",
        "dhcp-authoritative",
        "no-ping",
        "dhcp-range=10.0.2.100,10.0.2.200,255.255.255.0,1h",
        "dhcp-option=option:router,10.0.2.1",
        "dhcp-range=fd00:2::100,fd00:2::200,64,1h",
        "enable-ra",
        "dhcp-host=02:00:00:00:00:04,10.0.2.4,[fd00:2::4],linux",
        "dhcp-host=10.0.2.12,localdb",
    ]


def test_a_network_that_leads_nowhere_tells_of_no_router_and_without_dns_of_no_name_server() -> None:
    for mode in ("host_only", "internal"):
        found = lines(
            {"name": "desk", "mode": mode, "subnet6": "fd00:5::/64", "dhcp": {"enabled": True, "range6": "slaac"}}
        )
        assert "port=0" in found
        assert "dhcp-option=option:router" in found
        assert "dhcp-option=option:dns-server" in found
        assert any(line.startswith("ra-param=") and line.endswith(",0,0") for line in found)
        named = lines({"name": "desk", "mode": mode, "dns": {"enabled": True}})
        assert "no-resolv" in named
        assert "port=0" not in named


@pytest.mark.parametrize("mode", ["nat", "nat_network", "host_only"])
def test_guests_are_told_the_largest_packet_where_it_is_said(mode: str) -> None:
    office = {"name": "office", "mode": mode, "dhcp": {"enabled": True}}
    linux = guest("linux", {"network": "office"})
    told = [line for line in lines({**office, "mtu": 1400}, linux) if "mtu" in line]
    assert told == ["dhcp-option=option:mtu,1400"]
    assert not any("mtu" in line for line in lines(office, linux))


def test_a_guest_whose_default_route_leads_elsewhere_is_told_of_no_router() -> None:
    office = {"name": "office", "mode": "nat_network", "dhcp": {"enabled": True}}
    here, elsewhere = {"network": "office"}, {"network": "office", "default_route": False}
    assert not any("no-router" in line for line in lines(office, guest("one", here)))
    found = lines(office, guest("one", here), guest("two", elsewhere))
    assert "dhcp-option=tag:no-router,option:router" in found
    assert "dhcp-host=set:no-router,two" in found


def test_behind_its_router_a_guest_gets_the_one_address_whoever_asks() -> None:
    nat = {"name": "nat", "mode": "nat", "dhcp": {"enabled": True}}
    found = lines(nat, guest("one", {"network": "nat", "mac": "02:00:00:00:00:04"}))
    assert "dhcp-range=10.0.2.15,10.0.2.15,255.255.255.0,2m" in found
    assert "dhcp-option=option:router,10.0.2.2" in found
    assert not any(line.startswith("dhcp-host") for line in found)


def test_domains_whose_names_may_have_private_addresses() -> None:
    office = {
        "name": "office",
        "mode": "nat_network",
        "dns": {"enabled": True, "rebind_ok": ["corp.example.com", "lan"]},
    }
    assert "rebind-domain-ok=/corp.example.com/lan/" in lines(office)


def test_no_upstream_but_what_the_host_has_itself_where_the_network_leads_out() -> None:
    assert "no-resolv" not in lines({"name": "office", "mode": "nat_network", "dns": {"enabled": True}})


def test_name_servers_that_are_not_ours_are_told_by_dhcp() -> None:
    office = {"name": "office", "mode": "nat_network", "dhcp": {"enabled": True}, "dns": {"upstream": ["192.168.1.1"]}}
    assert "dhcp-option=option:dns-server,192.168.1.1" in lines(office)


@pytest.mark.parametrize("mode", ["nat", "nat_network", "internal", "host_only", "routed"])
@pytest.mark.parametrize("range6", [None, "slaac", "fd00:2::100-fd00:2::200"])
@pytest.mark.parametrize("dns", [True, False])
def test_dnsmasq_takes_every_configuration(mode: str, range6: str, dns: bool, tmp_path: Path) -> None:
    network: Item = {"name": "office", "mode": mode, "subnet": "10.0.2.0/24", "subnet6": "fd00:2::/64"}
    network["dhcp"] = {"enabled": True, "range6": None if mode == "nat" and range6 != "slaac" else range6}
    network["dhcp"].update({"lease_time": "infinite"} if mode == "nat" else {"lease_time": 3600, "sequential": True})
    network["dns"] = {"enabled": dns, "domain": "office.test", "upstream": [] if mode == "internal" else ["fd00::1"]}
    network["dns"]["rebind_ok"] = ["corp.example.com", "lan"]
    network.update({"uplink": "eth0"} if mode == "routed" else {})
    static = {"address": "10.0.2.4/24", "address6": "fd00:2::4/64", "mac": "02:00:00:00:00:04"}
    nics = [{"network": "office", **({} if mode == "nat" else static)}, {"network": "office"}]
    for entry in guest_services([network], [guest(f"g{place}", nic) for place, nic in enumerate(nics)]):
        file = tmp_path / "dnsmasq.conf"
        file.write_text("".join(f"{line}\n" for line in entry["lines"]))
        done = subprocess.run(["dnsmasq", "--test", f"--conf-file={file}"], check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
