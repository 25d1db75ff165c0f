# SPDX-License-Identifier: GPL-3.0-or-later
"""Who reaches whom where guests live on a switch: what ``bridges[].guests`` says, tried with packets."""

from __future__ import annotations

import socket
import time
from typing import NamedTuple, Optional

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils.firewall import FirewallWant, SwitchPolicy
from ansible_collections.hostwire.linux.plugins.module_utils.model import Masquerade
from ansible_collections.hostwire.linux.plugins.module_utils.netns import inside
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
    ping,
    port,
    sysctl,
    wanted,
)

OPEN = SwitchPolicy("v-net-0")
TCP, UDP = 80, 53


class Way(NamedTuple):
    """From a room to an address of another (the host is None), in both families."""

    source: Optional[str]
    to: Optional[str]
    addresses: tuple[str, str]


GUEST_TO_HOST = (
    Way("red", None, ("192.168.15.5", "fd00:15::5")),
    Way("red", None, (HOST, HOST6)),
)
HOST_TO_GUEST = (Way(None, "red", (RED, "fd00:15::1")),)
AMONG_GUESTS = (Way("red", "blue", (BLUE, "fd00:15::2")),)
OUTWARDS = (
    Way("red", "lan", ("192.168.1.3", "2001:db8:1::3")),
    Way("red", "green", ("192.168.16.1", "fd00:16::1")),
)
INWARDS = (
    Way("lan", "red", (RED, "fd00:15::1")),
    Way("green", "red", (RED, "fd00:15::1")),
)
ELSEWHERE = (Way("green", None, ("192.168.16.5", "fd00:16::5")), Way("lan", "green", ("192.168.16.1", "fd00:16::1")))
WAYS = (*GUEST_TO_HOST, *HOST_TO_GUEST, *AMONG_GUESTS, *OUTWARDS, *INWARDS, *ELSEWHERE)
CLOSED = {
    "to_host": GUEST_TO_HOST,
    "from_host": HOST_TO_GUEST,
    "among": AMONG_GUESTS,
    "outside": (*OUTWARDS, *INWARDS),
}


def routed(*switches: SwitchPolicy, **fields: object) -> FirewallWant:
    """Everything that can be open is: both families are routed, also to and from the LAN."""
    usual = {"masquerade": (), "forwarding": (4, 6), "guard": (), "named": ("v-net-0", "v-net-1", "eth0")}
    return wanted(**{**usual, "switches": switches, **fields})


def isolate(on: bool = True) -> None:
    """What the plan does to the ports of a switch whose guests don't reach each other."""
    batch([f"link set {end} type bridge_slave isolated {'on' if on else 'off'}" for end in ("veth-red", "veth-blue")])


def reached(ways: tuple[Way, ...], patience: float) -> set[tuple[Way, str, int]]:
    """Those of the ways that are open, with protocol and family."""
    found = set()
    for way in ways:
        for family, address in zip((4, 6), way.addresses):
            if ping(way.source, address, patience):
                found.add((way, "icmp", family))
            for protocol, number in (("tcp", TCP), ("udp", UDP)):
                with listening(way.to, number, protocol, family, address) as server:
                    if call(way.source, address, number, server, patience) is not None:
                        found.add((way, protocol, family))
    return found


def everything(ways: tuple[Way, ...]) -> set[tuple[Way, str, int]]:
    return {(way, protocol, family) for way in ways for protocol in ("icmp", "tcp", "udp") for family in (4, 6)}


def test_each_direction_is_open_until_it_is_closed_and_no_other_with_it(each_world: int) -> None:
    for family in ("iptables", "ip6tables"):
        iptables("-P FORWARD DROP", family)  # what a Docker engine leaves
    apply(routed(OPEN))
    assert everything(WAYS) - reached(WAYS, PATIENCE) == set()
    for flag, closed in CLOSED.items():
        apply(routed(OPEN._replace(**{flag: False})))
        isolate(flag == "among")
        assert reached(closed, NEVER) == set(), flag
        rest = tuple(way for way in WAYS if way not in closed)
        assert everything(rest) - reached(rest, PATIENCE) == set(), flag


def test_what_is_closed_to_all_leaves_guests_each_other(world: int) -> None:
    apply(routed(OPEN._replace(to_host=False, from_host=False, outside=False)))
    closed = (*GUEST_TO_HOST, *HOST_TO_GUEST, *OUTWARDS, *INWARDS)
    assert reached(closed, NEVER) == set()
    assert everything(AMONG_GUESTS) - reached(AMONG_GUESTS, PATIENCE) == set()


def test_a_switch_without_addresses_of_the_host_passes_frames_though_forward_drops(each_world: int) -> None:
    iptables("-P FORWARD DROP")
    batch(["address flush dev v-net-0"])
    with listening("blue", 80) as blue:
        assert blocked("red", BLUE, 80, blue) == bool(each_world)
        apply(FirewallWant("main", switches=(OPEN,)))
        assert call("red", BLUE, 80, blue) == RED


def test_connections_that_stand_go_on_when_their_direction_is_closed(world: int) -> None:
    apply(routed(OPEN))
    pairs = []
    for source, to, address in ((None, "red", RED), ("red", None, HOST), ("red", "lan", "192.168.1.3")):
        with listening(to, 80) as server:
            with inside(source):
                client = socket.create_connection((address, 80), PATIENCE)
            pairs.append((client, server.accept()[0]))
    apply(routed(OPEN._replace(to_host=False, from_host=False, outside=False)))
    for client, connection in pairs:
        for one, other in ((client, connection), (connection, client)):
            other.settimeout(PATIENCE)
            one.send(b"still there")
            assert other.recv(16) == b"still there"
        client.close()
        connection.close()


def test_security_no_address_of_the_host_answers_to_a_guest_that_routes_it_onto_its_link(world: int) -> None:
    """The weak host model: Linux answers ARP for, and receives, any of its addresses on any interface."""
    batch([f"route add {HOST}/32 dev eth0", "address add 192.168.99.7/32 dev eth0"], "red")
    batch(["route add 192.168.99.7/32 dev v-net-0"])
    for interface in ("all", "v-net-0"):
        sysctl(f"net/ipv4/conf/{interface}/rp_filter", 0)
    policy = OPEN._replace(to_host=False)
    with listening(None, 53, "udp") as server:

        def arrives(source: str) -> bool:
            with inside("red"), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.bind((source, 0))
                client.sendto(b"call", (HOST, 53))
            server.settimeout(NEVER)
            try:
                return server.recvfrom(16)[1][0] == source
            except TimeoutError:
                return False

        for source in (RED, "192.168.99.7"):
            apply(routed(OPEN))
            assert arrives(source)  # so the attack is a real one
            apply(routed(policy))
            assert not arrives(source)
        batch(["address flush dev v-net-0"])  # a switch on which the host has no address at all
        apply(None)
        assert arrives(RED)
        apply(FirewallWant("main", switches=(policy,)))
        assert not arrives(RED)


@pytest.mark.parametrize("address", ["fe80::ff:fe00:100", "ff02::1"])
def test_security_the_hosts_link_local_address_and_what_everybody_listens_to_are_closed_too(
    world: int, address: str
) -> None:
    with inside("red"):
        way = f"{address}%{socket.if_nametoindex('eth0')}"
    batch(["link set veth-blue down"])  # nobody but the host is there to answer
    apply(routed(OPEN))
    deadline = time.monotonic() + 4 * PATIENCE
    while not ping("red", way, NEVER):  # the kernel still looks whether the address is unique
        assert time.monotonic() < deadline
    apply(routed(OPEN._replace(to_host=False)))
    assert not ping("red", way, NEVER)
    batch(["neighbour flush all", "neighbour flush nud permanent"])  # and still host and guest find each other
    assert ping(None, "fd00:15::1")


def test_security_isolated_guests_dont_reach_each_other_by_way_of_the_host(each_world: int) -> None:
    sysctl("net/ipv4/conf/all/send_redirects", 0)
    sysctl("net/ipv4/conf/v-net-0/send_redirects", 0)
    batch([f"route add {BLUE}/32 via 192.168.15.5"], "red")
    batch([f"route add {RED}/32 via 192.168.15.5"], "blue")
    isolate()
    with listening("blue", 80) as blue:
        apply(routed(OPEN))
        assert call("red", BLUE, 80, blue) == RED  # so the attack is a real one
        apply(routed(OPEN._replace(among=False)))
        assert blocked("red", BLUE, 80, blue)


def test_isolated_guests_reach_what_is_beyond_an_uplink(each_world: int) -> None:
    """The uplink's port isn't isolated: here blue is what a LAN would be."""
    iptables("-P FORWARD DROP")
    isolate()
    batch(["link set veth-blue type bridge_slave isolated off"])
    apply(routed(OPEN._replace(among=False)))
    with listening("blue", 80) as blue, listening("red", 80) as red:
        assert call("red", BLUE, 80, blue) == RED
        assert call("blue", RED, 80, red) == BLUE


@pytest.mark.parametrize(("family", "to", "host"), [(4, BLUE, HOST), (6, "fd00:15::2", HOST6)])
def test_a_published_port_leads_to_guests_whom_the_host_does_not_reach(
    each_world: int, family: int, to: str, host: str
) -> None:
    iptables("-P FORWARD DROP")
    apply(routed(OPEN._replace(from_host=False), published_ports=(port(8080, to, 80),)))
    with listening("blue", 80, family=family) as blue:
        assert call("lan", host, 8080, blue) is not None
        assert call("red", host, 8080, blue) is not None
        assert call(None, host, 8080, blue) is not None
        if family == 4:
            assert call(None, "127.0.0.1", 8080, blue) is not None
        assert blocked(None, to, 80, blue)


def test_a_published_port_leads_from_one_isolated_guest_to_another(world: int) -> None:
    apply(routed(OPEN._replace(among=False), published_ports=(port(8080, BLUE, 80),)))
    isolate()
    with listening("blue", 80) as blue:
        assert call("lan", HOST, 8080, blue) is not None
        assert call(None, HOST, 8080, blue) is not None
        # With bridge-nf-call-iptables 1 the kernel bridges what is translated to the same bridge: isolation stops that.
        assert (call("red", HOST, 8080, blue, NEVER if world else PATIENCE) is None) == bool(world)


def test_no_document_opens_what_another_keeps_from_outside(each_world: int) -> None:
    """A host-only network beside one that is masqueraded, published, and routes for everybody."""
    alone = FirewallWant("alone", guests=GUESTS[:1], named=("v-net-0",), switches=(OPEN._replace(outside=False),))
    other = wanted(
        owner="other",
        guests=GUESTS[1:],
        named=("v-net-0", "v-net-1", "eth0"),
        masquerade=(Masquerade(None, "192.168.16.0/24"), Masquerade(None, "192.168.15.0/24")),
        published_ports=(port(8080, BLUE, 80), port(8081, "192.168.16.1", 80)),
        let_through=("192.168.15.0/24", "192.168.16.0/24", "192.168.1.0/24"),
        guard=(),
    )
    for first, second in ((alone, other), (other, alone)):
        apply(first, first.owner)
        apply(second, second.owner)
        closed = (*OUTWARDS, *INWARDS)
        assert reached(closed, NEVER) == set()
        with listening("blue", 80) as blue, listening("green", 80) as green:
            assert blocked("lan", HOST, 8080, blue)
            assert call("lan", HOST, 8081, green) is not None
            assert call(None, BLUE, 80, blue) is not None
            assert call("red", BLUE, 80, blue) is not None
        apply(None, first.owner)
        apply(None, second.owner)


def test_what_somebody_opens_ahead_of_it_stays_closed(world: int) -> None:
    """As a Docker engine does for its own networks whenever it starts: what is closed is so before filter is asked."""
    closed = routed(OPEN._replace(to_host=False, outside=False))
    with listening("red", 80) as red, listening(None, 80) as host:
        iptables("-I FORWARD -j ACCEPT")
        iptables("-I INPUT -i v-net-0 -j ACCEPT")
        assert call("lan", RED, 80, red) == "192.168.1.3"  # so there is something to close
        assert call("red", HOST, 80, host) == RED
        apply(closed)
        assert blocked("lan", RED, 80, red)
        assert blocked("red", HOST, 80, host)
        iptables("-F")  # and so it stays, whatever is made of filter
        iptables("-I FORWARD -j ACCEPT")
        iptables("-I INPUT -i v-net-0 -j ACCEPT")
        assert blocked("lan", RED, 80, red)
        assert blocked("red", HOST, 80, host)


def test_neighbours_are_discovered_though_all_is_closed(world: int) -> None:
    """Answers need the neighbour's address: IPv6 asks for that in packets, which the rules see."""
    apply(routed(OPEN._replace(from_host=False)))
    batch(["neighbour flush all", "neighbour flush nud permanent"])
    batch(["neighbour flush all", "neighbour flush nud permanent"], "red")
    assert ping("red", "fd00:15::5")
    apply(routed(OPEN._replace(to_host=False)))
    batch(["neighbour flush all", "neighbour flush nud permanent"])
    batch(["neighbour flush all", "neighbour flush nud permanent"], "red")
    assert ping(None, "fd00:15::1")
