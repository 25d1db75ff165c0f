# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a run may not, or can't, write its intent down, it changes nothing; two runs never write at once."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import threading
from pathlib import Path
from typing import Callable, Iterator, List

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import engine, state_directory
from ansible_collections.hostwire.linux.plugins.module_utils.errors import (
    Conflict,
    MissingOnHost,
)
from ansible_collections.hostwire.linux.tests.in_process import call
from ansible_collections.hostwire.linux.tests.kernel import world
from ansible_collections.hostwire.linux.tests.kernel.nobody import as_nobody, call_as_nobody
from ansible_collections.hostwire.linux.tests.kernel.steps import NOTHING, Document, apply, begin


def test_without_privilege_the_capability_is_named(private_host: Path) -> None:
    answer = call_as_nobody("topology", **SMALL)
    assert answer["msg"] == "this process hasn't got CAP_NET_ADMIN and CAP_SYS_ADMIN: run it as root (become: true)"


def test_who_may_not_read_what_is_remembered_is_told_to_become_root(private_host: Path) -> None:
    engine.run(SMALL)
    answer = call_as_nobody("topology", check=True, **SMALL)
    assert answer["msg"].endswith("read: the kernel refused: Permission denied (EACCES)\nrun it as root (become: true)")


def test_a_full_disk_under_the_journal_stops_before_the_first_change(private_host: Path) -> None:
    begin(None)
    with small_disk():
        Path("/var/lib/hostwire/filler").write_bytes(b"x" * 4096 * 3)
        before = world.image()
        with pytest.raises(
            MissingOnHost, match=r"nothing can be written there .No space left on device., so nothing was changed"
        ):
            apply(world.FIRST)
        assert world.differences(before, world.image()) == []


def test_a_state_directory_that_is_read_only_stops_before_the_first_change(private_host: Path) -> None:
    begin(None)
    with small_disk("remount,ro"):
        before = world.image()
        with pytest.raises(
            MissingOnHost, match=r"nothing can be written there .Read-only file system., so nothing was"
        ):
            apply(world.FIRST)
        assert engine.run(world.FIRST, check=True).changed
        assert world.differences(before, world.image()) == []


def test_a_state_directory_of_somebody_else_is_refused(private_host: Path) -> None:
    begin(None)
    os.mkdir("/var/lib/hostwire")
    os.chown("/var/lib/hostwire", 12345, 12345)
    before = world.image()
    with pytest.raises(Conflict, match="/var/lib/hostwire belongs to user 12345, not to the one who runs this"):
        apply(world.FIRST)
    assert world.differences(before, world.image()) == []


def test_a_state_directory_that_others_can_write_to_is_refused(private_host: Path) -> None:
    """What lies there says what root does next."""
    begin(None)
    apply(world.FIRST)
    os.chmod("/var/lib/hostwire", 0o770)
    with pytest.raises(Conflict, match="/var/lib/hostwire: others can write to it, and what lies there is believed"):
        apply(NOTHING)
    os.chmod("/var/lib/hostwire", 0o755)
    assert apply(NOTHING).changed


def test_what_a_namespaces_users_read_is_theirs_to_read_under_any_umask(private_host: Path) -> None:
    os.rmdir("/run/netns")
    before = os.umask(0o077)
    try:
        engine.run({"namespaces": [{"name": "red", "nameservers": ["192.168.15.5"]}]})
    finally:
        os.umask(before)
    assert as_nobody(lambda: Path("/etc/netns/red/resolv.conf").read_text()).endswith("nameserver 192.168.15.5\n")
    assert as_nobody(lambda: os.listdir("/run/netns")) == ["red"]
    assert Path("/var/lib/hostwire/main.state").stat().st_mode & 0o777 == 0o600


def somebodys(path: Path) -> None:
    os.chown(path, 12345, 12345)


def loose(path: Path) -> None:
    path.chmod(0o662)


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def link(path: Path) -> None:
    path.rename("/var/lib/elsewhere")
    path.symlink_to("/var/lib/elsewhere")


def directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


ODD = [
    (somebodys, "belongs to user 12345"),
    (loose, "can be written by others"),
    (pipe, "is a device, a pipe or a socket, not a file"),
    (link, "is a symbolic link, not a file"),
    (directory, "is a directory, not a file"),
]


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("name", ["second.state", "second.journal", "lock"])
@pytest.mark.parametrize(("become", "said"), ODD)
def test_what_lies_there_and_isnt_ours_is_neither_believed_nor_waited_for(
    private_host: Path, name: str, become: Callable[[Path], None], said: str, check: bool
) -> None:
    engine.run(SMALL)
    path = Path("/var/lib/hostwire", name)
    if name == "second.journal":
        path.write_bytes(Path("/var/lib/hostwire/second.state").read_bytes())
        path.chmod(0o600)
    become(path)
    more: Document = {**SMALL, "namespaces": [{"name": "grey"}, {"name": "black"}]}
    if name == "lock" and check:
        assert engine.run(more, check=True).changed  # it isn't looked at
        return
    with pytest.raises(Conflict, match=f"{path} {said}"):
        engine.run(more, check=check)
    assert os.listdir("/run/netns") == ["grey"]


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("become", [become for become, dummy in ODD])
@pytest.mark.parametrize("kind", ["names", "hosts"])
def test_what_modules_of_names_remember_is_looked_at_the_same_way(
    private_host: Path, kind: str, become: Callable[[Path], None], check: bool
) -> None:
    entries = [{"address": "10.0.0.5", "names": ["db"]}]
    hosts = private_host / "hosts"
    hosts.write_text("127.0.0.1 localhost\n")
    os.mkdir("/var/lib/hostwire", 0o700)
    journal = f"hosts.{hashlib.sha256(os.fsencode(hosts)).hexdigest()[:16]}.steps"
    path = Path("/var/lib/hostwire", "names.names" if kind == "names" else journal)
    path.touch(0o600)
    become(path)
    if kind == "names":
        answer = call("guest_names", check=check, namespaces=["red"], entries=entries)
    else:
        answer = call("hosts_file", check=check, path=str(hosts), entries=entries)
    assert (answer["failed"], answer["kind"]) == (True, "conflict")
    assert str(path) in answer["msg"]
    assert hosts.read_text() == "127.0.0.1 localhost\n"


@pytest.mark.parametrize("check", [True, False])
def test_a_link_to_somebody_elses_directory_is_refused_and_one_to_roots_is_not(private_host: Path, check: bool) -> None:
    engine.run(SMALL)
    os.rename("/var/lib/hostwire", "/var/lib/real")
    os.symlink("/var/lib/real", "/var/lib/hostwire")
    assert engine.run(SMALL, check=check).plan == ()
    os.chown("/var/lib/real", 12345, 12345)
    with pytest.raises(Conflict, match="/var/lib/hostwire belongs to user 12345"):
        engine.run(SMALL, check=check)
    os.chown("/var/lib/real", 0, 0)
    os.chown("/var/lib/hostwire", 12345, 12345, follow_symlinks=False)
    with pytest.raises(Conflict, match="hostwire in it is a symbolic link that user 12345 can lead elsewhere"):
        engine.run(SMALL, check=check)


@contextlib.contextmanager
def small_disk(*remount: str) -> Iterator[None]:
    """The state directory is a file system of four pages of its own."""
    os.mkdir("/var/lib/hostwire")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k,mode=0700", "tmpfs", "/var/lib/hostwire"], check=True)
    for option in remount:
        subprocess.run(["mount", "-o", option, "/var/lib/hostwire"], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "/var/lib/hostwire"], check=True)


SMALL: Document = {"name": "second", "namespaces": [{"name": "grey"}]}


def test_of_two_runs_at_once_the_second_waits_for_the_first(private_host: Path) -> None:
    begin(None)
    orders: List[str] = []
    with in_the_middle_of_a_run() as release:
        waiting = threading.Timer(0.3, lambda: (orders.append("first released"), release()))
        waiting.start()
        engine.run(SMALL)
        orders.append("second done")
    assert orders == ["first released", "second done"]


def test_a_wait_for_the_lock_ends_with_the_holders_name(private_host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin(None)
    monkeypatch.setattr(state_directory, "LOCK_SECONDS", 0.2)
    with in_the_middle_of_a_run() as release:
        with pytest.raises(Conflict, match=r"another run holds this host's lock: process \d+, document 'main', since "):
            engine.run(SMALL)
        assert engine.run(SMALL, check=True).changed
        release()


@contextlib.contextmanager
def in_the_middle_of_a_run() -> Iterator[Callable[[], None]]:
    """Another process applies the first document, and goes on when it is let."""
    begun, go_on = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        try:

            def pause(position: int, when: str) -> None:
                if (position, when) == (5, "before"):
                    os.write(begun[1], b"!")
                    os.read(go_on[0], 1)

            apply(world.FIRST, pause)
        finally:
            os._exit(0)
    os.read(begun[0], 1)
    yield lambda: os.write(go_on[1], b"!") and None
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    for fd in (*begun, *go_on):
        os.close(fd)
