# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole small text files, written so that a reader sees the old text or the new one, never half of either."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import Callable, List, NamedTuple, Optional, Tuple

from .directories import open_file, read_at_most
from .errors import Conflict, KernelRefused

# An access list, and SELinux's label: what else says who may read a file. A directory gives its files other ones.
_LABELS = ("security.selinux", "security.SMACK64", "system.posix_acl_access", "user.")  # xattr(7)


class Looks(NamedTuple):
    """A file's mode, owner and labels. Owner None: whoever makes it; labels None: as its directory gives them.

    Each label is its name and its bytes, as characters of latin-1.
    """

    mode: int
    uid: Optional[int] = None
    gid: Optional[int] = None
    labels: Optional[Tuple[Tuple[str, str], ...]] = None


def read(path: str) -> Optional[str]:
    """The text of a file, None if there is none. A symbolic link is not followed, nor a pipe waited for.

    Raises Conflict for what is no file, KernelRefused.
    """
    try:
        fd = open_file(path)
        content = None if fd is None else read_at_most(fd)
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise Conflict(f"file {path} is a device, a pipe or a socket, not a file; take it away") from error
        raise KernelRefused(f"file {path}: read", error.errno or 0) from error
    return None if content is None else content.decode("utf-8", "surrogateescape")


def write(path: str, text: str, mode: int = 0o644) -> None:
    """Replace the file at once and for good: beside it, fsync, rename, fsync of the directory. Raises KernelRefused.

    Its mode is ``mode`` whatever the umask is: what is for everybody is so on a host whose root is careful, too.
    """
    _replace(path, text.encode("utf-8", "surrogateescape"), lambda fd: os.fchmod(fd, mode))


def _replace(path: str, content: bytes, dress: Callable[[int], None]) -> None:
    beside = _beside(path)
    try:
        make(beside, content, dress)
        try:
            os.rename(beside, path)
        except OSError:
            os.unlink(beside)
            raise
        sync_directory(os.path.dirname(path))
    except OSError as error:
        raise KernelRefused(f"file {path}: write", error.errno or 0) from error


def make(path: str, content: bytes, dress: Callable[[int], None], directory: Optional[int] = None) -> None:
    """Make a file anew, its content on disk for good; what a run that was killed left there goes.

    ``dress`` gives the open file its mode; with an open ``directory`` the path is a name in it. Raises OSError, and
    nothing is left then.
    """
    _discard(path, directory)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(path, flags, 0o600, dir_fd=directory)
    try:
        with os.fdopen(fd, "wb") as file:
            dress(fd)
            file.write(content)
            file.flush()
            os.fsync(fd)
    except OSError:
        os.unlink(path, dir_fd=directory)
        raise


def looks_of(fd: int) -> Looks:
    """How an open file looks. Raises OSError."""
    status = os.fstat(fd)
    labels: List[Tuple[str, str]] = []
    with contextlib.suppress(OSError):  # not every file system has these
        for name in sorted(os.listxattr(fd)):
            if name.startswith(_LABELS):
                with contextlib.suppress(OSError):
                    labels.append((name, os.getxattr(fd, name).decode("latin-1")))
    return Looks(stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, tuple(labels))


def dress(fd: int, looks: Looks) -> None:
    """Give an open file these looks. Raises OSError; not everybody may set labels, and what can't be set isn't."""
    if looks.uid is not None and looks.gid is not None:
        os.fchown(fd, looks.uid, looks.gid)
    os.fchmod(fd, looks.mode)
    if looks.labels is None:
        return
    wanted = dict(looks.labels)
    for name, _value in looks_of(fd).labels or ():  # of a directory that gives them to its files
        if name not in wanted:
            with contextlib.suppress(OSError):
                os.removexattr(fd, name)
    for name, value in wanted.items():
        with contextlib.suppress(OSError, ValueError):
            os.setxattr(fd, name, value.encode("latin-1"))


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


def discard_unfinished(path: str) -> None:
    """Delete what a run that was killed while it wrote the file has left beside it; what can't go stays."""
    with contextlib.suppress(OSError):
        _discard(_beside(path))


def _beside(path: str) -> str:
    """Where a file's new text is written first. Always the same place, so that nothing piles up; runs are locked."""
    return os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.new")


def _discard(path: str, directory: Optional[int] = None) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path, dir_fd=directory)


def sync_directory(path: str, directory: Optional[int] = None) -> None:
    """Bring a directory's entries to disk."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_directory(path: str) -> None:
    """Make a directory that everybody may look into, and those above it, if it isn't there."""
    if os.path.isdir(path):
        return
    make_directory(os.path.dirname(path))
    try:
        os.mkdir(path)
        os.chmod(path, 0o755)  # whatever the umask is
    except OSError as error:
        if not os.path.isdir(path):  # else somebody was faster
            raise KernelRefused(f"directory {path}: make", error.errno or 0) from error


def remove_empty(path: str) -> None:
    """Remove a directory if nothing is in it, nor mounted on it. Raises KernelRefused."""
    try:
        os.rmdir(path)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT, errno.ENOTDIR, errno.EBUSY):
            raise KernelRefused(f"directory {path}: remove", error.errno or 0) from error
