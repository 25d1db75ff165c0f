# SPDX-License-Identifier: GPL-3.0-or-later
"""Taps: links whose other end is a file that a virtual machine opens. Made by /dev/net/tun, in the thread's namespace.

The kernel knows no netlink message that makes one (drivers/net/tun.c, tun_validate); all else about them is netlink.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import pwd
import struct
from typing import Dict, Iterable, Optional

from .errors import KernelRefused, MissingOnHost

_DEVICE = "/dev/net/tun"
# linux/if_tun.h
_TUNSETIFF = 0x400454CA
_TUNSETPERSIST = 0x400454CB
_TUNSETOWNER = 0x400454CC
_IFF_TAP, _IFF_NO_PI, _IFF_TUN_EXCL = 0x0002, 0x1000, 0x8000
_IFREQ = struct.Struct("16sH22x")  # struct ifreq: name, flags


def create(name: str, owner: Optional[int]) -> None:
    """A tap that stays when this process ends, down; ``owner`` is the user id that may open it, None for root alone.

    Raises KernelRefused (EEXIST if the name is taken) and MissingOnHost where the kernel has no tun driver.
    """
    try:
        device = os.open(_DEVICE, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
            raise MissingOnHost(f"tap {name}: {_DEVICE} is missing; load the kernel's module tun") from error
        raise KernelRefused(f"tap {name}: open {_DEVICE}", error.errno or 0) from error
    try:
        fcntl.ioctl(device, _TUNSETIFF, _IFREQ.pack(name.encode(), _IFF_TAP | _IFF_NO_PI | _IFF_TUN_EXCL))
        if owner is not None:
            fcntl.ioctl(device, _TUNSETOWNER, ctypes.c_int32(owner).value)  # Python's ioctl() takes no more than that
        fcntl.ioctl(device, _TUNSETPERSIST, 1)
    except OSError as error:
        number = errno.EEXIST if error.errno == errno.EBUSY else error.errno or 0
        raise KernelRefused(f"tap {name}: create", number) from error
    finally:
        os.close(device)


def user_ids(names: Iterable[str]) -> Dict[str, Optional[int]]:
    """The user id of each of these users, by name or number; None for one whom this host doesn't know."""
    found: Dict[str, Optional[int]] = {}
    for name in names:
        try:
            found[name] = int(name) if name.isdigit() else pwd.getpwnam(name).pw_uid
        except KeyError:
            found[name] = None
    return found
