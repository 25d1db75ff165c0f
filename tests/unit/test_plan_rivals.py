# SPDX-License-Identifier: GPL-3.0-or-later
"""Who has a port already: a listener or another's rule counts where it has the same callers, and nowhere else."""

from __future__ import annotations

from typing import Any, List

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils.document import Where
from ansible_collections.hostwire.linux.plugins.module_utils.firewall import Tables
from ansible_collections.hostwire.linux.plugins.module_utils.firewall.tables import parse
from ansible_collections.hostwire.linux.plugins.module_utils.model import (
    Address,
    HostView,
    NamespaceView,
    PublishedPort,
)
from ansible_collections.hostwire.linux.plugins.module_utils.plan.rivals import new_ports, rivals
from ansible_collections.hostwire.linux.plugins.module_utils.sockets import Listener

HELD = ("127.0.0.1/8", "192.168.1.2/24", "2001:db8::2/64")
ROOM = NamespaceView(None, 1, {}, {1: tuple(Address(1, one, 0, 0) for one in HELD)}, (), True, True, {})
VIEW = HostView((), {None: ROOM}, {}, {})


def port(number: int, address: str = "any", protocol: str = "tcp", to: str = "10.0.0.2", **more: Any) -> PublishedPort:
    values = {"netns": None, "port_last": number, "to_port": 80, **more}
    return PublishedPort(protocol=protocol, port=number, address=address, to_address=to, **values)


def lines(wanted: PublishedPort, listeners: List[Listener], rules: str = "") -> List[str]:
    tables = Tables(
        None, "nft", {("nft", 4): parse(f"*nat\n:PREROUTING ACCEPT [0:0]\n:DOCKER - [0:0]\n{rules}COMMIT\n")}
    )
    return rivals(
        new_ports([wanted], [], Where()), VIEW, {None: tables}, lambda *_asked: listeners, lambda _inodes: {7: "x (1)"}
    )


@pytest.mark.parametrize(
    ("wanted", "family", "address", "taken"),
    [
        (port(80), 4, "0.0.0.0", True),
        (port(80), 4, "127.0.0.1", True),
        (port(80), 6, "::", False),
        (port(80, "192.168.1.2"), 4, "0.0.0.0", True),
        (port(80, "192.168.1.2"), 4, "192.168.1.2", True),
        (port(80, "192.168.1.2"), 4, "127.0.0.1", False),
        (port(80, "127.0.0.1"), 4, "192.168.1.2", False),
        (port(80, protocol="udp"), 4, "0.0.0.0", False),
        (port(79), 4, "0.0.0.0", False),
        (port(70, port_last=90), 4, "0.0.0.0", True),
        (port(80, to="fd00::2"), 6, "::", True),
        (port(80, to="fd00::2"), 6, "::1", False),
        (port(80, to="fd00::2"), 4, "0.0.0.0", False),
        (port(80, "2001:db8::2", to="fd00::2"), 6, "2001:db8::2", True),
    ],
)
def test_a_listener_with_the_same_callers_is_a_rival(
    wanted: PublishedPort, family: int, address: str, taken: bool
) -> None:
    found = lines(wanted, [Listener("tcp", family, address, 80, 7)])
    assert bool(found) == taken
    assert all(line.startswith("published_ports[0].port: x (1) listens on tcp ") for line in found)


@pytest.mark.parametrize(
    ("wanted", "rule", "taken"),
    [
        (port(80), "! -i docker0 -p tcp -m tcp --dport 80", True),
        (port(80), "-d 192.168.1.2/32 ! -i docker0 -p tcp -m tcp --dport 80", True),
        (port(80), "-d 203.0.113.9/32 -p tcp -m tcp --dport 80", False),
        (port(80, "127.0.0.1"), "-d 192.168.1.2/32 -p tcp -m tcp --dport 80", False),
        (port(80), "-p udp -m udp --dport 80", False),
        (port(80), "-p tcp -m tcp --dport 81", False),
        (port(70, port_last=90), "-p tcp -m multiport --dports 22,80:85", True),
        (port(80), "-d 192.168.1.2/32", False),
        (port(80, sources=("10.0.0.0/8",)), "-s 172.16.0.0/12 -p tcp -m tcp --dport 80", False),
        (port(80), '-p tcp -m tcp --dport 80 -m comment --comment "hostwire:other:0123456789"', False),
    ],
)
def test_a_rule_of_others_that_leads_the_same_calls_away_is_a_rival(
    wanted: PublishedPort, rule: str, taken: bool
) -> None:
    found = lines(wanted, [], f"-A DOCKER {rule} -j DNAT --to-destination 172.17.0.2:80\n")
    assert bool(found) == taken
    assert all(
        line.startswith("published_ports[0].port: ") and "in chain DOCKER (iptables, nat)" in line for line in found
    )


def test_what_the_document_publishes_already_is_not_asked_about() -> None:
    before = [port(80, port_last=85), port(90, "127.0.0.1")]
    wanted = [port(80, "192.168.1.2", to="10.0.0.3"), port(85, port_last=87), port(90), port(90, to="fd00::2")]
    found = new_ports(wanted, before, Where())
    assert [(new.path, new.numbers) for new in found] == [
        ("published_ports[1]", (86, 87)), ("published_ports[2]", (90,)), ("published_ports[3]", (90,)),
    ]  # fmt: skip
