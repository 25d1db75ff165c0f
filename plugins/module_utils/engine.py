# SPDX-License-Identifier: GPL-3.0-or-later
"""Read, plan, apply, verify: the one way in which anything is ever changed."""

from __future__ import annotations

import contextlib
import errno
import gc
import time
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    ContextManager,
    Dict,
    FrozenSet,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
)

from . import document as documents
from . import netns as namespaces
from . import privilege
from .apply.disk import Memory, Store, machine_id
from .apply.executor import Executor, Hook, Work
from .apply.interruption import heeded
from .apply.verify import DAD_SECONDS, await_addresses, number_owned
from .errors import Conflict, HostwireError, InvalidValue, KernelRefused, UndoFailed, VerificationFailed
from .firewall import Tables
from .firewall import warnings as firewall_warnings
from .model import Guests, HostView, Topology
from .observe import observe
from .plan import preflight
from .plan.actions import Step
from .plan.owned import Owned, SysctlKey, living
from .plan.planner import Plan, Wish, make_plan
from .plan.present import present
from .plan.uplinks import attachments
from .state_directory import STATE_DIRECTORY, locked
from .task import (
    Task,
    as_expected,
    but_for_made,
    claimed_elsewhere,
    containers_remembered,
    containers_wanted,
    files_to_read,
    heirs,
    make_task,
    make_wish,
    merged,
    owners,
    questions,
    read_tables,
)

if TYPE_CHECKING:
    from .probe import ProbeResult

SETTLING_ROUNDS = 2  # times that what one of our own changes took along is put back before it counts as an error


class Result(NamedTuple):
    """What a run did, or with ``check`` would do.

    ``plan`` has a readable line per change. ``before`` and ``after`` are documents: what was there of all that the
    document names or named, and what is there now. ``timings`` are seconds.
    """

    changed: bool
    plan: Tuple[str, ...]
    before: Dict[str, Any]
    after: Dict[str, Any]
    warnings: Tuple[str, ...]
    timings: Dict[str, float]
    reachability: Tuple[ProbeResult, ...]


class _Picture(NamedTuple):
    """What was read, and the plan that follows from it."""

    view: HostView
    tables: Dict[Optional[str], Tables]
    wish: Wish
    plan: Plan


def run(
    document: Mapping[str, Any],
    *,
    check: bool = False,
    fragment: bool = False,
    state_dir: str = STATE_DIRECTORY,
    hook: Optional[Hook] = None,
    dad_seconds: float = DAD_SECONDS,
    expected: Sequence[str] = (),
    expected_links: Sequence[str] = (),
) -> Result:
    """Make the host agree with the document; see the document's description for its fields.

    ``check`` only plans and writes nothing at all. With ``fragment`` the document holds single objects, to be merged
    into the stored document of its name (state present) or cut out of it (absent). ``hook`` is told of each step.
    With ``dad_seconds`` 0 neither addresses nor spanning trees are waited for.
    ``expected`` are namespaces that ``check`` takes as made, or emptied of what isn't this document's, before it,
    and ``expected_links`` interfaces of the host that it takes as made.
    Raises subclasses of HostwireError only; what was begun is undone then.
    """
    try:
        with _uncollected():
            return _Run(document, fragment, state_dir, hook, dad_seconds).go(check, expected, expected_links)
    except OSError as error:  # reading what is there: a dump that never came through whole, a namespace just gone
        raise KernelRefused("reading what is there", error.errno or errno.EIO, error.strerror) from error


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """A run makes many small values and no cycles of them: looking for cycles would take a fifth of its time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


class _Run:
    """One run of one document."""

    def __init__(
        self, document: Mapping[str, Any], fragment: bool, state_dir: str, hook: Optional[Hook], dad_seconds: float
    ) -> None:
        self._clock = _Clock()
        self._reading = documents.read(document)
        self._fragment = fragment
        self._name = self._reading.topology.name
        self._state_dir = state_dir
        self._store = Store(state_dir)
        self._hook = hook
        self._dad_seconds = dad_seconds
        self._machine = machine_id()
        self._check: Callable[[], None] = lambda: None
        self._heirs: Dict[SysctlKey, str] = {}
        self._guests = Guests({}, set(), {})
        self._expected: FrozenSet[str] = frozenset()
        self._expected_links: FrozenSet[str] = frozenset()

    def go(self, check: bool, expected: Sequence[str], expected_links: Sequence[str]) -> Result:
        self._expected = frozenset(expected if check else ())
        self._expected_links = frozenset(expected_links if check else ())
        lock: ContextManager[None] = (
            contextlib.nullcontext() if check else locked(self._state_dir, f"document {self._name!r}")
        )
        if self._reading.problems:  # nothing to wait for: say it at once, with what the host knows to add
            lock = contextlib.nullcontext()
        elif not check:
            privilege.demand(bool(self._reading.topology.namespaces))
        with lock:
            memory = self._store.load(self._name)
            with self._containers(memory) as self._guests:
                owned = living(memory.owned, self._guests.lives, self._guests.ended)
                return self._go(memory._replace(owned=owned), check)

    def _go(self, memory: Memory, check: bool) -> Result:
        task = make_task(self._reading, memory, self._fragment)
        self._heirs = heirs(task, memory, self._store)
        view = self._clock.timed("read", lambda: self._look(task, memory))
        if self._expected or self._expected_links:
            task = but_for_made(task, view, self._expected)
            view = as_expected(view, task, memory, self._expected, self._expected_links)
        self._refuse_problems(task, memory, view)
        picture = self._clock.timed("plan", lambda: self._plan(task, memory, view))
        if check:
            return self._result(task, memory, picture, ())
        with heeded() as self._check:
            reachability = self._apply(task, memory, picture)
        return self._result(task, memory, picture, reachability)

    def _containers(self, memory: Memory) -> ContextManager[Guests]:
        """The containers that the document names or named, for as long as the run lasts."""
        wanted = containers_wanted(self._reading.topology)
        remembered = containers_remembered(memory.owned)
        if not (wanted or remembered):
            return contextlib.nullcontext(self._guests)
        from .containers import opened  # loaded when it is needed: few documents have containers

        return opened(wanted, remembered)

    def _look(self, task: Task, memory: Memory) -> HostView:
        return observe(questions(task, memory), files_to_read(task, memory), owners(task))

    def _look_on(self, task: Task, memory: Memory) -> HostView:
        self._check()
        return self._look(task, memory)

    def _refuse_problems(self, task: Task, memory: Memory, view: HostView) -> None:
        found = list(self._reading.problems)
        if self._reading.topology.present:
            found += preflight.container_problems(self._reading.topology, self._guests.problems, self._reading.where)
            found += preflight.problems(
                self._reading.topology,
                view,
                memory.owned.links,
                self._reading.where,
                memory.owned.addresses,
                self._fragment,
                {(one.netns, one.bridge): one.nic for one in attachments(memory.owned)},
            )
            if self._fragment:
                found += documents.problems_with_earlier(self._reading, task.stored, found)
        if found:
            raise InvalidValue(found)
        claimed = claimed_elsewhere(task, self._store)
        if claimed:
            raise Conflict(claimed)

    def _plan(self, task: Task, memory: Memory, view: HostView) -> _Picture:
        wish = make_wish(task, view, memory, self._heirs)
        tables = read_tables(wish, view, memory)
        processes = namespaces.processes() if _may_delete_namespaces(task, memory.owned) else {}
        for name in self._expected & view.views.keys():
            processes.pop(view.views[name].inode, None)
        return _Picture(view, tables, wish, make_plan(wish, view, memory.owned, tables, processes, self._machine))

    def _apply(self, task: Task, memory: Memory, picture: _Picture) -> Tuple[ProbeResult, ...]:
        """Carry the plan out, look whether it is so, and remember; a failure anywhere takes it all back."""
        plan = picture.plan
        if not plan.steps and not task.target.probes:
            self._remember(task, memory, plan.owned)
            return ()
        started: List[Tuple[Plan, Executor]] = []
        try:
            if plan.steps:
                with self._clock.measuring("apply"):
                    self._store.journal(self._name, task.document, plan.owned, plan.steps)
                    self._carry_out(plan, started)
            with self._clock.measuring("verify"):
                self._await_spanning_trees(task)
                owned = self._verify(task, memory, plan, started) if plan.steps else plan.owned
                reachability = _probed(task.target)
            self._check()
            self._remember(task, memory, owned)
            self._store.drop_journal(self._name)  # also where nothing new is to be remembered: something was mended
        except BaseException as error:
            self._undo(task, memory, picture, started, error)
            raise
        return reachability

    def _carry_out(self, plan: Plan, started: List[Tuple[Plan, Executor]]) -> None:
        with Executor(hook=self._hook, check=self._check) as executor:
            started.append((plan, executor))
            executor.run([Work(step.action, _subject(plan.lines, step.line)) for step in plan.steps])

    def _await_spanning_trees(self, task: Task) -> None:
        bridges = [bridge for bridge in task.target.bridges if bridge.stp and bridge.up]
        if bridges and self._dad_seconds:
            from .apply.spanning_tree import await_forwarding  # loaded when it is needed: few bridges have one

            await_forwarding(bridges, self._check)

    def _verify(self, task: Task, memory: Memory, plan: Plan, started: List[Tuple[Plan, Executor]]) -> Owned:
        """Plan again from what is read back: nothing may be left to do. What our own changes took along is put back."""
        owned = plan.owned
        for attempt in range(SETTLING_ROUNDS + 1):
            seen = memory._replace(owned=owned)
            view = await_addresses(owned, lambda seen=seen: self._look_on(task, seen), self._dad_seconds)  # type: ignore[misc]
            owned = number_owned(owned, view)
            again = self._plan(task, memory._replace(owned=owned), view).plan
            if not again.steps:
                self._refuse_restarted(again.owned)
                return number_owned(again.owned, view)
            if attempt == SETTLING_ROUNDS:
                break
            owned = again.owned
            self._carry_out(again, started)
        raise VerificationFailed(["read back after the changes, this is still to do:", *again.lines])

    def _refuse_restarted(self, owned: Owned) -> None:
        """What was made in a container that has ended meanwhile is in nobody's namespace."""
        if owned.containers:
            from .containers import restarted

            over = restarted([(key, life) for key, life in self._guests.lives.items() if key in owned.containers])
            if over:
                raise Conflict(over)

    def _undo(
        self,
        task: Task,
        memory: Memory,
        picture: _Picture,
        started: Sequence[Tuple[Plan, Executor]],
        error: BaseException,
    ) -> None:
        """Take everything back, last first, and look whether the host is as it was."""
        from .apply.differences import differences
        from .apply.undo import take_back  # loaded when it is needed: see firewall

        failures: List[str] = []
        for plan, executor in reversed(started):
            failures += take_back(plan.steps, executor.done, plan.lines)
        if started:
            for _round in range(2):  # giving addresses back in their order may take routes along once more
                failures += self._mend(task, memory, picture, started)
            left = differences(picture.view, self._look(task, memory), _done(started))
            if left:
                raise UndoFailed([f"{error}", "and not all could be put back:", *left, *failures]) from error
        if memory.interrupted:  # what an earlier run left is still there
            self._store.journal(self._name, memory.document or {}, memory.owned, ())
        else:
            self._store.drop_journal(self._name)
        if isinstance(error, HostwireError) and started:
            error.append("everything was put back as it was")

    def _mend(
        self, task: Task, memory: Memory, picture: _Picture, started: Sequence[Tuple[Plan, Executor]]
    ) -> List[str]:
        """Put back what went along with the steps that were undone."""
        from .apply.undo import do_tolerantly, mend

        view = self._look(task, memory)
        return do_tolerantly([Work(action, "undo") for action in mend(picture.view, view, _done(started))])

    def _remember(self, task: Task, memory: Memory, owned: Owned) -> None:
        for key, heir in self._heirs.items():
            if key in memory.owned.sysctls and key not in owned.sysctls:
                self._store.bequeath(heir, {key: memory.owned.sysctls[key]})
        document = task.document
        nothing_left = document == {"name": self._name} and not any(owned[1:])
        if nothing_left and memory.document is None and not memory.interrupted:
            return
        if document != memory.document or owned != memory.owned or memory.interrupted:
            self._store.settle(self._name, None if nothing_left else document, owned)

    def _result(self, task: Task, memory: Memory, picture: _Picture, reachability: Tuple[ProbeResult, ...]) -> Result:
        plan = picture.plan
        before = after = task.document
        if plan.steps:
            named = merged(task.previous, task.stored)
            wants = {**picture.wish.firewall_before, **picture.wish.firewall}
            before = documents.dump(present(named, picture.view, memory.owned, picture.tables, wants))
        warnings = [warning for tables in picture.tables.values() for warning in firewall_warnings(tables)]
        if task.target.present:
            warnings += preflight.warnings(task.target, picture.view, self._reading.where)
        return Result(bool(plan.steps), plan.lines, before, after, tuple(warnings), self._clock.seconds, reachability)


class _Clock:
    """Seconds that each part of a run took."""

    def __init__(self) -> None:
        self.seconds: Dict[str, float] = {"read": 0.0, "plan": 0.0, "apply": 0.0, "verify": 0.0}

    @contextlib.contextmanager
    def measuring(self, part: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[part] += time.perf_counter() - began

    def timed(self, part: str, work: Callable[[], Any]) -> Any:
        """What ``work`` returns, its time taken."""
        with self.measuring(part):
            return work()


def _subject(lines: Sequence[str], line: int) -> str:
    return lines[line] if line < len(lines) else "a step"


def _done(started: Sequence[Tuple[Plan, Executor]]) -> List[Step]:
    return [plan.steps[position] for plan, executor in started for position in executor.done]


def _may_delete_namespaces(task: Task, owned: Owned) -> bool:
    kept = {namespace.name for namespace in task.target.namespaces}
    return any(name not in kept for name in owned.namespaces)


def _probed(topology: Topology) -> Tuple[ProbeResult, ...]:
    """Try the document's probes. Raises VerificationFailed if one comes out otherwise than declared."""
    if not topology.probes:
        return ()
    from . import probe

    results = probe.run(topology.probes)
    wrong = [result for result in results if not result.ok]
    if wrong:
        raise VerificationFailed([_surprise(result) for result in wrong])
    return results


def _surprise(result: ProbeResult) -> str:
    claim = result.probe
    where = claim.source or "the host"
    to = f"{claim.to} ({claim.protocol}{f' {claim.port}' if claim.port else ''})"
    expected, got = ("reachable", "unreachable") if claim.reachable else ("unreachable", "reachable")
    return f"probe: {to} from {where} should be {expected} and is {got}: {result.detail}"
