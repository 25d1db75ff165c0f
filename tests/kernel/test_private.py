# SPDX-License-Identifier: GPL-3.0-or-later
"""A test's private host has nothing of the machine's: what is set up there can't make a test right or wrong."""

from __future__ import annotations

import os
import pwd
import subprocess
from pathlib import Path

from ansible_collections.hostwire.linux.tests.kernel import private


def machine(line: str) -> None:
    """Something that the machine, which is a private host itself here, has in its /etc."""
    for path in ("netns/red/hosts", "dnsmasq.conf", "sysctl.d/99-own.conf", "iproute2/rt_tables", "docker/daemon.json"):
        (Path("/etc") / path).parent.mkdir(parents=True, exist_ok=True)
        (Path("/etc") / path).write_text(line)
    for path in ("hosts", "resolv.conf", "passwd"):
        with (Path("/etc") / path).open("a") as file:
            file.write(line)


def test_nothing_of_the_machines_etc_is_there() -> None:
    with private.private_host():
        bare = sorted(os.listdir("/etc"))
        machine("10.0.0.1 machine\n")
        with private.private_host():
            assert sorted(os.listdir("/etc")) == bare
            assert "netns" not in bare
            assert not [path for path in Path("/etc").iterdir() if path.is_file() and b"machine" in path.read_bytes()]
            Path("/etc/hosts").write_text("")
        assert "10.0.0.1 machine" in Path("/etc/hosts").read_text(), "and nothing goes back"


def test_the_machines_programs_are_found_all_the_same(private_host: Path) -> None:
    for program in ("iptables", "ip6tables", "ip", "python3"):
        subprocess.run([program, "--version" if program != "ip" else "-V"], check=True, capture_output=True)
    assert pwd.getpwnam("nobody").pw_uid == 65534
    assert os.stat("/etc").st_mode & 0o7777 == 0o755
