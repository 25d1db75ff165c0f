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
    """A task ends when the next one starts: who asks to be told of results has each copied, within the task's time."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "task_seconds"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._running = ""
        self._started = 0.0
        self._took: Dict[str, float] = {}

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        self._end()
        self._running = task.get_name()
        self._started = time.perf_counter()

    def v2_playbook_on_stats(self, stats: Any) -> None:
        self._end()
        print(json.dumps({"tasks": self._took}), flush=True)

    def _end(self) -> None:
        if self._running:
            self._took[self._running] = time.perf_counter() - self._started
