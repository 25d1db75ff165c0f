# SPDX-License-Identifier: GPL-3.0-or-later
"""The one frame of all that changes a host: whatever ends it half-way, it is taken back, or what is left is said."""

from __future__ import annotations

from typing import Callable, List, Optional, Tuple, TypeVar

from ..interruption import undisturbed
from .executor import Started
from .reserve import Reserve

T = TypeVar("T")
# Given what was started and what brings the thread home: what is left, in words; None where nothing was begun at all.
PutBack = Callable[[List[Started], Callable[[], None]], Optional[Tuple[str, ...]]]


def attempted(deed: Callable[[List[Started]], T], put_back: PutBack) -> T:
    """What ``deed`` returns; it notes what it starts before it does.

    Where it raises, whatever it is, ``put_back`` takes all of it back, and no signal ends that. Then what it raised
    says so, or UndoFailed says what is left.
    """
    started: List[Started] = []
    with Reserve() as reserve:
        try:
            return deed(started)
        except BaseException as error:
            from .way_back import ending  # loaded when it is needed: most runs don't fail

            reserve.release()
            with undisturbed():
                left = put_back(started, reserve.go_home)
            reason = ending(error, left or (), left is not None)
            if reason is error:
                raise
            raise reason from error
