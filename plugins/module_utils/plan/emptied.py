# SPDX-License-Identifier: GPL-3.0-or-later
"""A document that says nothing any more, although something was made in its name: most often a slip of the pen."""

from __future__ import annotations

from typing import Any, List, Mapping, Optional

from .owned import Owned

# What a document may hold without asking for anything on the host.
_ASKS_NOTHING = frozenset(("name", "probes"))
_SHOWN = 3  # names of each kind that are told


def emptied(
    document: Mapping[str, Any], last: Optional[Mapping[str, Any]], owned: Owned, written: bool = False
) -> List[str]:
    """The problem with a whole ``document`` that would remove all that its name stands for without saying so.

    ``last`` is the document of that name that was applied before, ``owned`` what there is of it; both canonical.
    ``written``: probes count as something that a document says.
    """
    if asks_something(document) or (written and "probes" in document):
        return []
    if not (asks_something(last or {}) or any(owned.parts)):
        return []
    there = _there(last or {}) or "what a run left that was broken off"
    return [
        (
            f'state: the document "{document["name"]}" says nothing any more, and this host has {there} by that name;'
            f" say state: absent to remove it"
        )
    ]


def asks_something(document: Mapping[str, Any]) -> bool:
    """Whether a canonical document asks for anything to be there."""
    return not _ASKS_NOTHING.issuperset(document)


def _there(document: Mapping[str, Any]) -> str:
    """The sections of a canonical document with the names in them, in a few words."""
    return ", ".join(f"{section}{_names(value)}" for section, value in document.items() if section not in _ASKS_NOTHING)


def _names(entries: Any) -> str:
    """The first few names in a section, in brackets; how many entries there are where they have none."""
    if not isinstance(entries, list):
        return ""
    names = [entry["name"] for entry in entries if "name" in entry]
    if len(names) != len(entries):
        return f" ({len(entries)})"
    more = len(names) - _SHOWN
    return f" ({', '.join(names[:_SHOWN])}{f' and {more} more' if more > 0 else ''})"
