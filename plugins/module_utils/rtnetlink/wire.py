# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages and attributes as bytes (layouts: linux/netlink.h)."""

from __future__ import annotations

import struct
from typing import Iterator, NamedTuple, Tuple

from .constants import NLA_F_NESTED, NLA_TYPE_MASK

_ATTRIBUTE = struct.Struct("=HH")
_HEADER = struct.Struct("=IHHII")
_U32 = struct.Struct("=I")
_PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")

HEADER_SIZE = _HEADER.size
unpack_attribute_header = _ATTRIBUTE.unpack_from
unpack_header = _HEADER.unpack_from
unpack_u32 = _U32.unpack_from


class Message(NamedTuple):
    """A request without its sequence number: type (RTM_*), flags (NLM_F_*) and everything behind the header."""

    type: int
    flags: int
    body: bytes


def attribute(number: int, payload: bytes) -> bytes:
    """One attribute, padded to four bytes."""
    return _ATTRIBUTE.pack(4 + len(payload), number) + payload + _PADDING[len(payload) & 3]


def u32(number: int, value: int) -> bytes:
    """An attribute that holds one unsigned 32-bit number in host order."""
    return _ATTRIBUTE.pack(8, number) + _U32.pack(value)


def text(number: int, value: str) -> bytes:
    """An attribute that holds a NUL-terminated string."""
    return attribute(number, value.encode() + b"\0")


def nested(number: int, *parts: bytes) -> bytes:
    """An attribute that holds attributes."""
    return attribute(number | NLA_F_NESTED, b"".join(parts))


def frame(message: Message, sequence: int, flags: int) -> bytes:
    """The whole message as it goes out, padded so that another may follow; ``flags`` are added to its own."""
    size = HEADER_SIZE + len(message.body)
    header = _HEADER.pack(size, message.type, message.flags | flags, sequence, 0)
    return header + message.body + _PADDING[size & 3]


def attributes(buffer: bytearray, start: int, end: int) -> Iterator[Tuple[int, int, int]]:
    """(number, start, end) of each attribute between two offsets; the flag bits are taken off the number."""
    while start + 4 <= end:
        size, number = unpack_attribute_header(buffer, start)
        if size < 4:
            return
        yield number & NLA_TYPE_MASK, start + 4, start + size
        start += (size + 3) & ~3


def c_string(buffer: bytearray, start: int, end: int) -> str:
    """The text of a string attribute, without the NUL at its end.

    The kernel takes any bytes for a name (hazard 12); those that are no text are told as ``\\xff``.
    """
    return buffer[start : end - 1].decode(errors="backslashreplace")
