# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories and files opened once and judged by their descriptor, so that nobody can swap them in between.

Whoever may write to a directory may put a link there at any moment. So a path is walked part by part, a link is
followed only where nobody but its owner could have put it, and what was opened is never looked up by name again.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import List, Optional

from .errors import Conflict, InvalidValue, KernelRefused

_MOST_LINKS = 40  # as the kernel's own MAXSYMLINKS (linux/namei.h)
_STEP = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# A pipe is never waited for, and a terminal never becomes ours.
_FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def open_directory(path: str) -> Optional[int]:
    """A descriptor (O_PATH) of a directory, None if it isn't there; the caller closes it.

    Raises Conflict for a link on the way that somebody else could have put there, InvalidValue where a part is no
    directory, KernelRefused.
    """
    left = _parts(path)
    links = 0
    try:
        here = os.open("/" if path.startswith("/") else ".", _STEP)
    except OSError as error:
        raise KernelRefused(f"directory {path}: open", error.errno or 0) from error
    try:
        while left:
            part = left.pop(0)
            target = _target(here, part, path)
            if target is not None:
                links += 1
                if links > _MOST_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
                left = _parts(target) + left
                part = "/" if target.startswith("/") else "."
            there = os.open(part, _STEP, dir_fd=here)
            os.close(here)
            here = there
    except FileNotFoundError:
        os.close(here)
        return None
    except NotADirectoryError:
        os.close(here)
        raise InvalidValue(f"{path} is no directory") from None
    except OSError as error:
        os.close(here)
        raise KernelRefused(f"directory {path}: open", error.errno or 0) from error
    except Conflict:
        os.close(here)
        raise
    return here


def _parts(path: str) -> List[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


def _target(directory: int, name: str, path: str) -> Optional[str]:
    """Where a link leads; None for what is none. Raises Conflict for one that others could have put there, OSError."""
    status = os.stat(name, dir_fd=directory, follow_symlinks=False)
    if not stat.S_ISLNK(status.st_mode):
        return None
    if status.st_uid not in trusted() or others_replace(directory):
        raise Conflict(
            f"{path}: {name} in it is a symbolic link that user {_whose(status, directory)} can lead elsewhere at any"
            f" moment; say the path that it leads to"
        )
    return os.readlink(name, dir_fd=directory)


def _whose(status: os.stat_result, directory: int) -> str:
    """The user who can change a link: its owner, else the one of its directory, else anybody."""
    for uid in (status.st_uid, os.fstat(directory).st_uid):
        if uid not in trusted():
            return str(uid)
    return "of its directory's group, or any,"


def trusted() -> List[int]:
    """The users whose files may say what is done: root, and the one who runs this."""
    return [0, os.geteuid()]


def others_add(directory: int) -> bool:
    """Whether somebody else can make files in an open directory; an access list shows in the group's bits."""
    status = os.fstat(directory)
    return bool(status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)) or status.st_uid not in trusted()


def others_replace(directory: int) -> bool:
    """Whether somebody else can put something in a file's place: in a sticky directory only its owner can."""
    status = os.fstat(directory)
    return others_add(directory) and not (status.st_mode & stat.S_ISVTX and status.st_uid in trusted())


def open_file(name: str, directory: Optional[int] = None, *, write: bool = False) -> Optional[int]:
    """A descriptor of a plain file, None if there is none; ``name`` is one in an open directory, or else a path.

    Raises OSError: with ELOOP it is a symbolic link, with EISDIR a directory, with ENXIO a device, a pipe or a socket.
    """
    try:
        _refuse_odd(os.stat(name, dir_fd=directory, follow_symlinks=False))  # a device is not even opened
        fd = os.open(name, _FILE | (os.O_RDWR if write else os.O_RDONLY), dir_fd=directory)
    except FileNotFoundError:
        return None
    try:
        _refuse_odd(os.fstat(fd))
    except OSError:
        os.close(fd)
        raise
    return fd


def _refuse_odd(status: os.stat_result) -> None:
    for is_it, number in ((stat.S_ISLNK, errno.ELOOP), (stat.S_ISDIR, errno.EISDIR)):
        if is_it(status.st_mode):
            raise OSError(number, os.strerror(number))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.ENXIO, os.strerror(errno.ENXIO))


def read_at_most(fd: int, most: Optional[int] = None) -> Optional[bytes]:
    """All that an open file holds, None if that is more than ``most`` bytes. Closes it. Raises OSError."""
    with os.fdopen(fd, "rb") as file:
        content = file.read() if most is None else file.read(most + 1)
    return None if most is not None and len(content) > most else content
