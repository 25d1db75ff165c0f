# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory of all that outlives a run (0700), and the lock in it: one run at a time changes a host."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import time
from typing import Iterator, Optional

from .bytecode import STATE_DIRECTORY
from .errors import Conflict, MissingOnHost

__all__ = ["LOCK_SECONDS", "STATE_DIRECTORY", "locked", "unwritable"]

LOCK_SECONDS = 60.0


@contextlib.contextmanager
def locked(directory: str, who: str) -> Iterator[None]:
    """Keep all other runs on this host away, of whichever module; makes the directory if it isn't there.

    Waits LOCK_SECONDS, then a Conflict names the holder as it named itself by ``who`` (hazard 45). Raises MissingOnHost
    where nothing can be written, and Conflict for a directory that others can write to.
    """
    _prepare(directory)
    try:
        fd = os.open(os.path.join(directory, "lock"), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise unwritable(directory, error.errno) from error
    try:
        _wait_for(fd)
        with contextlib.suppress(OSError):  # a full disk: nobody learns who holds the lock, but it is held
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"process {os.getpid()}, {who}, since {time.strftime('%F %T')}\n".encode(), 0)
        yield
    finally:
        os.close(fd)


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
        status = os.lstat(directory)
    except OSError as error:
        raise MissingOnHost(f"{directory}: the state directory can't be made: {error.strerror}") from error
    if status.st_uid != os.geteuid():
        raise Conflict(f"{directory} belongs to user {status.st_uid}, not to the one who runs this")
    if os.stat(directory).st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise Conflict(f"{directory}: others can write to it, and what lies there is believed: chmod 0700 it")


def unwritable(directory: str, number: Optional[int]) -> MissingOnHost:
    """What to say where the directory's file system is full or read-only, by the error number."""
    return MissingOnHost(
        f"{directory}: nothing can be written there ({os.strerror(number or 0)}), so nothing was changed"
    )
