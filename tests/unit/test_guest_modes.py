# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of guest networks' modes: each cell is asked for, and each probe that comes out otherwise shows in it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.hostwire.linux.plugins.filter.guest_modes import FilterModule
from ansible_collections.hostwire.linux.plugins.plugin_utils import guest_modes
from ansible_collections.hostwire.linux.plugins.plugin_utils.guest_modes_report import (
    is_wrong,
    measured,
    table,
    verdict,
)
from ansible_collections.hostwire.linux.tests import guest_modes as issue

guest_mode_probes = FilterModule().filters()["guest_mode_probes"]

NETWORKS: list[dict[str, Any]] = [
    {"name": "home", "mode": "bridged", "uplink": "eth0"},
    {"name": "office", "mode": "nat"},
    {"name": "shared", "mode": "nat_network", "subnet": "10.0.3.0/24"},
    {"name": "vault", "mode": "internal"},
    {"name": "desk", "mode": "host_only"},
    {"name": "branch", "mode": "routed", "subnet": "192.168.58.0/24", "uplink": "home"},
]
SUBNETS = {
    "home": "192.168.1",
    "shared": "10.0.3",
    "vault": "192.168.57",
    "desk": "192.168.56",
    "branch": "192.168.58",
}
GUESTS: list[dict[str, Any]] = [
    {"name": f"{network}{number}", "nics": [{"network": network, "address": f"{subnet}.{20 + number}/24"}]}
    for network, subnet in SUBNETS.items()
    for number in (1, 2)
]
GUESTS += [{"name": f"office{number}", "nics": [{"network": "office"}]} for number in (1, 2)]


def web(port: int) -> list[dict[str, Any]]:
    return [{"port": port, "to_port": 80, "address": "any"}]


PUBLISHED = [
    {**guest, "nics": [{**guest["nics"][0], "published_ports": web(8000 + number)}]}
    if guest["name"] in ("office1", "office2", "shared1")
    else guest
    for number, guest in enumerate(GUESTS)
]
AROUND: dict[str, Any] = {"host": "192.168.1.4", "neighbour": "192.168.1.3", "port": 80}


def plain(text: str, dummy_colour: str) -> str:
    return text


def answered(shipped: list[dict[str, Any]], turned: int = -1) -> dict[str, Any]:
    """What the looped task registers if each probe comes out as expected, but for the one numbered ``turned``."""
    results, number = [], 0
    for place in shipped:
        rows = []
        for probe in place["probes"]:
            ok = number != turned
            got = probe["expect"] if ok else {"reachable": "unreachable"}.get(probe["expect"], "reachable")
            rows.append({"port": None, **probe, "got": got, "ok": ok, "detail": "as tried"})
            number += 1
        results.append({"item": place, "matrix": rows})
    return {"results": results}


def test_the_promises_are_those_of_the_issue() -> None:
    words = {issue.YES: guest_modes.YES, issue.NO: guest_modes.NO, issue.PORT: guest_modes.PORT}
    wanted = {mode: tuple(words[cell] for cell in cells.values()) for mode, cells in issue.table().items()}
    assert wanted == guest_modes.PROMISES


def test_every_cell_of_every_network_is_tried() -> None:
    shipped = guest_mode_probes(NETWORKS, PUBLISHED, **AROUND)
    assert [place["place"] for place in shipped] == ["host", "neighbour"]
    known = measured("guests", answered(shipped))
    assert set(known.cells) == {
        (network["name"], network["mode"], cell) for network in NETWORKS for cell in guest_modes.CELLS
    }
    assert not any(is_wrong(cell) for cell in known.cells.values())
    for (dummy, mode, name), cell in known.cells.items():
        assert cell.measured == guest_modes.PROMISES[mode][guest_modes.CELLS.index(name)]
    assert verdict([known], False).startswith("All 30 cells of 6 guest networks are as their modes say, measured by ")


def test_a_neighbour_in_nat_is_asked_for_at_its_router() -> None:
    shipped = guest_mode_probes(NETWORKS, PUBLISHED, **AROUND)
    asked = {
        (probe["from"], probe["to"], probe["protocol"])
        for probe, trial in zip(shipped[0]["probes"], shipped[0]["trials"])
        if (trial["network"], trial["cell"]) == ("office", "guest ↔ guest")
    }
    assert asked == {
        ("office1", "100.64.0.3", "icmp"),
        ("office1", "100.64.0.3", "tcp"),
        ("office2", "100.64.0.2", "icmp"),
        ("office2", "100.64.0.2", "tcp"),
    }


def test_each_probe_that_comes_out_otherwise_shows_in_its_cell_alone() -> None:
    shipped = guest_mode_probes(NETWORKS, PUBLISHED, **AROUND)
    trials = [trial for place in shipped for trial in place["trials"]]
    assert len(trials) > 60
    for number, trial in enumerate(trials):
        known = measured("guests", answered(shipped, number))
        wrong = [key for key, cell in known.cells.items() if is_wrong(cell)]
        assert wrong == [(trial["network"], trial["mode"], trial["cell"])]
        assert table([known], plain).count("✘") == 1
        said = verdict([known], False)
        assert said.startswith(f"1 of 30 cells are otherwise than their modes say: guests, network {trial['network']}:")
        assert f"→ {trial['to']} by {trial['protocol']}" in said


def test_without_published_ports_and_neighbour_nothing_is_made_up() -> None:
    known = measured("guests", answered(guest_mode_probes(NETWORKS, GUESTS, host="192.168.1.4")))
    assert not any(is_wrong(cell) for cell in known.cells.values())
    assert known.cells["shared", "nat_network", "host → guest"].measured == "no"
    assert ("shared", "nat_network", "LAN → guest") not in known.cells
    line = next(line for line in table([known], plain).splitlines() if line.startswith("shared"))
    assert line.split() == ["shared", "nat_network", "yes", "no", "yes", "-", "-"]


def test_a_nat_network_that_is_closed_towards_the_host_promises_that() -> None:
    networks = [{"name": "office", "mode": "nat", "host_access": False}]
    guests = [guest for guest in PUBLISHED if guest["name"] == "office1"]
    known = measured("guests", answered(guest_mode_probes(networks, guests, **AROUND)))
    assert known.cells["office", "nat", "guest → host"].measured == "no"


def test_a_host_that_told_nothing_is_named() -> None:
    shipped = guest_mode_probes(NETWORKS, PUBLISHED, **AROUND)
    failed = {"results": [{"item": place, "failed": True, "msg": "no such namespace"} for place in shipped]}
    hosts = [measured("one", failed), measured("two", None), measured("three", answered(shipped))]
    assert table(hosts, plain).splitlines()[:2] == ["one", "    no such namespace"]
    assert verdict(hosts, False).endswith("Nothing was proved for one, two.")


def test_a_mistake_is_told_with_its_field() -> None:
    with pytest.raises(AnsibleFilterError, match=r"guest_mode_probes: networks\[0\]\.mode: "):
        guest_mode_probes([{"name": "office", "mode": "natt"}])
