# SPDX-License-Identifier: GPL-3.0-or-later
"""A few objects that join those which their document holds already."""

from __future__ import annotations

from typing import Iterable, List

from ..model import Topology
from .reader import SECTIONS, Reading
from .rules import rule_problems

_EARLIER = "the earlier "


def problems_with_earlier(reading: Reading, merged: Topology, said: Iterable[str] = ()) -> List[str]:
    """The rules that a fragment breaks together with the objects that were there before it.

    ``merged`` is the whole document with the fragment's own objects in it. A field of which ``reading.problems`` or
    ``said`` says something isn't spoken of again; what only concerns the others isn't said at all.
    """
    paths = {}
    for section in SECTIONS:
        new = {id(value): reading.where.path(section, i) for i, value in enumerate(getattr(reading.topology, section))}
        paths[section] = tuple(
            new.get(id(value), f"{_EARLIER}{section}[{i}]") for i, value in enumerate(getattr(merged, section))
        )
    found = rule_problems(merged, reading.where._replace(paths=paths))
    fields = {_field(line) for line in (*reading.problems, *said)}
    return [line for line in found if _field(line) not in fields and _concerns_fragment(line)]


def _field(line: str) -> str:
    """The path of the field that a line is about."""
    return line.partition(": ")[0]


def _concerns_fragment(line: str) -> bool:
    """Whether the line names an object that isn't an earlier one."""
    return not line.startswith(_EARLIER) or (", in " in line and f", in {_EARLIER}" not in line)
