# SPDX-License-Identifier: GPL-3.0-or-later
"""What a killed run left half-written is finished; what an administrator wrote is not, whatever it looks like."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import List, Optional

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils.apply import file_edits
from ansible_collections.hostwire.linux.plugins.module_utils.apply.jobs import step
from ansible_collections.hostwire.linux.plugins.module_utils.apply.journals import (
    DOING,
    UNDOING,
    Job,
    Journals,
    gone_on,
)
from ansible_collections.hostwire.linux.plugins.module_utils.errors import HostwireError, KernelRefused
from ansible_collections.hostwire.linux.plugins.module_utils.plan.actions import FileEdit, reversed_edit
from ansible_collections.hostwire.linux.plugins.module_utils.spot import Spot

BEFORE = "127.0.0.1 localhost\n"
AFTER = "127.0.0.1 localhost\n10.0.0.5 db\n"
# Texts of which each byte is that of one of these in its place.
LOOKS_HALF = ["", "127.0.0.1 loc", "127.0.0.1 localhost\n10.0.0", "127.0.0.1 localhost\n10.0.0.5 d"]
FALLS_BACK = [errno.EBUSY, errno.EXDEV]
NO_ROOM = [errno.ENOSPC, errno.EDQUOT]  # where only a way back writes in place


class Killed(BaseException):
    """The process is gone at this point."""


@pytest.fixture
def hosts(tmp_path: Path) -> Path:
    path = tmp_path / "etc" / "hosts"
    path.parent.mkdir()
    path.write_text(BEFORE)
    return path


def edit_of(hosts: Path, mounted: bool = False) -> FileEdit:
    return FileEdit(None, str(hosts), BEFORE, AFTER, "hosts", mounted, private=False, uid=None)


def journals_about(edit: FileEdit, phase: str, tmp_path: Path) -> Journals:
    (tmp_path / "state").mkdir(mode=0o700)
    journals = Journals(str(tmp_path / "state"))
    journals.write(Job("hosts", "hosts", ("hosts",), (step(edit),), {}), phase)
    return journals


def beside(hosts: Path) -> List[str]:
    return sorted(path.name for path in hosts.parent.iterdir() if path != hosts)


def dies_writing(text: Optional[str], number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file can't be replaced; it is killed while it writes in place, and leaves this; None: before that."""

    def refuse(spot: Spot, _content: bytes) -> None:
        raise KernelRefused(f"file {spot.path}: write", number)

    def cut_short(spot: Spot, _content: bytes) -> None:
        if text is not None:
            Path(spot.path).write_text(text)
        raise Killed

    monkeypatch.setattr(Spot, "replace", refuse)
    monkeypatch.setattr(Spot, "overwrite", cut_short)


@pytest.mark.parametrize("phase", [DOING, UNDOING])
@pytest.mark.parametrize("text", LOOKS_HALF)
@pytest.mark.parametrize("way", ["in place", "by replacing"])
def test_a_text_of_an_administrators_is_not_finished(
    hosts: Path, tmp_path: Path, phase: str, text: str, way: str
) -> None:
    journals = journals_about(edit_of(hosts), phase, tmp_path)
    if way == "in place":
        hosts.write_text(text)
    else:
        (hosts.parent / "new").write_text(text)
        (hosts.parent / "new").rename(hosts)
    gone_on(journals, "hosts", [], check=False)
    assert hosts.read_text() == text
    assert not list((tmp_path / "state").glob("*.steps"))


@pytest.mark.parametrize("text", LOOKS_HALF)
@pytest.mark.parametrize("number", [*FALLS_BACK, *NO_ROOM])
@pytest.mark.parametrize("back", [False, True], ids=["forth", "back"])
def test_what_a_run_left_half_written_is_finished(
    hosts: Path, tmp_path: Path, text: str, number: int, back: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit = edit_of(hosts)
    journals = journals_about(edit, UNDOING if back else DOING, tmp_path)
    if back:
        hosts.write_text(AFTER)
    with monkeypatch.context() as patch:
        dies_writing(text, number, patch)
        if number in NO_ROOM and not back:
            with pytest.raises(KernelRefused, match="write: the kernel refused"):
                file_edits.bring(edit, False, lambda: None)
            return
        with pytest.raises(Killed):
            file_edits.bring(reversed_edit(edit) if back else edit, back, lambda: None)
    assert hosts.read_text() == text
    gone = gone_on(journals, "hosts", [], check=False)
    assert gone.lines == ("hosts: finish what a run that was killed left half-written",)
    assert hosts.read_text() == BEFORE
    assert beside(hosts) == []
    assert not list((tmp_path / "state").glob("*.steps"))


@pytest.mark.parametrize("text", LOOKS_HALF)
def test_what_is_always_written_in_place_needs_no_mark(hosts: Path, tmp_path: Path, text: str) -> None:
    journals = journals_about(edit_of(hosts, mounted=True), DOING, tmp_path)
    hosts.write_text(text)
    gone_on(journals, "hosts", [], check=False)
    assert hosts.read_text() == BEFORE


@pytest.mark.parametrize("since", ["10.9.9.9 other\n", AFTER + "10.9.9.9 other\n", BEFORE, AFTER])
def test_a_mark_goes_with_the_journal_whatever_was_written_since(
    hosts: Path, tmp_path: Path, since: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    journals = journals_about(edit_of(hosts), UNDOING, tmp_path)
    with monkeypatch.context() as patch:
        dies_writing(None, errno.EBUSY, patch)
        with pytest.raises(Killed):
            file_edits.bring(edit_of(hosts), False, lambda: None)
    assert beside(hosts) == [".hosts.half"]
    hosts.write_text(since)
    gone_on(journals, "hosts", [], check=False)
    assert hosts.read_text() == (BEFORE if since == AFTER else since)
    assert beside(hosts) == []


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("number", FALLS_BACK)
def test_no_mark_is_left_by_a_write_that_ended(
    hosts: Path, number: int, fails: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(spot: Spot, _content: bytes) -> None:
        raise KernelRefused(f"file {spot.path}: write", number)

    real = Spot.overwrite

    def overwrite(spot: Spot, content: bytes) -> None:
        if fails and content == AFTER.encode():
            hosts.write_text("127")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(spot, content)

    monkeypatch.setattr(Spot, "replace", refuse)
    monkeypatch.setattr(Spot, "overwrite", overwrite)
    begun: List[bool] = []
    try:
        file_edits.bring(edit_of(hosts), False, lambda: begun.append(True))
    except HostwireError:
        assert fails
    assert hosts.read_text() == (BEFORE if fails else AFTER)
    assert begun == ([] if fails else [True])
    assert beside(hosts) == []
