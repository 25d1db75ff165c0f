# SPDX-License-Identifier: GPL-3.0-or-later
"""Which documents guard a host's forwarding: it was they who turned it on, or they rely on one that did. Pure."""

from __future__ import annotations

from typing import Dict, Set

from .rules import SHARED
from .shared import REST
from .tables import Tables, owned_marks, target_of


def guards(tables: Tables) -> Dict[int, Set[str]]:
    """For each family (4, 6) that is guarded, the names of the documents whose rules drop what nobody named."""
    found: Dict[int, Set[str]] = {}
    for (_backend, family), ruleset in tables.rulesets.items():
        lines = ruleset.get("filter", {}).get(REST, [])
        for line, mark in zip(lines, owned_marks(lines)):
            owner = mark.rpartition(":")[0] if mark is not None else SHARED
            if owner != SHARED and target_of(line) == "DROP":
                found.setdefault(family, set()).add(owner)
    return found
