# SPDX-License-Identifier: GPL-3.0-or-later
"""docker0's addresses while dockerd is stopped, and who listens at them, on a host without an engine."""

from __future__ import annotations

import json
import socket
import subprocess
from typing import List

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.readdress import bridge, situation

OLD, MORE, NEW = "172.17.0.1/16", "10.1.1.1/24", "192.168.225.1/24"

pytestmark = pytest.mark.usefixtures("private_host")


def ip(*words: str) -> str:
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout


def addresses() -> List[str]:
    (link,) = json.loads(ip("-json", "-4", "address", "show", "docker0"))
    return [f"{entry['local']}/{entry['prefixlen']} brd {entry.get('broadcast')}" for entry in link["addr_info"]]


@pytest.mark.parametrize("there", [(), (OLD,), (NEW,), (OLD, NEW), None])
def test_docker0_has_its_old_addresses_before_anything_is_started(there: tuple[str, ...] | None) -> None:
    if there is not None:
        ip("link", "add", "docker0", "type", "bridge")
        for address in there:
            ip("address", "add", address, "brd", "+", "dev", "docker0")
    bridge.take_away([NEW])
    bridge.put([OLD, MORE, ""])
    assert addresses() == [f"{OLD} brd 172.17.255.255", f"{MORE} brd 10.1.1.255"]
    with socket.socket() as listener:  # as docker.socket does, before dockerd is there
        listener.bind(("172.17.0.1", 2375))
    bridge.put([OLD])
    assert len(addresses()) == 2


def test_nothing_is_made_where_no_address_was() -> None:
    bridge.put([])
    bridge.put([""])
    bridge.take_away([OLD])
    assert "docker0" not in ip("link", "show")


def test_programs_that_listen_at_docker0_are_seen() -> None:
    bridge.put([OLD])
    ip("address", "add", "fd00:17::1/64", "dev", "docker0", "nodad")
    with (
        socket.socket(type=socket.SOCK_DGRAM) as names,
        socket.create_server(("fd00:17::1", 80), family=socket.AF_INET6),
        socket.create_server(("0.0.0.0", 81)),
        socket.create_server(("127.0.0.1", 82)),
    ):
        names.bind(("172.17.0.1", 53))
        found = {one.address: one.words for one in situation._sockets((OLD, "fd00:17::1/64"))}
    assert set(found) == {"172.17.0.1", "fd00:17::1"}
    assert found["172.17.0.1"].endswith(", port 53/udp")
    assert found["fd00:17::1"].endswith(", port 80/tcp")
    assert situation._sockets(()) == ()
