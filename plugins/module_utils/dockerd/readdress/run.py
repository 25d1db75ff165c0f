# SPDX-License-Identifier: GPL-3.0-or-later
"""The run: steps that end with the new state, or, if anything fails, with the old one and the reason."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Tuple

from ...apply import file_edits
from ...apply.jobs import carry_out
from ...apply.journals import Job, Journals, Unfinished, gone_on
from ...apply.way_back import PUT_BACK
from ...docker_api import Api
from ...errors import HostwireError, UndoFailed
from ...plan.actions import Deed, FileEdit
from .. import service
from ..clock import Clock
from ..discretion import told
from ..facts import read_engine
from ..options import plain
from . import preflight, verify
from .deeds import Containers, Docker, Limits, kind_of
from .memory import NAME, Expected, Store, Texts
from .plan import Plan, make_plan
from .situation import Situation, read_situation
from .steps import brought_back, expected_before, job_of
from .wish import RESTORED, read_wish

LIMITS = Limits()
_NOTHING = Containers((), (), (), ())
_AS_BEFORE = "everything else was put back as it was, but"


class Result(NamedTuple):
    """What a run says. ``before`` and ``after``: address, options, files; ``timings`` in seconds.

    ``warnings`` are those of the plan.
    """

    changed: bool
    plan: Tuple[str, ...]
    before: Dict[str, Any]
    after: Dict[str, Any]
    downtime: float
    timings: Dict[str, float]
    warnings: Tuple[str, ...] = ()


def run(
    parameters: Mapping[str, Any],
    check_mode: bool = False,
    api: Optional[Api] = None,
    store: Optional[Store] = None,
    limits: Limits = LIMITS,
) -> Result:
    """Do, or in check mode only plan, what docker_bridge's parameters say.

    Raises a HostwireError: before any change, or after everything is as it was; UndoFailed where it isn't.
    """
    wish, store = read_wish(parameters), store or Store()
    clock = Clock()
    docker = Docker(api or Api(), limits, clock)
    with store.locked(write=not check_mode):
        this = _Run(docker, Journals(store.above))
        store.demand_whole()
        recovered = this.go_on(check_mode)
        if recovered:
            if check_mode:
                return Result(True, recovered, {}, {}, 0.0, clock.timings)
            clock.lap("recover")
        now = read_situation(docker.api, store)
        clock.lap("read")
        preflight.check_values(now)
        plan = make_plan(wish, now)
        preflight.check(wish, now, plan)
        clock.lap("plan")
        if plan.lines and not check_mode:
            this.change(job_of(now, plan, store), now, plan)
        if wish.state == RESTORED and not check_mode and now.origin is not None:
            store.forget_origin()
        lines = (*recovered, *plan.lines)
        states = (_before(now, plan), _after(now, plan))
        return Result(bool(lines), lines, *states, plan.downtime, clock.timings, plan.leaning.warnings)


def _before(now: Situation, plan: Plan) -> Dict[str, Any]:
    keys = sorted(plan.options)
    settings = now.configuration.settings
    given = {key: plain(setting.value) for key, setting in settings.items() if setting.given and _ours(setting.option)}
    options = {**{key: None for key in keys if key not in given}, **given}
    return {"address": now.address or None, "options": _known(options), "files": _told(now, plan.before)}


def _told(now: Situation, texts: Texts) -> Dict[str, Any]:
    """What is shown of files: they aren't ours, and may hold passwords."""
    return {path: told(text, path == now.configuration.daemon_json) for path, text in texts.items()}


def _ours(option: Any) -> bool:
    return option.parameter is not None


def _known(options: Mapping[str, Any]) -> Dict[str, Any]:
    return {key: value for key, value in sorted(options.items()) if value is not None}


def _after(now: Situation, plan: Plan) -> Dict[str, Any]:
    return {
        "address": plan.forward.expected.address or None,
        "options": _known(plan.options),
        "files": _told(now, {path: plan.forward.final.get(path) for path in plan.before}),
    }


class _Run:
    """The steps of a run, and of one that was broken off.

    ``lost``: containers that don't come back, a line each; ``now``: what runs before a run is undone that was broken
    off in another life of the host.
    """

    def __init__(self, docker: Docker, journals: Journals) -> None:
        self._docker = docker
        self._journals = journals
        self._lost: List[str] = []
        self._now = _NOTHING

    def go_on(self, check: bool) -> Tuple[str, ...]:
        """End what an earlier run, killed on its way, began; what it was, in lines. Raises UndoFailed."""
        if not check and any(not one.alive for one in self._journals.unfinished(NAME, ())):
            self._now = _running(self._docker.api)
        lines = gone_on(self._journals, NAME, (), check, self._resume, self._docker).lines
        return (*lines, *self._lost)

    def change(self, job: Job, now: Situation, plan: Plan) -> None:
        """Do it. Raises a HostwireError after the old state is there again, UndoFailed where it isn't."""
        docker = self._docker
        for step in job.steps:
            if isinstance(step.action, FileEdit):
                file_edits.demand_room(step.action)
        ran = now.in_order()
        answered = verify.answering(ran, now.address)
        healthy = verify.awaited(ran, docker.limits.verify)
        docker.clock.lap("prepare")

        def finish() -> None:
            def called(name: str) -> str:
                return docker.anew.get(name, name)

            before = verify.Before(
                tuple(called(one.id) for one in ran),
                tuple(called(name) for name in healthy),
                tuple((called(name), port) for name, port in answered),
                tuple(called(name) for name in verify.steady(ran)),
            )
            verify.await_right(docker.api, plan.forward.expected, before, docker.limits.verify)
            docker.clock.lap("verify")

        try:
            carry_out(job, self._journals, finish, lambda: self._as_before(job, True), docker)
        except HostwireError as error:
            if isinstance(error, UndoFailed):
                for line in self._lost:
                    error.append(line)
            if not self._lost or isinstance(error, UndoFailed):
                raise
            reasons = [line for line in error.problems if line != PUT_BACK]
            raise UndoFailed([*reasons, _AS_BEFORE, *self._lost]) from error

    def _resume(self, one: Unfinished) -> List[str]:
        return self._as_before(one.job, one.alive) or []

    def _as_before(self, job: Job, alive: bool) -> Optional[List[str]]:
        """After Docker's start in the old state: the containers, and whether it is the old state. What isn't, in words.

        None where Docker was never touched. A container that doesn't come back wouldn't by another try either. In
        another life of the host those come back that ran in it: of the others some may be stopped on purpose by now.
        """
        docker = self._docker
        if not docker.went_back:
            return None
        if not docker.api.answers():
            return []  # it is told of as left already
        expected, steady = expected_before(job)
        try:
            for again in _containers(job) if alive else (self._now,):
                self._lost += _problems(docker.bring_back, again)
            verify.await_right(docker.api, expected, verify.Before(), docker.limits.verify)
            if alive and not self._lost:
                stay = verify.Before(steady=tuple(docker.anew.get(name, name) for name in steady))
                self._lost += _problems(verify.await_right, docker.api, Expected(), stay, docker.limits.verify)
        except HostwireError as error:
            return list(error.problems)
        docker.clock.lap("back")
        return []


def _running(api: Api) -> Containers:
    """What runs now, and would stop with Docker. Raises a HostwireError."""
    if not api.answers():
        return _NOTHING
    engine = read_engine(api)
    units = service.unit_files().dependents if service.detect() == service.SYSTEMD else ()
    return brought_back(engine, sorted(engine.running(), key=lambda one: one.started), units)


def _containers(job: Job) -> List[Containers]:
    found = [kind_of(step.action) for step in job.steps if isinstance(step.action, Deed)]
    return [what for what in found if isinstance(what, Containers)]


def _problems(look: Callable[..., None], *arguments: Any) -> Tuple[str, ...]:
    """What a look finds wrong, a line each."""
    try:
        look(*arguments)
    except HostwireError as error:
        return error.problems
    return ()
