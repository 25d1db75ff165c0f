# SPDX-License-Identifier: GPL-3.0-or-later
"""A namespace's forwarding switches, read without entering it (net.ipv4.ip_forward is conf.all.forwarding)."""

from __future__ import annotations

import socket
import struct
from typing import Optional

from .channel import Channel
from .complete import complete
from .constants import NETCONFA_FORWARDING, NETCONFA_IFINDEX, NETCONFA_IFINDEX_ALL, RTM_GETNETCONF
from .wire import attributes

_I32 = struct.Struct("=i")


def read_forwarding(channel: Channel, family: int) -> Optional[bool]:
    """Whether this family is forwarded on all interfaces; None where the kernel hasn't got the family."""
    try:
        return complete(lambda: _read(channel, family))
    except OSError:
        return None if family == socket.AF_INET6 else False


def _read(channel: Channel, family: int) -> Optional[bool]:
    answer: Optional[bool] = None
    for buffer, start, end in channel.dump(RTM_GETNETCONF, struct.pack("=Bxxx", family)):
        index = forwarding = None
        for number, begin, _stop in attributes(buffer, start + 4, end):  # struct netconfmsg: a family, padded
            if number == NETCONFA_IFINDEX:
                index = _I32.unpack_from(buffer, begin)[0]
            elif number == NETCONFA_FORWARDING:
                forwarding = _I32.unpack_from(buffer, begin)[0] != 0
        if index == NETCONFA_IFINDEX_ALL:
            answer = forwarding
    return answer
