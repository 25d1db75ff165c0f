# SPDX-License-Identifier: GPL-3.0-or-later
"""Hazard 43: a hosts file that is a mount point, as in a container, can't be replaced, and is written in place."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
from pathlib import Path

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import spot
from ansible_collections.hostwire.linux.plugins.module_utils.hosts_file import run
from ansible_collections.hostwire.linux.tests.in_process import call

HOSTS = Path("/etc/hosts")
BEFORE = b"127.0.0.1 localhost\n172.17.0.2 0123456789ab\n"
ENTRIES = [{"address": "10.0.2.12", "names": ["localdb"]}, {"address": "fd00:2::12", "names": ["localdb"]}]


@pytest.fixture
def mounted(private_host: Path) -> Path:
    """The file behind /etc/hosts, as a container's engine keeps it elsewhere."""
    behind = private_host / "hosts-of-container"
    behind.write_bytes(BEFORE)
    HOSTS.touch()
    subprocess.run(["mount", "--bind", behind, HOSTS], check=True)
    return behind


def test_43_a_mount_point_is_written_in_place(mounted: Path) -> None:
    predicted = call("hosts_file", check=True, entries=ENTRIES)
    assert mounted.read_bytes() == BEFORE
    done = call("hosts_file", entries=ENTRIES)
    assert (done["changed"], done["plan"]) == (True, predicted["plan"])
    assert done["diff"] == predicted["diff"]
    assert mounted.read_bytes() == HOSTS.read_bytes() != BEFORE
    assert call("hosts_file", entries=ENTRIES)["changed"] is False
    assert call("hosts_file", state="absent")["changed"] is True
    assert mounted.read_bytes() == BEFORE
    assert not list(Path("/var/lib/hostwire").glob("hosts.*"))


def killed_in_mid_write(monkeypatch: pytest.MonkeyPatch, left: bytes) -> None:
    """A run ends by a signal while it writes, and leaves this in the file."""
    child = os.fork()
    if child == 0:

        def cut_short(file: int, operation: int) -> None:
            HOSTS.write_bytes(left)
            os.kill(os.getpid(), signal.SIGKILL)

        monkeypatch.setattr(spot, "fcntl", type("", (), {"flock": cut_short, "LOCK_EX": 2}))
        try:
            run.run(str(HOSTS), "tasks", ENTRIES)
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert HOSTS.read_bytes() == left


@pytest.mark.parametrize("torn", [b"", b"127.0.0.1 loc", BEFORE + b"# hostwire begin tasks\n10.0.2.12 lo"])
def test_43_a_write_in_place_that_was_cut_short_is_finished_by_the_next_run(
    mounted: Path, monkeypatch: pytest.MonkeyPatch, torn: bytes
) -> None:
    killed_in_mid_write(monkeypatch, torn)
    predicted = call("hosts_file", check=True, entries=ENTRIES)
    assert predicted["plan"][0] == "/etc/hosts: finish what a run that was killed left half-written"
    assert call("hosts_file", entries=ENTRIES)["plan"] == predicted["plan"]
    assert mounted.read_bytes().startswith(BEFORE)
    assert call("hosts_file", entries=ENTRIES)["changed"] is False
    call("hosts_file", state="absent")
    assert mounted.read_bytes() == BEFORE


def test_43_what_others_wrote_after_a_run_was_killed_stays(mounted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container that is started again has another address, and its hosts file anew."""
    killed_in_mid_write(monkeypatch, b"127.0.0.1 loc")
    since = BEFORE.replace(b"172.17.0.2", b"172.17.0.3")
    mounted.write_bytes(since)
    assert call("hosts_file", entries=ENTRIES)["changed"] is True
    assert mounted.read_bytes().startswith(since)
    assert call("hosts_file", state="absent")["changed"] is True
    assert mounted.read_bytes() == since
    assert not list(Path("/var/lib/hostwire").glob("hosts.*"))


def test_a_write_in_place_without_room_leaves_the_file_as_it_was(private_host: Path) -> None:
    disk = private_host / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", disk], check=True)
    before = BEFORE + b"#" * (4 * 4096 - len(BEFORE) - 1) + b"\n"  # four pages: there is no fifth
    (disk / "hosts").write_bytes(before)
    HOSTS.touch()
    subprocess.run(["mount", "--bind", disk / "hosts", HOSTS], check=True)
    refused = call("hosts_file", entries=ENTRIES)
    assert refused["msg"] == "file /etc/hosts: write in place: the kernel refused: No space left on device (ENOSPC)"
    assert HOSTS.read_bytes() == before
    assert not list(Path("/var/lib/hostwire").glob("hosts.*"))


def test_a_file_that_is_replaced_keeps_its_access_list(private_host: Path) -> None:
    path = private_host / "hosts"
    path.write_bytes(BEFORE)
    # Version 2; the owner rw, user 65534 r, the group r, the mask r, others nothing (linux/posix_acl_xattr.h).
    entries = ((1, 6, -1), (2, 4, 65534), (4, 4, -1), (16, 4, -1), (32, 0, -1))
    given = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in entries)
    os.setxattr(path, "system.posix_acl_access", given)
    call("hosts_file", path=str(path), entries=ENTRIES)
    assert path.read_bytes() != BEFORE
    assert os.getxattr(path, "system.posix_acl_access") == given
