# SPDX-License-Identifier: GPL-3.0-or-later
"""Cables into containers, through restarts, failures and kills; real engines are in tests/docker."""

from __future__ import annotations

import json
import subprocess
import time
from typing import Any, Dict, Iterator, List

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import engine, probe
from ansible_collections.hostwire.linux.plugins.module_utils.errors import Conflict, HostwireError, InvalidValue
from ansible_collections.hostwire.linux.plugins.module_utils.model import Probe
from ansible_collections.hostwire.linux.tests.kernel import guest_world, world
from ansible_collections.hostwire.linux.tests.kernel.docker_stand_in import Engine, docker_engine
from ansible_collections.hostwire.linux.tests.kernel.steps import NOTHING, apply, killed, refused_alike

SWITCH: Dict[str, Any] = {"bridges": [{"name": "v-net-0", "addresses": ["192.168.15.5/24", "fd00:15::5/64"]}]}
CABLE = {
    "container": "web",
    "name": "lan0",
    "bridge": "v-net-0",
    "addresses": ["192.168.15.1/24", "fd00:15::1/64"],
    "mac": "02:00:00:00:00:07",
    "mtu": 1400,
}
ROUTES = [
    {"netns": "container:web", "to": "default", "via": "192.168.15.5"},
    {"netns": "container:web", "to": "::/0", "via": "fd00:15::5"},
]
PLUGGED: Dict[str, Any] = {**SWITCH, "containers": [CABLE], "routes": ROUTES}


@pytest.fixture
def docker(private_host: object) -> Iterator[Engine]:
    """An engine with one container, web, that has only lo, and no IPv6 unless somebody asks for it."""
    with docker_engine() as there:
        there.start("web")
        plain(there, "web")
        yield there


def plain(docker: Engine, name: str) -> None:
    """What Docker makes of a new container's namespace whose networks have no IPv6."""
    inside(docker, name, "ip", "link", "set", "lo", "up")
    for which in ("all", "default"):
        inside(docker, name, "sh", "-c", f"echo 1 >/proc/sys/net/ipv6/conf/{which}/disable_ipv6")


def inside(docker: Engine, name: str, *command: str) -> str:
    enter = ["nsenter", f"--net=/proc/{docker.pid(name)}/ns/net", *command]
    return subprocess.run(enter, check=True, capture_output=True, text=True).stdout


def dockers(docker: Engine, name: str, index: str = "50") -> None:
    """An interface in web that isn't ours, as Docker puts them there."""
    inside(
        docker, "web", "ip", "link", "add", name, "index", index, "type", "veth", "peer", "name", "far", "index", "51"
    )
    inside(docker, "web", "ip", "link", "set", "far", "up")


def links(docker: Engine, name: str) -> Dict[str, Any]:
    return {link["ifname"]: link for link in json.loads(inside(docker, name, "ip", "-j", "-d", "address", "show"))}


def routes(docker: Engine, name: str) -> List[str]:
    """A container's routes that somebody made."""
    shown = [inside(docker, name, "ip", *family, "route", "show") for family in ([], ["-6"])]
    return [line.strip() for text in shown for line in text.splitlines() if "proto kernel" not in line]


def host_ends() -> List[str]:
    shown = json.loads(subprocess.check_output(["ip", "-j", "link", "show"]))
    return [link["ifname"] for link in shown if link["ifname"].startswith("ct-")]


def whole(docker: Engine) -> Any:
    """The host, and web where it runs."""
    there = {"links": {}, "routes": []}
    if docker.processes.get("web"):
        shown = links(docker, "web")
        there = {"links": {name: sorted(a["local"] for a in shown[name]["addr_info"]) for name in shown},
                 "routes": routes(docker, "web")}  # fmt: skip
    return {"host": world.image(), "web": there}


def gone(name: str) -> None:
    """The kernel takes a while to end a namespace."""
    deadline = time.monotonic() + 30
    while name in host_ends() and time.monotonic() < deadline:
        time.sleep(0.02)


def reached(*claims: Probe) -> List[bool]:
    return [result.ok for result in probe.run(claims, 2.0)]


def problems(document: Dict[str, Any], kind: type[HostwireError] = InvalidValue) -> List[str]:
    """Why a document is refused, in check mode and without it: nothing has changed then."""
    before = world.image()
    said = refused_alike(kind, document)
    assert world.differences(before, world.image()) == []
    return said


def test_a_running_container_gets_one_more_cable(docker: Engine) -> None:
    bare = whole(docker)
    predicted = engine.run(PLUGGED, check=True)
    assert world.differences(bare, whole(docker)) == []
    done = engine.run(PLUGGED)
    (end,) = host_ends()
    assert done.plan == predicted.plan
    assert f"container web: cable lan0 to bridge v-net-0 of the host ({end}): create" in done.plan
    assert "container web: route default via 192.168.15.5: add" in done.plan
    assert done.before.get("containers") is None
    assert done.after["containers"] == [CABLE]
    lan0 = links(docker, "web")["lan0"]
    assert (lan0["mtu"], lan0["address"], lan0["operstate"]) == (1400, CABLE["mac"], "UP")
    assert inside(docker, "web", "cat", "/proc/sys/net/ipv6/conf/lan0/accept_ra") == "0\n"
    assert (
        reached(
            Probe(None, "192.168.15.1"),
            Probe(None, "fd00:15::1"),
            Probe("container:web", "192.168.15.5"),
            Probe("container:web", "fd00:15::5"),
        )
        == [True] * 4
    )
    again = engine.run(PLUGGED)
    assert (again.changed, again.plan) == (False, ())
    assert engine.run(NOTHING, check=True).plan == engine.run(NOTHING).plan != ()
    assert world.differences(bare, whole(docker)) == []


def test_what_is_not_named_any_more_is_taken_out_of_the_container(docker: Engine) -> None:
    engine.run(PLUGGED)
    fewer = {**SWITCH, "containers": [{**CABLE, "addresses": ["192.168.15.2/24"]}]}
    assert engine.run(fewer, check=True).plan == engine.run(fewer).plan != ()
    assert [a["local"] for a in links(docker, "web")["lan0"]["addr_info"] if a["scope"] == "global"] == ["192.168.15.2"]
    assert routes(docker, "web") == []
    engine.run(SWITCH)
    assert (host_ends(), set(links(docker, "web"))) == ([], {"lo"})


def test_what_differs_is_mended(docker: Engine) -> None:
    engine.run(PLUGGED)
    inside(
        docker, "web", "sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/lan0/disable_ipv6; ip link set lan0 down mtu 1300"
    )
    assert engine.run(PLUGGED).changed
    assert not engine.run(PLUGGED).changed
    assert reached(Probe(None, "192.168.15.1"), Probe(None, "fd00:15::1")) == [True] * 2


def test_after_a_restart_the_next_run_plugs_it_again(docker: Engine) -> None:
    first = engine.run(PLUGGED)
    (end,) = host_ends()
    docker.restart("web")
    gone(end)
    plain(docker, "web")
    again = engine.run(PLUGGED)
    assert again.plan == tuple(line for line in first.plan if line.startswith("container web"))
    assert (host_ends(), engine.run(PLUGGED).plan) == ([end], ())
    assert reached(Probe("container:web", "192.168.15.5"), Probe("container:web", "fd00:15::5")) == [True] * 2


def test_a_cable_into_a_life_that_is_over_goes_though_somebody_holds_its_namespace(docker: Engine) -> None:
    engine.run(PLUGGED)
    (end,) = host_ends()
    docker.start("holder", like="web")
    docker.restart("web")
    again = engine.run(PLUGGED)
    assert again.plan[0].startswith(f"host: veth {end}: remove")
    assert host_ends() == [end]
    assert set(links(docker, "holder")) == {"lo"}
    assert reached(Probe("container:web", "192.168.15.5")) == [True]


def test_what_docker_gave_to_a_new_life_is_not_taken_for_ours(docker: Engine) -> None:
    """Names and indexes come again in each namespace: only the life tells (hazard 15)."""
    engine.run({**SWITCH, "containers": [{**CABLE, "name": "eth1"}]})
    index = links(docker, "web")["eth1"]["ifindex"]
    (end,) = host_ends()
    docker.restart("web")
    gone(end)
    dockers(docker, "eth1", str(index))
    assert problems({**SWITCH, "containers": [{**CABLE, "name": "eth1"}]}, Conflict) == [
        "veth eth1: container web has a link of this name already (veth), and it isn't ours; choose another name"
    ]
    engine.run(NOTHING)
    assert "eth1" in links(docker, "web")


def test_containers_that_can_have_no_cable_are_all_named_at_once(docker: Engine) -> None:
    docker.start("exporter", network="host")
    docker.start("job")
    docker.stop("job")
    docker.start("sidecar", like="web")
    cables = [{**CABLE, "container": name, "addresses": []} for name in ("exporter", "job", "jbo", "web", "sidecar")]
    assert problems({"containers": cables, "bridges": [{"name": "v-net-0"}]}) == [
        (
            "containers[0].container: container exporter: it has the host's own network (--network host), where no "
            "cable leads; leave it out, or run it with another network"
        ),
        "containers[1].container: container job: it is exited; start it first",
        "containers[2].container: container jbo: there is no such container on this host",
        (
            "containers[4].container: container sidecar: it shares the network namespace of container web; say that "
            "one's name for this cable, too"
        ),
    ]
    assert problems({"containers": [CABLE]}) == ['containers[0].bridge: no bridge named "v-net-0" on the host']


def test_without_an_engine_that_is_said_once(private_host: object) -> None:
    assert problems({**SWITCH, "containers": [CABLE, {**CABLE, "container": "db", "addresses": []}]}) == [
        (
            "containers[0].container: container web: no Docker engine answers at /var/run/docker.sock: "
            "No such file or directory"
        )
    ]


def test_an_interface_that_docker_uses_is_a_conflict_before_anything_changes(docker: Engine) -> None:
    dockers(docker, "eth0")
    assert problems({**SWITCH, "containers": [{**CABLE, "name": "eth0"}]}, Conflict) == [
        "veth eth0: container web has a link of this name already (veth), and it isn't ours; choose another name"
    ]


def test_a_default_route_of_dockers_is_a_conflict_and_another_metric_is_none(docker: Engine) -> None:
    dockers(docker, "eth0")
    inside(docker, "web", "ip", "address", "add", "172.17.0.2/16", "dev", "eth0")
    inside(docker, "web", "ip", "link", "set", "eth0", "up")
    inside(docker, "web", "ip", "route", "add", "default", "via", "172.17.0.1")
    (said,) = problems(PLUGGED, Conflict)
    assert said.startswith(
        "route default via 192.168.15.5 (container web): there is one with the same prefix and metric"
    )
    engine.run({**PLUGGED, "routes": [{**ROUTES[0], "metric": 50}]})
    assert routes(docker, "web") == [
        "default via 172.17.0.1 dev eth0",
        "default via 192.168.15.5 dev lan0 proto 72 metric 50",
    ]


def test_a_subnet_that_docker_has_in_the_container_is_refused(docker: Engine) -> None:
    dockers(docker, "eth0")
    inside(docker, "web", "ip", "address", "add", "192.168.0.2/16", "dev", "eth0")
    (said,) = problems({**SWITCH, "containers": [{**CABLE, "addresses": ["192.168.15.1/24"]}]})
    assert said.startswith("containers[0].addresses[0]: 192.168.15.1/24 ")
    assert "in container web" in said


@pytest.mark.parametrize("how", ["stopped", "removed", "no engine"])
def test_absent_needs_neither_the_container_nor_the_engine(private_host: object, how: str) -> None:
    bare = world.image()
    with docker_engine() as docker:
        docker.start("web")
        engine.run(PLUGGED)
        if how != "no engine":
            docker.stop("web")
            if how == "removed":
                del docker.processes["web"]
            assert engine.run(NOTHING).changed
            assert world.differences(bare, world.image()) == []
            return
        survivor = docker.processes.pop("web")
    assert survivor is not None
    try:
        engine.run(NOTHING)
        assert world.differences(bare, world.image()) == []
        there = ["nsenter", f"--net=/proc/{survivor.pid}/ns/net", "ip", "-o", "link"]
        assert "lan0" not in subprocess.check_output(there, text=True)
    finally:
        survivor.kill()
        survivor.communicate()


@pytest.mark.parametrize("between", ["nothing", "restart"])
def test_a_run_killed_at_any_step_is_finished_by_the_next(docker: Engine, between: str) -> None:
    bare = whole(docker)
    steps: List[str] = []
    apply(PLUGGED, lambda position, when: steps.append(when))
    there = whole(docker)
    apply(NOTHING)
    for step in range(len(steps) // 2):
        killed(PLUGGED, step, "after")
        if between == "restart":
            docker.restart("web")
            plain(docker, "web")
            for end in host_ends():
                gone(end)
        assert engine.run(PLUGGED, check=True).plan == apply(PLUGGED).plan, f"step {step}"
        assert apply(PLUGGED).plan == (), f"step {step}"
        assert world.differences(there["web"], whole(docker)["web"]) == [], f"step {step}"
        assert len(host_ends()) == 1
        apply(NOTHING)
        assert world.differences(bare, whole(docker)) == [], f"step {step}"


def test_a_container_that_ends_halfway_leaves_nothing(docker: Engine) -> None:
    bare = world.image()
    steps: List[str] = []
    apply(PLUGGED, lambda position, when: steps.append(when))
    apply(NOTHING)
    for step in range(len(steps) // 2):

        def stop(position: int, when: str, step: int = step) -> None:
            if (position, when) == (step, "before"):
                docker.stop("web")

        with pytest.raises(Conflict) as refused:
            apply(PLUGGED, stop)
        assert refused.value.problems == (
            "container web: it is exited; start it first",
            "everything was put back as it was",
        )
        assert world.differences(bare, world.image()) == [], f"step {step}"
        docker.start("web")


def test_single_objects_of_a_document_leave_its_cables_alone(docker: Engine) -> None:
    engine.run(PLUGGED)
    before = whole(docker)
    engine.run({"name": "main", "bridges": [{"name": "other"}]}, fragment=True)
    engine.run({"name": "main", "state": "absent", "bridges": [{"name": "other"}]}, fragment=True)
    after = whole(docker)
    assert world.differences(before["web"], after["web"]) == []
    assert world.differences(before["host"]["rooms"], after["host"]["rooms"]) == []
    assert engine.run(PLUGGED).plan == ()
    engine.run({"state": "absent", "containers": [{"container": "web", "name": "lan0"}]}, fragment=True)
    assert host_ends() == []


@pytest.mark.parametrize("order", ["nat first", "nat last"])
def test_hazard_32_guests_of_mode_nat_may_have_addresses_of_another_network(docker: Engine, order: str) -> None:
    """Where bridged packets are filtered, that network's protection and its masquerade see theirs pass by, too."""
    guest_world.build(1)
    docker.start("db")
    plain(docker, "db")
    before = world.image()
    subnets = {"subnet": "10.0.2.0/24", "subnet6": "fd00:2::/64"}
    guests = [{"name": name, "kind": "container", "nics": [{"network": "nat"}]} for name in ("web", "db")]
    compose = guest_world.FILTERS["guest_documents"]
    nat = compose([{"name": "nat", "mode": "nat", **subnets}], guests)
    other = compose([{"name": "other", "mode": "nat_network", **subnets}], [])
    wanted = nat + other if order == "nat first" else other + nat
    for document in wanted:
        assert engine.run(document, check=True).plan == engine.run(document).plan
    assert [engine.run(document).plan for document in wanted] == [()] * len(wanted)
    addresses = (*guest_world.LAN_ADDRESS.values(), *guest_world.INTERNET_ADDRESS.values())
    assert reached(*[Probe(f"container:{name}", to) for name in ("web", "db") for to in addresses]) == [True] * 8
    assert reached(*[Probe("container:web", to, reachable=False) for to in ("100.64.0.3", "fd64::3")]) == [True] * 2
    for document in wanted:
        engine.run({"name": document["name"], "state": "absent"})
    assert world.differences(before, world.image()) == []
