# SPDX-License-Identifier: GPL-3.0-or-later
"""Being told to stop: a run stops between two steps, where it knows what has been done, and takes it back."""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import Callable, Iterator, List

from ..errors import Interrupted

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def heeded() -> Iterator[Callable[[], None]]:
    """Signals to end wait until the yielded function is called, which raises Interrupted then.

    One that comes after the last call does at the end what it would have done. A signal that is ignored (nohup) stays
    so; outside the main thread, where Python allows no handlers, nothing changes.
    """
    received: List[int] = []

    def check() -> None:
        if received:
            raise Interrupted(f"told to stop by {signal.Signals(received.pop()).name}")

    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                before[number] = signal.signal(number, lambda number, _frame: received.append(number))
    try:
        yield check
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for late in received:
            signal.raise_signal(late)
