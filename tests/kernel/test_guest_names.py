# SPDX-License-Identifier: GPL-3.0-or-later
"""Names in guests' files: what a namespace's programs then resolve, and whose files are left alone."""

from __future__ import annotations

import json
import os
import signal
import socketserver
import subprocess
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Iterator

import pytest
import yaml

from ansible_collections.hostwire.linux.plugins.module_utils import engine
from ansible_collections.hostwire.linux.plugins.module_utils.errors import KernelRefused
from ansible_collections.hostwire.linux.plugins.module_utils.guest_names import places
from ansible_collections.hostwire.linux.plugins.module_utils.spot import Spot
from ansible_collections.hostwire.linux.plugins.modules import guest_names
from ansible_collections.hostwire.linux.tests.in_process import call
from ansible_collections.hostwire.linux.tests.kernel import world
from ansible_collections.hostwire.linux.tests.kernel.playbook import play

NAMES = [
    {"address": "10.0.2.4", "names": ["linux"]},
    {"address": "10.0.2.12", "names": ["localdb.lab.example", "localdb"]},
]
ROOMS = ["linux", "localdb"]
NETNS = Path("/etc/netns")

pytestmark = pytest.mark.usefixtures("private_host")


def make_rooms() -> None:
    for name in ROOMS:
        subprocess.run(["ip", "netns", "add", name], check=True)


def resolved(netns: str, name: str) -> list[str]:
    """What the C library of a program in the namespace makes of a name."""
    ran = subprocess.run(
        ["ip", "netns", "exec", netns, "getent", "hosts", name], check=False, capture_output=True, text=True
    )
    return ran.stdout.split()


def below(directory: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()}


def test_programs_in_a_namespace_know_the_others_and_still_localhost() -> None:
    make_rooms()
    before = world.image()
    predicted = call("guest_names", check=True, namespaces=ROOMS, entries=NAMES)
    assert world.differences(before, world.image()) == []
    assert not NETNS.exists()
    done = call("guest_names", namespaces=ROOMS, entries=NAMES)
    assert (done["plan"], done["diff"]) == (predicted["plan"], predicted["diff"])
    assert done["plan"] == [
        f"/etc/netns/{room}/hosts: add 10.0.2.4 linux, add 10.0.2.12 localdb.lab.example localdb" for room in ROOMS
    ]
    assert resolved("linux", "localdb") == ["10.0.2.12", "localdb.lab.example", "localdb"]
    assert "localhost" in resolved("linux", "localhost")
    assert call("guest_names", namespaces=ROOMS, entries=NAMES)["changed"] is False

    assert call("guest_names", state="absent")["changed"] is True
    assert below(NETNS) == {}
    assert not list(NETNS.iterdir())
    assert call("guest_names", state="absent")["changed"] is False


def test_a_guest_that_is_no_longer_asked_for_loses_the_names() -> None:
    Path("/etc/netns/linux").mkdir(parents=True)
    Path("/etc/netns/linux/hosts").write_text("127.0.0.1 localhost\n10.7.7.7 mine\n")
    own = Path("/etc/hosts").read_bytes()
    call("guest_names", namespaces=ROOMS, host=True, entries=NAMES)
    assert b"localdb" in Path("/etc/hosts").read_bytes()
    done = call("guest_names", namespaces=["localdb"], entries=NAMES)
    assert len(done["plan"]) == 2
    assert below(NETNS).keys() == {"/etc/netns/linux/hosts", "/etc/netns/localdb/hosts"}
    assert Path("/etc/netns/linux/hosts").read_text() == "127.0.0.1 localhost\n10.7.7.7 mine\n"
    assert Path("/etc/hosts").read_bytes() == own


def test_from_hosts_to_dns_and_back() -> None:
    call("guest_names", namespaces=ROOMS, entries=NAMES)
    hosts = below(NETNS)
    call("guest_names", namespaces=ROOMS, nameservers=["10.0.2.15"], search=["lab.example"])
    assert below(NETNS).keys() == {f"/etc/netns/{room}/resolv.conf" for room in ROOMS}
    lines = Path("/etc/netns/linux/resolv.conf").read_text().splitlines()
    assert lines[1:] == ["search lab.example", "nameserver 10.0.2.15"]
    call("guest_names", namespaces=ROOMS, entries=NAMES)
    assert below(NETNS) == hosts


@pytest.mark.parametrize(
    ("field", "value", "names", "problem"),
    [
        (
            "hosts",
            {"printer": "10.9.9.9"},
            {"entries": NAMES},
            "/etc/netns/linux/hosts: the whole file belongs to the document 'main': add the names",
        ),
        (
            "nameservers",
            ["192.0.2.53"],
            {"nameservers": ["10.0.2.15"]},
            "/etc/netns/linux/resolv.conf: exists, isn't ours and asks 192.0.2.53: take nameservers out",
        ),
    ],
)
def test_a_documents_file_stays_the_documents(field: str, value: Any, names: dict[str, Any], problem: str) -> None:
    document = {"namespaces": [{"name": "linux", field: value}]}
    engine.run(document)
    before = below(NETNS)
    refused = call("guest_names", namespaces=["localdb", "linux"], **names)
    assert (refused["failed"], refused["kind"]) == (True, "conflict")
    assert refused["msg"].startswith(problem)
    assert below(NETNS) == before
    call("guest_names", namespaces=["localdb"], **names)
    assert engine.run(document).plan == ()


def test_hosts_file_leaves_a_documents_file_too() -> None:
    document = {"namespaces": [{"name": "linux", "hosts": {"printer": "10.9.9.9"}}]}
    engine.run(document)
    refused = call("hosts_file", path="/etc/netns/linux/hosts", entries=NAMES)
    assert "the whole file belongs to the document 'main'" in refused["msg"]
    assert call("hosts_file", path="/etc/netns/linux/hosts", state="absent")["changed"] is False
    assert engine.run(document).plan == ()


def test_a_document_that_asks_the_same_server_is_no_conflict() -> None:
    document = {"namespaces": [{"name": "linux", "nameservers": ["10.0.2.15"]}]}
    engine.run(document)
    assert call("guest_names", namespaces=["linux"], nameservers=["10.0.2.15"])["changed"] is False
    assert call("guest_names", state="absent")["changed"] is False
    assert engine.run(document).plan == ()


def test_all_that_is_wrong_is_told_at_once_and_nothing_is_changed() -> None:
    refused = call(
        "guest_names",
        namespaces=["linux"],
        host=True,
        entries=[{"address": "10.0.2.4/24", "names": ["a"]}],
        nameservers=["dns", "1.1.1.1", "1.1.1.2", "1.1.1.3"],
        search=["a b"],
    )
    assert len(refused["problems"]) == 5
    assert call("guest_names", namespaces=["../x", "7"], entries=NAMES)["problems"] == [
        "namespaces[0]: \"../x\" can't be a namespace's name",
        "namespaces[1]: \"7\" can't be a namespace's name",
    ]
    assert not NETNS.exists()


def test_the_documented_examples_do_what_they_say(private_host: Path) -> None:
    tasks: list[dict[str, Any]] = yaml.safe_load(guest_names.EXAMPLES)
    results = iter(play([twice for task in tasks for twice in (task, task)], private_host))
    for task, done, again in zip(tasks, results, results):
        assert (done["changed"], again["changed"]) == (True, False), task["name"]
    assert below(NETNS) == {}


def test_what_somebody_else_wrote_meanwhile_is_neither_lost_nor_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = Path("/etc/netns/localdb/hosts")
    theirs.parent.mkdir(parents=True)
    theirs.write_text("127.0.0.1 localhost\n")
    really = places.noted

    def write_too(*asked: Any) -> Any:  # behind the look at the files, before the first is written
        theirs.write_text("127.0.0.1 localhost\n10.7.7.7 mine\n")
        return really(*asked)

    with monkeypatch.context() as patch:
        patch.setattr(places, "noted", write_too)
        refused = call("guest_names", namespaces=ROOMS, entries=NAMES)
    assert (refused["kind"], refused["problems"]) == (
        "verify",
        ["/etc/netns/localdb/hosts: somebody else wrote to it meanwhile; run this again"],
    )
    assert below(NETNS) == {str(theirs): b"127.0.0.1 localhost\n10.7.7.7 mine\n"}
    assert call("guest_names", namespaces=ROOMS, entries=NAMES)["changed"]
    assert b"10.7.7.7 mine" in theirs.read_bytes()


def test_a_file_that_cannot_be_written_takes_the_others_back(monkeypatch: pytest.MonkeyPatch) -> None:
    replace = Spot.replace

    def full(spot: Spot, content: bytes) -> None:
        if spot.path == "/etc/netns/localdb/hosts":
            raise KernelRefused(f"file {spot.path}: write", 28)
        replace(spot, content)

    monkeypatch.setattr(Spot, "replace", full)
    failed = call("guest_names", namespaces=ROOMS, entries=NAMES)
    assert failed["kind"] == "refused"
    assert below(NETNS) == {}
    monkeypatch.undo()
    assert call("guest_names", namespaces=ROOMS, entries=NAMES)["changed"] is True


class Container:
    """A Docker engine that knows one container, ``web``, with files as the engine keeps them."""

    def __init__(self, directory: Path) -> None:
        self.hosts, self.resolver = directory / "hosts", directory / "resolv.conf"
        self.inspected = directory / "inspected"
        self.start()
        self.is_now()

    def start(self) -> None:
        """The engine makes the files at each start of the container."""
        self.hosts.write_text("127.0.0.1\tlocalhost\n172.17.0.2\t0123456789ab\n")
        self.resolver.write_text("# Generated by Docker Engine.\nnameserver 192.0.2.1\nsearch office.example")

    def is_now(self, *, status: str = "running", dns: tuple[str, ...] = (), mounted: str = "") -> None:
        """What the engine says of it from now on."""
        told = {
            "State": {"Running": status == "running", "Status": status},
            "HostsPath": str(self.hosts),
            "ResolvConfPath": str(self.resolver),
            "HostConfig": {"Dns": dns},
            "Mounts": [{"Destination": mounted, "Source": "/srv/hosts"}] if mounted else [],
        }
        self.inspected.write_text(json.dumps(told))


@pytest.fixture
def web(private_host: Path) -> Iterator[Container]:
    container = Container(private_host)

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.path == "/containers/web/json"
            body = container.inspected.read_bytes() if known else b'{"message": "No such container"}'
            self.send_response(200 if known else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def address_string(self) -> str:
            return "docker"

        def log_message(self, *_words: Any) -> None:
            return

    with socketserver.UnixStreamServer("/run/docker.sock", Answers) as server:
        # No thread: a process that had one until just now couldn't go back to its mount namespace after the test.
        engine_process = os.fork()
        if engine_process == 0:
            try:
                server.serve_forever()
            finally:
                os._exit(1)
        try:
            yield container
        finally:
            os.kill(engine_process, signal.SIGKILL)
            os.waitpid(engine_process, 0)


def test_a_containers_files_are_written_in_place_and_come_back(web: Container) -> None:
    before = (web.hosts.read_bytes(), web.resolver.read_bytes())
    inodes = (web.hosts.stat().st_ino, web.resolver.stat().st_ino)
    asked: dict[str, Any] = {"containers": ["web"], "entries": NAMES, "nameservers": ["10.0.2.15"]}
    predicted = call("guest_names", check=True, **asked)
    assert (web.hosts.read_bytes(), web.resolver.read_bytes()) == before
    done = call("guest_names", **asked)
    assert done["plan"] == predicted["plan"]
    assert done["plan"][1] == "container web: /etc/resolv.conf: ask 10.0.2.15"
    assert b"10.0.2.12 localdb.lab.example localdb" in web.hosts.read_bytes()
    active = [line for line in web.resolver.read_text().splitlines() if not line.startswith("#")]
    assert active == ["nameserver 10.0.2.15"]
    assert (web.hosts.stat().st_ino, web.resolver.stat().st_ino) == inodes  # what is mounted is the file, not its name
    assert call("guest_names", **asked)["changed"] is False

    web.start()  # with new files
    assert call("guest_names", **asked)["plan"] == done["plan"]
    web.is_now(status="exited")
    assert call("guest_names", state="absent")["changed"] is True
    assert (web.hosts.read_bytes(), web.resolver.read_bytes()) == before
    assert sorted(os.listdir("/var/lib/hostwire")) == ["lock"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"status": "exited"}, "container web: it is exited; start it first"),
        (
            {"mounted": "/etc/hosts"},
            "container web: its /etc/hosts is /srv/hosts, mounted by whoever made it",
        ),
    ],
)
def test_a_container_that_cannot_take_names(web: Container, change: dict[str, str], problem: str) -> None:
    web.is_now(status=change.get("status", "running"), mounted=change.get("mounted", ""))
    assert call("guest_names", containers=["web"], entries=NAMES)["problems"] == [problem]


def test_no_such_container_and_no_engine(web: Container) -> None:
    refused = call("guest_names", containers=["wbe"], entries=NAMES)
    assert refused["problems"] == ["container wbe: there is no such container on this host"]
    os.unlink("/run/docker.sock")
    assert "no Docker engine answers" in call("guest_names", containers=["web"], entries=NAMES)["msg"]
    assert call("guest_names", state="absent")["changed"] is False


def test_a_container_is_not_cut_off_from_dockers_own_server(web: Container) -> None:
    web.resolver.write_text("nameserver 127.0.0.11\noptions ndots:0\n")
    refused = call("guest_names", containers=["web"], nameservers=["10.0.2.15"])
    assert refused["kind"] == "conflict"
    assert "start it with --dns 10.0.2.15" in refused["msg"]
    web.is_now(dns=("10.0.2.15",))
    assert call("guest_names", containers=["web"], nameservers=["10.0.2.15"])["changed"] is False
