# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run that was killed leaves beside what plans see."""

from __future__ import annotations

import contextlib
import os
import stat

from .. import files, netns
from ..plan.owned import Owned


def clear(owned: Owned) -> None:
    """Remove files for namespaces that none is mounted on (hazard 16), and directories in which no file is left."""
    there = netns.inodes()
    for name in owned.namespaces:
        if name not in there:
            with contextlib.suppress(OSError):
                _remove_plain(f"{netns.DIRECTORY}/{name}")
    for path in owned.files:
        files.remove_empty(os.path.dirname(path))


def _remove_plain(path: str) -> None:
    status = os.lstat(path)
    if stat.S_ISREG(status.st_mode) and not status.st_size:
        os.unlink(path)
