# SPDX-License-Identifier: GPL-3.0-or-later
"""The run: steps that end with the new state, or, if anything fails, with the old one and the reason."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

from ...apply.jobs import carry_out
from ...apply.journals import Job, Journals, Unfinished, gone_on
from ...docker_api import Api
from ..clock import Clock
from ..discretion import told
from ..options import plain
from . import preflight, verify
from .coming_back import ComingBack
from .deeds import Docker, Limits
from .memory import CHAINS, NAME, Store, Texts, refuse_restart_of
from .plan import Plan, make_plan
from .situation import Situation, read_situation
from .steps import expected_before, job_of
from .wish import RESTORED, read_wish

LIMITS = Limits()


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
        journals, earlier = Journals(store.above), ComingBack(docker)
        store.demand_whole()
        refuse_restart_of(CHAINS, store.above)

        def resume(one: Unfinished) -> List[str]:
            return earlier.mend(one.job, *expected_before(one.job, docker.is_anothers())) or []

        recovered = (*gone_on(journals, NAME, (), check_mode, resume, docker).lines, *earlier.lost)
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
            _change(Docker(docker.api, limits, clock), journals, job_of(now, plan, store), now, plan)
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


def _change(docker: Docker, journals: Journals, job: Job, now: Situation, plan: Plan) -> None:
    """Do it. Raises a HostwireError after the old state is there again, UndoFailed where it isn't."""
    back = ComingBack(docker)
    docker.note_files(job.steps)
    ran = now.in_order()
    answered = verify.answering(ran, now.address)
    healthy = verify.awaited(ran, docker.limits.verify)

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

    with back.told():
        carry_out(job, journals, finish, lambda: back.mend(job, *expected_before(job, docker.is_anothers())), docker)
