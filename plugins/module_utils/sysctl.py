# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel settings below /proc/sys, in the namespace that the thread is in, by their slash path (hazard 31)."""

from __future__ import annotations

import errno
import os
from typing import Optional

from .errors import KernelRefused, MissingOnHost

IPV4_FORWARDING = "net/ipv4/ip_forward"
IPV6_FORWARDING = "net/ipv6/conf/all/forwarding"
BRIDGE_NF = "net/bridge/bridge-nf-call-iptables"  # exists once br_netfilter is loaded
# There is no such setting, or it is one that this user may not see (proc(5)).
_NEVER = frozenset((errno.ENOENT, errno.ENOTDIR, errno.EACCES))


def accept_ra(link: str) -> str:
    """The setting that tells whether a link heeds router advertisements."""
    return f"net/ipv6/conf/{link}/accept_ra"


def read(path: str) -> Optional[str]:
    """The value, white space folded; None if the kernel has no such setting, or never tells its value.

    Raises KernelRefused where it can't be looked at just now: it isn't taken for one that isn't there.
    """
    try:
        fd = os.open("/proc/sys/" + path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in _NEVER:
            return None
        raise KernelRefused(f"sysctl {path}: read", error.errno or 0) from error
    try:
        return " ".join(os.read(fd, 4096).decode(errors="replace").split())
    except OSError:
        return None
    finally:
        os.close(fd)


def read_if_possible(path: str) -> Optional[str]:
    """The same; None also where it can't be looked at just now: for what is well without it, too."""
    try:
        return read(path)
    except KernelRefused:
        return None


def write(path: str, value: str) -> None:
    """Set the value. Raises MissingOnHost if there is no such setting, KernelRefused if the value isn't taken."""
    try:
        fd = os.open("/proc/sys/" + path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, value.encode() or b"\n")  # a list that is empty; writing nothing at all changes nothing
        finally:
            os.close(fd)
    except OSError as error:
        if error.errno == errno.ENOENT and not os.path.exists("/proc/sys/" + path):  # else it is the value's name
            raise MissingOnHost(f"sysctl {path}: this kernel has no such setting") from None
        raise KernelRefused(f"sysctl {path} = {value}", error.errno or 0) from error
