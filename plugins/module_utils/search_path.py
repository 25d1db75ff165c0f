# SPDX-License-Identifier: GPL-3.0-or-later
"""Where programs are looked for."""

from __future__ import annotations

import os
import stat

# What administrators run isn't in everybody's PATH, and cron and systemd may set none at all.
_ALWAYS = ("/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local/bin", "/usr/bin", "/bin")


def search_path() -> str:
    """The absolute parts of PATH in which nobody else can put a program, and then the usual places, each once.

    An empty or relative part means the current directory, which may be anybody's, and is left out.
    """
    parts = [part for part in os.environ.get("PATH", "").split(os.pathsep) if os.path.isabs(part) and _is_ours(part)]
    return os.pathsep.join(dict.fromkeys([*parts, *_ALWAYS]))


def _is_ours(directory: str) -> bool:
    """Whether a directory, wherever its path leads by now, is root's or our own, and not for everybody to write to."""
    if directory in _ALWAYS:
        return True
    try:
        status = os.stat(directory)
    except OSError:  # no program is found there
        return True
    return status.st_uid in (0, os.geteuid()) and not status.st_mode & stat.S_IWOTH
