# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for the ports of a bridge with the spanning tree protocol, which are silent at first (hazard 24)."""

from __future__ import annotations

import time
from typing import Callable, List, Sequence

from ..errors import VerificationFailed
from ..model import Bridge
from ..netns import Tour
from ..plan.sheet import place
from ..rtnetlink.channel import Channel
from ..rtnetlink.links import read_links, read_port_states

# IEEE 802.1D: a port listens, then learns, for a forward delay each, which is 15 s and can be made 30 s.
LIMIT_SECONDS = 70.0
_LISTENING, _LEARNING = 1, 2  # linux/if_bridge.h: BR_STATE_LISTENING, BR_STATE_LEARNING
_POLL_SECONDS = 0.2


def await_forwarding(bridges: Sequence[Bridge], check: Callable[[], None]) -> None:
    """Wait until each port has come to a decision, which may be to stay blocked. VerificationFailed where none comes.

    ``check`` is called again and again, to raise where the run is to stop.
    """
    began = time.monotonic()
    while True:
        waiting = [line for bridge in bridges for line in _undecided(bridge)]
        if not waiting:
            return
        if time.monotonic() - began > LIMIT_SECONDS:
            raise VerificationFailed(waiting)
        check()
        time.sleep(_POLL_SECONDS)


def _undecided(bridge: Bridge) -> List[str]:
    with Tour() as tour:
        tour.enter(bridge.netns)
        with Channel() as channel:
            there = read_links(channel).get(bridge.name)
            ports = read_port_states(channel) if there is not None else []
    return [
        f"{place(bridge.netns)}: {name}: the spanning tree of {bridge.name} hasn't let it forward yet"
        for name, index, state in ports
        if there is not None and index == there.index and state in (_LISTENING, _LEARNING)
    ]
