# SPDX-License-Identifier: GPL-3.0-or-later
"""Where docker0's old address and subnet are written, and what of that keeps dockerd from starting."""

from __future__ import annotations

import ipaddress
import json
from typing import Any, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.hostwire.linux.plugins.module_utils.dockerd import daemon_json
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.facts import container
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.model import Subnet
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.readdress.leaning import Leaning, Move, leaning
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.readdress.situation import Listening, Situation
from ansible_collections.hostwire.linux.tests.unit.test_docker_readdress import PLAIN, planned, situation

NEW = "192.168.225.1/24"
OLD, INSIDE = "172.17.0.1", "172.17.0.254"
OLD6, NEW6 = "fd00:17::1", "fd00:225::1/64"


def leans(now: Situation, **parameters: Any) -> Leaning:
    return leaning(now, planned(now, **(parameters or {"bip": NEW})).forward)


def six(now: Situation) -> Situation:
    """The same host with IPv6 on docker0."""
    networks = [
        one._replace(subnets=(*one.subnets, Subnet("fd00:17::/64"))) if one.name == "bridge" else one
        for one in now.engine.networks
    ]
    return now._replace(
        engine=now.engine._replace(networks=tuple(networks), version="28.5.2"),
        addresses=(*now.addresses, f"{OLD6}/64"),
    )


STOPPERS = [
    ("hosts", ["unix:///var/run/docker.sock", "tcp://{}:2375"]),
    ("metrics-addr", "{}:9323"),
    ("default-gateway", "{}"),
]
OTHERS = [
    ("dns", ["192.0.2.1", "{}"]),
    ("ip", "{}"),
    ("host-gateway-ip", "{}"),
    ("insecure-registries", ["{}:5000"]),
    ("registry-mirrors", ["http://{}:5000"]),
    ("log-opts", {"syslog-address": "udp://{}:514"}),
    ("proxies", {"http-proxy": "http://svc:S3CRET@{}:3128"}),
    ("runtimes", {"x": {"runtimeArgs": ["--to", "{}"]}}),
]


def filled(value: Any, address: str) -> Any:
    return json.loads(json.dumps(value).replace("{}", f"[{address}]" if ":" in address else address))


@pytest.mark.parametrize("by_flag", [False, True])
@pytest.mark.parametrize(("key", "value"), STOPPERS + OTHERS)
def test_an_option_that_names_the_old_address_is_named(key: str, value: Any, by_flag: bool) -> None:
    value = filled(value, OLD)
    if by_flag:
        flag = {"hosts": "host", "log-opts": "log-opt", "insecure-registries": "insecure-registry"}.get(key, key)
        last = value[-1] if isinstance(value, list) else json.dumps(value).replace('"', "").replace(" ", "")
        found = leans(situation(defaults=f'DOCKER_OPTS="--{flag}={last}"\n'))
    else:
        found = leans(situation(json_text=json.dumps({"debug": False, key: value})))
    stops = key in dict(STOPPERS)
    (line,) = found.conflicts if stops else found.warnings
    assert not (found.warnings if stops else found.conflicts)
    assert OLD in line
    assert "S3CRET" not in line
    assert (f"--{flag}" if by_flag else f"{daemon_json.PATH}, line 1") in line
    assert by_flag or line.startswith(key)


@pytest.mark.parametrize(("key", "value"), STOPPERS + OTHERS)
def test_the_same_for_ipv6(key: str, value: Any) -> None:
    now = six(situation(json_text=json.dumps({"ipv6": True, key: filled(value, OLD6)})))
    assert leans(now, bip6=NEW6) != Leaning()
    assert leans(now, bip=NEW) == Leaning()  # its IPv6 address stays


def test_what_says_nothing_of_docker0_is_left_alone() -> None:
    text = json.dumps(
        {
            "hosts": ["tcp://0.0.0.0:2375", "tcp://10.0.0.172:1"],
            "dns": ["172.18.0.1", "1172.17.0.1", "172.17.0.1.example.org"],
            "default-gateway": "192.168.225.254",
            "proxies": {"no-proxy": "172.16.0.0/12"},
            "bip": f"{OLD}/16",
            "labels": ["version=172.17.0"],
        }
    )
    assert leans(situation(json_text=text)) == Leaning()
    assert leans(situation(json_text=json.dumps({"dns": [OLD]})), mtu=1400) == Leaning()


@pytest.mark.parametrize(
    ("named", "new", "gone"),
    [
        (OLD, "172.17.0.1/24", False),
        (OLD, "172.17.0.9/16", True),
        ("172.17.0.9", "172.17.0.1/24", False),
        ("172.17.9.9", "172.17.0.1/24", True),
        ("172.17.9.9", NEW, True),
        ("172.17.0.0/16", NEW, True),
        ("172.17.4.0/24", NEW, True),
        ("172.16.0.0/12", NEW, False),
    ],
)
def test_what_is_still_true_afterwards_is_no_trouble(named: str, new: str, gone: bool) -> None:
    move = Move(ipaddress.ip_interface("172.17.0.1/16"), ipaddress.ip_interface(new))
    assert bool(move.found_in(f"x={named},y")) is gone


@given(st.text(alphabet="0123456789./:[]abcdef ", max_size=60))
def test_any_text_can_be_looked_through(text: str) -> None:
    for old, new in (("172.17.0.1/16", NEW), (f"{OLD6}/64", None)):
        Move(ipaddress.ip_interface(old), ipaddress.ip_interface(new) if new else None).found_in(text)


def test_docker_socket_stops_docker() -> None:
    now = situation()._replace(listens=("/run/docker.sock", f"{OLD}:2375"))
    assert [line.split(":")[0] for line in leans(now).conflicts] == ["docker.socket, ListenStream"]
    assert leans(six(now)._replace(listens=(f"[{OLD6}]:2375",)), bip6=NEW6).conflicts
    assert leans(now._replace(listens=("/run/docker.sock", "127.0.0.1:2375"))) == Leaning()


def api_container(**changes: Any) -> Any:
    """A container as the engine's API tells it."""
    entry = {
        "Id": "c",
        "Name": "/app",
        "State": {"Running": True, "StartedAt": "2026-01-01T00:00:00Z"},
        "HostConfig": {"NetworkMode": "bridge"},
        "Config": {},
    }
    return container({**entry, **changes})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"HostConfig": {"Dns": ["192.0.2.1", OLD]}}, "--dns"),
        ({"HostConfig": {"ExtraHosts": [f"db:{OLD}"]}}, "--add-host db"),
        ({"HostConfig": {"LogConfig": {"Config": {"gelf-address": f"udp://{OLD}:1"}}}}, "--log-opt gelf-address"),
        ({"Config": {"Env": ["A=1", f"DB_URL=pg://u:S3CRET@{OLD}/db"]}}, "--env DB_URL"),
        ({"HostConfig": {"Dns": None, "ExtraHosts": None}, "Config": {"Env": None}}, None),
    ],
)
def test_containers_that_were_made_with_it_are_named(changes: Any, said: Optional[str]) -> None:
    found = leans(situation(api_container(**changes)))
    assert not found.conflicts
    assert [line.split(":")[0] for line in found.warnings] == ([f"container app, {said}"] if said else [])
    assert "S3CRET" not in str(found)


def test_programs_that_listen_there_are_named() -> None:
    now = situation()._replace(sockets=(Listening(OLD, "dnsmasq (process 7), port 53/udp"),))
    assert leans(now).warnings[0].startswith("dnsmasq (process 7), port 53/udp: listens at 172.17.0.1")
    assert leans(now, bip=f"{OLD}/24") == Leaning()
    assert leans(now, mtu=1400) == Leaning()


@pytest.mark.parametrize(("address", "warned"), [("10.0.1.1/24", True), ("192.168.1.1/24", False)])
def test_a_worker_of_a_swarm_does_not_know_its_pool(address: str, warned: bool) -> None:
    now = situation()
    now = now._replace(engine=now.engine._replace(swarm="worker"))
    assert bool(leans(now, bip=address).warnings) is warned


def test_warnings_are_lines_of_the_plan() -> None:
    now = situation(PLAIN, json_text=json.dumps({"dns": [OLD]}))
    made = planned(now, bip=NEW)
    assert [line for line in made.lines if line.startswith("warning: ")] == [
        f"warning: {line}" for line in made.leaning.warnings
    ]
    assert made.leaning.warnings
