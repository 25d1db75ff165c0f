# SPDX-License-Identifier: GPL-3.0-or-later
"""The role name_service as a task runs it, and its DNS server as a guest asks it."""

from __future__ import annotations

import contextlib
import subprocess
import time
from pathlib import Path
from typing import Any, Iterator

import pytest

from ansible_collections.hostwire.linux.plugins.filter.names import FilterModule
from ansible_collections.hostwire.linux.plugins.module_utils import engine
from ansible_collections.hostwire.linux.tests.in_process import call
from ansible_collections.hostwire.linux.tests.kernel.playbook import play

SECONDS = 60  # that a program may take to begin, on a machine with much else to do
OFFICE: dict[str, Any] = {
    "name": "office",
    "bridges": [{"name": "office", "addresses": ["10.0.2.1/24"]}],
    "namespaces": [{"name": "linux"}, {"name": "localdb"}, {"name": "dns"}],
    "veths": [
        {
            "name": f"to-{name}",
            "bridge": "office",
            "peer": {"name": "eth0", "netns": name, "addresses": [f"10.0.2.{number}/24"]},
        }
        for name, number in (("linux", 4), ("localdb", 12), ("dns", 15))
    ],
}


def role(**variables: Any) -> dict[str, Any]:
    return {"include_role": {"name": "hostwire.linux.name_service"}, "vars": variables}


def asked(netns: str, key: str, database: str = "ahosts") -> list[str]:
    """What the C library of a program in the namespace makes of a name, or of an address."""
    command = ["ip", "netns", "exec", netns, "getent", database, key]
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout.split()


def until_known(netns: str, name: str) -> list[str]:
    end = time.monotonic() + SECONDS
    while not (found := asked(netns, name)):
        assert time.monotonic() < end, f"{netns} never learns who {name} is"
        time.sleep(0.1)
    return found


@contextlib.contextmanager
def server(netns: str | None, *lines: str) -> Iterator[None]:
    """A dnsmasq with this configuration, in a namespace or on the host."""
    inside = ["ip", "netns", "exec", netns] if netns else []
    file = Path(f"/run/test/{netns}.conf")
    file.write_text("\n".join(lines) + "\n")
    command = ["dnsmasq", "--keep-in-foreground", "--user=root", "--pid-file=", f"--conf-file={file}"]
    with subprocess.Popen([*inside, *command]) as process:
        try:
            yield
        finally:
            process.terminate()


def test_names_from_every_source_in_hosts_files_and_gone_again(private_host: Path) -> None:
    own = Path("/etc/hosts").read_bytes()
    web1 = {"add_host": {"name": "web1.lab.example", "groups": "benches", "lan": "192.0.2.1"}}
    names = role(
        name_service_document=OFFICE,
        name_service_from_inventory="benches",
        name_service_inventory_variable="lan",
        name_service_records=[{"name": "printer", "address": "10.0.2.99", "aliases": ["lp"]}],
        name_service_domain="lab.example",
        name_service_namespaces=["linux", "localdb"],
        name_service_host=True,
    )
    engine.run(OFFICE)
    results = play([web1, names, names], private_host)
    assert [one["task"] for one in results if one.get("changed")] == ["", "Names in the guests' files"]
    for name, address in (
        ("localdb", "10.0.2.12"),
        ("web1", "192.0.2.1"),
        ("lp.lab.example", "10.0.2.99"),
        ("linux", "10.0.2.4"),
    ):
        assert asked("linux", name)[0] == address
    assert b"10.0.2.12 localdb.lab.example localdb" in Path("/etc/hosts").read_bytes()
    assert asked("dns", "localdb")[0] == "10.0.2.12"  # without a file of its own it sees the host's

    play([role(name_service_state="absent")], private_host)
    assert Path("/etc/hosts").read_bytes() == own
    assert not list(Path("/etc/netns").iterdir())


def test_what_cannot_be_is_said_before_anything_changes(private_host: Path) -> None:
    records = [{"name": "localdb", "address": "10.0.2.13"}]
    told: dict[str, dict[str, Any]] = {
        'document (namespace localdb): "localdb" is 10.0.2.12 here and 10.0.2.13 in name_service_records[0]; '
        "keep one of them": {
            "name_service_records": records,
            "name_service_document": OFFICE,
        },
        'name_service_from_inventory: there is no group "bnches" in the inventory.': {
            "name_service_from_inventory": "bnches",
        },
        "inventory[localhost]: this host has no address there; set the variable, or name another one": {
            "name_service_from_inventory": "all",
            "name_service_inventory_variable": "lan",
        },
        "listen: needs at least one address for the server, like 10.0.2.15": {
            "name_service_mode": "dns",
            "name_service_nameservers": ["10.0.2.15"],
        },
        "name_service_host: is for mode hosts": {
            "name_service_mode": "dns",
            "name_service_listen": ["10.0.2.15"],
            "name_service_host": True,
        },
    }
    every = [role(name_service_namespaces=["linux"], **variables) for variables in told.values()]
    tasks: list[dict[str, Any]] = [{"block": [task], "rescue": [{"debug": {"msg": "refused"}}]} for task in every]
    failed = [str(result) for result in play(tasks, private_host) if result["failed"]]
    assert len(failed) == len(told)
    for problem, result in zip(told, failed):
        assert problem in result
    assert not Path("/etc/netns").exists()


def files_of_namespaces() -> dict[Path, tuple[int, int]]:
    """Which files these are, and when each was last changed; reading one changes neither."""
    return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in Path("/etc/netns").rglob("*")}


@pytest.mark.usefixtures("private_host")
def test_the_server_answers_both_ways_and_asks_upstream_for_the_rest() -> None:
    filters = FilterModule().filters()
    records = filters["name_records"]([{"name": "localdb", "address": "fd00:2::12"}], document=OFFICE)
    lines = filters["name_server_lines"](records, ["10.0.2.15"], "lab.example", ["10.0.2.1#5353"])
    engine.run(OFFICE)
    call("guest_names", namespaces=["linux", "localdb"], nameservers=["10.0.2.15"], search=["lab.example"])
    world = ("port=5353", "listen-address=10.0.2.1", "bind-dynamic", "no-resolv", "no-hosts")
    with (
        server(None, *world, "host-record=www.example.org,203.0.113.80", "host-record=fake.lab.example,203.0.113.81"),
        server("dns", *lines),
    ):
        assert until_known("linux", "www.example.org")[0] == "203.0.113.80"
        assert {"10.0.2.12", "fd00:2::12"} <= {*asked("linux", "localdb")}
        assert asked("linux", "10.0.2.12", "hosts") == ["10.0.2.12", "localdb.lab.example"]
        assert asked("linux", "fd00:2::12", "hosts") == ["fd00:2::12", "localdb.lab.example"]
        assert asked("linux", "fake.lab.example") == []  # nobody else answers for the domain

    # A guest more is a record more at the server. What asks it stays as it was.
    files = files_of_namespaces()
    records += [{"name": "newcomer", "addresses": ["10.0.2.77"], "aliases": []}]
    alone = filters["name_server_lines"](records, ["10.0.2.15"], "lab.example")
    with server("dns", *alone):
        assert until_known("linux", "newcomer")[0] == "10.0.2.77"
        assert asked("linux", "www.example.org") == []  # without upstream that is known at once
    assert files_of_namespaces() == files


@pytest.mark.usefixtures("private_host")
def test_a_guest_with_a_lease_has_the_name_it_asked_with() -> None:
    filters = FilterModule().filters()
    records = [{"name": "localdb", "address": "10.0.2.12"}]
    lines = filters["name_server_lines"](records, ["10.0.2.1"], "lab.example")
    dhcp = ["interface=office", "except-interface=lo", "dhcp-range=10.0.2.100,10.0.2.110,1h"]
    rooms = [{"name": "roaming"}, {"name": "liar"}]
    ends = [
        {"name": f"to-{name}", "bridge": "office", "peer": {"name": "eth0", "netns": name, "addresses": []}}
        for name in ("roaming", "liar")  # of whom the second says a name that is taken
    ]
    both = {key: [*OFFICE[key], *more] for key, more in (("namespaces", rooms), ("veths", ends))}
    engine.run({**OFFICE, **both})
    call("guest_names", namespaces=["linux"], nameservers=["10.0.2.1"], search=["lab.example"])
    leases = "dhcp-leasefile=/run/test/leases"
    with server(None, *lines, *dhcp, "no-ping", leases):
        ask_for_an_address("roaming", "roaming")
        ask_for_an_address("liar", "localdb")
        given = until_known("linux", "roaming.lab.example")[0]
        assert given in Path("/run/test/leases").read_text()
        assert asked("linux", given, "hosts") == [given, "roaming.lab.example"]
        assert {word for word in asked("linux", "localdb") if word[0].isdigit()} == {"10.0.2.12"}
        assert len(Path("/run/test/leases").read_text().splitlines()) == 2
    with server(None, *lines, *dhcp, leases):  # after a restart
        assert until_known("linux", "roaming")[0] == given


def ask_for_an_address(netns: str, name: str) -> None:
    """What a guest's DHCP client does, saying its name."""
    client = ["busybox", "udhcpc", "-i", "eth0", "-x", f"hostname:{name}", "-s", "/bin/true", "-n", "-q", "-t", "30"]
    subprocess.run(["ip", "netns", "exec", netns, *client], check=True, capture_output=True, timeout=SECONDS)
