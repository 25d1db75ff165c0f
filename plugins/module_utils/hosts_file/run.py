# SPDX-License-Identifier: GPL-3.0-or-later
"""Read, plan, apply, verify: a block of a hosts file. Planned here; what writes is the executor."""

from __future__ import annotations

import contextlib
import hashlib
import os
from typing import Any, ContextManager, Dict, List, NamedTuple, Optional, Sequence, Tuple

from ..apply import file_edits
from ..apply.journals import Job, Journals, gone_on
from ..document.fields import DOCUMENT_NAME
from ..errors import Conflict, InvalidValue, MissingOnHost
from ..plan.settings import HEADER
from ..spot import spot
from ..state_directory import STATE_DIRECTORY, locked
from ..visible import visible, visible_lines
from .entries import Entry, conflicts, read_entries
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
    directory), KernelRefused, VerificationFailed and Interrupted, after which the file is as it was; else UndoFailed.
    """
    entries, problems = read_entries(values if present else ())
    problems += owner_problems(owner)
    if problems:
        raise InvalidValue(problems)
    with spot(path, asked=True) as place:
        if present and not place.is_there:
            raise MissingOnHost(f"path: there is no directory {os.path.dirname(path)}")
        place.read()  # what is no hosts file is refused before anything is made, the lock too
        lock: ContextManager[None] = contextlib.nullcontext() if check else locked(state_dir, f"hosts file {path}")
        with lock:
            journals, name = Journals(state_dir), f"hosts.{hashlib.sha256(os.fsencode(path)).hexdigest()[:16]}"
            gone = gone_on(journals, name, [path], check)
            content = gone.contents.get(path, place.read())
            outcome = planned(path, content, owner, entries if present else None)
            if outcome.plan and not check:
                _write(journals, name, path, outcome)
            return outcome._replace(plan=(*gone.lines, *outcome.plan))


def _write(journals: Journals, name: str, path: str, outcome: Outcome) -> None:
    from ..apply.jobs import carry_out, step  # loaded when it is needed: most runs change nothing

    edit = file_edits.planned(path, outcome.content_before, outcome.content_after, path)
    carry_out(Job(name, f"hosts file {path}", (f"file {path}",), (step(edit),), {}), journals, lambda: None)


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


def planned(path: str, content: Optional[bytes], owner: str, entries: Optional[Sequence[Entry]]) -> Outcome:
    """What is to be done to a file that holds this, so that the owner's block holds these entries; None takes it away.

    Raises Conflict and InvalidValue; changes nothing.
    """
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
