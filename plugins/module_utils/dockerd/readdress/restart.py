# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether Docker may be restarted at all, for those who change nothing of it."""

from __future__ import annotations

from ...docker_api import Api
from ...errors import Conflict
from ..model import Engine
from .agreement import bad_values, differences, same_option
from .memory import Store
from .since import outdated
from .situation import read_host


def demand_restartable(api: Api, engine: Engine) -> None:
    """Raise Conflict, or what read_host raises, where Docker as it is may not come back from a plain restart."""
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
