# SPDX-License-Identifier: GPL-3.0-or-later
"""What the chains of one family are to be, reckoned change by change, each with a line for the plan: pure."""

from __future__ import annotations

from typing import Collection, Dict, List, Optional, Sequence, Tuple

from ...firewall.chains import Chains, leading
from ...firewall.rules import Jump
from ...firewall.tables import Ruleset, owned_marks, target_of
from ...plan.actions import ChainsEdit
from .damage import Damage
from .order import edits
from .unmanaged import CHAINS, OwnRules, standing

_TOOL = {4: "iptables", 6: "ip6tables"}
_ORDER = ("raw", "filter", "nat")


class _Table:
    """One table as it changes."""

    def __init__(self, name: str, chains: Dict[str, List[str]]) -> None:
        self.name = name
        self.chains = {chain: list(lines) for chain, lines in chains.items()}

    def delete(self, line: str) -> None:
        self.chains[line.split(" ", 2)[1]].remove(line)

    def insert(self, line: str, position: int) -> None:
        """``position`` counts from 1."""
        self.chains.setdefault(line.split(" ", 2)[1], []).insert(position - 1, line)


class Transaction:
    """What leads one family from the rules that stand there to the right ones.

    ``plan``: a readable line for each change.
    """

    def __init__(self, family: int, present: Ruleset) -> None:
        self.family = family
        self.plan: List[str] = []
        self._present = present
        self._tables = {name: _Table(name, present.get(name, {})) for name in _ORDER}

    @property
    def text(self) -> str:
        """The whole for iptables-restore, filter before nat; "" if there is nothing to do."""
        edit = self.edit("")
        return leading(self._present, edit.before, edit.after)

    def edit(self, backend: str) -> ChainsEdit:
        """The chains that differ, as they stand there and as they will."""
        old, new = self.changed(self._present)
        places = [(table, chain) for table in _ORDER for chain in {**old.get(table, {}), **new.get(table, {})}]

        def chains(ruleset: Ruleset) -> Chains:
            return tuple((table, chain, _lines(ruleset.get(table, {}).get(chain))) for table, chain in places)

        return ChainsEdit(None, backend, self.family, chains(old), chains(new))

    def changed(self, present: Ruleset) -> Tuple[Ruleset, Ruleset]:
        """The chains that differ: as they stand there and as they will."""
        before: Ruleset = {}
        after: Ruleset = {}
        for name, table in self._tables.items():
            old, new = present.get(name, {}), table.chains
            for chain in dict.fromkeys([*old, *new]):
                if old.get(chain) != new.get(chain):
                    before.setdefault(name, {}).update({chain: list(old[chain])} if chain in old else {})
                    after.setdefault(name, {}).update({chain: list(new[chain])} if chain in new else {})
        return before, after

    def repair(self, expected: Ruleset, damage: Sequence[Damage]) -> None:
        """Put right what is repairable: only in those chains that are damaged."""
        mine = [one for one in damage if one.family == self.family and one.repairable]
        for name in _ORDER:
            table = self._tables[name]
            chains = list(dict.fromkeys(one.chain for one in mine if one.table == name))
            for chain in chains:
                if chain not in table.chains and chain.startswith("DOCKER"):
                    table.chains[chain] = []
                    self._say(name, f"make chain {chain}")
            for chain in chains:
                stale = [one.rule for one in mine if (one.table, one.chain, one.kind) == (name, chain, _STALE)]
                self._set(table, chain, expected.get(name, {}).get(chain, []), stale)

    def _set(self, table: _Table, chain: str, wanted: Sequence[str], unwanted: Sequence[str]) -> None:
        changes, dummy = edits(table.name, table.chains.get(chain, []), wanted, unwanted)
        moved = {edit.line for edit in changes if edit.position} & {edit.line for edit in changes if not edit.position}
        for edit in changes:
            if edit.position is None:
                table.delete(edit.line)
                if edit.line not in moved:
                    self._say(table.name, f"remove {edit.line}")
            else:
                table.insert(edit.line, edit.position)
                self._say(table.name, f"{'move' if edit.line in moved else 'put back'} {edit.line}")

    def _say(self, table: str, words: str) -> None:
        self.plan.append(f"{_TOOL[self.family]} {table}: {words}")

    def own(self, wanted: OwnRules, kept: Sequence[Tuple[str, str]] = ()) -> None:
        """Make our own chains and the jumps to them as wanted, whole.

        The chains of ``kept`` are left alone, and so are the jumps to them, unless one is wanted.
        """
        chains = [place for place in CHAINS if place not in kept]
        for name in _ORDER:
            table = self._tables[name]
            mine = [chain for table_name, chain in chains if table_name == name]
            self._chains(table, mine, wanted)
            jumps = [jump for jump in wanted.jumps if jump.table == name]
            led_to = {*mine, *(jump.chain for jump in jumps if (name, jump.chain) in kept)}
            self._jumps(table, led_to, [jump for jump in jumps if jump.chain in led_to])
            for chain in mine:
                if (name, chain) not in wanted.chains and chain in table.chains:
                    del table.chains[chain]
                    self._say(name, f"remove chain {chain}")

    def _chains(self, table: _Table, mine: Sequence[str], wanted: OwnRules) -> None:
        for chain in mine:
            rules = wanted.chains.get((table.name, chain), ())
            standing = table.chains.get(chain, [])
            marks = owned_marks(standing)
            if marks == [rule.mark for rule in rules]:
                continue
            fresh = [rule for rule in rules if rule.mark not in marks]
            kept = {rule.mark for rule in rules}
            gone = [line for line, mark in zip(standing, marks) if mark not in kept]
            for rule in fresh:
                self._say(table.name, f"{chain}: {rule.label or rule.line}: add")
            for line in gone:
                self._say(table.name, f"{chain}: remove {line}")
            if not fresh and not gone:
                self._say(table.name, f"{chain}: put in order")
            if rules:
                table.chains[chain] = [rule.line for rule in rules]

    def _jumps(self, table: _Table, mine: Collection[str], wanted: Sequence[Jump]) -> None:
        right = {jump.parent: standing(table.chains.get(jump.parent, []), jump) for jump in wanted}
        present = set()
        for parent, lines in list(table.chains.items()):
            for line in list(lines):
                if target_of(line) not in mine or parent in mine:
                    continue
                if line == right.get(parent) and parent not in present:
                    present.add(parent)
                    continue
                table.delete(line)
                self._say(table.name, f"{parent}: remove the jump to {target_of(line)}")
        for jump in wanted:
            if jump.parent not in present:
                table.insert(jump.rule.line, 1)
                self._say(table.name, f"{jump.parent}: add a jump to {jump.chain}")


def _lines(lines: Optional[Sequence[str]]) -> Optional[Tuple[str, ...]]:
    return None if lines is None else tuple(lines)


_STALE = "stale-masquerade"
