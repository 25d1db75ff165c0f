# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes over the wire in a probe, and what an answer has to look like. No sockets here."""

from __future__ import annotations

import errno as errno_numbers
import os
import struct
from typing import Dict, NamedTuple, Optional, Tuple

ECHO_REQUEST, ECHO_REPLY = 8, 0  # RFC 792
ECHO_REQUEST_V6, ECHO_REPLY_V6 = 128, 129  # RFC 4443
ECHO_HEADER = struct.Struct("!BBHHH")  # type, code, checksum, identifier, sequence number: RFC 792, RFC 4443 section 4
NONCE_LENGTH = 16

DNS_HEADER = struct.Struct("!HHHHHH")  # identifier, flags, four counts: RFC 1035 section 4.1.1
DNS_ANSWER_FLAG = 0x8000
DNS_RECURSION_DESIRED = 0x0100
DNS_ROOT_NAME_SERVERS = b"\0" + struct.pack("!HH", 2, 1)  # name ".", type NS, class IN: RFC 1035 section 3.2
DNS_RCODES = {
    0: "no error",
    1: "format error",
    2: "server failure",
    3: "no such name",
    4: "not implemented",
    5: "refused",
}

EXTENDED_ERROR = struct.Struct("=IBBBxII")  # struct sock_extended_err, linux/errqueue.h
ORIGIN_ICMP, ORIGIN_ICMP6 = 2, 3  # SO_EE_ORIGIN_ICMP, SO_EE_ORIGIN_ICMP6, linux/errqueue.h

# RFC 792, RFC 1122 section 3.2.2.1, RFC 1812 section 5.2.7.1
ICMP_WORDS: Dict[Tuple[int, int], str] = {
    (3, 0): "network unreachable",
    (3, 1): "host unreachable",
    (3, 2): "protocol not supported there",
    (3, 3): "port closed",
    (3, 9): "network prohibited by a filter",
    (3, 10): "host prohibited by a filter",
    (3, 13): "prohibited by a filter",
    (11, 0): "time to live exceeded (a routing loop?)",
}
# RFC 4443 section 3
ICMP6_WORDS: Dict[Tuple[int, int], str] = {
    (1, 0): "no route to the destination",
    (1, 1): "prohibited by a filter",
    (1, 3): "host unreachable",
    (1, 4): "port closed",
    (1, 5): "source address refused by a policy",
    (1, 6): "route rejects the destination",
    (3, 0): "hop limit exceeded (a routing loop?)",
}
ERRNO_WORDS: Dict[int, str] = {
    errno_numbers.ECONNREFUSED: "port closed",
    errno_numbers.ENETUNREACH: "no route",
    errno_numbers.EHOSTUNREACH: "host unreachable",
    errno_numbers.EACCES: "prohibited by a route or a filter",
    errno_numbers.EPERM: "dropped by a filter where the probe starts",
    errno_numbers.EINVAL: "a blackhole route swallows it",
    errno_numbers.EADDRNOTAVAIL: "no usable source address",
    errno_numbers.ETIMEDOUT: "no answer",
    errno_numbers.ECONNRESET: "connection reset",
}


class Echo(NamedTuple):
    """What makes one echo request ours: identifier and sequence number (16 bits each) and a nonce that comes back."""

    identifier: int
    sequence: int
    nonce: bytes


def new_echo(sequence: int) -> Echo:
    """An echo nobody has sent before, so that no reply to an earlier one counts for it."""
    return Echo(int.from_bytes(os.urandom(2), "big"), sequence & 0xFFFF, os.urandom(NONCE_LENGTH))


def checksum(packet: bytes) -> int:
    """The Internet checksum (RFC 1071) of ``packet``, padded to an even length."""
    padded = packet + b"\0" * (len(packet) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def echo_request(echo: Echo, ipv6: bool) -> bytes:
    """The ICMP message. IPv6 leaves the checksum 0: a raw ICMPv6 socket fills it in (RFC 3542 section 3.1)."""
    kind = ECHO_REQUEST_V6 if ipv6 else ECHO_REQUEST
    body = ECHO_HEADER.pack(kind, 0, 0, echo.identifier, echo.sequence) + echo.nonce
    if ipv6:
        return body
    return ECHO_HEADER.pack(kind, 0, checksum(body), echo.identifier, echo.sequence) + echo.nonce


def is_echo_reply(packet: bytes, echo: Echo, ipv6: bool) -> bool:
    """Whether ``packet``, as a raw socket gives it (IPv4: with its IP header), answers exactly ``echo``."""
    message = packet if ipv6 else packet[(packet[0] & 0x0F) * 4 :] if packet else b""
    kind = ECHO_REPLY_V6 if ipv6 else ECHO_REPLY
    if len(message) < ECHO_HEADER.size:
        return False
    found, code, _sum, identifier, sequence = ECHO_HEADER.unpack_from(message)
    header_fits = (found, code, identifier, sequence) == (kind, 0, echo.identifier, echo.sequence)
    return header_fits and message[ECHO_HEADER.size :] == echo.nonce


def dns_query(identifier: int) -> bytes:
    """A query for the name servers of the root: every DNS server can say something to it."""
    return DNS_HEADER.pack(identifier, DNS_RECURSION_DESIRED, 1, 0, 0, 0) + DNS_ROOT_NAME_SERVERS


def dns_answer(packet: bytes, identifier: int) -> Optional[str]:
    """The words of a response, whatever its code, to the query ``identifier``; None if ``packet`` is none."""
    if len(packet) < DNS_HEADER.size:
        return None
    found, flags = DNS_HEADER.unpack_from(packet)[:2]
    if found != identifier or not flags & DNS_ANSWER_FLAG:
        return None
    code = flags & 0x000F
    return f"DNS answers: {DNS_RCODES.get(code, f'code {code}')}"


def extended_error_words(data: bytes, says: Optional[str]) -> str:
    """What a ``struct sock_extended_err`` tells a person; ``says`` is the address of whoever reported it."""
    errno, origin, kind, code, _info, _more = EXTENDED_ERROR.unpack_from(data)
    table = {ORIGIN_ICMP: ICMP_WORDS, ORIGIN_ICMP6: ICMP6_WORDS}.get(origin)
    words = errno_words(errno) if table is None else table.get((kind, code)) or errno_words(errno)
    return f"{words}, says {says}" if says else words


def errno_words(errno: int) -> str:
    """What an error number of a send, connect or receive call means for a probe."""
    return ERRNO_WORDS.get(errno) or os.strerror(errno)
