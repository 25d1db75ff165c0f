# SPDX-License-Identifier: GPL-3.0-or-later
"""Being told to stop: a run stops between two steps, where it knows what has been done, and takes it back.

A program that is waited for just then is ended first: see :mod:`.program`. A signal that comes when a run is ending
anyway takes nothing away from what it has to say.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import Any, Callable, Dict, Iterator, List, Optional, TypeVar

from .errors import Interrupted

T = TypeVar("T")
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Heeding:
    """The signals that came, and what a further one is to end. ``told``: how many have been raised as Interrupted."""

    def __init__(self, received: List[int]) -> None:
        self.received = received
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
            raise _interrupted(self.received)


class _Answering:
    """A program that is to give an answer. ``late``: the signals that came when nothing could be stopped."""

    def __init__(self) -> None:
        self.late: List[int] = []
        self.has_begun = False  # to change something: from then on nothing but a run itself knows what was done

    def note(self, number: int, _frame: object) -> None:
        """Handle a signal: it ends what only reads."""
        self.late.append(number)
        if not self.has_begun:
            raise KeyboardInterrupt


def _interrupted(received: List[int]) -> Interrupted:
    return Interrupted(f"told to stop by {signal.Signals(received[-1]).name}")


_heeding: Optional[_Heeding] = None
_answering: Optional[_Answering] = None


@contextlib.contextmanager
def heeded() -> Iterator[Callable[[], None]]:
    """Signals to end wait until the yielded function is called, which raises Interrupted then.

    One that comes after the last call is for the next run of a program that is :func:`answering`, which then doesn't
    begin; elsewhere it does at the end what it would have done. Where the run fails, whatever of, it ends anyway, and
    the signal does nothing. One that is ignored (nohup) stays so; outside the main thread, where Python allows no
    handlers, nothing changes.
    """
    program = _answering
    heeding = _Heeding([] if program is None else program.late)
    heeding.check()
    before, ended_well = _handled(heeding.note), False
    try:
        if program is not None:
            program.has_begun = True
        with _while(heeding):
            yield heeding.check
        ended_well = True
    finally:
        _give_back(before)
        if ended_well and program is None:
            for late in heeding.received[heeding.told :]:
                signal.raise_signal(late)


@contextlib.contextmanager
def answering() -> Iterator[Callable[[Callable[[], T]], T]]:
    """All of a program that says in the end what it has done: no signal to end comes between the two.

    Yields what does its work. A signal ends that with Interrupted, between two steps if there are any; once it is over
    signals do nothing any more, until the answer is out.
    """
    global _answering  # a process has one handler of a signal
    outer, program = _answering, _Answering()
    before = _handled(program.note)
    _answering = program

    def attempt(work: Callable[[], T]) -> T:
        try:
            return work()
        except KeyboardInterrupt as error:
            program.has_begun = True
            raise _interrupted(program.late or [signal.SIGINT]) from error
        finally:
            program.has_begun = True

    try:
        yield attempt
    finally:
        _answering = outer
        _give_back(before)


def _handled(note: Callable[[int, object], None]) -> Dict[int, Any]:
    """Have these signals handled, where Python allows it; what handled them before."""
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                before[int(number)] = signal.signal(number, note)
    return before


def _give_back(before: Dict[int, Any]) -> None:
    for number, handler in before.items():
        signal.signal(number, handler)


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
