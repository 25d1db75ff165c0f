# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules in nat: published ports and masquerading, one by one."""

from __future__ import annotations

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils.firewall import (
    GuestNetwork,
)
from ansible_collections.hostwire.linux.plugins.module_utils.firewall.shared import JUMPS
from ansible_collections.hostwire.linux.plugins.module_utils.model import Masquerade
from ansible_collections.hostwire.linux.tests.unit.test_firewall_rules import GUEST, WEB, own, rules


def test_a_port_of_the_default_address_leads_from_there_only() -> None:
    assert own("nat", "HOSTWIRE-PORTS", published_ports=(WEB,)) == [
        "-A HOSTWIRE-PORTS -d 127.0.0.1 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 192.168.15.2:80"
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
    (rule,) = own("nat", "HOSTWIRE-PORTS", published_ports=(published,))
    assert rule.endswith(f"-j DNAT --to-destination {destination}")


def test_each_source_has_a_rule_and_nobody_else() -> None:
    limited = WEB._replace(address="any", sources=("198.51.100.0/24", "10.0.0.0/8"))
    assert [rule.split(" -p ")[0] for rule in rules("nat", "HW-TCP-main", published_ports=(limited,))] == [
        "-A HW-TCP-main -s 10.0.0.0/8",
        "-A HW-TCP-main -s 198.51.100.0/24",
    ]


def test_a_port_of_one_address_comes_before_the_same_of_any() -> None:
    ports = (WEB._replace(address="any"), WEB._replace(address="192.0.2.1"), WEB)
    found = rules("nat", "HW-TCP-main", published_ports=ports)
    assert ["-d " in rule for rule in found] == [True, True, False]


def test_hazard_41_published_ports_match_on_a_local_destination() -> None:
    to_ports = [jump for jump in JUMPS if jump.chain == "HOSTWIRE-PORTS"]
    assert [jump.parent for jump in to_ports] == ["PREROUTING", "OUTPUT"]
    assert all("-m addrtype --dst-type LOCAL " in jump.rule.line for jump in to_ports)
    ports = (WEB, WEB._replace(port=80, port_last=80))
    assert own("nat", "HOSTWIRE-PORTS", published_ports=ports) == [
        "-A HOSTWIRE-PORTS -p tcp -m tcp --dport 80:8080 -j HW-TCP-main"
    ]


def test_hazard_32_neighbours_are_not_masqueraded_whether_the_exception_is_said_or_not() -> None:
    said = Masquerade(None, "192.168.15.0/24", ("v-net-0",))
    unsaid = Masquerade(None, "192.168.15.0/24")
    assert own("nat", "HOSTWIRE-LEAVE-7", masquerade=(said,), guests=(GUEST,)) == [
        "-A HOSTWIRE-LEAVE-7 -s 192.168.15.0/24 ! -o v-net-0 -j MASQUERADE"
    ]
    assert rules("nat", "HW-SNATH-main", masquerade=(unsaid,), guests=(GUEST,)) == [
        "-A HW-SNATH-main -s 192.168.15.0/24 -o v-net-0 -j RETURN",
        "-A HW-SNATH-main -s 192.168.15.0/24 -j MASQUERADE",
    ]
    part = GuestNetwork("v-net-1", ("192.168.15.0/25",))
    assert rules("nat", "HW-SNATH-main", masquerade=(unsaid,), guests=(part,)) == [
        "-A HW-SNATH-main -s 192.168.15.0/25 -o v-net-1 -j RETURN",
        "-A HW-SNATH-main -s 192.168.15.0/24 -j MASQUERADE",
    ]
    assert own("nat", "HOSTWIRE-LEAVE-7", masquerade=(unsaid,)) == [
        "-A HOSTWIRE-LEAVE-7 -s 192.168.15.0/24 ! -d 192.168.15.0/24 -j MASQUERADE"
    ]


def test_several_interfaces_are_excepted_each_by_a_rule_of_its_own() -> None:
    entry = Masquerade(None, "192.168.15.0/24", ("v-net-0", "v-net-1"))
    for guests in ((GUEST,), ()):
        assert rules("nat", "HW-SNATH-main", masquerade=(entry,), guests=guests)[-3:] == [
            "-A HW-SNATH-main -s 192.168.15.0/24 -o v-net-0 -j RETURN",
            "-A HW-SNATH-main -s 192.168.15.0/24 -o v-net-1 -j RETURN",
            "-A HW-SNATH-main -s 192.168.15.0/24 -j MASQUERADE",
        ]


def test_the_narrower_source_decides_first() -> None:
    wide, narrow = Masquerade(None, "10.0.0.0/8"), Masquerade(None, "10.1.0.0/16", to_source="192.0.2.1")
    assert rules("nat", "HW-SNAT-main", masquerade=(wide, narrow)) == [
        "-A HW-SNAT-main -s 10.1.0.0/16 ! -d 10.1.0.0/16 -j SNAT --to-source 192.0.2.1",
        "-A HW-SNAT-main -s 10.0.0.0/8 ! -d 10.0.0.0/8 -j MASQUERADE",
    ]
