# SPDX-License-Identifier: GPL-3.0-or-later
"""Which machine this is, which life of its kernel, and which network in it.

A boot's id alone doesn't tell a container that was started again: it has another network on the same boot, in which
the numbers of links and namespaces are others'.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
from typing import Iterator, NamedTuple, Optional

_SO_NETNS_COOKIE = 71  # include/uapi/asm-generic/socket.h, since Linux 5.14
_LOOPBACK = "/sys/class/net/lo"
# What a file that isn't there, or isn't for us, says; any other error says nothing of the host, only of this moment.
_NONE = (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EPERM)


class Whereabouts(NamedTuple):
    """A network namespace, told from all that there are, were and will be.

    ``boot`` is another text after each boot, ``network`` another one for each network namespace of a boot. Records of
    earlier versions don't know the latter: it is None.
    """

    boot: str
    network: Optional[str]

    def may_be(self, other: Whereabouts) -> bool:
        """Whether both are the same, as far as it is known of either."""
        return self.boot == other.boot and (None in (self.network, other.network) or self.network == other.network)


def here() -> Whereabouts:
    """The namespace in which the calling thread is."""
    return Whereabouts(boot_id(), _network())


def boot_id() -> str:
    """A text that is another after each boot."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def _network() -> str:
    """The namespace's cookie, which the kernel gives out once a boot.

    Where it has none: the inode of the namespace, which is given out again, with that of its lo in sysfs, which isn't
    (kernfs counts on). Where somebody mounted another namespace's sysfs the latter says nothing, and nothing wrong.
    """
    # That there is no socket, or no answer, just now says nothing of the kernel: one network has one name. Raises
    # OSError.
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as anyone:
        try:
            (cookie,) = struct.unpack("=Q", anyone.getsockopt(socket.SOL_SOCKET, _SO_NETNS_COOKIE, 8))
        except OSError as error:
            if error.errno != errno.ENOPROTOOPT:
                raise
            return _network_by_inodes()
    return f"cookie {cookie}"


def _network_by_inodes() -> str:
    inodes = [os.stat("/proc/thread-self/ns/net").st_ino]
    with _unless_there_is_none():
        inodes.append(os.stat(_LOOPBACK).st_ino)
    return f"inodes {' '.join(map(str, inodes))}"


def machine_id() -> str:
    """A text that is another on each machine: of two without such a text of their own at least the names differ.

    Raises OSError where it can't be read just now: MAC addresses are made of it.
    """
    with contextlib.suppress(ValueError), _unless_there_is_none(), open("/etc/machine-id", encoding="ascii") as file:
        text = file.read(128).strip()
        if text not in ("", "uninitialized"):  # machine-id(5): so it is in an image
            return text
    return os.uname().nodename


@contextlib.contextmanager
def _unless_there_is_none() -> Iterator[None]:
    """Nothing happens where what is asked for isn't there for us. Raises any other OSError."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NONE:
            raise
