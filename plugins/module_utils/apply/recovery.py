# SPDX-License-Identifier: GPL-3.0-or-later
"""What a job of an earlier run has left, killed or unable to undo: undone first, or ended where all of it was done."""

from __future__ import annotations

from typing import Callable, Dict, List, Optional, Sequence

from ..errors import HostwireError, UndoFailed
from ..interruption import heeded, undisturbed
from ..plan.actions import ChainsEdit, Deed, FileEdit
from . import file_edits
from .executor import Executor, Started
from .file_edits import AFTER, BEFORE, HALF
from .jobs import name_of, standing, undone
from .journals import DOING, DONE, Foretold, Job, Journals, Unfinished
from .reserve import Reserve
from .trade import Trade


def go_on(
    journals: Journals,
    unfinished: Sequence[Unfinished],
    check: bool,
    resume: Callable[[Unfinished], Sequence[str]],
    trade: Optional[Trade],
) -> Foretold:
    """Undo these jobs, and say so; with ``check`` only tell what there will be then.

    ``resume`` does what else a job needs to be over: what isn't, a line each. Raises UndoFailed with what is left, and
    the journal stays.
    """
    lines: List[str] = []
    contents: Dict[str, Optional[bytes]] = {}
    chains: List[ChainsEdit] = []
    deeds = False
    for one in unfinished:
        if trade is not None and one.phase != DONE and not check:
            trade.settle(one.job.steps, one.alive)
        states = _standings(one, trade)
        over = one.phase == DONE or (one.phase == DOING and set(states) <= {AFTER} and not _has_deeds(one.job))
        positions = [] if over else [place for place, state in enumerate(states) if state in (AFTER, HALF)]
        lines += _lines(one, positions, states)
        if not check:
            with heeded(), undisturbed():
                _end(journals, one, positions, resume, trade)
            continue
        for place in reversed(positions):
            edit = one.job.steps[place].action
            if isinstance(edit, FileEdit):
                contents[edit.path] = file_edits.content(edit.before)
            elif isinstance(edit, ChainsEdit):
                chains.append(edit)
            else:
                deeds = True
    return Foretold(tuple(lines), contents, tuple(chains), deeds)


def _standings(one: Unfinished, trade: Optional[Trade]) -> List[str]:
    """What is there of each step. Rules went with the kernel that had them."""
    states: List[str] = []
    is_begun = trade is not None and trade.is_begun(one.job.steps, one.alive)
    for step in one.job.steps:
        action = step.action
        if isinstance(action, FileEdit) or (isinstance(action, ChainsEdit) and one.alive):
            states.append(standing(action))
        elif isinstance(action, Deed) and is_begun:
            states.append(AFTER)
        else:
            states.append(BEFORE)
    return states


def _has_deeds(job: Job) -> bool:
    """Whether there is more to it than can be seen: then it is done only where its journal says so."""
    return any(isinstance(step.action, Deed) for step in job.steps)


def _lines(one: Unfinished, positions: Sequence[int], states: Sequence[str]) -> List[str]:
    lines: List[str] = []
    for place in positions:
        edit = one.job.steps[place].action
        name = one.job.title if isinstance(edit, Deed) else name_of(edit)
        if isinstance(edit, FileEdit) and states[place] == HALF:
            lines.append(f"{name}: finish what a run that was killed left half-written")
        else:
            lines.append(f"{name}: take back what a run that was broken off has done")
    return list(dict.fromkeys(lines)) or [f"{one.job.title}: end a run that was broken off"]


def _end(
    journals: Journals,
    one: Unfinished,
    positions: List[int],
    resume: Callable[[Unfinished], Sequence[str]],
    trade: Optional[Trade],
) -> None:
    job = one.job
    with Reserve() as reserve:
        executor = Executor(trade=trade)
        executor.begun = list(positions)
        left = undone([Started(job, executor)], reserve.go_home)
        reserve.go_home()
    if not left:
        for step in job.steps:
            if isinstance(step.action, FileEdit):
                file_edits.tidy(step.action)
        try:
            left = list(resume(one))
        except (HostwireError, OSError) as error:
            left = list(error.problems) if isinstance(error, HostwireError) else [str(error)]
    if left:
        words = f"{job.title}: a run was broken off, and not all could be put back:"
        raise UndoFailed([words, *left, "the next run goes on from there"])
    journals.drop(job)
