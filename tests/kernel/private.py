# SPDX-License-Identifier: GPL-3.0-or-later
"""A host of one's own: fresh network and mount namespaces with their own /run, /etc and /var/lib; leaves no trace."""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
from pathlib import Path
from typing import Iterator

_libc = ctypes.CDLL(None, use_errno=True)

# linux/sched.h, linux/mount.h
CLONE_NEWNS = 0x00020000
CLONE_NEWNET = 0x40000000
MS_NOSUID, MS_REC, MS_PRIVATE = 0x2, 0x4000, 1 << 18


def _checked(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _mount(source: str, target: str, kind: str, flags: int = 0, options: str = "") -> None:
    words = [text.encode() for text in (source, target, kind)]
    _checked(_libc.mount(*words, flags, options.encode() or None), f"mount {target}")


@contextlib.contextmanager
def private_host() -> Iterator[Path]:
    """This process is on a host of its own, with nothing but lo, up; yields a directory for the test's files."""
    directory = os.getcwd()
    home = [
        (os.open(f"/proc/self/ns/{kind}", os.O_RDONLY), flag)
        for kind, flag in (("net", CLONE_NEWNET), ("mnt", CLONE_NEWNS))
    ]
    try:
        _checked(_libc.unshare(CLONE_NEWNS | CLONE_NEWNET), "unshare")
        try:
            _mount("none", "/", "none", MS_REC | MS_PRIVATE)
            _mount("tmpfs", "/run", "tmpfs", MS_NOSUID)
            for name in ("netns", "etc", "work", "test"):
                os.mkdir(f"/run/{name}")
            _mount("overlay", "/etc", "overlay", 0, "lowerdir=/etc,upperdir=/run/etc,workdir=/run/work")
            _mount("tmpfs", "/var/lib", "tmpfs", MS_NOSUID)
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            yield Path("/run/test")
        finally:
            for fd, flag in home:
                _checked(_libc.setns(fd, flag), "setns")
            os.chdir(directory)
    finally:
        for fd, _flag in home:
            os.close(fd)
