# SPDX-License-Identifier: GPL-3.0-or-later
"""Root's programs are never taken from the directory in which root happens to be, whatever PATH is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Optional

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import engine
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd import info, service
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.rules import listing
from ansible_collections.hostwire.linux.plugins.module_utils.errors import MissingOnHost
from ansible_collections.hostwire.linux.plugins.module_utils.firewall import iptables, natives
from ansible_collections.hostwire.linux.plugins.module_utils.search_path import search_path

USUAL = "/usr/sbin:/usr/bin"
# Each of them leads to the current directory, or to one below it, by the rules of execvp(3) or a shell.
CARELESS = [
    None,
    "",
    ":",
    f":{USUAL}",
    f"{USUAL}:",
    f"/usr/sbin::{USUAL}",
    f".:{USUAL}",
    f"./bin:{USUAL}",
    f"bin:{USUAL}",
]
FIREWALL = [
    f"{version}tables{backend}{verb}"
    for version in ("ip", "ip6")
    for backend in ("", "-nft", "-legacy")
    for verb in ("", "-save", "-restore")
]
DOCUMENT = {
    "bridges": [{"name": "sw0", "addresses": ["10.0.9.1/24", "fd00:9::1/64"]}],
    "masquerade": [{"source": "10.0.9.0/24"}, {"source": "fd00:9::/64"}],
}


@pytest.fixture
def trap(private_host: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current directory with programs of the names that root runs; the file returned tells which were run."""
    ran = private_host / "ran"
    for directory in (private_host / "cwd", private_host / "cwd" / "bin"):
        directory.mkdir()
        for name in [*FIREWALL, "nft", "dockerd", "systemctl", "service", "modprobe", "ip"]:
            path = directory / name
            path.write_text(f"#!/bin/sh\necho {name} >>{ran}\n")
            path.chmod(0o755)
    monkeypatch.chdir(private_host / "cwd")
    return ran


def careless(monkeypatch: pytest.MonkeyPatch, path: Optional[str]) -> None:
    if path is None:
        monkeypatch.delenv("PATH")
    else:
        monkeypatch.setenv("PATH", path)


@pytest.mark.parametrize("path", [None, "", f".:{USUAL}", f"bin:{USUAL}"])
def test_no_rule_is_made_by_a_program_from_here(
    trap: Path, monkeypatch: pytest.MonkeyPatch, path: Optional[str]
) -> None:
    iptables._backend_of.cache_clear()
    careless(monkeypatch, path)
    assert engine.run(DOCUMENT).changed
    assert engine.run(DOCUMENT).plan == ()
    natives.read(None)
    listing._native_tables()
    assert not trap.exists()


@pytest.mark.parametrize("path", CARELESS)
def test_no_docker_is_asked_or_started_from_here(
    trap: Path, monkeypatch: pytest.MonkeyPatch, path: Optional[str]
) -> None:
    careless(monkeypatch, path)
    if not info.installed():
        with pytest.raises(MissingOnHost, match="dockerd: no such program on this host"):
            service.flags()
    service.detect()
    assert not trap.exists()


@pytest.mark.parametrize("path", CARELESS)
def test_every_part_of_the_path_is_absolute(monkeypatch: pytest.MonkeyPatch, path: Optional[str]) -> None:
    careless(monkeypatch, path)
    parts = search_path().split(os.pathsep)
    assert all(os.path.isabs(part) for part in parts)
    assert {"/usr/sbin", "/sbin", "/usr/bin", "/bin"} < set(parts)
    assert len(parts) == len(set(parts))


def test_what_an_administrator_put_first_stays_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/opt/iptables/sbin::/usr/bin")
    assert search_path().startswith("/opt/iptables/sbin:/usr/bin:/usr/local/sbin:")


def test_nobody_else_can_put_a_program_where_one_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, everybodys, theirs, link = (tmp_path / name for name in ("ours", "everybodys", "theirs", "link"))
    for directory, mode in ((ours, 0o755), (everybodys, 0o1777), (theirs, 0o755)):
        directory.mkdir()
        directory.chmod(mode)
    link.symlink_to(everybodys)
    monkeypatch.chdir(everybodys)
    careless = [everybodys, link, "/proc/self/cwd"]
    if os.getuid() == 0:
        os.chown(theirs, 65534, -1)
        careless.append(theirs)
    monkeypatch.setenv("PATH", os.pathsep.join(str(path) for path in (ours, *careless, "/nowhere")))
    assert search_path().startswith(f"{ours}:/nowhere:/usr/local/sbin:")
