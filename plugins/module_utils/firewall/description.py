# SPDX-License-Identifier: GPL-3.0-or-later
"""What the packet filter does to addresses, readable: every masquerade and published port, ours and others'."""

from __future__ import annotations

import re
from typing import Any, Dict, List, Optional, Tuple

from .difference import named_rules
from .others import is_forwarded
from .rendering import render
from .tables import MARK, Ruleset, Tables, owned_marks, target_of
from .want import FirewallWant

_OPTIONS = {
    "-s": "source",
    "-d": "address",
    "-i": "from_interface",
    "-o": "to_interface",
    "-p": "protocol",
    "--dport": "port",
    "--to-destination": "to",
    "--to-source": "to_source",
}
# What the firewalls of others that most people use are told by.
_FIREWALLS = {
    ("INPUT", "ufw-before-input"): (
        "ufw is active: its rules for incoming traffic don't cover published ports, which are forwarded"
    ),
    ("FORWARD", "FORWARD_IN_ZONES"): (
        "firewalld is active: its zones don't cover published ports, which are forwarded"
    ),
}
_WORD = re.compile(r'"(?:[^"\\]|\\.)*"|\S+')


def describe(tables: Tables) -> Dict[str, Any]:
    """For people and for JSON: ``backend``, ``masquerade`` and ``published_ports``.

    Each entry says its ``family`` (4 or 6), its ``chain`` and its ``owner`` (a document, or None).
    What published ports need beside (hairpin) is left out.
    """
    masquerade: List[Dict[str, Any]] = []
    published: List[Dict[str, Any]] = []
    for (backend, family), ruleset in sorted(tables.rulesets.items()):
        exempt: Dict[Tuple[str, str], List[str]] = {}
        for chain, line in _nat_rules(ruleset):
            target = target_of(line)
            mark = MARK.search(line)
            matches = _matches(line)
            if target == "RETURN" and mark:
                exempt.setdefault((chain, matches.get("source", "")), []).append(matches.get("to_interface", ""))
            if target not in ("DNAT", "MASQUERADE", "SNAT") or (mark and _brings_back(chain, line)):
                continue
            entry = {
                "backend": backend,
                "family": family,
                "chain": chain,
                "owner": mark.group(1).partition(":")[0] if mark else None,
                **matches,
            }
            but = sorted(filter(None, exempt.get((chain, matches.get("source", "")), ())))
            if but and target != "DNAT":
                entry.setdefault("to_interface", f"not {', '.join(but)}")
            (published if target == "DNAT" else masquerade).append(entry)
    return {"backend": tables.backend, "masquerade": masquerade, "published_ports": published}


def _brings_back(chain: str, line: str) -> bool:
    """Whether a rule of ours only sees to it that answers of a published port come back through the host."""
    return chain.startswith("HW-HAIRPIN-") or "--ctstate DNAT" in line  # the latter by earlier versions


def _nat_rules(ruleset: Ruleset) -> List[Tuple[str, str]]:
    return [(chain, line) for chain, lines in ruleset.get("nat", {}).items() for line in lines]


def _matches(line: str) -> Dict[str, str]:
    """The matches that say who is meant: ``{"source": "192.168.15.0/24", "to_interface": "not v-net-0"}``."""
    found: Dict[str, str] = {}
    negated = False
    option: Optional[str] = None
    for word in _WORD.findall(line):
        if option is not None:
            found[option] = f"not {word}" if negated else word
            option, negated = None, False
        elif word == "!":
            negated = True
        else:
            option = _OPTIONS.get(word)
    return found


def standing(tables: Tables, want: FirewallWant) -> Dict[str, bool]:
    """What each named rule that ``want`` means is for, and whether all rules of that name stand, where they are read.

    Of the backend that is written to.
    """
    found: Dict[str, bool] = {}
    for (backend, family), ruleset in tables.rulesets.items():
        if backend != tables.backend:
            continue
        there = {mark for chains in ruleset.values() for lines in chains.values() for mark in owned_marks(lines)}
        for rule in named_rules(render(want, family, tables.bridged, tables.lacks(family))):
            found[rule.label] = found.get(rule.label, True) and rule.mark in there
    return found


def warnings(tables: Tables, want: FirewallWant) -> Tuple[str, ...]:
    """What an administrator should know about others' rules where the document publishes ports."""
    if not is_forwarded(want.published_ports):
        return ()
    chains = {
        (chain, target_of(line))
        for ruleset in tables.rulesets.values()
        for chain in ("INPUT", "FORWARD")
        for line in ruleset.get("filter", {}).get(chain, ())
    }
    return tuple(words for jump, words in _FIREWALLS.items() if jump in chains)
