# SPDX-License-Identifier: GPL-3.0-or-later
"""The numbers by which the kernel names other namespaces inside one (linux/net_namespace.h)."""

from __future__ import annotations

import struct
from typing import List, Optional, Sequence

from .channel import BATCH, Channel
from .wire import Message, attributes, u32

_RTM_GETNSID = 90  # linux/rtnetlink.h
_NETNSA_NSID = 1
_NETNSA_FD = 3
_RTGENMSG = b"\0\0\0\0"  # struct rtgenmsg: a family, padded
_I32 = struct.Struct("=i")


def read_ids(channel: Channel, fds: Sequence[int]) -> List[Optional[int]]:
    """For each open namespace the number it has in the channel's namespace (IFLA_LINK_NETNSID), None without one."""
    found: List[Optional[int]] = []
    for start in range(0, len(fds), BATCH):
        messages = [Message(_RTM_GETNSID, 0, _RTGENMSG + u32(_NETNSA_FD, fd)) for fd in fds[start : start + BATCH]]
        for place in channel.ask(messages):
            number: Optional[int] = None
            if place is not None:
                buffer, begin, end = place
                for kind, at, _stop in attributes(buffer, begin + len(_RTGENMSG), end):
                    if kind == _NETNSA_NSID:
                        number = _I32.unpack_from(buffer, at)[0]
            found.append(number if number is not None and number >= 0 else None)
    return found
