# SPDX-License-Identifier: GPL-3.0-or-later
"""`make lab` from a fresh clone, as root and as an unprivileged user; the machine's own network stays as it is."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Iterator, NamedTuple

import pytest

from ansible_collections.hostwire.linux.tests.lab import machine

REPOSITORY = Path(__file__).resolve().parents[2]
NOBODY = 65534
RECAP = re.compile(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# Guest networks as measured: guest to host, host to guest, guest to guest, guest to LAN, LAN to guest.
TABLE = [
    ["home", "bridged", "yes", "yes", "yes", "yes", "yes"],
    ["hotel", "nat", "yes", "port only", "no", "yes", "port only"],
    ["shared", "nat_network", "yes", "port only", "yes", "yes", "port only"],
    ["vault", "internal", "no", "no", "yes", "no", "no"],
    ["desk", "host_only", "yes", "yes", "yes", "no", "no"],
    ["branch", "routed", "yes", "yes", "yes", "yes", "yes"],
]
MODES = tuple(f"{row[0]} " for row in TABLE)

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root can become somebody else and read the machine's firewall"
)


class Clone(NamedTuple):
    """A fresh clone, and who works in it."""

    path: Path
    become: list[str]

    def make(self, target: str) -> str:
        """Run make; returns what it printed."""
        inherited = {
            name: value for name, value in os.environ.items() if name.startswith(("PIP_", "http", "HTTP", "SSL_"))
        }
        environment = {**inherited, "HOME": str(self.path / "home"), "PATH": SYSTEM_PATH, "LANG": "C.UTF-8"}
        done = subprocess.run(
            [*self.become, "make", target],
            cwd=self.path / "clone",
            env=environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
        return done.stdout


@pytest.fixture(params=["root", "unprivileged"])
def clone(request: pytest.FixtureRequest) -> Iterator[Clone]:
    """A clone that its user alone can write, with a home directory that is empty."""
    path = Path(tempfile.mkdtemp(prefix="hostwire-clone-"))
    path.chmod(0o755)
    (path / "home").mkdir()
    subprocess.run(["git", "clone", "--quiet", str(REPOSITORY), str(path / "clone")], check=True)
    become = []
    if request.param == "unprivileged":
        subprocess.run(["chown", "-R", f"{NOBODY}:{NOBODY}", str(path / "home"), str(path / "clone")], check=True)
        become = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs"]
    yield Clone(path, become)
    shutil.rmtree(path)


def changes(printed: str) -> dict[str, int]:
    """How much changed on each host over all playbooks; fails if something went wrong on one."""
    counted: dict[str, int] = {}
    for host, changed, unreachable, failed in RECAP.findall(printed):
        assert (unreachable, failed) == ("0", "0"), printed[-3000:]
        counted[host] = counted.get(host, 0) + int(changed)
    return counted


def test_make_lab_twice_and_away_again(clone: Clone) -> None:
    network, sysctls = machine.own_network(), machine.own_sysctls()
    try:
        first = clone.make("lab")
        assert {"switchroom", "patchbay", "office", "a", "b", "c", "guests"} <= set(changes(first))
        assert changes(first)["patchbay"] > 0
        assert changes(first)["b"] > 0
        assert machine.own_network() == network
        second = clone.make("lab")
        assert set(changes(second)) == set(changes(first))
        assert set(changes(second).values()) == {0}
        for printed in (first, second):  # the matrix: who reaches whom, and who must not
            assert re.search(r"192\.168\.1\.2\b.*\b8080\b", printed)
            assert re.search(r"203\.0\.113\.174\b.*\bunreachable\b", printed)
            assert [re.split(r" {2,}", line) for line in printed.splitlines() if line.startswith(MODES)] == TABLE
            assert "All 30 cells of 6 guest networks are as their modes say, measured by" in printed
    finally:
        gone = clone.make("lab-gone")
    assert changes(gone) == {"switchroom": 1}
    assert not (clone.path / "home/.cache/hostwire-lab").exists()
    assert machine.own_network() == network
    assert machine.changed_sysctls(sysctls) == {}
