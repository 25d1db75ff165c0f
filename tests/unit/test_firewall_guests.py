# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of a document's networks are guests' networks, to be protected, and which lead out."""

from __future__ import annotations

from ansible_collections.hostwire.linux.plugins.module_utils.firewall import GuestNetwork
from ansible_collections.hostwire.linux.plugins.module_utils.model import (
    Bridge,
    End,
    Forwarding,
    Interface,
    Nexthop,
    Route,
    Topology,
    Veth,
)
from ansible_collections.hostwire.linux.plugins.module_utils.plan.filters import firewall_wants

GUESTS = Bridge("v-net-0", addresses=("192.168.15.5/24", "fd00:15::5/64"))
OUT = Veth(End("up0", addresses=("192.168.100.2/24",)), End("eth0", "router", addresses=("192.168.100.1/24",)))
TOPOLOGY = Topology(bridges=(GUESTS,), veths=(OUT,), forwarding=Forwarding(True))
PROTECTED = GuestNetwork("v-net-0", ("192.168.15.0/24", "fd00:15::/64"))


def test_every_network_of_our_own_links_is_the_guests() -> None:
    want = firewall_wants(TOPOLOGY)[None]
    assert want.guests == (GuestNetwork("up0", ("192.168.100.0/24",)), PROTECTED)


def test_the_way_of_a_default_route_is_named_but_no_guests_network() -> None:
    by_gateway = Route(None, "0.0.0.0/0", via="192.168.100.1")
    by_device = Route(None, "::/0", dev="up0")
    by_one_of_two = Route(None, "0.0.0.0/0", nexthops=(Nexthop("10.0.0.1", None), Nexthop("192.168.100.1", None)))
    for route in (by_gateway, by_device, by_one_of_two):
        want = firewall_wants(TOPOLOGY._replace(routes=(route,)))[None]
        assert want.guests == (PROTECTED,)
        assert want.named == ("up0", "v-net-0")


def test_a_guest_that_routes_to_somewhere_is_a_guest() -> None:
    inner = Route(None, "10.7.0.0/16", via="192.168.15.9")
    elsewhere = Route("blue", "0.0.0.0/0", via="192.168.15.5")
    want = firewall_wants(TOPOLOGY._replace(routes=(inner, elsewhere)))[None]
    inside = ("10.7.0.0/16", *PROTECTED.prefixes)  # what is routed through a guest comes from its network
    assert PROTECTED._replace(prefixes=inside) in want.guests


def test_a_bridge_with_an_uplink_is_the_lan() -> None:
    uplink = Interface("eth1", bridge="v-net-0")
    want = firewall_wants(TOPOLOGY._replace(interfaces=(uplink,)))[None]
    assert [guest.interface for guest in want.guests] == ["up0"]
    assert "v-net-0" in want.named
