# SPDX-License-Identifier: GPL-3.0-or-later
"""Chains that others write to, too, led from one content to another and back: rule by rule. Pure.

Whatever else stands in them by then stays: what is compared is what a change adds, takes and moves, not the whole.
"""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from .tables import BUILT_IN, OWN_CHAIN, Ruleset, owned_marks

Lines = Optional[Tuple[str, ...]]
# Each chain of a change: its table, its name, and its rules as iptables-save prints them; None: there is no such chain.
Chains = Tuple[Tuple[str, str, Lines], ...]


def leading(there: Ruleset, before: Chains, after: Chains) -> str:
    """What iptables-restore --noflush takes to change ``there`` as ``before`` became ``after``; "" if it is so.

    Both name the same chains. Tables come in their order in ``after``, each of which is changed at once.
    """
    goals = list(_goals(there, before, after))
    texts = [
        _transaction(table, [goal for goal in goals if goal.table == table])
        for table in dict.fromkeys(goal.table for goal in goals)
    ]
    return "".join(texts)


def led(there: Ruleset, before: Chains, after: Chains) -> Ruleset:
    """The rules once that is done; ``there`` stays as it is."""
    result = {table: dict(chains) for table, chains in there.items()}
    for goal in _goals(there, before, after):
        if goal.wanted is None:
            result.get(goal.table, {}).pop(goal.chain, None)
        else:
            result.setdefault(goal.table, {})[goal.chain] = list(goal.wanted)
    return result


class _Goal(NamedTuple):
    """What stands in a chain, and what is to."""

    table: str
    chain: str
    there: Optional[Sequence[str]]
    wanted: Optional[Sequence[str]]


def _goals(there: Ruleset, before: Chains, after: Chains) -> Iterator[_Goal]:
    were: Dict[Tuple[str, str], Lines] = {(table, chain): lines for table, chain, lines in before}
    for table, chain, lines in after:
        standing: Optional[Sequence[str]] = there.get(table, {}).get(chain)
        was, wanted = were[table, chain], lines
        if chain in BUILT_IN:  # these are there, also where their table has never been asked for
            standing, was, wanted = standing or (), was or (), wanted or ()
        yield _Goal(table, chain, standing, _merged(standing, was, wanted))


def _merged(there: Optional[Sequence[str]], before: Lines, after: Lines) -> Optional[Sequence[str]]:
    """The chain that is to be, where this one stands."""
    if there is None:  # one that was there has been taken by somebody else
        return after if before is None else None
    if after is None:
        return _changed(there, before or (), ()) or None
    return _changed(there, before or (), after)


def _changed(there: Sequence[str], before: Sequence[str], after: Sequence[str]) -> Sequence[str]:
    ours, old, new = _keys(there), _keys(before), _keys(after)
    known = {*old, *new}
    left = [key for key in ours if key in known]
    if left == new:
        return there
    return _woven(there, ours, old, new, after) if left == old else _counted(there, ours, old, new, after)


def _woven(
    there: Sequence[str], ours: Sequence[str], old: Sequence[str], new: Sequence[str], after: Sequence[str]
) -> List[str]:
    """The chain with its rules changed to the letter; what others put between them stays in its place."""
    kept = _common(old, new)
    known, places = {*old, *new}, iter(range(len(old)))
    result: List[str] = []
    done = 0
    for line, key in zip(there, ours):
        place = next(places) if key in known else None
        if place is None:
            result.append(line)
        elif place in kept:
            result += [*after[done : kept[place]], line]
            done = kept[place] + 1
            while done < len(new) and done not in kept.values():
                result.append(after[done])
                done += 1
    return [*after[done:], *result] if not kept else result


def _counted(
    there: Sequence[str], ours: Sequence[str], old: Sequence[str], new: Sequence[str], after: Sequence[str]
) -> List[str]:
    """The chain where somebody else took or doubled some of the rules: only as many as ought to be are left, or added.

    What was only moved stays where it is by now.
    """
    result, keys = list(there), list(ours)
    for key in dict.fromkeys(old):
        while old.count(key) > new.count(key) and keys.count(key) > new.count(key):
            place = keys.index(key)
            del keys[place], result[place]
    for place, key in enumerate(new):
        if new.count(key) > old.count(key) and keys.count(key) < new.count(key):
            where = _beside(keys, new, place)
            keys.insert(where, key)
            result.insert(where, after[place])
    return result


def _beside(keys: Sequence[str], new: Sequence[str], place: int) -> int:
    """Where a rule belongs in a chain: behind the nearest before it that stands there, or before the one behind it."""
    for key in reversed(new[:place]):
        if key in keys:
            return len(keys) - list(reversed(keys)).index(key)
    return next((keys.index(key) for key in new[place + 1 :] if key in keys), 0)


def _keys(lines: Sequence[str]) -> List[str]:
    """Rules of ours are known by their marks, for the kernel shows them in another form (hazard 37); others' as is."""
    return [mark or line for line, mark in zip(lines, owned_marks(list(lines)))]


def _common(one: Sequence[str], other: Sequence[str]) -> Dict[int, int]:
    """What both have in the same order: each one's place in the first, with that in the other."""
    blocks = SequenceMatcher(None, one, other, autojunk=False).get_matching_blocks()
    return {block.a + step: block.b + step for block in blocks for step in range(block.size)}


def _transaction(table: str, goals: Sequence[_Goal]) -> str:
    declared: List[str] = []
    edits: List[str] = []
    taken: List[str] = []
    for goal in goals:
        if (goal.there is None) != (goal.wanted is None):
            declared.append(f":{goal.chain} - [0:0]")  # makes it, or empties it
        if (
            goal.wanted is not None
            and OWN_CHAIN.fullmatch(goal.chain)
            and _keys(goal.there or ()) != _keys(goal.wanted)
        ):
            # Nobody else writes to it, and some rules can't be deleted as they are shown: those with --ctorigdst.
            declared += [f":{goal.chain} - [0:0]"] if goal.there is not None else []
            edits += goal.wanted
        elif goal.wanted is not None:
            edits += _edits(goal.chain, goal.there or (), goal.wanted)
        elif goal.there is not None:
            taken.append(f"-X {goal.chain}")
    lines = [*declared, *edits, *taken]
    return "\n".join([f"*{table}", *lines, "COMMIT", ""]) if lines else ""


def _edits(chain: str, there: Sequence[str], wanted: Sequence[str]) -> Iterator[str]:
    """Deletions, each of which takes the first rule of its kind, then insertions by number, from 1."""
    keys, goal = _keys(there), _keys(wanted)
    kept = _common(keys, goal)
    gone = {line for place, line in enumerate(there) if place not in kept}  # with each copy: which one stays is certain
    for line in there:
        if line in gone:
            yield f"-D{line[2:]}"
    left = [key for line, key in zip(there, keys) if line not in gone]
    for place, (line, key) in enumerate(zip(wanted, goal)):
        if left and left[0] == key:
            del left[0]
        else:
            yield f"-I {chain} {place + 1}{line[len(f'-A {chain}') :]}"
