# SPDX-License-Identifier: GPL-3.0-or-later
"""What docker_info says of a host: the routes that count, and an engine that isn't there or doesn't run."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Optional

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils.dockerd import info as dockerd_info
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.model import Network, Subnet
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.routes import (
    HostRoute,
    docker_bridges,
    overlapping,
    read_host_routes,
    select,
)
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.service import SYSTEMD, UnitFiles
from ansible_collections.hostwire.linux.plugins.module_utils.model import KernelRoute

LINKS = {1: "lo", 2: "eth0", 3: "docker0", 4: "br-0123456789ab", 5: "tun0"}
UNICAST, LOCAL, BROADCAST, BLACKHOLE = 1, 2, 3, 6


def route(to: str, dev: Optional[int], via: Optional[str] = None, table: int = 254, kind: int = UNICAST) -> KernelRoute:
    return KernelRoute(to, via, dev, 0, table, kind, 2)


@pytest.mark.parametrize(
    ("routes", "expected"),
    [
        ([route("192.168.1.0/24", 2)], ["192.168.1.0/24 dev eth0"]),
        ([route("10.8.0.0/16", 5, "10.9.0.1")], ["10.8.0.0/16 via 10.9.0.1 dev tun0"]),
        ([route("10.8.0.0/16", 5, table=51820)], ["10.8.0.0/16 dev tun0 (table 51820)"]),
        ([route("0.0.0.0/0", 2, "192.168.1.1"), route("::/0", 2)], []),
        ([route("0.0.0.0/1", 5), route("128.0.0.0/1", 5)], []),  # a VPN's default route
        ([route("172.17.0.0/16", 3), route("172.18.0.0/16", 4)], []),
        ([route("127.0.0.0/8", 1, table=255, kind=LOCAL), route("ff00::/8", 2), route("fe80::/64", 2)], []),
        ([route("192.168.1.9/32", 2, table=255, kind=LOCAL), route("192.168.1.0/24", 2)], ["192.168.1.0/24 dev eth0"]),
        ([route("10.0.0.5/32", 1, table=255, kind=LOCAL)], ["10.0.0.5/32 dev lo"]),
        ([route("192.168.1.255/32", 2, table=255, kind=BROADCAST), route("10.0.0.0/8", None, kind=BLACKHOLE)], []),
        ([route("fd00:8::/32", 5)], ["fd00:8::/32 dev tun0"]),
        (
            [KernelRoute("10.7.0.0/16", None, None, 0, 254, UNICAST, 3, (("10.9.0.1", 5, 1), ("10.9.1.1", 2, 1)))],
            ["10.7.0.0/16 via 10.9.0.1, 10.9.1.1 dev tun0, eth0"],
        ),
    ],
)
def test_the_routes_that_count(routes: list[KernelRoute], expected: list[str]) -> None:
    assert [found.words() for found in select(routes, LINKS, {"docker0", "br-0123456789ab"})] == expected


def test_overlaps_of_both_families() -> None:
    office = HostRoute("172.16.0.0/12", "10.9.0.1", "tun0", 254)
    lan = HostRoute("192.168.1.0/24", None, "eth0", 254)
    six = HostRoute("fd00:8::/32", None, "tun0", 254)
    assert overlapping("172.17.0.1/16", [office, lan, six]) == (office,)
    assert overlapping("192.168.0.0/16", [office, lan, six]) == (lan,)
    assert overlapping("fd00:8:1::/64", [office, lan, six]) == (six,)
    assert overlapping("10.77.0.0/24", [office, lan, six]) == ()


def test_the_bridges_are_known_by_their_networks() -> None:
    networks = [
        Network("1", "bridge", "bridge", "docker0"),
        Network("2", "web", "bridge", "webs"),
        Network("3", "h", "host"),
    ]
    assert docker_bridges(networks) == ("docker0", "webs")


def test_this_machines_routes_can_be_read() -> None:
    assert isinstance(read_host_routes(), tuple)


def test_without_docker_the_fields_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dockerd_info, "installed", lambda: False)
    found = dockerd_info.info(str(tmp_path / "docker.sock"))
    assert (found["installed"], found["running"], found["reason"]) == (False, False, "Docker is not installed")
    assert found["networks"] == found["containers"] == found["overlaps"] == found["damage"] == []
    assert found["version"] is found["layout"] is found["backend"] is None


def test_a_stopped_engine_is_not_started_by_the_question(monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = UnitFiles((), installed=True, active=False, socket_active=True, stale=False)
    monkeypatch.setattr(dockerd_info, "detect", lambda: SYSTEMD)
    monkeypatch.setattr(dockerd_info, "unit_files", lambda: stopped)
    monkeypatch.setattr(dockerd_info, "installed", lambda: True)
    monkeypatch.setattr(dockerd_info, "read_engine", lambda _api: pytest.fail("systemd would start it"))
    found = dockerd_info.info()
    assert (found["installed"], found["running"], found["reason"]) == (True, False, "Docker is stopped")


def test_what_answers_but_is_no_engine_is_a_reason_not_a_failure(tmp_path: Path) -> None:
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        found = dockerd_info.info(str(path))
    assert not found["running"]
    assert str(path) in found["reason"]


def test_an_engines_networks_are_compared_with_the_routes() -> None:
    network = Network(
        "1", "shop", "bridge", "br-0123456789ab", subnets=(Subnet("172.18.0.0/16"), Subnet("fd00:1::/64"))
    )
    vpn = HostRoute("172.16.0.0/12", "10.9.0.1", "tun0", 77)
    (overlap,) = dockerd_info.find_overlaps([network], [vpn, HostRoute("192.168.1.0/24", None, "eth0", 254)])
    assert (overlap["network"], overlap["subnet"]) == ("shop", "172.18.0.0/16")
    assert overlap["words"] == "172.16.0.0/12 via 10.9.0.1 dev tun0 (table 77)"
