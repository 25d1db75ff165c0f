# SPDX-License-Identifier: GPL-3.0-or-later
"""The run: phases that end with the new state, or, if anything fails, with the old one and the reason."""

from __future__ import annotations

import contextlib
import time
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Tuple

from ...docker_api import Api
from ...errors import HostwireError, UndoFailed, VerificationFailed
from .. import service
from ..clock import Clock
from ..configuration import read_text
from ..options import plain
from . import bridge, containers, preflight, staging, verify
from .memory import Expected, Journal, Store, Switch
from .plan import Plan, make_plan, origin_of
from .situation import Situation, docker0_addresses, read_situation
from .wish import RESTORED, read_wish

PREPARED, STOPPING, STOPPED, STARTING, STARTED, VERIFIED, BACK = (
    "prepared",
    "stopping",
    "stopped",
    "starting",
    "started",
    "verified",
    "going back",
)
UNTOUCHED = (PREPARED,)  # phases in which Docker still runs as it did


class Limits(NamedTuple):
    """Seconds: for dockerd's start and for everything to be right afterwards."""

    start: float = 120.0
    verify: float = 60.0


LIMITS = Limits()


class Result(NamedTuple):
    """What a run says. ``before`` and ``after``: address, options, files; ``timings`` in seconds."""

    changed: bool
    plan: Tuple[str, ...]
    before: Dict[str, Any]
    after: Dict[str, Any]
    downtime: float
    timings: Dict[str, float]


class _Run(NamedTuple):
    """What the phases have in common; ``interrupted`` raises where the run was told to stop."""

    api: Api
    store: Store
    limits: Limits
    clock: Clock
    interrupted: Callable[[], None]


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
    here = _Run(api or Api(), store or Store(), limits, Clock(), interrupted)
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
        plan = make_plan(wish, now)
        preflight.check(wish, now, plan)
        here.clock.lap("plan")
        if plan.lines and not check_mode:
            _change(here, now, plan)
        if wish.state == RESTORED and not check_mode and now.origin is not None:
            here.store.forget_origin()
        lines = (*recovered, *plan.lines)
        return Result(bool(lines), lines, _before(now, plan), _after(plan), plan.downtime, here.clock.timings)


def _before(now: Situation, plan: Plan) -> Dict[str, Any]:
    keys = sorted(plan.options)
    settings = now.configuration.settings
    given = {key: plain(setting.value) for key, setting in settings.items() if setting.given and _ours(setting.option)}
    options = {**{key: None for key in keys if key not in given}, **given}
    return {"address": now.address or None, "options": _known(options), "files": dict(plan.before)}


def _ours(option: Any) -> bool:
    return option.parameter is not None


def _known(options: Mapping[str, Any]) -> Dict[str, Any]:
    return {key: value for key, value in sorted(options.items()) if value is not None}


def _after(plan: Plan) -> Dict[str, Any]:
    return {
        "address": plan.forward.expected.address or None,
        "options": _known(plan.options),
        "files": {path: plan.forward.final.get(path) for path in plan.before},
    }


def _change(here: _Run, now: Situation, plan: Plan) -> None:
    ran = now.in_order()
    answered = verify.answering(ran, now.address)
    journal = Journal(
        PREPARED,
        plan.forward,
        plan.back,
        tuple(one.id for one in ran),
        tuple(one.id for one in plan.resting),
        {one.id: one.name for one in now.engine.containers},
        tuple(one.id for one in ran if one.health == "healthy"),
        now.configuration.init,
        now.socket,
        now.dependents,
    )
    ways = {"forward": plan.forward, "back": plan.back}
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
        _switch(here, journal, plan.forward, "forward", now.stale)
        _containers_back(here, journal)
        before = verify.Before(journal.ran, journal.healthy, answered)
        verify.await_right(here.api, plan.forward.expected, before, here.limits.verify)
        here.interrupted()
        here.clock.lap("verify")
    except Exception as error:  # whatever it is, no host is left without Docker
        _go_back(here, journal, error if isinstance(error, HostwireError) else VerificationFailed(repr(error)))
        _origin_as_before(here, now)
        raise
    here.store.advance(journal._replace(phase=VERIFIED))
    _finish(here, journal, plan.forward, "forward")


def _origin_as_before(here: _Run, now: Situation) -> None:
    with contextlib.suppress(HostwireError):  # what failed before says more
        if now.origin is None:
            here.store.forget_origin()
        else:
            here.store.keep_origin(now.origin)


def _switch(here: _Run, journal: Journal, way: Switch, name: str, stale: bool) -> None:
    """Stop, change, start. Nothing that takes time lies between stop and start."""
    back = name == "back"
    here.store.advance(journal._replace(phase=BACK if back else STOPPING))
    service.stop(journal.init, journal.socket)
    here.clock.lap("stop")
    if not back:
        here.store.advance(journal._replace(phase=STOPPED))
    staging.put(name, "start", way.start)
    bridge.take_away(way.gone)
    if stale or any(path.endswith((".conf", ".service")) for path in way.start):
        service.reload_units(journal.init)
    if not back:
        here.store.advance(journal._replace(phase=STARTING))
    here.clock.lap("files")
    began = service.start(journal.init, journal.socket, here.limits.start)
    _await_api(here, journal.init, began)
    here.clock.lap("start")
    if not back:
        here.store.advance(journal._replace(phase=STARTED))
    bridge.take_away(way.gone)


def _containers_back(here: _Run, journal: Journal) -> None:
    service.start_units(journal.dependents, here.limits.start)
    containers.start_again(here.api, journal.ran, journal.names, here.limits.verify)
    containers.stop_again(here.api, journal.resting, [name for name in journal.names if name not in journal.ran])
    here.clock.lap("containers")


def _await_api(here: _Run, init: str, began: float) -> None:
    deadline = time.monotonic() + here.limits.start
    while not here.api.answers():
        dead = init == service.SYSVINIT and not service.active(init)  # which doesn't wait for dockerd's own word
        if dead or time.monotonic() > deadline:
            reason = "doesn't start" if dead else f"doesn't answer after {here.limits.start:.0f} s"
            raise VerificationFailed(f"dockerd {reason}: {service.last_words(init, began)}")
        time.sleep(0.05)


def _finish(here: _Run, journal: Journal, way: Switch, name: str) -> None:
    """The files as they stay, and nothing of the run left."""
    staging.put(name, "final", way.final)
    staging.clear({*journal.forward.start, *journal.back.start})
    here.store.close()


def _go_back(here: _Run, journal: Journal, reason: HostwireError) -> None:
    """The old state; adds to the reason that it is there again. Raises UndoFailed with what is left where it isn't."""
    try:
        missing = _restore(here, journal)
    except HostwireError as error:
        again = "the next run of docker_bridge tries again to go back"
        failures = [f"and going back failed too: {line}" for line in error.problems]
        raise UndoFailed([*reason.problems, *failures, *_left(here), again]) from reason
    if missing:
        raise UndoFailed([*reason.problems, "everything else is as it was before, but", *missing]) from reason
    reason.append("everything is as it was before")


def _restore(here: _Run, journal: Journal) -> Tuple[str, ...]:
    """The old files, address and daemon, and the containers; those that don't come back are named in lines."""
    service.prepare(journal.init)
    stale = any(path.endswith((".conf", ".service")) for path in journal.back.start)
    _switch(here, journal, journal.back, "back", stale)
    missing: Tuple[str, ...] = ()
    try:
        _containers_back(here, journal)
    except HostwireError as error:
        missing = error.problems
    expected = journal.back.expected._replace(options={})
    verify.await_right(here.api, expected, verify.Before((), (), ()), here.limits.verify)
    _finish(here, journal, journal.back, "back")
    here.clock.lap("back")
    return missing


def _left(here: _Run) -> List[str]:
    """What can be seen of the host after a failed way back."""
    lines = [f"docker0 has {', '.join(docker0_addresses()) or 'no address'}"]
    lines.append("Docker answers" if here.api.answers() else "Docker doesn't answer; look at journalctl -u docker")
    return lines


def _recover(here: _Run, journal: Journal) -> Tuple[str, ...]:
    """End what an earlier run, killed on its way, began: forward where only tidying was left, else back.

    The containers that don't come back, in lines. What somebody else wrote since stays as he wrote it.
    """
    journal = _less_foreign(journal)
    if journal.phase == VERIFIED:
        _finish(here, journal, journal.forward, "forward")
        return ()
    if journal.phase in UNTOUCHED:
        staging.clear({*journal.forward.start, *journal.back.start})
        here.store.close()
        return ()
    return _restore(here, journal)


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
        return Switch(start, final, (), Expected(subnets=way.expected.subnets))

    return journal._replace(forward=less(journal.forward), back=less(journal.back))
