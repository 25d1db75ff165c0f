# SPDX-License-Identifier: GPL-3.0-or-later
"""The journals of jobs, which a run writes before its first step and drops once all is done, or seen to be undone.

A job is a run of a task that keeps no document: what it changes tells by itself whose it is. Its journal is named for
what it is about, so that the next run of the same kind finds it.
"""

from __future__ import annotations

import contextlib
import os
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from .. import records
from ..errors import Conflict, KernelRefused
from ..plan.actions import Action, ChainsEdit, Deed, FileEdit, Step, encode
from ..records import Unusable, of_kind
from ..whereabouts import Whereabouts, here
from . import job_records
from .job_records import END
from .trade import Trade

DOING, UNDOING, DONE = "doing", "undoing", "done"


class Job(NamedTuple):
    """What a run does. ``name`` is its journal's, ``title`` what it is called in words.

    ``notes`` are plain values that whoever goes on needs to know.
    """

    name: str
    title: str
    lines: Tuple[str, ...]
    steps: Tuple[Step, ...]
    notes: Dict[str, Any]


class Unfinished(NamedTuple):
    """A job of a run that was killed, or failed and couldn't be undone. ``alive``: the kernel is still the same."""

    job: Job
    phase: str
    alive: bool

    def paths(self) -> List[str]:
        """The files that it is about."""
        return [step.action.path for step in self.job.steps if isinstance(step.action, FileEdit)]


class Foretold(NamedTuple):
    """What there will be once the jobs of earlier runs are undone: the plan's lines, files, edits of chains to undo.

    ``deeds``: whether any is among it of which nobody knows beforehand what there will be. Empty, but for the lines,
    where all is done already.
    """

    lines: Tuple[str, ...] = ()
    contents: Dict[str, Optional[bytes]] = {}
    chains: Tuple[ChainsEdit, ...] = ()
    deeds: bool = False


class Journals:
    """The journals in a state directory."""

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def write(self, job: Job, phase: str) -> None:
        """Put it on disk for good. Raises MissingOnHost where there is no room, KernelRefused."""
        entry: Dict[str, Any] = {"job": job.name, "title": job.title, "phase": phase, "lines": job.lines}
        entry["steps"] = [[encode(step.action), [encode(one) for one in step.inverse], step.line] for step in job.steps]
        entry.update(notes=job.notes, **_here()._asdict())
        job_records.write(self._directory, job.name, entry)

    def drop(self, job: Job) -> None:
        """It is over; a journal that comes back after a power failure only makes the next run look twice."""
        try:
            if os.path.lexists(self._path(job.name)):
                os.unlink(self._path(job.name))
        except OSError as error:
            raise KernelRefused(f"file {self._path(job.name)}: remove", error.errno or 0) from error

    def tidy(self) -> None:
        """Remove what a run that was killed while it wrote a journal left beside."""
        with contextlib.suppress(OSError):
            for name in os.listdir(self._directory):
                if name.endswith(f"{END}.new"):
                    os.unlink(os.path.join(self._directory, name))

    def unfinished(self, name: str, paths: Sequence[str]) -> List[Unfinished]:
        """The journal of this name, and those that are about any of these files.

        Raises Conflict for the former where it can't be used; the others wait for a run of their own.
        """
        found: List[Unfinished] = []
        for other in job_records.names(self._directory):
            try:
                one = self._read(other)
            except Conflict:
                if other == name:
                    raise
                continue
            if one is None or (other != name and set(paths).isdisjoint(one.paths())):
                continue
            if other != name and any(isinstance(step.action, Deed) for step in one.job.steps):
                raise Conflict(
                    f"{self._path(other)}: a run of {one.job.title} was broken off, and is about "
                    f"{', '.join(sorted(set(paths).intersection(one.paths())))}, too; run {one.job.title} again first"
                )
            found.append(one)
        return found

    def _path(self, name: str) -> str:
        return job_records.place(self._directory, name)

    def _read(self, name: str) -> Optional[Unfinished]:
        path = self._path(name)
        try:
            found = job_records.read(self._directory, name)
            return None if found is None else records.shaped(path, lambda: _shaped(found, name))
        except Unusable as error:
            if not error.mendable:
                raise
            raise Conflict(
                f"{error}: it said what a run that was broken off had begun; look at what that run was about, move the"
                " file away, then run this again"
            ) from error


def gone_on(
    journals: Journals,
    name: str,
    paths: Sequence[str],
    check: bool,
    resume: Callable[[Unfinished], Sequence[str]] = lambda _one: (),
    trade: Optional[Trade] = None,
) -> Foretold:
    """Go on from where earlier runs of this name, or about any of these files, were broken off; see :mod:`.recovery`.

    Raises UndoFailed where one can't be undone, Conflict where the journal of this name can't be used.
    """
    if not check:
        journals.tidy()
    unfinished = journals.unfinished(name, paths)
    if not unfinished:
        return Foretold()
    from .recovery import go_on  # loaded when it is needed: few runs are broken off

    return go_on(journals, unfinished, check, resume, trade)


def _shaped(found: Dict[str, Any], name: str) -> Unfinished:
    from .record_shape import action_of  # loaded when it is needed: few runs are broken off

    lines = records.texts(found["lines"], "lines")
    steps: List[Step] = []
    for action, inverse, line in of_kind(found["steps"], "steps", list):
        undone = tuple(_one_of_ours(action_of(one)) for one in of_kind(inverse, "an inverse", list))
        steps.append(Step(0, _one_of_ours(action_of(action)), undone, of_kind(line, "a line", int)))
    where = Whereabouts(of_kind(found["boot"], "boot", str), of_kind(found["network"], "network", str, type(None)))
    if found["job"] != name:
        raise ValueError("it is another one's")
    job = Job(name, of_kind(found["title"], "title", str), lines, tuple(steps), of_kind(found["notes"], "notes", dict))
    return Unfinished(job, of_kind(found["phase"], "phase", str), where.may_be(_here()))


def _here() -> Whereabouts:
    try:
        return here()
    except OSError as error:
        raise KernelRefused("which boot this is: read", error.errno or 0) from error


def _one_of_ours(action: Action) -> Action:
    if not isinstance(action, (FileEdit, ChainsEdit, Deed)):
        raise ValueError(f"a job has no action {type(action).__name__}")
    if isinstance(action, FileEdit) and not (os.path.isabs(action.path) and "\0" not in action.path):
        raise ValueError("a file has no whole path")
    if isinstance(action, FileEdit):
        if not all(isinstance(label, tuple) and len(label) == 2 for label in action.labels):
            raise ValueError("a value in labels can't be")
        for label in action.labels:
            records.all_texts(label)
    return action
