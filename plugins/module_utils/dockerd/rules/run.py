# SPDX-License-Identifier: GPL-3.0-or-later
"""The task of docker_chains: read, plan, one step per family, look again; planned here, the executor writes."""

from __future__ import annotations

import contextlib
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from ...apply.journals import Foretold, Job, Journals, Unfinished, gone_on
from ...docker_api import Api
from ...errors import MissingOnHost, VerificationFailed
from ...firewall.chains import led
from ...privilege import demand
from ...state_directory import STATE_DIRECTORY, locked
from ..clock import Clock
from ..configuration import read_configuration
from ..facts import read_engine
from ..model import Engine
from ..readdress.coming_back import ComingBack
from ..readdress.deeds import Docker, Limits
from ..readdress.memory import CHAINS, Expected, refuse_restart_of
from ..readdress.memory import NAME as BRIDGE
from ..readdress.restart import restart_steps, restartable
from ..readdress.situation import Situation
from ..readdress.verify import Before, await_right, steady
from .access import CHAIN as USER
from .access import Access, needs, rendered
from .listing import read_listing
from .own import leads_to_user_rules
from .reading import Asked, Reading, asked, native_too, read
from .transaction import Transaction
from .unmanaged import OwnRules, unmanaged, user_jump, user_rendered

_NAMES = {4: "ipv4", 6: "ipv6"}
_LIMITS = Limits()
_NOTHING = Foretold()
_STEADY = "steady"  # a note


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
    refuse_restart_of(BRIDGE, STATE_DIRECTORY)
    earlier = ComingBack(Docker(api, _LIMITS, Clock()))

    def resume(one: Unfinished) -> List[str]:
        return earlier.mend(one.job, Expected(), _steady(one.job)) or []

    gone = gone_on(journals, CHAINS, (), check, resume, earlier.docker)
    if gone.deeds and not api.answers():  # what there will be once Docker runs again nobody knows
        return Done(gone.lines, {}, {}, (), False, clock.timings)
    situation = _read(api, gone)
    clock.lap("read")
    transactions = _plan(wish, situation)
    lacking = () if wish.absent else _unrepairable(situation.reading)
    restarts = bool(lacking) and wish.restart
    now = restartable(api, situation.engine) if restarts else None
    plan = [line for transaction in transactions for line in transaction.plan]
    plan += ["Docker: restart"] if restarts else []
    before, after = _states(transactions, situation.reading)
    clock.lap("plan")
    if not check and plan:
        job = _job(transactions, situation.reading.backend, now)
        docker = Docker(api, _LIMITS, Clock())
        back = ComingBack(docker)

        def finish() -> Tuple[str, ...]:
            clock.lap("restart" if restarts else "apply")
            if restarts:
                stay = tuple(docker.anew.get(one, one) for one in _steady(job))
                await_right(api, Expected(), Before(steady=stay), docker.limits.verify)
            return _verified(wish, _read(api))

        with back.told():
            own = docker if restarts else None
            lacking = _carried_out(job, journals, finish, lambda: back.mend(job, Expected(), _steady(job)), own)
        clock.lap("verify")
    return Done((*gone.lines, *earlier.lost, *plan), before, after, lacking, restarts, clock.timings)


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


def _job(transactions: Sequence[Transaction], backend: str, restarted: Optional[Situation]) -> Job:
    from ...apply.jobs import step  # loaded when it is needed: most runs change nothing

    edits = [transaction.edit(backend) for transaction in transactions if transaction.text]
    lines = [f"the rules of {_NAMES[edit.family]}" for edit in edits]
    steps = [step(edit, number) for number, edit in enumerate(edits)]
    notes: Dict[str, Any] = {}
    if restarted is not None:
        steps += restart_steps(restarted, len(lines))
        lines.append("Docker's restart")
        notes[_STEADY] = list(steady(restarted.in_order()))
    return Job(CHAINS, "docker_chains", tuple(lines), tuple(steps), notes)


def _steady(job: Job) -> Tuple[str, ...]:
    """The containers, by id, that have to stay up once Docker was restarted."""
    noted = job.notes.get(_STEADY)
    return tuple(str(one) for one in noted) if isinstance(noted, list) else ()


def _carried_out(
    job: Job,
    journals: Journals,
    finish: Callable[[], Tuple[str, ...]],
    mend: Callable[[], Optional[List[str]]],
    trade: Optional[Docker],
) -> Tuple[str, ...]:
    from ...apply.jobs import carry_out  # as above

    return carry_out(job, journals, finish, mend, trade)


def _verified(wish: Wish, situation: _Situation) -> Tuple[str, ...]:
    """What only a restart brings back, if all the rest is right. Raises VerificationFailed."""
    left = [line for transaction in _plan(wish, situation) for line in transaction.plan]
    if left:
        raise VerificationFailed([f"the rules were written, but this is still to be done: {line}" for line in left])
    return () if wish.absent else _unrepairable(situation.reading)
