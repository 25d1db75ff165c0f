# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints, after all else, how many seconds each task took on the controller's clock, as JSON."""

from __future__ import annotations

import json
import time
from typing import Any, Dict

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: task_seconds
type: aggregate
short_description: how long each task took, as JSON
description: Prints a JSON object of task names and seconds as the last line.
"""


class CallbackModule(CallbackBase):  # type: ignore[misc]
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "task_seconds"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._started: Dict[str, float] = {}
        self._took: Dict[str, float] = {}

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        self._started[task._uuid] = time.perf_counter()

    def v2_runner_on_ok(self, result: Any) -> None:
        task = result.task
        self._took[task.get_name()] = time.perf_counter() - self._started[task._uuid]

    def v2_playbook_on_stats(self, stats: Any) -> None:
        print(json.dumps({"tasks": self._took}), flush=True)
