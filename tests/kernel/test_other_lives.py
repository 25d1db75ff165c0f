# SPDX-License-Identifier: GPL-3.0-or-later
"""Records that outlive what they tell of: a container that is started again, a reboot. What others made is theirs."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from pathlib import Path
from typing import Dict, Iterator, List, Tuple

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils.errors import Conflict
from ansible_collections.hostwire.linux.tests.kernel import private, world
from ansible_collections.hostwire.linux.tests.kernel.steps import killed
from ansible_collections.hostwire.linux.tests.kernel.test_records import (
    DIRECTORY,
    FIRST,
    NOTHING,
    SMALLER,
    damage,
    indexes,
    run,
    same,
    whole,
)


class Restart:
    """A container that is started again: another network on the same boot, the same /var/lib."""

    def __init__(self) -> None:
        self._kept: Dict[str, bytes] = {}

    def end(self) -> None:
        self._kept = {path.name: path.read_bytes() for path in DIRECTORY.iterdir() if path.is_file()}

    def begin(self) -> None:
        DIRECTORY.mkdir(mode=0o700)
        for name, content in self._kept.items():
            (DIRECTORY / name).write_bytes(content)
            (DIRECTORY / name).chmod(0o600)


@contextlib.contextmanager
def first_life(interrupted: bool) -> Iterator[Tuple[Restart, List[Tuple[str, int]]]]:
    """What is remembered of a first life, and the links in it with their indexes."""
    restart = Restart()
    with private.private_host():
        world.build_surroundings()
        run({**FIRST, "interfaces": [{"name": "eth0", "addresses": ["192.168.1.77/24"], "mtu": 1490}]})
        links = [(name, index) for index, name in ((i, n) for i, n in indexes()) if name in ("sw0", "v-red", "tap0")]
        if interrupted:
            killed(NOTHING, 1, "after")
        restart.end()
    yield restart, links


@pytest.mark.parametrize("network", ["known", "unknown"])
@pytest.mark.parametrize("interrupted", [False, True], ids=["whole", "killed"])
def test_in_another_life_what_others_made_of_the_old_numbers_is_theirs(interrupted: bool, network: str) -> None:
    with first_life(interrupted) as (restart, links), private.private_host():
        world.build_surroundings()
        for name, index in links:
            subprocess.run(["ip", "link", "add", name, "index", str(index), "type", "bridge"], check=True)
        subprocess.run(["ip", "netns", "add", "red"], check=True)
        os.makedirs("/etc/netns/red")
        Path("/etc/netns/red/hosts").write_text("127.0.0.1 mine\n")
        restart.begin()
        if network == "unknown":  # by a version that knew the boot only: links and namespaces are told by marks anyway
            for path in DIRECTORY.glob("main.*"):
                found = json.loads(path.read_text())
                del found["network"], found["seal"]
                damage(path, json.dumps(found))
        else:
            subprocess.run(["sysctl", "-qw", "net.ipv4.ip_forward=1"], check=True)
            subprocess.run(["ip", "addr", "add", "192.168.1.77/24", "dev", "eth0"], check=True)
            subprocess.run(["ip", "link", "set", "eth0", "mtu", "1490"], check=True)
        before = whole()
        with contextlib.suppress(Conflict):
            run(SMALLER)
        assert same(before)
        with contextlib.suppress(Conflict):
            run(NOTHING)
        if network == "known":
            assert not (DIRECTORY / "main.state").exists()
        assert same(before)


def test_rules_that_were_saved_over_a_reboot_go_with_their_document(private_host: Path) -> None:
    restart = Restart()
    document = {**FIRST, "routes": []}
    with private.private_host():
        run(document)
        saved = subprocess.run(["iptables-save"], check=True, capture_output=True, text=True).stdout
        restart.end()
    subprocess.run(["iptables-restore"], input=saved, check=True, text=True)
    restart.begin()
    run(NOTHING)
    assert [line for line in world.rules().splitlines() if line.startswith("-A")] == []
