# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for all that reads a host, whether it changes anything then or not."""

from __future__ import annotations

import contextlib
import errno
import gc
from typing import Iterator

from .errors import KernelRefused


@contextlib.contextmanager
def running() -> Iterator[None]:
    """A run lasts: it fails in words.

    And it makes many small values and no cycles of them: looking for cycles would take a fifth of its time.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    except OSError as error:  # reading what is there: a dump that never came through whole, a namespace just gone
        raise KernelRefused("reading what is there", error.errno or errno.EIO, error.strerror) from error
    finally:
        if was:
            gc.enable()
