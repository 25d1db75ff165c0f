# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a file that others write to as well is: its directory, held open while a run lasts, and its name there.

The file may lie in another user's directory, who can put something else in its place at any moment. So it is judged
and read by one descriptor, and what is written goes into the very directory that was opened first.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from typing import Iterator, Optional, Tuple

from . import files
from .directories import open_directory, open_file, others_add, read_at_most, trusted
from .errors import Conflict, InvalidValue, KernelRefused, MissingOnHost, VerificationFailed

NEW = files.Looks(0o644)
# Bytes. The longest lists that people keep in a hosts file, of advertisers, have a few million.
LIMIT = 16 << 20


class Spot:
    """A file by its name in an open directory; ``looks`` are for one that is made.

    ``asked``: its user has said the path, in a parameter of this name. Of others he may never have heard.
    """

    def __init__(self, path: str, directory: Optional[int], looks: files.Looks = NEW, asked: bool = False) -> None:
        self.path = path
        self._subject = f"path: {path}" if asked else f"file {path}"
        self._asked = asked
        self._new = looks
        self._name = os.path.basename(path)
        self._directory = directory
        self._looked = False
        self.looks: Optional[files.Looks] = None  # of what was read last
        self._read: Optional[Tuple[int, int]] = None  # device and inode of what was read last; None: it wasn't there

    @property
    def is_there(self) -> bool:
        """Whether its directory is."""
        return self._directory is not None

    def read(self) -> Optional[bytes]:
        """What the file holds; None if it isn't there.

        Raises InvalidValue where no file of ours could be (a link, a directory, a pipe, too large), Conflict for one
        that somebody else may have put there, KernelRefused.
        """
        if self._directory is None:
            return None
        try:
            fd = open_file(self._name, self._directory)
            self._looked = True
            if fd is None:
                self._read = self.looks = None
                return None
            status = os.fstat(fd)
            self._refuse_lent(status, fd)
            self._read, self.looks = (status.st_dev, status.st_ino), files.looks_of(fd)
            content = read_at_most(fd, LIMIT)
        except OSError as error:
            raise self._refused(error, "read") from error
        if content is None:
            hint = "; that is no hosts file" if self._asked else ""
            raise InvalidValue(f"{self._subject} is larger than {LIMIT >> 20} MiB{hint}")
        return content

    def _refuse_lent(self, status: os.stat_result, fd: int) -> None:
        """A file of root's for root's eyes that has a name in somebody else's directory is not theirs to be copied."""
        secret = status.st_uid in trusted() and not status.st_mode & stat.S_IROTH
        if status.st_nlink > 1 and secret and others_add(self._there()):
            os.close(fd)
            raise Conflict(
                f"{self._subject} has another name somewhere, and others can write to its directory: whose file it is"
                f" can't be told; make it a file of its own"
            )

    def _refused(self, error: OSError, what: str) -> Exception:
        """What to say where it can't be opened."""
        if error.errno == errno.ELOOP:
            way_out = "say that path" if self._asked else "put a file in its place"
            return InvalidValue(f"{self._subject} is a symbolic link to {self._leads_to()}; {way_out}")
        if error.errno == errno.EISDIR:
            return InvalidValue(f"{self._subject} is a directory")
        if error.errno == errno.ENXIO:
            return InvalidValue(f"{self._subject} is a device, a pipe or a socket, not a file")
        return KernelRefused(f"file {self.path}: {what}", error.errno or 0)

    def _leads_to(self) -> str:
        with contextlib.suppress(OSError):
            target = os.readlink(self._name, dir_fd=self._directory)
            return os.path.normpath(os.path.join(os.path.dirname(self.path), target))
        return "somewhere else"

    def replace(self, content: bytes) -> None:
        """Replace the file at once and for good; it keeps its mode, owner and labels.

        Raises KernelRefused; with EBUSY or EXDEV it is a mount point, which can only be written in place (hazard 43).
        Raises VerificationFailed where it isn't the one any more that was read.
        """
        directory, beside = self._there(), self._beside()[0]
        try:
            old = open_file(self._name, directory)
            try:
                self._refuse_another(old)
                files.make(beside, content, lambda fd: self._dress(old, fd), directory)
            finally:
                if old is not None:
                    os.close(old)
            try:
                os.rename(beside, self._name, src_dir_fd=directory, dst_dir_fd=directory)
            except OSError:
                os.unlink(beside, dir_fd=directory)
                raise
            files.sync_directory(".", directory)
        except OSError as error:
            raise self._refused(error, "write") from error

    def demand_room(self, content: bytes) -> None:
        """Raise KernelRefused where the file couldn't be replaced by this content, for want of room or of leave."""
        directory, beside = self._there(), self._beside()[0]
        try:
            files.make(beside, content, lambda _fd: None, directory)
            os.unlink(beside, dir_fd=directory)
        except OSError as error:
            raise self._refused(error, "write beside it") from error

    def overwrite(self, content: bytes) -> None:
        """Write the file in place, for one that can't be replaced.

        Raises OSError, and as replace.
        """
        fd = open_file(self._name, self._there(), write=True)
        if fd is None:
            raise KernelRefused(f"file {self.path}: write in place", errno.ENOENT)
        with os.fdopen(fd, "r+b") as file:
            self._refuse_another(fd)
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(content)
            file.flush()
            file.truncate(len(content))
            os.fsync(file.fileno())

    def _refuse_another(self, fd: Optional[int]) -> None:
        """What was read of one file doesn't go into another, whose owner is somebody else perhaps."""
        if self._looked:
            status = None if fd is None else os.fstat(fd)
            if (None if status is None else (status.st_dev, status.st_ino)) != self._read:
                raise VerificationFailed(f"{self.path}: somebody else wrote to it at the same time; run this again")

    def remove(self) -> None:
        """Delete the file if it is there.

        Raises KernelRefused, InvalidValue as read does, and VerificationFailed where it isn't the one any more that was
        read. A moment remains between that look and the deed: the kernel deletes by name only.
        """
        if self._directory is None:
            return
        try:
            self._discard_beside()
            old = open_file(self._name, self._directory)
            if old is None:
                self._refuse_another(None)
            else:
                try:
                    self._refuse_another(old)
                    os.unlink(self._name, dir_fd=self._directory)
                finally:
                    os.close(old)
            files.sync_directory(".", self._directory)
        except OSError as error:
            raise self._refused(error, "remove") from error

    def mark(self) -> None:
        """Note beside the file, until it is tidied, that it is being written in place. Raises OSError."""
        files.make(self._beside()[1], b"", lambda _fd: None, self._there())
        files.sync_directory(".", self._there())

    def is_marked(self) -> bool:
        """Whether a write in place was begun, and never ended. Raises OSError."""
        return self._lies(self._beside()[1])

    def is_mounted(self) -> bool:
        """Whether something is mounted there, so that it can only be written in place. Raises OSError."""
        fd = None if self._directory is None else open_file(self._name, self._directory)
        if fd is None or self._directory is None:
            return False
        try:
            return _mount_of(fd) != _mount_of(self._directory)
        finally:
            os.close(fd)

    def is_tidy(self) -> bool:
        """Whether nothing lies beside the file that was to replace it, or says that it is being written."""
        return not any(self._lies(name) for name in self._beside())

    def _beside(self) -> Tuple[str, str]:
        return f".{self._name}.new", f".{self._name}.half"

    def _lies(self, name: str) -> bool:
        if self._directory is None:
            return False
        try:
            os.stat(name, dir_fd=self._directory, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def tidy(self) -> None:
        """Remove what a run that was killed left beside. Raises KernelRefused."""
        if self._directory is not None:
            try:
                self._discard_beside()
            except OSError as error:
                raise self._refused(error, "tidy up") from error

    def _discard_beside(self) -> None:
        for name in self._beside():
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=self._directory)

    def _there(self) -> int:
        if self._directory is None:
            subject = "path" if self._asked else self._subject
            raise MissingOnHost(f"{subject}: there is no directory {os.path.dirname(self.path)}")
        return self._directory

    def _dress(self, old: Optional[int], fd: int) -> None:
        files.dress(fd, self._new if old is None else files.looks_of(old))


def _mount_of(fd: int) -> str:
    """The number of the mount that an open file is on, proc_pid_fdinfo(5)."""
    with open(f"/proc/self/fdinfo/{fd}", encoding="ascii") as info:
        return next((line.split()[1] for line in info if line.startswith("mnt_id:")), "")


@contextlib.contextmanager
def spot(path: str, looks: files.Looks = NEW, asked: bool = False) -> Iterator[Spot]:
    """Hold the directory of a file open; see Spot.

    Raises InvalidValue, Conflict and KernelRefused; see open_directory.
    """
    subject = f"path: {path}" if asked else f"file {path}"
    if not os.path.isabs(path):
        raise InvalidValue(f"{subject} has to begin with /")
    if os.path.basename(path) in ("", ".", ".."):
        raise InvalidValue(f"{subject} is a directory")
    try:
        directory = open_directory(os.path.dirname(path))
    except InvalidValue as error:
        error.prefix("path: " if asked else f"{subject}: ")
        raise
    try:
        yield Spot(path, directory, looks, asked)
    finally:
        if directory is not None:
            os.close(directory)
