# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody changes under a document without touching what it names is seen in check mode, and mended or told."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import engine
from ansible_collections.hostwire.linux.tests.kernel import world
from ansible_collections.hostwire.linux.tests.kernel.steps import NOTHING, Document

pytestmark = pytest.mark.usefixtures("private_host")


def document(netns: str | None) -> Document:
    """A router, the host or a namespace, with a switch, a guest on it, and a cable."""
    here: dict[str, Any] = {"netns": netns} if netns else {}
    both = {"forwarding": {"ipv4": True, "ipv6": True}}
    return {
        "namespaces": [{"name": "g"}, *([{"name": netns, **both}] if netns else [])],
        "bridges": [{"name": "sw0", "addresses": ["10.5.0.1/24", "fd05::1/64"], **here}],
        "veths": [
            {
                "name": "v-g",
                "bridge": "sw0",
                **here,
                "peer": {"name": "e0", "netns": "g", "addresses": ["10.5.0.2/24"]},
            },
            {"name": "v-p", "addresses": ["10.6.0.1/30", "fd06::1/64"], **here, "peer": {"name": "e1", "netns": "g"}},
        ],
        "masquerade": [{"source": "10.5.0.0/24", "except_to": "sw0", **here}],
        "published_ports": [
            {"port": 8080, "to": "10.5.0.2:80", "address": "any", **here},
            {"port": 8080, "to": "[fd05::2]:80", "address": "any", **here},
        ],
        **({} if netns else both),
    }


MENDED = {
    "IPv4 forwarding of the switch": ("sysctl -qw net.ipv4.conf.sw0.forwarding=0", "sw0: IPv4 forwarding off -> on"),
    "IPv6 forwarding of the switch": ("sysctl -qw net.ipv6.conf.sw0.forwarding=0", "sw0: IPv6 forwarding off -> on"),
    "IPv4 forwarding of the cable": ("sysctl -qw net.ipv4.conf.v-p.forwarding=0", "v-p: IPv4 forwarding off -> on"),
    "no ARP on the switch": ("ip link set sw0 arp off", "sw0: arp on"),
    "no ARP on the cable": ("ip link set v-p arp off", "v-p: arp on"),
    "a port that is disabled": ("bridge link set dev v-g state 0", "v-g: let the bridge pass what comes through it"),
}


@pytest.mark.parametrize("netns", [None, "room"])
@pytest.mark.parametrize("drift", MENDED)
def test_what_somebody_changed_is_put_right(netns: str | None, drift: str) -> None:
    command, line = MENDED[drift]
    wanted = document(netns)
    engine.run(wanted)
    before = world.image()
    subprocess.run([*(["ip", "netns", "exec", netns] if netns else []), *command.split()], check=True)
    expected = (f"{netns or 'host'}: {line}",)
    assert engine.run(wanted, check=True).plan == expected
    assert engine.run(wanted).plan == expected
    assert engine.run(wanted).plan == ()
    assert world.differences(before, world.image()) == []
    engine.run(NOTHING)


def test_a_port_that_a_spanning_tree_keeps_shut_is_left_alone() -> None:
    wanted = document(None)
    wanted["bridges"][0]["stp"] = True
    engine.run(wanted, dad_seconds=0)
    assert engine.run(wanted, check=True).plan == ()


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("chained", [False, True])
def test_a_rule_of_somebody_elses_that_takes_a_published_ports_callers_is_named(family: int, chained: bool) -> None:
    wanted = document(None)
    assert engine.run(wanted).warnings == ()
    program, target = {4: ("iptables", "10.66.0.2:80"), 6: ("ip6tables", "[fd66::2]:80")}[family]
    where = "THEIRS" if chained else "PREROUTING"
    if chained:
        subprocess.run([program, "-t", "nat", "-N", where], check=True)
        subprocess.run([program, "-t", "nat", "-I", "PREROUTING", "-j", where], check=True)
    lead = f"-p tcp --dport 8080 -j DNAT --to {target}"
    subprocess.run([program, "-t", "nat", "-I", where, *lead.split()], check=True)
    subprocess.run([program, "-t", "nat", "-I", where, *lead.replace("8080", "8081").split()], check=True)
    for check in (True, False):
        (warning,) = engine.run(wanted, check=check).warnings
        assert "8080" in warning
        assert f"in {where}" in warning
        assert "8081" not in warning
