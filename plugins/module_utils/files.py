# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole small text files, written so that a reader sees the old text or the new one, never half of either."""

from __future__ import annotations

import contextlib
import os
import stat
from typing import Optional

from .errors import KernelRefused

_LABELS = ("security.selinux", "security.SMACK64", "system.posix_acl_access", "user.")  # xattr(7)


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


def replace(path: str, content: bytes) -> None:
    """Replace a file that may not be ours, as write does; it keeps its mode, owner and labels.

    Its directory must be there. Raises KernelRefused; with EBUSY the file is a mount point, which can only be written in place (hazard 43).
    """
    beside = _beside(path)
    try:
        mode, owner = 0o644, None
        with contextlib.suppress(FileNotFoundError):
            status = os.lstat(path)
            mode, owner = stat.S_IMODE(status.st_mode), (status.st_uid, status.st_gid)
        _discard(beside)  # of a run that was killed
        fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(fd, "wb") as file:
                if owner is not None:
                    os.fchown(fd, *owner)
                os.fchmod(fd, mode)
                _label_alike(path, fd)
                file.write(content)
                file.flush()
                os.fsync(fd)
            os.rename(beside, path)
        except OSError:
            os.unlink(beside)
            raise
        sync_directory(os.path.dirname(path))
    except OSError as error:
        raise KernelRefused(f"file {path}: write", error.errno or 0) from error


def _label_alike(path: str, fd: int) -> None:
    """An access list, and SELinux's label: what else says who may read it. A directory gives its files other ones.

    Not every file system has these, and not everybody may set them.
    """
    with contextlib.suppress(OSError):
        for name in os.listxattr(path, follow_symlinks=False):
            if name.startswith(_LABELS):
                with contextlib.suppress(OSError):
                    os.setxattr(fd, name, os.getxattr(path, name, follow_symlinks=False))


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
