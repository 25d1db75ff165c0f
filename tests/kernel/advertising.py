# SPDX-License-Identifier: GPL-3.0-or-later
"""A router's advertisements, sent when a test wants them (RFC 4861, 4.2)."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import struct
import time
from typing import Callable, Optional

from ansible_collections.hostwire.linux.plugins.module_utils.netns import inside

_ON_LINK, _AUTONOMOUS = 0x80, 0x40
_LIFE = 1800  # seconds


def advertise(
    room: Optional[str], link: str, heard: Callable[[], bool], prefix: Optional[str] = None, autonomous: bool = True
) -> None:
    """Say on ``link`` of ``room`` that there is a router, and this /64, until somebody has ``heard`` it."""
    packet = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, _LIFE, 0, 0)
    if prefix is not None:
        flags = _ON_LINK | (_AUTONOMOUS if autonomous else 0)
        packet += struct.pack("!BBBBIII", 3, 4, 64, flags, _LIFE, _LIFE, 0)
        packet += ipaddress.IPv6Network(prefix).network_address.packed
    with inside(room):
        sender = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
        everybody = ("ff02::1", 0, 0, socket.if_nametoindex(link))
    with sender:
        sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        deadline = time.monotonic() + 10
        while not heard():
            assert time.monotonic() < deadline, "nobody took the advertisement"
            with contextlib.suppress(OSError):  # its own address is still being checked
                sender.sendto(packet, everybody)
            time.sleep(0.05)
