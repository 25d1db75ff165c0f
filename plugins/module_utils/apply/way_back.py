# SPDX-License-Identifier: GPL-3.0-or-later
"""The way back of a run that failed: all of it is undone and seen to be so, or what is left is said."""

from __future__ import annotations

import contextlib
import errno
from typing import Callable, Container, Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple, TypeVar

from ..errors import PUT_BACK, HostwireError, KernelRefused, UndoFailed
from ..firewall import Tables
from ..model import HostView, LinkKey
from ..plan.actions import Action, Deed, Step, UplinkAttach, UplinkDetach
from .announcing import tell
from .differences import differences, rule_differences, touched_links
from .endangered import Lost, endangered
from .executor import Started, Work
from .keeping import Kept, give_back, lines, together
from .leftovers import leftovers
from .undo import do_tolerantly, mend, take_back

T = TypeVar("T")
_ATTEMPTS = 3  # at what a single fault may have kept from being done, or seen
_MANY = 20  # lines that may be told of what perhaps is left


class Seen(NamedTuple):
    """The host, and the packet filters of the namespaces in which the run wants rules or has some."""

    view: HostView
    tables: Dict[Optional[str], Tables]


def go_back(
    started: Sequence[Started], before: Seen, see: Callable[[], Seen], patience: float, go_home: Callable[[], None]
) -> Tuple[str, ...]:
    """Undo what was begun. What is left in words: nothing where all is seen to be as it was ``before``.

    ``see`` looks at the host; ``patience`` is how long, in seconds, links may take until they can be announced on;
    ``go_home`` brings the thread to the host's namespace.
    """
    steps = [step for one in started for step in one.begun]
    failures: List[str] = []
    kept, links = _what_links_held(started, before.view)

    def seen() -> Seen:
        go_home()
        return see()

    def held() -> List[str]:
        go_home()
        return lines(kept, links)

    try:
        undone = taken_back(started, go_home)
        failures += undone.failures
        stuck = touched_links(undone.stuck, before.view)
        free = _without(links, stuck)
        for _attempt in range(_ATTEMPTS):
            now = _insistently(seen)
            amends = mend(before.view, now.view, steps, stuck)
            failures += do_tolerantly([Work(action, "undo") for action in amends])
            failures += give_back(kept, free, go_home)
            if amends or free:
                now = _insistently(seen)
            left = [*differences(before.view, now.view, steps), *leftovers(before.view, steps)]
            left += [line for line in _insistently(held) if line not in left]
            left += rule_differences(before.tables, now.tables)
            if not left:
                _announce(steps, now, seen, patience)
                return ()
    except (HostwireError, OSError) as error:
        return (f"what is there can't be seen: {in_words(error)}", *_perhaps(started), *failures)
    return (*left, *dict.fromkeys(failures))


def _what_links_held(started: Sequence[Started], before: HostView) -> Tuple[Kept, Lost]:
    """Of the links that were there before the run and may have lost it, by what was begun: all else is others'."""
    kept = together(one.executor.kept for one in started)
    found: Lost = {}
    for one in started:
        for netns, held in endangered(one.tried).there(before).items():
            for family, names in held.items() if netns in kept else ():
                found.setdefault(netns, {}).setdefault(family, set()).update(names)
    return kept, found


def _without(links: Lost, stuck: Container[LinkKey]) -> Lost:
    return {
        netns: {family: {name for name in names if (netns, name) not in stuck} for family, names in held.items()}
        for netns, held in links.items()
    }


def ending(error: BaseException, left: Sequence[str], begun: bool) -> BaseException:
    """Why a run failed, and what has become of what it had begun."""
    if isinstance(error, OSError):
        error = KernelRefused("reading back what was done", error.errno or errno.EIO, error.strerror)
    if left:
        return UndoFailed([f"{error}", "and not all could be put back:", *left, "the next run goes on from there"])
    if begun and isinstance(error, HostwireError):
        error.append(PUT_BACK)
    return error


class Undone(NamedTuple):
    """Why parts of steps can't be undone, in words, and the steps that stay so."""

    failures: List[str]
    stuck: List[Step]


def taken_back(started: Sequence[Started], go_home: Callable[[], None]) -> Undone:
    """Undo step by step, last first. A step of which a part failed is tried again.

    A job with deeds is undone strictly in this order, for one may rest on the other: Docker starts with its old files.
    """
    failures: List[str] = []
    stuck: List[Step] = []
    barred = False
    for one in reversed(started):
        positions: List[int] = sorted(set(one.executor.begun), reverse=True)
        failed: Dict[int, List[str]] = {position: [] for position in positions} if barred else {}
        parts = [positions] if one.executor.trade is None else [[position] for position in positions]
        for part in () if barred else parts:
            failed.update(_insistently_undone(one, part, go_home))
        failures += [words for several in failed.values() for words in several]
        stuck += [one.plan.steps[position] for position in failed]
        barred = barred or not all(failed.values()) or _is_move_stuck(stuck)  # and so stays what an earlier plan made
    return Undone(failures, stuck)


def _insistently_undone(one: Started, positions: List[int], go_home: Callable[[], None]) -> Dict[int, List[str]]:
    """What of these steps can't be undone, and why. How often a deed is tried is its trade's business."""
    has_deeds = any(isinstance(action, Deed) for place in positions for action in one.plan.steps[place].inverse)
    failed: Dict[int, List[str]] = {}
    for _attempt in range(1 if has_deeds else _ATTEMPTS):
        failed = take_back(one.plan.steps, positions, one.plan.lines, go_home, one.executor.trade)
        positions = list(failed)
        if not failed:
            break
    return failed


def _is_move_stuck(steps: Iterable[Step]) -> bool:
    """Whether one of these is an interface's move: what it rests on bears the host's own connection."""
    return any(isinstance(step.action, (UplinkAttach, UplinkDetach)) for step in steps)


def _insistently(see: Callable[[], T]) -> T:
    """A fault that happens once doesn't keep anybody from seeing what is there."""
    for _attempt in range(_ATTEMPTS - 1):
        with contextlib.suppress(HostwireError, OSError):
            return see()
    return see()


def _announce(steps: Sequence[Step], now: Seen, see: Callable[[], Seen], patience: float) -> None:
    """Tell the neighbours; where that fails they find out by themselves."""
    actions: List[Action] = [action for step in steps for action in step.inverse]
    with contextlib.suppress(HostwireError, OSError):
        tell(actions, now.view, now.view, lambda: see().view, patience)


def _perhaps(started: Sequence[Started]) -> List[str]:
    """What was begun, where nobody can see how much of it is left."""
    lines = dict.fromkeys(
        one.plan.lines[step.line] for one in started for step in one.begun if step.line < len(one.plan.lines)
    )
    told = [f"perhaps left: {line}" for line in lines]
    more = len(told) - _MANY
    return [*told[:_MANY], f"and {more} more"] if more > 0 else told


def in_words(error: BaseException) -> str:
    """An error as one line."""
    return "; ".join(error.problems) if isinstance(error, HostwireError) else str(error)
