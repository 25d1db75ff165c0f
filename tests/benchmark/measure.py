# SPDX-License-Identifier: GPL-3.0-or-later
"""Timing of commands, and ratios of pairs that were measured one right after the other."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import time
from typing import Any, Dict, List, NamedTuple, Optional

from private_host import ROOT, await_no_link

ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": os.environ.get("HOME", "/"),
    "LC_ALL": "C.UTF-8",
    "ANSIBLE_CONFIG": os.path.join(ROOT, "ansible.cfg"),
    "ANSIBLE_COLLECTIONS_PATH": os.path.join(ROOT, "build"),
    "ANSIBLE_CALLBACK_PLUGINS": os.path.join(os.path.dirname(os.path.abspath(__file__)), "callback"),
    "ANSIBLE_CALLBACKS_ENABLED": "task_seconds",
    "ANSIBLE_LOCALHOST_WARNING": "false",
}


class Time(NamedTuple):
    """Seconds: ``call`` of the work alone where the program tells it (else the whole), ``whole`` of the process.

    ``said`` is the rest of what the program printed as JSON. ``finished`` False: still running at the time limit.
    """

    call: float
    whole: float
    said: Dict[str, Any]
    finished: bool = True


def run(command: List[str], limit: Optional[float] = None) -> Time:
    """Run ``command`` and time it; end it after ``limit`` seconds."""
    start = time.perf_counter()
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(command, text=True, env=ENVIRONMENT, **pipes) as process:  # type: ignore[call-overload]
        try:
            output = process.communicate(timeout=limit)[0]
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            seconds = time.perf_counter() - start
            return Time(seconds, seconds, {}, finished=False)
    whole = time.perf_counter() - start
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{output[-3000:]}")
    lines = output.splitlines()
    said = json.loads(lines[-1]) if lines and lines[-1].startswith("{") else {}
    return Time(said.pop("seconds", whole), whole, said)


def run_until_no_cable(command: List[str]) -> Time:
    """Run a removal; its time ends when the kernel has taken the last cable from the host."""
    start = time.perf_counter()
    took = run(command)
    await_no_link("v")
    seconds = time.perf_counter() - start
    return Time(seconds - (took.whole - took.call), seconds, took.said)


def median(values: List[float]) -> float:
    return statistics.median(values)


def ratios(above: List[float], below: List[float]) -> List[float]:
    """The ratios pair by pair: each of two that were measured one right after the other."""
    return [a / b for a, b in zip(above, below)]
