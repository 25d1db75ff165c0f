# SPDX-License-Identifier: GPL-3.0-or-later
"""Docker stopped, changed and started: the way there, and the way back that ends with the old state literally."""

from __future__ import annotations

import contextlib
import time
from typing import Callable, Iterator, List, NamedTuple, Set, Tuple

from ...docker_api import Api
from ...errors import HostwireError, VerificationFailed
from .. import service
from ..clock import Clock
from ..configuration import read_configuration
from ..discretion import discreet, foreign_words
from . import bridge, containers, staging, verify
from .memory import Expected, Journal, Store, Switch, Texts
from .situation import docker0_addresses

PREPARED, STOPPING, STOPPED, STARTING, STARTED, VERIFIED, BACK = (
    "prepared",
    "stopping",
    "stopped",
    "starting",
    "started",
    "verified",
    "going back",
)


class Limits(NamedTuple):
    """Seconds: for dockerd's start and for everything to be right afterwards."""

    start: float = 120.0
    verify: float = 60.0


class Here(NamedTuple):
    """What the phases of a run have in common; ``interrupted`` raises where the run was told to stop."""

    api: Api
    store: Store
    limits: Limits
    clock: Clock
    interrupted: Callable[[], None]


def forward(here: Here, journal: Journal, stale: bool) -> Journal:
    """Dockerd with the new files and address, and the containers that ran. Raises a HostwireError.

    Returns the journal with the containers as they are called now.
    """
    _switch(here, journal, "start", stale)
    return containers_back(here, journal)


def finish(here: Here, journal: Journal, way: Switch, name: str) -> None:
    """The files as they stay, and nothing of the run left."""
    staging.put(name, "final", way.final)
    close(here, journal)


def close(here: Here, journal: Journal) -> None:
    """Leave nothing of a run behind."""
    staging.clear({*journal.forward.start, *journal.back.start})
    here.store.close()


def back(here: Here, journal: Journal) -> Tuple[str, ...]:
    """The old files, address and daemon, and the containers; those that don't come back are named in lines.

    The old bytes with the old address on docker0 are enough, unless dockerd has served with the new address: that one
    it remembers, and takes it again where no other is said. Raises a HostwireError; then Docker has been started in
    every way there is.
    """
    service.prepare(journal.init)
    ways = ["start", "final"] if journal.phase == STARTED else ["final", "start", "final"]
    if journal.back.start == journal.back.final:
        ways = ["final"]
    failure: List[HostwireError] = []
    for number, step in enumerate(ways):
        try:
            _switch(here, journal._replace(phase=BACK), step, stale=_of_unit(journal.back))
        except HostwireError as error:
            failure.append(error)
            service.prepare(journal.init)
            continue
        if number + 1 == len(ways) or step == "start" or _is_home(journal.back):
            break
    else:
        raise failure[-1]
    missing: Tuple[str, ...] = ()
    try:
        journal = containers_back(here, journal)
    except HostwireError as error:
        missing = error.problems
    expected = journal.back.expected._replace(options={}, subnet6="")
    verify.await_right(here.api, expected, verify.Before(), here.limits.verify)
    missing = missing or _not_staying(here, journal)
    finish(here, journal, journal.back, staging.BACK)
    here.clock.lap("back")
    return missing


def _not_staying(here: Here, journal: Journal) -> Tuple[str, ...]:
    """Containers, a line each, that were started again and have ended since."""
    try:
        verify.await_right(here.api, Expected(), verify.Before(steady=journal.steady), here.limits.verify)
    except HostwireError as error:
        return error.problems
    return ()


def _is_home(way: Switch) -> bool:
    return not way.expected.address or way.expected.address in docker0_addresses()


def _of_unit(way: Switch) -> bool:
    return any(path.endswith((".conf", ".service")) for path in way.start)


def _switch(here: Here, journal: Journal, step: str, stale: bool) -> None:
    """Stop, change, start; which way is told by the journal's phase. Nothing that takes time lies between."""
    going_back = journal.phase == BACK
    way, name = (journal.back, staging.BACK) if going_back else (journal.forward, staging.FORWARD)
    texts: Texts = way.start if step == "start" else way.final
    here.store.advance(journal._replace(phase=BACK if going_back else STOPPING))
    service.stop(journal.init, journal.socket)
    here.clock.lap("stop")
    if not going_back:
        here.store.advance(journal._replace(phase=STOPPED))
    staging.put(name, step, texts)
    bridge.take_away(way.gone)
    bridge.put(way.put)
    if stale or _of_unit(way):
        service.reload_units(journal.init)
    if not going_back:
        here.store.advance(journal._replace(phase=STARTING))
    here.clock.lap("files")
    with _discreet():
        began = service.start(journal.init, journal.socket, here.limits.start)
        _await_api(here, journal.init, began)
    here.clock.lap("start")
    if not going_back:
        here.store.advance(journal._replace(phase=STARTED))
    bridge.take_away(way.gone)
    if way.kept:
        bridge.put(way.kept)


@contextlib.contextmanager
def _discreet() -> Iterator[None]:
    """What dockerd says of its end is told without passwords of files that aren't ours."""
    try:
        yield
    except VerificationFailed as error:
        hidden: Set[str] = set()
        with contextlib.suppress(HostwireError):
            configuration = read_configuration()
            hidden = foreign_words(configuration.texts, configuration.daemon_json)
        raise VerificationFailed([discreet(line, hidden) for line in error.problems]) from error


def containers_back(here: Here, journal: Journal) -> Journal:
    """The units that stopped with Docker and the containers that ran. Raises a HostwireError.

    Returns the journal with the new ids of those that the units made anew.
    """
    service.start_units(journal.dependents, here.limits.start)
    by_units = bool(journal.dependents)
    anew = containers.start_again(here.api, journal.ran, journal.names, here.limits.verify, by_units)
    containers.stop_again(here.api, journal.resting, [name for name in journal.names if name not in journal.ran])
    here.clock.lap("containers")
    if not anew:
        return journal
    ran, healthy, steady = (
        tuple(anew.get(name, name) for name in names) for names in (journal.ran, journal.healthy, journal.steady)
    )
    names = {anew.get(name, name): words for name, words in journal.names.items()}
    return journal._replace(ran=ran, healthy=healthy, steady=steady, names=names)


def _await_api(here: Here, init: str, began: float) -> None:
    deadline = time.monotonic() + here.limits.start
    while not here.api.answers():
        dead = init == service.SYSVINIT and not service.active(init)  # which doesn't wait for dockerd's own word
        if dead or time.monotonic() > deadline:
            reason = "doesn't start" if dead else f"doesn't answer after {here.limits.start:.0f} s"
            raise VerificationFailed(f"dockerd {reason}: {service.last_words(init, began)}")
        time.sleep(0.05)
