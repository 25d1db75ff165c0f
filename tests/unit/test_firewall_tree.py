# SPDX-License-Identifier: GPL-3.0-or-later
"""Trees of chains: the same rule decides as in one long chain, and few are passed on the way to it."""

from __future__ import annotations

import ipaddress
import math
import re
from typing import Callable, Dict, List, NamedTuple, Optional, Tuple

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.hostwire.linux.plugins.module_utils.firewall import FirewallWant, GuestNetwork
from ansible_collections.hostwire.linux.plugins.module_utils.firewall.rendering import render
from ansible_collections.hostwire.linux.plugins.module_utils.firewall.shared import LEAVE, LEAVES, dispatch
from ansible_collections.hostwire.linux.plugins.module_utils.firewall.tree import FAN_OUT, Leaf, grow
from ansible_collections.hostwire.linux.plugins.module_utils.model import Masquerade, PublishedPort


class Walk(NamedTuple):
    """Where a packet ended, None if no rule decided, and how many rules it passed."""

    target: Optional[str]
    passed: int


def walk(chains: Dict[str, List[Tuple[str, str]]], chain: str, meets: Callable[[str], bool]) -> Walk:
    """Lead a packet through chains of (matches, target) as the kernel does."""
    passed = 0
    for matches, target in chains.get(chain, ()):
        passed += 1
        if not meets(matches):
            continue
        if target not in chains:
            return Walk(target, passed)
        inner = walk(chains, target, meets)
        passed += inner.passed
        if inner.target is not None:
            return Walk(inner.target, passed)
    return Walk(None, passed)


def meets_number(number: int) -> Callable[[str], bool]:
    def meets(matches: str) -> bool:
        first, _colon, last = matches.partition(":")
        return int(first) <= number <= int(last or first)

    return meets


_RANGES = st.lists(st.tuples(st.integers(1, 65535), st.sampled_from([0, 0, 0, 1, 9, 1000])), max_size=120)


def grown(leaves: List[Leaf]) -> Dict[str, List[Tuple[str, str]]]:
    chains: Dict[str, List[Tuple[str, str]]] = {}

    def add(chain: str, label: str, matches: str, target: str) -> None:
        chains.setdefault(chain, []).append((matches, target))

    grow(add, "top", leaves, lambda first, last: f"{first}:{last}")
    return chains


def leaf(first: int, last: int, name: str) -> Leaf:
    return Leaf(first, last, (("", f"{first}:{last}", name),))


@given(_RANGES)
def test_every_number_meets_the_rule_that_one_long_chain_would_have_decided_by(ranges: List[Tuple[int, int]]) -> None:
    leaves = [leaf(first, first + more, f"target {position}") for position, (first, more) in enumerate(ranges)]
    chains = grown(leaves)
    edges = {edge + step for each in leaves for edge in (each.first, each.last) for step in (-1, 0, 1)}
    for number in edges:
        flat = next((each.rules[0][2] for each in leaves if each.first <= number <= each.last), None)
        assert walk(chains, "top", meets_number(number)).target == flat


@given(st.sets(st.integers(1, 65535), max_size=400))
def test_few_rules_are_passed_however_many_there_are(numbers: set[int]) -> None:
    leaves = [leaf(number, number, str(number)) for number in sorted(numbers)]
    chains = grown(leaves)
    levels = max(1, math.ceil(math.log(max(len(leaves), 2), FAN_OUT) - 1e-9))
    for number in numbers:
        assert walk(chains, "top", meets_number(number)).passed <= FAN_OUT * levels
    assert all(len(rules) <= FAN_OUT for rules in chains.values())
    assert sum(len(rules) for rules in chains.values()) <= 2 * len(leaves) + FAN_OUT


def test_a_chain_that_is_short_has_no_branches() -> None:
    leaves = [leaf(number, number, str(number)) for number in range(FAN_OUT)]
    assert list(grown(leaves)) == ["top"]
    assert len(grown([*leaves, leaf(FAN_OUT, FAN_OUT, "one more")])) > 1


def test_a_thousand_overlapping_leaves_stay_in_the_order_in_which_they_are_given() -> None:
    leaves = [leaf(1, 65535, "all"), *(leaf(number, number, str(number)) for number in range(1, 1000))]
    assert walk(grown(leaves), "top", meets_number(7)).target == "all"
    assert walk(grown(leaves[::-1]), "top", meets_number(7)).target == "7"


_SUBNETS = st.tuples(st.integers(0, 255), st.integers(0, 255), st.sampled_from([12, 16, 20, 24, 28, 32])).map(
    lambda parts: str(ipaddress.ip_network(f"10.{parts[0]}.{parts[1]}.0/{parts[2]}", strict=False))
)


def nat_chains(want: FirewallWant) -> Dict[str, List[Tuple[str, str]]]:
    """Chains of nat as rendered, with the document's part of the shared ones."""
    found: Dict[str, List[Tuple[str, str]]] = {}
    rendered = render(want, 4)
    for part in (rendered.chains, rendered.parts):
        for (table, chain), rules in part.items():
            if table != "nat":
                continue
            for rule in rules:
                matches, target = rule.line.partition(f"-A {chain} ")[2].rsplit(" -j ", 1)
                found.setdefault(chain, []).append((matches, target))
    ahead = [dispatch(chain, 4).line.partition(" -s ")[2].rsplit(" -j ", 1) for chain in LEAVES if chain in found]
    found[LEAVE] = [*((f"-s {matches}", target) for matches, target in ahead), *found.get(LEAVE, [])]
    return found


def meets_packet(source: str, out: str, protocol: str = "tcp", port: int = 0, to: str = "") -> Callable[[str], bool]:
    """Whether a packet meets the matches of a rule, of those that nat's rules consist of."""
    values = {"-o": out, "-p": protocol}

    def meets(matches: str) -> bool:
        for negated, option, value in re.findall(r"(! )?(-s|-d|-o|-p|--dport) (\S+)", matches):
            if option in ("-s", "-d"):
                address = int(ipaddress.ip_address(source if option == "-s" else to))
                wanted, _slash, length = value.partition("/")
                mask = int(ipaddress.ip_address(length)) if "." in length else -1 << 32 - int(length or 32)
                true = address & mask == int(ipaddress.ip_address(wanted)) & mask
            elif option == "--dport":
                first, _colon, last = value.partition(":")
                true = int(first) <= port <= int(last or first)
            else:
                true = values[option] == value
            if true == bool(negated):
                return False
        return True

    return meets


@given(st.lists(_SUBNETS, unique=True, min_size=1, max_size=60), st.data())
def test_every_source_is_masqueraded_as_the_narrowest_entry_says(sources: List[str], drawn: st.DataObject) -> None:
    entries = tuple(
        Masquerade(None, source, (), f"203.0.113.{number}" if number else None) for number, source in enumerate(sources)
    )
    chains = nat_chains(FirewallWant("main", masquerade=entries))
    networks = [ipaddress.ip_network(source) for source in sources]
    inside = drawn.draw(st.sampled_from(networks))
    address = inside[drawn.draw(st.integers(0, inside.num_addresses - 1))]
    narrowest = max((net for net in networks if address in net), key=lambda net: net.prefixlen)
    number = networks.index(narrowest)
    expected = f"SNAT --to-source 203.0.113.{number}" if number else "MASQUERADE"
    away = meets_packet(str(address), "eth0", to="192.0.2.1")
    assert walk(chains, "HOSTWIRE-LEAVE", away).target == expected


@given(st.lists(st.tuples(st.integers(1, 60000), st.sampled_from([0, 0, 5, 300])), unique=True, max_size=80))
def test_every_published_port_leads_where_its_entry_says(ranges: List[Tuple[int, int]]) -> None:
    ports: List[PublishedPort] = []
    taken: set[int] = set()
    for number, (first, more) in enumerate(ranges):
        if not taken.intersection(range(first, first + more + 1)):
            taken.update(range(first, first + more + 1))
            ports.append(PublishedPort(None, "tcp", first, first + more, "any", f"10.0.{number}.2", first))
    guests = (GuestNetwork("br0", ("10.0.0.0/16",)),)
    chains = nat_chains(FirewallWant("main", guests=guests, published_ports=tuple(ports)))
    for port in ports:
        for number in (port.port, port.port_last):
            found = walk(chains, "HOSTWIRE-PORTS", meets_packet("192.0.2.9", "", port=number, to="192.0.2.1"))
            assert found.target == f"DNAT --to-destination {port.to_address}"
    assert walk(chains, "HOSTWIRE-PORTS", meets_packet("192.0.2.9", "", port=65535, to="192.0.2.1")).target is None
