# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs: steps that a journal tells of beforehand, carried out by the executor, and undone by it if anything fails."""

from __future__ import annotations

import contextlib
from typing import Callable, Dict, List, Optional, Sequence, Tuple, TypeVar, Union

from .. import firewall
from ..errors import Conflict, HostwireError, InvalidValue
from ..firewall.chains import leading
from ..interruption import heeded
from ..plan.actions import Action, ChainsEdit, Deed, FileEdit, Step, reversed_edit
from ..spot import spot
from . import file_edits
from .executor import Executor, Started, Work
from .file_edits import AFTER, BEFORE, HALF, OTHER
from .journals import DOING, DONE, UNDOING, Job, Journals
from .runner import attempted
from .trade import Trade
from .way_back import in_words, taken_back

T = TypeVar("T")
Edit = Union[FileEdit, ChainsEdit]
_SHOWN = 3  # rules that are named
_ATTEMPTS = 3  # at seeing what is there
_TOOL = {4: "iptables", 6: "ip6tables"}


def step(edit: Edit, line: int = 0) -> Step:
    """An edit with what undoes it; ``line``: the number of the plan's line that it is part of."""
    return Step(0, edit, (reversed_edit(edit),), line)


def carry_out(
    job: Job,
    journals: Journals,
    finish: Callable[[], T],
    mend: Callable[[], Optional[Sequence[str]]] = lambda: None,
    trade: Optional[Trade] = None,
) -> T:
    """Do all steps, deeds by ``trade``, then ``finish``, which looks whether all is right; what that returns.

    Where any of it fails the steps are undone, and ``mend`` puts back what else there is: what isn't, a line each, or
    None where there was nothing to do. Raises what failed, which says in the end that everything was put back, or
    UndoFailed with what is left.
    """

    def deed(started: List[Started]) -> T:
        with Executor(check=check, trade=trade) as executor:
            edits = [one.action for one in job.steps if isinstance(one.action, FileEdit)]
            for edit in edits:
                file_edits.demand(edit)
            journals.write(job, DOING)
            for edit in edits if trade is not None else ():
                file_edits.demand_room(edit)  # before anything is stopped
            started.append(Started(job, executor))
            executor.run([Work(one.action, job.lines[one.line]) for one in job.steps])
        result = finish()
        check()
        if trade is not None and _is_noted_as_done(job, journals):
            with contextlib.suppress(HostwireError):  # the next run ends it; that is no reason to undo what is right
                journals.drop(job)
        else:
            journals.drop(job)
        return result

    def put_back(started: List[Started], go_home: Callable[[], None]) -> Optional[Tuple[str, ...]]:
        begun = [one for run in started for one in run.begun]
        left: List[str] = []
        if begun:
            with contextlib.suppress(HostwireError, OSError):  # that it was doing is as good: the next run looks itself
                journals.write(job, UNDOING)
            left = undone(started, go_home)
        go_home()
        others = mend()
        left += others or ()
        if not left:
            try:
                journals.drop(job)
            except HostwireError as error:
                left.append(f"what is remembered of it: {in_words(error)}")
        return tuple(left) if begun or left or others is not None else None

    with heeded() as check:
        return attempted(deed, put_back)


def _is_noted_as_done(job: Job, journals: Journals) -> bool:
    """Write it down, so that a kill from now on isn't taken for one amid the work; where that can't be, it is."""
    try:
        journals.write(job, DONE)
    except (HostwireError, OSError):
        return False
    return True


def undone(started: Sequence[Started], go_home: Callable[[], None]) -> List[str]:
    """Undo what was begun. What is left of it, in words."""
    failures, stuck = taken_back(started, go_home)
    left = [line for run in started for one in run.begun for line in _left(one, run.executor.trade)]
    is_unseen = any(isinstance(action, Deed) for one in stuck for action in one.inverse)
    return [*left, *dict.fromkeys(failures)] if left or is_unseen else []


def standing(edit: Edit) -> str:
    """What is there: BEFORE the edit, AFTER it, HALF of it, or some OTHER thing, which is somebody else's.

    Raises KernelRefused, and for chains what firewall.observe raises.
    """
    if isinstance(edit, FileEdit):
        try:
            with spot(edit.path) as file:
                held = file_edits.stands(edit, file)
                return BEFORE if held == OTHER and file_edits.is_free(edit, file) else held
        except (InvalidValue, Conflict):  # a link, a directory
            return OTHER
    there = firewall.rules_of(edit.netns, edit.backend, edit.family)
    if not leading(there, edit.after, edit.before):
        return BEFORE
    return HALF if leading(there, edit.before, edit.after) else AFTER


_WORDS: Dict[str, str] = {
    AFTER: "still is as this run made it",
    HALF: "is half-written",
    OTHER: "somebody else wrote to it meanwhile, and what this run wrote may stand in it",
}


def _left(one: Step, trade: Optional[Trade]) -> List[str]:
    """What is left of a step that was undone, in words."""
    for attempt in range(_ATTEMPTS):
        try:
            if isinstance(one.action, Deed):
                return trade.left(one.action) if trade is not None else []
            return _left_of_edit(one.action) if isinstance(one.action, (FileEdit, ChainsEdit)) else []
        except (HostwireError, OSError) as error:
            if attempt == _ATTEMPTS - 1:
                return [f"{name_of(one.action)}: what is there can't be seen: {in_words(error)}"]
    return []


def name_of(action: Action) -> str:
    """What a step of a job is about."""
    if isinstance(action, ChainsEdit):
        return _TOOL[action.family]
    return action.label if isinstance(action, FileEdit) else "what else it did"


def _left_of_edit(edit: Edit) -> List[str]:
    name, there = name_of(edit), standing(edit)
    if there == BEFORE:
        tidy = not isinstance(edit, FileEdit) or file_edits.is_tidy(edit)
        return [] if tidy else [f"{name}: what was to replace it is left beside it"]
    if isinstance(edit, FileEdit):
        return [f"{name}: {_WORDS[there]}"]
    return [f"{name}: still to be done: {_edits(edit)}"]


def _edits(edit: ChainsEdit) -> str:
    """What would still have to be given to the packet filter to undo an edit."""
    text = leading(firewall.rules_of(edit.netns, edit.backend, edit.family), edit.after, edit.before)
    lines = [line for line in text.splitlines() if line[0] in "-:"]
    more = len(lines) - _SHOWN
    return ", ".join(lines[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
