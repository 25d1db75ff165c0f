# SPDX-License-Identifier: GPL-3.0-or-later
"""What a link holds (see replay), as notes that outlive the link, and from notes again. Times count from the boot."""

from __future__ import annotations

import socket
import struct
from typing import Dict, Tuple

from ..uplink_record import ADDRESS, NEIGHBOUR, ROUTE, Note
from . import constants as nl
from .replay import HeldAddress, HeldNeighbour, HeldRoute, Parts, devices_of, uses_nexthop_object
from .wire import attribute, attributes

_LIFETIMES = struct.Struct("=IIII")  # struct ifa_cacheinfo: preferred, valid, created, changed
_FOREVER = 0xFFFFFFFF  # INFINITY_LIFE_TIME, net/addrconf.h
_ROUTE_TIMES = struct.Struct("=IIiIIII")  # struct rta_cacheinfo; its third is when it ends, in hundredths of a second


def note_address(held: HeldAddress, link: str, index: int, now: int) -> Note:
    """An address of the link."""
    preferred, valid = _LIFETIMES.unpack_from(held.parts.get(nl.IFA_CACHEINFO, b"\xff" * _LIFETIMES.size))[:2]
    family, length, _flags, scope, _index = held.header
    header = (family, length, held.flags & nl.IFA_F_GIVEN, scope, index)
    body = _packed(held.parts, (nl.IFA_FLAGS, nl.IFA_CACHEINFO, nl.IFA_TARGET_NETNSID))
    ends, until = (None if span == _FOREVER else now + span for span in (valid, preferred))
    return Note(ADDRESS, held.address, link, index, header, body, ends=ends, preferred=until)


def address_of(note: Note, now: int) -> HeldAddress:
    """The address of a note, with what is left of its life."""
    parts = _unpacked(note.body)
    spans = [_FOREVER if end is None else max(0, end - now) for end in (note.preferred, note.ends)]
    parts[nl.IFA_CACHEINFO] = _LIFETIMES.pack(*spans, 0, 0)
    return HeldAddress(note.name, note.header[3], note.header[2], note.header, parts)


def note_route(held: HeldRoute, link: str, index: int, now: int) -> Note:
    """A route through the link."""
    times, ends = held.parts.get(nl.RTA_CACHEINFO, b""), None
    if held.is_ipv6 and len(times) >= _ROUTE_TIMES.size:
        hundredths = _ROUTE_TIMES.unpack_from(times)[2]
        ends = now + hundredths // 100 if hundredths > 0 else None
    gateway, source = (
        socket.inet_ntop(held.header[0], held.parts[number]) if number in held.parts else None
        for number in (nl.RTA_GATEWAY, nl.RTA_PREFSRC)
    )
    others = tuple(device for device in devices_of(held) if device != index)
    header = (*held.header[:8], held.header[8] & nl.RTNH_F_ONLINK)
    return Note(
        ROUTE, held.to, link, index, header, _packed(held.parts, (nl.RTA_CACHEINFO,)),
        held.table, held.metric, held.protocol, gateway, ends,
        source=source, others=(*others, 0) if uses_nexthop_object(held) else others,
        reaches=bool(header[8] & nl.RTNH_F_ONLINK),
    )  # fmt: skip


def route_of(note: Note, now: int) -> HeldRoute:
    """The route of a note; its way is still by the link with the note's index."""
    parts = _unpacked(note.body)
    if note.ends is not None:
        parts[nl.RTA_CACHEINFO] = _ROUTE_TIMES.pack(0, 0, max(1, note.ends - now) * 100, 0, 0, 0, 0)
    return HeldRoute(note.name, note.table, note.metric, note.protocol, note.header, parts)


def note_neighbour(held: HeldNeighbour, link: str, index: int) -> Note:
    """A neighbour of the link that was written down."""
    name = socket.inet_ntop(held.header[0], held.parts[nl.NDA_DST])
    return Note(NEIGHBOUR, name, link, index, held.header, _packed(held.parts, ()))


def neighbour_of(note: Note) -> HeldNeighbour:
    """The neighbour of a note."""
    return HeldNeighbour(note.header, _unpacked(note.body))


def _packed(parts: Parts, left_out: Tuple[int, ...]) -> str:
    return b"".join(attribute(number, part) for number, part in parts.items() if number not in left_out).hex()


def _unpacked(body: str) -> Dict[int, bytes]:
    buffer = bytearray.fromhex(body)
    return {number: bytes(buffer[begin:end]) for number, begin, end in attributes(buffer, 0, len(buffer))}
