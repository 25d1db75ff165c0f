# SPDX-License-Identifier: GPL-3.0-or-later
"""What a transaction of ours makes of a packet filter, on paper. Pure."""

from __future__ import annotations

from typing import Dict, List

from .tables import Ruleset, owned_marks


def outcome(ruleset: Ruleset, text: str) -> Ruleset:
    """The rules once iptables-restore --noflush has taken ``text``; ``ruleset`` stays as it is."""
    after = {table: {chain: list(lines) for chain, lines in chains.items()} for table, chains in ruleset.items()}
    chains: Dict[str, List[str]] = {}
    for line in text.splitlines():
        if line.startswith("*"):
            chains = after.setdefault(line[1:], {})
        elif line.startswith(":"):
            chains[line[1:].split(" ", 1)[0]] = []
        elif line.startswith("-"):
            _edit(chains, line)
    return after


def _edit(chains: Dict[str, List[str]], line: str) -> None:
    command, chain = line.split(" ", 2)[:2]
    rules = chains.setdefault(chain, [])
    if command == "-A":
        rules.append(line)
    elif command == "-I":
        rules.insert(0, f"-A{line[2:]}")
    elif command == "-D":
        marks = owned_marks(rules)
        mark = owned_marks([line])[0]
        if mark in marks:
            del rules[marks.index(mark)]
    elif command == "-X":
        del chains[chain]
