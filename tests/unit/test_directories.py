# SPDX-License-Identifier: GPL-3.0-or-later
"""What another user can swap while we look is not followed: links, directories on the way, second names of a file.

Each race is made to be lost: the swap is done at the very moment of a call.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Callable, Iterator

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import directories
from ansible_collections.hostwire.linux.plugins.module_utils.errors import (
    Conflict,
    HostwireError,
    InvalidValue,
    UndoFailed,
    VerificationFailed,
)
from ansible_collections.hostwire.linux.plugins.module_utils.hosts_file.run import run
from ansible_collections.hostwire.linux.plugins.module_utils.spot import spot

ENTRIES = [{"address": "10.0.0.5", "names": ["db"]}]
SOMEBODY = 12345
SECRET = "root:TOPSECRET:1::\n"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make what is somebody else's")


@pytest.fixture
def theirs(tmp_path: Path) -> Iterator[Path]:
    """Another user's directory, with a hosts file of theirs, beside a directory of root's; which stays as it was."""
    directory = tmp_path / "home" / "theirs"
    directory.mkdir(parents=True)
    (tmp_path / "secret").mkdir(mode=0o700)
    (tmp_path / "secret" / "hosts").write_text(SECRET)
    os.chown(tmp_path / "home", SOMEBODY, SOMEBODY)
    os.chown(directory, SOMEBODY, SOMEBODY)
    their_file(directory)
    yield directory
    nothing_is_given_away(tmp_path)


def their_file(theirs: Path) -> None:
    for path in theirs.iterdir():
        path.unlink()
    (theirs / "hosts").write_text("127.0.0.1 localhost\n")
    os.chown(theirs / "hosts", SOMEBODY, SOMEBODY)


def nothing_is_given_away(top: Path) -> None:
    """Root's file is as it was, alone in its directory, and its text nowhere else."""
    assert [path.read_text() for path in (top / "secret").iterdir()] == [SECRET]
    assert (top / "secret" / "hosts").stat().st_uid == 0
    copies = [path for path in (top / "home").rglob("*") if path.is_file() and not path.is_symlink()]
    assert not [path for path in copies if SECRET in path.read_text()]


def write(path: Path) -> None:
    run(str(path), "tasks", ENTRIES, state_dir=str(path.parents[2] / "state"))


def swap_file(theirs: Path) -> None:
    (theirs / "hosts").rename(theirs / "kept")
    (theirs / "hosts").symlink_to(theirs.parents[1] / "secret" / "hosts")


def swap_directory(theirs: Path) -> None:
    theirs.rename(theirs.parent / "kept")
    theirs.symlink_to(theirs.parents[1] / "secret")


def put_back(theirs: Path) -> None:
    kept = theirs.parent / "kept"
    if kept.exists():
        theirs.unlink()
        kept.rename(theirs)
    their_file(theirs)


@pytest.mark.parametrize("swap", [swap_file, swap_directory])
@pytest.mark.parametrize("name", ["open", "stat", "rename", "fchown"])
def test_a_swap_at_any_moment_gives_nothing_away(
    theirs: Path, monkeypatch: pytest.MonkeyPatch, name: str, swap: Callable[[Path], None]
) -> None:
    """Before each call of a function of os in turn."""
    real = getattr(os, name)
    calls: list[str] = []
    swap_before = 0

    def interposed(*args: object, **options: object) -> object:
        calls.append(name)
        if len(calls) == swap_before:
            swap(theirs)
        return real(*args, **options)

    while swap_before <= len(calls):
        swap_before += 1
        calls.clear()
        refused = ""
        try:
            with monkeypatch.context() as patch:
                patch.setattr(os, name, interposed)
                write(theirs / "hosts")
        except (InvalidValue, Conflict, VerificationFailed, UndoFailed) as error:
            refused = str(error)
        assert not refused or any(
            words in refused for words in ("symbolic link", "no directory", "somebody else wrote")
        )
        nothing_is_given_away(theirs.parents[1])
        put_back(theirs)
    assert swap_before > 1


@pytest.mark.parametrize("name", ["open", "stat", "rename", "fchown", "fstat"])
def test_what_was_read_of_roots_file_never_goes_into_theirs(
    theirs: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Root keeps a file of its own there; they put one of theirs in its place."""
    file, real = theirs / "hosts", getattr(os, name)
    calls: list[str] = []
    refused: list[str] = []
    swap_before = 0

    def interposed(*args: object, **options: object) -> object:
        calls.append(name)
        if len(calls) == swap_before:
            swap_files(file)
        return real(*args, **options)

    while swap_before <= len(calls):
        swap_before += 1
        calls.clear()
        their_file(theirs)
        file.rename(theirs / "own")
        file.write_text(SECRET)
        file.chmod(0o600)
        try:
            with monkeypatch.context() as patch:
                patch.setattr(os, name, interposed)
                write(file)
        except VerificationFailed as error:
            refused.append(str(error))
        readable = [path for path in theirs.iterdir() if path.stat().st_uid == SOMEBODY or path.stat().st_mode & 0o004]
        assert not [path for path in readable if SECRET in path.read_text()]
    their_file(theirs)
    assert swap_before > 1
    assert all("somebody else wrote to it" in words for words in refused)


def swap_files(file: Path) -> None:
    """They put the file ``own`` in its place."""
    if (file.parent / "own").exists():
        file.rename(file.parent / "kept")
        (file.parent / "own").rename(file)


def test_a_file_that_somebody_made_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    with spot(str(tmp_path / "hosts")) as place:
        assert place.read() is None
        (tmp_path / "hosts").write_text("127.0.0.1 localhost\n")
        with pytest.raises(VerificationFailed, match="somebody else wrote to it"):
            place.replace(b"10.0.0.5 db\n")
        assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("hosts", "127.0.0.1 localhost\n")]
        place.read()
        place.replace(b"10.0.0.5 db\n")


def another_file(file: Path) -> None:
    (file.parent / "new").write_text("10.0.0.9 mine\n")
    (file.parent / "new").rename(file)


def a_link(file: Path) -> None:
    file.unlink(missing_ok=True)
    file.symlink_to(file.parent / "elsewhere")


def a_directory(file: Path) -> None:
    file.unlink(missing_ok=True)
    file.mkdir()


@pytest.mark.parametrize("was_there", [True, False])
@pytest.mark.parametrize("swap", [another_file, a_link, a_directory])
@pytest.mark.parametrize("name", ["open", "stat", "unlink"])
def test_what_somebody_put_in_a_files_place_is_not_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, swap: Callable[[Path], None], was_there: bool
) -> None:
    """Before each call of a function of os in turn, but for the very last: the kernel deletes by name only."""
    real, file = getattr(os, name), tmp_path / "hosts"
    calls: list[object] = []
    swap_before, refused = 0, 0

    def interposed(path: object, *args: object, **options: object) -> object:
        calls.append(path)
        if len(calls) == swap_before and not (name == "unlink" and path == "hosts"):
            with monkeypatch.context() as patch:
                patch.setattr(os, name, real)
                swap(file)
        return real(path, *args, **options)

    while swap_before <= len(calls):
        swap_before += 1
        calls.clear()
        if file.is_dir() and not file.is_symlink():
            file.rmdir()
        file.unlink(missing_ok=True)
        if was_there:
            file.write_text("127.0.0.1 localhost\n")
        with spot(str(file)) as place:
            place.read()
            with monkeypatch.context() as patch:
                patch.setattr(os, name, interposed)
                try:
                    place.remove()
                except (VerificationFailed, InvalidValue):
                    refused += 1
        swapped = swap_before <= len(calls) and not (name == "unlink" and calls[swap_before - 1] == "hosts")
        assert os.path.lexists(file) == swapped
    assert swap_before > 1
    assert refused or (name == "open" and not was_there)  # which nobody opens


def test_a_second_name_of_roots_file_is_not_theirs_to_read(theirs: Path) -> None:
    """Where the kernel lets everybody make hard links (fs.protected_hardlinks=0)."""
    (theirs / "hosts").unlink()
    (theirs.parents[1] / "secret" / "hosts").chmod(0o640)
    (theirs / "hosts").hardlink_to(theirs.parents[1] / "secret" / "hosts")
    with pytest.raises(Conflict, match="has another name somewhere, and others can write to its directory"):
        write(theirs / "hosts")
    (theirs / "hosts").unlink()


def test_a_second_name_is_of_no_concern_where_there_is_no_secret(theirs: Path) -> None:
    """On a mounted Windows system many files have several, and everybody's mode."""
    (theirs / "hosts").chmod(0o777)
    os.chown(theirs / "hosts", 0, 0)
    (theirs / "other").hardlink_to(theirs / "hosts")
    write(theirs / "hosts")
    assert "10.0.0.5 db" in (theirs / "hosts").read_text()
    assert "10.0.0.5 db" not in (theirs / "other").read_text()


def test_a_file_of_theirs_stays_theirs(theirs: Path) -> None:
    write(theirs / "hosts")
    status = (theirs / "hosts").stat()
    assert (status.st_uid, status.st_gid) == (SOMEBODY, SOMEBODY)
    assert "10.0.0.5 db" in (theirs / "hosts").read_text()


@pytest.mark.parametrize("owner", [0, SOMEBODY])
@pytest.mark.parametrize("mode", [0o755, 0o775, 0o757, 0o1777])
def test_a_link_on_the_way_is_followed_where_only_root_could_have_put_it(tmp_path: Path, owner: int, mode: int) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "at").mkdir()
    (tmp_path / "at").chmod(mode)
    (tmp_path / "at" / "link").symlink_to("../real")
    os.chown(tmp_path / "at" / "link", owner, owner, follow_symlinks=False)
    if owner == 0 and mode in (0o755, 0o1777):
        write(tmp_path / "at" / "link" / "hosts")
        assert "10.0.0.5 db" in (tmp_path / "real" / "hosts").read_text()
    else:
        with pytest.raises(Conflict, match=r"link in it is a symbolic link that .* can lead elsewhere"):
            write(tmp_path / "at" / "link" / "hosts")
        assert os.listdir(tmp_path / "real") == []


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to(tmp_path / "one")
    with pytest.raises(HostwireError, match="Too many levels of symbolic links"):
        directories.open_directory(str(tmp_path / "one"))


def test_a_path_leads_where_it_always_did(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "a" / "b")
    for path in (f"{tmp_path}//a/./b/", f"{tmp_path}/link/../b", f"{tmp_path}/a/b/../../link"):
        fd = directories.open_directory(path)
        assert fd is not None
        assert os.path.samestat(os.fstat(fd), (tmp_path / "a" / "b").stat())
        os.close(fd)
    monkeypatch.chdir(tmp_path / "a")
    for path in ("b", "./b", "../link"):
        fd = directories.open_directory(path)
        assert fd is not None
        assert os.path.samestat(os.fstat(fd), (tmp_path / "a" / "b").stat())
        os.close(fd)
    assert directories.open_directory(f"{tmp_path}/none/b") is None


def test_no_descriptor_stays_open(theirs: Path) -> None:
    swap_file(theirs)
    before = os.listdir("/proc/self/fd")
    for path in (theirs / "hosts", theirs / "none" / "hosts", theirs / "kept" / "hosts", theirs / "hosts" / "hosts"):
        with pytest.raises(HostwireError):
            write(path)
    write(theirs / "kept")
    assert os.listdir("/proc/self/fd") == before
