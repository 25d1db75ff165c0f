# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs whose steps are deeds of their planner: one runner does them, undoes them, and goes on where one was killed."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Callable, List, Optional, Sequence

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils.apply import file_edits, journals
from ansible_collections.hostwire.linux.plugins.module_utils.apply.jobs import carry_out, step
from ansible_collections.hostwire.linux.plugins.module_utils.apply.journals import Job, Journals, gone_on
from ansible_collections.hostwire.linux.plugins.module_utils.errors import (
    Conflict,
    KernelRefused,
    UndoFailed,
    VerificationFailed,
)
from ansible_collections.hostwire.linux.plugins.module_utils.plan.actions import Deed, FileEdit, Step
from ansible_collections.hostwire.linux.plugins.module_utils.spot import Spot


class Killed(BaseException):
    """Stands for SIGKILL: nothing of ours runs any more."""


class Engine:
    """Something that is off or on; ``log`` tells what was done to it."""

    def __init__(self, fails: Sequence[str] = (), killed: str = "") -> None:
        self.log: List[str] = []
        self.texts: List[str] = []  # of the file, when something was done
        self.file: Optional[Path] = None
        self.settled = 0
        self._fails, self._killed = fails, killed

    def do(self, deed: Deed, tolerant: bool) -> None:
        word = f"undo {deed.kind}" if tolerant else deed.kind
        self.log.append(word)
        self.texts.append(self.file.read_text() if self.file else "")
        if word == self._killed:
            raise Killed
        if word in self._fails:
            raise VerificationFailed(f"{word} fails")

    def is_begun(self, steps: Sequence[Step], alive: bool) -> bool:
        return alive and any(isinstance(step.action, Deed) and step.action.kind in self.log for step in steps)

    def left(self, deed: Deed) -> List[str]:
        return [f"{deed.kind} is left"] if f"undo {deed.kind}" in self._fails else []

    def settle(self, steps: Sequence[Step], alive: bool) -> None:
        self.settled += len(steps) if alive else 0


def job_of(path: Path, before: Optional[bytes] = b"old\n") -> Job:
    def deed(kind: str) -> Step:
        return Step(0, Deed(None, kind, ()), (Deed(None, kind, ()),), 0)

    edit = file_edits.planned(str(path), before, b"new\n", "the file")
    return Job("it", "it", ("a line",), (deed("stop"), step(edit), deed("start")), {})


@pytest.fixture
def journal(tmp_path: Path) -> Journals:
    tmp_path.chmod(0o700)
    (tmp_path / "file").write_text("old\n")
    return Journals(str(tmp_path))


def wrong() -> None:
    raise VerificationFailed("it is wrong")


def killed_run(path: Path, journal: Journals, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that ends at the engine's point, and of which nothing runs any more."""
    with monkeypatch.context() as patched:
        patched.setattr("ansible_collections.hostwire.linux.plugins.module_utils.apply.runner.attempted", _bare)
        patched.setattr("ansible_collections.hostwire.linux.plugins.module_utils.apply.jobs.attempted", _bare)
        with pytest.raises(Killed):
            carry_out(job_of(path), journal, lambda: None, trade=engine)


def _bare(deed: Callable[[List[object]], object], _put_back: object) -> object:
    return deed([])


def test_deeds_are_done_in_order_among_other_steps(tmp_path: Path, journal: Journals) -> None:
    engine = Engine()
    assert carry_out(job_of(tmp_path / "file"), journal, lambda: "well", trade=engine) == "well"
    assert engine.log == ["stop", "start"]
    assert (tmp_path / "file").read_text() == "new\n"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_what_fails_is_undone_last_first(tmp_path: Path, journal: Journals) -> None:
    engine = Engine()
    with pytest.raises(VerificationFailed, match="it is wrong\neverything was put back as it was"):
        carry_out(job_of(tmp_path / "file"), journal, wrong, trade=engine)
    assert engine.log == ["stop", "start", "undo start", "undo stop"]
    assert (tmp_path / "file").read_text() == "old\n"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_what_rests_on_a_step_waits_until_that_is_undone(
    tmp_path: Path, journal: Journals, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dockerd that started before its old files were there would run on with the new ones."""
    failures = [1, 2]

    def bring(edit: FileEdit, mends: bool, begun: Callable[[], None]) -> None:
        if mends and failures:
            failures.pop()
            raise KernelRefused("the file", errno.EIO)
        brought(edit, mends, begun)

    brought, engine = file_edits.bring, Engine()
    engine.file = tmp_path / "file"
    monkeypatch.setattr(file_edits, "bring", bring)
    with pytest.raises(VerificationFailed, match="everything was put back as it was"):
        carry_out(job_of(tmp_path / "file"), journal, wrong, trade=engine)
    assert list(zip(engine.log, engine.texts)) == [
        ("stop", "old\n"),
        ("start", "new\n"),
        ("undo start", "new\n"),
        ("undo stop", "old\n"),
    ]


def test_a_deed_that_can_not_be_undone_is_told_whatever_is_seen(tmp_path: Path, journal: Journals) -> None:
    engine = Engine(fails=["undo start"])
    engine.left = lambda _deed: []  # type: ignore[method-assign]
    with pytest.raises(UndoFailed, match="undo start fails\nthe next run goes on"):
        carry_out(job_of(tmp_path / "file"), journal, wrong, trade=engine)
    assert engine.log == ["stop", "start", "undo start", "undo stop"]


def test_a_journal_that_can_not_be_dropped_is_no_reason_to_undo_what_is_right(
    tmp_path: Path, journal: Journals, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drop(_self: Journals, _job: Job) -> None:
        raise KernelRefused("the journal: remove", errno.EIO)

    engine = Engine()
    with monkeypatch.context() as patched:
        patched.setattr(journals.Journals, "drop", drop)
        assert carry_out(job_of(tmp_path / "file"), journal, lambda: "well", trade=engine) == "well"
    assert gone_on(journal, "it", (), check=False, trade=engine).lines == ("it: end a run that was broken off",)
    assert engine.log == ["stop", "start"]
    assert (tmp_path / "file").read_text() == "new\n"


def test_a_full_disk_shows_before_anything_is_stopped(
    tmp_path: Path, journal: Journals, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Spot, _content: bytes) -> None:
        raise KernelRefused(f"file {self.path}: write beside it", errno.ENOSPC)

    engine = Engine()
    monkeypatch.setattr(Spot, "demand_room", full)
    with pytest.raises(KernelRefused, match="No space left") as failed:
        carry_out(job_of(tmp_path / "new" / "file", None), journal, lambda: None, trade=engine)
    assert len(failed.value.problems) == 1  # nothing was put back, for nothing was begun
    assert engine.log == []
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file"]


def test_another_task_leaves_the_files_of_such_a_job_to_it(
    tmp_path: Path, journal: Journals, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    killed_run(path, journal, Engine(killed="start"), monkeypatch)
    with pytest.raises(Conflict, match=f"a run of it was broken off, and is about {path}, too; run it again first"):
        gone_on(journal, "hosts.1", (str(path),), check=True)
    assert gone_on(journal, "hosts.1", (str(tmp_path / "another"),), check=True).lines == ()
    assert path.read_text() == "new\n"


def test_what_was_never_begun_is_not_undone(tmp_path: Path, journal: Journals) -> None:
    engine = Engine(fails=["stop"])
    with pytest.raises(VerificationFailed, match="stop fails"):
        carry_out(job_of(tmp_path / "file"), journal, lambda: None, trade=engine)
    assert engine.log == ["stop", "undo stop"]


def test_what_can_not_be_undone_is_said_and_the_next_run_goes_on(tmp_path: Path, journal: Journals) -> None:
    engine = Engine(fails=["undo stop"])
    with pytest.raises(UndoFailed, match="stop is left\nundo stop fails\nthe next run goes on"):
        carry_out(job_of(tmp_path / "file"), journal, wrong, trade=engine)
    engine = Engine()
    engine.log = ["stop", "start"]
    told = gone_on(journal, "it", (), check=False, trade=engine).lines
    assert told == ("it: take back what a run that was broken off has done",)
    assert engine.log == ["stop", "start", "undo start", "undo stop"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("point", ["stop", "start"])
def test_the_next_run_undoes_what_a_killed_one_has_begun(
    tmp_path: Path, journal: Journals, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(killed=point)
    killed_run(tmp_path / "file", journal, engine, monkeypatch)
    done = list(engine.log)
    told = gone_on(journal, "it", (), check=True, trade=engine).lines
    assert (engine.log, engine.settled) == (done, 0)  # to ask changes nothing
    assert gone_on(journal, "it", (), check=False, trade=engine).lines == told
    assert engine.log == [*done, "undo start", "undo stop"]
    assert engine.settled == 3
    assert (tmp_path / "file").read_text() == "old\n"
    assert gone_on(journal, "it", (), check=False, trade=engine).lines == ()


def test_nothing_is_undone_once_all_was_seen_to_be_right(
    tmp_path: Path, journal: Journals, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drop(_self: Journals, _job: Job) -> None:
        raise Killed

    engine = Engine()
    with monkeypatch.context() as patched:
        patched.setattr(journals.Journals, "drop", drop)
        killed_run(tmp_path / "file", journal, engine, monkeypatch)
    assert gone_on(journal, "it", (), check=False, trade=engine).lines == ("it: end a run that was broken off",)
    assert (engine.log, engine.settled) == (["stop", "start"], 0)
    assert (tmp_path / "file").read_text() == "new\n"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_all_done_but_not_seen_to_be_right_is_undone(
    tmp_path: Path, journal: Journals, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(self: Journals, job: Job, phase: str) -> None:
        if phase == journals.DONE:
            raise Killed
        written(self, job, phase)

    written, engine = journals.Journals.write, Engine()
    with monkeypatch.context() as patched:
        patched.setattr(journals.Journals, "write", write)
        killed_run(tmp_path / "file", journal, engine, monkeypatch)
    gone_on(journal, "it", (), check=False, trade=engine)
    assert engine.log == ["stop", "start", "undo start", "undo stop"]
    assert (tmp_path / "file").read_text() == "old\n"
