# SPDX-License-Identifier: GPL-3.0-or-later
"""The difference between what is there and what is wanted, as transactions and as lines for a person."""

from __future__ import annotations

from typing import Dict, List, Optional

from ansible_collections.hostwire.linux.plugins.module_utils.firewall import FirewallWant, GuestNetwork, Tables, changes
from ansible_collections.hostwire.linux.plugins.module_utils.firewall.difference import (
    FirewallChange,
    Swap,
    applicable,
)
from ansible_collections.hostwire.linux.plugins.module_utils.firewall.shared import JUMPS
from ansible_collections.hostwire.linux.plugins.module_utils.firewall.tables import Ruleset, parse
from ansible_collections.hostwire.linux.plugins.module_utils.model import Masquerade, PublishedPort

WEB = PublishedPort(None, "tcp", 8080, 8080, "any", "192.168.15.2", 80)
WANT = FirewallWant(
    "main",
    guests=(GuestNetwork("v-net-0", ("192.168.15.0/24",)),),
    masquerade=(Masquerade(None, "192.168.15.0/24", ("v-net-0",)),),
    published_ports=(WEB,),
    guard=(4,),
)


def tables(ruleset: Optional[Ruleset] = None) -> Tables:
    return Tables(None, "nft", {("nft", 4): ruleset or {}})


def the_swap(change: FirewallChange) -> Swap:
    (swap,) = change.swaps
    return swap


def as_saved(text: str) -> Ruleset:
    """A restore input as iptables-save would print it: jumps appended, built-in chains listed."""
    listed: Dict[str, List[str]] = {}
    for jump in JUMPS:
        chains = listed.setdefault(jump.table, [])
        chains += [jump.parent] if jump.parent not in chains else []
    for table, chains in listed.items():
        text = text.replace(f"*{table}\n", f"*{table}\n" + "".join(f":{chain} ACCEPT [0:0]\n" for chain in chains))
    return parse(text.replace("\n-I ", "\n-A "))


def test_lines_tell_what_is_added_one_each() -> None:
    assert changes(tables(), WANT, None, "main", None).lines == (
        "host: protect guests on v-net-0: add",
        "host: guard IPv4 forwarding between interfaces that no document names: add",
        "host: publish tcp any:8080 -> 192.168.15.2:80: add",
        "host: masquerade 192.168.15.0/24 except to v-net-0: add",
    )


def test_what_is_as_wanted_needs_nothing() -> None:
    there = as_saved(the_swap(changes(tables(), WANT, None, "main", None)).text)
    assert changes(tables(there), WANT, WANT, "main", None) == FirewallChange()
    assert changes(tables(there), WANT, None, "main", None) == FirewallChange()


def test_one_more_port_is_the_only_line() -> None:
    there = as_saved(the_swap(changes(tables(), WANT, None, "main", None)).text)
    more = WANT._replace(published_ports=(WEB, WEB._replace(port=53, port_last=53, protocol="udp", to_port=53)))
    change = changes(tables(there), more, WANT, "main", None)
    assert change.lines == ("host: publish udp any:53 -> 192.168.15.2:53: add",)
    assert the_swap(change).table == "nat"
    back = changes(
        tables(as_saved(the_swap(changes(tables(), more, None, "main", None)).text)), WANT, more, "main", None
    )
    assert back.lines == ("host: publish udp any:53 -> 192.168.15.2:53: remove",)


def test_a_removal_names_everything_that_goes_and_leaves_nothing() -> None:
    there = as_saved(the_swap(changes(tables(), WANT, None, "main", None)).text)
    change = changes(tables(there), None, WANT, "main", None)
    assert [line.rpartition(": ")[2] for line in change.lines] == ["remove"] * 4
    text = the_swap(change).text
    assert {line.split()[1] for line in text.splitlines() if line.startswith("-X")} == {
        chain for chains in there.values() for chain in chains if chain.startswith(("HW-", "HOSTWIRE-"))
    }
    assert changes(tables(), None, WANT, "main", None) == FirewallChange()


def test_hazard_34_protection_first_and_last() -> None:
    assert the_swap(changes(tables(), WANT, None, "main", None)).table == "mangle,raw,filter,nat"
    there = as_saved(the_swap(changes(tables(), WANT, None, "main", None)).text)
    assert the_swap(changes(tables(there), None, WANT, "main", None)).table == "nat,filter,raw,mangle"


def test_hazard_34_no_builtin_chain_is_declared() -> None:
    swap = the_swap(changes(tables(), WANT, None, "main", None))
    declared = [line for line in (swap.text + swap.undo).splitlines() if line.startswith(":")]
    assert declared
    assert all(line.startswith((":HW-", ":HOSTWIRE-")) for line in declared)


def test_two_wants_in_another_order_are_one() -> None:
    one = WANT._replace(published_ports=(WEB, WEB._replace(port=1, port_last=1)), named=("a", "b"), forwarding=(4,))
    other = one._replace(published_ports=one.published_ports[::-1], named=("b", "a"))
    assert changes(tables(), one, None, "main", None) == changes(tables(), other, None, "main", None)


def test_rules_in_the_backend_that_is_not_used_any_more_go_after_the_new_ones_stand() -> None:
    there = as_saved(the_swap(changes(tables(), WANT, None, "main", None)).text)
    both = Tables(None, "legacy", {("nft", 4): there, ("legacy", 4): {}})
    change = changes(both, WANT, WANT, "main", None)
    assert [(swap.backend, "-X HW-HAIRPIN-main" in swap.text) for swap in change.swaps] == [
        ("legacy", False),
        ("nft", True),
    ]


def test_an_undo_leaves_out_what_was_never_made() -> None:
    swap = the_swap(changes(tables(), WANT, None, "main", None))
    assert "-D FORWARD" in swap.undo
    nothing: Dict[str, Dict[str, list[str]]] = {}
    assert "-D " not in applicable(swap.undo, nothing)
    assert applicable(swap.undo, as_saved(swap.text)) == swap.undo


def test_foreign_rules_with_a_mark_like_ours_of_another_document_are_kept() -> None:
    there = as_saved(the_swap(changes(tables(), WANT._replace(owner="main2"), None, "main2", None)).text)
    change = changes(tables(there), None, WANT, "main", None)
    assert change == FirewallChange()


def test_what_is_everybodys_stands_in_mangle_and_filter_for_a_document_with_rules_in_one_of_them() -> None:
    """A masqueraded network has nothing of its own to open, and what lets its guests out stands all the same."""
    want = FirewallWant("main", guests=WANT.guests, masquerade=WANT.masquerade)
    text = the_swap(changes(tables(), want, None, "main", None)).text
    assert all(f"\n:{chain} " in text for chain in ("HOSTWIRE-CLOSE", "HOSTWIRE-HOST", "HOSTWIRE-OPEN"))
    guard = FirewallWant("main", forwarding=(4,), guard=(4,))
    assert "\n:HOSTWIRE-CLOSE " in the_swap(changes(tables(), guard, None, "main", None)).text
