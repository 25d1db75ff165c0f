# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole small text files, written so that a reader sees the old text or the new one, never half of either."""

from __future__ import annotations

import contextlib
import os
from typing import Optional

from .errors import KernelRefused


def read(path: str) -> Optional[str]:
    """The text of a file, None if there is none. A symbolic link is not followed."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise KernelRefused(f"file {path}: read", error.errno or 0) from error
    with os.fdopen(fd, encoding="utf-8", errors="surrogateescape") as file:
        return file.read()


def write(path: str, text: str, mode: int = 0o644) -> None:
    """Replace the file at once and for good: beside it, fsync, rename, fsync of the directory."""
    directory = os.path.dirname(path)
    beside = _beside(path)
    try:
        _discard(beside)  # of a run that was killed
        fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
        try:
            with os.fdopen(fd, "w", encoding="utf-8", errors="surrogateescape") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.rename(beside, path)
        except OSError:
            os.unlink(beside)
            raise
        sync_directory(directory)
    except OSError as error:
        raise KernelRefused(f"file {path}: write", error.errno or 0) from error


def remove(path: str) -> None:
    """Delete the file if it is there."""
    try:
        _discard(_beside(path))
        os.unlink(path)
        sync_directory(os.path.dirname(path))
    except FileNotFoundError:
        return
    except OSError as error:
        raise KernelRefused(f"file {path}: remove", error.errno or 0) from error


def _beside(path: str) -> str:
    """Where a file's new text is written first. Always the same place, so that nothing piles up; runs are locked."""
    return os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.new")


def _discard(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def sync_directory(path: str) -> None:
    """Bring a directory's entries to disk."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_directory(path: str) -> None:
    """Make a directory, and those above it, if it isn't there."""
    try:
        os.makedirs(path, mode=0o755, exist_ok=True)
    except OSError as error:
        raise KernelRefused(f"directory {path}: make", error.errno or 0) from error


def remove_empty(path: str) -> None:
    """Remove a directory if nothing is in it."""
    try:
        os.rmdir(path)
    except OSError:  # not empty, or not there: both are fine
        return
