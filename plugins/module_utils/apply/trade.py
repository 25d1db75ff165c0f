# SPDX-License-Identifier: GPL-3.0-or-later
"""Deeds that only the planner of a job knows how to do: what the runner has to know of them."""

from __future__ import annotations

from typing import List, Protocol, Sequence

from ..plan.actions import Deed, Step


class Trade(Protocol):
    """How the deeds of a kind of jobs are done, and what is there of them."""

    def do(self, deed: Deed, tolerant: bool) -> None:
        """Do it; ``tolerant``: on a way back, where what is so already counts as done. Raises a HostwireError."""

    def is_begun(self, steps: Sequence[Step], alive: bool) -> bool:
        """Whether anything may be there that a killed run did by the deeds of these steps; each is undone then.

        ``alive``: the kernel is still the one that it ran on.
        """

    def left(self, deed: Deed) -> List[str]:
        """What of it isn't as it was before, in words. Raises a HostwireError where that can't be seen."""

    def settle(self, steps: Sequence[Step], alive: bool) -> None:
        """Before such a run is undone: end what it left for a moment only. Raises a HostwireError."""
