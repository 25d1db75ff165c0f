# SPDX-License-Identifier: GPL-3.0-or-later
"""What the rules do to packets: on both backends, with bridged packets filtered (bridge-nf-call-iptables 1) and not."""

from __future__ import annotations

import socket

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils.firewall import FirewallWant, GuestNetwork, forget_flows
from ansible_collections.hostwire.linux.plugins.module_utils.model import Masquerade
from ansible_collections.hostwire.linux.plugins.module_utils.netns import inside
from ansible_collections.hostwire.linux.tests.kernel.firewall_world import (
    BLUE,
    GUESTS,
    HOST,
    HOST6,
    MASQUERADE,
    apply,
    batch,
    blocked,
    build,
    call,
    iptables,
    listening,
    port,
    sysctl,
    wanted,
)


@pytest.fixture
def plain_world(private_host: object) -> None:
    """The same, once only, for what neither depends on the backend nor on bridges."""
    build()


def test_hazard_40_a_published_port_works_from_everywhere(each_world: int) -> None:
    iptables("-P FORWARD DROP")
    apply(wanted(published_ports=(port(8080, BLUE, 80),)))
    with listening("blue", 80) as blue:
        assert call("lan", HOST, 8080, blue) == "192.168.1.3"  # who called stays visible
        assert call("lan", "192.168.15.5", 8080, blue) == "192.168.1.3"
        assert call("red", HOST, 8080, blue) == "192.168.15.5"
        assert call("red", "192.168.15.5", 8080, blue) == "192.168.15.5"
        if not each_world:  # else it is the port's mode that lets it through, which documents see to
            assert call("blue", HOST, 8080, blue) == "192.168.15.5"
        assert call("green", HOST, 8080, blue) == "192.168.16.1"
        for address in (HOST, "192.168.15.5", "127.0.0.1"):
            assert call(None, address, 8080, blue) == "192.168.15.5"
        assert blocked("lan", BLUE, 80, blue)


def test_a_published_port_is_all_that_a_document_with_nothing_else_opens(world: int) -> None:
    iptables("-P FORWARD DROP")
    apply(wanted(masquerade=(), forwarding=(), guard=(), published_ports=(port(8080, BLUE, 80),)))
    with listening("blue", 80) as blue, listening("lan", 80) as lan:
        assert call("lan", HOST, 8080, blue) == "192.168.1.3"
        assert call("red", HOST, 8080, blue) == "192.168.15.5"
        assert blocked("lan", BLUE, 80, blue)
        assert blocked("blue", "192.168.1.3", 80, lan)


def test_a_published_port_works_over_ipv6_too(world: int) -> None:
    apply(wanted(published_ports=(port(8080, "fd00:15::2", 80),), forwarding=(4, 6), guard=(4, 6)))
    with listening("blue", 80, family=6) as blue:
        assert call("lan", HOST6, 8080, blue) == "2001:db8:1::3"
        assert call("red", HOST6, 8080, blue) == "fd00:15::5"
        assert call("green", HOST6, 8080, blue) == "fd00:16::1"
        assert call(None, HOST6, 8080, blue) == "fd00:15::5"
        assert call("red", "fd00:15::2", 80, blue) == "fd00:15::1"
        with listening(None, 8080, family=6) as own:
            assert call(None, "::1", 8080, own) == "::1"  # IPv6 has no route_localnet
        assert blocked("lan", "fd00:15::2", 80, blue)


def test_a_port_published_at_127_0_0_1_is_the_hosts_own(world: int) -> None:
    apply(wanted(published_ports=(port(8080, BLUE, 80, "127.0.0.1"),)))
    with listening("blue", 80) as blue:
        assert call(None, "127.0.0.1", 8080, blue) == "192.168.15.5"
        for room, address in (("lan", HOST), ("red", "192.168.15.5"), (None, HOST)):
            assert blocked(room, address, 8080, blue)


def test_security_nobody_gets_at_127_0_0_1_through_route_localnet(world: int) -> None:
    batch(["address delete 127.0.0.1/8 dev lo", "route add 127.0.0.1 via 192.168.15.5"], "red")
    with inside("red"):
        sysctl("net/ipv4/conf/eth0/route_localnet", 1)
    sysctl("net/ipv4/conf/v-net-0/route_localnet", 1)
    with listening(None, 9) as service:
        assert call("red", "127.0.0.1", 9, service) == "192.168.15.1"  # so the attack is a real one
        apply(wanted(published_ports=(port(8080, BLUE, 80, "127.0.0.1"),)))
        assert blocked("red", "127.0.0.1", 9, service)
        assert call(None, "127.0.0.1", 9, service) == "127.0.0.1"


def test_security_a_neighbour_on_the_lan_reaches_no_unpublished_guest(each_world: int) -> None:
    with listening("blue", 80) as blue, listening("green", 80) as green:
        assert call("lan", BLUE, 80, blue) == "192.168.1.3"
        apply(wanted(forwarding=(), guard=()))
        assert blocked("lan", BLUE, 80, blue)
        assert blocked("wan", BLUE, 80, blue)
        assert blocked("lan", "192.168.16.1", 80, green)  # not masqueraded, protected all the same
        assert call(None, BLUE, 80, blue) == "192.168.15.5"
        assert blocked("blue", "192.168.16.1", 80, green)  # nor did the document ask to route between the two


def test_security_a_rule_of_anothers_that_accepts_all_opens_no_masqueraded_network(world: int) -> None:
    apply(wanted(published_ports=(port(8080, BLUE, 80),)))
    iptables("-I FORWARD -j ACCEPT")  # in front of ours: what is hidden is so before FORWARD is asked
    with listening("blue", 80) as blue:
        assert blocked("lan", BLUE, 80, blue)
        assert call("lan", HOST, 8080, blue) is not None


def test_security_ipv6_is_protected_where_only_ipv4_is_masqueraded(world: int) -> None:
    with listening("blue", 80, family=6) as blue:
        assert call("lan", "fd00:15::2", 80, blue) == "2001:db8:1::3"
        apply(wanted(named=("v-net-0", "v-net-1", "eth0"), forwarding=(4, 6)))
        assert blocked("lan", "fd00:15::2", 80, blue)
    with listening("lan", 80, family=6) as lan:
        assert call("blue", "2001:db8:1::3", 80, lan) == "fd00:15::2"  # its answers do come


def test_hazard_32_neighbours_see_each_other_though_forward_drops(each_world: int) -> None:
    iptables("-P FORWARD DROP")
    everywhere = Masquerade(None, "192.168.15.0/24")  # no exception said, and none needed
    apply(wanted(masquerade=(everywhere,), forwarding=(), guard=()))
    with listening("blue", 80) as blue, listening("lan", 80) as lan:
        assert call("red", BLUE, 80, blue) == "192.168.15.1"
        assert call("red", "192.168.1.3", 80, lan) == HOST


def test_hazard_32_a_switch_that_nothing_leaves_works_though_forward_drops(world: int) -> None:
    iptables("-P FORWARD DROP")
    apply(wanted(masquerade=(), forwarding=(), guard=()))
    with listening("blue", 80) as blue:
        assert call("red", BLUE, 80, blue) == "192.168.15.1"


def test_guests_go_out_masqueraded_or_not_as_the_document_says(world: int) -> None:
    iptables("-P FORWARD DROP")
    translated = Masquerade(None, "192.168.16.0/24", ("v-net-1",), to_source="192.168.1.2")
    apply(wanted(masquerade=(Masquerade(None, "192.168.15.0/24", ("eth9",)), translated), forwarding=()))
    with listening("wan", 80) as wan, listening("lan", 80) as lan:
        assert call("red", "10.9.0.2", 80, wan) == "192.168.15.1"  # the exception; its answers come from there
        assert call("red", "192.168.1.3", 80, lan) == HOST
        assert call("green", "192.168.1.3", 80, lan) == HOST


def test_security_what_no_document_names_is_not_routed_by_our_forwarding(world: int) -> None:
    with listening("lan", 80) as lan:
        assert call("wan", "192.168.1.3", 80, lan) == "10.9.0.2"
        apply(wanted())
        assert blocked("wan", "192.168.1.3", 80, lan)
        apply(wanted(let_through=("192.168.1.0/24", "10.9.0.0/24")))
        assert call("wan", "192.168.1.3", 80, lan) == "10.9.0.2"
        apply(wanted(named=("v-net-0", "v-net-1", "eth0", "eth9")))
        assert call("wan", "192.168.1.3", 80, lan) == "10.9.0.2"
        apply(wanted(guard=()))  # forwarding was on before us: not ours to say
        assert call("wan", "192.168.1.3", 80, lan) == "10.9.0.2"


def test_hazard_32_the_guard_leaves_others_bridges_alone(world: int) -> None:
    lines = ["link add br-other type bridge mcast_snooping 0", "link set br-other up"]
    for room in ("one", "two"):
        lines += [f"netns add {room}", f"link add v-{room} type veth peer name eth0 netns {room}"]
        lines += [f"link set v-{room} up master br-other"]
    batch(lines)
    for number, room in enumerate(("one", "two"), 1):
        batch([f"address add 172.30.0.{number}/24 dev eth0", "link set eth0 up"], room)
    apply(wanted())
    with listening("two", 80) as two:
        assert call("one", "172.30.0.2", 80, two) == "172.30.0.1"


def test_let_through_opens_a_hidden_network_to_those_it_names(world: int) -> None:
    apply(wanted(let_through=("192.168.15.0/24", "192.168.1.0/24")))
    with listening("blue", 80) as blue:
        assert call("lan", BLUE, 80, blue) == "192.168.1.3"
        assert blocked("wan", BLUE, 80, blue)


def test_two_networks_of_one_document_reach_each_other(world: int) -> None:
    apply(wanted(masquerade=()))
    with listening("blue", 80) as blue, listening("green", 80) as green:
        assert call("green", BLUE, 80, blue) == "192.168.16.1"
        assert call("blue", "192.168.16.1", 80, green) == BLUE


def test_one_documents_openings_dont_open_anothers_network(plain_world: None) -> None:
    one = wanted(owner="one", guests=GUESTS[:1], named=("v-net-0",))
    two = wanted(owner="two", guests=GUESTS[1:], named=("v-net-1", "eth0"), masquerade=(), guard=())
    for first, second in ((one, two), (two, one)):
        apply(first, first.owner)
        apply(second, second.owner)
        with listening("blue", 80) as blue, listening("green", 80) as green:
            assert blocked("green", BLUE, 80, blue)
            assert blocked("lan", BLUE, 80, blue)
            assert call("lan", "192.168.16.1", 80, green) == "192.168.1.3"  # two names eth0 and hides nothing
        apply(None, first.owner)
        apply(None, second.owner)


def test_hazard_41_traffic_in_transit_is_not_hijacked(world: int) -> None:
    apply(wanted(named=("v-net-0", "v-net-1", "eth0", "eth9"), published_ports=(port(80, BLUE, 80),)))
    with listening("lan", 80) as lan, listening("blue", 80) as blue:
        assert call("wan", "192.168.1.3", 80, lan) == "10.9.0.2"
        assert call("wan", "10.9.0.1", 80, blue) == "10.9.0.2"


def test_only_the_sources_that_are_named_reach_a_published_port(world: int) -> None:
    apply(wanted(published_ports=(port(8080, BLUE, 80, sources=("10.9.0.0/24", "127.0.0.0/8")),)))
    with listening("blue", 80) as blue:
        assert call("wan", "10.9.0.1", 8080, blue) == "10.9.0.2"
        assert blocked("lan", HOST, 8080, blue)
        assert call(None, "127.0.0.1", 8080, blue) == "192.168.15.5"


@pytest.mark.parametrize(("family", "to", "host"), [(4, BLUE, HOST), (6, "fd00:15::2", HOST6)])
def test_a_range_of_ports_maps_one_to_one(private_host: object, backend: str, family: int, to: str, host: str) -> None:
    build()
    ranges = (port(8000, to, 9000, last=8010), port(7000, to, 7000, last=7005, protocol="udp"))
    apply(wanted(published_ports=ranges))
    for number, inner, protocol in ((8000, 9000, "tcp"), (8007, 9007, "tcp"), (8010, 9010, "tcp"), (7003, 7003, "udp")):
        with listening("blue", inner, protocol, family) as blue:
            assert call("lan", host, number, blue) is not None


def test_hazard_39_a_flow_follows_its_published_port(plain_world: None) -> None:
    published, moved = port(5300, BLUE, 53, protocol="udp"), port(5300, "192.168.15.1", 53, protocol="udp")
    with (
        listening(None, 5300, "udp") as host,
        listening("blue", 53, "udp") as blue,
        listening("red", 53, "udp") as red,
    ):

        def arrives(server: socket.socket) -> bool:
            with inside("lan"), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                client.bind(("192.168.1.3", 4000))  # always the same flow
                client.sendto(b"call", (HOST, 5300))
            server.settimeout(0.25)
            try:
                return server.recv(16) == b"call"
            except TimeoutError:
                return False

        apply(wanted())
        assert arrives(host)
        apply(wanted(published_ports=(published,)))
        assert arrives(host)  # the old flow bypasses the new rule
        assert forget_flows(None, [published]) == 1
        assert arrives(blue)
        apply(wanted(published_ports=(moved,)))
        assert arrives(blue)
        assert forget_flows(None, [published, moved]) == 1
        assert arrives(red)
        apply(wanted())
        assert arrives(red)
        assert forget_flows(None, [moved]) == 1
        assert arrives(host)


def test_hazard_39_other_flows_are_left_alone(plain_world: None) -> None:
    published = port(8080, "fd00:15::2", 80)
    apply(wanted(published_ports=(published, port(8080, BLUE, 80), port(8081, BLUE, 80))))
    with listening("lan", 8080) as lan, listening("blue", 80) as blue, listening("blue", 80, family=6) as blue6:
        assert call("red", "192.168.1.3", 8080, lan) == HOST  # to somebody else's port 8080
        assert call("lan", HOST, 8081, blue) == "192.168.1.3"
        assert call("lan", HOST6, 8080, blue6) == "2001:db8:1::3"
        assert forget_flows(None, [port(8080, BLUE, 80)]) == 0
        assert forget_flows(None, [published]) == 1


def test_a_namespace_masquerades_publishes_and_hides(world: int) -> None:
    """The namespace "wan" as the router of one guest; its other side is the host."""
    batch(["netns add inner", "netns add near"])
    cables = (("v1", "inner"), ("v2", "near"))
    batch(
        [
            "link add lan0 type bridge mcast_snooping 0",
            *(f"link add {end} type veth peer name eth0 netns {room}" for end, room in cables),
            *(f"link set {end} up master lan0" for end, _room in cables),
            "link set lan0 up",
            "address add 172.31.0.1/24 dev lan0",
        ],
        "wan",
    )
    for number, room in ((2, "inner"), (3, "near")):
        batch(
            [f"address add 172.31.0.{number}/24 dev eth0", "link set eth0 up", "route add default via 172.31.0.1"], room
        )
    with inside("wan"):
        sysctl("net/ipv4/ip_forward", 1)
        sysctl("net/bridge/bridge-nf-call-iptables", world)
    want = FirewallWant(
        "main",
        "wan",
        guests=(GuestNetwork("lan0", ("172.31.0.0/24",)),),
        masquerade=(Masquerade("wan", "172.31.0.0/24"),),
        published_ports=(port(8080, "172.31.0.2", 80)._replace(netns="wan"),),
    )
    assert apply(want, netns="wan") == (
        "namespace wan: protect guests on lan0: add",
        "namespace wan: masquerade 172.31.0.0/24: add",
        "namespace wan: publish tcp any:8080 -> 172.31.0.2:80: add",
    )
    with listening("inner", 80) as inner, listening(None, 80) as host:
        assert call("inner", "10.9.0.1", 80, host) == "10.9.0.2"
        assert call(None, "10.9.0.2", 8080, inner) == "10.9.0.1"
        assert call("near", "10.9.0.2", 8080, inner) == "172.31.0.1"
        assert call("near", "172.31.0.2", 80, inner) == "172.31.0.3"
        assert call("wan", "10.9.0.2", 8080, inner) == "172.31.0.1"
        batch(["route add 172.31.0.0/24 via 10.9.0.2"])
        assert blocked(None, "172.31.0.2", 80, inner)  # a masqueraded network is hidden there as it is on the host


def test_a_target_beyond_the_guest_networks_is_published_too(plain_world: None) -> None:
    iptables("-P FORWARD DROP")
    apply(wanted(guests=(), masquerade=(MASQUERADE,), published_ports=(port(8080, "192.168.1.3", 80),)))
    with listening("lan", 80) as lan:
        assert call("wan", "10.9.0.1", 8080, lan) == "10.9.0.2"
        assert call(None, "10.9.0.1", 8080, lan) == HOST
        assert call("lan", HOST, 8080, lan) == HOST  # itself
