# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever goes wrong with docker_bridge: the message says what, Docker works, and old state or new is whole."""

from __future__ import annotations

import json
from typing import Any, Iterator

import pytest

from ansible_collections.hostwire.linux.tests.docker.kills import killed
from ansible_collections.hostwire.linux.tests.docker.machines import DRIVER, IDLE, Machine, serving
from ansible_collections.hostwire.linux.tests.docker.test_docker_bridge import DAEMON_JSON, docker0, running

DEFAULT = "172.17.0.1/16"
NEW = "10.66.66.1/24"
DROP_IN = "/etc/systemd/system/docker.service.d/fault.conf"
POINTS = (
    "doing", "origin.json", "before Stop", "after Stop", "daemon.json", "before Start", "after Start",
    "after Containers", "done",
)  # fmt: skip
# On the way back of a run that was found wrong.
BACK = ("undoing", "back: after Stop", "back: daemon.json", "back: before Start", "back: after Start")


@pytest.fixture
def host(machine: Machine) -> Iterator[Machine]:
    """A host with a container of each kind; what a fault put into the way is taken out of it again."""
    if machine.read("/etc/docker-test-host") != "faults":
        machine.reset()
        machine.docker("run", "-d", "--name", "web", "--restart", "always", "-p", "8080:80", "busybox", *serving("web"))
        machine.docker("run", "-d", "--name", "plain", "busybox", *IDLE)
        machine.docker("network", "create", "--subnet", "10.44.0.0/24", "office")
        machine.write("/etc/docker-test-host", "faults")
    yield machine
    machine.run("sh", "-c", "while umount /etc/docker 2>/dev/null; do :; done; rm -f /etc/docker-test-host")


def untouched(machine: Machine) -> tuple[Any, ...]:
    """What must be the same after a run that failed."""
    daemon = machine.run("systemctl", "show", "docker", "--property=MainPID")
    return daemon, docker0(machine), machine.read(DAEMON_JSON), running(machine), staged(machine)


def staged(machine: Machine) -> str:
    return machine.run(
        "sh", "-c", "ls -A /etc/docker 2>/dev/null | grep -F .new; ls /var/lib/hostwire/*.steps", check=False
    )


def works(machine: Machine, address: str = DEFAULT) -> None:
    """Docker serves, with this address and everything that ran."""
    assert docker0(machine) == [address]
    assert {"web", "plain"} <= running(machine)
    assert machine.outside_asks(8080) == "web"
    assert staged(machine) == ""


def refused(machine: Machine, *words: str, **parameters: Any) -> dict[str, Any]:
    """A run, and before it a check, that say these words and change nothing."""
    before = untouched(machine)
    for check in (True, False):
        answer = machine.module("docker_bridge", check=check, **parameters)
        assert answer.get("failed"), answer
        for word in words:
            assert word in answer["msg"]
    assert untouched(machine) == before
    return answer


def fault(machine: Machine, condition: str) -> None:
    """Docker's unit asks for this before each start; it has been started like that."""
    machine.write(DROP_IN, f"[Service]\nExecStartPre=/bin/sh -c '{condition}'\n")
    machine.run("sh", "-c", "systemctl daemon-reload; systemctl restart docker; docker start plain")


def test_values_routes_and_networks_in_the_way_are_all_named_at_once(host: Machine) -> None:
    host.run("ip", "link", "add", "vpn0", "type", "veth", "peer", "name", "vpn1")
    try:
        host.run("sh", "-c", "ip link set vpn0 up; ip link set vpn1 up; ip address add 192.0.2.9/24 dev vpn0")
        host.run("ip", "route", "add", "10.0.0.0/9", "via", "192.0.2.1", "table", "77")
        refused(host, 'bip: "192.168.225.0/24" is the network\'s own address', bip="192.168.225.0/24")
        refused(host, "mtu: 60 bytes", "fixed_cidr:", mtu=60, bip="10.5.0.1/24", fixed_cidr="10.6.0.0/25")
        answer = refused(
            host,
            "bip: 10.44.0.0/16 overlaps the host's route 10.0.0.0/9 via 192.0.2.1 dev vpn0 (table 77)",
            "bip: 10.44.0.0/16 overlaps Docker's network office, 10.44.0.0/24",
            "bip: 10.44.0.0/16 overlaps 10.32.0.0/11, which is declared as taken",
            bip="10.44.0.1/16",
            taken=["10.32.0.0/11", "203.0.113.0/24"],
        )
        assert answer["kind"] == "conflict"
        assert len(answer["problems"]) == 3
    finally:
        host.run("ip", "link", "delete", "vpn0")


def test_of_a_broken_daemon_json_the_place_is_named(host: Machine) -> None:
    host.write(DAEMON_JSON, '{\n  "debug": false\n  "mtu": 1400\n}\n')
    refused(host, f"{DAEMON_JSON}: line 3: broken JSON: a comma or }} is missing (at character 3)", bip=NEW)
    host.run("rm", DAEMON_JSON)


def test_an_unknown_key_would_keep_docker_from_starting(host: Machine) -> None:
    host.write(DAEMON_JSON, '{"debug": false, "bib": "10.0.0.1/24"}\n')
    refused(host, DAEMON_JSON, "bib", bip=NEW)
    host.run("rm", DAEMON_JSON)


def test_an_option_in_two_places_would_too(host: Machine) -> None:
    before = host.read("/etc/default/docker") or ""
    host.write("/etc/default/docker", before + 'DOCKER_OPTS="--mtu=1400 --debug=false"\n')
    host.write(DAEMON_JSON, '{"mtu": 1400}\n')
    line = len(before.splitlines()) + 1
    refused(
        host, f"mtu: set twice, 1400 in /etc/default/docker, line {line} and 1400 in {DAEMON_JSON}, line 1", bip=NEW
    )
    host.write("/etc/default/docker", before + 'DOCKER_OPTS="--debug=false"\n')
    host.write(DAEMON_JSON, '{"debug": false}\n')
    refused(host, "debug", bip=NEW, mtu=1400)
    host.write("/etc/default/docker", before)
    host.run("rm", DAEMON_JSON)


def test_live_restore_would_leave_docker0_as_it_is(host: Machine) -> None:
    host.write(DAEMON_JSON, '{"live-restore": true}\n')
    host.run("systemctl", "reload", "docker")
    try:
        refused(host, "live-restore", "plain", "web", bip=NEW)
    finally:
        host.write(DAEMON_JSON, '{"live-restore": false}\n')
        host.run("systemctl", "reload", "docker")
        host.run("rm", DAEMON_JSON)


def test_containers_that_could_not_come_back_are_named(host: Machine) -> None:
    host.docker("run", "-d", "--name", "once", "--rm", "busybox", *IDLE)
    host.docker("run", "-d", "--name", "asleep", "busybox", *IDLE)
    host.docker("run", "-d", "--name", "dns", "-p", "172.17.0.1:53:53/udp", "busybox", *IDLE)
    host.docker("pause", "asleep")
    try:
        refused(
            host,
            "container once: it was started with --rm",
            "container asleep: it is paused",
            "container dns: publishes port 53/udp on 172.17.0.1",
            bip=NEW,
        )
    finally:
        host.docker("unpause", "asleep")
        host.docker("rm", "-f", "once", "asleep", "dns", check=False)


def test_a_full_or_read_only_disk_shows_before_anything_stops(host: Machine) -> None:
    host.run(
        "sh",
        "-c",
        "mkdir -p /etc/docker; mount -t tmpfs -o size=64k tmpfs /etc/docker; cat /dev/zero >/etc/docker/zero || :",
    )
    refused(host, DAEMON_JSON, "No space left on device", bip=NEW)
    host.run("mount", "-o", "remount,ro", "/etc/docker")
    refused(host, DAEMON_JSON, "Read-only file system", bip=NEW)
    host.run("umount", "/etc/docker")
    works(host)


def test_a_dockerd_that_does_not_start_is_started_as_it_was(host: Machine) -> None:
    condition = "! grep -q 10.66.66 /etc/docker/daemon.json || { echo 10.66.66 is not liked here; exit 1; }"
    host.write(DAEMON_JSON, '{"debug": false}\n')
    fault(host, condition)
    answer = host.module("docker_bridge", bip=NEW)
    assert "dockerd doesn't start: 10.66.66 is not liked here" in answer["msg"]
    assert answer["problems"][-1] == "everything was put back as it was"
    assert answer["kind"] == "verify"
    works(host)
    assert host.read(DAEMON_JSON) == '{"debug": false}\n'
    host.run("rm", "-f", DROP_IN, DAEMON_JSON)
    host.run("systemctl", "daemon-reload")
    host.done("docker_bridge", bip=NEW)
    works(host, NEW)
    host.done("docker_bridge", state="restored")
    works(host)


@pytest.mark.releases("trixie")
def test_a_container_that_does_not_come_back_brings_all_back(host: Machine) -> None:
    picky = ("sh", "-c", f"ip route | grep -q 172.17. || exit 3; {IDLE[2]}")
    host.docker("run", "-d", "--name", "picky", "busybox", *picky)
    answer = host.module("docker_bridge", bip=NEW, verify_timeout=4)
    assert "container picky: ran, and exited now" in answer["msg"]
    assert answer["problems"][-1] == "everything was put back as it was"
    works(host)
    assert "picky" in running(host)
    host.docker("rm", "-f", "picky")
    # Nor has one that ends a moment after its start; two of three looks would have missed it.
    late = ("sh", "-c", f"sleep 1; ip route | grep -q 172.17. || exit 3; {IDLE[2]}")
    host.docker("run", "-d", "--name", "late", "busybox", *late)
    host.docker("run", "-d", "--restart", "always", "--name", "again", "busybox", *late)
    answer = host.module("docker_bridge", bip=NEW, verify_timeout=4)
    assert "container late: ran, and exited now" in answer["msg"]
    assert "container again: " in answer["msg"]
    assert answer["problems"][-1] == "everything was put back as it was"
    works(host)
    assert {"late", "again"} <= running(host)
    host.docker("rm", "-f", "late", "again")
    # One that never starts again can't be brought back by anybody; the rest is, and it is said.
    host.run("touch", "/run/once")
    host.docker("run", "-d", "--name", "fickle", "-v", "/run/once:/once", "busybox", *IDLE)
    host.run("sh", "-c", "rm /run/once; mkdir /run/once")
    answer = host.module("docker_bridge", bip=NEW, verify_timeout=4)
    assert answer["kind"] == "undo"
    assert "container fickle: ran, and doesn't come back" in answer["msg"]
    works(host)
    host.docker("rm", "-f", "fickle")
    host.done("docker_bridge", bip=NEW)
    host.done("docker_bridge", state="restored")


@pytest.mark.releases("forky")
@pytest.mark.parametrize("point", POINTS)
def test_a_run_that_was_killed_is_ended_by_the_next(host: Machine, point: str) -> None:
    daemon = host.run("systemctl", "show", "docker", "--property=MainPID")
    killed(host, "docker_bridge", point, bip=NEW)
    planned = host.done("docker_bridge", check=True, bip=NEW)
    assert planned["changed"]
    assert planned["plan"]
    assert all("broken off" in line for line in planned["plan"])
    assert host.done("docker_info")["broken_off"] == ("done" if point == "done" else "doing")
    if point in ("doing", "origin.json", "before Stop"):
        host.done("docker_bridge", state="absent")
        assert host.run("systemctl", "show", "docker", "--property=MainPID") == daemon  # it was never stopped
        works(host)
    answer = host.done("docker_bridge", bip=NEW)
    assert answer["changed"]
    works(host, NEW)
    assert host.done("docker_info")["broken_off"] is None
    killed(host, "docker_bridge", point, state="restored")
    host.done("docker_bridge", state="restored")
    works(host)
    assert host.read(DAEMON_JSON) is None


@pytest.mark.releases("forky")
@pytest.mark.parametrize("point", BACK)
def test_a_way_back_that_was_killed_is_ended_by_the_next(host: Machine, point: str) -> None:
    killed(host, "docker_bridge", point, WRONG, bip=NEW, verify_timeout=1)
    assert "take back" in str(host.done("docker_bridge", check=True, bip=NEW)["plan"])
    host.done("docker_bridge", state="absent")
    works(host)
    assert host.read(DAEMON_JSON) is None
    killed(host, "docker_bridge", point, WRONG, bip=NEW, verify_timeout=1)
    host.done("docker_bridge", bip=NEW)
    works(host, NEW)
    killed(host, "docker_bridge", point, WRONG, state="restored", verify_timeout=1)
    host.done("docker_bridge", state="restored")
    works(host)
    assert host.read(DAEMON_JSON) is None


@pytest.mark.releases("bookworm", "trixie")
def test_a_run_that_was_killed_while_docker_is_down_is_ended_by_the_next(host: Machine) -> None:
    killed(host, "docker_bridge", "after Stop", bip=NEW)
    host.done("docker_bridge", bip=NEW)
    works(host, NEW)
    killed(host, "docker_bridge", "before Start", state="restored")
    host.done("docker_bridge", state="restored")
    works(host)


WRONG = """
from ansible_collections.hostwire.linux.plugins.module_utils.errors import VerificationFailed
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.readdress import verify
def look(*_arguments):
    raise VerificationFailed("found wrong by the test")
verify.look = look
"""
MISTAKEN = """
import sys
sys.path.insert(0, "/opt/hostwire")
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.readdress import verify
def look(*_arguments):
    verify.look = right
    raise KeyError("a mistake")
right, verify.look = verify.look, look
"""


@pytest.mark.releases("forky")
def test_a_mistake_of_ours_leaves_no_host_without_docker(host: Machine) -> None:
    asked = json.dumps(["docker_bridge", {"bip": NEW}])
    answer = json.loads(host.completed("python3", "-c", MISTAKEN + DRIVER, stdin=asked).stdout)
    assert answer["kind"] == "unexpected"
    assert "KeyError: 'a mistake'" in answer["msg"]
    works(host)


@pytest.mark.releases("bookworm")
def test_what_a_person_mended_after_a_kill_stays(host: Machine) -> None:
    killed(host, "docker_bridge", "daemon.json", bip=NEW)
    host.write(DAEMON_JSON, '{"bip": "10.67.0.1/24"}\n')
    host.start_docker()
    answer = host.done("docker_bridge", mtu=1400)
    assert answer["before"]["options"] == {"bip": "10.67.0.1/24"}
    works(host, "10.67.0.1/24")
    host.done("docker_bridge", state="absent")
    works(host)


@pytest.mark.releases("trixie")
def test_a_run_that_was_killed_going_back_is_ended_by_the_next(host: Machine) -> None:
    fault(host, "! grep -q 10.66.66 /etc/docker/daemon.json")
    killed(host, "docker_bridge", "undoing", bip=NEW)
    host.run("rm", DROP_IN)
    host.run("systemctl", "daemon-reload")
    host.done("docker_bridge", bip=NEW)
    works(host, NEW)
    host.done("docker_bridge", state="absent")
    works(host)


@pytest.mark.releases("trixie")
def test_a_docker_that_starts_neither_way_is_said_and_ended_by_the_next_run(host: Machine) -> None:
    fault(host, "! test -e /run/no-docker")
    host.run("touch", "/run/no-docker")
    answer = host.module("docker_bridge", bip=NEW)
    assert answer["kind"] == "undo"
    assert "dockerd doesn't start" in answer["msg"]
    assert "and not all could be put back:" in answer["msg"]
    assert "Docker doesn't answer" in answer["msg"]
    assert host.read(DAEMON_JSON) is None
    host.run("sh", "-c", f"rm /run/no-docker {DROP_IN}; systemctl daemon-reload")
    host.done("docker_bridge", bip=NEW)
    works(host, NEW)
    host.done("docker_bridge", state="restored")
    works(host)
    assert host.read(DAEMON_JSON) is None
