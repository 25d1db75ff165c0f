# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run that was killed leaves beside what plans see."""

from __future__ import annotations

import contextlib
import os
import stat
from typing import Iterable

from .. import files, netns
from ..errors import KernelRefused
from .disk import Memory


def clear(memory: Memory, records: Iterable[str]) -> None:
    """Remove files that were never finished, beside the document's ``records`` also where no run is known of.

    And files for namespaces that none is mounted on (hazard 16), and directories in which no file is left.
    """
    for path in records:
        files.discard_unfinished(path)
    if not memory.interrupted:
        return
    there = netns.inodes()
    for name in memory.owned.namespaces:
        if name not in there:
            with contextlib.suppress(OSError):
                _remove_plain(f"{netns.DIRECTORY}/{name}")
    for path in memory.owned.files:
        files.discard_unfinished(path)
        with contextlib.suppress(KernelRefused):
            files.remove_empty(os.path.dirname(path))


def _remove_plain(path: str) -> None:
    status = os.lstat(path)
    if stat.S_ISREG(status.st_mode) and not status.st_size:
        os.unlink(path)
