# SPDX-License-Identifier: GPL-3.0-or-later
"""The modes of guest networks with Docker containers as guests: each cell of the table tried, beside a live engine."""

from __future__ import annotations

from typing import Any, Iterator, NamedTuple, Optional

import pytest

from ansible_collections.hostwire.linux.plugins.plugin_utils.guest_network.documents import documents
from ansible_collections.hostwire.linux.plugins.plugin_utils.guest_network.setup import read
from ansible_collections.hostwire.linux.tests.docker.machines import IDLE, Machine, eventually
from ansible_collections.hostwire.linux.tests.guest_modes import (
    GUEST,
    HOST,
    INTERNET,
    LAN,
    OTHER,
    Attempt,
    expected,
)

SERVICE = 7007  # everybody answers here, by TCP and by UDP
PUBLISHED = {GUEST: 1234, OTHER: 8989}
CONTAINERS = {GUEST: "web", OTHER: "db"}
ON_LAN = {HOST: {4: "192.0.2.2", 6: "2001:db8:77::2"}, LAN: {4: "192.0.2.1", 6: "2001:db8:77::1"}}
BEYOND = {4: "203.0.113.1", 6: "2001:db8:78::1"}


class Network(NamedTuple):
    """A network of one mode: where its guests and its host are, and the way by which a neighbour tries to get in.

    ``default``: a default route that guests have given themselves, where the mode gives them none. ``hidden``: the
    guests' own addresses, where others know them by ``guest`` and ``other``.
    """

    guest: dict[int, str]
    other: dict[int, str]
    options: dict[str, Any]
    host: dict[int, str] = ON_LAN[HOST]
    subnets: tuple[str, ...] = ()
    default: tuple[str, ...] = ()
    hidden: bool = False
    nic: dict[str, Any] = {}


NETWORKS = {
    "nat": Network(
        {4: "100.64.0.2", 6: "fd64::2"},
        {4: "100.64.0.3", 6: "fd64::3"},
        {"subnet6": "fd00:2::/64"},
        subnets=("100.64.0.0/24", "fd64::/64"),
        hidden=True,
    ),
    "nat_network": Network(
        {4: "10.0.2.4", 6: "fd00:2::4"},
        {4: "10.0.2.12", 6: "fd00:2::c"},
        {"subnet6": "fd00:2::/64"},
        subnets=("10.0.2.0/24", "fd00:2::/64"),
    ),
    "bridged": Network(
        {4: "192.0.2.10", 6: "2001:db8:77::10"},
        {4: "192.0.2.11", 6: "2001:db8:77::11"},
        {"uplink": "lan1"},
        nic={"gateway": ON_LAN[LAN][4], "gateway6": ON_LAN[LAN][6]},
    ),
    "internal": Network(
        {4: "192.168.57.2", 6: "fd00:57::2"},
        {4: "192.168.57.3", 6: "fd00:57::3"},
        {"subnet6": "fd00:57::/64"},
        subnets=("192.168.57.0/24", "fd00:57::/64"),
        default=("default dev eth0", "-6 default dev eth0"),
    ),
    "host_only": Network(
        {4: "192.168.56.2", 6: "fd00:56::2"},
        {4: "192.168.56.3", 6: "fd00:56::3"},
        {"subnet6": "fd00:56::/64"},
        host={4: "192.168.56.1", 6: "fd00:56::1"},
        subnets=("192.168.56.0/24", "fd00:56::/64"),
        default=("default via 192.168.56.1", "-6 default via fd00:56::1"),
    ),
    "routed": Network(
        {4: "10.9.0.2", 6: "fd00:9::2"},
        {4: "10.9.0.3", 6: "fd00:9::3"},
        {"subnet": "10.9.0.0/24", "subnet6": "fd00:9::/64", "uplink": "lan1"},
        subnets=("10.9.0.0/24", "fd00:9::/64"),
    ),
}
# A neighbour who routes what is beyond him, and the host's way to both.
SURROUNDINGS = """
set -e
ip netns add lan
ip link add lan1 type veth peer name lan0 netns lan
ip address add 192.0.2.2/24 dev lan1
ip address add 2001:db8:77::2/64 dev lan1 nodad
ip link set lan1 up
ip -n lan address add 192.0.2.1/24 dev lan0
ip -n lan address add 2001:db8:77::1/64 dev lan0 nodad
ip -n lan address add 203.0.113.1/32 dev lo
ip -n lan address add 2001:db8:78::1/128 dev lo
ip -n lan link set lo up
ip -n lan link set lan0 up
ip route add 203.0.113.0/24 via 192.0.2.1
ip route add 2001:db8:78::/64 via 2001:db8:77::1
"""
# Answers in each of these namespaces, from the very address that was asked (RFC 3542, 6.1).
ANSWERS = """
import os, selectors, socket, sys
LIBC = __import__("ctypes").CDLL(None)
found = selectors.DefaultSelector()
for path in sys.argv[2:]:
    with open(path) as namespace:
        assert LIBC.setns(namespace.fileno(), 0x40000000) == 0
    stream = socket.create_server(("::", int(sys.argv[1])), family=socket.AF_INET6, dualstack_ipv6=True)
    packets = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    packets.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    packets.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    packets.bind(("::", int(sys.argv[1])))
    found.register(stream, selectors.EVENT_READ)
    found.register(packets, selectors.EVENT_READ)
open("/run/answers", "w").close()
while True:
    for key, dummy in found.select():
        if key.fileobj.type == socket.SOCK_STREAM:
            key.fileobj.accept()[0].close()
            continue
        data, ancillary, flags, sender = key.fileobj.recvmsg(2048, 100)
        to = ancillary[0][2][:16] + bytes(4)
        key.fileobj.sendmsg([data], [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, to)], 0, sender)
"""
# Where the kernel or the packet filter makes a difference, each release stands for one of the ways.
LEGACY = {"trixie"}
WITHOUT_BRIDGE_FILTER = {"forky"}


@pytest.fixture(scope="session")
def engine(machine: Machine) -> Iterator[Machine]:
    """A host with an engine, two containers in no network of Docker's, a neighbour, and services everywhere."""
    machine.reset(legacy=machine.release in LEGACY)
    calls = "0" if machine.release in WITHOUT_BRIDGE_FILTER else "1"
    for family in ("ip", "ip6"):
        machine.run("sysctl", "--write", f"net.bridge.bridge-nf-call-{family}tables={calls}")
    machine.run("sh", "-c", SURROUNDINGS)
    for name in CONTAINERS.values():
        machine.docker("run", "--detach", "--name", name, "--network", "none", "busybox", *IDLE)
    places = ["/proc/self/ns/net", "/run/netns/lan", *(namespace(machine, name) for name in CONTAINERS.values())]
    command = ("python3", "-c", ANSWERS, str(SERVICE), *places)
    machine.run("systemd-run", "--quiet", "--unit=answers", *command)
    machine.run("sh", "-c", "for try in $(seq 600); do [ -e /run/answers ] && exit; sleep 0.1; done; exit 1")
    try:
        yield machine
    finally:
        machine.run("systemctl", "stop", "answers")
        machine.run("docker", "rm", "--force", *CONTAINERS.values())
        machine.run("ip", "netns", "delete", "lan")


def namespace(machine: Machine, container: str) -> str:
    return f"/proc/{machine.inspect(container)['State']['Pid']}/ns/net"


def composed(mode: str) -> list[dict[str, Any]]:
    """The documents of one network with two guests, each with a published port where the mode has any."""
    network = NETWORKS[mode]
    guests = []
    for role, container in CONTAINERS.items():
        nic: dict[str, Any] = {"network": "net", "name": "eth0", **network.nic}
        if not network.hidden:
            lengths = {4: 24, 6: 64}
            addresses = {family: f"{ip}/{lengths[family]}" for family, ip in getattr(network, role).items()}
            nic.update(address=addresses[4], address6=addresses[6])
        if mode in ("nat", "nat_network"):
            nic["published_ports"] = [
                {"protocol": protocol, "port": PUBLISHED[role], "to_port": SERVICE, "address": "any"}
                for protocol in ("tcp", "udp")
            ]
        guests.append({"name": container, "kind": "container", "nics": [nic]})
    return documents(read([{"name": "net", "mode": mode, **network.options}], guests))


def probe(mode: str, attempt: Attempt, reachable: bool) -> dict[str, Any]:
    """An attempt as a probe: into the containers' and the neighbour's namespaces, or from there."""
    network = NETWORKS[mode]
    sources: dict[str, Optional[str]] = {role: f"container:{name}" for role, name in CONTAINERS.items()}
    sources.update({HOST: None, LAN: "lan"})
    places = {GUEST: network.guest, OTHER: network.other, HOST: network.host, LAN: ON_LAN[LAN], INTERNET: BEYOND}
    to = ON_LAN[HOST] if attempt.published else places[attempt.target]
    claim: dict[str, Any] = {"from": sources[attempt.source], "to": to[attempt.family], "protocol": attempt.protocol}
    if attempt.protocol != "icmp":
        claim["port"] = PUBLISHED[attempt.target] if attempt.published else SERVICE
    return {**claim, "expect": "reachable" if reachable else "unreachable"}


def state(machine: Machine) -> list[str]:
    """What is there, once addresses are no longer being checked, and without what time alone changes."""
    return eventually(lambda: _state(machine), lambda lines: not any(" tentative" in line for line in lines))


def _state(machine: Machine) -> list[str]:
    looks = [
        "ip -o link show",
        "ip -o address show",
        "ip route show",
        "ip -6 route show",
        "iptables-save",
        "ip6tables-save",
    ]
    inside = [f"nsenter --net={namespace(machine, name)} ip -o address show" for name in CONTAINERS.values()]
    text = machine.run("sh", "-c", "; ".join([*looks, *inside, "ls /run/netns", "sysctl net.ipv4.ip_forward"]))
    return [
        line.split(" valid_lft")[0]
        for line in text.splitlines()
        if not line.startswith(("#", ":", "*", "COMMIT")) and line
    ]


@pytest.mark.parametrize("mode", list(NETWORKS))
def test_each_cell_of_the_table_holds_for_containers(engine: Machine, mode: str) -> None:
    network = NETWORKS[mode]
    wanted = composed(mode)
    before = state(engine)
    try:
        for document in wanted:
            predicted = engine.done("topology", check=True, **document)
            assert engine.done("topology", **document)["plan"] == predicted["plan"]
        for subnet in network.subnets:
            via = ON_LAN[HOST][6 if ":" in subnet else 4]
            engine.run("ip", "-n", "lan", *(["-6"] if ":" in subnet else []), "route", "add", subnet, "via", via)
        for name in CONTAINERS.values():
            for route in network.default:
                inside = ("nsenter", f"--net={namespace(engine, name)}", "ip")
                words = route.split()
                family = [words.pop(0)] if words[0] == "-6" else []
                engine.run(*inside, *family, "route", "add", *words)
        tried = [(attempt, reachable) for dummy, attempt, reachable in expected(mode, (4, 6))]
        for outcome, options in ((True, {"attempts": 5, "timeout": 2}), (False, {"attempts": 1, "timeout": 1})):
            claims = [probe(mode, attempt, reachable) for attempt, reachable in tried if reachable is outcome]
            if claims:  # some modes have no "no"
                assert engine.module("reachability", probes=claims, **options).get("problems", []) == []
        for document in wanted:
            assert engine.done("topology", **document)["plan"] == []
    finally:
        for subnet in network.subnets:
            engine.run("ip", "-n", "lan", "route", "flush", subnet, check=False)
            engine.run("ip", "-n", "lan", "-6", "route", "flush", subnet, check=False)
        for document in reversed(wanted):
            engine.done("topology", name=document["name"], state="absent")
    assert state(engine) == before
