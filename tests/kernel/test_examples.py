# SPDX-License-Identifier: GPL-3.0-or-later
"""Every example in the modules' documentation works as it stands, and a second time changes nothing."""

from __future__ import annotations

import contextlib
import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any, Iterator, Optional

import pytest
import yaml

from ansible_collections.hostwire.linux.plugins.module_utils import engine, netns
from ansible_collections.hostwire.linux.plugins.module_utils.info import info
from ansible_collections.hostwire.linux.tests.in_process import call
from ansible_collections.hostwire.linux.tests.kernel import private
from ansible_collections.hostwire.linux.tests.kernel.docker_stand_in import docker_engine
from ansible_collections.hostwire.linux.tests.kernel.playbook import Result, Tasks, play

MODULES = (
    "bridge",
    "forwarding",
    "hosts_file",
    "interface",
    "masquerade",
    "netns",
    "published_port",
    "reachability",
    "route",
    "topologies",
    "topology",
    "topology_info",
    "veth",
)
READS_ONLY = ("reachability", "topology_info")
OURS = ("tasks", "main", "office", "lab", "rooms")

# What the examples take as given, made by a document of another name.
ROOMS: dict[str, Any] = {"namespaces": [{"name": "red"}, {"name": "blue"}, {"name": "green"}]}
SWITCH: dict[str, Any] = {"bridges": [{"name": "v-net-0", "addresses": ["192.168.15.5/24"]}]}
NEIGHBOURS: dict[str, Any] = {
    **ROOMS,
    "bridges": [{"name": "v-net-0", "addresses": ["192.168.15.5/24", "fd00:15::5/64"]}],
    "veths": [
        {
            "name": f"veth-{name}-br",
            "bridge": "v-net-0",
            "peer": {
                "name": "eth0",
                "netns": name,
                "addresses": [f"192.168.15.{number}/24", f"fd00:15::{number}/64"],
            },
        }
        for number, name in enumerate(("red", "blue"), 1)
    ],
}
GIVEN: dict[str, dict[str, Any]] = {
    "bridge": ROOMS,
    "masquerade": {"bridges": [*SWITCH["bridges"], {"name": "v-net-1"}, {"name": "v-net-2"}]},
    "published_port": {**NEIGHBOURS, "forwarding": {"ipv4": True, "ipv6": True}},
    "reachability": NEIGHBOURS,
    "route": NEIGHBOURS,
    "topology_info": {**NEIGHBOURS, "routes": [{"netns": "red", "to": "default", "via": "192.168.15.5"}]},
    "veth": {**ROOMS, **SWITCH},
}


def examples(module: str) -> Tasks:
    page = importlib.import_module(f"ansible_collections.hostwire.linux.plugins.modules.{module}")
    tasks: Tasks = yaml.safe_load(page.EXAMPLES)
    return tasks


def add_cards() -> None:
    """Network cards: interfaces that are there already and not ours."""
    for command in (
        "link add eth0 type veth peer name lan0",
        "link add eth1 type veth peer name lan1",
        "link set eth0 up",
        "link set eth1 up",
        "link set lan0 up",
        "link set lan1 up",
        "address add 192.168.1.2/24 dev eth0",
    ):
        subprocess.run(["ip", *command.split()], check=True)


@contextlib.contextmanager
def web_server(place: str, address: str) -> Iterator[None]:
    """Somebody who answers on port 80."""
    server = [sys.executable, "-u", "-m", "http.server", "--directory", "/run/test", "--bind", address, "80"]
    with netns.inside(place), subprocess.Popen(server, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        assert b"Serving" in process.stdout.readline()
        try:
            yield
        finally:
            process.kill()


def network() -> dict[Optional[str], Any]:
    """What the examples may leave no trace in; not what comes and goes by itself, as link-local addresses do."""
    seen = info()
    return {
        name: room(seen["host"] if name is None else seen["namespaces"][name]) for name in (None, *seen["namespaces"])
    }


def room(seen: dict[str, Any]) -> Any:
    links = [(link["name"], link["up"], link["mtu"], link["bridge"], link["owner"]) for link in seen["links"]]
    addresses = [(link["name"], address) for link in seen["links"] for address in link["addresses"]]
    routes = [(route["to"], route["via"], route["dev"], route["metric"], route["type"]) for route in seen["routes"]]
    kept = [[row for row in rows if "fe80" not in str(row)] for rows in (addresses, routes)]
    return links, *kept, seen["forwarding"], seen["nat"].get("masquerade", []), seen["nat"].get("published_ports", [])


def set_up(module: str) -> None:
    """What the examples of this module presuppose."""
    add_cards()
    engine.run({"name": "given", **GIVEN.get(module, {})})
    if module == "hosts_file":  # the other system's disk
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/mnt"], check=True)
        Path("/mnt/windows/Windows/System32/drivers/etc").mkdir(parents=True)
    if module == "forwarding":  # of namespaces that the same tasks made
        engine.run({"name": "tasks", "namespaces": [{"name": "router"}]}, fragment=True)


@contextlib.contextmanager
def containers(module: str) -> Iterator[None]:
    """The running containers that the examples of this module presuppose."""
    if module != "topology":
        yield
        return
    with docker_engine() as docker:
        docker.start("web")
        yield


def predictions(module: str, tasks: Tasks) -> Iterator[Result]:
    """What check mode says of each task just before it, on a host of its own."""
    with private.private_host(), containers(module):
        set_up(module)
        for task in tasks:
            parameters = task[f"hostwire.linux.{module}"]
            yield call(module, check=True, **parameters)
            call(module, **parameters)


def told(answer: Result) -> list[tuple[Any, ...]]:
    """What a module says of its document, or of each of several."""
    return [(one["plan"], one["before"], one["after"]) for one in answer.get("documents", [answer])]


@pytest.mark.parametrize("module", [name for name in MODULES if name not in READS_ONLY])
def test_examples_do_what_they_say(module: str, private_host: Path) -> None:
    tasks = examples(module)
    predicted = list(predictions(module, tasks))
    set_up(module)
    untouched = network()

    with containers(module):
        results = iter(play([twice for task in tasks for twice in (task, task)], private_host))
    for task, prediction, done, again in zip(tasks, predicted, results, results):
        assert done["changed"], f"{task['name']}: nothing happened"
        assert (prediction["changed"], told(prediction)) == (True, told(done)), task["name"]
        assert not again["changed"], f"{task['name']}: not the same a second time"
        assert told(again) == [([], after, after) for _plan, _before, after in told(done)], task["name"]

    for name in OURS:
        engine.run({"name": name, "state": "absent"})
    assert network() == {name: seen for name, seen in untouched.items() if name != "router"}


def test_examples_of_reachability_hold(private_host: Path) -> None:
    engine.run({"name": "given", **NEIGHBOURS})
    with web_server("blue", "192.168.15.2"):
        first, second = play(examples("reachability"), private_host)
    assert [row["ok"] for row in first["matrix"] + second["matrix"]] == [True] * 5
    assert (first["changed"], second["changed"]) == (False, False)


def test_examples_of_topology_info_hold(private_host: Path) -> None:
    engine.run({"name": "given", **GIVEN["topology_info"]})
    with web_server("red", "192.168.15.1"):
        _seen, processes, _asserted = play(examples("topology_info"), private_host)
    assert any("http.server" in item["msg"] for item in processes["results"])
