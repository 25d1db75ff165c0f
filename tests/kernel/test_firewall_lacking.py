# SPDX-License-Identifier: GPL-3.0-or-later
"""The main promises on kernels that haven't got all matches: without devgroup, without rpfilter, without both."""

from __future__ import annotations

import socket
import struct
from typing import FrozenSet, Sequence

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import firewall
from ansible_collections.hostwire.linux.plugins.module_utils.firewall import FirewallWant, SwitchPolicy, Tables
from ansible_collections.hostwire.linux.plugins.module_utils.firewall.tables import DEVGROUP, RPFILTER
from ansible_collections.hostwire.linux.plugins.module_utils.netns import inside
from ansible_collections.hostwire.linux.tests.kernel import firewall_world
from ansible_collections.hostwire.linux.tests.kernel.firewall_world import (
    BLUE,
    GUESTS,
    HOST,
    HOST6,
    NEVER,
    PATIENCE,
    RED,
    apply,
    batch,
    blocked,
    call,
    iptables,
    listening,
    port,
    saved,
    sysctl,
    wanted,
)
from ansible_collections.hostwire.linux.tests.kernel.test_guest_policy import (
    CLOSED,
    OPEN,
    WAYS,
    everything,
    isolate,
    reached,
    routed,
)

KERNELS = [frozenset({DEVGROUP}), frozenset({RPFILTER}), frozenset({DEVGROUP, RPFILTER})]


@pytest.fixture(params=KERNELS, ids=lambda lacking: " and ".join(sorted(lacking)))
def lacking(request: pytest.FixtureRequest, backend: str, monkeypatch: pytest.MonkeyPatch) -> FrozenSet[str]:
    """A host whose kernel hasn't got these matches: rules don't ask for them, and links are in no group."""
    missing: FrozenSet[str] = request.param
    observe = firewall.observe

    def without(*arguments: object) -> Tables:
        return observe(*arguments)._replace(lacking=missing)  # type: ignore[arg-type]

    monkeypatch.setattr(firewall, "observe", without)
    if DEVGROUP in missing:
        monkeypatch.setattr(firewall, "link_groups", lambda _want: {})
    firewall_world.build(bridge_nf=int(backend == "nft"))
    return missing


def test_no_rule_asks_for_what_is_lacking(lacking: FrozenSet[str], backend: str) -> None:
    apply(routed(OPEN._replace(to_host=False, among=False), published_ports=(port(8080, BLUE, 80),)))
    rules = saved(backend)
    assert rules
    assert not [line for line in rules for match in lacking if f"-m {match}" in line]
    apply(None)
    assert saved(backend) == []


def test_a_published_port_works_from_everywhere(lacking: FrozenSet[str]) -> None:
    iptables("-P FORWARD DROP")
    apply(wanted(published_ports=(port(8080, BLUE, 80),)))
    with listening("blue", 80) as blue, listening("lan", 80) as lan:
        assert call("lan", HOST, 8080, blue) == "192.168.1.3"
        assert call("red", HOST, 8080, blue) is not None
        assert call("green", HOST, 8080, blue) is not None
        assert call(None, "127.0.0.1", 8080, blue) == "192.168.15.5"
        assert call("red", BLUE, 80, blue) == RED
        assert call("red", "192.168.1.3", 80, lan) == HOST


def test_security_who_is_to_be_kept_out_is(lacking: FrozenSet[str]) -> None:
    apply(wanted(published_ports=(port(8080, "fd00:15::2", 80),)))
    iptables("-I FORWARD -j ACCEPT")
    iptables("-I FORWARD -j ACCEPT", "ip6tables")
    with listening("blue", 80) as blue, listening("green", 80) as green, listening("blue", 80, family=6) as blue6:
        for room in ("lan", "wan", "green"):
            assert blocked(room, BLUE, 80, blue)
        assert blocked("lan", "fd00:15::2", 80, blue6)
        assert call("lan", HOST6, 8080, blue6) == "2001:db8:1::3"
        assert blocked("lan", "192.168.16.1", 80, green)
        assert call(None, BLUE, 80, blue) == "192.168.15.5"


def test_each_direction_is_open_until_it_is_closed_and_no_other_with_it(lacking: FrozenSet[str]) -> None:
    for family in ("iptables", "ip6tables"):
        iptables("-P FORWARD DROP", family)
    apply(routed(OPEN))
    assert everything(WAYS) - reached(WAYS, PATIENCE) == set()
    for flag, closed in CLOSED.items():
        apply(routed(OPEN._replace(**{flag: False})))
        isolate(flag == "among")
        assert reached(closed, NEVER) == set(), flag
        rest = tuple(way for way in WAYS if way not in closed)
        assert everything(rest) - reached(rest, PATIENCE) == set(), flag


def test_security_a_switch_without_addresses_of_the_host_is_shut(lacking: FrozenSet[str]) -> None:
    """Guests that route an address of the host's onto their link, or anything beyond."""
    batch(["address flush dev v-net-0", "route add 192.168.15.0/24 dev v-net-0"])
    batch(["neighbour replace 192.168.15.5 lladdr 02:00:00:00:01:00 dev eth0"], "red")
    with listening("lan", 80) as lan, listening("blue", 80) as blue, listening("red", 80) as red:
        assert call("lan", RED, 80, red) == "192.168.1.3"  # so the attack is a real one
        apply(FirewallWant("main", switches=(SwitchPolicy("v-net-0"),), forwards=(4, 6)))
        assert call("red", BLUE, 80, blue) == RED
        assert blocked("lan", RED, 80, red)
        assert blocked("red", "192.168.1.3", 80, lan)


def test_security_nobody_gets_at_127_0_0_1_through_route_localnet(lacking: FrozenSet[str]) -> None:
    batch(["address delete 127.0.0.1/8 dev lo", "route add 127.0.0.1 via 192.168.15.5"], "red")
    with inside("red"):
        sysctl("net/ipv4/conf/eth0/route_localnet", 1)
    sysctl("net/ipv4/conf/v-net-0/route_localnet", 1)
    with listening(None, 9) as service:
        assert call("red", "127.0.0.1", 9, service) == RED  # so the attack is a real one
        apply(wanted(published_ports=(port(8080, BLUE, 80, "127.0.0.1"),)))
        assert blocked("red", "127.0.0.1", 9, service)


def arrives(room: str, source: str, to: str, server: socket.socket) -> bool:
    """Whether a datagram that a room sends with somebody else's address gets to a server at port 53."""
    body = struct.pack(">HHHH", 4000, 53, 12, 0) + b"call"
    header = struct.pack(
        ">BBHHHBBH4s4s", 0x45, 0, 20 + len(body), 0, 0, 64, 17, 0, socket.inet_aton(source), socket.inet_aton(to)
    )
    with inside(room), socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as sender:
        sender.sendto(header + body, (to, 0))
    server.settimeout(NEVER)
    try:
        return server.recv(16) == b"call"
    except TimeoutError:
        return False


@pytest.mark.parametrize(
    ("room", "source"),
    [("lan", RED), ("green", RED), ("red", "192.168.16.1"), ("red", "192.0.2.1")],
)
def test_security_a_source_is_where_it_lives(lacking: FrozenSet[str], room: str, source: str) -> None:
    for interface in ("all", "eth0", "v-net-0", "v-net-1"):
        sysctl(f"net/ipv4/conf/{interface}/rp_filter", 0)
        sysctl(f"net/ipv4/conf/{interface}/route_localnet", 1)
    with listening(None, 53, "udp") as server:
        own = {"lan": HOST, "red": "192.168.15.5", "green": "192.168.16.5"}[room]
        assert arrives(room, source, own, server)  # so the attack is a real one
        apply(wanted())
        assert not arrives(room, source, own, server)
        true = {"lan": "192.168.1.3", "red": RED, "green": "192.168.16.1"}[room]
        assert arrives(room, true, own, server)


def test_documents_come_and_go_side_by_side(lacking: FrozenSet[str], backend: str) -> None:
    documents: Sequence[FirewallWant] = (
        wanted(owner="one", guests=GUESTS[:1], named=("v-net-0",)),
        wanted(owner="two", guests=GUESTS[1:], named=("v-net-1", "eth0"), masquerade=(), guard=()),
    )
    for first, second in (documents, documents[::-1]):
        apply(first, first.owner)
        apply(second, second.owner)
        with listening("blue", 80) as blue, listening("green", 80) as green:
            assert blocked("green", BLUE, 80, blue)
            assert blocked("lan", BLUE, 80, blue)
            assert call("lan", "192.168.16.1", 80, green) == "192.168.1.3"
        assert apply(first, first.owner) == ()
        apply(None, first.owner)
        apply(None, second.owner)
    assert saved(backend) == []
