# SPDX-License-Identifier: GPL-3.0-or-later
"""Every call that a run makes to the kernel, and every program that it starts, by kind: each can be made to fail.

:func:`intercept` changes this process for good: it is for a child that runs once.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import io
import os
import resource
import socket
import subprocess
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from ansible_collections.hostwire.linux.plugins.module_utils import netns as namespaces
from ansible_collections.hostwire.linux.plugins.module_utils.firewall import programs
from ansible_collections.hostwire.linux.plugins.module_utils.rtnetlink.channel import Channel, Refusal
from ansible_collections.hostwire.linux.plugins.module_utils.rtnetlink.wire import Message

Called = Callable[[str], Optional[str]]  # told the kind of a call about to be made; what is to go wrong with it, if so

# How each kind of call may fail: an error's name, or what a program does instead (see _instead).
FAULTS: Dict[str, Tuple[str, ...]] = {
    "send": ("ENOBUFS", "EPERM", "EIO"),
    "a message is refused": ("EBUSY", "EPERM", "ENOBUFS", "ENOSPC"),
    "receive": ("ENOBUFS", "EAGAIN", "EIO"),
    "socket": ("EMFILE", "ENOBUFS", "EPERM"),
    "ioctl": ("EIO", "EBUSY", "EPERM"),
    "setns": ("EPERM", "EMFILE"),
    "unshare": ("EPERM", "ENOSPC"),
    "mount": ("EPERM", "EBUSY", "ENOSPC"),
    "umount": ("EBUSY", "EPERM"),
    "open": ("EMFILE", "EIO", "EPERM"),
    "make a file": ("ENOSPC", "EMFILE", "EPERM", "EEXIST"),
    "write": ("ENOSPC", "EIO"),
    "fsync": ("EIO", "ENOSPC"),
    "rename": ("EIO", "ENOSPC", "EBUSY", "EPERM"),
    "unlink": ("EBUSY", "EIO", "EPERM"),
    "mkdir": ("ENOSPC", "EPERM"),
    "rmdir": ("EIO", "EPERM"),
    "list": ("EMFILE", "EIO"),
    "read a setting": ("EIO", "EPERM", "EMFILE"),
    "set a setting": ("EPERM", "EBUSY", "EIO"),
    "pipe": ("EMFILE",),
    "start a program": ("ENOENT", "EPERM", "EMFILE", "EAGAIN"),
    "iptables-save": ("exit 1", "exit 4", "exit 0 at once", "cut off", "time-out", "killed"),
    "iptables-restore": (
        "exit 1", "exit 4", "exit 0 at once", "half, then exit 4", "all, then exit 4", "time-out", "killed",
    ),
    "any": ("descriptors",),
}  # fmt: skip
_INSTEAD = {
    "exit 1": "cat >/dev/null; echo 'it did not work' >&2; exit 1",
    "exit 4": "cat >/dev/null; echo 'the lock is held' >&2; exit 4",
    "exit 0 at once": "cat >/dev/null; exit 0",
    "cut off": 'all="$("$@")"; printf "%s" "$all" | head -c $((${#all} / 2))',
    "half, then exit 4": 'sed "/^COMMIT/q" | "$@"; exit 4',
    "all, then exit 4": '"$@"; exit 4',
    "time-out": "exec sleep 60",
    "killed": "kill -9 $$",
}
_SECONDS = 0.7  # that iptables' programs may take


def intercept(called: Called) -> None:
    """From now on each call is told of before it is made, and goes wrong as the answer says."""
    _sockets(called)
    _messages(called)
    _files(called)
    _settings(called)
    _namespaces(called)
    _programs(called)


def _check(called: Called, kind: str) -> None:
    fault = called(kind)
    if fault is not None:
        number = getattr(errno, fault)
        raise OSError(number, os.strerror(number))


def _before(called: Called, kind: str, real: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **options: Any) -> Any:
        _check(called, kind)
        return real(*args, **options)

    return call


def _of_what_is_there(called: Called, kind: str, real: Callable[..., Any]) -> Callable[..., Any]:
    """What isn't there is told as such: other faults of a call are of a file that is."""
    really_lstat = os.lstat

    def call(path: Any, *args: Any, **options: Any) -> Any:
        try:
            really_lstat(path, dir_fd=options.get("dir_fd", options.get("src_dir_fd")))
        except OSError:
            return real(path, *args, **options)
        _check(called, kind)
        return real(path, *args, **options)

    return call


def _sockets(called: Called) -> None:
    class Broken(socket.socket):
        def __init__(self, *args: Any, **options: Any) -> None:
            _check(called, "socket")
            super().__init__(*args, **options)

        def send(self, *args: Any) -> int:
            if self.family == socket.AF_NETLINK:
                _check(called, "send")
            return super().send(*args)

        def recv_into(self, *args: Any) -> int:
            if self.family == socket.AF_NETLINK:
                _check(called, "receive")
            return super().recv_into(*args)

    socket.socket = Broken  # type: ignore[misc]
    fcntl.ioctl = _before(called, "ioctl", fcntl.ioctl)


def _messages(called: Called) -> None:
    really_transact = Channel.transact

    def transact(self: Channel, messages: Sequence[Message]) -> List[Optional[Refusal]]:
        faults = [called("a message is refused") for _message in messages]
        sent = [message for message, fault in zip(messages, faults) if fault is None]
        answers = iter(really_transact(self, sent) if sent else ())
        return [next(answers) if fault is None else Refusal(getattr(errno, fault), None) for fault in faults]

    Channel.transact = transact  # type: ignore[method-assign]


def _files(called: Called) -> None:
    really_open, really_fdopen = _of_what_is_there(called, "open", os.open), os.fdopen
    really_make = _before(called, "make a file", os.open)
    others = os.open

    def opened(path: Any, flags: int, *args: Any, **options: Any) -> int:
        if str(path).startswith("/proc/sys/"):
            return others(path, flags, *args, **options)
        return int((really_make if flags & os.O_CREAT else really_open)(path, flags, *args, **options))

    class Full(io.FileIO):
        def write(self, data: Any) -> int:
            _check(called, "write")
            return super().write(data)

    def fdopen(descriptor: int, mode: str = "r", *args: Any, **options: Any) -> Any:
        if mode == "wb":
            return io.BufferedWriter(Full(descriptor, "wb"))
        return really_fdopen(descriptor, mode, *args, **options)

    os.open, os.fdopen = opened, fdopen  # type: ignore[assignment]
    os.fsync = _before(called, "fsync", os.fsync)
    os.rename = _of_what_is_there(called, "rename", os.rename)
    os.replace = _of_what_is_there(called, "rename", os.replace)
    os.unlink = _of_what_is_there(called, "unlink", os.unlink)
    os.mkdir = _before(called, "mkdir", os.mkdir)
    os.rmdir = _of_what_is_there(called, "rmdir", os.rmdir)
    os.listdir = _before(called, "list", os.listdir)
    os.pipe = _before(called, "pipe", os.pipe)


def _settings(called: Called) -> None:
    really_open, really_write, writing = os.open, os.write, set()

    def opened(path: Any, flags: int, *args: Any, **options: Any) -> int:
        setting = str(path).startswith("/proc/sys/")
        if setting and not flags & os.O_WRONLY and os.path.exists(path):
            _check(called, "read a setting")
        descriptor: int = really_open(path, flags, *args, **options)
        if setting and flags & os.O_WRONLY:
            writing.add(descriptor)
        else:
            writing.discard(descriptor)
        return descriptor

    def written(descriptor: int, data: bytes) -> int:
        if descriptor in writing:
            _check(called, "set a setting")
        return really_write(descriptor, data)

    os.open, os.write = opened, written  # type: ignore[assignment]


def _namespaces(called: Called) -> None:
    real = namespaces._libc

    class Library:
        def __getattr__(self, name: str) -> Any:
            kind = "umount" if name == "umount2" else name

            def call(*args: Any) -> int:
                fault = called(kind)
                if fault is None:
                    return int(getattr(real, name)(*args))
                ctypes.set_errno(getattr(errno, fault))
                return -1

            return call

    namespaces._libc = Library()  # type: ignore[assignment]
    if namespaces._setns is not namespaces._setns_by_libc:
        namespaces._setns = _before(called, "setns", namespaces._setns)


def _programs(called: Called) -> None:
    class Odd(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, command: List[str], **options: Any) -> None:
            _check(called, "start a program")
            for verb in ("save", "restore"):
                if command[0].endswith(f"-{verb}"):
                    fault = called(f"iptables-{verb}")
                    if fault is not None:
                        command = ["/bin/sh", "-c", _INSTEAD[fault], "sh", *command]
            super().__init__(command, **options)

    subprocess.Popen = Odd  # type: ignore[misc]
    programs.READ_SECONDS = programs._WRITE_SECONDS = _SECONDS


def no_more_descriptors() -> None:
    """This process can open nothing any more."""
    used = [int(name) for name in os.listdir("/proc/self/fd")]
    free = next(number for number in range(max(used) + 2) if number not in used)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
