# SPDX-License-Identifier: GPL-3.0-or-later
"""Named network namespaces, as iproute2 keeps them: a file below /run/netns with the namespace mounted on it."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
from typing import Callable, Dict, Iterable, Iterator, List, Mapping, NamedTuple, Optional

from .errors import Conflict, KernelRefused, MissingOnHost

DIRECTORY = "/run/netns"
_THREAD = "/proc/thread-self/ns/net"

# linux/sched.h, linux/mount.h
_CLONE_NEWNET = 0x40000000
_MS_BIND = 0x1000
_MS_REC = 0x4000
_MS_SHARED = 1 << 20
_MNT_DETACH = 2

# A name that leads nowhere, or not for us; any other error says nothing of what is there.
_NONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EACCES, errno.EPERM)

_lent: Dict[str, int] = {}  # namespaces without a file of their own, open: see lent

_libc = ctypes.CDLL(None, use_errno=True)
_setns: Callable[[int, int], None]


class NotEntered(MissingOnHost):
    """A namespace that can't be entered; ``errno`` is why."""

    def __init__(self, subject: str, error: OSError, verb: str = "entered") -> None:
        super().__init__(f"{subject}: can't be {verb}: {error.strerror}")
        self.errno = error.errno or 0

    @property
    def is_gone(self) -> bool:
        """Whether there is no such namespace; EINVAL: its name is that of a file which stands for none."""
        return self.errno in (errno.ENOENT, errno.EINVAL)


class Process(NamedTuple):
    """A process in a namespace: its PID on the host, its PID in its own PID namespace, its command line."""

    pid: int
    pid_inside: int
    command: str


def _checked(result: int, what: str) -> None:
    if result != 0:
        raise KernelRefused(what, ctypes.get_errno())


def _setns_by_libc(fd: int, kind: int) -> None:
    if _libc.setns(fd, kind) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


_setns = getattr(os, "setns", _setns_by_libc)  # os.setns: Python 3.12


@contextlib.contextmanager
def inside(netns: Optional[str]) -> Iterator[None]:
    """The calling thread, and every process it starts, is in the named namespace; None stays where it is.

    Raises NotEntered if there is no such namespace or it can't be entered.
    """
    if netns is None:
        yield
        return
    with inside_path(path_of(netns), f"namespace {netns}"):
        yield


def path_of(netns: str) -> str:
    """The file that stands for a namespace."""
    descriptor = _lent.get(netns)
    return f"{DIRECTORY}/{netns}" if descriptor is None else f"/proc/self/fd/{descriptor}"


@contextlib.contextmanager
def lent(descriptors: Mapping[str, int]) -> Iterator[None]:
    """While the context lasts, each of these names stands for an open namespace, as those of named ones do.

    No named namespace may have such a name: it has a ":" in it.
    """
    _lent.update(descriptors)
    try:
        yield
    finally:
        for name in descriptors:
            del _lent[name]


def lent_inodes() -> Dict[str, int]:
    """What is lent, with the inode number of each."""
    return {name: os.fstat(descriptor).st_ino for name, descriptor in _lent.items()}


@contextlib.contextmanager
def inside_path(path: str, subject: str = "") -> Iterator[None]:
    """As :func:`inside`, for any file that stands for a namespace (/proc/PID/ns/net)."""
    home = os.open(_THREAD, os.O_RDONLY | os.O_CLOEXEC)
    try:
        try:
            there = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                _setns(there, _CLONE_NEWNET)
            finally:
                os.close(there)
        except OSError as error:
            raise NotEntered(subject or path, error) from error
        try:
            yield
        finally:
            _setns(home, _CLONE_NEWNET)
    finally:
        os.close(home)


class Home:
    """The namespace that the thread is in now, to come back to."""

    def __init__(self) -> None:
        self._descriptor = os.open(_THREAD, os.O_RDONLY | os.O_CLOEXEC)

    def duplicate(self) -> int:
        """Another descriptor of it, for the caller to close."""
        return os.dup(self._descriptor)

    def enter(self) -> None:
        """Be there, if the thread isn't. Raises KernelRefused."""
        if os.stat(_THREAD).st_ino != os.fstat(self._descriptor).st_ino:
            self.come_back()

    def come_back(self) -> None:
        """Be there, from elsewhere. Raises KernelRefused."""
        try:
            _setns(self._descriptor, _CLONE_NEWNET)
        except OSError as error:
            raise KernelRefused("return to the namespace that the run began in", error.errno or 0) from error

    def close(self) -> None:
        """Forget it."""
        os.close(self._descriptor)


class Tour:
    """A walk through many namespaces that comes home at its end, whatever happens: cheaper than many :func:`inside`."""

    def __enter__(self) -> Tour:
        self._home = os.open(_THREAD, os.O_RDONLY | os.O_CLOEXEC)
        self._away = False
        return self

    def enter(self, netns: Optional[str]) -> None:
        """Be in the named namespace now; None is the one where the walk began."""
        if netns is None:
            self._return()
            return
        try:
            there = self.open(netns)
            try:
                _setns(there, _CLONE_NEWNET)
                self._away = True
            finally:
                os.close(there)
        except OSError as error:
            raise NotEntered(f"namespace {netns}", error) from error

    def open(self, netns: Optional[str]) -> int:
        """A descriptor, for the caller to close, of the named namespace or of the one where the walk began."""
        if netns is None:
            return os.dup(self._home)
        try:
            return os.open(path_of(netns), os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise NotEntered(f"namespace {netns}", error, "opened") from error

    def _return(self) -> None:
        if self._away:  # who never left may lack the privilege to enter anything
            _setns(self._home, _CLONE_NEWNET)
            self._away = False

    def __exit__(self, *_exc: object) -> None:
        try:
            self._return()
        finally:
            os.close(self._home)


def close(fds: Iterable[int]) -> None:
    """Close namespaces that a tour opened."""
    for fd in fds:
        os.close(fd)


def inodes() -> Dict[str, int]:
    """Every named namespace with its inode number. A plain file left over by a crash is none (hazard 16)."""
    device = os.stat(_THREAD).st_dev  # nsfs
    found: Dict[str, int] = {}
    try:
        entries = os.listdir(DIRECTORY)
    except FileNotFoundError:
        return found
    for name in entries:
        try:
            status = os.stat(f"{DIRECTORY}/{name}")
        except OSError as error:
            if error.errno not in _NONE:
                raise
            continue
        if status.st_dev == device:
            found[name] = status.st_ino
    return found


def plain_files(names: Iterable[str]) -> List[str]:
    """Those of these names for which there is a file and no namespace is mounted on it."""
    there = [name for name in names if os.path.lexists(f"{DIRECTORY}/{name}")]
    known = inodes() if there else {}
    return [name for name in there if name not in known]


def other_files() -> Dict[str, str]:
    """What has the name of a namespace, is none and stands in the way of one: name to path. See :func:`create`."""
    known = inodes()
    found: Dict[str, str] = {}
    with contextlib.suppress(FileNotFoundError), os.scandir(DIRECTORY) as entries:
        for entry in entries:
            if entry.name not in known and not (entry.is_file(follow_symlinks=False) and not entry.stat().st_size):
                found[entry.name] = entry.path
    return found


def names() -> List[str]:
    """The names of all namespaces, sorted."""
    return sorted(inodes())


def inode_of(netns: Optional[str]) -> int:
    """The inode number of a named namespace, or of the one the thread is in."""
    return os.stat(_THREAD if netns is None else path_of(netns)).st_ino


def create(name: str, begun: Callable[[], None]) -> None:
    """Make a namespace that iproute2 sees too; what a crash left of an earlier attempt is made good (hazard 16).

    The directory has to be prepared. ``begun`` is called once there is something that :func:`delete` is to take away,
    whatever happens then. Raises KernelRefused, with EEXIST if the namespace is there.
    """
    path = f"{DIRECTORY}/{name}"
    try:
        try:
            os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0))
        except FileExistsError:
            if name in inodes() or os.path.islink(path) or os.path.getsize(path):
                raise KernelRefused(f"namespace {name}", errno.EEXIST) from None
        begun()
        with scratch(f"namespace {name}: create"):
            _checked(_libc.mount(_THREAD.encode(), path.encode(), b"none", _MS_BIND, None), f"namespace {name}: mount")
    except OSError as error:
        raise KernelRefused(f"namespace {name}: create", error.errno or 0) from error


@contextlib.contextmanager
def scratch(subject: str) -> Iterator[None]:
    """The calling thread is in a new namespace, which ends with the context unless something keeps it.

    Raises KernelRefused, above all without the privilege, and OSError.
    """
    home = Home()
    try:
        _checked(_libc.unshare(_CLONE_NEWNET), subject)
        try:
            yield
        finally:
            home.come_back()
    finally:
        home.close()


def prepare_directory() -> None:
    """Make the directory a shared mount, so that namespaces propagate between mount namespaces (as iproute2 does).

    Once is enough for many: the kernel goes through all that is mounted there each time.
    """
    if not os.path.isdir(DIRECTORY):
        os.makedirs(DIRECTORY, exist_ok=True)
        os.chmod(DIRECTORY, 0o755)  # whatever the umask is
    path = DIRECTORY.encode()
    if _libc.mount(b"", path, b"none", _MS_SHARED | _MS_REC, None) == 0:
        return
    if ctypes.get_errno() != errno.EINVAL:  # EINVAL: not a mount point yet
        raise KernelRefused(f"{DIRECTORY}: share", ctypes.get_errno())
    _checked(_libc.mount(path, path, b"none", _MS_BIND | _MS_REC, None), f"{DIRECTORY}: mount")
    _checked(_libc.mount(b"", path, b"none", _MS_SHARED | _MS_REC, None), f"{DIRECTORY}: share")


def check_visible(name: str) -> None:
    """Fail if the host's first process can't see a namespace that we made below a /run shared with it (hazard 17)."""
    try:
        outside = os.stat("/proc/1/root" + DIRECTORY)
        if os.path.samestat(os.stat("/proc/1/ns/mnt"), os.stat("/proc/self/ns/mnt")):
            return
        if outside.st_dev != os.stat(DIRECTORY).st_dev:
            return  # another host's /run altogether: a container, a lab
        seen = os.stat(os.path.join("/proc/1/root" + DIRECTORY, name)).st_ino
    except PermissionError:
        return  # unprivileged: there is no looking from outside
    except FileNotFoundError:
        seen = 0
    if seen != inode_of(name):
        raise Conflict(
            f"namespace {name}: this process is in a private mount namespace, what it mounts on {DIRECTORY} can't be "
            "seen from outside; run it in the host's own mount namespace"
        )


def delete(name: str) -> None:
    """Take the name away; the namespace itself ends with the last process and socket in it (hazard 18)."""
    path = os.path.join(DIRECTORY, name)
    if _libc.umount2(path.encode(), _MNT_DETACH) != 0 and ctypes.get_errno() != errno.EINVAL:
        raise KernelRefused(f"namespace {name}: unmount", ctypes.get_errno())
    try:
        os.unlink(path)
    except OSError as error:
        raise KernelRefused(f"namespace {name}: remove", error.errno or 0) from error


def processes() -> Dict[int, List[Process]]:
    """All processes that can be seen, by the inode number of their network namespace."""
    found: Dict[int, List[Process]] = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            inode = os.stat(f"/proc/{entry}/ns/net").st_ino
            found.setdefault(inode, []).append(_process(int(entry)))
        except OSError:  # gone meanwhile, or not ours to look at
            continue
    return found


def _process(pid: int) -> Process:
    inner = pid
    with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as status:
        for line in status:
            if line.startswith("NSpid:"):
                inner = int(line.split()[-1])
                break
    with open(f"/proc/{pid}/cmdline", "rb") as command:
        words = command.read().rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")
    return Process(pid, inner, words)
