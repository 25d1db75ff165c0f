# SPDX-License-Identifier: GPL-3.0-or-later
"""Speaking up on a link: to neighbours, that an address has another MAC address; to routers, to have them advertise."""

from __future__ import annotations

import contextlib
import fcntl
import socket
import struct
from typing import List, NamedTuple, Sequence, Tuple

from . import sysctl
from .document.prefix import known_prefix
from .rtnetlink.channel import Channel
from .rtnetlink.constants import IFA_F_SECONDARY, IFA_F_TENTATIVE, RT_SCOPE_HOST
from .rtnetlink.neighbours import ask_for_neighbour, delete_neighbour
from .rtnetlink.wire import Message

_SIOCGIFHWADDR = 0x8927  # linux/sockios.h
_IFREQ = struct.Struct("=16s24x")  # struct ifreq
_ETH_P_ARP = 0x0806  # linux/if_ether.h
_EVERYBODY = b"\xff" * 6
_REQUEST = struct.Struct("!HHBBH6s4s6s4s")  # RFC 826, for Ethernet and IPv4
_ALL_NODES, _ALL_ROUTERS = "ff02::1", "ff02::2"
_SOLICITATION = struct.pack("!BBHI", 133, 0, 0, 0)  # RFC 4861, 4.1
_ADVERTISEMENT = struct.Struct("!BBHI16sBB6s")  # RFC 4861, 4.4, with the option of 4.6.1
_ROUTER, _OVERRIDE = 0x80000000, 0x20000000
_HOPS = 255  # RFC 4861, 7.1.2: another count of hops, and it is dropped
_PACKET_INFO = struct.Struct("=16sI")  # struct in6_pktinfo: the source and the link


class Held(NamedTuple):
    """An address of a link, with prefix length; ``scope`` and ``flags`` are the numbers of linux/if_addr.h."""

    address: str
    scope: int
    flags: int

    @property
    def plain(self) -> str:
        """The address without its prefix length."""
        return self.address.partition("/")[0]


class Claim(NamedTuple):
    """All that a link says it has, in the kernel's order: ``index`` and ``mac`` are the link's."""

    link: str
    index: int  # type: ignore[assignment]
    mac: bytes
    held: Tuple[Held, ...]


def mac_of(link: str) -> bytes:
    """The MAC address of a link of the thread's namespace; OSError (ENODEV) if there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        answer = fcntl.ioctl(asking.fileno(), _SIOCGIFHWADDR, _IFREQ.pack(link.encode()))
    return bytes(answer[18:24])  # behind the name and the family of struct sockaddr


def announce(channel: Channel, claims: Sequence[Claim]) -> None:
    """Send a gratuitous ARP request (RFC 5227, 3) or an unsolicited neighbour advertisement for each address.

    Of links of the namespace that the thread and the channel are in. What can't be sent is left: neighbours then ask
    when they notice.
    """
    messages: List[Message] = []
    for claim in claims:
        for address in said_by_the_kernel(claim.held):
            messages += [ask_for_neighbour(claim.index, address), delete_neighbour(claim.index, address)]
    if messages:
        channel.transact(messages)
    for claim in claims:
        for address in unsaid_by_the_kernel(claim.held):
            with contextlib.suppress(OSError):
                _tell_by_arp(claim.link, claim.mac, socket.inet_aton(address))
    six = [claim for claim in claims if any(_is_usable_ipv6(held) for held in claim.held)]
    if six:
        with contextlib.suppress(OSError):
            _advertise(six)


def said_by_the_kernel(held: Sequence[Held]) -> List[str]:
    """The IPv4 addresses for which the kernel itself sends a gratuitous request when it is to look for them.

    It asks in the name of the first address of the link whose subnet has the one that it looks for (arp_solicit,
    net/ipv4/arp.c): that is gratuitous for a primary address. And it is quick: closing a packet socket takes 15 ms.
    """
    return [one.plain for one in held if ":" not in one.address and _asks_for(held, one) == one.address]


def unsaid_by_the_kernel(held: Sequence[Held]) -> List[str]:
    """The IPv4 addresses that have to be announced by hand."""
    return [
        one.plain
        for one in held
        if ":" not in one.address and one.scope < RT_SCOPE_HOST and _asks_for(held, one) != one.address
    ]


def _asks_for(held: Sequence[Held], wanted: Held) -> str:
    number = known_prefix(f"{wanted.plain}/32").first
    for one in held:
        if ":" in one.address or one.flags & IFA_F_SECONDARY or one.scope >= RT_SCOPE_HOST:
            continue
        prefix = known_prefix(one.address)
        if prefix.first <= number <= prefix.last:
            return one.address
    return ""


def _tell_by_arp(link: str, mac: bytes, address: bytes) -> None:
    body = _REQUEST.pack(1, 0x0800, 6, 4, 1, mac, address, bytes(6), address)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
        sender.bind((link, 0))
        sender.send(_EVERYBODY + mac + struct.pack("!H", _ETH_P_ARP) + body)


def _is_usable_ipv6(held: Held) -> bool:
    return ":" in held.address and held.scope != RT_SCOPE_HOST and not held.flags & IFA_F_TENTATIVE


def _advertise(claims: Sequence[Claim]) -> None:
    with _icmpv6() as sender:
        for claim in claims:
            # Without that mark those who have a default route by this host's advertisements would drop it.
            forwards = sysctl.read_if_possible(f"net/ipv6/conf/{claim.link}/forwarding") not in (None, "0")
            flags = _OVERRIDE | (_ROUTER if forwards else 0)
            for held in filter(_is_usable_ipv6, claim.held):
                own = socket.inet_pton(socket.AF_INET6, held.plain)
                body = _ADVERTISEMENT.pack(136, 0, 0, flags, own, 2, 1, claim.mac)
                source = (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, _PACKET_INFO.pack(own, claim.index))
                with contextlib.suppress(OSError):
                    sender.sendmsg([body], [source], 0, (_ALL_NODES, 0, 0, claim.index))


def ask_routers(index: int) -> None:
    """Send a router solicitation on the link with this index. If it can't be sent: routers speak now and then."""
    with contextlib.suppress(OSError), _icmpv6() as sender:
        sender.sendto(_SOLICITATION, (_ALL_ROUTERS, 0, 0, index))


def _icmpv6() -> socket.socket:
    """A socket to send by; the kernel fills in the checksum."""
    sender = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, _HOPS)
    return sender
