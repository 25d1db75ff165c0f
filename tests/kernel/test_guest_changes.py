# SPDX-License-Identifier: GPL-3.0-or-later
"""The role guest_network, run again when guests have come and gone: what check mode said is what happens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

import pytest

from ansible_collections.hostwire.linux.tests.kernel import scenarios
from ansible_collections.hostwire.linux.tests.kernel.guest_world import ping
from ansible_collections.hostwire.linux.tests.kernel.playbook import play, run_playbook

NETWORKS = [
    {"name": "office", "mode": "nat_network", "subnet": "10.0.9.0/24"},
    {"name": "home", "mode": "nat"},
]
Plans = List[Tuple[str, Sequence[str]]]


def guests(names: str) -> List[Dict[str, Any]]:
    """Guests called by these letters, each in both networks."""
    places = {name: {"network": "office", "address": f"10.0.9.{ord(name)}/24"} for name in names}
    return [{"name": name, "nics": [nic, {"network": "home"}]} for name, nic in places.items()]


def including(networks: List[Dict[str, Any]], names: str) -> Dict[str, Any]:
    """The task that runs the role."""
    given = {"guest_network_networks": networks, "guest_network_guests": guests(names)}
    return {"ansible.builtin.include_role": {"name": "hostwire.linux.guest_network"}, "vars": given}


def role(directory: Path, names: str, *options: str, state: str = "present") -> Plans:
    """The plan of each document of one run of the role."""
    include = including([{**network, "state": state} for network in NETWORKS], names)
    said = play([include, {"ansible.builtin.debug": {"var": "guest_network_result"}}], directory, *options)[-1]
    return [(document["name"], document["plan"]) for document in said["guest_network_result"]["documents"]]


@pytest.mark.slow
def test_check_mode_foresees_guests_that_come_and_go(private_host: Path) -> None:
    before = scenarios.snapshot()
    role(private_host, "ab")
    for names in ("ac", "c", "cad"):
        predicted = role(private_host, names, "--check")
        done = role(private_host, names)
        assert done == predicted
        assert any(plan for dummy, plan in done)
        assert [plan for dummy, plan in role(private_host, names)] == [[]] * 3
    assert ping("d", "10.0.2.2")
    role(private_host, "", state="absent")
    assert scenarios.snapshot() == before


@pytest.mark.slow
def test_networks_without_guests_go_through_the_playbooks(private_host: Path) -> None:
    before = scenarios.snapshot()
    inventory = private_host / "inventory.json"
    networks = [
        {"name": "office", "mode": "nat_network"},
        {"name": "desk", "mode": "host_only", "subnet6": "fd00:9::/64"},
    ]
    host = {"guest_network_networks": networks}
    inventory.write_text(json.dumps({"guest_networks": {"hosts": {"box": host}}}))
    for changed in (True, False):
        results = run_playbook("hostwire.linux.site", str(inventory), private_host)
        assert any(result.get("changed") for result in results) == changed
        assert results[-1]["msg"] == "Nothing was proved: there are no guests to ask."
    run_playbook("hostwire.linux.teardown", str(inventory), private_host)
    assert scenarios.snapshot() == before


def test_a_host_without_the_network_card_of_one_network_gets_none_of_them(private_host: Path) -> None:
    before = scenarios.snapshot()
    networks = [*NETWORKS, {"name": "wire", "mode": "bridged", "uplink": "eth9"}]
    answers = play([including(networks, "ab")], private_host, may_fail=True)
    assert [answer["problems"] for answer in answers if answer["failed"]] == [
        ['guest-wire: bridges[0].uplink: no interface named "eth9" on the host']
    ]
    assert scenarios.snapshot() == before
