# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a file can be replaced by a rename, asked before anything is: afterwards Docker is stopped already."""

from __future__ import annotations

import array
import contextlib
import errno
import fcntl
import os
import re
import stat
from typing import Optional

from ..configuration import real_path

_FS_IOC_GETFLAGS = 0x80086601  # linux/fs.h, for 64 bits
_FLAGS = {0x10: "immutable (chattr -i)", 0x20: "append-only (chattr -a)"}  # FS_IMMUTABLE_FL, FS_APPEND_FL
_MOUNT = re.compile(r"^mnt_id:\s*(\d+)", re.MULTILINE)


def why_not_replaceable(path: str) -> str:
    """Why nothing can be put in the place of what a path leads to, "" if it can. Raises OSError."""
    real = real_path(path)
    directory = os.path.dirname(real)
    while not os.path.isdir(directory):
        directory = os.path.dirname(directory)
    return _of_file(path, real, directory) or _of_directory(directory)


def _of_file(path: str, real: str, directory: str) -> str:
    try:
        status = os.stat(real, follow_symlinks=False)
    except FileNotFoundError:
        return ""
    if not stat.S_ISREG(status.st_mode):  # /dev/null is what a file is masked by
        return f"{'it leads to ' + real + ', which' if real != path else 'it'} is no file; put a file there"
    if _mount(real) != _mount(directory):
        return f"{real}: another file is mounted there, which can only be written in place; unmount it"
    return _flagged(real)


def _of_directory(directory: str) -> str:
    status = os.statvfs(directory)
    if status.f_flag & os.ST_RDONLY or not os.access(directory, os.W_OK):
        reason = errno.EROFS if status.f_flag & os.ST_RDONLY else errno.EACCES
        return f"{directory}: {os.strerror(reason)}"
    if not status.f_bavail or (status.f_files and not status.f_ffree):
        return f"{directory}: {os.strerror(errno.ENOSPC)}"
    return _flagged(directory)


def _mount(path: str) -> Optional[str]:
    """The number of the mount that a path is on, proc_pid_fdinfo(5)."""
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        with open(f"/proc/self/fdinfo/{fd}", encoding="ascii") as info:
            found = _MOUNT.search(info.read())
    finally:
        os.close(fd)
    return found.group(1) if found else None


def _flagged(path: str) -> str:
    """Marks that keep even root from replacing it, ioctl_iflags(2); not every file system has them."""
    flags = array.array("l", [0])
    with contextlib.suppress(OSError):
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            fcntl.ioctl(fd, _FS_IOC_GETFLAGS, flags)
        finally:
            os.close(fd)
    return next((f"{path}: it is {words}" for flag, words in _FLAGS.items() if flags[0] & flag), "")
