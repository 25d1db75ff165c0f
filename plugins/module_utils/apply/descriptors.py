# SPDX-License-Identifier: GPL-3.0-or-later
"""Open files that are kept for the way back."""

from __future__ import annotations

import contextlib
import os

_KEPT_READY = 16  # a few namespaces, sockets and files, and what a program needs


class Descriptors:
    """Some that are kept ready for the way back: a run may fail because there are no more."""

    def __init__(self) -> None:
        self._kept = [os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)]
        with contextlib.suppress(OSError):
            while len(self._kept) < _KEPT_READY:
                self._kept.append(os.dup(self._kept[0]))

    def release(self) -> None:
        """Let them be used."""
        while self._kept:
            os.close(self._kept.pop())
