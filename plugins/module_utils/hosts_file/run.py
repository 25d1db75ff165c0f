# SPDX-License-Identifier: GPL-3.0-or-later
"""Read, plan, apply, verify: a block of a hosts file. The effects are here."""

from __future__ import annotations

import contextlib
import os
from typing import Any, ContextManager, Dict, List, NamedTuple, Optional, Sequence, Tuple

from ..document.fields import DOCUMENT_NAME
from ..errors import Conflict, InvalidValue, MissingOnHost, VerificationFailed
from ..plan.settings import HEADER
from ..state_directory import STATE_DIRECTORY, locked
from ..visible import visible, visible_lines
from . import writing
from .entries import Entry, conflicts, read_entries
from .spot import Spot, spot
from .text import HostsText, encoding_of, joined, others, own, remade_by, split

_DOCUMENTS = HEADER.partition("{")[0].encode()  # how a file begins that a document has whole


class Outcome(NamedTuple):
    """What a run did, or would do: ``before`` and ``after`` are the block's entries, the contents the whole file's."""

    plan: Tuple[str, ...]
    before: Tuple[Entry, ...]
    after: Tuple[Entry, ...]
    content_before: Optional[bytes]
    content_after: Optional[bytes]

    @property
    def warnings(self) -> List[str]:
        """What its user should know of a file that is written to."""
        return remade_by(self.content_before) if self.plan and self.after else []


def run(
    path: str,
    owner: str,
    values: Sequence[Any],
    *,
    present: bool = True,
    check: bool = False,
    state_dir: str = STATE_DIRECTORY,
) -> Outcome:
    """Make the owner's block in the file at ``path`` hold these entries, or take it away; ``check`` only plans.

    Raises InvalidValue, Conflict (a name that has another address there, a damaged block), MissingOnHost (no such
    directory), KernelRefused and VerificationFailed.
    """
    entries, problems = read_entries(values if present else ())
    problems += owner_problems(owner)
    if problems:
        raise InvalidValue(problems)
    with spot(path) as place:
        if present and not place.is_there:
            raise MissingOnHost(f"path: there is no directory {os.path.dirname(path)}")
        place.read()  # what is no hosts file is refused before anything is made, the lock too
        lock: ContextManager[None] = contextlib.nullcontext() if check else locked(state_dir, f"hosts file {path}")
        with lock:
            outcome = planned(place, owner, entries if present else None, state_dir)
            if outcome.plan and not check:
                writing.write(place, outcome.content_after, state_dir)
                if place.read() != outcome.content_after:
                    raise VerificationFailed(f"{path}: somebody else wrote to it at the same time; run this again")
            return outcome


def owner_problems(owner: str) -> List[str]:
    """The mark of a block has to be found again by the next run."""
    if DOCUMENT_NAME.fullmatch(owner):
        return []
    return [f'owner: "{owner}" is no name; say up to 32 letters, digits, _, . and -']


def shown(content: Optional[bytes]) -> str:
    """A file's text for a person to read; whoever wrote it doesn't steer the terminal."""
    encoding = encoding_of(content or b"")
    codec = "utf-8" if encoding.codec == "latin-1" else encoding.codec
    return visible_lines((content or b"")[len(encoding.mark) :].decode(codec, "replace"))


def planned(place: Spot, owner: str, entries: Optional[Sequence[Entry]], state_dir: str) -> Outcome:
    """What is to be done to the file so that the owner's block holds these entries; None takes the block away.

    Raises Conflict and InvalidValue; changes nothing.
    """
    path = place.path
    torn = writing.torn(place, state_dir)
    content = place.read() if torn is None else torn
    if entries and content is not None and content.startswith(_DOCUMENTS):
        document = content[len(_DOCUMENTS) :].partition(b":")[0].decode(errors="replace")
        raise Conflict(
            f"{path}: the whole file belongs to the document {document}: add the names to hosts of its namespace there,"
            f" or take hosts out of it"
        )
    text = split(content, owner, path)
    if entries and text.is_no_text:
        raise InvalidValue(
            f"path: {path} holds NUL characters, as UTF-16 without a byte order mark does: nobody would find the names"
            f" in it; save it as UTF-8"
        )
    found = conflicts(entries or (), others(text), path)
    if found:
        raise Conflict(found)
    before = [Entry(line.address, line.names) for line in own(text)]
    block = None if entries is None or not entries else [entry.line for entry in entries]
    after = content if block is None and text.block is None else joined(text, owner, block)
    plan = _lines(path, before, list(entries or ()), text, changed=after != content)
    if torn is not None:
        plan.insert(0, f"{path}: finish what a run that was killed left half-written")
    return Outcome(tuple(plan), tuple(before), tuple(entries or ()), content, after)


def _lines(path: str, before: List[Entry], after: List[Entry], text: HostsText, changed: bool) -> List[str]:
    """A line for each entry that goes or comes; one for the block where only its form differs."""
    if not changed:
        return []
    lines = [f"{path}: remove {visible(entry.line)}" for entry in before if entry not in after]
    lines += [f"{path}: add {entry.line}" for entry in after if entry not in before]
    return lines or [f"{path}: {'write' if after else 'remove'} the block in its usual form"]


def plain(entries: Sequence[Entry]) -> List[Dict[str, Any]]:
    """Entries as a module returns them."""
    return [{"address": entry.address, "names": list(entry.names)} for entry in entries]
