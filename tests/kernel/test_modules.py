# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules as ansible-playbook runs them: check mode says what the run does, and what is wrong is said in words."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.hostwire.linux.plugins.module_utils.info import info
from ansible_collections.hostwire.linux.tests.conftest import REPOSITORY
from ansible_collections.hostwire.linux.tests.in_process import call
from ansible_collections.hostwire.linux.tests.kernel.playbook import Result, Tasks, play

DOCUMENT: dict[str, Any] = {
    "namespaces": [{"name": "red"}, {"name": "blue", "sysctls": {"net.ipv4.conf.all.rp_filter": 1}}],
    "bridges": [{"name": "v-net-0", "addresses": ["192.168.15.5/24", "fd00:15::5/64"]}],
    "veths": [
        {
            "name": f"veth-{name}-br",
            "bridge": "v-net-0",
            "peer": {"name": "eth0", "netns": name, "addresses": [f"192.168.15.{number}/24"]},
        }
        for number, name in enumerate(("red", "blue"), 1)
    ],
    "routes": [{"netns": "blue", "to": "default", "via": "192.168.15.5"}],
    "forwarding": {"ipv4": True},
    "masquerade": [{"source": "192.168.15.0/24", "except_to": "v-net-0"}],
    "published_ports": [{"port": 8080, "to": "192.168.15.2:80", "address": "any"}],
    "probes": [{"from": "red", "to": "192.168.15.2"}],
}


def topology(**fields: Any) -> dict[str, Any]:
    return {"hostwire.linux.topology": fields}


def module(short_name: str, /, **fields: Any) -> dict[str, Any]:
    return {f"hostwire.linux.{short_name}": fields}


def in_check_mode(task: dict[str, Any]) -> dict[str, Any]:
    return {**task, "check_mode": True, "diff": True}


def test_check_mode_says_what_the_run_does_and_a_second_run_changes_nothing(private_host: Path) -> None:
    task = topology(**DOCUMENT)
    predicted, done, again, gone_predicted, gone, gone_again = play(
        [
            in_check_mode(task),
            {**task, "diff": True},
            task,
            in_check_mode(topology(state="absent")),
            topology(state="absent"),
            topology(state="absent"),
        ],
        private_host,
    )
    assert [predicted["changed"], done["changed"], again["changed"]] == [True, True, False]
    assert predicted["plan"] == done["plan"]
    assert [predicted["before"], predicted["after"]] == [done["before"], done["after"]]
    assert predicted["diff"] == done["diff"]
    assert yaml.safe_load(done["diff"]["after"]) == done["after"]
    assert again["plan"] == []
    assert again["before"] == again["after"] == done["after"]
    assert [row["ok"] for row in done["reachability"]] == [True]
    assert predicted["reachability"] == []
    assert set(done["timings"]) == {"read", "plan", "apply", "verify"}

    assert gone_predicted["plan"] == gone["plan"] != []
    assert [gone["changed"], gone_again["changed"]] == [True, False]
    assert info()["namespaces"] == {}


BAD: Tasks = [
    topology(nmae="main", namespaces=["red", {"name": "1234"}], veths=[{"name": "a", "adresses": []}]),
    module("netns", nam="red"),
    module("veth", name="veth-red", peer={"name": "veth-blue", "adresses": []}),
    module("bridge", name="v-net-0", addresses=["192.168.15.5"]),
    module("interface", name="nowhere0", mtu=1500),
    module("route", to="192.168.15.1/24", via="192.168.15.5"),
    module("forwarding", ipv4="perhaps"),
    module("masquerade", source="192.168.15.1/24"),
    module("published_port", port=80800, to="192.168.15.2"),
    module("reachability", probes=[{"to": "192.168.15.300"}, {"from": "blu"}]),
    module("topology_info", namespace="red"),
]
SAID = [
    ["nmae:", "namespaces[0]:", "namespaces[1].name:", "veths[0].adresses:", "veths[0].peer:"],
    ["nam:", "name:"],
    ["peer.adresses:"],
    ["addresses[0]:"],
    ["name:"],
    ["to:"],
    ["ipv4:"],
    ["source:"],
    ["port:", "to:"],
    ["probes[0].to:", "probes[1].to:"],
    ["namespace:"],
]


def test_every_module_says_all_that_is_wrong_in_words(private_host: Path) -> None:
    untouched = info()
    answers = [call(name.rpartition(".")[2], **fields) for task in BAD for name, fields in task.items()]
    assert play(BAD[:1], private_host, may_fail=True)[0]["problems"] == answers[0]["problems"]
    for task, said, answer in zip(BAD, SAID, answers):
        assert answer["failed"], task
        assert answer["kind"] == "invalid", answer
        assert answer["msg"] == "\n".join(answer["problems"])
        for path in said:
            assert any(problem.startswith(path) for problem in answer["problems"]), (path, answer["problems"])
    assert info() == untouched


def test_single_tasks_of_one_owner_build_one_document(private_host: Path) -> None:
    tasks = [
        module("netns", name="red"),
        module("netns", name="blue", owner="others"),
        module("bridge", name="v-net-0", addresses=["192.168.15.5/24"]),
        module("veth", name="veth-red-br", bridge="v-net-0", peer={"name": "eth0", "netns": "red"}),
        module("topology_info"),
        topology(name="tasks", state="absent"),
        module("topology_info"),
    ]
    *made, seen, _gone, left = play(tasks, private_host)
    assert [done["changed"] for done in made] == [True] * 4
    assert made[3]["before"] == {}
    assert set(made[3]["after"]) == {"veths"}, "a task tells of its own object only, or a loop's results grew and grew"
    assert set(seen["documents"]) == {"others", "tasks"}
    assert set(seen["documents"]["tasks"]) == {"name", "namespaces", "bridges", "veths"}
    assert list(left["namespaces"]) == ["blue"]
    assert set(left["documents"]) == {"others"}


def forwarding_of(results: list[Result]) -> list[bool]:
    return [result["namespaces"]["router"]["forwarding"]["ipv4"] for result in results if "namespaces" in result]


def test_forwarding_of_a_namespace_is_not_reset_by_the_task_that_made_it(private_host: Path) -> None:
    make, turn_on = module("netns", name="router"), module("forwarding", netns="router", ipv4=True)
    look, turn_off = module("topology_info"), module("forwarding", netns="router", state="absent")
    results = play([make, turn_on, look, make, turn_on, look, turn_off, look], private_host)
    assert forwarding_of(results) == [True, True, False]
    assert [result["changed"] for result in results if "plan" in result] == [True, True, False, False, True]

    (foreign,) = play([module("forwarding", netns="blue", ipv4=True)], private_host, may_fail=True)
    assert "blue" in foreign["msg"]


def test_a_conflict_changes_nothing_and_names_what_is_in_the_way(private_host: Path) -> None:
    subprocess.run(["ip", "link", "add", "v-net-0", "type", "bridge"], check=True)
    (refused,) = play([module("bridge", name="v-net-0", mtu=9000)], private_host, may_fail=True)
    assert refused["kind"] in ("conflict", "invalid")
    assert "v-net-0" in refused["msg"]
    (bridge,) = [link for link in info()["host"]["links"] if link["name"] == "v-net-0"]
    assert (bridge["mtu"], bridge["owner"]) == (1500, None)


def test_reachability_fails_on_a_surprise_and_sends_nothing_in_check_mode(private_host: Path) -> None:
    surprise = module("reachability", probes=[{"to": "127.0.0.1"}, {"to": "127.0.0.1", "protocol": "tcp", "port": 9}])
    surprise["hostwire.linux.reachability"].update(timeout=0.2, attempts=1)
    failed, silent = play([surprise, in_check_mode(surprise)], private_host, may_fail=True)
    assert failed["failed"]
    assert failed["kind"] == "verify"
    assert [row["ok"] for row in failed["matrix"]] == [True, False]
    assert failed["problems"] == [failed["results"][1]]
    assert not failed["changed"]
    assert (silent["changed"], silent["matrix"]) == (False, [])
    assert "Nothing was sent" in str(silent["warnings"])


def test_modules_run_where_python_is_3_9(private_host: Path) -> None:
    found = subprocess.run(
        [REPOSITORY / "tests/setup/interpreter", "9"], check=False, capture_output=True, text=True
    ).stdout.strip()
    if not found:
        pytest.skip("no Python 3.9 at hand")
    done, again = play([topology(**DOCUMENT)] * 2, private_host, "-e", f"ansible_python_interpreter={found}")
    assert (done["changed"], again["changed"]) == (True, False)
