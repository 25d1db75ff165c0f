# SPDX-License-Identifier: GPL-3.0-or-later
"""A namespace's forwarding switches (net.ipv4.ip_forward is conf.all.forwarding), cheaper than through /proc/sys."""

from __future__ import annotations

import socket
import struct
from typing import Optional, Tuple

from .channel import Channel
from .constants import NETCONFA_FORWARDING, NETCONFA_IFINDEX, NETCONFA_IFINDEX_ALL, RTM_GETNETCONF
from .shapes import Shapes
from .wire import Message, attribute

_I32 = struct.Struct("=i")
_SHAPES = Shapes({NETCONFA_FORWARDING: "I"})


def _question(family: int) -> Message:
    body = struct.pack("=Bxxx", family)  # struct netconfmsg
    return Message(RTM_GETNETCONF, 0, body + attribute(NETCONFA_IFINDEX, _I32.pack(NETCONFA_IFINDEX_ALL)))


QUESTIONS = (_question(socket.AF_INET), _question(socket.AF_INET6))


def read_forwarding(channel: Channel) -> Tuple[Optional[bool], Optional[bool]]:
    """Whether the namespace forwards IPv4 and IPv6; None for a family that the kernel hasn't got."""
    ipv4, ipv6 = (None if place is None else is_forwarding(*place) for place in channel.ask(QUESTIONS))
    return ipv4, ipv6


def is_forwarding(buffer: bytearray, start: int, end: int) -> Optional[bool]:
    """What the answer to one of the two says."""
    (value,) = _SHAPES.read(buffer, start + 4, end)
    return None if value is None else value != 0
