# SPDX-License-Identifier: GPL-3.0-or-later
"""Several documents, one after the other: planned on paper first, each on the host as those before it leave it."""

from __future__ import annotations

import contextlib
from typing import Any, Iterable, Iterator, List, Mapping, NamedTuple, Optional, Sequence

from . import privilege
from .apply.verify import DAD_SECONDS
from .document import Reading, read
from .engine import Prepared, Result, Run
from .errors import HostwireError, InvalidValue
from .host import Host
from .paper import PaperHost
from .recall import recalled
from .running import running
from .state_directory import STATE_DIRECTORY
from .task import containers_remembered, containers_wanted


class _Rehearsed(NamedTuple):
    """What came of a document: its ``result``, if that was asked for, and what may be carried out just as it is."""

    result: Optional[Result]
    prepared: Optional[Prepared]


def run_all(
    documents: Sequence[Mapping[str, Any]],
    *,
    check: bool = False,
    emptied: Iterable[str] = (),
    state_dir: str = STATE_DIRECTORY,
    dad_seconds: float = DAD_SECONDS,
) -> List[Result]:
    """Make the host agree with these documents, one after the other; if one is refused, nothing is changed at all.

    ``emptied`` are namespaces whose processes ``check`` takes as ended. Raises subclasses of HostwireError only. A
    document that fails while it is carried out is undone; those before it stay.
    """
    with running():
        host = Host(state_dir)
        runs = [Run(document, host, dad_seconds=dad_seconds) for document in documents]
        _refuse_problems(runs)
        if check:
            rehearsed = _rehearse(runs, state_dir, check, frozenset(emptied))
            return [result for result, _prepared in rehearsed if result is not None]
        privilege.demand(any(run.reading.topology.namespaces for run in runs))
        names = ", ".join(repr(run.reading.topology.name) for run in runs)
        with host.locked(f"documents {names}"):
            return _carry_out(runs, _rehearse(runs, state_dir, check, frozenset()), host)


def _refuse_problems(runs: Sequence[Run]) -> None:
    """All that is wrong with the documents themselves."""
    problems = _placed_all(run.reading for run in runs)
    if problems:
        raise InvalidValue(problems)


def problems_of(documents: Iterable[Mapping[str, Any]]) -> List[str]:
    """What is wrong with the documents themselves, each with its place."""
    return _placed_all(read(document) for document in documents)


def _placed_all(readings: Iterable[Reading]) -> List[str]:
    return [_placed(number, problem) for number, found in enumerate(readings) for problem in found.problems]


def _placed(number: int, problem: str) -> str:
    """A line about a field of a document, or about the whole of it, in a list of them."""
    path = f"documents[{number}]"
    return path + problem[len("document") :] if problem.startswith("document:") else f"{path}.{problem}"


def _rehearse(runs: Sequence[Run], state_dir: str, check: bool, emptied: frozenset[str]) -> List[_Rehearsed]:
    """Plan each document on paper, and carry it out there."""
    host = Host(state_dir)
    topologies = [run.reading.topology for run in runs]
    wanted = [key for topology in topologies for key in containers_wanted(topology)]
    memories = [recalled(host.store, topology) for topology in topologies]
    remembered = [key for memory in memories for key in containers_remembered(memory.owned)]
    found: List[_Rehearsed] = []
    with host.containers(wanted, remembered) as guests:
        paper = PaperHost(state_dir, [run.reading for run in runs], guests, emptied)
        for run in runs:
            run.host = paper
            with _named(run), run.prepared() as prepared:
                # With containers, which are open only here, it is planned again.
                real = paper.untouched and not (guests.lives or guests.ended)
                found.append(_Rehearsed(run.foretell(prepared) if check else None, prepared if real else None))
                run.remember(prepared.task, prepared.memory, paper.carry_out(prepared.picture.plan))
    return found


def _carry_out(runs: Sequence[Run], rehearsed: Sequence[_Rehearsed], host: Host) -> List[Result]:
    done: List[Result] = []
    for run in runs[:1]:
        host.store.learn(run.host.store)  # all of them were on the same paper
    for run, (_result, prepared) in zip(runs, rehearsed):
        run.host = host
        try:
            with _named(run):
                if prepared is not None:
                    done.append(run.carry_out(prepared))
                    continue
                with run.prepared() as anew:
                    done.append(run.carry_out(anew))
        except HostwireError as error:
            if done:
                before = ", ".join(run.reading.topology.name for run in runs[: len(done)])
                error.append(f"what was carried out before stays: {before}")
            raise
    return done


@contextlib.contextmanager
def _named(run: Run) -> Iterator[None]:
    """Errors say which document it is."""
    try:
        yield
    except HostwireError as error:
        error.prefix(f"{run.reading.topology.name}: ")
        raise
