# SPDX-License-Identifier: GPL-3.0-or-later
"""docker_readdress plans for 220 simulated hosts: fast, every collision named, stable when hosts come and go."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest
import yaml

from ansible_collections.hostwire.linux.plugins.plugin_utils.lab import state
from ansible_collections.hostwire.linux.tests.fleet.fake_engines import FakeEngines

REPOSITORY = Path(__file__).resolve().parents[2]
NAMES = [f"h{number:03}" for number in range(220)]
FIRST, SECOND = NAMES[:200], NAMES[20:]  # twenty go, twenty come
SLOWEST = 2.5  # times a ping of the same hosts
VPN = """
link add lan0 type veth peer name lan1
address add 192.168.7.2/24 dev lan0
link set lan0 up
link set lan1 up
route add 10.8.0.0/16 via 192.168.7.1 table 51820
"""
# What makes a plan unsound, and the words in which it is to be told.
PLANTED: Dict[str, Dict[str, Any]] = {
    "h017": {"docker_bridge_bip": "10.8.3.1/24"},
    "h040": {"docker_bridge_bip": "192.168.225.1/24"},
    "h041": {"docker_bridge_bip": "192.168.225.1/24"},
    "h077": {"docker_bridge_bip": "172.29.1.1/24", "docker_bridge_taken": {"office": "172.24.0.0/13"}},
}
TOLD = [
    "h017: docker0 would have 10.8.3.1/24, which overlaps the route 10.8.0.0/16 via 192.168.7.1 dev lan0 (table 51820)",
    'h077: docker0 would have 172.29.1.1/24, which overlaps "office" (172.24.0.0/13)',
    "h040 and h041: both would have 192.168.225.0/24",
]


class Fleet:
    """Lab hosts, each with an engine that answers as a recorded one, and what the controller keeps of them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.lab = directory / "lab"
        self.plan = directory / "plan.yml"

    def boot(self) -> List[Path]:
        """Make the hosts; returns where each one's engine has its socket. One host has a VPN."""
        state.replace(self.lab, {"machine": "switchroom", "hosts": NAMES, "listeners": []})
        found = state.read(self.lab)
        assert found is not None
        enter = ["nsenter", f"--target={found.holders['h017'].pid}", "--user", "--net", "--preserve-credentials", "--"]
        subprocess.run([*enter, "ip", "-batch", "-"], input=VPN, text=True, check=True)
        roots = [Path("/proc", str(found.holders[name].pid), "root") for name in NAMES]
        return [root / "run/docker.sock" for root in roots]

    def inventory(self, names: List[str], more: Dict[str, Dict[str, Any]]) -> Path:
        """An inventory of these hosts."""
        shared = {
            "ansible_connection": "hostwire.linux.lab",
            "ansible_lab_directory": str(self.lab),
            "ansible_python_interpreter": os.path.realpath(sys.executable),  # a lab host has a /tmp of its own
            "docker_bridge_supernet": "10.200.0.0/16",
        }
        hosts = {name: more.get(name, {}) for name in names}
        path = self.directory / "inventory.yml"
        path.write_text(json.dumps({"docker": {"hosts": hosts, "vars": shared}}))
        return path

    def run(self, program: str, *words: str) -> subprocess.CompletedProcess[str]:
        binaries = Path(sys.executable).parent
        return subprocess.run(
            [str(binaries / program), *words],
            cwd=REPOSITORY,
            env={**os.environ, "PATH": f"{binaries}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8", "COLUMNS": "200"},
            capture_output=True,
            text=True,
            check=False,
        )

    def make_plan(self, inventory: Path, *words: str) -> subprocess.CompletedProcess[str]:
        variables = json.dumps({"docker_readdress_plan_file": str(self.plan)})
        play = ["hostwire.linux.docker_readdress_plan", "--extra-vars", variables]
        return self.run("ansible-playbook", *play, f"--inventory={inventory}", *words)

    def planned(self) -> Dict[str, str]:
        """The addresses that the plan file holds."""
        return {name: entry["bip"] for name, entry in yaml.safe_load(self.plan.read_text())["hosts"].items()}


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    made = Fleet(tmp_path_factory.mktemp("fleet"))
    try:
        with FakeEngines(made.boot()):
            yield made
    finally:
        state.replace(made.lab, None)


def test_three_planted_overlaps_are_named_in_little_more_than_a_ping_takes(fleet: Fleet) -> None:
    inventory = fleet.inventory(FIRST, PLANTED)
    began = time.monotonic()
    pinged = fleet.run("ansible", "all", f"--inventory={inventory}", "-m", "ansible.builtin.ping")
    ping = time.monotonic() - began
    assert pinged.returncode == 0, pinged.stdout + pinged.stderr
    began = time.monotonic()
    refused = fleet.make_plan(inventory)
    plan = time.monotonic() - began
    print(f"ping {ping:.1f} s, plan {plan:.1f} s: {plan / ping:.2f} times")
    assert refused.returncode != 0
    assert "3 things speak against this plan, so nothing is changed on any host:" in refused.stdout
    assert [words for words in TOLD if words not in " ".join(refused.stdout.split())] == []
    assert not fleet.plan.exists()
    assert plan <= SLOWEST * ping


def test_a_host_that_cannot_be_reached_is_named_and_left_out_only_on_demand(fleet: Fleet) -> None:
    inventory = fleet.inventory([*FIRST[:3], "ghost"], {})
    refused = fleet.make_plan(inventory, "--check")
    assert refused.returncode != 0
    assert "ghost: can't be reached: There is no lab host ghost" in " ".join((refused.stdout + refused.stderr).split())
    done = fleet.make_plan(inventory, "--check", "--extra-vars", "docker_readdress_leave_out_unreachable=true")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 hosts of 3 to change" in done.stdout
    assert re.search(r"^ghost +\? +left out +can't be reached$", done.stdout, re.MULTILINE)
    assert not fleet.plan.exists()


def test_a_mistyped_variable_is_one_line_for_all_hosts_that_have_it(fleet: Fleet) -> None:
    slip = {"docker_bridge_takn": ["10.8.0.0/16"]}
    refused = fleet.make_plan(fleet.inventory(FIRST[:5], dict.fromkeys(FIRST[:4], slip)), "--check")
    assert refused.returncode != 0
    said = " ".join(refused.stdout.split())
    assert "One thing speaks against this plan" in said
    assert f"{', '.join(FIRST[:3])} and 1 more: docker_bridge_takn: the role docker_bridge has no such variable" in said


def test_nobody_shares_and_who_stays_keeps_the_address(fleet: Fleet) -> None:
    done = fleet.make_plan(fleet.inventory(FIRST, {}))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "200 hosts of 200 to change, 600 containers to stop and come back." in done.stdout
    first = fleet.planned()
    assert len({ipaddress.ip_interface(address).network for address in first.values()}) == len(first) == 200
    done = fleet.make_plan(fleet.inventory(SECOND, {}))
    assert done.returncode == 0, done.stdout + done.stderr
    second = fleet.planned()
    assert {name: second[name] for name in FIRST} == first
    assert set(second) == set(NAMES)
    assert len({ipaddress.ip_interface(address).network for address in second.values()}) == 220
