# SPDX-License-Identifier: GPL-3.0-or-later
"""The README's way to a first host, followed to the letter: from a clean directory, with an empty home."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Iterator, List, NamedTuple

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SECTION = re.search(
    r"^## On real hosts\n(.*?)^\| what \| for \|", (REPOSITORY / "README.md").read_text(), re.MULTILINE | re.DOTALL
)
assert SECTION is not None
COMMANDS = re.findall(r"^\$ (.*)$", SECTION[1], re.MULTILINE)
FILES = dict(re.findall(r"^```yaml\n# (\S+)\n(.*?)^```", SECTION[1], re.MULTILINE | re.DOTALL))
RECAP = re.compile(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)", re.MULTILINE)
HOST = "web1.example.org"
STATE = Path("/var/lib/hostwire")


class User(NamedTuple):
    """Somebody who read the README, with a checkout and a directory of their own."""

    home: Path
    checkout: Path
    own: Path

    def run(self, command: str, directory: Path) -> str:
        """What a command of the README prints; it has to go well."""
        done = self.tried(command, directory)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def tried(self, command: str, directory: Path) -> subprocess.CompletedProcess[str]:
        """Nothing of this machine's or this test's settings is handed on but the programs."""
        path = f"{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/sbin:/bin"
        environment = {"HOME": str(self.home), "PATH": path, "LANG": "C.UTF-8", "USER": "root", "ANSIBLE_NOCOLOR": "1"}
        return subprocess.run(
            ["bash", "-ec", command], cwd=directory, env=environment, check=False, capture_output=True, text=True
        )


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> User:
    """The collection built and installed by the README's command, from a checkout of what is committed or will be."""
    top = tmp_path_factory.mktemp("readme")
    user = User(top / "home", top / "checkout", top / "own")
    for path in user:
        path.mkdir()
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(listing, cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if (REPOSITORY / name).is_file():
            (user.checkout / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, user.checkout / name)
    link = user.checkout / "build/ansible_collections/hostwire"  # as `make` leaves it
    link.mkdir(parents=True)
    (link / "linux").symlink_to("../../..")
    (command,) = [command for command in COMMANDS if "ansible-galaxy" in command]
    user.run(command, user.checkout)
    return user


@pytest.fixture
def user(installed: User, private_host: Path) -> Iterator[User]:
    """The same user, whose host is this test's private one."""
    for name, content in FILES.items():
        (installed.own / name).parent.mkdir(exist_ok=True)
        (installed.own / name).write_text(content)
    here = {"ansible_connection": "local", "ansible_user": "root", "ansible_python_interpreter": sys.executable}
    here["ansible_pipelining"] = "true"
    (installed.own / "group_vars").mkdir()
    (installed.own / "group_vars" / "all.json").write_text(json.dumps(here))
    yield installed
    shutil.rmtree(installed.own)
    installed.own.mkdir()


def commands(word: str) -> List[str]:
    """The README's commands with this word, in their order."""
    found = [command.partition("#")[0].strip() for command in COMMANDS if word in command.partition("#")[0].split()]
    assert found, f"the README has no command with {word}"
    return found


def changed(printed: str) -> int:
    recap = dict(RECAP.findall(printed))
    assert set(recap) == {HOST}, printed
    return int(recap[HOST])


def addresses() -> str:
    return subprocess.run(["ip", "-brief", "address"], check=True, capture_output=True, text=True).stdout


@pytest.mark.slow
def test_install_look_apply_change_and_remove(user: User) -> None:
    look, apply = commands("hostwire.linux.site")
    assert "192.168.15.5/24" in user.run(look, user.own)
    assert "v-net-0" not in addresses()
    assert changed(user.run(apply, user.own)) == 1
    assert "192.168.15.5/24" in addresses()

    document = user.own / "host_vars" / f"{HOST}.yml"
    document.write_text(document.read_text().replace("192.168.15.5", "192.168.15.6"))
    assert changed(user.run(apply, user.own)) == 1
    assert "192.168.15.6/24" in addresses()
    assert "192.168.15.5/24" not in addresses()

    assert "192.168.15.6/24" in user.run(*commands("hostwire.linux.report"), user.own)
    assert changed(user.run(*commands("hostwire.linux.teardown"), user.own)) == 1
    assert addresses().split()[0] == "lo"
    assert len(addresses().splitlines()) == 1
    assert [path.name for path in STATE.iterdir() if path.suffix in (".state", ".journal")] == []


def test_installing_once_more_and_beside_a_link_of_the_checkouts_own(installed: User) -> None:
    (command,) = commands("ansible-galaxy")
    user = installed
    assert (user.home / ".ansible/collections/ansible_collections/hostwire/linux/MANIFEST.json").is_file()
    assert (user.checkout / "build/ansible_collections/hostwire/linux").is_symlink(), (
        "it was installed into the checkout"
    )
    user.run(command, user.checkout)
    assert "hostwire.linux" in user.run("ansible-galaxy collection list hostwire.linux", user.own)


def test_what_pip_is_to_bring_is_named() -> None:
    named = [line.partition(">")[0].strip() for line in (REPOSITORY / "requirements.txt").read_text().splitlines()]
    assert SECTION is not None
    assert all(name in SECTION[1] for name in named if name and not name.startswith("#"))


@pytest.mark.parametrize("playbook", ["site", "report", "teardown", "docker_readdress", "docker_readdress_rollback"])
def test_a_host_in_no_group_is_told_so(user: User, playbook: str) -> None:
    """Nothing done must not look like all is well."""
    (user.own / "inventory.yml").write_text(f"ungrouped: {{hosts: {{{HOST}: }}}}\n")
    done = user.tried(f"ansible-playbook -i inventory.yml hostwire.linux.{playbook}", user.own)
    assert done.returncode != 0
    assert "none of these hosts is in a group of this playbook" in " ".join(done.stdout.split())
    assert HOST in done.stdout


@pytest.mark.slow
def test_the_lab_of_the_installed_collection(installed: User, private_host: Path) -> None:
    make, gone = commands("hostwire.linux.lab")
    assert installed.run(make, installed.own).count("failed=0") > 0
    assert (installed.home / ".cache/hostwire-lab/lab.json").is_file()
    installed.run(gone, installed.own)
    assert not (installed.home / ".cache/hostwire-lab/lab.json").exists()
    assert os.listdir("/run/netns") == []
