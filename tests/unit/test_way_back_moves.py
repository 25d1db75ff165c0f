# SPDX-License-Identifier: GPL-3.0-or-later
"""What an interface's move rests on stays where the move can't be undone, in whichever plan of a run it was."""

from __future__ import annotations

from typing import Any, List, Sequence

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils.apply import undo, way_back
from ansible_collections.hostwire.linux.plugins.module_utils.apply.executor import Executor, Started, Work
from ansible_collections.hostwire.linux.plugins.module_utils.plan import actions as act
from ansible_collections.hostwire.linux.plugins.module_utils.plan.owned import nothing
from ansible_collections.hostwire.linux.plugins.module_utils.plan.planner import Plan

BRIDGE = act.Step(0, act.BridgeAdd(None, "br0", None, False, False), (act.LinkDelete(None, "br0"),), 0)
UP = act.Step(0, act.LinkChange(None, "br0", up=True), (act.LinkChange(None, "br0", up=False),), 0)
ATTACH = act.Step(0, act.UplinkAttach(None, "br0", "eth0", ()), (act.UplinkDetach(None, "br0", "eth0", (), ()),), 0)
DETACH = act.Step(0, act.UplinkDetach(None, "br0", "eth0", (), ()), (act.UplinkAttach(None, "br0", "eth0", ()),), 0)


def begun(*steps: act.Step) -> Started:
    """A plan of which all was done."""
    executor = Executor()
    executor.begun = [*range(len(steps))]
    return Started(Plan(("a line",), steps, nothing("main")), executor)


def undone(monkeypatch: pytest.MonkeyPatch, stuck: act.Step, *plans: Sequence[act.Step]) -> List[Any]:
    """What is undone of these plans, where one step can't be."""
    done: List[Any] = []

    def tolerantly(work: Sequence[Work], *_args: Any) -> List[str]:
        actions = [one.action for one in work]
        if actions == [*stuck.inverse]:
            return ["the kernel refused"]
        done.extend(actions)
        return []

    monkeypatch.setattr(undo, "do_tolerantly", tolerantly)
    way_back.taken_back([begun(*plan) for plan in plans], lambda: None)
    return done


@pytest.mark.parametrize("move", [ATTACH, DETACH], ids=["to the bridge", "from the bridge"])
@pytest.mark.parametrize(
    "plans",
    [
        lambda move: ((BRIDGE, UP, move),),
        lambda move: ((BRIDGE, UP), (move,)),
        lambda move: ((BRIDGE,), (move, UP)),
        lambda move: ((BRIDGE,), (UP,), (move,)),
    ],
    ids=["one plan", "first in the second", "first, with one behind it", "in the third"],
)
def test_what_was_done_before_a_move_that_is_stuck_stays(
    monkeypatch: pytest.MonkeyPatch, plans: Any, move: act.Step
) -> None:
    done = undone(monkeypatch, move, *plans(move))
    assert act.LinkDelete(None, "br0") not in done
    assert len(done) == (1 if plans(move)[-1][-1] is UP else 0)


def test_what_was_done_before_another_step_that_is_stuck_is_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert undone(monkeypatch, UP, (BRIDGE,), (UP,)) == [act.LinkDelete(None, "br0")]
