# SPDX-License-Identifier: GPL-3.0-or-later
"""A host on paper: as the real one was when it was read, and as plans that were carried out on it since leave it."""

from __future__ import annotations

import contextlib
from typing import Any, ContextManager, Dict, FrozenSet, Iterable, Iterator, List, Optional, Sequence, Set, Tuple

from . import firewall
from . import netns as namespaces
from .apply.disk import Memory, Records, Store
from .apply.verify import number_owned
from .document import Reading
from .firewall import Tables
from .firewall.tables import Ruleset
from .host import Host
from .model import Guests, HostView, NamespaceView
from .netns import Process
from .observe import Question, observe
from .plan.actions import NetnsDelete, TableSet
from .plan.outcome import outcome
from .plan.owned import Change, Owned, SysctlKey, copy, inherit, living, nothing
from .plan.planner import Plan, Wish
from .plan.settings import default_of, forwarding_of, link_in
from .recall import is_farewell, recalled, with_marks
from .sysctl import IPV4_FORWARDING, IPV6_FORWARDING
from .task import Task, asked_families, files_to_read, make_task, owners, questions

_Families = Tuple[int, ...]


class _PaperStore(Store):
    """What is remembered, with what is to be remembered from now on. Writes nothing."""

    def __init__(self, directory: str) -> None:
        super().__init__(directory)
        self._memories: Dict[str, Memory] = {}
        self._recalled: Dict[str, Memory] = {}
        self._settled: Set[str] = set()

    def names(self) -> List[str]:
        known = {*super().names(), *self._memories}
        return sorted(name for name in known if name not in self._memories or self._memories[name].document is not None)

    def load(self, name: str) -> Memory:
        for known in (self._memories, self._recalled):
            if name in known:
                return known[name]
        return super().load(name)

    def broken_off(self, names: Iterable[str], but: str = "") -> Iterator[str]:
        """Those whose runs come to their end on paper leave no journal."""
        return super().broken_off((name for name in names if name not in self._settled), but)

    def keep(self, name: str, memory: Memory) -> None:
        """What is known of a document before anything is on paper: that is what marks on the real host go with."""
        self._recalled.setdefault(name, memory._replace(told=True))

    def settle(self, name: str, document: Optional[Dict[str, Any]], owned: Owned) -> None:
        texts = self.load(name).texts
        self._memories[name] = Memory(nothing(name) if document is None else owned, document, False, texts=texts)
        self._settled.add(name)

    def bequeath(self, heir: str, sysctls: Dict[SysctlKey, Change]) -> bool:
        memory = self.load(heir)
        if memory.document is None or not memory.living:
            return False
        memory = memory._replace(owned=copy(memory.owned))
        inherit(memory.owned, sysctls)
        self._memories[heir] = memory
        return True

    def release(self, name: str, keys: Iterable[SysctlKey]) -> None:
        memory = self.load(name)
        owned, document = copy(memory.owned), memory.document
        for key in keys:
            owned.sysctls.pop(key, None)
        if document == {"name": name} and not any(owned.parts):
            document = None
        self._memories[name] = memory._replace(owned=owned, document=document)

    def may_be_absent(self, name: str) -> bool:
        return name in self._memories or super().may_be_absent(name)


class PaperHost(Host):
    """What ``readings`` name of the host, with the containers ``guests``; whoever gives those keeps them open.

    ``emptied``: namespaces whose processes don't count. ``untouched``: it is still as the real one.
    """

    def __init__(
        self, state_dir: str, readings: Iterable[Reading], guests: Guests, emptied: FrozenSet[str] = frozenset()
    ) -> None:
        store = _PaperStore(state_dir)
        super().__init__(state_dir, store)
        self._guests = guests
        self._emptied = emptied
        self._view = self._read(readings, store)
        self._read_tables: Dict[Tuple[Optional[str], _Families], Tables] = {}
        self._rules: Dict[Tuple[Optional[str], str, int], Ruleset] = {}
        self.untouched = True

    def _read(self, readings: Iterable[Reading], store: _PaperStore) -> HostView:
        known: List[Tuple[Task, Memory]] = []
        records = Records(self.store)
        for reading in readings:
            memory = recalled(self.store, reading.topology)
            memory = memory._replace(owned=living(memory.owned, self._guests.lives, self._guests.ended))
            known.append((make_task(reading, memory, fragment=False, records=records), memory))
        view = self._ask(known)
        marked = [(task, with_marks(self.store, task, memory, view)) for task, memory in known]
        for task, memory in marked:
            store.keep(task.stored.name, memory)
        return view if marked == known else self._ask(marked)

    def _ask(self, known: Iterable[Tuple[Task, Memory]]) -> HostView:
        """All that has to be known for these tasks."""
        asked: Dict[Optional[str], List[Question]] = {}
        paths: Dict[str, None] = {}
        users: Dict[str, None] = {}
        for task, memory in known:
            for name in namespaces.names() if is_farewell(task) else ():
                asked.setdefault(name, []).append(Question())
            for netns, question in questions(task, memory).items():
                asked.setdefault(netns, []).append(question)
            paths.update(dict.fromkeys(files_to_read(task, memory)))
            users.update(dict.fromkeys(owners(task)))
        return observe({netns: _united(several) for netns, several in asked.items()}, paths, users)

    def containers(self, wanted: Sequence[str], remembered: Sequence[str]) -> ContextManager[Guests]:
        """Those of them that a document names or named."""
        its = {*wanted, *remembered}
        lives = {key: life for key, life in self._guests.lives.items() if key in its}
        problems = {key: problem for key, problem in self._guests.problems.items() if key in wanted}
        return contextlib.nullcontext(Guests(lives, self._guests.ended & its, problems))

    def look(self, task: Task, memory: Memory) -> HostView:
        """Just what one who looks at the real host for this task would see of it."""
        asked = questions(task, memory)
        for netns, question in asked.items():
            self._ask_settings(netns, question.sysctls)
        there = self._view.views
        views = {
            netns: there[netns]._replace(routes=tuple(r for r in there[netns].routes if r.table in question.tables))
            for netns, question in asked.items()
            if netns in there
        }
        return self._view._replace(
            views=views,
            files={path: self._view.files.get(path) for path in files_to_read(task, memory)},
            peers={end: peer for end, peer in self._view.peers.items() if end[0] in views and peer[0] in views},
        )

    def _ask_settings(self, netns: Optional[str], paths: Iterable[str]) -> None:
        """Know these settings too, which are asked for only since a document before this one is on paper.

        Nobody has changed them; those of a link on paper are as a new link gets them. A switch of forwarding that is on
        paper has taken each link's along.
        """
        room = self._view.views.get(netns)
        if room is None:
            return
        each = (path.replace("/*/", f"/{name}/") for path in paths for name in (room.links if "/*/" in path else ("",)))
        missing = [path for path in each if path not in room.sysctls]
        if not missing:
            return
        made = {link.name for link in room.links.values() if link.index < 0}
        sources = {path: default_of(path) if link_in(path) in made else path for path in missing}
        asked = {netns: Question(sysctls=tuple(sources.values()))} if room.inode > 0 else {}
        real = observe(asked).views.get(netns)
        values = {**(real.sysctls if real is not None else {}), **room.sysctls}
        new = {path: values.get(source) or ("0" if link_in(path) in made else None) for path, source in sources.items()}
        new.update(_switched(room, real, [(netns, path) for path in missing]))
        views = {**self._view.views, netns: room._replace(sysctls={**room.sysctls, **new})}
        self._view = self._view._replace(views=views)

    def around(self, view: HostView) -> HostView:
        """The same with all that was read, or is on paper."""
        return view._replace(views={**self._view.views, **view.views})

    def tables(self, wish: Wish, view: HostView, memory: Memory) -> Dict[Optional[str], Tables]:
        """The packet filters; what is on paper only begins without a rule."""
        found: Dict[Optional[str], Tables] = {}
        for netns, families in asked_families(wish, memory).items():
            key = netns, families
            if key not in self._read_tables:
                real = netns in view.views and view.views[netns].inode > 0
                self._read_tables[key] = (firewall.observe if real else firewall.blank)(netns, families)
            tables = self._read_tables[key]
            rulesets = {
                (backend, family): self._rules.setdefault((netns, backend, family), ruleset)
                for (backend, family), ruleset in tables.rulesets.items()
            }
            found[netns] = tables._replace(rulesets=rulesets)
        return found

    def processes(self) -> Dict[int, List[Process]]:
        """All processes but those in emptied namespaces."""
        skipped = {self._view.views[name].inode for name in self._emptied if name in self._view.views}
        return {inode: found for inode, found in super().processes().items() if inode not in skipped}

    def carry_out(self, plan: Plan) -> Owned:
        """Be as the plan leaves the host; what the document owns then."""
        self.untouched = self.untouched and not plan.steps
        self._view = outcome(self._view, plan.steps)
        for step in plan.steps:
            action = step.action
            if isinstance(action, TableSet):
                key = action.netns, action.backend, action.family
                self._rules[key] = firewall.outcome(self._rules[key], action.text)
            elif isinstance(action, NetnsDelete):
                self._forget_tables(action.netns)
        return number_owned(plan.owned, self._view)

    def _forget_tables(self, netns: str) -> None:
        self._read_tables = {key: tables for key, tables in self._read_tables.items() if key[0] != netns}
        self._rules = {key: rules for key, rules in self._rules.items() if key[0] != netns}


def _switched(
    room: NamespaceView, real: Optional[NamespaceView], keys: Iterable[SysctlKey]
) -> Iterator[Tuple[str, str]]:
    """Those of these settings that go along with a switch which has been turned on paper, each with its value."""
    turned: Dict[str, str] = {}
    for path, here, there in (
        (IPV4_FORWARDING, room.forwarding_ipv4, real.forwarding_ipv4 if real is not None else False),
        (IPV6_FORWARDING, room.forwarding_ipv6, real.forwarding_ipv6 if real is not None else False),
    ):
        if here != there and here is not None:
            turned[path] = "1" if here else "0"
    for key in keys:
        switch = forwarding_of(key)
        if switch is not None and switch[1] in turned:
            yield key[1], turned[switch[1]]


def _united(several: Sequence[Question]) -> Question:
    """All that is asked, and what a new link's settings are by default."""
    paths = {path: None for question in several for path in question.sysctls}
    paths.update({default_of(path): None for path in paths})
    return Question(
        tuple(sorted({table for question in several for table in question.tables})),
        tuple(paths),
        tuple({name: None for question in several for name in question.carriers}),
        any(question.beyond for question in several),
    )
