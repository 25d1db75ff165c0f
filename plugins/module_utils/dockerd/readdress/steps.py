# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan as the steps of a job: the record of the old state, Docker's stop, its files, its start, its containers."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

from ...apply import file_edits
from ...apply.jobs import step
from ...apply.journals import Job
from ...plan.actions import FileEdit, Step
from ...records import WRONG_SHAPE
from ..configuration import real_path
from . import verify
from .deeds import Said, Start, Stop, brought_back, deed, running_daemon
from .memory import NAME, Expected, Store, Switch
from .plan import Plan, origin_of
from .situation import Situation

_EXPECTED, _STEADY = "expected", "steady"  # notes
_UNIT_FILES = (".conf", ".service")


def job_of(now: Situation, plan: Plan, store: Store) -> Job:
    """The steps in their order, each with what undoes it. Raises what reading the files raises."""
    lines: List[str] = []
    steps: List[Step] = []

    def add(line: str, one: Step) -> None:
        steps.append(one._replace(line=len(lines)))
        lines.append(line)

    init, socket, ran = now.configuration.init, now.socket, now.in_order()
    add("what there was before", step(_file(*store.texts(origin_of(now, plan)), private=True)))
    back = _start(now, plan.back, stale=False)
    add("Docker's stop", Step(0, deed(Stop(init, socket, running_daemon())), (deed(back),), 0))
    for path, (before, after) in _texts(now, plan).items():
        add(f"file {path}", step(_file(real_path(path), before, after)))
    stop = deed(Stop(init, socket, ""))
    add("Docker's start", Step(0, deed(_start(now, plan.forward, now.stale)), (stop,), 0))
    add("its containers", Step(0, deed(brought_back(now.engine, ran, now.dependents)), (), 0))
    # Options and IPv6 come of the files, which the other steps put back.
    expected = plan.back.expected._replace(options={}, subnet6="")
    notes = {_EXPECTED: expected._asdict(), _STEADY: verify.steady(ran)}
    return Job(NAME, NAME, tuple(lines), tuple(steps), notes)


def expected_before(job: Job, is_anothers: bool) -> Tuple[Expected, Tuple[str, ...]]:
    """What the old state looks like, and the ids of the containers that stayed up in it.

    Where Docker is by now as somebody else wants it, only the networks are looked at.

    Nothing is looked at where another version wrote the job down.
    """
    try:
        found: Dict[str, Any] = dict(job.notes[_EXPECTED])
        subnets = {name: tuple(several) for name, several in found.pop("subnets").items()}
        steady = tuple(job.notes[_STEADY])
        return Expected(subnets=subnets) if is_anothers else Expected(**{**found, "subnets": subnets}), steady
    except WRONG_SHAPE:
        return Expected(), ()


def _file(path: str, before: Optional[str], after: Optional[str], private: bool = False) -> FileEdit:
    texts = file_edits.content(before), file_edits.content(after)
    return file_edits.planned(path, *texts, f"file {path}", private=private)


def _texts(now: Situation, plan: Plan) -> Dict[str, Tuple[Optional[str], Optional[str]]]:
    """(before, after) of the files that change for good, by path."""
    texts = now.configuration.texts
    found = {path: (plan.before.get(path, texts.get(path)), after) for path, after in plan.forward.final.items()}
    return {path: both for path, both in found.items() if both[0] != both[1]}


def _start(now: Situation, way: Switch, stale: bool) -> Start:
    units = stale or any(path.endswith(_UNIT_FILES) for path in way.start)
    return Start(now.configuration.init, now.socket, units, way.gone, way.put, way.kept, _said(way))


def _said(way: Switch) -> Said:
    return tuple((path, text, way.final.get(path)) for path, text in way.start.items() if text != way.final.get(path))
