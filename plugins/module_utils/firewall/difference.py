# SPDX-License-Identifier: GPL-3.0-or-later
"""From what is there and what is wanted to the transactions that lead from one to the other, and back: pure.

Observed and wanted rules are compared by the marks in their comments, because the kernel shows a rule in another form
than it was written in (hazard 37): each chain of ours must hold exactly the wanted marks in the wanted order, and each
jump must stand exactly once.
"""

from __future__ import annotations

import re
from typing import Dict, Iterable, Iterator, List, Mapping, NamedTuple, Optional, Set, Tuple

from .legacy import CHAINS as LEGACY
from .legacy import GUARD as LEGACY_GUARD
from .paper import outcome
from .rendering import NOTHING, Rendered, render
from .rules import SHARED, Jump, Rule, tag_of
from .shared import JUMPS, LEAVE, LEAVES, OPTIONAL, STANDS_WITH, USUAL, dispatch
from .tables import GO_ON, MARK, OWN_CHAIN, Ruleset, Tables, owned_marks, rank_of, target_of
from .want import FirewallWant

# What protects comes before what opens; a removal goes the other way round.
_ORDER = ("mangle", "raw", "filter", "nat")
_TOLD = ("raw", "mangle", "filter", "nat")
_PROGRAM = {4: "iptables", 6: "ip6tables"}
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
    """A chain as it is to be: the marks to compare by, and the lines to write."""

    marks: List[Optional[str]]
    lines: List[str]


class _Goal(NamedTuple):
    """One table as it is to be: chains of ours that stand, those that are to go, and the jumps that lead to them."""

    chains: Dict[str, _Chain]
    gone: List[str]
    jumps: List[Jump]


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
        rendered = render(wanted, family, tables.bridged, tables.lacks(family)) if wanted else NOTHING
        swap = _swap(backend, family, ruleset, rendered, owner)
        if swap is not None:
            swaps.append(swap)
            named = named_rules(rendered) if wanted else []
            before = named_rules(render(previous, family, tables.bridged, tables.lacks(family))) if previous else []
            lines.update(dict.fromkeys(_lines(ruleset, named, before, owner)))
    where = "host" if netns is None else f"namespace {netns}"
    return FirewallChange(tuple(f"{where}: {line}" for line in lines), tuple(swaps))


def held_chains(tables: Tables, change: FirewallChange) -> Iterator[str]:
    """A line for each chain that a change deletes and a rule of somebody else leads to: the kernel won't delete it."""
    for swap in change.swaps:
        for text in swap.text.split("*")[1:] if "\n-X " in swap.text else ():
            table, *lines = text.splitlines()
            gone = {line[3:] for line in lines if line.startswith("-X ")}
            emptied = {line[1:].partition(" ")[0] for line in lines if line.startswith(":")}
            for name, rules in tables.rulesets[swap.backend, swap.family].get(table, {}).items():
                for rule in rules if name not in emptied else ():
                    if target_of(rule) in gone and not MARK.search(rule):
                        yield (
                            f"chain {target_of(rule)} of {_PROGRAM[swap.family]} (table {table}) can't be removed: "
                            f"a rule that isn't ours leads to it: {rule}; delete that first"
                        )


def named_rules(rendered: Rendered) -> List[Rule]:
    """The rules that say what they are for, each of its words by itself: what protects, what opens, what translates."""
    tables = (
        rules for table in _TOLD for part in rendered[:2] for (where, _chain), rules in part.items() if where == table
    )
    named = [rule for rules in tables for rule in rules if rule.label]
    return [rule._replace(label=label) for rule in named for label in rule.label.split("\n")]


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
        return [f"firewall chains of {owner}: {'put right' if wanted or not present else 'remove'}"]
    return lines


def _swap(backend: str, family: int, ruleset: Ruleset, rendered: Rendered, owner: str) -> Optional[Swap]:
    edits = {table: _edit(table, family, ruleset, rendered, owner) for table in _ORDER}
    edited = [table for table in _ORDER if edits[table] is not None]
    if not edited:
        return None
    forward = edited if rendered.parts else edited[::-1]
    texts = [edits[table] for table in forward]
    return Swap(
        backend,
        family,
        ",".join(forward),
        "".join(text for text, _undo in filter(None, texts)),
        UNDO + "".join(undo for _text, undo in filter(None, texts[::-1])),
    )


def _edit(table: str, family: int, ruleset: Ruleset, rendered: Rendered, owner: str) -> Optional[Tuple[str, str]]:
    """What changes one table, and what changes it back; None if it is as wanted."""
    present = ruleset.get(table, {})
    goal = _goal(table, family, ruleset, rendered, owner)
    changed = [name for name, chain in goal.chains.items() if not _same(chain, present.get(name))]
    added, removed = _jump_edits(goal, present)
    if not (changed or goal.gone or added or removed):
        return None
    new = [name for name in changed if name not in present]
    # A declared chain is made, or emptied if it is there (hazard 34); never declare a built-in one.
    declared = [f":{name} - [0:0]" for name in changed + goal.gone]
    there = [line for name in changed for line in goal.chains[name].lines]
    text = [*declared, *map(_delete, removed), *there, *map(_insert, added), *(f"-X {name}" for name in goal.gone)]
    back = [line for name in changed + goal.gone for line in present.get(name, ())]
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
    return line if target_of(line) in _AT_THE_END else f"-I{line[2:]}"


def _same(chain: _Chain, lines: Optional[List[str]]) -> bool:
    return lines is not None and owned_marks(lines) == chain.marks


# What is closed in one is opened in the other: where a document has rules in one of these, both stand.
_TOGETHER = {"mangle": ("mangle", "filter"), "filter": ("mangle", "filter"), "raw": ("raw",), "nat": ("nat",)}


def _goal(table: str, family: int, ruleset: Ruleset, rendered: Rendered, owner: str) -> _Goal:
    present = ruleset.get(table, {})
    own = re.compile(rf"HW-[A-Z]+-{re.escape(tag_of(owner))}(~[0-9a-f]+)?")
    chains = {
        name: _Chain([rule.mark for rule in rules], [rule.line for rule in rules])
        for (where, name), rules in rendered.chains.items()
        if where == table
    }
    gone = [name for name in present if own.fullmatch(name) and name not in chains]
    mine = any(where in _TOGETHER[table] for where, _name in rendered.parts)
    stands = mine or any(
        _others(ruleset.get(where, {}).get(name, ()), owner)
        for where in _TOGETHER[table]
        for name in (*USUAL[where], *OPTIONAL[where])
    )
    for name in (*USUAL[table], *OPTIONAL[table]):
        others = _others(present.get(name, ()), owner)
        if stands if name in USUAL[table] else _is_used(table, name, present, rendered, owner):
            everybodys = rendered.skeleton[table, name] if mine else _everybodys(present.get(name, ()))
            own_part = _unsaid(rendered.parts.get((table, name), ()), others, present.get(name, []))
            chains[name] = _shared(everybodys, others, own_part)
        elif name in present:
            gone.append(name)
    if LEAVE in chains and table == "nat":
        chains[LEAVE] = _dispatching(chains[LEAVE], [name for name in LEAVES if name in chains], family)
    for name in LEGACY[table]:
        rest = _others(present.get(name, ()), owner)
        if rest:
            chains[name] = _Chain([mark for mark, _line in rest], [line for _mark, line in rest])
        elif name in present:
            gone.append(name)
    return _Goal(chains, gone, [jump for jump in JUMPS if jump.table == table and jump.chain in chains])


def _is_used(table: str, name: str, present: Mapping[str, List[str]], rendered: Rendered, owner: str) -> bool:
    """Whether a document has a rule in a shared chain, or in the one that it stands with."""
    names = (name, STANDS_WITH.get(name, name))
    return any((table, it) in rendered.parts or _others(present.get(it, ()), owner) for it in names)


def _dispatching(leave: _Chain, standing: Iterable[str], family: int) -> _Chain:
    """LEAVE with the rules that lead to the chains behind it that stand, and no others of these."""
    rules = {name: dispatch(name, family) for name in LEAVES}
    ours = {rule.mark for rule in rules.values()}
    entries = [(rank_of(line), mark, line) for mark, line in zip(leave.marks, leave.lines) if mark not in ours]
    entries += [(rules[name].rank, rules[name].mark, rules[name].line) for name in standing]
    entries.sort(key=lambda entry: (entry[0], entry[1] or ""))
    return _Chain([mark for _rank, mark, _line in entries], [line for _rank, _mark, line in entries])


def _others(lines: Iterable[str], owner: str) -> List[Tuple[str, str]]:
    """What other documents have in a shared chain."""
    lines = list(lines)
    marked = [(mark, line) for mark, line in zip(owned_marks(lines), lines) if mark]
    return [entry for entry in marked if not entry[0].startswith((f"{owner}:", f"{SHARED}:"))]


def _unsaid(own: Iterable[Rule], others: Iterable[Tuple[str, str]], lines: List[str]) -> Tuple[Rule, ...]:
    """A document's part without what another one, which sees the same, has said for all."""
    said = {(rank_of(line), _digest(mark)) for mark, line in others}
    there = set(owned_marks(lines))
    return tuple(
        rule for rule in own if not rule.once or rule.mark in there or (rule.rank, _digest(rule.mark)) not in said
    )


def _digest(mark: str) -> str:
    return mark.rpartition(":")[2]


def _everybodys(lines: Iterable[str]) -> Tuple[Rule, ...]:
    """What is nobody's in a shared chain, as it stands.

    Whoever only takes its own away leaves that as it is: others' wants aren't known to it.
    """
    lines = list(lines)
    marked = ((mark or "", line) for mark, line in zip(owned_marks(lines), lines))
    return tuple(Rule("", mark, line, rank_of(line)) for mark, line in marked if mark.startswith(f"{SHARED}:"))


def _shared(everybodys: Iterable[Rule], others: Iterable[Tuple[str, str]], own: Iterable[Rule]) -> _Chain:
    """A shared chain: what is everybody's, what other documents have in it, and this one's part."""
    entries = [(rank_of(line), mark, line) for mark, line in others]
    entries += [(rule.rank, rule.mark, rule.line) for rule in (*everybodys, *own)]
    entries.sort()
    return _Chain([mark for _rank, mark, _line in entries], [line for _rank, _mark, line in entries])


_AT_THE_END = (LEGACY_GUARD, *(jump.chain for jump in JUMPS if jump.last))


def _jump_edits(goal: _Goal, present: Dict[str, List[str]]) -> Tuple[List[Jump], List[str]]:
    """The jumps to add, and the lines in chains of others that lead to a chain of ours and are to go."""
    added: List[Jump] = []
    removed: List[str] = []
    for jump in goal.jumps:
        found = _jumps_to(jump.chain, {jump.parent: present.get(jump.parent, [])})
        if owned_marks(found) != [jump.rule.mark] or not _in_place(jump, present):
            added.append(jump)
            removed += found
    kept = {(jump.parent, jump.chain) for jump in goal.jumps}
    for name in (*goal.gone, *(name for name in goal.chains if not _is_legacy(name))):
        for parent, lines in present.items():
            if parent in goal.chains or parent in goal.gone or (parent, name) in kept:
                continue
            if name in goal.gone or not OWN_CHAIN.fullmatch(parent):  # other documents' chains are theirs
                removed += _jumps_to(name, {parent: lines})
    if any(jump.last for jump in added) and LEGACY_GUARD in goal.chains:
        # What an earlier version's documents guard is dropped there: it comes behind what is opened.
        guards = [line for lines in present.values() for line in lines if target_of(line) == LEGACY_GUARD]
        removed += guards
        added += [Jump("filter", "FORWARD", LEGACY_GUARD, Rule("", "", line), True) for line in guards]
    return added, removed


def _is_legacy(name: str) -> bool:
    return any(name in chains for chains in LEGACY.values())


_CLOSING = ("raw", "mangle")
_OPENS_NOTHING = (*GO_ON, "DROP", "REJECT", "RETURN", "")
_DEEPEST = 16  # chains that lead to each other; a loop is none, the kernel refuses those


def _in_place(jump: Jump, chains: Dict[str, List[str]]) -> bool:
    """Whether a jump that stands in these lines is where it has to be: one that closes first, one that opens last."""
    lines = chains[jump.parent]
    ours = [position for position, line in enumerate(lines) if target_of(line) == jump.chain]
    if jump.last:
        return all(target_of(line) in _AT_THE_END for line in lines[ours[-1] :])
    if jump.table not in _CLOSING:
        return True
    return not any(_opens(line, chains) for line in lines[: ours[0]] if not MARK.search(line))


def _opens(line: str, chains: Dict[str, List[str]], depth: int = 0) -> bool:
    """Whether a rule may let a packet past the rest of its table, so that ours behind it isn't asked."""
    target = target_of(line)
    if target not in chains:
        return target not in _OPENS_NOTHING or (target == "RETURN" and not depth)  # from the first chain: to its policy
    return depth > _DEEPEST or any(_opens(inner, chains, depth + 1) for inner in chains[target])


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


def is_done(text: str, ruleset: Ruleset) -> bool:
    """Whether these rules are what a transaction of ours leads to: giving it once more changes none of our marks."""
    after = outcome(ruleset, applicable(text, ruleset))
    tables = [line[1:] for line in text.splitlines() if line.startswith("*")]
    return all(_marked(after.get(table, {})) == _marked(ruleset.get(table, {})) for table in tables)


def _marked(chains: Mapping[str, List[str]]) -> Dict[str, List[Optional[str]]]:
    """Our chains with the marks in them, in order, and other chains with those of our jumps in them."""
    marks = {name: owned_marks(lines) for name, lines in chains.items()}
    jumps = {name: sorted(filter(None, found)) for name, found in marks.items() if not OWN_CHAIN.fullmatch(name)}
    ours = {name: found for name, found in marks.items() if name not in jumps}
    return {**ours, **{name: [*found] for name, found in jumps.items() if found}}


def _strike(line: str, chains: Dict[str, List[str]]) -> None:
    """Take the first rule with the same mark off the chain that the line is about."""
    chain = chains[line.split(" ", 2)[1]]
    mark = MARK.search(line)
    del chain[owned_marks(chain).index(mark.group(1) if mark else None)]


def _makes_jump(line: str) -> bool:
    return line.startswith("-I ") or (line.startswith("-A ") and target_of(line) in _AT_THE_END)


def _stands(line: str, chains: Dict[str, List[str]]) -> bool:
    """Whether a rule with the same mark stands in the chain that the line is about."""
    mark = MARK.search(line)
    return mark is not None and mark.group(1) in owned_marks(chains.get(line.split(" ", 2)[1], []))
