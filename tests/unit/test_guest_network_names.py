# SPDX-License-Identifier: GPL-3.0-or-later
"""What guests have on a host keeps its name and its place when others come and go; and the engine takes all of it."""

from __future__ import annotations

import ipaddress
from typing import Any, Dict, List, Mapping

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.hostwire.linux.plugins.module_utils import document
from ansible_collections.hostwire.linux.plugins.plugin_utils.guest_network.model import MODES
from ansible_collections.hostwire.linux.plugins.plugin_utils.guest_network.names import link_name
from ansible_collections.hostwire.linux.tests.unit.guest_networks import Item, by_name, guest, guest_documents


def transfer_addresses(documents: Mapping[str, Item]) -> Dict[str, str]:
    """The address towards the host of each router."""
    peers = [veth["peer"] for veth in documents["guest-home"]["veths"]]
    return {peer["netns"]: peer["addresses"][0] for peer in peers if peer["name"] == "outside"}


def test_no_router_moves_because_another_guest_comes_or_goes() -> None:
    home = {"name": "home", "mode": "nat"}
    a, b, c, d = (guest(name, {"network": "home"}) for name in "abcd")
    first = by_name([home], [a, b, c])
    assert transfer_addresses(first) == {
        "home-a": "100.64.0.2/24",
        "home-b": "100.64.0.3/24",
        "home-c": "100.64.0.4/24",
    }
    second = by_name([home], [d, c, b], first)
    assert transfer_addresses(second) == {
        "home-d": "100.64.0.2/24",  # the place of a is free
        "home-c": "100.64.0.4/24",
        "home-b": "100.64.0.3/24",
    }
    moved = by_name([{**home, "transfer": "100.65.0.0/29"}], [c, b], second)
    assert transfer_addresses(moved) == {"home-c": "100.65.0.2/29", "home-b": "100.65.0.3/29"}


NAMES = st.from_regex(r"[a-z0-9][a-z0-9-]{0,9}", fullmatch=True)
GUEST_NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,20}", fullmatch=True)
ROLES = st.sampled_from(["", "in", "out", "sw"])


@given(st.sets(st.tuples(NAMES, GUEST_NAMES, ROLES), min_size=2, max_size=40))
def test_names_of_links_are_short_and_never_alike(places: Any) -> None:
    found = {link_name(*place) for place in places}
    assert len(found) == len(places)
    assert all(len(name) <= 15 for name in found)
    assert not found & {network for network, dummy, role in places}


def test_names_of_links_are_pinned() -> None:
    """They are on hosts already: another one would be another link."""
    assert link_name("office", "linux") == "office_linux"
    assert link_name("office", "localdatabase") == "offi__3kodhaik6"
    assert link_name("nat", "linux", "out") == "nat.out_linux"


MODE_NAMES = sorted(MODES)
PLACES = st.lists(
    st.tuples(st.sampled_from(["namespace", "container", "vm"]), st.sets(st.sampled_from(MODE_NAMES))), max_size=6
)


def fleet(places: Any, dual: bool) -> Any:
    """A network of each mode, and guests of any kind in some of them."""
    networks: List[Item] = []
    for number, mode in enumerate(MODE_NAMES):
        network: Item = {"name": mode.replace("_", "-")[:10], "mode": mode}
        if mode == "bridged":
            network["uplink"] = "eth0"
        else:
            network.update({"subnet": f"10.{number}.0.0/24"}, **({"subnet6": f"fd00:{number}::/64"} if dual else {}))
        if mode == "routed":
            network["uplink"] = "eth1"
        networks.append(network)
    guests = []
    for number, (kind, modes) in enumerate(places):
        nics: List[Item] = []
        for mode in sorted(modes):
            network = networks[MODE_NAMES.index(mode)]
            nic: Item = {"network": network["name"]}
            if mode not in ("nat", "bridged"):
                nic["address"] = f"{ipaddress.ip_network(network['subnet'])[number + 20]}/24"
            if MODES[mode].publishes:
                ports = [{"port": 1000 + number * 10 + len(nics), "to_port": 80, "address": "any"}]
                nic["published_ports"] = ports
            nics.append(nic)
        guests.append(guest(f"guest-number-{number}", *nics, kind=kind))
    return networks, guests


@given(PLACES, st.booleans())
def test_the_engine_takes_every_document(places: Any, dual: bool) -> None:
    for item in guest_documents(*fleet(places, dual)):
        assert document.read(item).problems == ()


def links_of(documents: List[Item], guest_name: str) -> List[str]:
    """Everything on the host that is a guest's, by name."""
    found = []
    for item in documents:
        veths = item.get("veths", [])
        found += [veth["name"] for veth in veths if guest_name in str(veth["peer"].get("netns"))]
    return found


@given(PLACES.filter(lambda places: len(places) > 1), st.data())
def test_what_a_guest_has_on_the_host_keeps_its_name_whoever_else_is_there(places: Any, data: Any) -> None:
    networks, guests = fleet(places, False)
    some = data.draw(st.permutations(guests))[: data.draw(st.integers(1, len(guests)))]
    before, after = guest_documents(networks, guests), guest_documents(networks, some)
    for kept in some:
        assert links_of(after, kept["name"]) == links_of(before, kept["name"])
