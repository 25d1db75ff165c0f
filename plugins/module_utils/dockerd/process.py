# SPDX-License-Identifier: GPL-3.0-or-later
"""The dockerd that runs: its own command line, and who listens at the socket of the API. Read from the kernel."""

from __future__ import annotations

import os
import socket
import struct
import time
from typing import List, NamedTuple, Optional, Tuple

from ..whereabouts import boot_id
from .units import is_dockerd

_PID_FILE = "/var/run/docker.pid"
_CREDENTIALS = struct.Struct("=iII")  # struct ucred, linux/socket.h: process, user, group


class Process(NamedTuple):
    """A process with its command line; ``command`` is empty where that can't be read."""

    pid: int
    command: Tuple[str, ...]

    @property
    def arguments(self) -> Tuple[str, ...]:
        """The words behind dockerd's own name."""
        return self.command[1:]


def running(main_pid: int) -> Optional[Process]:
    """The dockerd among this process and those that it started; None where there is none that can be read."""
    waiting: List[int] = [main_pid] if main_pid > 0 else []
    while waiting:
        pid = waiting.pop(0)
        command = command_line(pid)
        if command and is_dockerd(command[0]):
            return Process(pid, command)
        waiting += _children(pid)
    return None


def by_pid_file(path: str = _PID_FILE) -> int:
    """The process that dockerd itself has written down, 0 if there is no such file."""
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            text = file.read(32).strip()
    except OSError:
        return 0
    return int(text) if text.isdigit() else 0


def listener(path: str) -> Optional[Process]:
    """Who listens at a unix socket, as the kernel noted when that began; with socket activation it is systemd.

    None where nobody does, or somebody of another PID namespace.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(1.0)
        try:
            client.connect(path)
            found = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        except OSError:
            return None
    pid = _CREDENTIALS.unpack(found)[0]
    return Process(pid, command_line(pid)) if pid > 0 else None


def command_line(pid: int) -> Tuple[str, ...]:
    """The words that a process was started with, proc_pid_cmdline(5); none where it is gone."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            content = file.read()
    except OSError:
        return ()
    return tuple(word.decode("utf-8", "surrogateescape") for word in content.rstrip(b"\0").split(b"\0") if content)


def _children(pid: int) -> List[int]:
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return []


def executable(pid: int) -> str:
    """The path of a process's program, "" where it can't be told."""
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return ""


def start_of(pid: int) -> Optional[float]:
    """When a process was started, in seconds of time.time(), proc_pid_stat(5); None where it is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return None
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return time.time() - age


def identity(pid: int) -> str:
    """What no other process has, also of another boot: when this one began, proc_pid_stat(5). "" where it is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            ticks = file.read().rpartition(")")[2].split()[19]
        return f"{pid} {ticks} {boot_id()}"
    except OSError:
        return ""


def working_directory(pid: int) -> str:
    """Where a process's relative paths begin, "/" where it can't be told."""
    try:
        return os.readlink(f"/proc/{pid}/cwd")
    except OSError:
        return "/"


def groups(pid: int) -> str:
    """The control groups of a process, cgroups(7): a unit's name or a container's id stands in their paths."""
    try:
        with open(f"/proc/{pid}/cgroup", encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
