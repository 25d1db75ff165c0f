# SPDX-License-Identifier: GPL-3.0-or-later
"""Packets as bytes: whatever an attacker writes into them, each with a number by which it is known again."""

from __future__ import annotations

import ipaddress
import struct
from typing import NamedTuple, Optional

MARK = b"hostwire attack "  # what the payload of ours begins with; the number follows
NUMBER = struct.Struct(">I")
LENGTH = len(MARK) + NUMBER.size  # of the payload
IPV4, IPV6 = 0x0800, 0x86DD  # linux/if_ether.h
TCP, UDP = 6, 17
SYN, ACK = 0x02, 0x10


class Packet(NamedTuple):
    """What a packet says of itself. ``flags``, ``sequence`` (its number if 0) and ``acknowledged`` are TCP's."""

    source: str
    to: str
    source_port: int
    port: int
    protocol: str
    number: int
    flags: int = SYN
    sequence: int = 0
    acknowledged: int = 0

    @property
    def next_sequence(self) -> int:
        """What acknowledges this one."""
        return (self.sequence or self.number) + LENGTH + bool(self.flags & SYN)


def checksum(data: bytes) -> int:
    """RFC 1071."""
    total = sum(struct.unpack(f">{len(data) // 2}H", data if len(data) % 2 == 0 else data[:-1]))
    if len(data) % 2:
        total += data[-1] << 8
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def datagram(packet: Packet) -> bytes:
    """The packet from its IP header on."""
    source, to = _address(packet.source), _address(packet.to)
    payload = MARK + NUMBER.pack(packet.number)
    kind = UDP if packet.protocol == "udp" else TCP
    if kind == UDP:
        header = struct.pack(">HHHH", packet.source_port, packet.port, 8 + len(payload), 0)
    else:
        ports = struct.pack(
            ">HHII", packet.source_port, packet.port, packet.sequence or packet.number, packet.acknowledged
        )
        header = ports + struct.pack(">BBHHH", 0x50, packet.flags, 65535, 0, 0)
    length = len(header) + len(payload)
    total = checksum(source + to + struct.pack(">IHBB", length, 0, 0, kind) + header + payload)
    where = 6 if kind == UDP else 16
    segment = header[:where] + struct.pack(">H", total or 0xFFFF) + header[where + 2 :] + payload
    if len(source) == 16:
        return struct.pack(">IHBB", 6 << 28, length, kind, 64) + source + to + segment
    first = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + length, packet.number & 0xFFFF, 0, 64, kind, 0, source, to)
    return first[:10] + struct.pack(">H", checksum(first)) + first[12:] + segment


def frame(packet: Packet, mac: bytes, to_mac: bytes) -> bytes:
    """The packet as it goes onto a link."""
    return to_mac + mac + struct.pack(">H", IPV6 if ":" in packet.to else IPV4) + datagram(packet)


def parsed(data: bytes) -> Optional[Packet]:
    """One of our packets, from its IP header on; None for any other, an ICMP error that quotes one included."""
    if len(data) < 40:
        return None
    if data[0] >> 4 == 4:
        kind, start = data[9], (data[0] & 0xF) * 4
        source, to = data[12:16], data[16:20]
    else:
        kind, start = data[6], 40
        source, to = data[8:24], data[24:40]
    return segment_parsed(kind, data[start:], str(ipaddress.ip_address(source)), str(ipaddress.ip_address(to)))


def segment_parsed(kind: int, segment: bytes, source: str, to: str) -> Optional[Packet]:
    """The same from TCP's or UDP's header on."""
    start = {UDP: 8, TCP: 20}.get(kind)
    if start is None or segment[start : start + len(MARK)] != MARK:
        return None
    source_port, port = struct.unpack(">HH", segment[:4])
    (number,) = NUMBER.unpack(segment[start + len(MARK) : start + len(MARK) + 4])
    if kind == UDP:
        return Packet(source, to, source_port, port, "udp", number)
    return Packet(source, to, source_port, port, "tcp", number, segment[13])


def _address(text: str) -> bytes:
    return ipaddress.ip_address(text).packed
