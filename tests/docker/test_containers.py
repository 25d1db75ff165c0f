# SPDX-License-Identifier: GPL-3.0-or-later
"""Cables into the containers of real engines."""

from __future__ import annotations

import json
from typing import Any, Iterator

import pytest

from ansible_collections.hostwire.linux.tests.docker.machines import IDLE, Machine, eventually, serving

SWITCH: dict[str, Any] = {"name": "v-lab", "addresses": ["10.3.0.1/24", "fd00:3::1/64"], "guests": {}}
WEB = {"container": "web", "name": "lan0", "bridge": "v-lab", "addresses": ["10.3.0.2/24", "fd00:3::2/64"]}
DB = {"container": "db", "name": "lan0", "bridge": "v-lab", "addresses": ["10.3.0.3/24", "fd00:3::3/64"]}
# Beyond the switch: what web sends there must come by our cable, not by Docker's.
BEYOND = {"netns": "container:web", "to": "198.51.100.7/32", "via": "10.3.0.1"}
DOCUMENT: dict[str, Any] = {"name": "lab", "bridges": [SWITCH], "containers": [WEB, DB], "routes": [BEYOND]}
ABSENT = {"name": "lab", "state": "absent"}


@pytest.fixture(scope="session")
def fresh(machine: Machine) -> Machine:
    """A host on which Docker was just installed."""
    machine.reset()
    return machine


@pytest.fixture
def engine(fresh: Machine) -> Iterator[Machine]:
    """One with two containers that answer on port 80, each with its name."""
    for name in ("web", "db"):
        start(fresh, name)
    try:
        yield fresh
    finally:
        fresh.module("topology", **ABSENT)
        fresh.run("sh", "-c", "docker ps --all --quiet | xargs --no-run-if-empty docker rm --force")


def start(machine: Machine, name: str, *options: str) -> None:
    command = IDLE if "--network" in options else serving(name)
    machine.docker("run", "--detach", "--name", name, *options, "busybox", *command)


def links(machine: Machine, container: str | None = None) -> dict[str, Any]:
    """Name to what iproute2 tells of the links of the host or of a container; Docker's cables are another each time."""
    inside = [] if container is None else ["nsenter", "--net=" + namespace(machine, container)]
    shown = json.loads(machine.run(*inside, "ip", "-j", "address", "show"))
    return {
        link["ifname"]: (link["flags"], link["mtu"], link.get("master"), sorted(a["local"] for a in link["addr_info"]))
        for link in shown
        if not link["ifname"].startswith("veth")
    }


def namespace(machine: Machine, container: str) -> str:
    return f"/proc/{machine.inspect(container)['State']['Pid']}/ns/net"


def state(machine: Machine) -> Any:
    rules = machine.run("sh", "-c", "iptables-save; ip6tables-save")
    names = [line for line in rules.splitlines() if line.startswith(("-A", "*"))]
    # A table that was once written to stays, empty, and does nothing.
    names = [
        line for line, after in zip(names, [*names[1:], "*"]) if not line.startswith("*") or after.startswith("-A")
    ]
    return [links(machine), names, *(links(machine, name) for name in ("web", "db"))]


def surprises(machine: Machine, *claims: dict[str, Any]) -> list[str]:
    """What of these claims doesn't hold."""
    answer = machine.module("reachability", probes=list(claims))
    return list(answer.get("problems", ()))


CLAIMS: list[dict[str, Any]] = [
    {"from": source, "to": to, **how}
    for source, targets in {
        None: ("10.3.0.2", "fd00:3::2", "10.3.0.3", "fd00:3::3"),
        "container:web": ("10.3.0.3", "fd00:3::3"),
        "container:db": ("10.3.0.2", "fd00:3::2"),
    }.items()
    for to in targets
    for how in ({}, {"protocol": "tcp", "port": 80})
] + [{"from": "container:web", "to": "10.3.0.1"}, {"from": "container:web", "to": "fd00:3::1"}]


def test_two_containers_get_a_switch_of_their_own(engine: Machine) -> None:
    before = state(engine)
    predicted = engine.done("topology", check=True, **DOCUMENT)
    assert state(engine) == before
    done = engine.done("topology", **DOCUMENT)
    assert (done["plan"], done["after"]) == (predicted["plan"], predicted["after"])
    assert any(line.startswith("container web: cable lan0 to bridge v-lab of the host") for line in done["plan"])
    assert surprises(engine, *CLAIMS) == []
    assert engine.asks("10.3.0.2", 80) == "web"
    assert engine.asks("fd00:3::3", 80) == "db"
    hop = engine.docker("exec", "web", "ip", "route", "get", "198.51.100.7").split()
    assert hop[hop.index("dev") + 1] == "lan0"
    assert engine.docker("exec", "web", "cat", "/proc/sys/net/ipv6/conf/lan0/accept_ra") == "0"
    again = engine.done("topology", **DOCUMENT)
    assert (again["changed"], again["plan"]) == (False, [])
    assert engine.done("topology", check=True, **ABSENT)["plan"] == engine.done("topology", **ABSENT)["plan"]
    assert state(engine) == before


def test_after_a_restart_the_next_run_plugs_it_again_and_only_it(engine: Machine) -> None:
    engine.done("topology", **DOCUMENT)
    wired = links(engine)
    engine.docker("restart", "--time", "1", "web")
    eventually(lambda: len(links(engine)), lambda count: count == len(wired) - 1)
    predicted = engine.done("topology", check=True, **DOCUMENT)
    again = engine.done("topology", **DOCUMENT)
    assert again["plan"] == predicted["plan"]
    assert all(line.startswith("container web") for line in again["plan"])
    assert surprises(engine, *CLAIMS) == []
    assert links(engine).keys() == wired.keys()
    assert engine.done("topology", **DOCUMENT)["plan"] == []


def test_what_can_have_no_cable_is_named_before_anything_changes(engine: Machine) -> None:
    start(engine, "exporter", "--network", "host")
    engine.docker("stop", "--time", "1", "db")
    before = links(engine)
    plugs = [{**WEB, "container": name, "addresses": []} for name in ("exporter", "web", "db", "nobody")]
    answer = engine.module("topology", name="lab", bridges=[SWITCH], containers=plugs)
    assert answer["failed"]
    assert [line.partition("container: container ")[2].partition(",")[0] for line in answer["problems"]] == [
        "exporter: it has the host's own network (--network host)",
        "db: it is exited; start it first",
        "nobody: there is no such container on this host",
    ]
    assert links(engine) == before


@pytest.mark.releases("bookworm", "trixie")  # the newer runc has no leave to make such a container on a test host
def test_a_namespace_that_two_containers_share_goes_by_one_name(engine: Machine) -> None:
    start(engine, "sidecar", "--network", "container:web")
    other = {**WEB, "container": "sidecar", "name": "lan1", "addresses": []}
    (said,) = engine.module("topology", **{**DOCUMENT, "containers": [WEB, other], "routes": []})["problems"]
    assert said.startswith(
        "containers[1].container: container sidecar: it shares the network namespace of container web"
    )
    engine.done("topology", **{**DOCUMENT, "containers": [{**WEB, "container": "sidecar"}], "routes": []})
    assert engine.asks("10.3.0.2", 80) == "web"


def test_what_docker_has_in_the_container_is_in_the_way(engine: Machine) -> None:
    before = state(engine)
    name = engine.module("topology", name="lab", bridges=[SWITCH], containers=[{**WEB, "name": "eth0"}])
    assert (name["kind"], name["problems"]) == (
        "conflict",
        ["veth eth0: container web has a link of this name already (veth), and it isn't ours; choose another name"],
    )
    default = {"netns": "container:web", "to": "default", "via": "10.3.0.1"}
    route = engine.module("topology", **{**DOCUMENT, "routes": [default]})
    assert route["kind"] == "conflict"
    assert "(container web): there is one with the same prefix and metric already" in route["msg"]
    assert state(engine) == before
    engine.done("topology", **{**DOCUMENT, "routes": [{**default, "metric": 50}]})


def test_a_container_in_no_network_may_have_its_default_route_by_our_cable(engine: Machine) -> None:
    start(engine, "alone", "--network", "none")
    cable = {**WEB, "container": "alone", "addresses": ["10.3.0.4/24", "fd00:3::4/64"]}
    gateways = (("default", "10.3.0.1"), ("::/0", "fd00:3::1"))
    ways = [{"netns": "container:alone", "to": to, "via": via} for to, via in gateways]
    engine.done("topology", **{**DOCUMENT, "containers": [WEB, cable], "routes": ways})
    assert surprises(engine, {"from": "container:alone", "to": engine.address}, *[
        {"from": "container:alone", "to": to, "protocol": "tcp", "port": 80} for to in ("10.3.0.2", "fd00:3::2")
    ]) == []  # fmt: skip


@pytest.mark.parametrize("how", ["removed", "stopped engine"])
def test_absent_needs_neither_the_container_nor_the_engine(engine: Machine, how: str) -> None:
    before = links(engine).keys()
    engine.done("topology", **DOCUMENT)
    if how == "removed":
        engine.docker("rm", "--force", "web", "db")
    else:
        engine.run("systemctl", "stop", "docker.socket", "docker.service")
    assert engine.done("topology", **ABSENT)["changed"]
    ours = {name for name in links(engine) if name.startswith(("ct-", "v-lab"))}
    engine.start_docker()
    assert (ours, links(engine).keys() - before) == (set(), set())
