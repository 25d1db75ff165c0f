# SPDX-License-Identifier: GPL-3.0-or-later
"""From what is there and what is wanted to the transactions that lead from one to the other, and back: pure.

Observed and wanted rules are compared by the marks in their comments, because the kernel shows a rule in another form
than it was written in (hazard 37): each chain of ours must hold exactly the wanted marks in the wanted order, and each
jump must stand exactly once.
"""

from __future__ import annotations

import itertools
import re
from typing import Dict, Iterable, List, NamedTuple, Optional, Set, Tuple

from .rendering import render, shared_jumps
from .rules import BRIDGED, CLOSED, FORWARD, GUARD, INPUT, OUTPUT, Jump, Rendered, Rule, tag_of
from .tables import MARK, Ruleset, Tables, owned_marks, target_of
from .want import FirewallWant

# What protects comes before what opens; a removal goes the other way round.
_ORDER = ("raw", "filter", "nat")
_SHARED = (FORWARD, GUARD, CLOSED, INPUT, OUTPUT)
_OPENS_NOTHING = ("DROP", "REJECT", "LOG", "NFLOG", "MARK", "CONNMARK", "TCPMSS", "")
UNDO = "# undo\n"  # the first line of a text that may meet a change that was made in part, or not at all


class Swap(NamedTuple):
    """One ``iptables-restore``: ``text`` makes it so, ``undo`` puts back what was. ``table``: those it touches."""

    backend: str
    family: int
    table: str
    text: str
    undo: str


class FirewallChange(NamedTuple):
    """What is to be done, for a person (``lines``) and for iptables-restore (``swaps``, in order)."""

    lines: Tuple[str, ...] = ()
    swaps: Tuple[Swap, ...] = ()


class _Chain(NamedTuple):
    """A chain as it is to be: the marks to compare by, and the lines to write. No lines at all: it is to go."""

    marks: List[Optional[str]]
    lines: List[str]


def changes(
    tables: Tables, want: Optional[FirewallWant], previous: Optional[FirewallWant], owner: str, netns: Optional[str]
) -> FirewallChange:
    """What leads from ``tables`` to ``want``; nothing if all is as wanted.

    ``want`` None takes everything of ``owner`` away. ``previous`` only gives rules that go their names in ``lines``.
    Only the families that ``tables`` holds are looked at.
    """
    swaps: List[Swap] = []
    lines: Dict[str, None] = {}
    # The backend in use first: what protects there stands before anything goes from the other one.
    in_order = sorted(tables.rulesets.items(), key=lambda item: (item[0][0] != tables.backend, item[0]))
    for (backend, family), ruleset in in_order:
        wanted = want if backend == tables.backend else None
        rendered = render(wanted, family, tables.bridged) if wanted else Rendered({}, ())
        swap = _swap(backend, family, ruleset, rendered, owner)
        if swap is not None:
            swaps.append(swap)
            named = _rules_of(rendered) if wanted else []
            before = _rules_of(render(previous, family, tables.bridged)) if previous else []
            lines.update(dict.fromkeys(_lines(ruleset, named, before, owner)))
    where = "host" if netns is None else f"namespace {netns}"
    return FirewallChange(tuple(f"{where}: {line}" for line in lines), tuple(swaps))


def _rules_of(rendered: Rendered) -> List[Rule]:
    return [rule for rules in rendered.chains.values() for rule in rules if rule.label]


def _lines(ruleset: Ruleset, wanted: List[Rule], before: List[Rule], owner: str) -> List[str]:
    """One line per masquerade, published port or protection that is missing or is to go."""
    present: Set[Optional[str]] = set()
    for chains in ruleset.values():
        for rules in chains.values():
            present.update(mark for mark in owned_marks(rules) if mark and mark.startswith(f"{owner}:"))
    labels = {rule.label: None for rule in wanted}
    names = {rule.mark: rule.label for rule in before}
    kept = {rule.mark for rule in wanted}
    lines = [f"{label}: add" for label in dict.fromkeys(r.label for r in wanted if r.mark not in present)]
    gone = [names[mark] for mark in names if mark in present and mark not in kept]
    lines += [f"{label}: remove" for label in dict.fromkeys(gone) if label not in labels]
    if not lines:
        return [f"firewall chains of {owner}: put right"]
    return lines


def _swap(backend: str, family: int, ruleset: Ruleset, rendered: Rendered, owner: str) -> Optional[Swap]:
    edits = {table: _edit(table, ruleset.get(table, {}), rendered, owner) for table in _ORDER}
    edited = [table for table in _ORDER if edits[table] is not None]
    if not edited:
        return None
    forward = edited if rendered.chains else edited[::-1]
    texts = [edits[table] for table in forward]
    return Swap(
        backend,
        family,
        ",".join(forward),
        "".join(text for text, _undo in filter(None, texts)),
        UNDO + "".join(undo for _text, undo in filter(None, texts[::-1])),
    )


def _edit(table: str, present: Dict[str, List[str]], rendered: Rendered, owner: str) -> Optional[Tuple[str, str]]:
    """What changes one table, and what changes it back; None if it is as wanted."""
    chains = _wanted_chains(table, present, rendered, owner)
    changed = [name for name, chain in chains.items() if chain.lines and not _same(chain, present.get(name))]
    stale = [name for name, chain in chains.items() if not chain.lines and name in present]
    added, removed = _jump_edits(table, present, chains, rendered)
    if not (changed or stale or added or removed):
        return None
    new = [name for name in changed if name not in present]
    # A declared chain is made, or emptied if it is there (hazard 34); never declare a built-in one.
    declared = [f":{name} - [0:0]" for name in changed + stale]
    there = [line for name in changed for line in chains[name].lines]
    text = [*declared, *map(_delete, removed), *there, *map(_insert, added), *(f"-X {name}" for name in stale)]
    back = [line for name in changed + stale for line in present.get(name, ())]
    undo = [*declared, *(_delete(jump.rule.line) for jump in added), *back]
    undo += [_put_back(line) for line in removed] + [f"-X {name}" for name in new]
    return _transaction(table, text), _transaction(table, undo)


def _transaction(table: str, lines: Iterable[str]) -> str:
    return "\n".join([f"*{table}", *lines, "COMMIT", ""])


def _delete(line: str) -> str:
    return f"-D{line[2:]}"


def _insert(jump: Jump) -> str:
    return jump.rule.line if jump.last else f"-I{jump.rule.line[2:]}"


def _put_back(line: str) -> str:
    return line if target_of(line) == GUARD else f"-I{line[2:]}"


def _same(chain: _Chain, lines: Optional[List[str]]) -> bool:
    return lines is not None and owned_marks(lines) == chain.marks


def _wanted_chains(table: str, present: Dict[str, List[str]], rendered: Rendered, owner: str) -> Dict[str, _Chain]:
    """Every chain of this document in one table as it is to be, and the shared ones."""
    wanted = {
        name: _Chain([rule.mark for rule in rules], [rule.line for rule in rules])
        for (where, name), rules in rendered.chains.items()
        if where == table and name not in _SHARED and name != BRIDGED
    }
    own = re.compile(rf"HW-[A-Z]+-{re.escape(tag_of(owner))}")
    gone = {name: _Chain([], []) for name in present if own.fullmatch(name) and name not in wanted}
    shared = {}
    for name in {"filter": _SHARED, "raw": (BRIDGED,)}.get(table, ()):
        chain = _merge(present.get(name, []), rendered.chains.get((table, name), ()), owner)
        if chain.lines or name in present:
            shared[name] = chain
    return {**wanted, **shared, **gone}


def _merge(lines: List[str], own: Tuple[Rule, ...], owner: str) -> _Chain:
    """A shared chain: what other documents have in it, and this one's part, in an order that no run depends on.

    Protection and exemption (RETURN) come first, openings and drops after.
    """
    entries = [
        (mark, line) for mark, line in zip(owned_marks(lines), lines) if mark and not mark.startswith(f"{owner}:")
    ]
    entries += [(rule.mark, rule.line) for rule in own]
    entries.sort(key=lambda entry: (not target_of(entry[1]).startswith(("HW-PROTECT-", "RETURN")), entry[0]))
    return _Chain([mark for mark, _line in entries], [line for _mark, line in entries])


def _jump_edits(
    table: str, present: Dict[str, List[str]], chains: Dict[str, _Chain], rendered: Rendered
) -> Tuple[List[Jump], List[str]]:
    """The jumps to add, and the lines in chains of others that lead to a chain of ours and are to go."""
    wanted = [jump for jump in rendered.jumps if jump.table == table]
    wanted += [jump for name, jump in shared_jumps().items() if name in chains and chains[name].lines]
    added: List[Jump] = []
    removed: List[str] = []
    for jump in wanted:
        found = _jumps_to(jump.chain, {jump.parent: present.get(jump.parent, [])})
        marks = owned_marks(found)
        if marks != [jump.rule.mark] or not _in_place(jump, present):
            added.append(jump)
            removed += found
    moved = {jump.parent for jump in added if not jump.last}
    for jump in wanted:
        if jump.ahead and jump.parent in moved and jump not in added:  # what was inserted stands before it now
            added.append(jump)
            removed += _jumps_to(jump.chain, {jump.parent: present[jump.parent]})
    kept = {(jump.parent, jump.chain) for jump in wanted}
    for name in chains:
        for parent, lines in present.items():
            if parent not in chains and (parent, name) not in kept:
                removed += _jumps_to(name, {parent: lines})
    return added, removed


def _in_place(jump: Jump, chains: Dict[str, List[str]]) -> bool:
    """Whether a jump that stands in one of these chains is where it has to be."""
    lines = chains[jump.parent]
    if jump.last:
        return target_of(lines[-1]) == jump.chain
    before = itertools.takewhile(lambda line: target_of(line) != jump.chain, lines)
    return not jump.ahead or not any(_opens(line, chains) for line in before)


def _opens(line: str, chains: Dict[str, List[str]]) -> bool:
    """Whether a rule may let something through that would be dropped further on."""
    target = target_of(line)
    if target not in chains:
        return target not in _OPENS_NOTHING
    # DOCKER-USER is the administrator's, and dockerd puts it first again and again.
    inner = chains[target] if target not in ("DOCKER-USER", *_SHARED[2:]) else []
    return any(target_of(rule) != "RETURN" and _opens(rule, chains) for rule in inner)


def _jumps_to(chain: str, chains: Dict[str, List[str]]) -> List[str]:
    """The rules with our mark that lead to ``chain``."""
    return [
        line
        for lines in chains.values()
        for line in lines
        if chain in line and target_of(line) == chain and MARK.search(line)
    ]


def applicable(text: str, ruleset: Ruleset) -> str:
    """Those lines of a transaction that still mean something where it was made in part already, or was never made.

    Each table commits for itself (hazard 34): after a failure or a crash a jump that is to be deleted may not be there,
    and deleting it would fail the rest; one that is to be made may stand already. Chains don't mind: they are declared.
    """
    kept: List[str] = []
    chains: Dict[str, List[str]] = {}
    for line in text.splitlines():
        if line.startswith("*"):
            chains = {name: list(lines) for name, lines in ruleset.get(line[1:], {}).items()}
        elif line.startswith("-D "):
            if not _stands(line, chains):
                continue
            _strike(line, chains)  # a jump that moves is deleted and made again
        elif _makes_jump(line) and _stands(line, chains):
            continue
        kept.append(line)
    return "\n".join([*kept, ""])


def _strike(line: str, chains: Dict[str, List[str]]) -> None:
    """Take the first rule with the same mark off the chain that the line is about."""
    chain = chains[line.split(" ", 2)[1]]
    mark = MARK.search(line)
    del chain[owned_marks(chain).index(mark.group(1) if mark else None)]


def _makes_jump(line: str) -> bool:
    return line.startswith("-I ") or (line.startswith("-A ") and target_of(line) == GUARD)


def _stands(line: str, chains: Dict[str, List[str]]) -> bool:
    """Whether a rule with the same mark stands in the chain that the line is about."""
    mark = MARK.search(line)
    return mark is not None and mark.group(1) in owned_marks(chains.get(line.split(" ", 2)[1], []))
