# SPDX-License-Identifier: GPL-3.0-or-later
"""A small file read and replaced whole; one that can't be replaced, for it is mounted somewhere, written in place."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
from typing import Optional

from .. import files
from ..errors import InvalidValue, KernelRefused


def refuse_place(path: str) -> None:
    """Raise InvalidValue where no file of ours could be: a relative path, a symbolic link, a directory, a pipe."""
    if not os.path.isabs(path):
        raise InvalidValue(f"path: {path} has to begin with /")
    if os.path.islink(path):
        raise InvalidValue(f"path: {path} is a symbolic link to {os.path.realpath(path)}; say that path")
    if os.path.isdir(path):
        raise InvalidValue(f"path: {path} is a directory")
    if os.path.exists(path) and not os.path.isfile(path):
        raise InvalidValue(f"path: {path} is a device, a pipe or a socket, not a file")


def read(path: str) -> Optional[bytes]:
    """What the file holds; None if it isn't there."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise KernelRefused(f"file {path}: read", error.errno or 0) from error


def torn(path: str, state_dir: str) -> Optional[bytes]:
    """What the file held before a write in place that never ended; None if there was none, or others wrote since."""
    length, _newline, texts = (read(_copy(path, state_dir)) or b"").partition(b"\n")
    if not length.isdigit():
        return None
    before, after = texts[: int(length)], texts[int(length) :]
    return before if _cut_short(read(path) or b"", before, after) else None


def _cut_short(now: bytes, before: bytes, after: bytes) -> bool:
    """Whether it begins as ``after`` and goes on with nothing, or with the rest of ``before``."""
    differing = (number for number, (one, other) in enumerate(zip(now, after)) if one != other)
    written = next(differing, min(len(now), len(after)))
    return now not in (before, after) and now[written:] in (b"", before[written:])


def write(path: str, content: Optional[bytes], state_dir: str, *, in_place: bool = False) -> None:
    """Replace the file, or delete it with None.

    ``in_place`` is for a file that is mounted elsewhere: whoever has it there would go on seeing the old one if it were
    replaced. Raises KernelRefused.
    """
    if content is None:
        files.remove(path)
        return
    if in_place:
        _write_in_place(path, content, state_dir)
    else:
        try:
            files.replace(path, content)
        except KernelRefused as error:
            if error.errno not in (errno.EBUSY, errno.EXDEV):
                raise
            _write_in_place(path, content, state_dir)
    if os.path.exists(_copy(path, state_dir)):
        files.remove(_copy(path, state_dir))


def _write_in_place(path: str, content: bytes, state_dir: str) -> None:
    """Hazard 43: a mount point can't be replaced. Copies beside the state tell the next run of a write cut short.

    Where the new text has no room, the old one had, and comes back.
    """
    before = read(path) or b""
    files.replace(_copy(path, state_dir), b"%d\n%b%b" % (len(before), before, content))
    try:
        try:
            _overwrite(path, content)
        except OSError:
            _overwrite(path, before)
            files.remove(_copy(path, state_dir))
            raise
    except OSError as error:
        raise KernelRefused(f"file {path}: write in place", error.errno or 0) from error


def _overwrite(path: str, content: bytes) -> None:
    with open(path, "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(content)
        file.flush()
        file.truncate(len(content))
        os.fsync(file.fileno())


def _copy(path: str, state_dir: str) -> str:
    return os.path.join(state_dir, f"hosts.{hashlib.sha256(os.fsencode(path)).hexdigest()[:16]}.copy")
