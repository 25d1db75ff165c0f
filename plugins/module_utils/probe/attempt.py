# SPDX-License-Identifier: GPL-3.0-or-later
"""One try of one probe: a socket of its own, what it sends, and what counts as an answer.

Each try has a new socket, a new source port or identifier and a new nonce, so an answer is an answer to this try and
the kernel's connection tracking sees a new flow (hazard 2: an established flow survives what a new one doesn't).
"""

from __future__ import annotations

import errno
import os
import selectors
import socket
import struct
from typing import Any, Dict, NamedTuple, Optional, Tuple, Type

from ..errors import InvalidValue, KernelRefused, MissingOnHost
from ..model import Probe
from . import packets

IP_RECVERR = 11  # linux/in.h
IPV6_RECVERR = 25  # linux/in6.h
SOL_RAW = 255  # linux/socket.h
ICMP_FILTER = 1  # linux/icmp.h; a set bit keeps that type out
ICMP6_FILTER = 1  # linux/icmpv6.h; the same in 256 bits
DNS_PORT = 53
PACKET_ROOM = 65535
ANCILLARY_ROOM = 512
UDP_PAYLOAD = b"hostwire probe "


class Answer(NamedTuple):
    """How a try ended: somebody answered, or we know that nobody will."""

    reachable: bool
    detail: str


class Try:
    """The common part: a non-blocking socket that is connected to the target and hears about ICMP errors."""

    kind = socket.SOCK_DGRAM
    wants = selectors.EVENT_READ

    def __init__(self, probe: Probe) -> None:
        """Open the socket in the namespace that the thread is in.

        Raises InvalidValue if the target is no address, MissingOnHost if the privilege for the socket is missing and
        KernelRefused for other refusals.
        """
        self.probe = probe
        self.family, self.target = _target(probe)
        self.ipv6 = self.family == socket.AF_INET6
        try:
            self.socket = socket.socket(self.family, self.kind | socket.SOCK_CLOEXEC, self.transport())
        except PermissionError as error:
            raise MissingOnHost(
                f"probe to {probe.to}: an {probe.protocol} probe needs CAP_NET_RAW: run as root"
            ) from error
        except OSError as error:
            raise KernelRefused(f"probe to {probe.to}: socket", error.errno or 0) from error
        self.socket.setblocking(False)
        if self.ipv6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVERR, 1)
        else:
            self.socket.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)

    def transport(self) -> int:
        """The protocol number for the socket; 0 is the kind's own."""
        return 0

    def start(self) -> Optional[Answer]:
        """Send. Returns an answer if the kernel knows at once that there is no way."""
        try:
            self.send()
        except BlockingIOError:
            return None  # a TCP connection under way
        except OSError as error:
            return Answer(False, packets.errno_words(error.errno or 0))
        return None

    def send(self) -> None:
        """Connect and send the request; an OSError means that it never left."""
        self.socket.connect(self.target)
        self.socket.send(self.request())

    def request(self) -> bytes:
        """The bytes of the request."""
        raise NotImplementedError

    def understand(self, packet: bytes) -> Optional[str]:
        """Words if ``packet`` answers the request, None if it has nothing to do with it."""
        raise NotImplementedError

    def look(self) -> Optional[Answer]:
        """After an event on the socket: how the try ended, or None if it goes on."""
        refused = self.reported_error()
        if refused:
            return Answer(False, refused)
        try:
            packet = self.socket.recv(PACKET_ROOM)
        except BlockingIOError:
            return None
        except OSError as error:
            return Answer(False, packets.errno_words(error.errno or 0))
        words = self.understand(packet)
        return None if words is None else Answer(True, words)

    def reported_error(self) -> Optional[str]:
        """The words of an ICMP error that came back for this socket and who sent it; None without one."""
        try:
            _packet, ancillary, _flags, _address = self.socket.recvmsg(PACKET_ROOM, ANCILLARY_ROOM, socket.MSG_ERRQUEUE)
        except OSError:
            return None  # the queue is empty
        for level, kind, content in ancillary:
            if (level, kind) not in ((socket.IPPROTO_IP, IP_RECVERR), (socket.IPPROTO_IPV6, IPV6_RECVERR)):
                continue
            if packets.EXTENDED_ERROR.unpack_from(content)[0] != errno.EMSGSIZE:  # a path MTU notice isn't a refusal
                return packets.extended_error_words(content, _offender(content))
        return None

    def close(self) -> None:
        """Give the socket back."""
        self.socket.close()


class IcmpTry(Try):
    """An echo request on a raw socket. Being connected, it hears only what its target sends."""

    kind = socket.SOCK_RAW

    def __init__(self, probe: Probe) -> None:
        super().__init__(probe)
        self.echo = packets.new_echo(1)
        if self.ipv6:
            word, bit = divmod(packets.ECHO_REPLY_V6, 32)
            masks = [0xFFFFFFFF & ~(1 << bit) if index == word else 0xFFFFFFFF for index in range(8)]
            self.socket.setsockopt(socket.IPPROTO_ICMPV6, ICMP6_FILTER, struct.pack("=8I", *masks))
        else:
            self.socket.setsockopt(SOL_RAW, ICMP_FILTER, struct.pack("=I", 0xFFFFFFFF & ~(1 << packets.ECHO_REPLY)))

    def transport(self) -> int:
        return socket.IPPROTO_ICMPV6 if self.ipv6 else socket.IPPROTO_ICMP

    def request(self) -> bytes:
        return packets.echo_request(self.echo, self.ipv6)

    def understand(self, packet: bytes) -> Optional[str]:
        return "echo reply" if packets.is_echo_reply(packet, self.echo, self.ipv6) else None


class TcpTry(Try):
    """A connection that is opened and closed."""

    kind = socket.SOCK_STREAM
    wants = selectors.EVENT_WRITE

    def send(self) -> None:
        self.socket.connect(self.target)

    def look(self) -> Optional[Answer]:
        refused = self.reported_error()
        if refused:
            return Answer(False, refused)
        error = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            return Answer(False, packets.errno_words(error))
        try:
            self.socket.getpeername()
        except OSError:
            return None  # woken by a notice that ends nothing
        return Answer(True, "connected")


class UdpTry(Try):
    """A datagram; any datagram that comes back from the target's port is an answer."""

    def request(self) -> bytes:
        return UDP_PAYLOAD + os.urandom(8).hex().encode()

    def understand(self, packet: bytes) -> Optional[str]:
        return f"answered with {len(packet)} bytes"


class DnsTry(Try):
    """A DNS query over UDP; any well-formed response to it is an answer."""

    def __init__(self, probe: Probe) -> None:
        super().__init__(probe)
        self.identifier = int.from_bytes(os.urandom(2), "big")

    def request(self) -> bytes:
        return packets.dns_query(self.identifier)

    def understand(self, packet: bytes) -> Optional[str]:
        return packets.dns_answer(packet, self.identifier)


TRIES: Dict[str, Type[Try]] = {"icmp": IcmpTry, "tcp": TcpTry, "udp": UdpTry, "dns": DnsTry}


def new_try(probe: Probe) -> Try:
    """A try of ``probe`` from the namespace that the thread is in. Raises what Try raises."""
    if probe.protocol not in TRIES:
        raise InvalidValue(f"probe to {probe.to}: protocol {probe.protocol} is none of {', '.join(sorted(TRIES))}")
    return TRIES[probe.protocol](probe)


def _target(probe: Probe) -> Tuple[int, Any]:
    """Family and socket address of the probe's target, which is an address, possibly with ``%interface``."""
    port = probe.port or (DNS_PORT if probe.protocol == "dns" else 0)
    if probe.protocol in ("tcp", "udp") and not port:
        raise InvalidValue(f"probe to {probe.to}: a {probe.protocol} probe needs a port")
    try:
        found = socket.getaddrinfo(probe.to, port, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST)
    except (socket.gaierror, UnicodeError) as error:
        raise InvalidValue(f"probe to {probe.to}: not an IPv4 or IPv6 address") from error
    family, _type, _protocol, _name, address = found[0]
    if probe.protocol == "icmp" and family == socket.AF_INET6:
        address = (address[0], 0, *address[2:])  # a raw socket refuses a port in the address
    return int(family), address


def _offender(content: bytes) -> Optional[str]:
    """Who reported an error: the socket address behind the struct sock_extended_err (SO_EE_OFFENDER)."""
    address = content[packets.EXTENDED_ERROR.size :]
    if len(address) < 8:
        return None
    (family,) = struct.unpack_from("=H", address)
    if family == socket.AF_INET:
        return socket.inet_ntop(socket.AF_INET, address[4:8])  # struct sockaddr_in: family, port, address
    if family == socket.AF_INET6 and len(address) >= 24:
        return socket.inet_ntop(socket.AF_INET6, address[8:24])  # struct sockaddr_in6: family, port, flow, address
    return None
