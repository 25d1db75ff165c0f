# SPDX-License-Identifier: GPL-3.0-or-later
"""Bytecode is kept where only its owner can write, is used again, and never instead of another source."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import bytecode
from ansible_collections.hostwire.linux.plugins.module_utils.bytecode import Kept

SOURCE = b"answer = 42\n"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    directory = tmp_path / "hostwire"
    directory.mkdir(mode=0o700)
    kept = Kept(str(directory))
    kept.code("engine", SOURCE, "engine.py")
    kept.keep()
    return directory


def compiles(kept: Kept, monkeypatch: pytest.MonkeyPatch, source: bytes = SOURCE) -> bool:
    """Whether the source has to be compiled; the code does what it says in any case."""
    compiled = []

    def counting(*arguments: object, **options: object) -> object:
        compiled.append(arguments)
        return compile(*arguments, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(bytecode, "compile", counting, raising=False)
    space: dict[str, object] = {}
    exec(kept.code("engine", source, "engine.py"), space)
    assert space["answer"] == int(source.split()[-1])
    return bool(compiled)


def test_the_next_task_compiles_nothing(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not compiles(Kept(str(place)), monkeypatch)
    (file,) = place.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


def test_another_source_is_compiled(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert compiles(Kept(str(place)), monkeypatch, b"answer = 43\n")


def test_a_file_cut_short_is_as_good_as_none(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (file,) = place.iterdir()
    os.truncate(file, file.stat().st_size - 3)
    assert compiles(Kept(str(place)), monkeypatch)


def test_what_others_can_write_is_not_read(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place.chmod(0o777)
    assert compiles(Kept(str(place)), monkeypatch)
    place.chmod(0o700)
    (file,) = place.iterdir()
    file.rename(place / "elsewhere")
    file.symlink_to(place / "elsewhere")
    assert compiles(Kept(str(place)), monkeypatch)


def test_nothing_is_kept_where_there_is_no_place(tmp_path: Path) -> None:
    kept = Kept(str(tmp_path / "hostwire"))
    kept.code("engine", SOURCE, "engine.py")
    kept.keep()
    assert not list(tmp_path.iterdir())
