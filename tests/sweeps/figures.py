# SPDX-License-Identifier: GPL-3.0-or-later
"""Counting what a sweep tried, by kind, and how each run ended."""

from __future__ import annotations

from collections import Counter
from typing import Dict, Iterable, List, Tuple

ENDS = ("done", "not begun", "put back", "left", "killed", "violations")
_counted: Counter[Tuple[str, str]] = Counter()


def count(kind: str, end: str) -> None:
    """One point of this kind ended so."""
    _counted[kind, end] += 1


def taken() -> List[str]:
    """What was counted since the last time, a line for each kind and end."""
    lines = [f"{kind}|{end}|{number}" for (kind, end), number in sorted(_counted.items())]
    _counted.clear()
    return lines


def table(lines: Iterable[str]) -> List[str]:
    """Two Markdown tables of such lines, summed up: of what happens, and of what it happens to."""
    found: Dict[str, Counter[str]] = {}
    coarse: Dict[str, Counter[str]] = {}
    for line in lines:
        kind, end, number = line.split("|")
        call, separates, words = kind.partition(": ")
        found.setdefault(kind, Counter())[end] += int(number)
        coarse.setdefault(f"a call {words}" if separates else call, Counter())[end] += int(number)
    return [*_written(coarse), "", *_written(found)]


def _written(found: Dict[str, Counter[str]]) -> List[str]:
    total: Counter[str] = Counter()
    for counts in found.values():
        total.update(counts)
    written = [f"| What happens | Points | {' | '.join(end.capitalize() for end in ENDS)} |"]
    written.append("| --- |" + " ---: |" * (len(ENDS) + 1))
    for kind, counts in [*sorted(found.items()), ("together", total)]:
        points = sum(number for end, number in counts.items() if end != "violations")
        written.append(f"| {kind} | {points} | {' | '.join(str(counts[end]) for end in ENDS)} |")
    return written
