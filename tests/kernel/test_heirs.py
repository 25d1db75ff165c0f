# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings that several documents want: whatever befalls one of them, the last puts back what was."""

from __future__ import annotations

import errno
import json
import os
import signal
from pathlib import Path
from typing import Any, Callable, Dict, Optional

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import engine, state_directory
from ansible_collections.hostwire.linux.plugins.module_utils.apply.disk import Store
from ansible_collections.hostwire.linux.plugins.module_utils.errors import Conflict, KernelRefused
from ansible_collections.hostwire.linux.tests.kernel import world
from ansible_collections.hostwire.linux.tests.kernel.steps import Document, apply

DIRECTORY = Path("/var/lib/hostwire")
NOT_A: Document = {"name": "a", "state": "absent"}
NOT_B: Document = {"name": "b", "state": "absent"}
# What both want, with the files that say what is so.
WANTED: Dict[str, Any] = {
    "of IPv4": ({"sysctls": {"net.ipv4.conf.all.arp_ignore": 1}}, ("net/ipv4/conf/all/arp_ignore", "0", "1")),
    "of IPv6": ({"sysctls": {"net.ipv6.conf.all.hop_limit": 70}}, ("net/ipv6/conf/all/hop_limit", "64", "70")),
    "IPv4 forwarding": ({"forwarding": {"ipv4": True}}, ("net/ipv4/ip_forward", "0", "1")),
    "IPv6 forwarding": ({"forwarding": {"ipv6": True}}, ("net/ipv6/conf/all/forwarding", "0", "1")),
}
EACH = pytest.mark.parametrize("kind", WANTED)


class Setting:
    """A setting, its documents, and what it is."""

    def __init__(self, kind: str) -> None:
        self.wanted, (path, self.before, self.after) = WANTED[kind]
        self._file = Path("/proc/sys", path)

    def document(self, name: str, **more: Any) -> Document:
        return {"name": name, **self.wanted, **more}

    @property
    def is_made(self) -> bool:
        text = self._file.read_text().strip()
        assert text in (self.before, self.after)
        return text == self.after


@pytest.fixture
def setting(private_host: Path, kind: str) -> Setting:
    """Both documents stand, and ``a`` was the first."""
    world.build_surroundings()
    found = Setting(kind)
    assert not found.is_made
    apply(found.document("a"))
    apply(found.document("b"))
    return found


def state(name: str) -> Path:
    return DIRECTORY / f"{name}.state"


def killed_once(document: Document) -> None:
    """A run that is killed after its first step."""
    child = os.fork()
    if child == 0:
        try:
            apply(document, lambda *point: os.kill(os.getpid(), signal.SIGKILL) if point == (0, "after") else None)
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


@EACH
@pytest.mark.parametrize("again", [False, True], ids=["", "applied-again"])
@pytest.mark.parametrize("run", ["more", "nothing"])
def test_an_heir_whose_run_was_killed_inherits(setting: Setting, kind: str, run: str, again: bool) -> None:
    more = setting.document("b", bridges=[{"name": "sw0"}])
    if run == "nothing":
        apply(more)
    killed_once(more if run == "more" else NOT_B)
    journal = (DIRECTORY / "b.journal").read_bytes()
    apply(NOT_A)
    assert setting.is_made
    assert (DIRECTORY / "b.journal").read_bytes() == journal
    assert not state("a").exists()
    if again:
        apply(more)
        assert setting.is_made
    apply(NOT_B)
    assert not setting.is_made
    assert os.listdir(DIRECTORY) == ["lock"]


@EACH
def test_a_document_that_was_never_applied_to_its_end_is_no_heir(setting: Setting, kind: str) -> None:
    apply(NOT_B)
    killed_once(setting.document("b", bridges=[{"name": "sw0"}]))
    apply(NOT_A)
    assert not setting.is_made
    apply(setting.document("b"))
    assert setting.is_made
    apply(NOT_B)
    assert not setting.is_made


@pytest.mark.parametrize("kind", ["of IPv4", "of IPv6"])  # rules, which say who forwards, go with a life
def test_a_document_that_has_not_been_applied_in_this_life_is_no_heir(setting: Setting, kind: str) -> None:
    found = json.loads(state("b").read_text())
    del found["seal"]
    state("b").write_text(json.dumps({**found, "boot": "00000000-0000-4000-8000-000000000000"}))
    before = state("b").read_bytes()
    apply(NOT_A)
    assert not setting.is_made
    assert state("b").read_bytes() == before
    apply(setting.document("b"))
    assert setting.is_made
    apply(NOT_B)
    assert not setting.is_made


def _damaged(_monkeypatch: pytest.MonkeyPatch) -> None:
    state("b").write_text("{")


def _newer(_monkeypatch: pytest.MonkeyPatch) -> None:
    state("b").write_text('{"version": 99}')


def _unreadable(monkeypatch: pytest.MonkeyPatch) -> None:
    def open_file(name: str, directory: Optional[int] = None) -> Optional[int]:
        if name == "b.state":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return good(name, directory)

    good = state_directory.open_file
    monkeypatch.setattr(state_directory, "open_file", open_file)


BROKEN: Dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "damaged": _damaged,
    "newer": _newer,
    "unreadable": _unreadable,
}


@EACH
@pytest.mark.parametrize("how", BROKEN)
@pytest.mark.parametrize("mended", [False, True], ids=["moved-away", "mended"])
def test_what_a_document_may_want_whose_record_cannot_be_used_stays_until_that_is_known(
    setting: Setting, kind: str, how: str, mended: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = state("b").read_bytes()
    with monkeypatch.context() as patch:
        BROKEN[how](patch)
        foretold = engine.run(NOT_A, check=True)
        for _turn in range(2):
            result = apply(NOT_A)
            assert setting.is_made
            assert [" stays " in line and "document 'b'" in line for line in result.warnings].count(True) == 1
            assert any(line.startswith(f"{state('b')} ") for line in result.warnings)
        assert "forwarding" in kind or foretold.plan == ()
    if mended:
        state("b").write_bytes(good)
    else:
        state("b").unlink()
    apply(NOT_A)
    assert setting.is_made == (mended or "forwarding" in kind)  # whoever wants that has rules that say so
    apply(NOT_B)
    assert not setting.is_made
    assert os.listdir(DIRECTORY) == ["lock"]


@EACH
@pytest.mark.parametrize("steps", [False, True], ids=["nothing-to-do", "a-step"])
def test_where_the_run_fails_afterwards_the_heirs_record_is_as_it_was(
    private_host: Path, kind: str, steps: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.build_surroundings()
    setting = Setting(kind)
    apply(setting.document("a", bridges=[{"name": "sw0"}] if steps else []))
    apply(setting.document("b"))
    before = {path.name: path.read_bytes() for path in DIRECTORY.iterdir() if path.suffix == ".state"}

    def settle(self: Store, name: str, *_what: Any) -> None:
        seen.append(state("b").read_bytes() != before["b.state"])
        raise KernelRefused(f"file {name}: write", errno.EIO)

    seen: list[bool] = []
    with monkeypatch.context() as patch:
        patch.setattr(Store, "settle", settle)
        with pytest.raises(KernelRefused):
            apply(NOT_A)
    assert seen == [True]
    after = {path.name: path.read_bytes() for path in DIRECTORY.iterdir() if path.suffix in (".state", ".journal")}
    assert setting.is_made
    assert after == before
    apply(NOT_A)
    assert setting.is_made
    apply(NOT_B)
    assert not setting.is_made


@EACH
def test_a_later_run_that_fails_leaves_what_an_earlier_one_bequeathed(setting: Setting, kind: str) -> None:
    """Both in one process, over one store: the first took its leave for good."""

    def refuse(_position: int, _when: str) -> None:
        raise KernelRefused("a step", errno.EPERM)

    host = engine.Host(str(DIRECTORY))
    with engine.running():
        engine.Run(NOT_A, host, dad_seconds=0).go(check=False)
        with pytest.raises(KernelRefused):
            engine.Run(setting.document("b", bridges=[{"name": "sw0"}]), host, hook=refuse, dad_seconds=0).go(False)
    apply(NOT_B)
    assert not setting.is_made


@pytest.mark.parametrize("name", ["a", "b"])
def test_a_record_of_ones_own_that_cannot_be_read_has_a_way_out(
    private_host: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.build_surroundings()
    bare = world.image()["rooms"]
    for one, number in (("a", 1), ("b", 2)):
        apply({"name": one, "bridges": [{"name": f"sw{number}", "addresses": [f"10.{number}.0.1/24"]}]})
    with monkeypatch.context() as patch:
        _unreadable(patch)
        if name == "b":
            with pytest.raises(
                Conflict, match=f"^{state('b')} can't be read .*: move the file away and run this again$"
            ):
                apply(NOT_B)
        else:
            port = {"port": 80, "to": "10.1.0.2:80"}  # for which others' ports are read
            apply({"name": "a", "bridges": [{"name": "sw1", "addresses": ["10.1.0.1/24"]}], "published_ports": [port]})
            (line,) = apply(NOT_A).warnings
            assert line.startswith(f"{state('b')} can't be read (Input/output error): move the file away")
    state("b").rename(f"{DIRECTORY}/elsewhere")
    for document in (NOT_B, NOT_A):
        apply(document)
    assert world.differences(bare, world.image()["rooms"]) == []


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
def test_what_keeps_every_file_from_being_read_is_no_fault_of_one(
    private_host: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.build_surroundings()
    apply({"name": "b", "bridges": [{"name": "sw2"}]})

    def open_file(name: str, directory: Optional[int] = None) -> Optional[int]:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(state_directory, "open_file", open_file)
    with pytest.raises(KernelRefused):
        apply(NOT_B)
