# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs: refused, failing or killed at a chosen step, or as they should be."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import zlib
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Type

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import engine
from ansible_collections.hostwire.linux.plugins.module_utils.errors import HostwireError
from ansible_collections.hostwire.linux.tests.kernel import private, world

Document = Dict[str, Any]


JOURNAL = Path("/var/lib/hostwire/main.journal")


NOTHING: Document = {"state": "absent"}


CASES = pytest.mark.parametrize(
    ("there", "wanted"),
    [(None, world.FIRST), (world.FIRST, world.SECOND), (world.FIRST, NOTHING)],
    ids=["made", "changed", "removed"],
)


STRIDE = int(os.environ.get("HOSTWIRE_STRIDE", "1"))  # of so many steps one is tried, by each test another one


def some_of(count: int, salt: str) -> range:
    """The numbers of the steps that a test tries."""
    return range(zlib.crc32(salt.encode()) % min(STRIDE, count), count, STRIDE)


def apply(document: Document, hook: Optional[Callable[[int, str], None]] = None) -> engine.Result:
    return engine.run(document, hook=hook, dad_seconds=0)


def refused_alike(kind: Type[HostwireError], document: Document, **options: Any) -> List[str]:
    """The problems for which check mode and a run refuse a document, in the same words."""
    told = []
    for check in (True, False):
        with pytest.raises(kind) as refused:
            engine.run(document, check=check, dad_seconds=0, **options)
        told.append(list(refused.value.problems))
    assert told[0] == told[1]
    return told[0]


def begin(there: Optional[Document]) -> None:
    world.build_surroundings()
    if there is not None:
        apply(there)


def steps_of(there: Optional[Document], wanted: Document) -> List[str]:
    """The name of each step's action, in order."""
    return [action[0] for action in actions_of(there, wanted)]


def actions_of(there: Optional[Document], wanted: Document) -> List[List[Any]]:
    """Each step's action as the journal has it, in order."""
    with private.private_host():
        begin(there)
        found: List[List[Any]] = []

        def hook(position: int, when: str) -> None:
            if when == "before" and position == len(found):
                found.extend(action for action, _inverse in journaled()[position : position + 1])

        apply(wanted, hook)
        return found


def journaled() -> List[Any]:
    steps: List[Any] = json.loads(JOURNAL.read_text())["steps"]
    return steps


def killed(document: Document, step: int, when: str) -> None:
    """A run that is killed before or after this step."""
    assert status_of_run_to_kill(document, step, when) == -signal.SIGKILL


def status_of_run_to_kill(document: Document, step: int, when: str) -> int:
    """How a process ends that is to be killed before or after this step of its run, if there is such a step."""
    child = os.fork()
    if child == 0:
        try:
            apply(document, lambda *point: os.kill(os.getpid(), signal.SIGKILL) if point == (step, when) else None)
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def ip_from_here() -> Callable[..., Any]:
    """``ip`` in the namespace that the test is in now: a hook may be called in any."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    enter = ["nsenter", f"--net=/proc/self/fd/{home}", "ip"]
    return lambda *words: subprocess.run([*enter, *words], pass_fds=[home], check=True)


def inside(netns: Optional[str]) -> List[str]:
    return ["-n", netns] if netns else []
