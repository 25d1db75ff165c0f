# SPDX-License-Identifier: GPL-3.0-or-later
"""The task of docker_chains: read, plan, one step per family, look again; planned here, the executor writes."""

from __future__ import annotations

import contextlib
import time
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from ...apply.journals import DOING, Foretold, Job, Journals, Unfinished, gone_on
from ...docker_api import Api
from ...errors import HostwireError, MissingOnHost, VerificationFailed
from ...firewall.chains import led
from ...privilege import demand
from ...state_directory import STATE_DIRECTORY, locked
from .. import service
from ..clock import Clock
from ..configuration import read_configuration
from ..facts import read_engine
from ..model import Engine
from ..readdress.containers import start_again
from ..readdress.memory import Expected
from ..readdress.restart import demand_restartable
from ..readdress.verify import Before, await_right, steady
from .access import CHAIN as USER
from .access import Access, needs, rendered
from .listing import read_listing
from .own import leads_to_user_rules
from .reading import Asked, Reading, asked, native_too, read
from .transaction import Transaction
from .unmanaged import OwnRules, unmanaged, user_jump, user_rendered

_NAMES = {4: "ipv4", 6: "ipv6"}
_RESTART_SECONDS = 120.0
_CONTAINER_SECONDS = 60.0
_NOTHING = Foretold()
_JOURNAL = "docker_chains"
_RAN = "ran"  # the note of a journal that a restart of Docker was begun: what ran before it, by id, its name


class Wish(NamedTuple):
    """What is asked for. ``rules`` None: those that stand there stay; ``absent``: all of ours goes."""

    absent: bool = False
    rules: Optional[Tuple[Access, ...]] = None
    restart: bool = False


class Done(NamedTuple):
    """What was done, or would be. ``needs_restart``: what only a restart of the engine brings back, a line each."""

    plan: Tuple[str, ...]
    before: Dict[str, Any]
    after: Dict[str, Any]
    needs_restart: Tuple[str, ...]
    restarted: bool
    timings: Dict[str, float]


class _Situation(NamedTuple):
    engine: Engine
    options: Asked
    reading: Reading


def run(wish: Wish, check: bool, api: Api) -> Done:
    """Do it, or in check mode only tell it.

    Raises MissingOnHost without an engine, iptables, the right to use it or a place for the rules; Conflict while
    another run changes this host; KernelRefused, Interrupted, VerificationFailed where the rules aren't right in the
    end: after each of these they are as they were; else UndoFailed.
    """
    demand(False)
    with contextlib.nullcontext() if check else locked(STATE_DIRECTORY, "docker_chains"):
        return _go(wish, check, api)


def _go(wish: Wish, check: bool, api: Api) -> Done:
    clock = Clock()
    journals = Journals(STATE_DIRECTORY)
    lost: List[str] = []
    gone = gone_on(journals, _JOURNAL, (), check, lambda one: _resumed(api, one, lost))
    situation = _read(api, gone)
    clock.lap("read")
    transactions = _plan(wish, situation)
    lacking = () if wish.absent else _unrepairable(situation.reading)
    restarts = bool(lacking) and wish.restart
    if restarts:
        demand_restartable(api, situation.engine)
    plan = [line for transaction in transactions for line in transaction.plan]
    plan += ["Docker: restart"] if restarts else []
    before, after = _states(transactions, situation.reading)
    clock.lap("plan")
    if not check and plan:
        restart = _Restart(api, situation.engine, journals) if restarts else None
        job = _job(transactions, situation.reading.backend)

        def finish() -> Tuple[str, ...]:
            clock.lap("apply")
            if restart is not None:
                restart.do(job)
                clock.lap("restart")
            return _verified(wish, _read(api))

        lacking = _carried_out(job, journals, finish, restart)
        clock.lap("verify")
    return Done((*gone.lines, *lost, *plan), before, after, lacking, restarts, clock.timings)


def _read(api: Api, gone: Foretold = _NOTHING) -> _Situation:
    engine = read_engine(api)
    options = asked(read_configuration(), engine)
    listing = read_listing(native=native_too(engine))
    for edit in gone.chains:
        if edit.backend == listing.backend:
            there = listing.rulesets.get(edit.family, {})
            listing.rulesets[edit.family] = led(there, edit.after, edit.before)
    return _Situation(engine, options, read(engine, options, listing))


def _unrepairable(reading: Reading) -> Tuple[str, ...]:
    return tuple(one.text for one in reading.damage if not one.repairable)


def _plan(wish: Wish, situation: _Situation) -> List[Transaction]:
    reading = situation.reading
    if reading.backend == "nftables":
        if wish.rules:
            raise MissingOnHost(
                "rules: this engine writes its rules with nftables, where there is no DOCKER-USER; put them into an nft"
                " table of your own, or set firewall-backend to iptables"
            )
        return []
    if reading.listing.elsewhere and not wish.absent:
        return []
    transactions = []
    for family, present in reading.listing.rulesets.items():
        transaction = Transaction(family, present)
        if not wish.absent:
            transaction.repair(reading.expected.get(family, {}), reading.damage)
        keeps = wish.rules is None and not wish.absent
        transaction.own(_wanted(wish, situation, family), [("filter", USER)] if keeps else [])
        transactions.append(transaction)
    return transactions


def _wanted(wish: Wish, situation: _Situation, family: int) -> OwnRules:
    """Our own chains in one family."""
    if wish.absent:
        return OwnRules({}, ())
    rules = rendered(wish.rules or (), family)
    reading, options = situation.reading, situation.options
    if family in reading.expected:
        if wish.rules is None and leads_to_user_rules(reading.listing.rulesets[family], reading.expected[family]):
            return OwnRules({}, (user_jump(),))
        if "DOCKER-USER" in reading.expected[family].get("filter", {}):
            return user_rendered(rules)
    elif not options.iptables and _has(situation.engine, family):
        kept = wish.rules is None and USER in reading.listing.rulesets[family].get("filter", {})
        return unmanaged(situation.engine, family, rules, kept, options.ip_masq)
    nowhere = needs(wish.rules or (), family)
    if nowhere:
        where = "IPv4" if family == 4 else "IPv6 (see its option ip6tables)"
        version = situation.engine.version
        raise MissingOnHost(
            f"rules[{index}]: Docker {version}, as it is configured, has no chain DOCKER-USER for {where}"
            for index in nowhere
        )
    return OwnRules({}, ())


def _has(engine: Engine, family: int) -> bool:
    """Whether containers have this family at all."""
    return family == 4 or any(network.bridge and network.ipv6 for network in engine.networks)


def _states(transactions: Sequence[Transaction], reading: Reading) -> Tuple[Dict[str, Any], Dict[str, Any]]:
    """By family, table and chain: the rules of all chains that change."""
    before: Dict[str, Any] = {}
    after: Dict[str, Any] = {}
    for transaction in transactions:
        old, new = transaction.changed(reading.listing.rulesets[transaction.family])
        if old or new:
            before[_NAMES[transaction.family]] = old
            after[_NAMES[transaction.family]] = new
    return before, after


def _job(transactions: Sequence[Transaction], backend: str) -> Job:
    from ...apply.jobs import step  # loaded when it is needed: most runs change nothing

    edits = [transaction.edit(backend) for transaction in transactions if transaction.text]
    lines = tuple(f"the rules of {_NAMES[edit.family]}" for edit in edits)
    steps = tuple(step(edit, number) for number, edit in enumerate(edits))
    return Job(_JOURNAL, "docker_chains", lines, steps, {})


def _carried_out(
    job: Job, journals: Journals, finish: Callable[[], Tuple[str, ...]], restart: Optional[_Restart]
) -> Tuple[str, ...]:
    from ...apply.jobs import carry_out  # as above

    return carry_out(job, journals, finish, restart.mend if restart else lambda: None)


class _Restart:
    """A restart of Docker, after which the containers that ran run again, whatever their policy."""

    def __init__(self, api: Api, engine: Engine, journals: Journals) -> None:
        self._api = api
        self._journals = journals
        self._back = [container for container in engine.running() if not container.auto_remove]
        self._ran = {container.id: container.name for container in self._back}
        self._begun = False

    def do(self, job: Job) -> None:
        """Restart it. Raises VerificationFailed."""
        job.notes[_RAN] = self._ran  # whatever is written from now on says it
        self._journals.write(job, DOING)
        self._begun = True
        init = service.detect()
        service.prepare(init)
        service.stop(init)
        _start(self._api, init, self._ran)
        await_right(self._api, Expected(), Before(steady=steady(self._back)), _CONTAINER_SECONDS)

    def mend(self) -> Optional[List[str]]:
        """Once more, where it failed. What doesn't run as it did, a line each; None where it was never begun."""
        if not self._begun:
            return None
        try:
            _start_anew(self._api, self._ran)
        except (HostwireError, OSError) as error:
            return list(error.problems) if isinstance(error, HostwireError) else [f"Docker: {error}"]
        return []


def _start_anew(api: Api, ran: Dict[str, str]) -> None:
    """Start Docker, if it doesn't answer, and the containers that ran. Raises HostwireError."""
    _serve(api)
    start_again(api, list(ran), ran, _CONTAINER_SECONDS)


def _serve(api: Api) -> None:
    if not api.answers():
        init = service.detect()
        service.prepare(init)
        _start_service(api, init)


def _start(api: Api, init: str, ran: Dict[str, str]) -> None:
    _start_service(api, init)
    start_again(api, list(ran), ran, _CONTAINER_SECONDS)


def _start_service(api: Api, init: str) -> None:
    began = service.start(init, seconds=_RESTART_SECONDS)
    deadline = time.monotonic() + _RESTART_SECONDS
    while not api.answers():
        if time.monotonic() > deadline:
            raise VerificationFailed(f"dockerd was restarted and doesn't answer: {service.last_words(init, began)}")
        time.sleep(0.1)


def _resumed(api: Api, one: Unfinished, lost: List[str]) -> Tuple[str, ...]:
    """After a run that was broken off while it restarted Docker: what it stopped runs again. What isn't so, in lines.

    Not in another life of the host, which has started what it was to since, and where some may have been stopped on
    purpose. A container that doesn't come back wouldn't by another try either: of those a line each gets to ``lost``.
    """
    if not one.alive or _RAN not in one.job.notes:
        return ()
    try:
        _serve(api)
    except HostwireError as error:
        return error.problems
    noted = one.job.notes[_RAN]
    ran = {str(key): str(name) for key, name in noted.items()} if isinstance(noted, dict) else {}
    try:
        start_again(api, list(ran), ran, _CONTAINER_SECONDS)
    except HostwireError as error:
        lost += error.problems
    return ()


def _verified(wish: Wish, situation: _Situation) -> Tuple[str, ...]:
    """What only a restart brings back, if all the rest is right. Raises VerificationFailed."""
    left = [line for transaction in _plan(wish, situation) for line in transaction.plan]
    if left:
        raise VerificationFailed([f"the rules were written, but this is still to be done: {line}" for line in left])
    return () if wish.absent else _unrepairable(situation.reading)
