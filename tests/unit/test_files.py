# SPDX-License-Identifier: GPL-3.0-or-later
"""Small files are replaced whole, and look as they should whatever the umask is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Iterator

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import files
from ansible_collections.hostwire.linux.plugins.module_utils.errors import Conflict, InvalidValue
from ansible_collections.hostwire.linux.plugins.module_utils.spot import spot


@pytest.fixture
def careful() -> Iterator[None]:
    """The umask of a host whose root is careful."""
    before = os.umask(0o077)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


@pytest.mark.usefixtures("careful")
def test_what_is_for_everybody_is_so_under_any_umask(tmp_path: Path) -> None:
    path = tmp_path / "netns" / "red" / "resolv.conf"
    files.make_directory(str(path.parent))
    files.write(str(path), "nameserver 192.168.15.5\n")
    assert [mode(each) for each in (path.parent.parent, path.parent, path)] == [0o755, 0o755, 0o644]
    files.write(str(path), "secret\n", 0o600)
    assert mode(path) == 0o600


@pytest.mark.usefixtures("careful")
def test_a_file_that_is_replaced_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    with spot(str(path)) as place:
        place.replace(b"127.0.0.1 localhost\n")
        assert mode(path) == 0o644
        path.chmod(0o664)
        place.replace(b"")
    assert (mode(path), path.read_bytes()) == (0o664, b"")


def test_what_cant_take_the_files_place_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.mkdir()
    with pytest.raises(InvalidValue, match="is a directory"), spot(str(path)) as place:
        place.replace(b"127.0.0.1 localhost\n")
    assert list(tmp_path.iterdir()) == [path]


def test_a_pipe_where_a_file_should_be_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "resolv.conf")
    with pytest.raises(Conflict, match=r"resolv\.conf is a device, a pipe or a socket, not a file"):
        files.read(str(tmp_path / "resolv.conf"))
