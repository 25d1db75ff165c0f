# SPDX-License-Identifier: GPL-3.0-or-later
"""A real MariaDB in the guest ``localdb``: clients log in by that name, the LAN by a published port."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any, Iterator

import pytest

from ansible_collections.hostwire.linux.plugins.filter.guests import FilterModule as GuestNetworks
from ansible_collections.hostwire.linux.plugins.filter.names import FilterModule as Names
from ansible_collections.hostwire.linux.plugins.module_utils import engine
from ansible_collections.hostwire.linux.tests.in_process import call
from ansible_collections.hostwire.linux.tests.kernel.playbook import play

NETWORKS = [{"name": "office", "mode": "nat_network"}]
PORT = {"protocol": "tcp", "port": 3306, "to_port": 3306, "address": "any"}
GUESTS: list[dict[str, Any]] = [
    {"name": "linux", "nics": [{"network": "office", "address": "10.0.2.4/24"}]},
    {
        "name": "localdb",
        "kind": "namespace",
        "nics": [{"network": "office", "address": "10.0.2.12/24", "published_ports": [PORT]}],
    },
    {"name": "dns", "kind": "namespace", "nics": [{"network": "office", "address": "10.0.2.15/24"}]},
]
ROOMS = ["linux", "localdb", "dns"]
SECONDS = 120  # that a program may take to begin, on a machine with much else to do


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def login(netns: str, host: str, *options: str) -> subprocess.CompletedProcess[str]:
    """A client in a namespace logs in and asks as whom, and from where."""
    client = ["mariadb", "--no-defaults", "--protocol=TCP", "--user=app", "--password=secret", "--batch"]
    question = ["--skip-column-names", "--execute=SELECT USER(), @@hostname IS NOT NULL"]
    command = ["ip", "netns", "exec", netns, *client, f"--host={host}", *options, *question]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def address_of(name: str) -> str:
    """What the client's guest makes of a name, "" for nothing. The client itself would try for half a minute."""
    command = ["ip", "netns", "exec", "linux", "getent", "hosts", name]
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout.partition(" ")[0]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory, made once."""
    directory = tmp_path_factory.mktemp("database") / "data"
    install = ["mariadb-install-db", "--no-defaults", "--user=root", f"--datadir={directory}", "--skip-test-db"]
    ran = subprocess.run(install, check=False, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return directory


@pytest.fixture
def network(private_host: Path, database: Path) -> Iterator[Path]:
    """A host on a LAN, whose neighbour knows the way to the guests, and the database in one of them."""
    Path("/etc/resolv.conf").unlink(missing_ok=True)
    Path("/etc/resolv.conf").write_text("nameserver 127.0.0.1\n")  # where nobody answers, and that is known at once
    ip("netns", "add", "lan")
    ip("link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", "lan")
    for words in (["-n", "lan"], []):
        ip(*words, "link", "set", "eth0", "up")
    ip("address", "add", "203.0.113.1/24", "dev", "eth0")
    ip("-n", "lan", "address", "add", "203.0.113.7/24", "dev", "eth0")
    ip("-n", "lan", "route", "add", "10.0.2.0/24", "via", "203.0.113.1")
    for document in GuestNetworks().filters()["guest_documents"](NETWORKS, GUESTS):
        engine.run(document)

    first = private_host / "first.sql"
    first.write_text("CREATE OR REPLACE USER app@'%' IDENTIFIED BY 'secret';\n")
    server = ["mariadbd", "--no-defaults", "--user=root", f"--datadir={database}", f"--init-file={first}"]
    here = [f"--socket={private_host}/socket", f"--pid-file={private_host}/pid", "--bind-address=10.0.2.12"]
    small = ["--skip-name-resolve", "--innodb-buffer-pool-size=8M", "--skip-log-bin"]
    command = ["ip", "netns", "exec", "localdb", *server, *here, *small]
    with (private_host / "log").open("wb") as log, subprocess.Popen(command, stderr=log, stdout=log) as process:
        try:
            until = time.monotonic() + SECONDS
            while login("linux", "10.0.2.12").returncode:
                assert process.poll() is None, (private_host / "log").read_text()
                assert time.monotonic() < until, (private_host / "log").read_text()
                time.sleep(0.2)
            yield private_host
        finally:
            process.terminate()
            process.wait(SECONDS)


def role(**variables: Any) -> dict[str, Any]:
    return {"include_role": {"name": "hostwire.linux.name_service"}, "vars": variables}


def test_a_client_logs_in_by_name_from_the_hosts_file(network: Path) -> None:
    assert address_of("localdb") == ""
    once = role(name_service_from_guests=GUESTS, name_service_from_networks=NETWORKS)
    results = play([once, once], network)
    changed = [result["task"] for result in results if result.get("changed")]
    assert changed == ["Names in the guests' files"]  # and nothing the second time
    assert login("linux", "localdb").stdout.split() == ["app@10.0.2.4", "1"]
    play([role(name_service_state="absent")], network)
    assert address_of("localdb") == ""


def test_a_client_logs_in_by_name_from_the_dns_server(network: Path) -> None:
    filters = Names().filters()
    records = filters["name_records"]([], guests=GUESTS, networks=NETWORKS)
    configuration = network / "dnsmasq.conf"
    configuration.write_text("\n".join(filters["name_server_lines"](records, ["10.0.2.15"], "lab.example")) + "\n")
    call("guest_names", namespaces=ROOMS, nameservers=["10.0.2.15"], search=["lab.example"])
    assert address_of("localdb") == ""
    command = ["dnsmasq", "--keep-in-foreground", "--user=root", "--pid-file=", f"--conf-file={configuration}"]
    with subprocess.Popen(["ip", "netns", "exec", "dns", *command]) as server:
        try:
            until = time.monotonic() + SECONDS
            while not address_of("localdb"):
                assert server.poll() is None
                assert time.monotonic() < until
                time.sleep(0.1)
            for name in ("localdb", "localdb.lab.example"):
                assert login("linux", name).stdout.split() == ["app@10.0.2.4", "1"]
        finally:
            server.terminate()


def test_the_lan_reaches_it_by_the_published_port_only(network: Path) -> None:
    assert login("lan", "203.0.113.1").stdout.split() == ["app@203.0.113.7", "1"]
    refused = login("lan", "10.0.2.12", "--connect-timeout=3")
    assert refused.returncode != 0
    assert "Can't connect" in refused.stderr
    assert login("lan", "203.0.113.1").returncode == 0  # it is the way that is closed, not the server that went away
