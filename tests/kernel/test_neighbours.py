# SPDX-License-Identifier: GPL-3.0-or-later
"""Whoever knew an address by another MAC address knows the right one when a run ends, and after one that is undone."""

from __future__ import annotations

import copy
import json
import subprocess
from typing import Any, Dict, Iterable, List, Optional

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import engine
from ansible_collections.hostwire.linux.plugins.module_utils.errors import VerificationFailed
from ansible_collections.hostwire.linux.tests.kernel.docker_stand_in import docker_engine
from ansible_collections.hostwire.linux.tests.kernel.guest_world import ping

Document = Dict[str, Any]
UNCHECKED = {
    f"net.ipv6.conf.{which}.accept_dad": 0 for which in ("all", "default")
}  # the first run takes 2 s, no other
HUBS = (None, "hub")


def pair(host: int) -> List[str]:
    """An address of each family; .2 and .22 share a subnet, so that one of them is a secondary one."""
    return [f"10.90.0.{host}/24", f"fd00:90::{host}/64"]


def guest(name: str, hub: Optional[str], *hosts: int, **more: Any) -> Document:
    held = [address for host in hosts for address in pair(host)]
    peer = {"name": "eth0", "netns": name, "addresses": held, **more}
    return {"name": f"v-{name}", "netns": hub, "bridge": "br0", "peer": peer}


def document(hub: Optional[str]) -> Document:
    """Guests one, two and client on a switch, which is the host's, or a namespace's that isn't theirs."""
    rooms = ["one", "two", "client", *([hub] if hub else [])]
    return {
        "namespaces": [{"name": name, "sysctls": {} if name == hub else UNCHECKED} for name in rooms],
        "bridges": [{"name": "br0", "netns": hub, "addresses": pair(1)}],
        "veths": [
            guest("one", hub, 2, 22, mac="02:00:00:00:00:01"),
            guest("two", hub, 3),
            guest("client", hub, 9),
        ],
    }


def plain(addresses: Iterable[str]) -> List[str]:
    return [address.partition("/")[0] for address in addresses]


def of_guest(wanted: Document, position: int) -> List[str]:
    return plain(wanted["veths"][position]["peer"]["addresses"])


def known(room: Optional[str], address: str) -> Optional[str]:
    """The MAC address by which a room would send to an address; None: it would ask."""
    inside = ["-n", room] if room else []
    said = subprocess.check_output(["ip", *inside, "-j", "neighbour", "show", "to", address], text=True)
    entries = [entry for entry in json.loads(said) if "lladdr" in entry]
    return entries[0]["lladdr"] if entries else None


def get_known(rooms: Iterable[Optional[str]], addresses: Iterable[str]) -> None:
    """Each of the rooms has just talked to each address."""
    for room in rooms:
        for address in addresses:
            assert ping(room, address)
            assert known(room, address)


def mac(room: Optional[str], link: str) -> str:
    inside = ["-n", room] if room else []
    found: str = json.loads(subprocess.check_output(["ip", *inside, "-j", "link", "show", "dev", link], text=True))[0][
        "address"
    ]
    return found


def assert_right(
    rooms: Iterable[Optional[str]], addresses: Iterable[str], owner: Optional[str], link: str = "eth0"
) -> None:
    right = mac(owner, link)
    wrong = {
        (room, address): known(room, address)
        for room in rooms
        for address in addresses
        if known(room, address) not in (None, right)
    }
    assert wrong == {}
    assert all(ping(room, address) for room in rooms for address in addresses)


@pytest.mark.parametrize("hub", HUBS)
def test_a_changed_mac_and_addresses_that_moved_are_known_at_once(private_host: object, hub: Optional[str]) -> None:
    first = document(hub)
    engine.run(first)
    rooms = [hub, "client"]

    get_known(rooms, of_guest(first, 0))
    other_mac = copy.deepcopy(first)
    other_mac["veths"][0]["peer"]["mac"] = "02:00:00:00:00:11"
    engine.run(other_mac)
    assert_right(rooms, of_guest(first, 0), "one")

    moved = copy.deepcopy(other_mac)  # from the guest that comes first to the next, and then back
    moved["veths"][0]["peer"]["addresses"], moved["veths"][1]["peer"]["addresses"] = pair(8), pair(2)
    for wanted, owner in ((moved, "two"), (other_mac, "one")):
        get_known(rooms, plain(pair(2)))
        engine.run(wanted)
        assert_right(rooms, plain(pair(2)), owner)

    switch = copy.deepcopy(other_mac)  # the switch's own, which its guests know
    switch["bridges"][0]["mac"] = "02:00:00:00:00:21"
    get_known(["client"], plain(pair(1)))
    engine.run(switch)
    assert_right(["client"], plain(pair(1)), hub, "br0")


@pytest.mark.parametrize("hub", HUBS)
def test_a_guest_made_anew_has_the_mac_that_it_had(private_host: object, hub: Optional[str]) -> None:
    wanted = document(hub)
    engine.run(wanted)
    get_known([hub, "client"], of_guest(wanted, 1))
    before = mac("two", "eth0")
    subprocess.run(["ip", "netns", "delete", "two"], check=True)
    subprocess.run(["ip", *(["-n", hub] if hub else []), "link", "delete", "v-two"], check=False, capture_output=True)
    engine.run(wanted)
    assert mac("two", "eth0") == before
    assert_right([hub, "client"], of_guest(wanted, 1), "two")


@pytest.fixture
def cable(private_host: object) -> Document:
    """Two namespaces with nothing but a cable between them."""
    ends = [
        {"name": "to-one", "netns": "two", "addresses": pair(3)},
        {"name": "eth0", "netns": "one", "addresses": pair(2)},
    ]
    wanted: Document = {
        "namespaces": [{"name": name, "sysctls": UNCHECKED} for name in ("one", "two")],
        "veths": [{**ends[0], "peer": ends[1]}],
    }
    engine.run(wanted)
    get_known(["two"], plain(pair(2)))
    return wanted


def test_the_other_end_of_a_cable_without_a_switch_knows_it_too(cable: Document) -> None:
    cable["veths"][0]["peer"]["mac"] = "02:00:00:00:00:11"
    engine.run(cable)
    assert_right(["two"], plain(pair(2)), "one")


def test_what_was_announced_is_announced_back_when_a_run_is_undone(private_host: object) -> None:
    wanted = document(None)
    engine.run(wanted)
    get_known([None, "client"], plain(pair(2)))
    moved = copy.deepcopy(wanted)
    moved["veths"][0]["peer"]["addresses"], moved["veths"][1]["peer"]["addresses"] = pair(8), pair(2)
    moved["probes"] = [{"to": "10.90.0.77"}]
    with pytest.raises(VerificationFailed):
        engine.run(moved)
    assert_right([None, "client"], plain(pair(2)), "one")


@pytest.mark.parametrize("room", [None, "away"])
def test_a_host_that_heeds_no_announcement_forgets_what_it_knew(private_host: object, room: Optional[str]) -> None:
    """The switch is the host's, or a namespace's. Hardening guides tell hosts to take no notice of what is unasked."""
    wanted = document(room)
    engine.run(wanted)
    inside = ["ip", "netns", "exec", room] if room else []
    for path in ("ipv4/conf/{}/drop_gratuitous_arp", "ipv6/conf/{}/drop_unsolicited_na"):
        for which in ("all", "br0"):
            setting = f"/proc/sys/net/{path.format(which)}"
            subprocess.run([*inside, "sh", "-c", f"echo 1 >{setting}"], check=True)
    get_known([room], of_guest(wanted, 0))
    wanted["veths"][0]["peer"]["mac"] = "02:00:00:00:00:11"
    engine.run(wanted)
    assert_right([room], of_guest(wanted, 0), "one")


def test_entries_that_somebody_wrote_by_hand_stay(private_host: object) -> None:
    wanted = document(None)
    engine.run(wanted)
    by_hand = ["lladdr", "02:00:00:00:00:99", "dev", "br0", "nud", "permanent"]
    for address in plain(pair(2)):
        subprocess.run(["ip", "neighbour", "replace", address, *by_hand], check=True)
    wanted["veths"][0]["peer"]["mac"] = "02:00:00:00:00:11"
    engine.run(wanted)
    assert [known(None, address) for address in plain(pair(2))] == ["02:00:00:00:00:99"] * 2


def test_an_address_that_an_interface_of_the_host_gets_is_announced_to_its_lan(private_host: object) -> None:
    for command in (
        "netns add lan",
        "link add eth0 type veth peer name eth0 netns lan",
        "link set eth0 up",
        "-n lan link set eth0 up",
        "-n lan address add 10.90.0.9/24 dev eth0",
        "-n lan neighbour replace 10.90.0.2 lladdr 02:00:00:00:00:99 dev eth0 nud stale",
    ):
        subprocess.run(["ip", *command.split()], check=True)
    engine.run({"interfaces": [{"name": "eth0", "addresses": ["10.90.0.2/24"]}]})
    assert_right(["lan"], ["10.90.0.2"], None)


def test_a_restarted_container_is_known_at_once(private_host: object) -> None:
    with docker_engine() as docker:
        docker.start("web")
        cable = {"container": "web", "name": "lan0", "bridge": "br0", "addresses": ["10.90.0.2/24"]}
        wanted = {"bridges": [{"name": "br0", "addresses": ["10.90.0.1/24"]}], "containers": [cable]}
        engine.run(wanted)
        assert ping(None, "10.90.0.2")
        docker.restart("web")
        wrong = ["lladdr", "02:00:00:00:00:99", "dev", "br0", "nud", "stale"]
        subprocess.run(["ip", "neighbour", "replace", "10.90.0.2", *wrong], check=True)
        engine.run(wanted)
        assert known(None, "10.90.0.2") != "02:00:00:00:00:99"
        assert ping(None, "10.90.0.2")
