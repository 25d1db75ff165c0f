# SPDX-License-Identifier: GPL-3.0-or-later
"""Several documents in chains that they share, and their way over from chains that earlier versions wrote."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.hostwire.linux.plugins.module_utils.firewall import (
    FirewallWant,
    GuestNetwork,
    SwitchPolicy,
    Tables,
    changes,
    outcome,
)
from ansible_collections.hostwire.linux.plugins.module_utils.firewall.difference import applicable
from ansible_collections.hostwire.linux.plugins.module_utils.firewall.tables import Ruleset, parse, target_of
from ansible_collections.hostwire.linux.plugins.module_utils.model import Masquerade, PublishedPort

Rulesets = Dict[int, Ruleset]

BUILT_IN = {
    "raw": ("PREROUTING", "OUTPUT"),
    "mangle": ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"),
    "filter": ("INPUT", "FORWARD", "OUTPUT"),
    "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
}
ONE = FirewallWant(
    "one",
    guests=(GuestNetwork("v-net-0", ("192.168.15.0/24", "fd00:15::/64")),),
    named=("v-net-0", "eth0"),
    masquerade=(Masquerade(None, "192.168.15.0/24", ("v-net-0",)),),
    published_ports=(PublishedPort(None, "tcp", 8080, 8080, "any", "192.168.15.2", 80),),
    let_through=("192.168.15.0/24", "10.9.0.0/24"),
    forwarding=(4,),
    guard=(4,),
)
TWO = FirewallWant(
    "two",
    guests=(GuestNetwork("v-net-1", ("192.168.16.0/24", "fd00:16::/64")),),
    named=("v-net-1",),
    masquerade=(Masquerade(None, "192.168.16.0/24", ("v-net-1",)),),
    published_ports=(PublishedPort(None, "udp", 53, 53, "any", "192.168.16.2", 53),),
    forwarding=(4,),
    guard=(4,),
    switches=(SwitchPolicy("v-net-1", to_host=False, among=False, services=("dhcp",)),),
)
THREE = FirewallWant("three", masquerade=(Masquerade(None, "10.0.0.0/8"),))
FOUR = FirewallWant("four", switches=(SwitchPolicy("br0", from_host=False, outside=False),))


def empty() -> Rulesets:
    return {family: {table: {chain: [] for chain in chains} for table, chains in BUILT_IN.items()} for family in (4, 6)}


def tables(there: Rulesets) -> Tables:
    return Tables(None, "nft", {("nft", family): ruleset for family, ruleset in there.items()}, bridged=True)


def run(there: Rulesets, want: Optional[FirewallWant], owner: str) -> Rulesets:
    """What is there after a document came, changed or (None) went; it can be undone, and a second run does nothing."""
    change = changes(tables(there), want, None, owner, None)
    after = dict(there)
    for swap in change.swaps:
        after[swap.family] = outcome(there[swap.family], swap.text)
        for state in (after[swap.family], there[swap.family]):  # after the change, and where it was never made
            undone = outcome(state, applicable(swap.undo, state))
            assert sets({0: undone}) == sets({0: there[swap.family]})
    assert changes(tables(after), want, want, owner, None).swaps == ()
    return after


def sets(there: Rulesets) -> Dict[Tuple[int, str, str], List[str]]:
    """The same whatever the order of jumps in built-in chains is."""
    return {
        (family, table, chain): sorted(lines) if chain in BUILT_IN[table] else lines
        for family, ruleset in there.items()
        for table, chains in ruleset.items()
        for chain, lines in chains.items()
    }


def come(there: Rulesets, wants: Sequence[FirewallWant]) -> Rulesets:
    for want in wants:
        there = run(there, want, want.owner)
    return there


@pytest.mark.parametrize("order", [*itertools.permutations((ONE, TWO, THREE, FOUR))])
def test_documents_in_any_order_give_the_same_chains(order: Tuple[FirewallWant, ...]) -> None:
    there = come(empty(), order)
    assert sets(there) == sets(come(empty(), (ONE, TWO, THREE, FOUR)))
    for want in order:  # each has nothing to do whoever came after it
        assert changes(tables(there), want, want, want.owner, None).swaps == ()


@settings(max_examples=30, deadline=None)
@given(st.permutations((ONE, TWO, THREE, FOUR)), st.permutations((ONE, TWO, THREE, FOUR)))
def test_one_that_goes_leaves_what_the_others_have_and_the_last_leaves_nothing(
    coming: List[FirewallWant], going: List[FirewallWant]
) -> None:
    there = come(empty(), coming)
    for number, want in enumerate(going, 1):
        there = run(there, None, want.owner)
        assert sets(there) == sets(come(empty(), going[number:]))
    assert there == empty()


def test_others_rules_stay_as_they_are_whatever_comes_and_goes() -> None:
    there = empty()
    there[4]["filter"]["FORWARD"] = ["-A FORWARD -i docker0 ! -o docker0 -j ACCEPT", "-A FORWARD -j DOCKER-USER"]
    there[4]["filter"]["DOCKER-USER"] = ["-A DOCKER-USER -j RETURN"]
    there[4]["mangle"]["FORWARD"] = ["-A FORWARD -j TCPMSS --clamp-mss-to-pmtu"]
    after = come(there, (ONE, TWO))
    assert after[4]["filter"]["FORWARD"][:2] == there[4]["filter"]["FORWARD"]
    for want in (ONE, TWO):
        after = run(after, None, want.owner)
    assert after == there


def earlier() -> Rulesets:
    """What an earlier version wrote for ``one`` and ``two``, as iptables-save prints it."""
    place = Path(__file__).parent / "firewall_rules"
    found = {}
    for family, program in ((4, "iptables"), (6, "ip6tables")):
        found[family] = parse((place / f"earlier.{program}").read_text(encoding="ascii"))
        for table, chains in BUILT_IN.items():
            for chain in chains:
                found[family].setdefault(table, {}).setdefault(chain, [])
    return found


def of(owner: str, there: Rulesets) -> Dict[Tuple[int, str, str], List[str]]:
    """Everything that belongs to one document, wherever it stands."""
    found: Dict[Tuple[int, str, str], List[str]] = {}
    for key, lines in sets(there).items():
        mine = [line for line in lines if f'"hostwire:{owner}:' in line]
        if mine:
            found[key] = mine
    return found


OLD = ("HW-PROTECT-", "HW-ACCEPT-", "HW-CLOSED-", "HW-INPUT-", "HW-OUTPUT-", "HW-RAW-", "HW-DNAT-")


@pytest.mark.parametrize(("first", "second"), [(ONE, TWO), (TWO, ONE)], ids=["one first", "two first"])
def test_a_document_that_moves_over_leaves_the_other_as_it_was_and_the_second_leaves_nothing_of_the_old(
    first: FirewallWant, second: FirewallWant
) -> None:
    old = earlier()
    half = run(old, first, first.owner)
    assert of(second.owner, half) == of(second.owner, old)
    fresh = run(empty(), first, first.owner)
    assert of(first.owner, half) == of(first.owner, fresh)
    for ruleset in half.values():
        chains = {chain for table in ruleset.values() for chain in table}
        assert not {chain for chain in chains if chain.startswith(OLD) and chain.endswith(f"-{first.owner}")}
    for family in (4, 6):
        forward = [target_of(line) for line in half[family]["filter"]["FORWARD"]]
        assert forward[-1 if family == 6 else -2] == "HOSTWIRE-OPEN"
        # What protects the other one stands at the head still, its guard behind all that is opened.
        assert forward[0] in ("HOSTWIRE-CLOSED", "HOSTWIRE-FORWARD")
        assert forward.count("HOSTWIRE-GUARD") == (family == 4)
        assert forward[-1] == ("HOSTWIRE-GUARD" if family == 4 else "HOSTWIRE-OPEN")
    moved = run(half, second, second.owner)
    assert sets(moved) == sets(come(empty(), (first, second)))
    for want in (first, second):
        moved = run(moved, None, want.owner)
    assert moved == empty()


@pytest.mark.parametrize("owner", ["one", "two"])
def test_a_document_that_never_moved_over_can_still_go(owner: str) -> None:
    other = {"one": TWO, "two": ONE}[owner]
    old = earlier()
    gone = run(old, None, owner)
    assert of(owner, gone) == {}
    assert of(other.owner, gone) == of(other.owner, old)
    assert run(gone, None, other.owner) == empty()
    half = run(old, other, other.owner)
    assert sets(run(half, None, owner)) == sets(run(empty(), other, other.owner))
