# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory of all that outlives a run (0700), and the lock in it: one run at a time changes a host."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import time
from typing import Iterator, List, Optional, Tuple

from .bytecode import STATE_DIRECTORY
from .directories import open_directory, open_file, trusted
from .errors import Conflict, KernelRefused, MissingOnHost

__all__ = ["LOCK_SECONDS", "STATE_DIRECTORY", "held_locks", "locked", "read", "unwritable"]

LOCK_SECONDS = 60.0
_held: List[int] = []
_OTHERS = stat.S_IWGRP | stat.S_IWOTH
_ODD = {
    errno.ELOOP: "is a symbolic link, not a file",
    errno.EISDIR: "is a directory, not a file",
    errno.ENXIO: "is a device, a pipe or a socket, not a file",
}
_LOOK = "what lies there is believed, so nothing was changed; look who put it there and move it away"


@contextlib.contextmanager
def locked(directory: str, who: str) -> Iterator[None]:
    """Keep all other runs on this host away, of whichever module; makes the directory if it isn't there.

    Waits LOCK_SECONDS, then a Conflict names the holder as it named itself by ``who`` (hazard 45). Raises MissingOnHost
    where nothing can be written, and Conflict for a directory that others can write to.
    """
    _prepare(directory)
    path = os.path.join(directory, "lock")
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno in _ODD:
            raise Conflict(f"{path} {_ODD[error.errno]}: {_LOOK}") from error
        raise unwritable(directory, error.errno) from error
    try:
        _refuse_others(os.fstat(fd), path)
        _wait_for(fd)
        with contextlib.suppress(OSError):  # a full disk: nobody learns who holds the lock, but it is held
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"process {os.getpid()}, {who}, since {time.strftime('%F %T')}\n".encode(), 0)
        _held.append(fd)
        try:
            yield
        finally:
            _held.remove(fd)
    finally:
        os.close(fd)


def held_locks() -> Tuple[int, ...]:
    """The descriptors of the locks that this process holds: who inherits one holds the lock, too, flock(2)."""
    return tuple(_held)


def _wait_for(fd: int) -> None:
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                holder = os.pread(fd, 200, 0).decode(errors="replace").strip()
                raise Conflict(f"another run holds this host's lock: {holder}") from None
            time.sleep(0.05)


def _prepare(directory: str) -> None:
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
    except OSError as error:
        raise MissingOnHost(f"{directory}: the state directory can't be made: {error.strerror}") from error
    fd = _opened(directory)
    if fd is None:
        raise MissingOnHost(f"{directory}: the state directory is gone again")
    try:
        uid = os.fstat(fd).st_uid
        if uid != os.geteuid():
            raise Conflict(f"{directory} belongs to user {uid}, not to the one who runs this")
    finally:
        os.close(fd)


def _opened(directory: str) -> Optional[int]:
    """The directory, None if it isn't there. Raises Conflict for one in which others can put what we would believe."""
    fd = open_directory(directory)
    if fd is None:
        return None
    try:
        status = os.fstat(fd)
        if status.st_uid not in trusted():
            raise Conflict(f"{directory} belongs to user {status.st_uid}, not to the one who runs this")
        if status.st_mode & _OTHERS:
            raise Conflict(f"{directory}: others can write to it, and what lies there is believed: chmod 0700 it")
    except Conflict:
        os.close(fd)
        raise
    return fd


def read(path: str) -> Optional[str]:
    """The text of a file below the state directory, None if there is none.

    Raises Conflict for one that isn't ours alone, for what is no plain file, and for a directory of somebody else's;
    KernelRefused.
    """
    directory = _opened(os.path.dirname(path))
    if directory is None:
        return None
    try:
        fd = open_file(os.path.basename(path), directory)
        if fd is None:
            return None
        with os.fdopen(fd, "rb") as file:
            _refuse_others(os.fstat(fd), path)
            return file.read().decode("utf-8", "surrogateescape")
    except OSError as error:
        if error.errno in _ODD:
            raise Conflict(f"{path} {_ODD[error.errno]}: {_LOOK}") from error
        raise KernelRefused(f"file {path}: read", error.errno or 0) from error
    finally:
        os.close(directory)


def _refuse_others(status: os.stat_result, path: str) -> None:
    """Raise Conflict for a file that somebody else can have written."""
    if not stat.S_ISREG(status.st_mode):
        raise Conflict(f"{path} {_ODD[errno.ENXIO]}: {_LOOK}")
    if status.st_uid not in trusted():
        raise Conflict(f"{path} belongs to user {status.st_uid}, not to the one who runs this: {_LOOK}")
    if status.st_mode & _OTHERS:
        raise Conflict(f"{path} can be written by others: {_LOOK}")


def unwritable(directory: str, number: Optional[int]) -> MissingOnHost:
    """What to say where the directory's file system is full or read-only, by the error number."""
    return MissingOnHost(
        f"{directory}: nothing can be written there ({os.strerror(number or 0)}), so nothing was changed"
    )
