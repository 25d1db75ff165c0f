# SPDX-License-Identifier: GPL-3.0-or-later
"""What the packet filter does to addresses, readable: every masquerade and published port, ours and others'."""

from __future__ import annotations

import re
from typing import Any, Dict, List, Optional, Tuple

from .tables import MARK, Ruleset, Tables, target_of

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
_WORD = re.compile(r'"(?:[^"\\]|\\.)*"|\S+')


def describe(tables: Tables) -> Dict[str, Any]:
    """For people and for JSON: ``backend``, ``masquerade`` and ``published_ports``.

    Each entry says its ``family`` (4 or 6), its ``chain`` and its ``owner`` (a document, or None).
    What published ports need beside (hairpin) is left out.
    """
    masquerade: List[Dict[str, Any]] = []
    published: List[Dict[str, Any]] = []
    for (backend, family), ruleset in sorted(tables.rulesets.items()):
        for chain, line in _nat_rules(ruleset):
            target = target_of(line)
            mark = MARK.search(line)
            if target not in ("DNAT", "MASQUERADE", "SNAT") or (mark and "--ctstate DNAT" in line):
                continue
            entry = {
                "backend": backend,
                "family": family,
                "chain": chain,
                "owner": mark.group(1).partition(":")[0] if mark else None,
                **_matches(line),
            }
            (published if target == "DNAT" else masquerade).append(entry)
    return {"backend": tables.backend, "masquerade": masquerade, "published_ports": published}


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


def warnings(tables: Tables) -> Tuple[str, ...]:
    """What an administrator should know about others' rules here."""
    for ruleset in tables.rulesets.values():
        if any(target_of(line) == "ufw-before-input" for line in ruleset.get("filter", {}).get("INPUT", ())):
            return ("ufw is active: its rules for incoming traffic don't cover published ports, which are forwarded",)
    return ()
