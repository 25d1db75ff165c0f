# SPDX-License-Identifier: GPL-3.0-or-later
"""How long the parts of a run take, and a clock for what has an end."""

from __future__ import annotations

import contextlib
import time
from typing import Any, Callable, Dict, Iterator


class Stopwatch:
    """Seconds that each part of a run took."""

    def __init__(self) -> None:
        self.seconds: Dict[str, float] = {"read": 0.0, "plan": 0.0, "apply": 0.0, "verify": 0.0}

    @contextlib.contextmanager
    def measuring(self, part: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[part] += time.perf_counter() - began

    def timed(self, part: str, work: Callable[[], Any]) -> Any:
        """What ``work`` returns, its time taken."""
        with self.measuring(part):
            return work()


def seconds_since_boot() -> int:
    """The clock that what has an end is dated by: it goes on while the machine sleeps, and nobody sets it."""
    return int(time.clock_gettime(time.CLOCK_BOOTTIME))
