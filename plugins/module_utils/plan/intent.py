# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run may leave wherever it ends, its way back included."""

from __future__ import annotations

from typing import Iterable

from . import actions as act
from .owned import UNKNOWN, Owned, merge


def intended(before: Owned, after: Owned, steps: Iterable[act.Step]) -> Owned:
    """What is owned before and after the steps, and what undoing them would make anew: nobody knows its numbers."""
    found = merge(before, after)
    for step in steps:
        for action in step.inverse:
            if isinstance(action, act.VethAdd):
                found.links[action.netns, action.name] = UNKNOWN
                found.links[action.peer_netns, action.peer] = UNKNOWN
            elif isinstance(action, (act.BridgeAdd, act.TapAdd)):
                found.links[action.netns, action.name] = UNKNOWN
            elif isinstance(action, act.NetnsAdd):
                found.namespaces[action.netns] = UNKNOWN
    return found
