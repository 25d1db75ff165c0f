# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole dumps only: an interrupted one is read again."""

from __future__ import annotations

from typing import Callable, TypeVar

from .channel import DUMP_ATTEMPTS, DumpInterrupted

T = TypeVar("T")


def complete(read: Callable[[], T]) -> T:
    """What ``read`` gives once no change came between (hazard 10); DumpInterrupted if one always does."""
    for _attempt in range(DUMP_ATTEMPTS - 1):
        try:
            return read()
        except DumpInterrupted:
            continue
    return read()
