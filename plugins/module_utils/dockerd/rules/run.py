# SPDX-License-Identifier: GPL-3.0-or-later
"""The task of docker_chains: read, plan, write one transaction per family, look again. The effects are here."""

from __future__ import annotations

import contextlib
import time
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from ...docker_api import Api
from ...errors import HostwireError, MissingOnHost, VerificationFailed
from ...firewall.programs import restore
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
from .own import leads_to_user_rules
from .reading import Asked, Reading, asked, read
from .transaction import Transaction
from .unmanaged import OwnRules, unmanaged, user_jump, user_rendered

_NAMES = {4: "ipv4", 6: "ipv6"}
_RESTART_SECONDS = 120.0
_CONTAINER_SECONDS = 60.0


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
    another run changes this host; KernelRefused; VerificationFailed where the rules aren't right in the end.
    """
    demand(False)
    with contextlib.nullcontext() if check else locked(STATE_DIRECTORY, "docker_chains"):
        return _go(wish, check, api)


def _go(wish: Wish, check: bool, api: Api) -> Done:
    clock = Clock()
    situation = _read(api)
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
        _write(transactions, situation.reading.backend)
        clock.lap("apply")
        if restarts:
            _restart(api, situation.engine)
            clock.lap("restart")
        lacking = _verified(wish, _read(api))
        clock.lap("verify")
    return Done(tuple(plan), before, after, lacking, restarts, clock.timings)


def _read(api: Api) -> _Situation:
    engine = read_engine(api)
    options = asked(read_configuration(), engine)
    return _Situation(engine, options, read(engine, options))


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


def _write(transactions: Sequence[Transaction], backend: str) -> None:
    written: List[str] = []
    for transaction in transactions:
        if not transaction.text:
            continue
        try:
            restore(None, backend, transaction.family, transaction.text)
        except HostwireError as error:
            if written:
                error.append(f"the rules of {', '.join(written)} are changed already; run it again once this is solved")
            raise
        written.append(_NAMES[transaction.family])


def _restart(api: Api, engine: Engine) -> None:
    """Restart Docker; containers that ran run again, whatever their policy. Raises VerificationFailed."""
    back = [container for container in engine.running() if not container.auto_remove]
    names = {container.id: container.name for container in engine.containers}
    init = service.detect()
    service.prepare(init)
    service.stop(init)
    began = service.start(init, seconds=_RESTART_SECONDS)
    deadline = time.monotonic() + _RESTART_SECONDS
    while not api.answers():
        if time.monotonic() > deadline:
            raise VerificationFailed(f"dockerd was restarted and doesn't answer: {service.last_words(init, began)}")
        time.sleep(0.1)
    start_again(api, [container.id for container in back], names, _CONTAINER_SECONDS)
    await_right(api, Expected(), Before(steady=steady(back)), _CONTAINER_SECONDS)


def _verified(wish: Wish, situation: _Situation) -> Tuple[str, ...]:
    """What only a restart brings back, if all the rest is right. Raises VerificationFailed."""
    left = [line for transaction in _plan(wish, situation) for line in transaction.plan]
    if left:
        raise VerificationFailed([f"the rules were written, but this is still to be done: {line}" for line in left])
    return () if wish.absent else _unrepairable(situation.reading)
