# SPDX-License-Identifier: GPL-3.0-or-later
"""Others' rules where packets come in and go out: named where they surely keep promised packets away, only there."""

from __future__ import annotations

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils.firewall import FirewallWant
from ansible_collections.hostwire.linux.plugins.module_utils.firewall.tables import parse
from ansible_collections.hostwire.linux.plugins.module_utils.firewall.want import GuestNetwork
from ansible_collections.hostwire.linux.plugins.module_utils.model import (
    Address,
    HostView,
    KernelRoute,
    Link,
    Masquerade,
    NamespaceView,
    PublishedPort,
)
from ansible_collections.hostwire.linux.plugins.module_utils.plan.promises import broken_promises
from ansible_collections.hostwire.linux.plugins.module_utils.plan.rivals import taken, unmasked

WANT = FirewallWant(
    "main",
    guests=(GuestNetwork("sw0", ("10.5.0.0/24",)),),
    masquerade=(Masquerade(None, "10.5.0.0/24", ("sw0",)),),
    published_ports=(PublishedPort(None, "tcp", 8080, 8080, "any", "10.5.0.2", 80),),
    forwarding=(4,),
)


def link(index: int, name: str, kind: str | None) -> Link:
    return Link(index, name, kind, True, True, 1500, "", None, "", (), None, None, 0)


ROOM = NamespaceView(
    None,
    1,
    {"eth0": link(2, "eth0", None), "sw0": link(3, "sw0", "bridge")},
    {2: (Address(2, "192.168.1.2/24", 0, 0x80),), 3: (Address(3, "10.5.0.1/24", 0, 0x80),)},
    (KernelRoute("0.0.0.0/0", "192.168.1.1", 2, 0, 254, 1, 4), KernelRoute("10.5.0.0/24", None, 3, 0, 254, 1, 2)),
    True,
    True,
    {},
)
VIEW = HostView((), {None: ROOM}, {}, {})


@pytest.mark.parametrize(
    ("table", "rule", "named"),
    [
        ("raw", "-A PREROUTING -s 10.5.0.0/24 -j DROP", 1),
        ("raw", "-A PREROUTING -p tcp -m tcp --dport 8080 -j DROP", 1),
        ("raw", "-A PREROUTING -p tcp -m tcp --dport 80 -j DROP", 0),  # that is what it becomes
        ("raw", "-A PREROUTING -i eth0 -p tcp -j DROP", 1),
        ("raw", "-A PREROUTING -d 172.17.0.2/32 ! -i docker0 -j DROP", 0),
        ("raw", "-A PREROUTING -m rpfilter --invert -j DROP", 0),
        ("raw", "-A PREROUTING -p tcp -m addrtype --dst-type UNICAST -m tcp --dport 8080 -j DROP", 0),
        ("raw", "-A PREROUTING -i sw0 -j CT --notrack", 1),
        ("raw", "-A PREROUTING -p tcp -m tcp --dport 80 -j CT --helper ftp", 0),
        ("mangle", "-A PREROUTING -m conntrack --ctstate INVALID -j DROP", 0),
        ("mangle", "-A POSTROUTING -s 10.5.0.0/24 -o eth0 -j DROP", 1),
        ("mangle", "-A POSTROUTING -d 10.5.0.2/32 -p tcp -m tcp --dport 80 -j DROP", 1),
        ("mangle", "-A POSTROUTING -o docker0 -j DROP", 0),
    ],
)
def test_what_drops_packets_as_they_come_and_go(table: str, rule: str, named: int) -> None:
    start = rule.split()[1]
    ruleset = parse(f"*{table}\n:{start} ACCEPT [0:0]\n{rule}\nCOMMIT\n")
    assert len(broken_promises(WANT, ROOM, {4: ruleset}, ())) == named


@pytest.mark.parametrize(("rule", "named"), [("-s 10.5.0.0/24 -j LOG", 2), ("-j ACCEPT", 0), ("-i sw0 -j ACCEPT", 1)])
def test_a_policy_drops_what_nobody_accepts_before(rule: str, named: int) -> None:
    ruleset = parse(f"*mangle\n:FORWARD DROP [0:0]\n-A FORWARD {rule}\nCOMMIT\n")
    found = broken_promises(WANT, ROOM, {4: ruleset}, (), {(4, "mangle", "FORWARD")})
    assert len(found) == named
    assert all("the policy drop in chain FORWARD (iptables, mangle FORWARD) drops what our" in line for line in found)


@pytest.mark.parametrize(
    ("rule", "named"),
    [
        ("-A PREROUTING -j ACCEPT", 1),
        ("-A PREROUTING -p tcp -m tcp --dport 8080 -j RETURN", 1),
        ("-A PREROUTING -p tcp -m tcp --dport 8081 -j RETURN", 0),
        ("-A PREROUTING -d 224.0.0.0/4 -j RETURN", 0),
        ("-A PREROUTING -i docker0 -j RETURN", 0),
        ("-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER", 0),
        ("-A DOCKER -i docker0 -j RETURN", 0),
        ("-A THEIRS -j RETURN", 0),
    ],
)
def test_what_has_callers_pass_before_they_are_led(rule: str, named: int) -> None:
    assert len(taken(WANT.published_ports, VIEW, {4: [rule]})) == named


@pytest.mark.parametrize(
    ("rule", "named"),
    [
        ("-A POSTROUTING -j ACCEPT", 1),
        ("-A POSTROUTING -s 10.5.0.0/24 -o eth0 -j RETURN", 1),
        ("-A POSTROUTING -s 10.5.0.0/24 -d 224.0.0.0/24 -j RETURN", 0),
        ("-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE", 0),
        ("-A POSTROUTING -o eth0 -j MASQUERADE", 0),
        ("-A POSTROUTING -o eth0 -j SNAT --to-source 192.168.1.2", 0),
        ("-A POSTROUTING -o eth0 -j SNAT --to-source 192.168.1.77", 1),
        ("-A LIBVIRT_PRT -s 192.168.122.0/24 -j RETURN", 0),
    ],
)
def test_what_leaves_with_another_source(rule: str, named: int) -> None:
    assert len(unmasked(WANT, ROOM, {4: [rule]})) == named
