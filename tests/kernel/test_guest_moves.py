# SPDX-License-Identifier: GPL-3.0-or-later
"""What one guest network has today, another one has tomorrow: one run of the role's documents makes it so."""

from __future__ import annotations

import socket
from typing import Any, Dict, List, Tuple

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils.apply.disk import Store
from ansible_collections.hostwire.linux.plugins.module_utils.netns import inside
from ansible_collections.hostwire.linux.plugins.module_utils.rehearsal import run_all
from ansible_collections.hostwire.linux.plugins.module_utils.state_directory import STATE_DIRECTORY
from ansible_collections.hostwire.linux.tests.kernel import guest_world, world
from ansible_collections.hostwire.linux.tests.kernel.firewall_world import listening
from ansible_collections.hostwire.linux.tests.kernel.guest_world import FILTERS, Item, ping, remove

Wanted = Tuple[List[Item], List[Item]]  # networks and guests

OFFICE = {"name": "office", "mode": "nat_network", "subnet": "10.0.2.0/24"}
YARD = {"name": "yard", "mode": "nat_network", "subnet": "10.0.3.0/24"}
DESK = {"name": "desk", "mode": "host_only"}
OUT = {"name": "out", "mode": "nat", "subnet": "10.0.9.0/24"}
OTHER = {"name": "other", "nics": [{"network": "yard", "address": "10.0.3.12/24"}]}
WEB = {"published_ports": [{"port": 8080, "to_port": 80, "address": "any"}]}


def at(network: Item, number: int, **more: Any) -> Item:
    """A NIC in a network, with the address of this number."""
    prefix = network.get("subnet", "192.168.56.0/24").rpartition(".")[0]
    return {"network": network["name"], **({} if network is OUT else {"address": f"{prefix}.{number}/24"}), **more}


def linux(*nics: Item) -> Item:
    return {"name": "linux", "nics": list(nics)}


def in_subnet(network: Item, subnet: str) -> Item:
    return {**network, "subnet": subnet}


SWAPPED = in_subnet(OFFICE, YARD["subnet"]), in_subnet(YARD, OFFICE["subnet"])
CASES: Dict[str, Tuple[Wanted, Wanted]] = {
    "a guest": (([OFFICE, YARD], [linux(at(YARD, 4)), OTHER]), ([OFFICE, YARD], [linux(at(OFFICE, 4)), OTHER])),
    "a guest's NICs": (
        ([OFFICE, DESK], [linux(at(OFFICE, 4), at(DESK, 4))]),
        ([OFFICE, DESK], [linux(at(DESK, 4), at(OFFICE, 4))]),
    ),
    "a guest's NICs, behind a router": (
        ([DESK, OUT], [linux(at(DESK, 4), at(OUT, 15))]),
        ([DESK, OUT], [linux(at(OUT, 15), at(DESK, 4))]),
    ),
    "a default route": (
        ([OFFICE, YARD], [linux(at(OFFICE, 4), at(YARD, 4, default_route=True))]),
        ([OFFICE, YARD], [linux(at(OFFICE, 4, default_route=True), at(YARD, 4))]),
    ),
    "a published port": (
        ([OFFICE, YARD], [linux(at(OFFICE, 4)), {"name": "other", "nics": [at(YARD, 12, **WEB)]}]),
        ([OFFICE, YARD], [linux(at(OFFICE, 4, **WEB)), {"name": "other", "nics": [at(YARD, 12)]}]),
    ),
    "their subnets": (
        ([OFFICE, YARD], [linux(at(OFFICE, 4)), OTHER]),
        ([*SWAPPED], [linux(at(SWAPPED[0], 4)), {"name": "other", "nics": [at(SWAPPED[1], 12)]}]),
    ),
    "their uplinks": (
        ([{"name": f"wire{n}", "mode": "bridged", "uplink": f"eth{n}"} for n in (0, 1)], []),
        ([{"name": f"wire{n}", "mode": "bridged", "uplink": f"eth{1 - n}"} for n in (0, 1)], []),
    ),
}


def _by_chance(line: str) -> bool:
    """MAC addresses are random, and the state has numbers that the kernel gave."""
    return "/address: " in line or ".state: " in line


@pytest.mark.parametrize("case", CASES)
def test_what_passes_to_another_network_is_there_as_if_it_had_always_been(private_host: object, case: str) -> None:
    guest_world.build()
    guest_world.batch(["link add eth1 type veth peer name eth1 netns lan", "link set eth1 up"])
    guest_world.batch(["link set eth1 up"], "lan")
    before, after = CASES[case]
    found = FILTERS["guest_documents"](*after)
    guest_world.apply(found)
    anew = world.image()
    remove(found)
    for wanted in (before, after):
        composed = FILTERS["guest_documents"](*wanted, documents_there())
        predicted = run_all(composed, check=True)
        done = run_all(composed)
        assert [(one.plan, one.after) for one in done] == [(one.plan, one.after) for one in predicted]
        assert not any(one.plan for one in run_all(FILTERS["guest_documents"](*wanted, documents_there())))
    assert [line for line in world.differences(anew, world.image()) if not _by_chance(line)] == []
    if case != "their uplinks":
        assert ping("linux", guest_world.INTERNET_ADDRESS[4])


def test_hazard_39_a_flow_follows_a_port_that_leads_to_another_guest(private_host: object) -> None:
    guest_world.build()
    udp = {"published_ports": [{"protocol": "udp", "port": 5300, "to_port": 53, "address": "any"}]}
    first, then = [at(OFFICE, 4, **udp)], [at(OFFICE, 4)]
    other, since = [at(YARD, 12)], [at(YARD, 12, **udp)]
    with inside("lan"):
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with client:
        client.connect((guest_world.HOST_ADDRESS[4], 5300))  # always the same flow
        for room, here, there in (("linux", first, other), ("other", then, since), ("linux", first, other)):
            guests = [linux(*here), {"name": "other", "nics": there}]
            run_all(FILTERS["guest_documents"]([OFFICE, YARD], guests, documents_there()))
            with listening(room, 53, "udp") as server:
                server.settimeout(5)
                client.send(b"call")
                assert server.recv(16) == b"call"


def documents_there() -> Dict[str, Item]:
    """The documents on the host, as the role asks for them."""
    store = Store(STATE_DIRECTORY)
    loaded = {name: store.load(name).document for name in store.names()}
    return {name: document for name, document in loaded.items() if document is not None}
