# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs that are killed: before and after each step, on their way back, at any call, after being told to stop."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils.apply import executor as executors
from ansible_collections.hostwire.linux.plugins.module_utils.apply.executor import Executor
from ansible_collections.hostwire.linux.plugins.module_utils.errors import HostwireError
from ansible_collections.hostwire.linux.plugins.module_utils.rtnetlink.channel import Channel
from ansible_collections.hostwire.linux.tests.sweeps.calls import intercept
from ansible_collections.hostwire.linux.tests.sweeps.stage import Stage, each_of, on_the_way_back, some
from ansible_collections.hostwire.linux.tests.sweeps.transitions import TRANSITIONS

CALLS = 10  # of those of one run, at which the whole sweep kills it


def die() -> None:
    """End as a killed process does."""
    os.kill(os.getpid(), signal.SIGKILL)


def at_actions(met: Callable[[bool, int, str], None]) -> None:
    """From now on each action calls this with whether it undoes one, its number among its like, and when it is."""
    one, counts = Executor._one, {False: 0, True: 0}
    executors._MANY = sys.maxsize  # each by itself

    def counted(executor: Executor, position: int, work: Any) -> None:
        undoing = executor._tolerant
        number = counts[undoing]
        counts[undoing] += 1
        met(undoing, number, "before")
        one(executor, position, work)
        executor._flush()
        met(undoing, number, "after")

    Executor._one = counted  # type: ignore[method-assign]


def counted_points(stage: Stage) -> Tuple[int, ...]:
    """How many actions such a run does and undoes, and how many calls it makes for each."""

    def deed() -> Dict[str, Any]:
        actions, calls, undoing = [0, 0], [0, 0], [False]

        def met(undoes: bool, number: int, _when: str) -> None:
            actions[undoes] = number + 1

        def called(_kind: str) -> Optional[str]:
            calls[undoing[0]] += 1
            return None

        on_the_way_back(lambda: undoing.__setitem__(0, True))
        at_actions(met)
        intercept(called)
        with contextlib.suppress(HostwireError):
            stage.failing()
        return {"counts": [*actions, *calls]}

    return tuple(stage.counted(deed))


@each_of(TRANSITIONS, 3, 0)
def test_a_run_killed_before_or_after_any_action_is_in_nobodys_way(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with Stage(TRANSITIONS[name], monkeypatch, tmp_path, killed=True) as stage:
        doing, undoing, _calls, _calls_back = counted_points(stage)
        points = [(False, number, when) for number in range(doing) for when in ("before", "after")]
        points += [(True, number, when) for number in range(undoing) for when in ("before", "after")]
        for point in some(points, 3, name):

            def deed(point: Tuple[bool, int, str] = point) -> None:
                at_actions(lambda *met: die() if met == point else None)
                (stage.failing if point[0] else stage.wanted)()

            kind = f"killed {point[2]} {'an action of the undo' if point[0] else 'a step'}"
            stage.point(kind, f"{name}: {point}", deed)
        assert stage.violations == []


def at_batches(begins_undoing: List[bool], met: Callable[[bool, int, str], None]) -> None:
    """From now on each batch of messages, as the run sends them, calls this with whether the run is on its way back,
    the batch's number among its like, and when it is.
    """
    transact, counts = Channel.transact, {False: 0, True: 0}

    def counted(channel: Channel, messages: Any) -> Any:
        undoing = begins_undoing[0]
        number = counts[undoing]
        counts[undoing] += 1
        met(undoing, number, "before")
        answers = transact(channel, messages)
        met(undoing, number, "after")
        return answers

    on_the_way_back(lambda: begins_undoing.__setitem__(0, True))
    Channel.transact = counted  # type: ignore[method-assign]


@each_of(TRANSITIONS, 3, 2)
def test_a_run_killed_before_or_after_a_whole_batch_is_in_nobodys_way(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Batches as they are: of up to 64 messages, of several steps, with links deleted as a group."""

    def counting() -> Dict[str, Any]:
        batches = [0, 0]

        def met(undoes: bool, number: int, _when: str) -> None:
            batches[undoes] = number + 1

        at_batches([False], met)
        with contextlib.suppress(HostwireError):
            stage.failing()
        return {"counts": batches}

    with Stage(TRANSITIONS[name], monkeypatch, tmp_path, killed=True) as stage:
        doing, undoing = stage.counted(counting)
        points = [(False, number, when) for number in range(doing) for when in ("before", "after")]
        points += [(True, number, when) for number in range(undoing) for when in ("before", "after")]
        for point in some(points, 3, name):

            def deed(point: Tuple[bool, int, str] = point) -> None:
                at_batches([False], lambda *met: die() if met == point else None)
                (stage.failing if point[0] else stage.wanted)()

            kind = f"killed {point[2]} a batch{' of the undo' if point[0] else ''}"
            stage.point(kind, f"{name}: {point}", deed)
        assert stage.violations == []


@each_of(TRANSITIONS, 3, 1)
def test_a_run_killed_between_any_two_calls_is_in_nobodys_way(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with Stage(TRANSITIONS[name], monkeypatch, tmp_path, killed=True) as stage:
        *_actions, doing, undoing = counted_points(stage)
        points = [(False, number * doing // CALLS) for number in range(CALLS)]
        points += [(True, number * undoing // CALLS) for number in range(CALLS)]
        for back, number in some(points, 2, name):

            def deed(back: bool = back, number: int = number) -> None:
                count, armed = [0], [not back]

                def called(_kind: str) -> Optional[str]:
                    if armed[0] and count[0] == number:
                        die()
                    count[0] += armed[0]
                    return None

                on_the_way_back(lambda: armed.__setitem__(0, True))
                intercept(called)
                (stage.failing if back else stage.wanted)()

            stage.point(f"killed at a call {'of the undo' if back else 'of the run'}", f"{name}: {back, number}", deed)
        assert stage.violations == []


@each_of(TRANSITIONS, 3, 2)
def test_a_run_told_to_stop_and_then_killed_is_in_nobodys_way(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with Stage(TRANSITIONS[name], monkeypatch, tmp_path) as stage:
        doing, *_rest = counted_points(stage)
        points: List[Tuple[int, Optional[int], float]] = []
        for step in sorted({0, doing // 2, max(doing - 1, 0)}):
            points += [(step, action, 0.0) for action in (0, step // 2)]
            points += [(step, None, pause) for pause in (0.02, 0.07, 0.27)]
        for point in some(points, 2, name):
            kind = "TERM, then KILL" + (" at an action" if point[1] is not None else " 20 to 270 ms later")
            stage.point(kind, f"{name}: {point}", lambda point=point: stopped(stage, *point))  # type: ignore[misc]
        assert stage.violations == []


def stopped(stage: Stage, step: int, action: Optional[int], pause: float) -> None:
    """A run that gets TERM before this step, and KILL before an action of its undo, or so many seconds later."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    parent = os.getpid()

    def met(undoes: bool, number: int, when: str) -> None:
        if (undoes, number, when) == (False, step, "before"):
            if action is None and os.fork() == 0:
                time.sleep(pause)
                os.kill(parent, signal.SIGKILL)
                os._exit(0)
            os.kill(parent, signal.SIGTERM)
        elif (undoes, number, when) == (True, action, "before"):
            die()

    at_actions(met)
    stage.wanted()
