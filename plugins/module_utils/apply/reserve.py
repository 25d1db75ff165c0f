# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run keeps ready for its way back: the namespace that it began in, and a few open files to spare."""

from __future__ import annotations

import contextlib
import os
from typing import List

from ..errors import KernelRefused
from ..netns import Home

_SPARE = 16  # a few namespaces, sockets and files, and what a program needs


class Reserve:
    """Use as a context manager. Entering it raises KernelRefused."""

    def __enter__(self) -> Reserve:
        try:
            self._home = Home()
        except OSError as error:
            raise KernelRefused("the network namespace of this process: open", error.errno or 0) from error
        self._spare: List[int] = []
        with contextlib.suppress(OSError):
            while len(self._spare) < _SPARE:
                self._spare.append(self._home.duplicate())
        return self

    def release(self) -> None:
        """Let the files be used: a run may have failed because there were no more."""
        while self._spare:
            os.close(self._spare.pop())

    def go_home(self) -> None:
        """Be in the namespace that the run began in, wherever it failed. Raises KernelRefused."""
        self._home.enter()

    def __exit__(self, *_exc: object) -> None:
        self.release()
        self._home.close()
