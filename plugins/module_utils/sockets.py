# SPDX-License-Identifier: GPL-3.0-or-later
"""The sockets that wait for callers in a namespace, read from /proc. Changes nothing."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import socket
import struct
from typing import Collection, Dict, Iterator, List, NamedTuple, Optional, Set, Tuple

from .netns import inside
from .visible import visible

_NET = "/proc/thread-self/net"  # of the calling thread's namespace
_LISTENS = {"tcp": "0A", "udp": "07"}  # TCP_LISTEN; TCP_CLOSE: bound, and talking to nobody in particular
_KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
_MAPPED = "::ffff:"
_WILDCARDS = {4: "0.0.0.0", 6: "::"}
_SOMEBODY = "192.0.2.1"  # nobody's address (RFC 5737)
_IP_FREEBIND = 15  # linux/in.h
_SOCKET = re.compile(r"socket:\[(\d+)\]")


class Listener(NamedTuple):
    """A socket that anybody may call: ``address`` is "0.0.0.0" or "::" for every one of its family (4, 6)."""

    protocol: str
    family: int
    address: str
    port: int
    inode: int

    @property
    def everywhere(self) -> bool:
        """Whether it answers at every address."""
        return self.address == _WILDCARDS[self.family]


def listeners(netns: Optional[str], ports: Collection[Tuple[str, int]]) -> List[Listener]:
    """Who listens on these (protocol, port) in a namespace."""
    with inside(netns):
        found = [
            listener
            for protocol in sorted({protocol for protocol, _port in ports})
            for name in (protocol, f"{protocol}6")
            for listener in _read(name, protocol)
            if (protocol, listener.port) in ports
        ]
        both = [one._replace(family=4, address=_WILDCARDS[4]) for one in found if _serves_ipv4(one)]
    return found + both


def listeners_at(addresses: Collection[str]) -> List[Listener]:
    """The sockets of the calling thread's namespace that are bound to one of these addresses, TCP's and UDP's."""
    return [
        listener
        for protocol in _LISTENS
        for name in (protocol, f"{protocol}6")
        for listener in _read(name, protocol)
        if listener.address in addresses
    ]


def holders(inodes: Collection[int]) -> Dict[int, str]:
    """The processes that hold these sockets, like ``nginx (process 812)``. Looks through all of /proc."""
    found: Dict[int, str] = {}
    wanted: Set[str] = {str(inode) for inode in inodes}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):  # gone meanwhile, or not ours to look at
            for number in os.listdir(f"/proc/{pid}/fd"):
                socket_ = _SOCKET.fullmatch(os.readlink(f"/proc/{pid}/fd/{number}"))
                if socket_ is not None and socket_.group(1) in wanted:
                    found.setdefault(int(socket_.group(1)), f"{_command(pid)} (process {pid})")
    return found


def _command(pid: str) -> str:
    with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as comm:
        return visible(comm.read().strip())


def _read(name: str, protocol: str) -> Iterator[Listener]:
    with contextlib.suppress(FileNotFoundError), open(f"{_NET}/{name}", encoding="ascii") as rows:  # IPv6 may be off
        next(rows, None)
        for row in rows:
            words = row.split(None, 10)
            if words[3] == _LISTENS[protocol]:
                address, _colon, port = words[1].partition(":")
                yield Listener(protocol, *_address(address), int(port, 16), int(words[9]))
            elif protocol == "tcp":
                break  # those that listen come first, before maybe a million connections (net/ipv4/tcp_ipv4.c)


def _address(digits: str) -> Tuple[int, str]:
    """Family and text of an address that is written as 32-bit numbers in the host's order."""
    numbers = [int(digits[start : start + 8], 16) for start in range(0, len(digits), 8)]
    packed = struct.pack(f"={len(numbers)}I", *numbers)
    text = socket.inet_ntop(socket.AF_INET6 if len(packed) == 16 else socket.AF_INET, packed)
    if text.startswith(_MAPPED):
        return 4, text[len(_MAPPED) :]
    return (6 if len(packed) == 16 else 4), text


def _serves_ipv4(listener: Listener) -> bool:
    """Whether a socket at :: answers IPv4, too: then nobody else can have the port there. /proc doesn't tell."""
    if listener.family != 6 or not listener.everywhere:
        return False
    with socket.socket(socket.AF_INET, _KINDS[listener.protocol] | socket.SOCK_CLOEXEC) as attempt:
        if listener.protocol == "tcp":  # past connections are nobody's
            attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        attempt.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
        try:
            attempt.bind((_SOMEBODY, listener.port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False
