# SPDX-License-Identifier: GPL-3.0-or-later
"""A host of one's own: fresh network and mount namespaces with their own /run, /etc and /var/lib; leaves no trace.

Of the machine's /etc nothing is there but what its programs need to be found and loaded.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import functools
import os
import shutil
import subprocess
import tempfile
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


# Files of a host on which nobody has set anything up.
_FILES = {
    "passwd": "root:x:0:0:root:/root:/bin/sh\n"
    "daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n"
    "sshd:x:100:65534::/run/sshd:/usr/sbin/nologin\n"
    "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    "group": "root:x:0:\ndaemon:x:1:\nnogroup:x:65534:\n",
    "shadow": "root:*:20000:0:99999:7:::\n",
    "hosts": "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n",
    "hostname": "private\n",
    "resolv.conf": "",  # a namespace's own is mounted over it
    "nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n",
    "machine-id": f"{'0' * 31}1\n",
}
_LOADER = "ld.so.cache"  # where libraries are; without it only the usual places are searched
_CHOICES = "alternatives"  # which iptables is iptables, and the like, on Debian and Fedora


@functools.cache
def _template() -> str:
    """A directory with what every private host has in /etc, made once: its links alone are hundreds."""
    directory = tempfile.mkdtemp(prefix="hostwire-etc-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    for name, text in _FILES.items():
        Path(directory, name).write_text(text)
    Path(directory, "shadow").chmod(0o600)
    Path(directory, "sysctl.d").mkdir()
    if Path("/etc", _LOADER).exists():
        shutil.copy("/etc/" + _LOADER, directory)
    if Path("/etc", _CHOICES).is_dir():
        shutil.copytree("/etc/" + _CHOICES, Path(directory, _CHOICES), symlinks=True)
    return directory


@contextlib.contextmanager
def private_host() -> Iterator[Path]:
    """This process is on a host of its own, with nothing but lo, up; yields a directory for the test's files."""
    directory = os.getcwd()
    etc = _template()
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
            _mount("overlay", "/etc", "overlay", 0, f"lowerdir={etc},upperdir=/run/etc,workdir=/run/work")
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
