# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in which a call to the kernel or a program fails, once or from then on, in the doing or in the undoing."""

from __future__ import annotations

import contextlib
from collections import Counter
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils.errors import HostwireError
from ansible_collections.hostwire.linux.tests.sweeps.calls import FAULTS, intercept, no_more_descriptors
from ansible_collections.hostwire.linux.tests.sweeps.stage import Stage, each_of, on_the_way_back, some
from ansible_collections.hostwire.linux.tests.sweeps.transitions import TRANSITIONS

PLACES = 1  # at which the whole sweep breaks the calls of a kind, in each run, for each way to break them


class Injection(NamedTuple):
    """The n-th call of this kind fails so, that one or all from it on; ``undoing``: counted from the way back on."""

    call: str
    fault: str
    number: int
    lasting: bool
    undoing: bool


def counted_calls(stage: Stage) -> List[Dict[str, int]]:
    """How many calls of each kind such a run makes: in the doing, and in the undoing."""

    def deed() -> Dict[str, Any]:
        counts: List[Counter[str]] = [Counter(), Counter()]
        undoing = [False]

        def called(kind: str) -> Optional[str]:
            counts[undoing[0]].update((kind, "any"))
            return None

        on_the_way_back(lambda: undoing.__setitem__(0, True))
        intercept(called)
        with contextlib.suppress(HostwireError):
            stage.failing()
        return {"counts": counts}

    return stage.counted(deed)


def injections(counts: List[Dict[str, int]], turn: int) -> List[Injection]:
    """For each kind of call: at some places each, in ways that take turns."""
    found: List[Injection] = []
    for call, faults in FAULTS.items():
        for undoing, numbers in enumerate(counts):
            for lasting in (False, True):
                places = PLACES if lasting or call == "any" else 2 * PLACES
                count = numbers.get(call, 0)
                for number in sorted({(2 * place + 1) * count // (2 * places) for place in range(places)}):
                    if number < count:
                        turn += 1
                        found.append(Injection(call, faults[turn % len(faults)], number, lasting, bool(undoing)))
    return found


def break_it(stage: Stage, injection: Injection) -> None:
    """A run to which this happens."""
    count, armed, spent = [0], [not injection.undoing], [False]

    def called(kind: str) -> Optional[str]:
        if not armed[0] or injection.call not in (kind, "any"):
            return None
        count[0] += 1
        due = count[0] > injection.number if injection.lasting else count[0] == injection.number + 1
        if injection.call != "any":
            return injection.fault if due else None
        if due and not spent[0]:
            spent[0] = True
            no_more_descriptors()
        return None

    on_the_way_back(lambda: armed.__setitem__(0, True))
    intercept(called)
    (stage.failing if injection.undoing else stage.wanted)()


@each_of(TRANSITIONS, 2)
def test_a_run_in_which_a_call_fails_tells_the_truth_and_the_next_goes_on(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with Stage(TRANSITIONS[name], monkeypatch, tmp_path) as stage:
        found = injections(counted_calls(stage), list(TRANSITIONS).index(name))
        for injection in some(found, 3, name):
            how = "fails for good" if injection.lasting or injection.call == "any" else "fails once"
            kind = f"{injection.call}: {how}{' in the undoing' if injection.undoing else ''}"
            stage.point(
                kind,
                f"{name}: {tuple(injection)}",
                lambda injection=injection: break_it(stage, injection),  # type: ignore[misc]
                fails=injection.undoing,
                lasting=injection.lasting or injection.call == "any",
            )
        assert stage.violations == []
