# SPDX-License-Identifier: GPL-3.0-or-later
"""The run: phases that end with the new state, or, if anything fails, with the old one and the reason."""

from __future__ import annotations

import contextlib
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Tuple

from ...docker_api import Api
from ...errors import HostwireError, UndoFailed, VerificationFailed
from .. import service
from ..clock import Clock
from ..configuration import read_text
from ..discretion import told
from ..options import plain
from . import preflight, staging, verify
from .memory import Expected, Journal, Store, Switch, Texts
from .plan import Plan, make_plan, origin_of
from .situation import Situation, docker0_addresses, read_situation
from .switching import PREPARED, VERIFIED, Here, Limits, back, close, finish, forward
from .wish import RESTORED, read_wish

UNTOUCHED = (PREPARED,)  # phases in which Docker still runs as it did
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
    interrupted: Callable[[], None] = lambda: None,
) -> Result:
    """Do, or in check mode only plan, what docker_bridge's parameters say.

    Raises a HostwireError: before any change, or after everything is as it was; UndoFailed where it isn't.
    """
    wish = read_wish(parameters)
    here = Here(api or Api(), store or Store(), limits, Clock(), interrupted)
    with here.store.locked(write=not check_mode):
        recovered: Tuple[str, ...] = ()
        broken_off = here.store.journal()
        if broken_off is not None:
            recovered = (f"an earlier run was broken off ({broken_off.phase}): it is taken back first",)
            if check_mode:
                return Result(True, recovered, {}, {}, 0.0, here.clock.timings)
            recovered += _recover(here, broken_off)
            here.clock.lap("recover")
        now = read_situation(here.api, here.store)
        here.clock.lap("read")
        preflight.check_values(now)
        plan = make_plan(wish, now)
        preflight.check(wish, now, plan)
        here.clock.lap("plan")
        if plan.lines and not check_mode:
            _change(here, now, plan)
        if wish.state == RESTORED and not check_mode and now.origin is not None:
            here.store.forget_origin()
        lines = (*recovered, *plan.lines)
        states = (_before(now, plan), _after(now, plan))
        return Result(bool(lines), lines, *states, plan.downtime, here.clock.timings, plan.leaning.warnings)


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


def _change(here: Here, now: Situation, plan: Plan) -> None:
    ran = now.in_order()
    answered = verify.answering(ran, now.address)
    journal = Journal(
        PREPARED,
        plan.forward,
        plan.back,
        tuple(one.id for one in ran),
        tuple(one.id for one in plan.resting),
        {one.id: one.name for one in now.engine.containers},
        verify.awaited(ran, here.limits.verify),
        now.configuration.init,
        now.socket,
        now.dependents,
        verify.steady(ran),
    )
    ways = {staging.FORWARD: plan.forward, staging.BACK: plan.back}
    paths = tuple({*plan.forward.start, *plan.back.start})
    try:
        staging.stage(ways)
        here.store.keep_origin(origin_of(now, plan))
        here.store.advance(journal)
        service.prepare(journal.init)
        here.interrupted()
    except Exception:
        staging.clear(paths)
        here.store.close()
        _origin_as_before(here, now)
        raise
    here.clock.lap("prepare")
    try:
        there = forward(here, journal, now.stale)
        called = dict(zip(journal.ran, there.ran))  # some have been made anew
        answered = tuple((called[name], port) for name, port in answered)
        before = verify.Before(there.ran, there.healthy, answered, there.steady)
        verify.await_right(here.api, plan.forward.expected, before, here.limits.verify)
        here.interrupted()
        here.clock.lap("verify")
    except Exception as error:  # whatever it is, no host is left without Docker
        _go_back(
            here, _latest(here, journal), error if isinstance(error, HostwireError) else VerificationFailed(repr(error))
        )
        _origin_as_before(here, now)
        raise
    here.store.advance(journal._replace(phase=VERIFIED))
    finish(here, journal, journal.forward, staging.FORWARD)


def _latest(here: Here, journal: Journal) -> Journal:
    """The journal with the phase that was reached."""
    with contextlib.suppress(HostwireError):
        return here.store.journal() or journal
    return journal


def _origin_as_before(here: Here, now: Situation) -> None:
    with contextlib.suppress(HostwireError):  # what failed before says more
        if now.origin is None:
            here.store.forget_origin()
        else:
            here.store.keep_origin(now.origin)


def _go_back(here: Here, journal: Journal, reason: HostwireError) -> None:
    """The old state; adds to the reason that it is there again. Raises UndoFailed with what is left where it isn't."""
    try:
        missing = back(here, journal)
    except HostwireError as error:
        again = "the next run of docker_bridge tries again to go back"
        failures = [f"and going back failed too: {line}" for line in error.problems]
        raise UndoFailed([*reason.problems, *failures, *_left(here), again]) from reason
    if missing:
        raise UndoFailed([*reason.problems, "everything else is as it was before, but", *missing]) from reason
    reason.append("everything is as it was before")


def _left(here: Here) -> List[str]:
    """What can be seen of the host after a failed way back."""
    lines = [f"docker0 has {', '.join(docker0_addresses()) or 'no address'}"]
    lines.append("Docker answers" if here.api.answers() else "Docker doesn't answer; look at journalctl -u docker")
    return lines


def _recover(here: Here, journal: Journal) -> Tuple[str, ...]:
    """End what an earlier run, killed on its way, began: forward where only tidying was left, else back.

    The containers that don't come back, in lines. What somebody else wrote since stays as he wrote it.
    """
    journal = _less_foreign(journal)
    if journal.phase == VERIFIED:
        finish(here, journal, journal.forward, staging.FORWARD)
        return ()
    if journal.phase in UNTOUCHED:
        close(here, journal)
        return ()
    return back(here, journal)


def _less_foreign(journal: Journal) -> Journal:
    """The journal without the files that no longer hold what the run put there, nor what was there before."""
    known = (journal.forward.start, journal.forward.final, journal.back.start, journal.back.final)
    foreign = {
        path
        for path in {*journal.forward.start, *journal.back.start}
        if read_text(path) not in [texts[path] for texts in known if path in texts]
    }
    if not foreign:
        return journal

    def less(way: Switch) -> Switch:
        start = {path: text for path, text in way.start.items() if path not in foreign}
        final = {path: text for path, text in way.final.items() if path not in foreign}
        return Switch(start, final, (), (), Expected(subnets=way.expected.subnets))

    return journal._replace(forward=less(journal.forward), back=less(journal.back))
