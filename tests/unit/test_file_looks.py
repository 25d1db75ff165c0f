# SPDX-License-Identifier: GPL-3.0-or-later
"""A file that was taken away comes back as it looked: its mode, its owner, its labels. And it is called by its name."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import files
from ansible_collections.hostwire.linux.plugins.module_utils import spot as spots
from ansible_collections.hostwire.linux.plugins.module_utils.apply import file_edits, job_records
from ansible_collections.hostwire.linux.plugins.module_utils.apply.jobs import carry_out, standing, step
from ansible_collections.hostwire.linux.plugins.module_utils.apply.journals import UNDOING, Job, Journals, gone_on
from ansible_collections.hostwire.linux.plugins.module_utils.errors import (
    Conflict,
    HostwireError,
    InvalidValue,
    UndoFailed,
    VerificationFailed,
)
from ansible_collections.hostwire.linux.plugins.module_utils.plan.actions import FileEdit, encode, reversed_edit
from ansible_collections.hostwire.linux.plugins.module_utils.spot import spot

TEXT = '{"bip": "10.0.0.1/24"}\n'
OTHERS = (1234, 1235) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
# struct posix_acl_xattr_header and _entry (linux/posix_acl_xattr.h): user 1234 may read, the group may not.
ACCESS_LIST = struct.pack("<I", 2) + b"".join(
    struct.pack("<HHI", *entry)
    for entry in ((1, 6, 0xFFFFFFFF), (2, 4, 1234), (4, 0, 0xFFFFFFFF), (0x10, 4, 0xFFFFFFFF), (0x20, 0, 0xFFFFFFFF))
)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "etc" / "daemon.json"
    path.parent.mkdir()
    path.write_text(TEXT)
    path.chmod(0o600)
    os.chown(path, *OTHERS)
    return path


def removal(config: Path) -> FileEdit:
    return file_edits.planned(str(config), TEXT.encode(), None, f"file {config}")


def looks(config: Path) -> files.Looks:
    fd = os.open(config, os.O_RDONLY)
    try:
        return files.looks_of(fd)
    finally:
        os.close(fd)


def bring(edit: Any) -> None:
    file_edits.bring(edit, False, lambda: None)


def put_again(config: Path, mode: int) -> None:
    config.write_text(TEXT)
    config.chmod(mode)
    os.chown(config, *OTHERS)


def plain(_config: Path) -> None:
    pass


def for_a_group(config: Path) -> None:
    config.chmod(0o640)


def with_labels(config: Path) -> None:
    labels = {"user.note": b"\0\xff", "system.posix_acl_access": ACCESS_LIST}
    try:
        for name, value in labels.items():
            os.setxattr(config, name, value)
    except OSError as error:
        pytest.skip(f"no labels here: {error}")
    assert {name for name, _value in looks(config).labels or ()} == set(labels)


@pytest.mark.parametrize("umask", [0o022, 0o077])
@pytest.mark.parametrize("prepare", [plain, for_a_group, with_labels])
def test_a_file_that_was_taken_away_comes_back_as_it_looked(
    config: Path, prepare: Callable[[Path], None], umask: int
) -> None:
    prepare(config)
    before, edit = looks(config), removal(config)
    bring(edit)
    assert not config.exists()
    was = os.umask(umask)
    try:
        bring(reversed_edit(edit))
    finally:
        os.umask(was)
    assert (config.read_text(), looks(config)) == (TEXT, before)


def test_labels_that_only_its_directory_gives_are_not_left_on_it(config: Path) -> None:
    try:
        os.setxattr(config.parent, "system.posix_acl_default", ACCESS_LIST)
    except OSError as error:
        pytest.skip(f"no access lists here: {error}")
    before, edit = looks(config), removal(config)
    assert before.labels == ()
    bring(edit)
    bring(reversed_edit(edit))
    assert looks(config) == before


def test_a_run_that_fails_puts_it_back_as_it_looked(config: Path, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    before = looks(config)

    def fail() -> None:
        assert not config.exists()
        raise VerificationFailed("it isn't right")

    with pytest.raises(VerificationFailed, match="everything was put back"):
        carry_out(Job("d", "docker", ("file",), (step(removal(config)),), {}), Journals(str(tmp_path / "state")), fail)
    assert looks(config) == before


def test_one_that_looks_otherwise_was_not_put_back(config: Path, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o700)

    def fail() -> None:
        put_again(config, 0o644)
        raise VerificationFailed("it isn't right")

    with pytest.raises(UndoFailed, match=r"daemon\.json: somebody else wrote to it meanwhile"):
        carry_out(Job("d", "docker", ("file",), (step(removal(config)),), {}), Journals(str(tmp_path / "state")), fail)


def test_one_that_got_other_looks_since_is_not_taken_away(config: Path) -> None:
    edit = removal(config)
    config.chmod(0o644)
    with pytest.raises(VerificationFailed, match="somebody else wrote to it"):
        file_edits.demand(edit)
    assert standing(edit) == file_edits.OTHER


def test_a_file_that_stays_may_get_other_looks_meanwhile(config: Path) -> None:
    edit = file_edits.planned(str(config), TEXT.encode(), b"{}\n", "file")
    config.chmod(0o644)
    file_edits.demand(edit)
    bring(edit)
    assert standing(edit) == file_edits.AFTER
    config.chmod(0o640)
    bring(reversed_edit(edit))
    assert (config.read_text(), config.stat().st_mode & 0o777) == (TEXT, 0o640)


@pytest.mark.parametrize("fields", [8, None], ids=["of-a-version-that-noted-no-looks", "of-this-one"])
def test_the_next_run_puts_back_what_a_killed_one_took(config: Path, tmp_path: Path, fields: Optional[int]) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    before, edit = looks(config), removal(config)
    write_journal(tmp_path / "state", [values[: None if fields is None else fields + 1] for values in encoded(edit)])
    bring(edit)
    gone_on(Journals(str(tmp_path / "state")), "d", [], check=False)
    assert config.read_text() == TEXT
    assert fields or looks(config) == before
    assert not list((tmp_path / "state").glob("*.steps"))


@pytest.mark.parametrize("labels", [[1], [["a", 1]], [["a"]], "a", [["a", "b", "c"]]])
def test_labels_of_another_shape_are_refused_in_words(config: Path, tmp_path: Path, labels: Any) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    write_journal(tmp_path / "state", [[*values[:-1], labels] for values in encoded(removal(config))])
    with pytest.raises(Conflict, match=r"d\.steps is damaged \(a value in .*look at what that run was about"):
        gone_on(Journals(str(tmp_path / "state")), "d", [], check=False)


def encoded(edit: FileEdit) -> List[List[Any]]:
    return [encode(edit), encode(reversed_edit(edit))]


def write_journal(state: Path, both: List[List[Any]]) -> None:
    Journals(str(state)).write(Job("d", "docker", ("file",), (), {}), UNDOING)
    entry: Dict[str, Any] = dict(job_records.read(str(state), "d") or {})
    entry["steps"] = [[both[0], [both[1]], 0]]
    job_records.write(str(state), "d", {key: entry[key] for key in entry if key not in ("version", "seal")})


def a_link(path: Path) -> None:
    path.symlink_to("/nowhere")


def a_directory(path: Path) -> None:
    path.mkdir()


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def too_large(path: Path) -> None:
    path.write_bytes(b"0" * 5)


def below_a_file(path: Path) -> None:
    path.parent.rmdir()
    path.parent.write_text("")


ODD = {
    a_link: "{} is a symbolic link to /nowhere; ",
    a_directory: "{} is a directory",
    a_pipe: "{} is a device, a pipe or a socket, not a file",
    too_large: "{} is larger than 0 MiB",
    below_a_file: "{}: {parent} is no directory",
}


@pytest.mark.parametrize("make", ODD)
@pytest.mark.parametrize("asked", [False, True])
def test_a_file_is_called_what_its_user_calls_it(
    tmp_path: Path, make: Callable[[Path], None], asked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spots, "LIMIT", 4)
    path = tmp_path / "etc" / "daemon.json"
    path.parent.mkdir()
    make(path)
    with pytest.raises(InvalidValue) as caught, spot(str(path), asked=asked) as file:
        file.read()
    subject = f"path: {path}" if asked else f"file {path}"
    if asked and make is below_a_file:
        subject = "path"
    (said,) = caught.value.problems
    assert said.startswith(ODD[make].format(subject, parent=path.parent))
    assert said.endswith("; that is no hosts file") == (asked and make is too_large)
    assert ("say that path" in said) == (asked and make is a_link)


@pytest.mark.parametrize(
    ("asked", "said"), [(False, "file {}: there is no directory {}"), (True, "path: there is no directory {1}")]
)
def test_a_directory_that_is_not_there_is_said_of_the_file(tmp_path: Path, asked: bool, said: str) -> None:
    path = tmp_path / "none" / "daemon.json"
    with pytest.raises(HostwireError) as caught, spot(str(path), asked=asked) as file:
        file.replace(b"")
    assert str(caught.value) == said.format(path, path.parent)
