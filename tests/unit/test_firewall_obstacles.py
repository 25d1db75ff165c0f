# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether others' rules surely keep a packet away: as libvirt, ufw, firewalld, Docker and administrators write them."""

from __future__ import annotations

import json
from typing import Any, Dict, List, Optional

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils.firewall import iptables_rules, nft_rules
from ansible_collections.hostwire.linux.plugins.module_utils.firewall.obstacles import obstacle
from ansible_collections.hostwire.linux.plugins.module_utils.firewall.others import may_drop
from ansible_collections.hostwire.linux.plugins.module_utils.firewall.packet import Packet
from ansible_collections.hostwire.linux.plugins.module_utils.firewall.tables import parse

OPEN = '-A FORWARD -m comment --comment "hostwire:-:0123456789" -j HOSTWIRE-OPEN'
OURS = """:HOSTWIRE-OPEN - [0:0]
-A HOSTWIRE-OPEN -m conntrack --ctstate DNAT -m comment --comment "hostwire:-:0123456788" -j ACCEPT
"""
LIBVIRT = """
:LIBVIRT_FWI - [0:0]
:LIBVIRT_FWO - [0:0]
:LIBVIRT_FWX - [0:0]
-A FORWARD -j LIBVIRT_FWX
-A FORWARD -j LIBVIRT_FWI
-A FORWARD -j LIBVIRT_FWO
-A LIBVIRT_FWI -d 192.168.122.0/24 -o virbr0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A LIBVIRT_FWI -o virbr0 -j REJECT --reject-with icmp-port-unreachable
-A LIBVIRT_FWO -s 192.168.122.0/24 -i virbr0 -j ACCEPT
-A LIBVIRT_FWO -i virbr0 -j REJECT --reject-with icmp-port-unreachable
-A LIBVIRT_FWX -i virbr0 -o virbr0 -j ACCEPT
"""
UFW = """
:ufw-before-forward - [0:0]
:ufw-user-forward - [0:0]
:ufw-reject-forward - [0:0]
:ufw-skip-to-policy-forward - [0:0]
-A FORWARD -j ufw-before-forward
-A FORWARD -j ufw-reject-forward
-A ufw-before-forward -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A ufw-before-forward -p icmp -m icmp --icmp-type 8 -j ACCEPT
-A ufw-before-forward -j ufw-user-forward
"""
DOCKER = """
:DOCKER - [0:0]
:DOCKER-USER - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
:DOCKER-ISOLATION-STAGE-2 - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-ISOLATION-STAGE-1
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 443 -j ACCEPT
-A DOCKER ! -i docker0 -o docker0 -j DROP
-A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
-A DOCKER-USER -j RETURN
"""
FIREWALLD = """
:FORWARD_IN_ZONES - [0:0]
:FWDI_public - [0:0]
-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED,DNAT -j ACCEPT
-A FORWARD -i lo -j ACCEPT
-A FORWARD -j FORWARD_IN_ZONES
-A FORWARD -m conntrack --ctstate INVALID -j DROP
-A FORWARD -j REJECT --reject-with icmp-host-prohibited
-A FORWARD_IN_ZONES -g FWDI_public
-A FWDI_public -p icmp -j ACCEPT
"""
GUEST = Packet(
    4, "eth0", frozenset({"virbr0", "lo"}), "virbr0", None, "192.168.122.9", "tcp", (22, 22), (2222, 2222), True
)
OUT = Packet(4, "v-net-0", to="eth0", source="192.168.15.0/24")


def filters(text: str, end: str = f"{OPEN}\n{OURS}") -> Dict[str, List[str]]:
    return parse(f"*filter\n:FORWARD DROP [0:0]\n{text}{end}COMMIT\n")["filter"]


def name(chains: Dict[str, List[str]], packet: Packet) -> Optional[str]:
    """The chain of the rule that shuts the way."""
    found = obstacle(iptables_rules.wall(chains, "filter"), packet)
    return found.where if found else None


@pytest.mark.parametrize(
    ("text", "packet", "shut_by"),
    [
        (LIBVIRT, GUEST, "LIBVIRT_FWI"),
        (LIBVIRT, GUEST._replace(by=None), "LIBVIRT_FWI"),
        (LIBVIRT, GUEST._replace(to="v-net-0", destination="192.168.15.2"), None),
        (LIBVIRT, OUT, None),
        (LIBVIRT, OUT._replace(by="virbr0"), "LIBVIRT_FWO"),
        (UFW, GUEST, None),
        (UFW + "-A ufw-reject-forward -j REJECT --reject-with icmp-port-unreachable\n", GUEST, "ufw-reject-forward"),
        (UFW + "-A ufw-user-forward -p tcp --dport 22 -d 192.168.122.9/32 -j ACCEPT\n" + LIBVIRT, GUEST, None),
        (UFW + "-A ufw-user-forward -j ufw-skip-to-policy-forward\n"
         "-A ufw-skip-to-policy-forward -j DROP\n", GUEST, "ufw-skip-to-policy-forward"),
        (DOCKER, GUEST._replace(to="v-net-0"), None),
        (DOCKER, GUEST._replace(to="docker0", destination="172.17.0.2"), "DOCKER"),
        (DOCKER, GUEST._replace(to="docker0", destination="172.17.0.2", ports=(443, 443)), None),
        (DOCKER, OUT, None),
        (FIREWALLD, GUEST, None),
        (FIREWALLD, OUT, None),  # icmp is let out, and of what protocol a guest is to be isn't said
        (FIREWALLD, OUT._replace(protocol="tcp"), "FORWARD"),
        ("-A FORWARD -j REJECT --reject-with icmp-host-prohibited\n", GUEST, "FORWARD"),
        ("-A FORWARD -j REJECT --reject-with icmp-host-prohibited\n", OUT, "FORWARD"),
        ("-A FORWARD -s 10.0.0.0/8 -j ACCEPT\n-A FORWARD -j DROP\n", GUEST, None),
        ("-A FORWARD -m set --match-set bad src -j DROP\n", GUEST, None),
        ("-A FORWARD -m rpfilter --invert -j DROP\n", GUEST, None),
        ("-A FORWARD -m socket -j DROP\n", GUEST, None),
        ('-A FORWARD -o virbr0 -m comment --comment "-j ACCEPT, not" -j DROP\n', GUEST, "FORWARD"),
        ("-A FORWARD ! -o virbr+ -j DROP\n", GUEST, None),
        ("-A FORWARD -o virbr+ -j LOG\n-A FORWARD -o virbr+ -j DROP\n", GUEST, "FORWARD"),
        ("-A FORWARD -p tcp -m multiport --dports 1:21,23 -j DROP\n", GUEST, None),
        ("-A FORWARD -p tcp -m multiport ! --dports 80,443 -j DROP\n", GUEST, "FORWARD"),
        ("-A FORWARD -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j DROP\n", GUEST, "FORWARD"),
        ("-A FORWARD -p tcp -m conntrack --ctorigdstport 2222 -j DROP\n", GUEST, "FORWARD"),
        ("-A FORWARD -i eth1 -j DROP\n", GUEST, None),
        ("-A FORWARD -j NFQUEUE --queue-num 0\n-A FORWARD -j DROP\n", GUEST, None),
    ],
)  # fmt: skip
def test_only_what_surely_drops_is_an_obstacle(text: str, packet: Packet, shut_by: Optional[str]) -> None:
    found = name(filters(text), packet)
    assert found == (None if shut_by is None else f"chain {shut_by} (iptables, FORWARD)")


def test_only_rules_before_our_openings_count() -> None:
    reject = "-A FORWARD -j REJECT\n"
    assert name(filters(reject), GUEST) is not None
    assert name(filters("", f"{OPEN}\n{reject}{OURS}"), GUEST) is None
    guard = '-A FORWARD -m comment --comment "hostwire:-:0123456787" -j HOSTWIRE-GUARD\n'
    closed = '-A HOSTWIRE-GUARD -m comment --comment "hostwire:-:0123456786" -j DROP\n'
    assert name(filters(f":HOSTWIRE-GUARD - [0:0]\n{guard}{reject}{closed}"), GUEST) is not None


def test_a_return_that_may_be_makes_what_follows_uncertain() -> None:
    chain = ":X - [0:0]\n-A FORWARD -j X\n-A X -m mark --mark 0x1 -j RETURN\n-A X -j DROP\n"
    assert name(filters(chain), GUEST) is None
    assert name(filters(f"{chain}-A FORWARD -j DROP\n"), GUEST) == "chain FORWARD (iptables, FORWARD)"


def test_chains_that_lead_to_each_other_are_walked_to_an_end() -> None:
    text = ":A - [0:0]\n:B - [0:0]\n-A FORWARD -j A\n-A A -j B\n-A B -g A\n"
    assert name(filters(text), GUEST) is None


def test_a_quick_look_tells_where_nobody_drops() -> None:
    assert may_drop(filters(LIBVIRT))
    assert not may_drop(filters(UFW))
    assert not may_drop(filters(":X - [0:0]\n-A X -j DROP\n"))


def table(*rules: List[Any], policy: str = "accept", family: str = "inet", more: Any = ()) -> str:
    base = {"family": family, "table": "t"}
    chain = {**base, "name": "f", "type": "filter", "hook": "forward", "prio": 0, "policy": policy}
    listed = [{"metainfo": {}}, {"table": {"family": family, "name": "t"}}, {"chain": chain}, *more]
    listed += [
        {"chain": {**base, "name": "x"}},
        {"rule": {**base, "chain": "x", "handle": 9, "expr": [{"drop": None}]}},
    ]
    listed += [{"rule": {**base, "chain": "f", "handle": n, "expr": expr}} for n, expr in enumerate(rules, 1)]
    return json.dumps({"nftables": listed})


def match(left: Any, right: Any, op: str = "==") -> Dict[str, Any]:
    return {"match": {"op": op, "left": left, "right": right}}


def meta(key: str) -> Dict[str, Any]:
    return {"meta": {"key": key}}


def payload(protocol: str, field: str) -> Dict[str, Any]:
    return {"payload": {"protocol": protocol, "field": field}}


STATE, STATUS = {"ct": {"key": "state"}}, {"ct": {"key": "status"}}
DROPPED, ACCEPTED = {"drop": None}, {"accept": None}
FIREWALLD_NFT = (
    [match(STATE, {"set": ["established", "related"]}), ACCEPTED],
    [match(STATUS, "dnat", "in"), ACCEPTED],
    [{"reject": {"type": "icmpx", "expr": "admin-prohibited"}}],
)
SET = {"set": {"family": "inet", "table": "t", "name": "s", "type": "ipv4_addr", "elem": [
    {"prefix": {"addr": "10.0.0.0", "len": 8}}, {"range": ["192.168.122.1", "192.168.122.20"]},
]}}  # fmt: skip
MAP = {"map": {"family": "inet", "table": "t", "name": "m", "map": "verdict", "elem": [
    ["eth7", {"accept": None}], ["virbr0", {"jump": {"target": "x"}}],
]}}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "packet", "shut_by"),
    [
        (table(*FIREWALLD_NFT), GUEST, None),
        (table(*FIREWALLD_NFT), OUT, "the rule with handle 3 (reject)"),
        (table(policy="drop"), GUEST, "the policy drop"),
        (table([match(STATE, ["established", "related"], "in"), ACCEPTED], policy="drop"), GUEST, "the policy drop"),
        (table([match({"meta": {"key": "mark"}}, 5), ACCEPTED], policy="drop"), GUEST, None),
        (table([match(meta("oifname"), {"set": ["a", "virbr*"]}), {"counter": {}}, DROPPED]), GUEST, "handle 1"),
        (table([match(meta("iif"), "eth0", "!="), DROPPED]), GUEST, None),
        (table([match(payload("ip", "daddr"), "@s"), DROPPED], more=[SET]), GUEST, "handle 1"),
        (table([match(payload("ip", "daddr"), "@gone"), DROPPED]), GUEST, None),
        (table([match(payload("ip6", "daddr"), "::1", "!="), DROPPED]), GUEST, None),
        (table([match(payload("tcp", "dport"), {"set": [80, {"range": [20, 30]}]}), DROPPED]), GUEST, "handle 1"),
        (table([match(payload("udp", "dport"), 22), DROPPED]), GUEST, None),
        (table([match(payload("tcp", "dport"), 1024, ">="), DROPPED]), GUEST, None),
        (table([{"vmap": {"key": meta("oifname"), "data": "@m"}}], more=[MAP]), GUEST, "the rule with handle 9 (drop)"),
        (table([{"vmap": {"key": STATE, "data": {"set": [["new", {"goto": {"target": "x"}}]]}}}]), GUEST, "handle 9"),
        (table([match(STATE, ["established", "related"], "!"), DROPPED]), GUEST, "handle 1"),
        (table([{"limit": {"rate": 5, "per": "second"}}, DROPPED]), GUEST, None),
        (table([{"xt": {"type": "match", "name": "devgroup"}}, DROPPED]), GUEST, None),
        (table([match({"concat": [payload("ip", "daddr")]}, "x"), DROPPED]), GUEST, None),
        (table([DROPPED], family="ip6"), GUEST, None),
        ("no JSON at all", GUEST, None),
        (json.dumps({"nftables": [{"chain": {"name": "f"}}, {"rule": 5}]}), GUEST, None),
    ],
)
def test_tables_of_nftables_are_understood_as_far_as_they_are_certain(
    text: str, packet: Packet, shut_by: Optional[str]
) -> None:
    found = [obstacle(wall, packet) for wall in nft_rules.walls(text, 4)]
    shut = [one for one in found if one is not None]
    assert bool(shut) == (shut_by is not None)
    for one in shut:
        assert shut_by is not None
        assert shut_by in one.what
        assert one.where.startswith("table inet t, chain ")
