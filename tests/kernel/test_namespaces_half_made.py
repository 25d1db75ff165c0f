# SPDX-License-Identifier: GPL-3.0-or-later
"""A namespace whose making fails at any call is gone again, or told to be left, and goes with the next run."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path
from typing import Any, Callable, List, Tuple

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import netns as namespaces
from ansible_collections.hostwire.linux.plugins.module_utils.errors import HostwireError, UndoFailed
from ansible_collections.hostwire.linux.tests.kernel import world
from ansible_collections.hostwire.linux.tests.kernel.steps import JOURNAL, NOTHING, Document, apply

pytestmark = pytest.mark.usefixtures("private_host")

TWO: Document = {"namespaces": [{"name": "red"}, {"name": "blue"}]}
DIRECTORY = Path("/run/netns")


class Faults:
    """Makes the n-th call fail of those that the making of namespaces makes, or ``lasting`` all from there on."""

    def __init__(self, patch: pytest.MonkeyPatch, number: int, lasting: bool = False) -> None:
        self._number, self._lasting = number, lasting
        self._left = -1
        self._armed = False
        self.kinds: List[str] = []
        self._python(patch, "open", ("/proc/thread-self/", "/run/netns/"))
        self._python(patch, "stat", ("/proc/", "/run/netns/"))
        self._python(patch, "unlink", ("/run/netns/",))
        for name in ("mount", "unshare", "umount2"):
            self._libc(patch, name)
        setns = namespaces._setns

        def enters(*args: int) -> None:
            if not self._lasting and self.fails("setns"):  # else this thread would never be home again
                raise OSError(self._number, os.strerror(self._number))
            setns(*args)

        patch.setattr(namespaces, "_setns", enters)
        prepare = namespaces.prepare_directory

        def prepared() -> None:
            prepare()
            self._armed = True

        patch.setattr(namespaces, "prepare_directory", prepared)

    def at(self, place: int) -> None:
        """From the next making on, at this call."""
        self._left, self._armed, self.kinds = place, False, []

    def rest(self) -> bool:
        """None fails any more; whether one did."""
        self._armed = False
        return self._left < 0

    def fails(self, kind: str) -> bool:
        if not self._armed:
            return False
        self.kinds.append(kind)
        self._left -= 1
        return self._left == -1 or (self._lasting and self._left < 0)

    def _python(self, patch: pytest.MonkeyPatch, name: str, paths: Tuple[str, ...]) -> None:
        really = getattr(os, name)

        def call(*args: Any, **options: Any) -> Any:
            if str(args[0]).startswith(paths) and self.fails(name):
                raise OSError(self._number, os.strerror(self._number))
            return really(*args, **options)

        patch.setattr(os, name, call)

    def _libc(self, patch: pytest.MonkeyPatch, name: str) -> None:
        really = getattr(namespaces._libc, name)

        def call(*args: Any) -> int:
            if self.fails(name):
                ctypes.set_errno(self._number)
                return -1
            result: int = really(*args)
            return result

        patch.setattr(namespaces._libc, name, call)


def there() -> List[str]:
    return sorted(path.name for path in DIRECTORY.iterdir()) if DIRECTORY.exists() else []


@pytest.mark.parametrize("number", [errno.ENFILE, errno.ENOMEM])
def test_a_namespace_whose_making_fails_once_is_gone_again(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    before = world.image()
    kinds = set()
    with monkeypatch.context() as patch:
        faults = Faults(patch, number)
        for place in range(200):
            faults.at(place)
            try:
                apply(TWO)
            except HostwireError as error:
                told = error
                kinds.add(faults.kinds[place])
            else:
                told = None
            reached = faults.rest()
            if told is None:
                assert there() == ["blue", "red"]
            elif isinstance(told, UndoFailed):
                assert JOURNAL.exists(), place
            else:
                assert there() == [], (place, faults.kinds[place])
                assert not JOURNAL.exists()
            apply(NOTHING)
            faults.rest()
            assert there() == [], (place, faults.kinds)
            if not reached:
                break
    assert not reached
    assert {"open", "mount", "unshare", "setns"} <= kinds
    assert world.differences(before, world.image()) == []


@pytest.mark.parametrize("number", [errno.ENFILE, errno.ENOSPC])
def test_a_namespace_that_can_be_made_no_more_and_not_taken_away_is_told(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = world.image()
    told = 0
    for place in range(100):
        with monkeypatch.context() as patch:
            faults = Faults(patch, number, lasting=True)
            faults.at(place)
            try:
                apply(TWO)
            except UndoFailed as error:
                told += any(f"{name}" in str(error) for name in there())
            except HostwireError:
                pass
            reached = faults.rest()
        if reached:
            assert there() == [] or JOURNAL.exists(), place
        apply(NOTHING)
        assert there() == []
        if not reached:
            break
    assert not reached
    assert told > 3
    assert world.differences(before, world.image()) == []


def test_a_namespace_of_somebody_elses_is_not_taken_for_one_half_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """It came between the plan and the deed."""
    create = namespaces.create

    def late(name: str, begun: Callable[[], None]) -> None:
        if name == "red":
            create(name, lambda: None)
        create(name, begun)

    with monkeypatch.context() as patch:
        patch.setattr(namespaces, "create", late)
        with pytest.raises(HostwireError, match="red: the kernel refused: File exists"):
            apply(TWO)
    assert there() == ["red"]
    assert "red" in namespaces.inodes()
    namespaces.delete("red")


def test_a_file_that_stays_though_its_namespace_goes_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody sees it but whoever makes a namespace of that name."""
    unlink = os.unlink

    def stays(path: Any, *args: Any, **options: Any) -> None:
        if str(path) == "/run/netns/red":
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        unlink(path, *args, **options)

    def fail(_position: int, when: str) -> None:
        if when == "after" and "red" in namespaces.inodes():
            raise HostwireError("a step")

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", stays)
        with pytest.raises(UndoFailed, match="file /run/netns/red: is left over"):
            apply({"namespaces": [{"name": "red"}]}, fail)
    assert JOURNAL.exists()
    apply(NOTHING)
    assert there() == []
