# SPDX-License-Identifier: GPL-3.0-or-later
"""Policy rules of others are named where they take a document's packets, and only there."""

from __future__ import annotations

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils.model import (
    Bridge,
    HostView,
    KernelRoute,
    Masquerade,
    NamespaceView,
    PolicyRule,
    Route,
    Topology,
)
from ansible_collections.hostwire.linux.plugins.module_utils.plan.policy import policy_warnings

DOCUMENT = Topology(
    bridges=(Bridge("sw0", addresses=("10.5.0.1/24", "fd05::1/64")),),
    routes=(Route(None, "0.0.0.0/0", "192.168.1.1"), Route(None, "10.7.0.0/24", "10.5.0.9")),
    masquerade=(Masquerade(None, "10.5.0.0/24"),),
)
LOCAL, MAIN, DEFAULT, TAILSCALE, VPN = 255, 254, 253, 52, 51820
UNREACHABLE, BLACKHOLE = 7, 6
KERNELS = (PolicyRule(4, 0, table=LOCAL), PolicyRule(4, 32766, table=MAIN), PolicyRule(4, 32767, table=DEFAULT))


def rule(priority: int, **fields: object) -> PolicyRule:
    return PolicyRule(4, priority, **fields)  # type: ignore[arg-type]


def way(to: str, table: int, kind: int = 1) -> KernelRoute:
    return KernelRoute(to, None, 7, 0, table, kind, 4)


def warnings(*rules: PolicyRule, routes: tuple[KernelRoute, ...] = (), without: int = 0) -> list[str]:
    kernels = [one for one in KERNELS if one.table != without]
    room = NamespaceView(None, 1, {}, {}, (), True, True, {}, {}, routes, (*kernels, *rules))
    return policy_warnings(DOCUMENT, HostView((), {None: room}, {}, {}))


HARMLESS = {
    "tailscale": (
        (
            rule(5210, table=MAIN, mark=0x80000),
            rule(5230, table=DEFAULT, mark=0x80000),
            rule(5250, action=UNREACHABLE, mark=0x80000),
            rule(5270, table=TAILSCALE),
        ),
        (way("100.64.0.7/32", TAILSCALE), way("100.100.100.100/32", TAILSCALE)),
    ),
    "cilium": ((rule(9, table=2004, mark=0x200), rule(10, table=2005, mark=0xA00), rule(100, table=LOCAL)), ()),
    "a VRF": ((rule(1000, partly=True),), ()),
    "calico": ((rule(99, table=1, mark=0x100000, inverted=False),), (way("10.5.0.0/16", 1),)),
    "a host with two uplinks": ((rule(100, table=100, source="192.168.2.7/32"),), (way("0.0.0.0/0", 100),)),
    "pods of a cloud": (
        (rule(512, table=MAIN, destination="10.1.2.3/32"), rule(1536, table=2, source="10.1.2.3/32")),
        (way("0.0.0.0/0", 2),),
    ),
    "a table without routes": ((rule(10, table=77),), ()),
    "behind the main table": ((rule(32800, action=BLACKHOLE),), ()),
    "a user's": ((rule(10, action=BLACKHOLE, partly=True),), ()),
    "what is thrown back": ((rule(10, table=77),), (way("10.5.0.0/16", 77, kind=9),)),
    "a passed-over default route": ((rule(10, table=77, suppressed=0),), (way("0.0.0.0/0", 77),)),
}


@pytest.mark.parametrize("host", HARMLESS)
def test_what_common_hosts_have_is_not_warned_of(host: str) -> None:
    rules, routes = HARMLESS[host]
    assert warnings(*rules, routes=routes) == []


TAKEN = {
    "everything": (rule(10, action=BLACKHOLE), (), "to 10.5.0.0/24, to 10.7.0.0/24, that the default route is for"),
    "the guests": (rule(10, action=UNREACHABLE, source="10.5.0.0/24"), (), "from 10.5.0.0/24"),
    "one guest": (rule(10, action=UNREACHABLE, destination="10.5.0.2/32"), (), "to 10.5.0.0/24"),
    "the network": (rule(10, table=77), (way("10.5.0.0/16", 77),), "to 10.5.0.0/24"),
    "what is sent there": (
        rule(10, table=77, destination="10.0.0.0/8"),
        (way("0.0.0.0/0", 77),),
        "to 10.5.0.0/24, to 10.7.0.0/24",
    ),
    "what guests send": (rule(10, table=77, source="10.5.0.0/24"), (way("0.0.0.0/0", 77),), "from 10.5.0.0/24"),
}


@pytest.mark.parametrize("what", TAKEN)
def test_a_rule_that_takes_the_documents_packets_is_named(what: str) -> None:
    taker, routes, words = TAKEN[what]
    (warning,) = warnings(taker, routes=routes)
    assert "the policy rule 10 of IPv4" in warning
    assert f"takes packets {words} before" in warning


def test_a_vpn_for_all_takes_the_default_route_but_not_the_networks() -> None:
    rules = rule(32764, table=MAIN, suppressed=0), rule(32765, table=VPN, mark=0xCA6C, inverted=True)
    (warning,) = warnings(*rules, routes=(way("0.0.0.0/0", VPN),))
    assert "takes packets that the default route is for before" in warning
    assert "not from all fwmark 0xca6c lookup 51820" in warning


@pytest.mark.parametrize(("table", "name"), [(MAIN, "main"), (LOCAL, "local")])
def test_the_kernels_own_rule_that_is_gone_is_missed(table: int, name: str) -> None:
    (warning,) = warnings(without=table)
    assert f"no policy rule leads IPv4 packets to the table {name}" in warning
