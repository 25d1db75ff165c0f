# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of guests as rules: which chains, in which order, and nothing where nothing is said."""

from __future__ import annotations

from typing import Dict, List, Optional

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils.firewall import (
    FirewallWant,
    GuestNetwork,
    SwitchPolicy,
    Tables,
    changes,
    families,
)
from ansible_collections.hostwire.linux.plugins.module_utils.firewall.difference import applicable
from ansible_collections.hostwire.linux.plugins.module_utils.firewall.rendering import render
from ansible_collections.hostwire.linux.plugins.module_utils.firewall.tables import target_of
from ansible_collections.hostwire.linux.plugins.module_utils.model import Bridge, GuestPolicy, Masquerade, Topology
from ansible_collections.hostwire.linux.plugins.module_utils.plan.firewall import firewall_wants

NEW = "-m conntrack ! --ctstate RELATED,ESTABLISHED"
WANT = FirewallWant("main", switches=(SwitchPolicy("br0", False, False, False, False), SwitchPolicy("br1")))


def bridged_raw(want: FirewallWant, bridged: bool) -> List[str]:
    chain = render(want, 4, bridged).chains.get(("raw", "HOSTWIRE-BRIDGED"), ())
    return [rule.line.partition(" -m comment")[0] + rule.line.rpartition('"')[2] for rule in chain]


def rules(want: FirewallWant, family: int = 4, bridged: bool = False) -> Dict[str, List[str]]:
    """The rules of each chain of filter without chain and comment."""
    found: Dict[str, List[str]] = {}
    for (table, chain), lines in render(want, family, bridged).chains.items():
        if chain == "HOSTWIRE-BRIDGED":
            continue
        assert table == "filter"
        texts = [rule.line.partition(" -m comment")[0] + rule.line.rpartition('"')[2] for rule in lines]
        found[chain] = [text.partition(f"-A {chain} ")[2] for text in texts]
    return found


def test_each_closed_direction_is_one_rule_about_new_connections() -> None:
    assert rules(WANT) == {
        "HW-INPUT-main": [f"-i br0 {NEW} -j DROP"],
        "HW-OUTPUT-main": [
            "-o br0 -p udp -m udp --sport 67 --dport 68 -j RETURN",
            f"-o br0 {NEW},DNAT -j DROP",
        ],
        "HW-CLOSED-main": [
            f"-i br0 ! -o br0 {NEW} -j DROP",
            f"! -i br0 -o br0 {NEW} -j DROP",
            f"-i br0 -o br0 {NEW},DNAT -j DROP",
        ],
        "HW-ACCEPT-main": ["-i br0 -o br0 -j ACCEPT", "-i br1 -o br1 -j ACCEPT"],
        "HOSTWIRE-FORWARD": ["-j HW-ACCEPT-main"],
        "HOSTWIRE-CLOSED": ["-j HW-CLOSED-main"],
        "HOSTWIRE-INPUT": ["-j HW-INPUT-main"],
        "HOSTWIRE-OUTPUT": ["-j HW-OUTPUT-main"],
    }


def test_ipv6_lets_neighbours_and_routers_be_discovered() -> None:
    discovery = "-p ipv6-icmp -m conntrack --ctstate UNTRACKED -j RETURN"
    found = rules(WANT, 6)
    assert found["HW-INPUT-main"][0] == f"-i br0 {discovery}"
    assert found["HW-OUTPUT-main"][:2] == [
        f"-o br0 {discovery}",
        "-o br0 -p udp -m udp --sport 547 --dport 546 -j RETURN",
    ]


def test_hazard_32_frames_that_the_bridge_lets_pass_are_not_dropped_as_hairpins() -> None:
    assert rules(WANT, bridged=True)["HW-CLOSED-main"][2:] == [
        "-i br0 -o br0 -m physdev --physdev-is-bridged -j RETURN",
        f"-i br0 -o br0 {NEW},DNAT -j DROP",
    ]


def test_hazard_32_other_documents_hide_nothing_from_frames_within_a_closed_switch() -> None:
    assert bridged_raw(WANT, True) == ["-A HOSTWIRE-BRIDGED -i br0 -j ACCEPT"]
    assert bridged_raw(WANT, False) == []  # no frame of a bridge comes by there
    for direction in ("to_host", "from_host", "outside"):
        open_there = WANT.switches[0]._replace(**{direction: True})
        assert bridged_raw(WANT._replace(switches=(open_there,)), True) == []
    assert bridged_raw(WANT._replace(guests=(GuestNetwork("br0", ("10.0.2.0/24",)),)), True) == []


def test_hazard_32_frames_within_a_switch_keep_their_source() -> None:
    masqueraded = WANT._replace(masquerade=(Masquerade(None, "100.64.0.0/24", "br0"),))
    untouched = "-A HW-SNAT-main -m physdev --physdev-is-bridged -j RETURN"
    for bridged in (False, True):
        rules = render(masqueraded, 4, bridged).chains["nat", "HW-SNAT-main"]
        texts = [rule.line.partition(" -m comment")[0] + rule.line.rpartition('"')[2] for rule in rules]
        assert (texts[0] == untouched) is bridged
        assert texts[-1] == "-A HW-SNAT-main -s 100.64.0.0/24 ! -o br0 -j MASQUERADE"


@pytest.mark.parametrize("field", GuestPolicy._fields)
def test_a_direction_that_is_open_has_no_rule(field: str) -> None:
    switch = SwitchPolicy("br0")
    nothing_closed = rules(FirewallWant("main", switches=(switch,)))
    assert set(nothing_closed) == {"HOSTWIRE-FORWARD", "HW-ACCEPT-main"}
    one_closed = rules(FirewallWant("main", switches=(switch._replace(**{field: False}),)))
    drops = [rule for lines in one_closed.values() for rule in lines if rule.endswith("DROP")]
    assert len(drops) == (2 if field == "outside" else 1)


def test_a_guest_network_needs_both_families() -> None:
    assert families(FirewallWant("main", switches=(SwitchPolicy("br0"),))) == (4, 6)


def test_a_network_with_addresses_is_not_opened_twice() -> None:
    want = FirewallWant("main", guests=(GuestNetwork("br0", ("10.0.2.0/24",)),), switches=(SwitchPolicy("br0"),))
    assert rules(want)["HW-ACCEPT-main"].count("-i br0 -o br0 -j ACCEPT") == 1


def test_the_document_says_of_which_switches() -> None:
    closed = GuestPolicy(outside=False)
    topology = Topology(bridges=(Bridge("br0", guests=closed), Bridge("br1", addresses=("10.0.2.1/24",))))
    wants = firewall_wants(topology)
    assert list(wants) == [None]
    assert wants[None].switches == (SwitchPolicy("br0", outside=False),)
    assert firewall_wants(topology._replace(bridges=topology.bridges[1:])) == {}


def applied(there: Dict[str, List[str]], text: str) -> Dict[str, List[str]]:
    """The table filter after a restore with --noflush, as iptables-save would print it."""
    chains = {"INPUT": [], "FORWARD": [], "OUTPUT": [], **{name: list(lines) for name, lines in there.items()}}
    for line in text.splitlines():
        word, _space, rest = line.partition(" ")
        chain = rest.partition(" ")[0]
        if line.startswith(":"):
            chains[word[1:]] = []
        elif word == "-A":
            chains[chain].append(line)
        elif word == "-I":
            chains[chain].insert(0, f"-A {rest}")
        elif word == "-D":
            chains[chain].remove(f"-A {rest}")
        elif word == "-X":
            del chains[rest]
    return chains


def run(want: Optional[FirewallWant], owner: str, there: Dict[str, List[str]]) -> Dict[str, List[str]]:
    """What is there after a document came, or with None went; a second time there is nothing to do."""
    for swap in changes(Tables(None, "nft", {("nft", 4): {"filter": there}}), want, None, owner, None).swaps:
        there = applied(there, swap.text)
    assert changes(Tables(None, "nft", {("nft", 4): {"filter": there}}), want, None, owner, None).swaps == ()
    return there


def heads(there: Dict[str, List[str]]) -> Dict[str, List[str]]:
    return {chain: [target_of(line) for line in there[chain]] for chain in ("INPUT", "FORWARD", "OUTPUT")}


HEADS = {
    "INPUT": ["HOSTWIRE-INPUT"],
    "FORWARD": ["HOSTWIRE-CLOSED", "HOSTWIRE-FORWARD"],
    "OUTPUT": ["HOSTWIRE-OUTPUT"],
}
PLAIN = FirewallWant("plain", guests=(GuestNetwork("br9", ("10.9.0.0/24",)),))


def test_two_documents_share_one_jump_from_each_built_in_chain_and_leave_each_others_rules() -> None:
    there = run(WANT._replace(owner="other"), "other", run(WANT, "main", {}))
    assert heads(there) == HEADS
    assert len(there["HOSTWIRE-INPUT"]) == 2
    there = run(None, "main", there)
    assert heads(there) == HEADS
    assert not [chain for chain in there if chain.endswith("-main")]
    assert run(None, "other", there) == {"INPUT": [], "FORWARD": [], "OUTPUT": []}


def test_what_is_closed_stays_ahead_of_what_others_open() -> None:
    there = run(WANT, "main", {})
    there["DOCKER-FORWARD"] = ["-A DOCKER-FORWARD -i docker0 -j ACCEPT"]
    for opening in ("-A FORWARD -i docker0 ! -o docker0 -j ACCEPT", "-A FORWARD -j DOCKER-FORWARD"):
        there["FORWARD"].insert(0, opening)
        there = run(WANT, "main", there)
        assert there["FORWARD"].index(opening) == 1
        assert target_of(there["FORWARD"][0]) == "HOSTWIRE-CLOSED"


def test_what_opens_nothing_may_stand_ahead_of_what_is_closed() -> None:
    there = run(WANT, "main", {})
    there["DOCKER-USER"] = ["-A DOCKER-USER -j ACCEPT"]  # an administrator's own word; dockerd puts it first
    there["f2b-sshd"] = ["-A f2b-sshd -s 192.0.2.1/32 -j REJECT", "-A f2b-sshd -j RETURN"]
    there["FORWARD"].insert(0, "-A FORWARD -j DOCKER-USER")
    there["INPUT"][:0] = ["-A INPUT -p tcp -j f2b-sshd", "-A INPUT -s 192.0.2.2/32 -j DROP"]
    assert run(WANT, "main", there) == there
    there["f2b-sshd"].insert(0, "-A f2b-sshd -s 192.0.2.3/32 -j ACCEPT")
    assert run(WANT, "main", there)["INPUT"][1:] == there["INPUT"][:2]


def test_what_is_closed_stays_ahead_of_a_document_that_comes_later_or_comes_back() -> None:
    closed = FirewallWant("main", switches=(SwitchPolicy("br0", outside=False),))
    there = run(PLAIN, "plain", run(closed, "main", {}))
    assert heads(there)["FORWARD"] == ["HOSTWIRE-CLOSED", "HOSTWIRE-FORWARD"]
    there["FORWARD"] = [line for line in there["FORWARD"] if target_of(line) != "HOSTWIRE-FORWARD"]
    there = run(PLAIN, "plain", there)
    assert heads(there)["FORWARD"] == ["HOSTWIRE-CLOSED", "HOSTWIRE-FORWARD"]


def test_a_document_without_guests_leaves_its_jump_where_others_left_it() -> None:
    there = run(PLAIN, "plain", {})
    there["FORWARD"].insert(0, "-A FORWARD -j DOCKER-FORWARD")
    assert run(PLAIN, "plain", there) == there


def test_a_jump_that_was_moved_is_put_back_by_the_undo() -> None:
    there = run(WANT, "main", {})
    there["FORWARD"].insert(0, "-A FORWARD -j ACCEPT")
    (swap,) = changes(Tables(None, "nft", {("nft", 4): {"filter": there}}), WANT, None, "main", None).swaps
    moved = applied(there, swap.text)
    for state in (moved, there):  # after the move, and where it was never made
        undone = applied(state, applicable(swap.undo, {"filter": state}))
        assert sorted(undone["FORWARD"]) == sorted(there["FORWARD"])
        assert undone == {**there, "FORWARD": undone["FORWARD"]}
