# SPDX-License-Identifier: GPL-3.0-or-later
"""Chains that others write to, too: what a change did is taken back rule by rule, and nothing of theirs with it."""

from __future__ import annotations

import copy
from collections import Counter
from typing import Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.hostwire.linux.plugins.module_utils.firewall.chains import Chains, leading, led
from ansible_collections.hostwire.linux.plugins.module_utils.firewall.tables import Ruleset
from ansible_collections.hostwire.linux.tests.unit.test_docker_rules_repair import applied

RULES = [f"-A {{}} -s 10.0.0.{number}/32 -j DROP" for number in range(6)]
THEIRS = [f"-A {{}} -s 203.0.113.{number}/32 -j DROP" for number in range(3)]
CHAINS = (("filter", "FORWARD"), ("filter", "DOCKER"), ("nat", "POSTROUTING"), ("nat", "DOCKER"))


def lines(of: list[str]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(of), max_size=7).map(tuple)


def contents() -> st.SearchStrategy[Chains]:
    """What may stand in the chains; one that is built in is there always."""

    def chain(table: str, name: str) -> st.SearchStrategy[tuple[str, str, Optional[tuple[str, ...]]]]:
        filled = lines(RULES).map(lambda found: tuple(line.format(name) for line in found))
        maybe = st.one_of(st.none(), filled) if name == "DOCKER" else filled
        return maybe.map(lambda found: (table, name, found))

    return st.tuples(*(chain(table, name) for table, name in CHAINS))


def ruleset(chains: Chains) -> Ruleset:
    found: Ruleset = {"filter": {}, "nat": {}}
    for table, chain, rules in chains:
        if rules is not None:
            found[table][chain] = list(rules)
    return found


@given(before=contents(), after=contents())
def test_a_change_is_made_and_taken_back_to_the_letter(before: Chains, after: Chains) -> None:
    there = ruleset(before)
    done = applied(leading(there, before, after), there)
    assert done == led(there, before, after) == ruleset(after)
    assert leading(done, before, after) == ""
    assert applied(leading(done, after, before), done) == there
    assert leading(there, before=after, after=before) == ""


@given(before=contents(), after=contents(), tables=st.sampled_from([("filter",), ("nat",)]))
def test_a_change_of_which_one_table_was_made_is_finished_or_taken_back(
    before: Chains, after: Chains, tables: tuple[str, ...]
) -> None:
    half = {table: (ruleset(after) if table in tables else ruleset(before))[table] for table in ("filter", "nat")}
    assert applied(leading(half, before, after), half) == ruleset(after)
    assert applied(leading(half, after, before), half) == ruleset(before)


@given(before=contents(), after=contents(), data=st.data())
def test_what_others_put_among_the_rules_meanwhile_stays(before: Chains, after: Chains, data: st.DataObject) -> None:
    done = ruleset(after)
    theirs: dict[tuple[str, str], list[str]] = {}
    for table, chain, rules in after:
        if rules is not None:
            theirs[table, chain] = [line.format(chain) for line in data.draw(lines(THEIRS))]
            for line in theirs[table, chain]:
                done[table][chain].insert(data.draw(st.integers(0, len(done[table][chain]))), line)
    back = applied(leading(done, after, before), copy.deepcopy(done))
    assert leading(back, after, before) == ""
    for table, chain, rules in before:
        added = theirs.get((table, chain), [])
        left = back[table].get(chain, [])
        assert [line for line in left if line not in added] == list(rules or ())
        assert Counter(line for line in left if line in added) == Counter(added)


@given(before=contents(), after=contents(), data=st.data())
def test_what_a_change_left_alone_and_others_took_meanwhile_is_not_brought_back(
    before: Chains, after: Chains, data: st.DataObject
) -> None:
    done = ruleset(after)
    for chains in done.values():
        for rules in chains.values():
            for _number in range(data.draw(st.integers(0, 2))):
                if rules:
                    del rules[data.draw(st.integers(0, len(rules) - 1))]
    back = applied(leading(done, after, before), copy.deepcopy(done))
    assert leading(back, after, before) == ""
    for (table, chain, were), (_table, _chain, are) in zip(before, after):
        left = back[table].get(chain, [])
        for line in left:
            there, was, is_now = ((some or ()).count(line) for some in (done[table].get(chain), were, are))
            assert left.count(line) == there if was == is_now else left.count(line) <= max(there, was)


@pytest.mark.parametrize("taken", ["filter", "nat"])
def test_a_chain_that_somebody_else_took_meanwhile_is_not_made_again(taken: str) -> None:
    before: Chains = ((taken, "DOCKER", ("-A DOCKER -j RETURN",)),)
    after: Chains = ((taken, "DOCKER", ()),)
    assert leading({taken: {}}, after, before) == ""


def test_a_rule_of_ours_is_known_by_its_mark_in_whatever_form_the_kernel_shows_it() -> None:
    wrote = '-A HOSTWIRE-USER -p tcp --dport http -m comment --comment "hostwire:docker:0123456789" -j DROP'
    shown = '-A HOSTWIRE-USER -p tcp -m tcp --dport 80 -m comment --comment "hostwire:docker:0123456789" -j DROP'
    before: Chains = (("filter", "HOSTWIRE-USER", ()),)
    after: Chains = (("filter", "HOSTWIRE-USER", (wrote,)),)
    there = {"filter": {"HOSTWIRE-USER": [shown]}}
    assert leading(there, before, after) == ""
    assert leading(there, before=after, after=before) == "*filter\n:HOSTWIRE-USER - [0:0]\nCOMMIT\n"
