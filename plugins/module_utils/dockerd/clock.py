# SPDX-License-Identifier: GPL-3.0-or-later
"""How long each part of a run takes."""

from __future__ import annotations

import time
from typing import Dict


class Clock:
    """``timings``: seconds by the name of the part, to the millisecond."""

    def __init__(self) -> None:
        self.timings: Dict[str, float] = {}
        self._since = time.monotonic()

    def lap(self, name: str) -> None:
        """What was done since the last lap was part ``name``."""
        now = time.monotonic()
        self.timings[name] = round(self.timings.get(name, 0.0) + now - self._since, 3)
        self._since = now
