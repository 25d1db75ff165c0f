# SPDX-License-Identifier: GPL-3.0-or-later
"""From damaged rules of Docker back to right ones, and rules of our own beside them: all in one transaction."""

from __future__ import annotations

import copy
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.model import Engine
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.rules import Asked, Reading, read
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.rules.access import needs, parse, rendered
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.rules.run import Wish, _plan, _Situation
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.rules.transaction import Transaction
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.rules.unmanaged import (
    OwnRules,
    unmanaged,
    user_jump,
    user_rendered,
)
from ansible_collections.hostwire.linux.plugins.module_utils.errors import InvalidValue
from ansible_collections.hostwire.linux.plugins.module_utils.firewall.tables import Ruleset
from ansible_collections.hostwire.linux.tests.unit.docker_recordings import RECORDINGS, Recording, recording

FOREIGN = "-A {} -s 203.0.113.9/32 -j DROP"


def reading(found: Recording, rulesets: dict[int, Ruleset]) -> Reading:
    options = Asked(found.options.userland_proxy, ip6tables=found.options.ip6tables)
    return read(found.engine, options, found.listing._replace(rulesets=rulesets))


def applied(text: str, ruleset: Ruleset) -> Ruleset:
    """What ``iptables-restore --noflush`` makes of a ruleset."""
    result = copy.deepcopy(ruleset)
    chains: dict[str, list[str]] = {}
    for line in text.splitlines():
        words = line.split(" ")
        if line.startswith("*"):
            chains = result.setdefault(line[1:], {})
        elif line.startswith(":"):
            chains[words[0][1:]] = []
        elif words[0] == "-D":
            chains[words[1]].remove(f"-A{line[2:]}")
        elif words[0] == "-I":
            lines = chains.setdefault(words[1], [])
            position = int(words[2])
            assert 1 <= position <= len(lines) + 1, "iptables: Index of insertion too big"
            lines.insert(position - 1, " ".join(["-A", words[1], *words[3:]]))
        elif words[0] == "-A":
            chains[words[1]].append(line)
        elif words[0] == "-X":
            assert not chains.pop(words[1])
    return result


def repaired(found: Recording, rulesets: dict[int, Ruleset]) -> dict[int, Ruleset]:
    seen = reading(found, rulesets)
    result = {}
    for family, ruleset in rulesets.items():
        transaction = Transaction(family, ruleset)
        transaction.repair(seen.expected.get(family, {}), seen.damage)
        result[family] = applied(transaction.text, ruleset)
        assert bool(transaction.plan) == bool(transaction.text)
    return result


def as_sets(rulesets: dict[int, Ruleset]) -> dict[tuple[int, str, str], list[str]]:
    return {
        (family, table, chain): sorted(lines)
        for family, ruleset in rulesets.items()
        for table, chains in ruleset.items()
        for chain, lines in chains.items()
        if lines or chain.startswith("DOCKER")
    }


@pytest.mark.parametrize("name", RECORDINGS)
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_any_damage_is_made_good(name: str, seed: int) -> None:
    """Rules taken away, doubled and shuffled, chains deleted: afterwards the engine's own are there once, in order."""
    found, chance = recording(name), random.Random(seed)
    damaged = copy.deepcopy(found.listing.rulesets)
    for ruleset in damaged.values():
        for table, chains in ruleset.items():
            for chain in list(chains):
                kept = [line for line in chains[chain] if chance.random() < 0.6]
                kept += [line for line in kept if chance.random() < 0.1]
                chance.shuffle(kept)
                chains[chain] = kept
                if chain.startswith("DOCKER") and chance.random() < 0.2:
                    del chains[chain]
                elif (table, chain) == ("filter", "FORWARD"):
                    kept.insert(chance.randint(0, len(kept)), FOREIGN.format(chain))
    # Whether there is a proxy is known by the configuration; the ports' networks are told by what stands there.
    after = repaired(found, damaged)
    assert reading(found, after).damage == ()
    for family, ruleset in after.items():
        forward = ruleset.get("filter", {}).get("FORWARD", [])
        assert forward.count(FOREIGN.format("FORWARD")) == ("filter" in damaged[family])


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_flush_is_made_good_to_the_last_rule(name: str) -> None:
    found = recording(name)
    before = found.listing.rulesets
    flushed: dict[int, Ruleset] = {
        family: {table: {chain: [] for chain in chains} for table, chains in ruleset.items()}
        for family, ruleset in before.items()
    }
    assert as_sets(repaired(found, flushed)) == as_sets(before)
    nothing: dict[int, Ruleset] = {4: {}, 6: {}}
    assert as_sets(repaired(found, nothing)) == as_sets(before)
    assert repaired(found, before) == before


def own(ruleset: Ruleset, wanted: OwnRules) -> tuple[Ruleset, Transaction]:
    transaction = Transaction(4, ruleset)
    transaction.own(wanted)
    return applied(transaction.text, ruleset), transaction


def test_the_users_rules_come_change_and_go() -> None:
    found = recording("28.5-default")
    before = found.listing.rulesets[4]
    deny = parse([{"action": "deny", "port": "8080"}])
    both = parse([{"action": "allow", "port": "8080", "sources": ["192.0.2.0/24", "2001:db8::/32"]}]) + deny
    first, transaction = own(before, user_rendered(rendered(deny, 4)))
    assert transaction.plan == [
        "iptables filter: HOSTWIRE-USER: deny tcp port 8080: add",
        "iptables filter: DOCKER-USER: add a jump to HOSTWIRE-USER",
    ]
    (line,) = first["filter"]["HOSTWIRE-USER"]
    assert " -p tcp -m conntrack --ctstate DNAT --ctorigdstport 8080 --ctdir ORIGINAL " in line
    assert line.endswith(" -j DROP")
    assert own(first, user_rendered(rendered(deny, 4)))[1].text == ""
    second, dummy = own(first, user_rendered(rendered(both, 4)))
    assert [rule.split(" -j ")[1] for rule in second["filter"]["HOSTWIRE-USER"]] == ["RETURN", "DROP"]
    assert second["filter"]["DOCKER-USER"] == first["filter"]["DOCKER-USER"]
    turned, transaction = own(second, user_rendered(rendered(both[::-1], 4)))
    assert transaction.plan == ["iptables filter: HOSTWIRE-USER: put in order"]
    late = copy.deepcopy(turned)
    late["filter"]["DOCKER-USER"].insert(0, "-A DOCKER-USER -j RETURN")
    assert own(late, user_rendered(rendered(both[::-1], 4)))[0]["filter"]["DOCKER-USER"][0].endswith("HOSTWIRE-USER")
    assert own(turned, OwnRules({}, ()))[0] == before


UFW = ["-A DOCKER-USER -s 10.0.0.0/8 -j RETURN", "-A DOCKER-USER -j ufw-user-forward", "-A DOCKER-USER -j RETURN"]


@pytest.mark.parametrize("name", RECORDINGS)
@pytest.mark.parametrize("families", [(4,), (6,), (4, 6)])
@pytest.mark.parametrize("left", ["nothing", "theirs", "theirs, then ours", "no chain"])
def test_a_jump_to_our_rules_that_others_took_away_is_put_back(name: str, families: tuple[int, ...], left: str) -> None:
    found = recording(name)
    rulesets = copy.deepcopy(found.listing.rulesets)
    wanted = reading(found, rulesets).expected
    damaged = [family for family in families if "DOCKER-USER" in wanted.get(family, {}).get("filter", {})]
    jump = user_jump().rule.line
    for family in rulesets:
        if "DOCKER-USER" in wanted.get(family, {}).get("filter", {}):
            rules = user_rendered(rendered(parse([{"action": "deny", "port": "8080"}]), family))
            rulesets[family] = own(rulesets[family], rules)[0]
    before = copy.deepcopy(rulesets)
    assert not [one for one in reading(found, rulesets).damage if "HOSTWIRE" in one.text]
    lines = {"nothing": [], "theirs": UFW, "theirs, then ours": [*UFW, jump]}
    for family in damaged:
        if left == "no chain":
            del rulesets[family]["filter"]["DOCKER-USER"]
        else:
            rulesets[family]["filter"]["DOCKER-USER"] = list(lines[left])
    seen = reading(found, rulesets)
    said = [(one.kind, one.family, one.rule, one.repairable) for one in seen.damage if "HOSTWIRE" in one.text]
    assert said == [("missing-jump", family, jump, True) for family in damaged]
    after = dict(rulesets)
    for transaction in _plan(Wish(), _Situation(found.engine, Asked(), seen)):
        after[transaction.family] = applied(transaction.text, rulesets[transaction.family])
    assert reading(found, after).damage == ()
    for family in damaged:
        chain = after[family]["filter"]["DOCKER-USER"]
        assert chain[0] == jump
        assert chain.count(jump) == 1
        assert set(lines.get(left, [])) <= set(chain)
        assert after[family]["filter"]["HOSTWIRE-USER"] == before[family]["filter"]["HOSTWIRE-USER"]


def test_where_no_rules_of_ours_stand_no_jump_is_missed() -> None:
    found = recording("28.5-default")
    seen = reading(found, found.listing.rulesets)
    assert seen.damage == ()
    assert all(not one.plan for one in _plan(Wish(), _Situation(found.engine, Asked(), seen)))
    emptied = copy.deepcopy(found.listing.rulesets)
    emptied[4]["filter"]["HOSTWIRE-USER"] = []
    assert reading(found, emptied).damage == ()


def test_rules_are_of_the_families_of_their_addresses() -> None:
    rules = parse(
        [
            {"action": "deny", "port": "53", "protocol": "udp", "destination": "2001:db8::1"},
            {"action": "allow", "sources": ["192.0.2.1"], "interface": "eth0"},
            {"action": "deny", "port": "8000-8010"},
        ]
    )
    assert [rule.label for rule in rendered(rules, 4)] == [
        "allow from 192.0.2.1/32 by way of eth0",
        "deny tcp port 8000-8010",
    ]
    assert [rule.label for rule in rendered(rules, 6)] == [
        "deny udp port 53 at 2001:db8::1/128",
        "deny tcp port 8000-8010",
    ]
    assert (needs(rules, 4), needs(rules, 6)) == ([1], [0])


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        ({"action": "deny"}, "rules[0]"),
        ({"action": "deny", "port": "0"}, "rules[0].port"),
        ({"action": "deny", "port": "9-8"}, "rules[0].port"),
        ({"action": "deny", "port": "http"}, "rules[0].port"),
        ({"action": "deny", "interface": "a b"}, "rules[0].interface"),
        ({"action": "deny", "interface": "sixteen-letters-"}, "rules[0].interface"),
        ({"action": "deny", "sources": ["office"]}, "rules[0].sources[0]"),
        ({"action": "deny", "sources": ["192.0.2.1/24"]}, "rules[0].sources[0]"),
        ({"action": "deny", "destination": "::1/-1"}, "rules[0].destination"),
        ({"action": "deny", "sources": ["192.0.2.1"], "destination": "2001:db8::1"}, "rules[0]"),
    ],
)
def test_a_rule_that_cannot_be_right_is_named(rule: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        parse([rule])
    assert [problem.partition(":")[0] for problem in caught.value.problems] == [field]


@pytest.mark.parametrize("version", ["20.10", "26.1", "28.5"])
def test_an_engine_without_iptables_gets_ways_out_and_ports(version: str) -> None:
    engine: Engine = recording(f"{version}-default").engine
    empty: Ruleset = {"filter": {"FORWARD": []}, "nat": {"PREROUTING": [], "OUTPUT": [], "POSTROUTING": []}}
    after, dummy = own(empty, unmanaged(engine, 4, ()))
    assert all(len(after[table][chain]) == 1 for table, chains in empty.items() for chain in chains)
    translations = "\n".join(after["nat"]["HOSTWIRE-DOCKER"])
    assert "--dport 8080 " in translations
    assert " -j DNAT --to-destination 172.24.0.2:91" in translations
    sources = [line.split(" ")[3] for line in after["nat"]["HOSTWIRE-DOCKER-MASQ"]]
    assert "172.17.0.0/16" in sources
    assert not {"172.21.0.0/16", "172.24.0.0/16"} & set(sources)  # internal, and without masquerading
    assert own(after, unmanaged(engine, 4, ()))[1].text == ""
    assert own(after, OwnRules({}, ()))[0] == empty
