# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of an interface whose work a bridge does, beside the kernel's own objects: a mark and notes.

The mark is an altname of the interface. It says whose uplink it is, and of which bridge: also where no file remembers
it, and where the bridge is gone. Notes tell what a bridge does for its uplink: should somebody delete it, the kernel
forgets all of that. Pure.
"""

from __future__ import annotations

import json
from typing import Any, Iterable, List, Optional, Tuple

from .rows import NamedTuple

LONGEST_NAME = 127  # ALTIFNAMSIZ - 1, linux/if.h
ADDRESS, ROUTE, NEIGHBOUR = "address", "route", "neighbour"
OVER = 0  # of a note that has ended
_PREFIX = "hostwire:"
_JITTER = 5  # seconds; the kernel tells how long something has still to live, in whole seconds

Record = Tuple[str, ...]  # the mark that the interface bears ("" for none), then the notes as text


class Mark(NamedTuple):
    """Whose uplink an interface is: the document's name and the bridge's."""

    document: str
    bridge: str


class Note(NamedTuple):
    """One thing that a link holds, in words that a plan needs and in those that the kernel needs.

    ``name`` is an address with its length, a prefix, or a neighbour's address; ``table``, ``metric``, ``protocol`` and
    ``via`` (the gateway, where it is a single one) are a route's. ``link`` and ``index`` are of the link that holds it.
    ``source`` is the address that it says, ``others`` are the indexes of the other links that it leads by, and 0 for an
    object of its own (``ip nexthop``); ``reaches``: the gateway is to be taken as reachable.
    ``ends`` and ``preferred`` are seconds since the boot; None is never, and OVER: it has ended. ``header`` is of
    rtnetlink's message, and ``body`` its attributes as they came, in hexadecimal digits, without times.
    """

    kind: str
    name: str
    link: str
    index: int  # type: ignore[assignment]
    header: Tuple[int, ...]
    body: str
    table: int = 0
    metric: int = 0
    protocol: int = 0
    via: Optional[str] = None
    ends: Optional[int] = None
    preferred: Optional[int] = None
    source: Optional[str] = None
    others: Tuple[int, ...] = ()
    reaches: bool = False

    @property
    def route(self) -> Tuple[str, int, int]:
        """What identifies a route: prefix, table, metric."""
        return self.name, self.table, self.metric


def mark_on(alias: str, bridge: str) -> str:
    """The altname of the uplink of a bridge that bears this alias; "" if that is no mark of ours, or is too long."""
    text = f"{alias}:{bridge}"
    return text if alias.startswith(_PREFIX) and len(text.encode()) <= LONGEST_NAME else ""


def read_mark(altname: str) -> Optional[Mark]:
    """What an altname says; None if it is no mark of ours."""
    parts = altname.split(":", 2)
    return Mark(*parts[1:]) if len(parts) == 3 and altname.startswith(_PREFIX) else None


def marks_among(altnames: Iterable[str]) -> Tuple[str, ...]:
    """Those altnames that are marks of ours."""
    return tuple(name for name in altnames if read_mark(name) is not None)


def written(note: Note) -> str:
    """A note as text."""
    return json.dumps(note)


def read_note(text: str) -> Note:
    """The note that :func:`written` wrote."""
    values: List[Any] = [tuple(value) if isinstance(value, list) else value for value in json.loads(text)]
    return Note(*values)


def record_of(values: Iterable[str]) -> Record:
    """A record as it was kept; ValueError or TypeError if it is none."""
    record = tuple(values)
    for note in notes_of(record):
        bytes.fromhex(note.body)
    return record


def notes_of(record: Record) -> Tuple[Note, ...]:
    """The notes of a record."""
    return tuple(map(read_note, record[1:]))


def alike(record: Record, other: Record) -> bool:
    """Whether two records say the same, but for moments that are told a little otherwise each time."""
    if record == other:
        return True
    return len(record) == len(other) and record[:1] == other[:1] and all(map(_alike, notes_of(record), notes_of(other)))


def _alike(note: Note, other: Note) -> bool:
    moments = ((note.ends, other.ends), (note.preferred, other.preferred))
    return note._replace(ends=None, preferred=None) == other._replace(ends=None, preferred=None) and all(
        one == two or (one is not None and two is not None and abs(one - two) <= _JITTER) for one, two in moments
    )


def aged(record: Record, now: int) -> Record:
    """The record as it reads ``now``, in seconds since the boot: what has ended by then ended with the boot."""
    notes = [(text, read_note(text)) for text in record[1:]]
    if not any(note.ends and note.ends <= now for _text, note in notes):
        return record
    return (*record[:1], *(written(note._replace(ends=OVER)) if note.ends and note.ends <= now else text
                           for text, note in notes))  # fmt: skip
