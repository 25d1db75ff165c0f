# SPDX-License-Identifier: GPL-3.0-or-later
"""What a document's wishes become as rules, and when they become any."""

from __future__ import annotations

import ipaddress
from typing import Any, List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.hostwire.linux.plugins.module_utils.errors import InvalidValue
from ansible_collections.hostwire.linux.plugins.module_utils.firewall import (
    FirewallWant,
    GuestNetwork,
    families,
    localnet_interfaces,
    needed,
)
from ansible_collections.hostwire.linux.plugins.module_utils.firewall.rendering import render
from ansible_collections.hostwire.linux.plugins.module_utils.firewall.rules import tag_of
from ansible_collections.hostwire.linux.plugins.module_utils.firewall.want import overlap, within
from ansible_collections.hostwire.linux.plugins.module_utils.model import Masquerade, PublishedPort

GUEST = GuestNetwork("v-net-0", ("192.168.15.0/24", "fd00:15::/64"))
WEB = PublishedPort(None, "tcp", 8080, 8080, "127.0.0.1", "192.168.15.2", 80)


def rules(table: str, chain: str, family: int = 4, bridged: bool = False, **fields: Any) -> List[str]:
    """The rules of one chain without their comments."""
    rendered = render(FirewallWant("main", **fields), family, bridged)
    lines = [rule.line for rule in rendered.chains.get((table, chain), ())]
    return [line.partition(" -m comment")[0] + line.rpartition('"')[2] for line in lines]


def test_a_port_of_the_default_address_leads_from_there_only() -> None:
    assert rules("nat", "HW-DNAT-main", published_ports=(WEB,)) == [
        "-A HW-DNAT-main -d 127.0.0.1 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 192.168.15.2:80"
    ]


@pytest.mark.parametrize(
    ("port", "last", "to_port", "destination"),
    [
        (80, 80, 80, "192.168.15.2"),
        (8080, 8080, 80, "192.168.15.2:80"),
        (8000, 8010, 8000, "192.168.15.2"),
        (8000, 8010, 9000, "192.168.15.2:9000-9010/8000"),
    ],
)
def test_ranges_map_one_to_one(port: int, last: int, to_port: int, destination: str) -> None:
    published = WEB._replace(port=port, port_last=last, to_port=to_port)
    (rule,) = rules("nat", "HW-DNAT-main", published_ports=(published,))
    assert rule.endswith(f"-j DNAT --to-destination {destination}")


def test_each_source_has_a_rule_and_nobody_else() -> None:
    limited = WEB._replace(address="any", sources=("198.51.100.0/24", "10.0.0.0/8"))
    assert [rule.split(" -p ")[0] for rule in rules("nat", "HW-DNAT-main", published_ports=(limited,))] == [
        "-A HW-DNAT-main -s 10.0.0.0/8",
        "-A HW-DNAT-main -s 198.51.100.0/24",
    ]


def test_a_port_of_one_address_comes_before_the_same_of_any() -> None:
    ports = (WEB._replace(address="any"), WEB._replace(address="192.0.2.1"), WEB)
    found = rules("nat", "HW-DNAT-main", published_ports=ports)
    assert ["-d " in rule for rule in found] == [True, True, False]


def test_hazard_41_published_ports_match_on_a_local_destination() -> None:
    jumps = render(FirewallWant("main", published_ports=(WEB,)), 4).jumps
    to_ports = [jump for jump in jumps if jump.chain == "HW-DNAT-main"]
    assert [jump.parent for jump in to_ports] == ["PREROUTING", "OUTPUT"]
    assert all("-m addrtype --dst-type LOCAL " in jump.rule.line for jump in to_ports)


def test_hazard_32_neighbours_are_not_masqueraded_whether_the_exception_is_said_or_not() -> None:
    said = Masquerade(None, "192.168.15.0/24", "v-net-0")
    unsaid = Masquerade(None, "192.168.15.0/24")
    assert rules("nat", "HW-SNAT-main", masquerade=(said,), guests=(GUEST,)) == [
        "-A HW-SNAT-main -s 192.168.15.0/24 ! -o v-net-0 -j MASQUERADE"
    ]
    assert rules("nat", "HW-SNAT-main", masquerade=(unsaid,), guests=(GUEST,)) == [
        "-A HW-SNAT-main -s 192.168.15.0/24 -o v-net-0 -j RETURN",
        "-A HW-SNAT-main -s 192.168.15.0/24 -j MASQUERADE",
    ]
    assert rules("nat", "HW-SNAT-main", masquerade=(unsaid,)) == [
        "-A HW-SNAT-main -s 192.168.15.0/24 ! -d 192.168.15.0/24 -j MASQUERADE"
    ]


def test_the_narrower_source_decides_first() -> None:
    wide, narrow = Masquerade(None, "10.0.0.0/8"), Masquerade(None, "10.1.0.0/16", to_source="192.0.2.1")
    assert rules("nat", "HW-SNAT-main", masquerade=(wide, narrow)) == [
        "-A HW-SNAT-main -s 10.1.0.0/16 ! -d 10.1.0.0/16 -j SNAT --to-source 192.0.2.1",
        "-A HW-SNAT-main -s 10.0.0.0/8 ! -d 10.0.0.0/8 -j MASQUERADE",
    ]


def test_security_a_network_that_is_not_masqueraded_is_not_cut_off_in_raw() -> None:
    assert rules("raw", "HW-RAW-main", guests=(GUEST,)) == []
    assert "-A HW-PROTECT-main -o v-net-0 -j DROP" in rules("filter", "HW-PROTECT-main", guests=(GUEST,))


def test_security_ipv6_rules_stand_beside_ipv4_ones() -> None:
    fields = {"guests": (GUEST,), "masquerade": (Masquerade(None, "192.168.15.0/24", "v-net-0"),)}
    assert "-A HW-PROTECT-main -o v-net-0 -j DROP" in rules("filter", "HW-PROTECT-main", 6, **fields)
    routed = rules("filter", "HW-PROTECT-main", 6, named=("v-net-0", "eth0"), forwarding=(4, 6), **fields)
    assert not any("eth0" in rule for rule in routed)  # hidden in one family, hidden in the other


def test_hazard_32_the_guard_passes_bridged_frames_only_where_some_can_come() -> None:
    drop = "-A HOSTWIRE-GUARD -m conntrack ! --ctstate RELATED,ESTABLISHED -j DROP"
    assert rules("filter", "HOSTWIRE-GUARD", guard=(4,)) == [drop]
    bridged = rules("filter", "HOSTWIRE-GUARD", guard=(4,), bridged=True)
    assert bridged == ["-A HOSTWIRE-GUARD -m physdev --physdev-is-bridged -j RETURN", drop]
    assert rules("filter", "HOSTWIRE-GUARD", 6, guard=(4,)) == []


def test_a_namespace_gets_nat_only() -> None:
    want = FirewallWant("main", "red", (GUEST,), ("v-net-0",), (Masquerade("red", "192.168.15.0/24"),))
    assert {table for table, _chain in render(want, 4).chains} == {"nat"}


def test_many_named_interfaces_make_rules_in_proportion() -> None:
    many = tuple(f"eth{number}" for number in range(100))
    rendered = render(FirewallWant("main", named=many, forwarding=(4,)), 4)
    assert sum(len(chain) for chain in rendered.chains.values()) < 3 * len(many)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ()),
        ({"named": ("eth0",)}, ()),
        ({"let_through": ("10.0.0.0/8",)}, ()),
        ({"named": ("eth0",), "forwarding": (4,)}, (4,)),
        ({"guard": (6,)}, (6,)),
        ({"guests": (GUEST,)}, (4, 6)),
        ({"guests": (GUEST,), "netns": "red"}, ()),
        ({"guests": (GuestNetwork("v-net-0", ("192.168.15.0/24",)),)}, (4,)),
        ({"guests": (GuestNetwork("v-net-0"),)}, (4, 6)),
        ({"masquerade": (Masquerade(None, "fd00::/64"),)}, (6,)),
        ({"published_ports": (WEB,), "netns": "red"}, (4,)),
    ],
)
def test_a_family_costs_nothing_where_nothing_is_asked_of_it(fields: Any, expected: Any) -> None:
    want = FirewallWant("main", **fields)
    assert families(want) == expected
    assert needed(want) == bool(expected)
    assert tuple(family for family in (4, 6) if render(want, family).chains) == expected


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, ("v-net-0",)),
        ({"address": "any"}, ("v-net-0",)),
        ({"address": "192.168.1.2"}, ()),
        ({"to_address": "203.0.113.9"}, ()),  # beyond an uplink: never there
        ({"address": "any", "to_address": "fd00:15::2"}, ()),
        ({"address": "any", "sources": ("10.0.0.0/8",)}, ()),
        ({"address": "any", "sources": ("10.0.0.0/8", "127.0.0.1/32")}, ("v-net-0",)),
    ],
)
def test_security_route_localnet_only_where_a_guest_is_reached_by_127_0_0_1(changed: Any, expected: Any) -> None:
    want = FirewallWant("main", guests=(GUEST,), published_ports=(WEB._replace(**changed),))
    assert localnet_interfaces(want) == expected
    assert rules("raw", "HW-RAW-main", guests=want.guests, published_ports=want.published_ports) == [
        f"-A HW-RAW-main {side} 127.0.0.0/8 -i {interface} -j DROP" for interface in expected for side in ("-s", "-d")
    ]


@given(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}", fullmatch=True))
def test_hazard_37_chain_names_fit(owner: str) -> None:
    assert len(f"HW-PROTECT-{tag_of(owner)}") <= 28


def test_hazard_37_no_two_documents_share_a_chain() -> None:
    digest = tag_of("a-name-that-is-too-long-for-a-chain")
    assert tag_of(digest) != digest


@pytest.mark.parametrize("owner", ["", "-", 'a"b', "a b", "a\nb", "é", "a:b", "x" * 201])
def test_an_owner_that_could_not_stand_in_a_comment_is_refused(owner: str) -> None:
    with pytest.raises(InvalidValue, match="can't mark rules"):
        tag_of(owner)


_PREFIXES = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).flatmap(
    lambda address: st.integers(0, address.max_prefixlen).map(lambda length: f"{address}/{length}")
)


@given(_PREFIXES, _PREFIXES)
def test_prefixes_lie_in_each_other_as_ipaddress_says(one: str, other: str) -> None:
    first, second = ipaddress.ip_network(one, strict=False), ipaddress.ip_network(other, strict=False)
    same_family = first.version == second.version
    assert within(str(first), str(second)) == (same_family and first.subnet_of(second))  # type: ignore[arg-type]
    assert overlap(str(first), str(second)) == (same_family and first.overlaps(second))
