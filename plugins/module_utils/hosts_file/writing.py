# SPDX-License-Identifier: GPL-3.0-or-later
"""A small file replaced whole; one that can't be replaced, for it is mounted somewhere, written in place."""

from __future__ import annotations

import errno
import hashlib
import os
from typing import Optional

from .. import files, state_directory
from ..errors import KernelRefused
from .spot import Spot

_DIGITS = 18  # of a file's length


def torn(spot: Spot, state_dir: str) -> Optional[bytes]:
    """What the file held before a write in place that never ended; None if there was none, or others wrote since."""
    kept = state_directory.read(_copy(spot, state_dir)) or ""
    length, _newline, texts = kept.encode("utf-8", "surrogateescape").partition(b"\n")
    if not (length.isdigit() and len(length) <= _DIGITS):  # damaged, it tells nothing
        return None
    before, after = texts[: int(length)], texts[int(length) :]
    return before if _cut_short(spot.read() or b"", before, after) else None


def _cut_short(now: bytes, before: bytes, after: bytes) -> bool:
    """Whether it begins as ``after`` and goes on with nothing, or with the rest of ``before``."""
    differing = (number for number, (one, other) in enumerate(zip(now, after)) if one != other)
    written = next(differing, min(len(now), len(after)))
    return now not in (before, after) and now[written:] in (b"", before[written:])


def write(spot: Spot, content: Optional[bytes], state_dir: str, *, in_place: bool = False) -> None:
    """Replace the file, or delete it with None.

    ``in_place`` is for a file that is mounted elsewhere: whoever has it there would go on seeing the old one if it were
    replaced. Raises KernelRefused.
    """
    if content is None:
        spot.remove()
        return
    if in_place:
        _write_in_place(spot, content, state_dir)
    else:
        try:
            spot.replace(content)
        except KernelRefused as error:
            if error.errno not in (errno.EBUSY, errno.EXDEV):
                raise
            _write_in_place(spot, content, state_dir)
    if os.path.lexists(_copy(spot, state_dir)):
        files.remove(_copy(spot, state_dir))


def _write_in_place(spot: Spot, content: bytes, state_dir: str) -> None:
    """Hazard 43: a mount point can't be replaced. Copies beside the state tell the next run of a write cut short.

    Where the new text has no room, the old one had, and comes back.
    """
    before = spot.read() or b""
    kept = b"%d\n%b%b" % (len(before), before, content)
    files.write(_copy(spot, state_dir), kept.decode("utf-8", "surrogateescape"), 0o600)
    try:
        try:
            spot.overwrite(content)
        except OSError:
            spot.overwrite(before)
            files.remove(_copy(spot, state_dir))
            raise
    except OSError as error:
        raise KernelRefused(f"file {spot.path}: write in place", error.errno or 0) from error


def _copy(spot: Spot, state_dir: str) -> str:
    return os.path.join(state_dir, f"hosts.{hashlib.sha256(os.fsencode(spot.path)).hexdigest()[:16]}.copy")
