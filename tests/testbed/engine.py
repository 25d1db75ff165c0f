# SPDX-License-Identifier: GPL-3.0-or-later
"""A Docker engine of the tests' own, in namespaces where it can't touch the machine.

dockerd runs in a network, mount, PID, UTS and IPC namespace made for it: its bridge, chains and forwarding exist only
there, and ending the first process in there ends containers, mounts and links with it, however the tests ended.
"""

from __future__ import annotations

import hashlib
import os
import select
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import Optional

_SCRIPT = Path(__file__).with_name("engine.sh")
_ISOLATED = (
    "unshare",
    "--net",
    "--mount",
    "--propagation",
    "private",
    "--pid",
    "--fork",
    "--kill-child",
    "--mount-proc",
)
_START_SECONDS = 60.0


class TestbedError(Exception):
    """The test bed couldn't do what it was asked to; the text says what and why."""


class Engine:
    """The engine whose files are all in ``directory`` (at most 90 characters long: a socket lies in it)."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory.absolute()
        self.socket = f"unix://{self.directory}/docker.sock"
        self._cgroup = "hostwire-" + hashlib.sha256(bytes(self.directory)).hexdigest()[:8]
        self._first_process = self.directory / "first-process"
        self._started: Optional[subprocess.Popen[bytes]] = None  # where this process is the one that started it

    def running(self) -> bool:
        """Whether the engine that was started in this directory lives."""
        return self._pid() is not None

    def start(self) -> None:
        """Starts dockerd and waits until it serves; nothing happens if it runs already."""
        if self.running():
            return
        self.stop()  # what a killed run left
        self.directory.mkdir(parents=True, mode=0o700)
        (self.directory / "daemon.json").write_text("{}\n")
        log = self.directory / "log"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify, log.open("wb") as output:
            notify.bind(str(self.directory / "notify"))
            notify.settimeout(0.5)
            process = subprocess.Popen(
                [*_ISOLATED, "sh", str(_SCRIPT), str(self.directory), f"/{self._cgroup}"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C is for the tests; they then end the engine in order
            )
            self._started = process
            self._first_process.write_text(f"{process.pid} {_start_time(process.pid)}\n")
            for dummy in range(int(_START_SECONDS / 0.5)):
                if process.poll() is not None:
                    break
                try:
                    if b"READY=1" in notify.recv(4096):  # sd_notify(3)
                        return
                except TimeoutError:
                    continue
        message = log.read_text(errors="replace")[-2000:]
        self.stop()
        raise TestbedError(f"dockerd didn't start:\n{message}")

    def stop(self) -> None:
        """Ends the engine with all its containers and removes its directory and control groups."""
        outer = self._pid()
        if outer is not None:
            for child in Path(f"/proc/{outer}/task/{outer}/children").read_text().split():
                _kill(int(child))  # the namespace's first process: the kernel ends the others before it is gone
            _kill(outer)
        if self._started is not None:
            self._started.wait()
            self._started = None
        cgroups = Path("/sys/fs/cgroup")
        # One hierarchy with cgroup v2, one per controller with v1.
        for group in (*cgroups.glob(self._cgroup), *cgroups.glob(f"*/{self._cgroup}")):
            for directory, *dummy in os.walk(group, topdown=False):
                os.rmdir(directory)
        if self.directory.exists():
            shutil.rmtree(self.directory)

    def inner_pid(self) -> int:
        """The first process in the engine's namespaces; in its network namespace the hosts' LAN ends."""
        outer = self._pid()
        if outer is None:
            raise TestbedError("the test bed's engine doesn't run")
        return int(Path(f"/proc/{outer}/task/{outer}/children").read_text().split()[0])

    def docker(self, *arguments: str, check: bool = True) -> str:
        """Runs the docker client against this engine and returns what it printed; TestbedError if it fails."""
        client = ["docker", "--host", self.socket, *arguments]
        done = subprocess.run(client, capture_output=True, text=True, errors="replace", check=False)
        if check and done.returncode:
            raise TestbedError(f"docker {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout.strip()

    def _pid(self) -> Optional[int]:
        try:
            pid, started = self._first_process.read_text().split()
        except (FileNotFoundError, ValueError):
            return None
        # A PID alone may be somebody else's by now.
        return int(pid) if _start_time(int(pid)) == started else None


def _start_time(pid: int) -> Optional[str]:
    """When a process began, in clock ticks since boot (field 22 of proc_pid_stat(5)); None if there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (FileNotFoundError, ProcessLookupError):
        return None


def _kill(pid: int) -> None:
    """SIGKILL, and waits until the process is gone."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        signal.pidfd_send_signal(process, signal.SIGKILL)
        select.select([process], [], [])
    finally:
        os.close(process)
