# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts for the jobs that keep no document: a hosts file, the names of guests, Docker's chains; and faults for runs."""

from __future__ import annotations

import errno
import json
import mmap
import os
import shutil
import signal
import struct
import subprocess
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Protocol, Tuple

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils.apply import runner
from ansible_collections.hostwire.linux.plugins.module_utils.apply.executor import Executor
from ansible_collections.hostwire.linux.plugins.module_utils.docker_api import Api
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.rules import access
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.rules import run as chains
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.rules.reading import Asked
from ansible_collections.hostwire.linux.plugins.module_utils.errors import KernelRefused
from ansible_collections.hostwire.linux.plugins.module_utils.firewall import programs
from ansible_collections.hostwire.linux.plugins.module_utils.firewall.tables import parse
from ansible_collections.hostwire.linux.plugins.module_utils.guest_names import places
from ansible_collections.hostwire.linux.plugins.module_utils.guest_names import run as names
from ansible_collections.hostwire.linux.plugins.module_utils.hosts_file import run as hosts
from ansible_collections.hostwire.linux.plugins.module_utils.spot import Spot
from ansible_collections.hostwire.linux.tests.unit.docker_recordings import DIRECTORY, recording

STATE = Path("/var/lib/hostwire")
HOSTS = b"127.0.0.1 localhost\n172.17.0.2 0123456789ab\n"
FIRST = [{"address": "10.0.2.12", "names": ["localdb"]}, {"address": "fd00:2::12", "names": ["localdb"]}]
SECOND = [{"address": "10.0.2.13", "names": ["localdb", "more"]}]
Image = Dict[str, object]


class World(Protocol):
    """A host on which a job runs; ``wish`` is first, second or absent. ``weight``: how much longer it takes."""

    name: str
    weight: int

    def reset(self) -> None:
        """Make it as it was before the collection came."""

    def run(self, wish: str, check: bool = False) -> Tuple[str, ...]:
        """The plan of a run, carried out unless ``check``."""

    def image(self) -> Image:
        """All that such runs may change."""


def forget_state() -> None:
    shutil.rmtree(STATE, ignore_errors=True)


def state() -> Image:
    files = {str(path): path.read_bytes() for path in STATE.glob("*")} if STATE.is_dir() else {}
    return {path: content for path, content in files.items() if not path.endswith("/lock")}


def below(directory: Path) -> Image:
    """Files and directories, also hidden ones."""
    found = sorted(directory.rglob("*")) if directory.is_dir() else []
    return {str(path): path.read_bytes() if path.is_file() else None for path in found}


class HostsFile:
    """A file in a directory of its own."""

    name = "file"
    weight = 1

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "hosts"
        self.directory.mkdir()
        self.path = self.directory / "hosts"

    def reset(self) -> None:
        forget_state()
        shutil.rmtree(self.directory)
        self.directory.mkdir()
        self.path.write_bytes(HOSTS)

    def run(self, wish: str, check: bool = False) -> Tuple[str, ...]:
        entries = {"first": FIRST, "second": SECOND, "absent": []}[wish]
        return hosts.run(str(self.path), "tasks", entries, present=wish != "absent", check=check).plan

    def image(self) -> Image:
        return {**below(self.directory), **state()}


class MountedHostsFile(HostsFile):
    """One that is mounted, and so can only be written in place."""

    name = "mounted file"

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.behind = directory / "behind"
        self.behind.write_bytes(HOSTS)
        self.path.touch()
        subprocess.run(["mount", "--bind", self.behind, self.path], check=True)

    def reset(self) -> None:
        forget_state()
        self.behind.write_bytes(HOSTS)


class GuestNames:
    """Two namespaces, of which one has a file already, the host, and a container."""

    name = "names"
    weight = 3

    def __init__(self, directory: Path, patch: pytest.MonkeyPatch) -> None:
        self.container = directory / "container"
        self.container.mkdir()
        found = [
            places.Place(str(self.container / kind), kind, f"container web: /etc/{kind}", mounted=True)
            for kind in (places.HOSTS, places.RESOLVER)
        ]
        patch.setattr(places, "of_containers", lambda asked, _socket: found if asked else [])

    def reset(self) -> None:
        forget_state()
        shutil.rmtree("/etc/netns", ignore_errors=True)
        Path("/etc/netns/red").mkdir(parents=True)
        Path("/etc/netns/red/hosts").write_bytes(b"127.0.0.1 localhost\n10.7.7.7 mine\n")
        Path("/etc/hosts").write_bytes(HOSTS)
        for path in self.container.iterdir():
            path.unlink()
        (self.container / "hosts").write_bytes(HOSTS)
        (self.container / "resolv.conf").write_text("nameserver 192.0.2.1\nsearch office.example")

    def run(self, wish: str, check: bool = False) -> Tuple[str, ...]:
        asked = {
            "first": names.Asked("names", namespaces=["red", "blue"], containers=["web"], host=True, entries=FIRST),
            "second": names.Asked(
                "names", namespaces=["blue"], containers=["web"], entries=SECOND, nameservers=["10.0.2.15"]
            ),
            "absent": names.Asked("names", "absent"),
        }[wish]
        return names.run(asked, check=check).plan

    def image(self) -> Image:
        return {
            **below(Path("/etc/netns")),
            "hosts": Path("/etc/hosts").read_bytes(),
            **below(self.container),
            **state(),
        }


RECORDED = {"nft": "26.1-six", "legacy": "28.5-six"}
DENY = {"action": "deny", "port": "8080"}
ALLOW = {
    "action": "allow",
    "port": "8000-8090",
    "sources": ["192.0.2.1/32"],
    "interface": "eth0",
    "destination": "198.51.100.1",
}
FOREIGN = (
    ("filter", "FORWARD", "-s 203.0.113.7/32 -j DROP"),
    ("filter", "DOCKER-USER", "-s 203.0.113.8/32 -j DROP"),
    ("nat", "POSTROUTING", "-s 203.0.113.9/32 -j RETURN"),
)


class DockersChains:
    """The rules that a real engine wrote, damaged, with rules of others among them.

    One of the user's rules is of a kind that iptables can't delete as it shows it.
    """

    weight = 10

    def __init__(self, backend: str, patch: pytest.MonkeyPatch) -> None:
        engine = RECORDED[backend]
        found = recording(engine)
        self.name = f"chains {backend}"
        patch.setattr(chains, "read_engine", lambda _api: found.engine)
        patch.setattr(chains, "read_configuration", lambda: None)
        options = Asked(found.options.userland_proxy, ip6tables=found.options.ip6tables)
        patch.setattr(chains, "asked", lambda _configuration, _engine: options)
        read = json.loads((DIRECTORY / f"{engine}.json").read_text())
        self._texts = {"iptables": read["ipv4"], "ip6tables": read["ipv6"]}

    def reset(self) -> None:
        forget_state()
        for program, lines in self._texts.items():
            text = "\n".join(line for line in self._damaged(lines) if not line.startswith("#"))
            subprocess.run([f"{program}-restore"], input=text + "\n", text=True, check=True)
        for table, chain, rule in FOREIGN:
            subprocess.run(["iptables", "-t", table, "-I", chain, *rule.split()], check=True)

    @staticmethod
    def _damaged(lines: List[str]) -> List[str]:
        """Without each seventh rule, one moved to the end of its table and one twice."""
        kept: List[str] = []
        rules = 0
        for line in lines:
            rules += line.startswith("-A ")
            if line.startswith("-A ") and rules % 7 == 3:
                continue
            kept.append(line)
            if "MASQUERADE" in line and rules % 2:
                kept.append(line)
        return kept

    def run(self, wish: str, check: bool = False) -> Tuple[str, ...]:
        asked = {
            "first": chains.Wish(rules=access.parse([DENY])),
            "second": chains.Wish(rules=access.parse([ALLOW, DENY])),
            "absent": chains.Wish(absent=True),
        }[wish]
        return chains.run(asked, check, Api("/nowhere")).plan

    def image(self) -> Image:
        found: Image = {}
        for program in ("iptables", "ip6tables"):
            ran = subprocess.run([f"{program}-save"], capture_output=True, text=True, check=True)
            for table, there in parse(ran.stdout).items():
                found.update({f"{program} {table} {chain}": lines for chain, lines in there.items()})
        return {**found, **state()}


# What befalls a run. ``strike`` is called before and after each call, and may raise, or end the process.

Strike = Callable[[str, str], None]
_CALLS = ("open", "rename", "unlink", "fsync", "mkdir", "rmdir", "chmod", "fchmod", "fchown")


class Count:
    """Calls so far, seen by the process that forked, too."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 16)

    def value(self) -> int:
        return int(struct.unpack("=Q", self._memory[:8])[0])

    def add(self) -> int:
        self._memory[:8] = struct.pack("=Q", self.value() + 1)
        return self.value()


def watched(strike: Strike) -> None:
    """Have ``strike`` called before and after whatever changes a host, and amid a write in place."""
    for name in _CALLS:
        setattr(os, name, _around(getattr(os, name), name, strike))
    real_run = programs.run

    def run(command: List[str], *arguments: Any, **options: Any) -> Any:
        if "restore" not in os.path.basename(command[0]):
            return real_run(command, *arguments, **options)
        return _around(real_run, "restore", strike)(command, *arguments, **options)

    programs.run = run
    real_overwrite = Spot.overwrite

    def overwrite(spot: Spot, content: bytes) -> None:
        strike("overwrite", "before")
        with open(spot.path, "r+b") as file:
            file.write(content[: len(content) // 2])
        strike("overwrite", "half")
        real_overwrite(spot, content)
        strike("overwrite", "after")

    Spot.overwrite = overwrite  # type: ignore[method-assign]


def _around(real: Callable[..., Any], name: str, strike: Strike) -> Callable[..., Any]:
    def call(*arguments: Any, **options: Any) -> Any:
        strike(name, "before")
        result = real(*arguments, **options)
        strike(name, "after")
        return result

    return call


def killed_at(number: int, count: Count, *, undoing: bool = False) -> None:
    """End this process by SIGKILL at the n-th of these points, from 1; with ``undoing`` of those of the way back."""
    on = [not undoing]

    def strike(_name: str, _when: str) -> None:
        if on[0] and count.add() == number:
            os.kill(os.getpid(), signal.SIGKILL)

    watched(strike)
    if undoing:
        real = runner.undisturbed

        def undisturbed() -> Any:
            on[0] = True
            return real()

        runner.undisturbed = undisturbed


def fails_in_the_end() -> None:
    """Make a run of this process fail once all is done."""
    real = Executor.run

    def run(executor: Executor, work: Any) -> None:
        real(executor, work)
        if not executor._tolerant:
            raise KernelRefused("the end", errno.EIO)

    Executor.run = run  # type: ignore[method-assign]


def _refused(name: str, number: int) -> Callable[[Callable[[], bool]], None]:
    def install(strikes: Callable[[], bool]) -> None:
        real = getattr(os, name)

        def call(*arguments: Any, **options: Any) -> Any:
            if strikes():
                raise OSError(number, os.strerror(number))
            return real(*arguments, **options)

        setattr(os, name, call)

    return install


def _no_room(strikes: Callable[[], bool]) -> None:
    """Half of a text is written, and then the disk is full."""
    real = os.fdopen

    class File:
        def __init__(self, file: Any) -> None:
            self.file = file

        def __enter__(self) -> Any:
            self.file.__enter__()
            return self

        def __exit__(self, *error: object) -> None:
            self.file.__exit__(*error)

        def __getattr__(self, name: str) -> Any:
            return getattr(self.file, name)

        def write(self, content: bytes) -> None:
            if strikes():
                self.file.write(content[: len(content) // 2])
                self.file.flush()
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self.file.write(content)

    def fdopen(descriptor: int, mode: str = "r", **options: Any) -> Any:
        file = real(descriptor, mode, **options)
        return File(file) if mode in ("wb", "r+b") else file

    os.fdopen = fdopen  # type: ignore[assignment]


def _program(verb: str, script: Optional[str], status: int) -> Callable[[Callable[[], bool]], None]:
    """A program does nothing, or all (``script`` None), and ends with this status."""

    def install(strikes: Callable[[], bool]) -> None:
        class Faulty(subprocess.Popen):  # type: ignore[type-arg]
            def __init__(self, command: List[str], **options: Any) -> None:
                if command[0].endswith(verb) and strikes():
                    does = " ".join(command) if script is None else script
                    command = ["/bin/sh", "-c", f"{does}; exit {status}"]
                super().__init__(command, **options)

        subprocess.Popen = Faulty  # type: ignore[misc]

    return install


FAULTS: Dict[str, Callable[[Callable[[], bool]], None]] = {
    "fsync: EIO": _refused("fsync", errno.EIO),
    "rename: EBUSY": _refused("rename", errno.EBUSY),
    "rename: EROFS": _refused("rename", errno.EROFS),
    "unlink: EIO": _refused("unlink", errno.EIO),
    "open: EMFILE": _refused("open", errno.EMFILE),
    "listdir: EMFILE": _refused("listdir", errno.EMFILE),
    "write: ENOSPC": _no_room,
}
OF_PROGRAMS: Dict[str, Callable[[Callable[[], bool]], None]] = {
    "restore: exit 1": _program("-restore", "cat >/dev/null; echo no >&2", 1),
    "restore: exit 4": _program("-restore", "cat >/dev/null; echo busy >&2", 4),
    "restore: done and exit 4": _program("-restore", None, 4),
    "restore: exit 0 without doing": _program("-restore", "cat >/dev/null", 0),
    "save: exit 1": _program("-save", "echo no >&2", 1),
}
