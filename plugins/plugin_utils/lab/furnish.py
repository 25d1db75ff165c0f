# SPDX-License-Identifier: GPL-3.0-or-later
"""The inside of a lab host: what it has for itself, and what it sees of the machine."""

from __future__ import annotations

import errno
import os
import socket
from typing import Dict, FrozenSet, List, NamedTuple

from . import kernel
from .listeners import Listener
from .state import HOME, LabError

# What a host has for itself, empty at first; /etc is its own too, but starts as a copy.
OWN_DIRECTORIES = {"/run": 0o755, "/tmp": 0o1777, "/var": 0o755, "/dev/shm": 0o1777}
OWN_VAR = {"lib": 0o755, "log": 0o755, "cache": 0o755, "tmp": 0o1777}
# Of the machine's /etc these say who the machine is, or name its namespaces: a host starts without them.
NOT_COPIED = frozenset({"hosts", "hostname", "passwd", "resolv.conf", "netns", "machine-id", "mtab"})


class Host(NamedTuple):
    """A host to make. ``networks``: PIDs of other hosts' holders, whose network it sees in /run/netns."""

    name: str
    networks: Dict[str, int]
    listeners: List[Listener]


def copy_readable(source: str, target: str, leave_out: FrozenSet[str] = frozenset()) -> None:
    """Copy what everybody may read from the directory ``source`` into the directory ``target``; links stay links."""
    with os.scandir(source) as entries:
        for entry in entries:
            if entry.name in leave_out:
                continue
            mode = entry.stat(follow_symlinks=False).st_mode
            copy = os.path.join(target, entry.name)
            if entry.is_symlink():
                os.symlink(os.readlink(entry.path), copy)
            elif entry.is_dir() and mode & 0o005 == 0o005:
                os.mkdir(copy)
                copy_readable(entry.path, copy)
            elif entry.is_file() and mode & 0o004:
                with open(entry.path, "rb") as original, open(copy, "wb") as written:
                    written.write(original.read())
                os.chmod(copy, mode & 0o755)


def _own_directories(name: str) -> None:
    """Give the host its own /etc, /run, /tmp, /var and /dev/shm; all else of the machine's files is read-only."""
    kernel.mount("none", "/", "none", kernel.MS_REC | kernel.MS_SLAVE)
    kernel.make_read_only("/", kernel.AT_RECURSIVE)
    plain = kernel.MS_NOSUID | kernel.MS_NODEV
    for path, mode in OWN_DIRECTORIES.items():
        kernel.mount("tmpfs", path, "tmpfs", plain, f"mode={mode:o}")
    for directory, mode in OWN_VAR.items():
        os.mkdir(f"/var/{directory}")
        os.chmod(f"/var/{directory}", mode)
    os.symlink("/run", "/var/run")
    os.mkdir("/run/netns")
    os.mkdir(HOME, 0o700)
    os.mkdir("/tmp/etc")
    kernel.mount("tmpfs", "/tmp/etc", "tmpfs", plain, "mode=755")
    copy_readable("/etc", "/tmp/etc", NOT_COPIED)
    with open("/etc/passwd", encoding="utf-8", errors="surrogateescape") as passwd:
        others = [line for line in passwd if not line.startswith("root:")]
    for file, text in (
        # Root's usual home is not the host's own.
        ("passwd", f"root:x:0:0:root:{HOME}:/bin/sh\n{''.join(others)}"),
        ("hostname", f"{name}\n"),
        ("hosts", f"127.0.0.1 localhost\n127.0.1.1 {name}\n::1 localhost ip6-localhost ip6-loopback\n"),
        ("resolv.conf", ""),
    ):
        with open(f"/tmp/etc/{file}", "w", encoding="utf-8", errors="surrogateescape") as written:
            written.write(text)
    kernel.mount("/tmp/etc", "/etc", "none", kernel.MS_MOVE)
    os.rmdir("/tmp/etc")


def _own_kernel_files() -> None:
    """Mount /proc and /sys anew, so that they show this host; of the settings only its network's can be written.

    When root makes the lab, files of root stay root's inside, and most of /proc/sys holds for the whole machine.
    """
    plain = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
    try:
        kernel.mount("proc", "/proc", "proc", plain)
        kernel.mount("sysfs", "/sys", "sysfs", plain | kernel.MS_RDONLY)
    except OSError as error:
        if error.errno != errno.EPERM:
            raise
        raise LabError(
            "The kernel refused the lab's hosts a /proc and a /sys of their own, as it does in a container that hides "
            "parts of the machine's. Start the container with `--security-opt systempaths=unconfined`, or run the lab "
            "outside of it."
        ) from error
    os.mkdir("/tmp/net")
    kernel.mount("/proc/sys/net", "/tmp/net", "none", kernel.MS_BIND)
    for path in filter(os.path.exists, ("/proc/sys", "/proc/sysrq-trigger")):
        kernel.mount(path, path, "none", kernel.MS_BIND)
        kernel.make_read_only(path)
    kernel.mount("/tmp/net", "/proc/sys/net", "none", kernel.MS_MOVE)
    os.rmdir("/tmp/net")


def furnish(host: Host) -> None:
    """Make everything inside a host, from its own first process. Raises LabError or OSError."""
    os.chdir("/")
    os.umask(0o022)
    socket.sethostname(host.name)
    kernel.loopback_up()
    _own_directories(host.name)
    for other, pid in host.networks.items():
        with open(f"/run/netns/{other}", "x", encoding="ascii"):
            pass
        # Before /proc becomes this host's own: only the machine's shows the other hosts' first processes.
        kernel.mount(f"/proc/{pid}/ns/net", f"/run/netns/{other}", "none", kernel.MS_BIND)
    _own_kernel_files()
