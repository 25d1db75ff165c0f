# SPDX-License-Identifier: GPL-3.0-or-later
"""Deeds that only the planner of a job knows how to do: what the runner has to know of them."""

from __future__ import annotations

from typing import List, Protocol, Sequence

from ..plan.actions import Deed, Step


class Trade(Protocol):
    """How the deeds of a kind of jobs are done, and what is there of them."""

    def do(self, deed: Deed, tolerant: bool) -> None:
        """Do it; ``tolerant``: on a way back, where what is so already counts as done. Raises a HostwireError."""

    def is_begun(self, steps: Sequence[Step]) -> bool:
        """Whether a run that was killed may have begun with the deeds of these steps; then each of them is undone."""

    def left(self, deed: Deed) -> List[str]:
        """What of it isn't as it was before, in words. Raises a HostwireError where that can't be seen."""

    def settle(self, steps: Sequence[Step]) -> None:
        """End what a run that was killed amid one of these left for a moment only. Raises a HostwireError."""
