# SPDX-License-Identifier: GPL-3.0-or-later
"""Read, plan, apply, verify: the one way in which anything is ever changed."""

from __future__ import annotations

import contextlib
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    ContextManager,
    Dict,
    Iterator,
    List,
    Mapping,
    Optional,
    Sequence,
    Set,
    Tuple,
)

from . import document as documents
from . import others, privilege
from .apply import debris
from .apply.disk import Memory, Records
from .apply.probing import probed
from .apply.verify import DAD_SECONDS, await_addresses, number_owned
from .elsewhere import needed_elsewhere
from .errors import Conflict, HostwireError, InvalidValue, VerificationFailed
from .firewall import Tables
from .heirs import NOBODY, adopted, doubts, find_heirs, heeding_guards, left_over, remember, switched_on_elsewhere
from .host import Host
from .interruption import heeded
from .model import Guests, HostView
from .plan import preflight
from .plan.actions import TableSet
from .plan.emptied import emptied
from .plan.fallen_uplinks import missed_warnings
from .plan.intent import intended
from .plan.lost_uplinks import attachments
from .plan.owned import Owned, living
from .plan.planner import Plan, Wish, make_plan
from .recall import recalled, recollected
from .rows import NamedTuple
from .running import running
from .state_directory import STATE_DIRECTORY
from .stopwatch import Stopwatch
from .task import (
    Task,
    claimed_elsewhere,
    containers_remembered,
    containers_wanted,
    make_task,
    make_wish,
    may_delete_namespaces,
    namespaces_that_go,
)
from .whereabouts import machine_id

if TYPE_CHECKING:
    from .apply.executor import Hook, Started
    from .probe import ProbeResult

SETTLING_ROUNDS = 2  # times that what one of our own changes took along is put back before it counts as an error


class Result(NamedTuple):
    """What a run did, or with ``check`` would do.

    ``plan`` has a readable line per change. ``before`` and ``after`` are documents: what was there of all that the
    document names or named, and what is there now. ``timings`` are seconds. ``rules_before`` and ``rules_after``: what
    of the packet filters no field of these says, in words.
    """

    changed: bool
    plan: Tuple[str, ...]
    before: Dict[str, Any]
    after: Dict[str, Any]
    warnings: Tuple[str, ...]
    timings: Dict[str, float]
    reachability: Tuple[ProbeResult, ...]
    rules_before: Tuple[str, ...] = ()
    rules_after: Tuple[str, ...] = ()


class Picture(NamedTuple):
    """What was read, and the plan that follows from it; ``memory``: what is remembered, and what was read of that."""

    view: HostView
    tables: Dict[Optional[str], Tables]
    wish: Wish
    plan: Plan
    memory: Memory


class Prepared(NamedTuple):
    """A run of which nothing is left but to carry the plan out."""

    task: Task
    memory: Memory
    picture: Picture


def run(
    document: Mapping[str, Any],
    *,
    check: bool = False,
    fragment: bool = False,
    state_dir: str = STATE_DIRECTORY,
    hook: Optional[Hook] = None,
    dad_seconds: float = DAD_SECONDS,
    written: bool = False,
) -> Result:
    """Make the host agree with the document; see the document's description for its fields.

    ``check`` only plans and writes nothing at all. With ``fragment`` the document holds single objects, to be merged
    into the stored document of its name (state present) or cut out of it (absent). ``hook`` is told of each step.
    With ``dad_seconds`` 0 neither addresses nor spanning trees are waited for. ``written``: the document is one text of
    a person's, not put together from variables in many places, and may have nothing but probes.
    Raises subclasses of HostwireError only; what was begun is undone then.
    """
    with running():
        return Run(document, Host(state_dir), fragment, hook, dad_seconds, written).go(check)


class Run:
    """One run of one document, on a host that may be on paper."""

    def __init__(
        self,
        document: Mapping[str, Any],
        host: Host,
        fragment: bool = False,
        hook: Optional[Hook] = None,
        dad_seconds: float = DAD_SECONDS,
        written: bool = False,
    ) -> None:
        self._clock = Stopwatch()
        self.reading = documents.read(document)
        self.host = host
        self._fragment = fragment
        self._written = written
        self._name = self.reading.topology.name
        self._hook = hook
        self._dad_seconds = dad_seconds
        self._machine = machine_id()
        self._check: Callable[[], None] = lambda: None
        self._records = Records(host.store)
        self._heirs = NOBODY
        self._elsewhere: Set[int] = set()
        self._plans: List[Plan] = []
        self._guests = Guests({}, set(), {})

    def go(self, check: bool) -> Result:
        """The whole run."""
        lock: ContextManager[None] = contextlib.nullcontext() if check else self.host.locked(f"document {self._name!r}")
        if self.reading.problems:  # nothing to wait for: say it at once, with what the host knows to add
            lock = contextlib.nullcontext()
        elif not check:
            privilege.demand(bool(self.reading.topology.namespaces))
        with lock, self.prepared() as prepared:
            return self.foretell(prepared) if check else self.carry_out(prepared)

    @contextlib.contextmanager
    def prepared(self) -> Iterator[Prepared]:
        """What was read and planned; the containers that the document names or named are open meanwhile."""
        self._records = Records(self.host.store)  # under the lock
        memory = recalled(self.host.store, self.reading.topology, self._fragment)
        wanted, remembered = containers_wanted(self.reading.topology), containers_remembered(memory.owned)
        with self.host.store.telling(), self.host.containers(wanted, remembered) as self._guests:
            memory = memory._replace(owned=living(memory.owned, self._guests.lives, self._guests.ended))
            task = make_task(self.reading, memory, self._fragment, self._records)
            self._elsewhere = switched_on_elsewhere(task, self._records)
            memory, taken = adopted(task, memory, self._records)
            memory, view = self._clock.timed("read", lambda: recollected(self.host, task, memory))
            self._heirs = find_heirs(task, memory, self._records)._replace(taken=taken)
            self._refuse_problems(task, memory, view)
            picture = self._clock.timed("plan", lambda: self._plan(task, memory, view, True))
            yield Prepared(task, picture.memory, picture)

    def foretell(self, prepared: Prepared) -> Result:
        """What would be done."""
        return self._result(*prepared, ())

    def carry_out(self, prepared: Prepared) -> Result:
        """Do it."""
        self.host.store.begin()
        debris.clear(prepared.memory, self.host.store.paths(self._name))
        picture = prepared.picture
        seen = picture.wish.firewall, picture.tables, picture.view, picture.plan
        with heeded() as self._check, others.explained(self.host, *seen):
            reachability = self._apply(*prepared)
        return self._result(*prepared, reachability)

    def _look_on(self, task: Task, memory: Memory) -> HostView:
        self._check()
        return self.host.look(task, memory)

    def _refuse_problems(self, task: Task, memory: Memory, view: HostView) -> None:
        found = list(self.reading.problems)
        if self.reading.topology.present:
            found += preflight.container_problems(self.reading.topology, self._guests.problems, self.reading.where)
            found += preflight.problems(
                self.reading.topology,
                view,
                memory.owned.links,
                self.reading.where,
                memory.owned.addresses,
                self._fragment,
                {(one.netns, one.bridge): one.nic for one in attachments(memory.owned)},
                namespaces_that_go(task, memory, view),
            )
            if self._fragment:
                found += documents.problems_with_earlier(self.reading, task.stored, found)
            elif not found:
                found += emptied(task.document, memory.document, memory.owned, self._written)
        if found:
            raise InvalidValue(found)
        claimed = claimed_elsewhere(task, self._records)
        if claimed:
            raise Conflict(claimed)

    def _plan(self, task: Task, memory: Memory, view: HostView, first: bool = False) -> Picture:
        wish = make_wish(task, view, memory, self._heirs.settings, self._elsewhere)
        tables = self.host.tables(wish, view, memory)
        conflicts: List[str] = []
        if first:
            told = heeding_guards(task, memory, view, tables.get(None), self._records, self._heirs)
            if told is not None:
                memory, self._heirs = told
                view = self.host.look(task, memory)
                wish = make_wish(task, view, memory, self._heirs.settings, self._elsewhere)
            self.host.store.remarks.update(dict.fromkeys(doubts(self._heirs, memory, view)))
            conflicts += others.rivals(self.host, task, self.reading.where, view, tables)
            conflicts += others.misnamed(task, view) + others.untaken(task, view)
            conflicts += needed_elsewhere(namespaces_that_go(task, memory, view), self._name, self._records)
        processes = self.host.processes() if may_delete_namespaces(task, memory.owned) else {}
        plan = make_plan(wish, view, memory.owned, tables, processes, self._machine, conflicts)
        return Picture(view, tables, wish, plan, memory)

    def _apply(self, task: Task, memory: Memory, picture: Picture) -> Tuple[ProbeResult, ...]:
        """Carry the plan out, look whether it is so, and remember; a failure anywhere takes it all back."""
        plan = picture.plan
        if not plan.steps and not task.target.probes:
            try:
                self.remember(task, memory, plan.owned)
            except HostwireError as error:
                for line in self.host.store.put_back(self._name, memory, whole=True):
                    error.append(line)
                raise
            return ()
        from .apply.runner import attempted  # loaded when it is needed: most runs change nothing

        return attempted(
            lambda started: self._attempt(task, memory, picture, started),
            lambda started, go_home: self._undo(task, memory, picture, started, go_home),
        )

    def _attempt(self, task: Task, memory: Memory, picture: Picture, started: List[Started]) -> Tuple[ProbeResult, ...]:
        plan = picture.plan
        self._plans = []
        if plan.steps:
            with self._clock.measuring("apply"):
                self._carry_out(task, memory, plan, picture.view, started)
        with self._clock.measuring("verify"):
            self._await_spanning_trees(task)
            owned = self._verify(task, memory, picture, started) if plan.steps else plan.owned
            reachability = probed(task.target)
        self._check()
        self.remember(task, memory, owned)
        self.host.store.drop_journal(self._name)  # also where nothing new is to be remembered: something was mended
        return reachability

    def _carry_out(self, task: Task, memory: Memory, plan: Plan, view: HostView, started: List[Started]) -> None:
        """Do it once it is on disk for good, with all that this run has done before."""
        from .apply.executor import Executor, Started, Work

        self._plans.append(plan)
        intent = memory.owned
        for one in self._plans:
            intent = intended(intent, one.owned, one.steps)
        steps = tuple(step for one in self._plans for step in one.steps)
        self.host.store.journal(self._name, task.document, intent, steps)
        with Executor(hook=self._hook, check=self._check) as executor:
            started.append(Started(plan, executor, view))
            executor.run([Work(step.action, _subject(plan.lines, step.line)) for step in plan.steps])

    def _await_spanning_trees(self, task: Task) -> None:
        bridges = [bridge for bridge in task.target.bridges if bridge.stp and bridge.up]
        if bridges and self._dad_seconds:
            from .apply.spanning_tree import await_forwarding  # loaded when it is needed: few bridges have one

            await_forwarding(bridges, self._check)

    def _verify(self, task: Task, memory: Memory, picture: Picture, started: List[Started]) -> Owned:
        """Plan again from what is read back: nothing may be left to do. What our own changes took along is put back.

        And tell the neighbours, before anybody tries whether it works.
        """
        from .apply.announcing import tell  # loaded when it is needed: most runs change nothing

        owned = picture.plan.owned
        for attempt in range(SETTLING_ROUNDS + 1):
            seen = memory._replace(owned=owned)
            view = await_addresses(owned, lambda seen=seen: self._look_on(task, seen), self._dad_seconds)  # type: ignore[misc]
            owned = number_owned(owned, view)
            again = self._plan(task, memory._replace(owned=owned), view).plan
            if not again.steps:
                self._refuse_restarted(again.owned)
                actions = [step.action for one in started for step in one.plan.steps]
                tell(actions, picture.view, view, lambda seen=seen: self._look_on(task, seen), self._dad_seconds)  # type: ignore[misc]
                return number_owned(again.owned, view)
            if attempt == SETTLING_ROUNDS:
                break
            owned = again.owned
            self._carry_out(task, memory, again, view, started)
        raise VerificationFailed(["read back after the changes, this is still to do:", *again.lines])

    def _refuse_restarted(self, owned: Owned) -> None:
        """What was made in a container that has ended meanwhile is in nobody's namespace."""
        if owned.containers:
            from .containers import restarted

            over = restarted([(key, life) for key, life in self._guests.lives.items() if key in owned.containers])
            if over:
                raise Conflict(over)

    def _undo(
        self, task: Task, memory: Memory, picture: Picture, started: Sequence[Started], go_home: Callable[[], None]
    ) -> Optional[Tuple[str, ...]]:
        """Take everything back, and what is remembered with it. What is left; None where nothing was begun."""
        from .apply.way_back import Seen, go_back  # loaded when it is needed: see firewall

        filtered = any(isinstance(step.action, TableSet) for one in started for step in one.plan.steps)

        def see() -> Seen:
            view = self.host.look(task, memory)
            return Seen(view, self.host.tables(picture.wish, view, memory) if filtered else picture.tables)

        left: Tuple[str, ...] = ()
        if started:
            left = go_back(started, Seen(picture.view, picture.tables), see, self._dad_seconds, go_home)
        left += self.host.store.put_back(self._name, memory, not left)
        return left if started or left else None

    def remember(self, task: Task, memory: Memory, owned: Owned) -> None:
        """Note what the document owns from now on."""
        remember(self.host.store, task, memory, owned, self._heirs)

    def _result(self, task: Task, memory: Memory, picture: Picture, reachability: Tuple[ProbeResult, ...]) -> Result:
        plan = picture.plan
        before = after = task.document
        rules: Tuple[Tuple[str, ...], ...] = ((), ())
        if plan.steps:
            from .plan.present import present  # loaded when it is needed: most runs change nothing
            from .plan.touched import touched_by

            wish = picture.wish
            there = present(
                task.previous, task.stored, picture.view, memory.owned, picture.tables,
                wish.firewall, wish.firewall_before,
                touched_by(step.action for step in plan.steps) if task.whole else None,
            )  # fmt: skip
            before, rules = documents.dump(there.topology), (there.rules, there.wanted)
        warnings = [*others.hindrances(self.host, picture.wish.firewall, picture.tables, picture.view, plan)]
        if memory.owned.carried and not memory.interrupted:
            warnings += missed_warnings(memory.owned, picture.view)
        warnings += [*self.host.store.doubts(), *self.host.store.broken_off(self._records.names(), self._name)]
        warnings += left_over(self.host.store, self._records, task, self._heirs)
        warnings += others.doubts(self.host, self.reading, task, picture.view, picture.wish.unfiltered)
        return Result(
            bool(plan.steps), plan.lines, before, after, tuple(warnings), self._clock.seconds, reachability, *rules
        )


def _subject(lines: Sequence[str], line: int) -> str:
    return lines[line] if line < len(lines) else "a step"
