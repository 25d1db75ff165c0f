# SPDX-License-Identifier: GPL-3.0-or-later
"""A plain restart of Docker, for those who change nothing of it: whether it may be, and as steps of a job."""

from __future__ import annotations

from typing import Tuple

from ...docker_api import Api
from ...errors import Conflict
from ...plan.actions import Step
from ..model import Engine
from .agreement import bad_values, differences, same_option
from .deeds import Start, Stop, brought_back, deed, running_daemon
from .memory import Store
from .since import outdated
from .situation import Situation, read_host


def restartable(api: Api, engine: Engine) -> Situation:
    """The host whose Docker may be restarted as it is.

    Raises Conflict where it may not come back from a plain restart, and what read_host raises.
    """
    now = read_host(api, Store(), engine)
    problems = [*now.hindrances, *now.configuration.twice]
    unlike = bad_values(now.configuration) or differences(now)
    problems += [*unlike, *(line for line in outdated(now) if not same_option(line, unlike))]
    problems += [
        f"container {one.name}: it was started with --rm, so it would be gone once it stops; stop it yourself"
        for one in engine.running()
        if one.auto_remove
    ]
    if problems:
        raise Conflict([f"restart: {line}" for line in problems])
    return now


def restart_steps(now: Situation, line: int) -> Tuple[Step, ...]:
    """Docker's stop, its start, its containers as they ran; ``line`` is the number of the job's line for all three."""
    init, socket = now.configuration.init, now.socket
    start = deed(Start(init, socket, False, (), (), (), ()))
    again = brought_back(now.engine, now.in_order(), now.dependents)
    return (
        Step(0, deed(Stop(init, socket, running_daemon())), (start,), line),
        Step(0, start, (), line),
        Step(0, deed(again), (), line),
    )
