# SPDX-License-Identifier: GPL-3.0-or-later
"""Where our chains are asked among the rules of others: what closes ahead of what they open, what opens behind."""

from __future__ import annotations

from typing import Dict, List

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils.firewall import (
    FirewallWant,
    GuestNetwork,
    Tables,
    changes,
    outcome,
)
from ansible_collections.hostwire.linux.plugins.module_utils.firewall.difference import applicable
from ansible_collections.hostwire.linux.plugins.module_utils.firewall.shared import JUMPS
from ansible_collections.hostwire.linux.plugins.module_utils.firewall.tables import Ruleset, target_of
from ansible_collections.hostwire.linux.tests.unit.test_firewall_policy import WANT, empty, run


def heads(there: Ruleset, table: str) -> Dict[str, List[str]]:
    chains = {jump.parent for jump in JUMPS if jump.table == table}
    return {chain: [target_of(line) for line in there[table][chain]] for chain in sorted(chains)}


PLAIN = FirewallWant("plain", guests=(GuestNetwork("br9", ("10.9.0.0/24",)),))


def test_one_jump_leads_from_each_built_in_chain_however_many_documents_there_are() -> None:
    there = run(run(empty(), WANT, "main"), WANT._replace(owner="other"), "other")
    for _twice in range(2):
        assert heads(there, "mangle") == {
            "INPUT": ["HOSTWIRE-HOST"],
            "FORWARD": ["HOSTWIRE-UNROUTED", "HOSTWIRE-CLOSE"],
            "OUTPUT": ["HOSTWIRE-AWAY"],
        }
        assert heads(there, "raw") == {"PREROUTING": ["HOSTWIRE-SOURCE"]}
        assert heads(there, "filter") == {"FORWARD": ["HOSTWIRE-OPEN"], "INPUT": []}
        there = run(there, None, "main")
    assert not [chain for chains in there.values() for chain in chains if chain.endswith("-main")]
    assert run(there, None, "other") == empty()


def test_what_others_accept_is_asked_behind_what_is_closed() -> None:
    there = run(empty(), WANT, "main")
    there["mangle"]["OTHERS"] = ["-A OTHERS -i docker0 -j ACCEPT"]
    for opening in ("-A FORWARD -i docker0 ! -o docker0 -j ACCEPT", "-A FORWARD -j OTHERS"):
        there["mangle"]["FORWARD"].insert(0, opening)
        there = run(there, WANT, "main")
        assert there["mangle"]["FORWARD"].index(opening) == 2
        ahead = {target_of(line) for line in there["mangle"]["FORWARD"][:2]}
        assert ahead == {"HOSTWIRE-CLOSE", "HOSTWIRE-UNROUTED"}


def test_what_opens_nothing_may_stand_ahead_of_what_is_closed() -> None:
    there = run(empty(), WANT, "main")
    there["mangle"]["bans"] = ["-A bans -s 192.0.2.1/32 -j DROP", "-A bans -j RETURN"]
    there["mangle"]["FORWARD"].insert(0, "-A FORWARD -p tcp -j TCPMSS --clamp-mss-to-pmtu")
    there["mangle"]["INPUT"][:0] = ["-A INPUT -p tcp -j bans", "-A INPUT -s 192.0.2.2/32 -j DROP"]
    assert run(there, WANT, "main") == there
    there["mangle"]["bans"].insert(0, "-A bans -s 192.0.2.3/32 -j ACCEPT")
    assert run(there, WANT, "main")["mangle"]["INPUT"][1:] == there["mangle"]["INPUT"][:2]


def test_what_others_close_is_asked_ahead_of_what_is_opened() -> None:
    """Whoever appends a rule to FORWARD does so behind ours: the next run of a document goes behind it again."""
    there = run(empty(), PLAIN, "plain")
    for theirs in ("-A FORWARD -s 192.0.2.0/24 -j REJECT", "-A FORWARD -j DOCKER-FORWARD"):
        there["filter"]["FORWARD"].append(theirs)
        there = run(there, PLAIN, "plain")
        assert there["filter"]["FORWARD"][-2] == theirs
        assert target_of(there["filter"]["FORWARD"][-1]) == "HOSTWIRE-OPEN"
    there["filter"]["FORWARD"].insert(0, "-A FORWARD -j DOCKER-USER")
    assert run(there, PLAIN, "plain") == there


@pytest.mark.parametrize(("table", "place"), [("mangle", 0), ("filter", 1)])
def test_a_jump_that_was_moved_is_put_back_by_the_undo(table: str, place: int) -> None:
    there = run(empty(), WANT, "main")
    there[table]["FORWARD"].insert(place, "-A FORWARD -j ACCEPT")
    (swap,) = changes(Tables(None, "nft", {("nft", 4): there}), WANT, None, "main", None).swaps
    moved = outcome(there, swap.text)
    for state in (moved, there):  # after the move, and where it was never made
        undone = outcome(state, applicable(swap.undo, state))
        assert sorted(undone[table]["FORWARD"]) == sorted(there[table]["FORWARD"])
        undone[table]["FORWARD"] = there[table]["FORWARD"]
        assert undone == there
