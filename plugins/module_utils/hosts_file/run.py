# SPDX-License-Identifier: GPL-3.0-or-later
"""Read, plan, apply, verify: a block of a hosts file. The effects are here."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
from typing import Any, ContextManager, Dict, List, NamedTuple, Optional, Sequence, Tuple

from .. import files
from ..apply.disk import STATE_DIRECTORY, Store
from ..errors import Conflict, InvalidValue, KernelRefused, MissingOnHost, VerificationFailed
from .entries import Entry, conflicts, read_entries
from .text import HostsText, encoding_of, joined, others, own, split


class Outcome(NamedTuple):
    """What a run did, or would do: ``before`` and ``after`` are the block's entries, the contents the whole file's."""

    plan: Tuple[str, ...]
    before: Tuple[Entry, ...]
    after: Tuple[Entry, ...]
    content_before: Optional[bytes]
    content_after: Optional[bytes]


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
    if problems:
        raise InvalidValue(problems)
    _refuse_place(path)
    lock: ContextManager[None] = contextlib.nullcontext() if check else Store(state_dir).locked(f"hosts file {path}")
    with lock:
        outcome = _planned(path, owner, entries if present else None, state_dir)
        if outcome.plan and not check:
            _write(path, outcome.content_after, state_dir)
            if _read(path) != outcome.content_after:
                raise VerificationFailed(f"{path}: somebody else wrote to it at the same time; run this again")
        return outcome


def shown(content: Optional[bytes]) -> str:
    """A file's text for a person to read."""
    encoding = encoding_of(content or b"")
    codec = "utf-8" if encoding.codec == "latin-1" else encoding.codec
    return (content or b"")[len(encoding.mark) :].decode(codec, "replace")


def _planned(path: str, owner: str, entries: Optional[Sequence[Entry]], state_dir: str) -> Outcome:
    torn = _torn(path, state_dir)
    content = _read(path) if torn is None else torn
    text = split(content, owner, path)
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
    lines = [f"{path}: remove {entry.line}" for entry in before if entry not in after]
    lines += [f"{path}: add {entry.line}" for entry in after if entry not in before]
    return lines or [f"{path}: {'write' if after else 'remove'} the block in its usual form"]


def _refuse_place(path: str) -> None:
    if not os.path.isabs(path):
        raise InvalidValue(f"path: {path} has to begin with /")
    if not os.path.isdir(os.path.dirname(path)):
        raise MissingOnHost(f"path: there is no directory {os.path.dirname(path)}")
    if os.path.islink(path):
        raise InvalidValue(f"path: {path} is a symbolic link to {os.path.realpath(path)}; say that path")
    if os.path.isdir(path):
        raise InvalidValue(f"path: {path} is a directory")


def _read(path: str) -> Optional[bytes]:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise KernelRefused(f"file {path}: read", error.errno or 0) from error


def _write(path: str, content: Optional[bytes], state_dir: str) -> None:
    if content is None:
        files.remove(path)
        return
    try:
        files.replace(path, content)
    except KernelRefused as error:
        if error.errno not in (errno.EBUSY, errno.EXDEV):
            raise
        _write_in_place(path, content, state_dir)
    _forget(path, state_dir)


def _write_in_place(path: str, content: bytes, state_dir: str) -> None:
    """Hazard 43: a mount point can't be replaced. A copy beside the state tells the next run of a write cut short."""
    files.replace(_copy(path, state_dir), _read(path) or b"")
    try:
        with open(path, "r+b", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(content)
            file.truncate(len(content))
            os.fsync(file.fileno())
    except OSError as error:
        raise KernelRefused(f"file {path}: write in place", error.errno or 0) from error


def _copy(path: str, state_dir: str) -> str:
    return os.path.join(state_dir, f"hosts.{hashlib.sha256(os.fsencode(path)).hexdigest()[:16]}.copy")


def _torn(path: str, state_dir: str) -> Optional[bytes]:
    """What the file held before a write in place that never ended."""
    return _read(_copy(path, state_dir))


def _forget(path: str, state_dir: str) -> None:
    if os.path.exists(_copy(path, state_dir)):
        files.remove(_copy(path, state_dir))


def plain(entries: Sequence[Entry]) -> List[Dict[str, Any]]:
    """Entries as a module returns them."""
    return [{"address": entry.address, "names": list(entry.names)} for entry in entries]
