# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses of a namespace's links."""

from __future__ import annotations

import socket
import struct
from typing import Dict, Iterable, List, Tuple

from ..model import Address
from . import constants as nl
from .channel import Channel
from .shapes import Shapes
from .wire import Message, attribute, attributes, u32

_IFADDR = struct.Struct("=BBBBI")  # struct ifaddrmsg: family, prefix length, flags, scope, link index
_CACHEINFO = struct.Struct("=II8x")  # struct ifa_cacheinfo: preferred, valid, two times
_LASTING = nl.IFA_F_PERMANENT | nl.IFA_F_DEPRECATED
FOREVER = 0xFFFFFFFF  # INFINITY_LIFE_TIME, net/addrconf.h
_SHAPES = Shapes({nl.IFA_LOCAL: "s", nl.IFA_ADDRESS: "s", nl.IFA_FLAGS: "I"})
ALL_ADDRESSES = _IFADDR.pack(0, 0, 0, 0, 0)


def read_addresses(channel: Channel) -> Dict[int, Tuple[Address, ...]]:
    """Every address of the namespace, by the index of its link, in the kernel's order."""
    return by_link(channel.dump(nl.RTM_GETADDR, ALL_ADDRESSES, parse_address))


def by_link(addresses: Iterable[Address]) -> Dict[int, Tuple[Address, ...]]:
    """These addresses by the index of their link, in the same order."""
    found: Dict[int, List[Address]] = {}
    for address in addresses:
        found.setdefault(address.index, []).append(address)
    return {index: tuple(held) for index, held in found.items()}


def parse_address(buffer: bytearray, start: int, end: int) -> Address:
    """An address out of the message that is about it."""
    family, length, flags, scope, index = _IFADDR.unpack_from(buffer, start)
    local, address, wide_flags = _SHAPES.read(buffer, start + _IFADDR.size, end)
    own = local or address  # the kernel always gives one of them
    if wide_flags is not None:  # the field in the header holds eight bits only
        flags = wide_flags
    return Address(
        index,
        f"{socket.inet_ntop(family, own)}/{length}",
        scope,
        flags,
        socket.inet_ntop(family, address) if address and address != own else None,
        None if flags & _LASTING == nl.IFA_F_PERMANENT else _lifetimes(buffer, start + _IFADDR.size, end),
    )


def _lifetimes(buffer: bytearray, start: int, end: int) -> Tuple[int, int]:
    for number, begin, _stop in attributes(buffer, start, end):
        if number == nl.IFA_CACHEINFO:
            preferred, valid = _CACHEINFO.unpack_from(buffer, begin)
            return preferred, valid
    return FOREVER, FOREVER


def _body(index: int, address: str) -> bytes:
    plain, _slash, length = address.partition("/")
    family = socket.AF_INET6 if ":" in plain else socket.AF_INET
    packed = socket.inet_pton(family, plain)
    body = _IFADDR.pack(family, int(length), 0, _scope(family, packed), index)
    return body + attribute(nl.IFA_LOCAL, packed) + attribute(nl.IFA_ADDRESS, packed)


def _scope(family: int, packed: bytes) -> int:
    """As ``ip address add`` chooses it: 127/8 is the host's, an IPv6 link-local address the link's."""
    if family == socket.AF_INET:
        return nl.RT_SCOPE_HOST if packed[0] == 127 else nl.RT_SCOPE_UNIVERSE
    return nl.RT_SCOPE_LINK if packed[0] == 0xFE and packed[1] & 0xC0 == 0x80 else nl.RT_SCOPE_UNIVERSE


def add_address(index: int, address: str, unchecked: bool = False) -> Message:
    """Give ``address`` (with its prefix length) to the link with this index; EEXIST if it has it.

    ``unchecked``: an IPv6 address is usable at once, also on a link that carries nothing yet; it is marked so.
    """
    flags = u32(nl.IFA_FLAGS, nl.IFA_F_NODAD) if unchecked else b""
    return Message(nl.RTM_NEWADDR, nl.NLM_F_CREATE | nl.NLM_F_EXCL, _body(index, address) + flags)


def unmark_address(index: int, address: str) -> Message:
    """Take the mark of an unchecked address off it; it stays usable."""
    return Message(nl.RTM_NEWADDR, nl.NLM_F_REPLACE, _body(index, address) + u32(nl.IFA_FLAGS, 0))


def renew_address(index: int, address: str, lifetimes: Tuple[int, int], flags: int) -> Message:
    """For how long an address of the link with this index is preferred, and valid, and its flags (IFA_F_*)."""
    body = _body(index, address) + u32(nl.IFA_FLAGS, flags)
    return Message(
        nl.RTM_NEWADDR, nl.NLM_F_REPLACE, body + attribute(nl.IFA_CACHEINFO, struct.pack("=4I", *lifetimes, 0, 0))
    )


def delete_address(index: int, address: str) -> Message:
    """Take ``address`` from the link with this index; EADDRNOTAVAIL if it hasn't got it."""
    return Message(nl.RTM_DELADDR, 0, _body(index, address))
