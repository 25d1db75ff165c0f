# SPDX-License-Identifier: GPL-3.0-or-later
"""The few system calls that the lab is made with. Each raises OSError that says which one it was."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct

# linux/sched.h
CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
# linux/mount.h
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_BIND, MS_MOVE, MS_REC, MS_SLAVE = 1 << 12, 1 << 13, 1 << 14, 1 << 19
MOUNT_ATTR_RDONLY = 1
AT_FDCWD, AT_RECURSIVE = -100, 0x8000  # linux/fcntl.h
SYS_MOUNT_SETATTR = 442  # the same number on every architecture (Linux 5.12)
# linux/sockios.h and linux/if.h
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """Give this process namespaces of its own (CLONE_NEW*), unshare(2)."""
    _checked(_libc.unshare(flags), "unshare")


def setns(descriptor: int, kind: int) -> None:
    """Move this thread into the namespace behind ``descriptor``, which must be of ``kind`` (CLONE_NEW*), setns(2)."""
    _checked(_libc.setns(descriptor, kind), "setns")


def mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    """Mount, bind or move (MS_* flags), mount(2)."""
    words = [os.fsencode(word) for word in (source, target, kind)]
    _checked(_libc.mount(*words, ctypes.c_ulong(flags), os.fsencode(options)), f"mount {target}")


def make_read_only(path: str, flags: int = 0) -> None:
    """Make the mount at ``path`` read-only, with ``flags`` AT_RECURSIVE also all that is mounted below it."""
    attributes = struct.pack("=QQQQ", MOUNT_ATTR_RDONLY, 0, 0, 0)  # struct mount_attr, linux/mount.h
    size = ctypes.c_size_t(len(attributes))
    number = ctypes.c_long(SYS_MOUNT_SETATTR)
    _checked(_libc.syscall(number, AT_FDCWD, os.fsencode(path), flags, attributes, size), f"make {path} read-only")


def loopback_up() -> None:
    """Take lo of this network namespace up."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh22x", b"lo", 0)  # struct ifreq, linux/if.h
        (flags,) = struct.unpack_from("h", fcntl.ioctl(any_socket, SIOCGIFFLAGS, request), 16)
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", flags | IFF_UP))
