# SPDX-License-Identifier: GPL-3.0-or-later
"""Being told to stop: a run stops between two steps, where it knows what has been done, and takes it back.

A program that is waited for just then is ended first: see :mod:`.program`.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import Callable, Iterator, List, Optional

from .errors import Interrupted

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Heeding:
    """The signals that came, and what a further one is to end. ``told``: how many have been raised as Interrupted."""

    def __init__(self) -> None:
        self.received: List[int] = []
        self.told = 0
        self.awaited: List[Callable[[], None]] = []

    def note(self, number: int, _frame: object) -> None:
        """Handle a signal."""
        self.received.append(number)
        for end in list(self.awaited):
            end()

    def check(self) -> None:
        """Raise Interrupted if a signal has come."""
        if self.received:
            self.told = len(self.received)
            raise Interrupted(f"told to stop by {signal.Signals(self.received[-1]).name}")


_heeding: Optional[_Heeding] = None


@contextlib.contextmanager
def heeded() -> Iterator[Callable[[], None]]:
    """Signals to end wait until the yielded function is called, which raises Interrupted then.

    One that comes after the last call does at the end what it would have done. A signal that is ignored (nohup) stays
    so; outside the main thread, where Python allows no handlers, nothing changes.
    """
    heeding = _Heeding()
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                before[number] = signal.signal(number, heeding.note)
    try:
        with _while(heeding):
            yield heeding.check
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for late in heeding.received[heeding.told :]:
            signal.raise_signal(late)


def undisturbed() -> contextlib.AbstractContextManager[None]:
    """While the context lasts no program is ended by a signal: what was begun is taken back, signals are kept."""
    return _while(None)


@contextlib.contextmanager
def _while(heeding: Optional[_Heeding]) -> Iterator[None]:
    global _heeding  # a process has one handler of a signal
    before, _heeding = _heeding, heeding
    try:
        yield
    finally:
        _heeding = before


@contextlib.contextmanager
def awaiting(end: Callable[[], None]) -> Iterator[Callable[[], None]]:
    """While the context lasts, a signal that is heeded calls ``end``, which may be called at any moment and repeatedly.

    Yields what raises Interrupted if one has come.
    """
    heeding = _heeding
    if heeding is None:
        yield lambda: None
        return
    heeding.awaited.append(end)
    try:
        yield heeding.check
    finally:
        heeding.awaited.remove(end)
