# SPDX-License-Identifier: GPL-3.0-or-later
"""A tree of chains: of a thousand rules a packet passes some dozens, whichever it is for. Pure."""

from __future__ import annotations

from typing import Callable, List, NamedTuple, Sequence, Tuple

FAN_OUT = 16  # rules in one chain, more or less: sixteen times sixteen is enough for all ports that are ever published
BRANCH = "~"  # no document's name has one
_DIGITS = "0123456789abcdef"


class Leaf(NamedTuple):
    """Rules, as (label, matches, target), for packets whose number (a port, an address) is ``first``..``last``."""

    first: int
    last: int
    rules: Tuple[Tuple[str, str, str], ...]


def grow(
    add: Callable[[str, str, str, str], None], chain: str, leaves: Sequence[Leaf], cover: Callable[[int, int], str]
) -> None:
    """Give ``chain`` the rules of all leaves, or branches in which they are.

    ``add`` takes chain, label, matches and target. ``cover`` says what matches at least the numbers between two.
    Leaves that share a number stay together, in the order in which they are given. A branch's name is that of its
    chain with a digit behind it.
    """
    _grow(add, chain, _bundles(leaves), cover)


def _bundles(leaves: Sequence[Leaf]) -> List[Leaf]:
    """Leaves that overlap as one."""
    order = {id(leaf): position for position, leaf in enumerate(leaves)}
    groups: List[List[Leaf]] = []
    reach = -1
    for leaf in sorted(leaves, key=lambda leaf: (leaf.first, order[id(leaf)])):
        if not groups or leaf.first > reach:
            groups.append([])
        groups[-1].append(leaf)
        reach = max(reach, leaf.last)
    bundles = []
    for group in groups:
        group.sort(key=lambda leaf: order[id(leaf)])
        rules = tuple(rule for leaf in group for rule in leaf.rules)
        bundles.append(Leaf(min(leaf.first for leaf in group), max(leaf.last for leaf in group), rules))
    return bundles


def _grow(
    add: Callable[[str, str, str, str], None], chain: str, bundles: Sequence[Leaf], cover: Callable[[int, int], str]
) -> None:
    if len(bundles) <= FAN_OUT:
        for bundle in bundles:
            for label, matches, target in bundle.rules:
                add(chain, label, matches, target)
        return
    size = -(-len(bundles) // FAN_OUT)
    for digit, start in zip(_DIGITS, range(0, len(bundles), size)):
        part = bundles[start : start + size]
        branch = f"{chain}{digit}" if BRANCH in chain else f"{chain}{BRANCH}{digit}"
        add(chain, "", cover(part[0].first, part[-1].last), branch)
        _grow(add, branch, part, cover)
