# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes what each task returned to a file, a JSON object per line, for tests to read."""

from __future__ import annotations

import json
import os
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: results_file
type: stdout
short_description: Task results as JSON lines
description: Appends to the file that the environment variable RESULTS_FILE names.
options: {}
"""


class CallbackModule(CallbackBase):
    """A line for each result."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "results_file"

    def v2_runner_on_ok(self, result: Any) -> None:
        self._write(result, False)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._write(result, True)

    v2_runner_on_skipped = v2_runner_on_ok
    v2_runner_on_unreachable = v2_runner_on_failed

    def _write(self, result: Any, failed: bool) -> None:
        line = json.dumps({"task": result.task.name, **result.result, "failed": failed}, default=str)
        with open(os.environ["RESULTS_FILE"], "a", encoding="utf-8") as file:
            file.write(line + "\n")
