# SPDX-License-Identifier: GPL-3.0-or-later
"""Where programs are looked for."""

from __future__ import annotations

import os

# What administrators run isn't in everybody's PATH, and cron and systemd may set none at all.
_ALWAYS = ("/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local/bin", "/usr/bin", "/bin")


def search_path() -> str:
    """The absolute parts of PATH, and then the usual places, each once.

    An empty or relative part means the current directory, which may be anybody's, and is left out.
    """
    parts = [part for part in os.environ.get("PATH", "").split(os.pathsep) if os.path.isabs(part)]
    return os.pathsep.join(dict.fromkeys([*parts, *_ALWAYS]))
