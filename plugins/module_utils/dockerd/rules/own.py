# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with the rules of our own beside the engine's: others write DOCKER-USER anew, too. Pure."""

from __future__ import annotations

from typing import Iterator, Mapping

from ...firewall.tables import Ruleset
from .access import CHAIN
from .damage import Damage
from .layout import Rulesets
from .unmanaged import standing, user_jump

_TOOL = {4: "iptables", 6: "ip6tables"}


def leads_to_user_rules(ruleset: Ruleset, wanted: Ruleset) -> bool:
    """Whether the user's rules stand in a chain of ours that the engine's DOCKER-USER has to lead to."""
    return bool(ruleset.get("filter", {}).get(CHAIN)) and "DOCKER-USER" in wanted.get("filter", {})


def own_damage(wanted: Mapping[int, Ruleset], actual: Rulesets) -> Iterator[Damage]:
    """The jump to the user's rules where it is missing or comes too late: nobody goes by them then."""
    jump = user_jump()
    for family, of_engine in wanted.items():
        ruleset = actual.get(family, {})
        lines = ruleset.get("filter", {}).get(jump.parent, [])
        if leads_to_user_rules(ruleset, of_engine) and standing(lines, jump) is None:
            words = f"the jump from {jump.parent} to {CHAIN}, our rules for published ports, is missing"
            if any(line.split(" -j ")[-1] == CHAIN for line in lines):
                words = f"the jump from {jump.parent} to {CHAIN}, our rules for published ports, stands too late"
            text = f"{_TOOL[family]} filter: {words}"
            yield Damage("missing-jump", family, "filter", jump.parent, jump.rule.line, text)
