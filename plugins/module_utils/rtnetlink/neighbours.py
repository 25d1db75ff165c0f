# SPDX-License-Identifier: GPL-3.0-or-later
"""Neighbour entries: which link-layer address answers for which IP address."""

from __future__ import annotations

import socket
import struct
from typing import List, NamedTuple, Optional, Sequence

from . import constants as nl
from .channel import Channel
from .wire import Message, attribute, attributes, u32

_NDMSG = struct.Struct("=BxHiHBB")  # struct ndmsg: family, padding, link index, state, flags, type
_STATE = struct.Struct("=8xHxB")  # of these, state and type
_LASTING = nl.NUD_PERMANENT | nl.NUD_NOARP
_MANY = 8  # links for which it is cheaper to have all told
_ALL = _NDMSG.pack(0, 0, 0, 0, 0, 0)
_FAMILIES = (socket.AF_INET, socket.AF_INET6)


class Neighbour(NamedTuple):
    """An entry as the kernel shows it; ``state`` is the NUD_* number of linux/neighbour.h."""

    index: int  # type: ignore[assignment]
    address: str
    mac: Optional[str]
    state: int


def read_neighbours(channel: Channel) -> List[Neighbour]:
    """Every IPv4 and IPv6 neighbour entry of the namespace."""
    return [entry for entry in channel.dump(nl.RTM_GETNEIGH, _ALL, _parse) if entry is not None]


def read_lasting_neighbours(channel: Channel, links: Sequence[int]) -> List[Neighbour]:
    """Those that somebody wrote down on these links, for good or as ones that aren't asked for."""
    found: List[Optional[Neighbour]] = []
    told = [u32(nl.NDA_IFINDEX, index) for index in links] if len(links) < _MANY else [b""]
    for family in _FAMILIES:
        for which in told:  # a kernel before 4.20 tells all, and each time
            found += channel.dump(nl.RTM_GETNEIGH, _NDMSG.pack(family, 0, 0, 0, 0, 0) + which, _parse_lasting)
    return [*dict.fromkeys(entry for entry in found if entry is not None and entry.index in links)]


def _parse_lasting(buffer: bytearray, start: int, end: int) -> Optional[Neighbour]:
    state, kind = _STATE.unpack_from(buffer, start)
    # The kernel's own are for broadcast and multicast.
    return _parse(buffer, start, end) if state & _LASTING and kind <= nl.RTN_UNICAST else None


def _parse(buffer: bytearray, start: int, end: int) -> Optional[Neighbour]:
    family, _pad, index, state, _flags, _kind = _NDMSG.unpack_from(buffer, start)
    if family not in _FAMILIES:  # a bridge's forwarding entries come in the same dump
        return None
    address = mac = None
    for number, begin, stop in attributes(buffer, start + _NDMSG.size, end):
        if number == nl.NDA_DST:
            address = socket.inet_ntop(family, buffer[begin:stop])
        elif number == nl.NDA_LLADDR:
            mac = buffer[begin:stop].hex(":")
    return Neighbour(index, address, mac, state) if address is not None else None


def delete_neighbour(index: int, address: str) -> Message:
    """Forget one neighbour; ENOENT if it isn't known."""
    return Message(nl.RTM_DELNEIGH, 0, _named(index, address, 0))


def ask_for_neighbour(index: int, address: str) -> Message:
    """Have the kernel ask on the link with this index, at once, who has ``address``; it keeps an entry for that."""
    return Message(nl.RTM_NEWNEIGH, nl.NLM_F_CREATE | nl.NLM_F_REPLACE, _named(index, address, nl.NTF_USE))


def _named(index: int, address: str, flags: int) -> bytes:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return _NDMSG.pack(family, 0, index, 0, flags, 0) + attribute(nl.NDA_DST, socket.inet_pton(family, address))
