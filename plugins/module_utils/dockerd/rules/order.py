# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of the engine's rules must stand before which: pure.

The engine inserts at the head, so most of the order is by chance and differs after a restart. Only this much matters.
"""

from __future__ import annotations

import re
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from ...firewall.tables import target_of

_TO = re.compile(r"(?<!! )-o (\S+)")
_DESTINATION = re.compile(r"(?<!! )-d (\S+)")
_HEADS = {
    "DOCKER-USER": 0,
    "DOCKER-FORWARD": 1,
    "DOCKER-ISOLATION-STAGE-1": 1,
    "DOCKER-CT": 0,
    "DOCKER-INTERNAL": 1,
    "DOCKER-BRIDGE": 2,
}
_REST = 3


def phase(table: str, line: str) -> Tuple[str, int]:
    """A rule's group and its rank there: within a group lower ranks must come first."""
    chain, target = line.split(" ", 2)[1], target_of(line)
    if table == "raw":
        found = _DESTINATION.search(line)
        return found.group(1) if found else "", int(target == "DROP")
    if table == "nat":
        return "", int(target != "RETURN")
    if chain in ("FORWARD", "DOCKER-FORWARD"):
        if " --match-set " in line:  # 28.0.0
            return "", 1 if target == "ACCEPT" else 2
        return "", _HEADS.get(target, _REST) if line.endswith(f"{chain} -j {target}") else _REST
    if chain == "DOCKER":
        found = _TO.search(line)
        return found.group(1) if found else "", int(target == "DROP")
    if chain.startswith("DOCKER-ISOLATION-"):
        return "", int(line.endswith(f"{chain} -j RETURN"))
    return "", 0


def misplaced(table: str, present: Sequence[str], wanted: Sequence[str]) -> List[str]:
    """The wanted rules that stand after one of the engine's that must come after them, in the order they stand in."""
    ours = set(wanted)
    highest: Dict[str, int] = {}
    late: List[str] = []
    for line in present:
        if line not in ours:
            continue
        group, rank = phase(table, line)
        if rank < highest.get(group, rank):
            late.append(line)
        highest[group] = max(rank, highest.get(group, rank))
    return late


class Edit(NamedTuple):
    """One change of a chain: ``position`` counts from 1 and is where the rule goes; None: the rule goes away."""

    line: str
    position: Optional[int] = None


def edits(
    table: str, present: Sequence[str], wanted: Sequence[str], unwanted: Sequence[str] = ()
) -> Tuple[List[Edit], List[str]]:
    """What makes a chain hold the wanted rules once each and in order, and the chain that comes of it.

    Rules of others keep their places. What is missing goes next to what it belongs to, else to the head. ``unwanted``
    rules go, all copies of them.
    """
    chain = list(present)
    done: List[Edit] = []

    def delete(line: str) -> None:
        chain.remove(line)
        done.append(Edit(line))

    for line in dict.fromkeys(unwanted):
        while line in chain:
            delete(line)
    for line in wanted:
        while chain.count(line) > 1:
            delete(line)
    for line in misplaced(table, chain, wanted):
        delete(line)
    for index, line in enumerate(wanted):
        if line not in chain:
            place = _place(table, chain, wanted, index)
            chain.insert(place, line)
            done.append(Edit(line, place + 1))
    return done, chain


def _place(table: str, chain: List[str], wanted: Sequence[str], index: int) -> int:
    """Where a missing rule goes, from 0: behind the one before it, within what its group allows."""
    group, rank = phase(table, wanted[index])
    known = set(wanted)
    place = 0
    for before in reversed(wanted[:index]):
        if before in chain:
            place = chain.index(before) + 1
            break
    for position, line in enumerate(chain):
        if line not in known:
            continue
        other, its_rank = phase(table, line)
        if other != group:
            continue
        if its_rank < rank:
            place = max(place, position + 1)
        elif its_rank > rank:
            return min(place, position)
    return place
