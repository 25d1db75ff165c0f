# SPDX-License-Identifier: GPL-3.0-or-later
"""Speaking up on a link: to neighbours, that an address has another MAC address; to routers, to have them advertise."""

from __future__ import annotations

import contextlib
import fcntl
import socket
import struct
from typing import Iterable

_SIOCGIFHWADDR = 0x8927  # linux/sockios.h
_IFREQ = struct.Struct("=16s24x")  # struct ifreq
_ETH_P_ARP = 0x0806  # linux/if_ether.h
_EVERYBODY = b"\xff" * 6
_REQUEST = struct.Struct("!HHBBH6s4s6s4s")  # RFC 826, for Ethernet and IPv4
_ALL_NODES, _ALL_ROUTERS = "ff02::1", "ff02::2"
_SOLICITATION = struct.pack("!BBHI", 133, 0, 0, 0)  # RFC 4861, 4.1
_ADVERTISEMENT = struct.Struct("!BBHI16sBB6s")  # RFC 4861, 4.4, with the option of 4.6.1
_OVERRIDE = 0x20000000
_HOPS = 255  # RFC 4861, 7.1.2: another count of hops, and it is dropped


def mac_of(link: str) -> bytes:
    """The MAC address of a link of the thread's namespace; OSError (ENODEV) if there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        answer = fcntl.ioctl(asking.fileno(), _SIOCGIFHWADDR, _IFREQ.pack(link.encode()))
    return bytes(answer[18:24])  # behind the name and the family of struct sockaddr


def announce(link: str, index: int, addresses: Iterable[str]) -> None:
    """Send a gratuitous ARP request (RFC 5227, 3) or an unsolicited neighbour advertisement for each address.

    ``addresses`` are without prefix length. What can't be sent is left: neighbours then ask when they notice.
    """
    mac = mac_of(link)
    for address in addresses:
        with contextlib.suppress(OSError):
            if ":" in address:
                _advertise(index, mac, address)
            else:
                _tell_by_arp(link, mac, socket.inet_aton(address))


def _tell_by_arp(link: str, mac: bytes, address: bytes) -> None:
    body = _REQUEST.pack(1, 0x0800, 6, 4, 1, mac, address, bytes(6), address)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
        sender.bind((link, 0))
        sender.send(_EVERYBODY + mac + struct.pack("!H", _ETH_P_ARP) + body)


def _advertise(index: int, mac: bytes, address: str) -> None:
    body = _ADVERTISEMENT.pack(136, 0, 0, _OVERRIDE, socket.inet_pton(socket.AF_INET6, address), 2, 1, mac)
    with _icmpv6(index) as sender:
        sender.bind((address, 0, 0, index if address.startswith("fe80:") else 0))
        sender.sendto(body, (_ALL_NODES, 0, 0, index))


def ask_routers(index: int) -> None:
    """Send a router solicitation on the link with this index. If it can't be sent: routers speak now and then."""
    with contextlib.suppress(OSError), _icmpv6(index) as sender:
        sender.sendto(_SOLICITATION, (_ALL_ROUTERS, 0, 0, index))


def _icmpv6(index: int) -> socket.socket:
    """A socket to send by; the kernel fills in the checksum."""
    sender = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, _HOPS)
    sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
    return sender
