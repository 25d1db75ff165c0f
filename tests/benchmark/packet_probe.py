# SPDX-License-Identifier: GPL-3.0-or-later
"""What a packet's way through the host costs, by sockets of this one process in the guest's and the LAN's namespaces.

Between namespaces of one machine a packet goes its whole way, through the host and into the other end's socket, within
the sender's system call. So nobody waits for anybody, and what is measured is the way alone. Each figure is the best of
several short tries: what else the machine does can only make it worse.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import struct
import time
from typing import Iterator, Tuple

from private_host import CLONE_NEWNET

Address = Tuple[str, int]
PAYLOAD = b"hostwire-benchmark"
BATCH = 64  # packets for one system call
FLOWS = 100  # connections that are timed together
_libc = ctypes.CDLL(None, use_errno=True)


class _Span(ctypes.Structure):  # struct iovec
    _fields_ = [("base", ctypes.c_char_p), ("length", ctypes.c_size_t)]


class _Message(ctypes.Structure):  # struct mmsghdr
    _fields_ = [
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint),
        ("spans", ctypes.POINTER(_Span)),
        ("span_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
        ("sent", ctypes.c_uint),
    ]


@contextlib.contextmanager
def inside(netns: str) -> Iterator[None]:
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{netns}", os.O_RDONLY)
    try:
        if _libc.setns(there, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"setns {netns}")
        yield
    finally:
        _libc.setns(home, CLONE_NEWNET)
        os.close(there)
        os.close(home)


def packets(guest: str, lan: str, address: str, tries: int = 4, seconds: float = 0.005) -> float:
    """Small packets a second of a flow that has had its answer, as they arrive in the LAN, where nobody reads them."""
    with inside(lan), contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        server.bind((address, 0))
        with inside(guest):
            client = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        client.settimeout(10)
        server.settimeout(10)
        client.connect(server.getsockname())
        client.send(PAYLOAD)
        server.sendto(PAYLOAD, server.recvfrom(100)[1])
        client.recv(100)
        client.settimeout(None)
        return max(_flood(client.fileno(), seconds) for _try in range(tries))


def _flood(descriptor: int, seconds: float) -> float:
    """From within the LAN."""
    span = _Span(PAYLOAD, len(PAYLOAD))
    messages = (_Message * BATCH)(*[_Message(spans=ctypes.pointer(span), span_count=1) for _packet in range(BATCH)])
    before, sent, start = _received(), 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        accepted = _libc.sendmmsg(descriptor, messages, BATCH, 0)
        if accepted < 0:
            raise OSError(ctypes.get_errno(), "sendmmsg")
        sent += accepted
    took = time.perf_counter() - start
    arrived = _received() - before
    if not 0.99 * sent <= arrived <= 1.01 * sent + 10:
        raise RuntimeError(f"of {sent} packets {arrived} arrived")
    return min(sent, arrived) / took


def _received() -> int:
    """Packets that eth0 has received."""
    with open("/proc/thread-self/net/dev") as file:
        line = next(line for line in file if line.strip().startswith("eth0:"))
    return int(line.split(":")[1].split()[1])


def first_packets(guest: str, lan: str, address: str, tries: int = 4) -> float:
    """Seconds of a UDP flow's first packet and of its answer, from a source port that is new each time."""
    return min(_first_packets(guest, lan, address) for _try in range(tries))


def _first_packets(guest: str, lan: str, address: str) -> float:
    with contextlib.ExitStack() as stack:
        with inside(lan):
            server = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        server.bind((address, 0))
        server.settimeout(10)
        with inside(guest):
            clients = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _flow in range(FLOWS)]
        for client in clients:
            client.connect(server.getsockname())
            client.settimeout(10)
        start = time.perf_counter()
        for client in clients:
            client.send(PAYLOAD)
        for _flow in range(FLOWS):
            server.sendto(PAYLOAD, server.recvfrom(100)[1])
        for client in clients:
            client.recv(100)
        return (time.perf_counter() - start) / FLOWS


def connections(client: str, server: str, listen_at: Address, connect_to: Address, tries: int = 4) -> float:
    """Seconds of a TCP connect: three packets."""
    return min(_connections(client, server, listen_at, connect_to) for _try in range(tries))


def _connections(client: str, server: str, listen_at: Address, connect_to: Address) -> float:
    with contextlib.ExitStack() as stack:
        with inside(server):
            listener = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(listen_at)
        listener.listen(2 * FLOWS)
        target = connect_to if connect_to[1] else listener.getsockname()
        with inside(client):
            callers = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) for _flow in range(FLOWS)]
        for caller in callers:
            caller.settimeout(10)
            _reset_on_close(caller)
        start = time.perf_counter()
        for caller in callers:
            caller.connect(target)
        return (time.perf_counter() - start) / FLOWS


def _reset_on_close(caller: socket.socket) -> None:
    caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def stream(guest: str, lan: str, address: str, tries: int = 1, seconds: float = 0.4) -> float:
    """Bytes a second of one TCP stream, to a reader that is a process of its own."""
    return max(_stream(guest, lan, address, seconds) for _try in range(tries))


def _stream(guest: str, lan: str, address: str, seconds: float) -> float:
    with contextlib.ExitStack() as stack:
        with inside(lan):
            listener = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
        listener.bind((address, 0))
        listener.listen(1)
        with inside(guest):
            sender = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
        sender.settimeout(10)
        sender.connect(listener.getsockname())
        reader = os.fork()
        if reader == 0:
            _read_all(listener, sender)
        chunk = bytes(1 << 18)
        sent, start = 0, time.perf_counter()
        while time.perf_counter() - start < seconds:
            sent += sender.send(chunk)
        sender.shutdown(socket.SHUT_WR)
        sender.recv(1)  # the reader's word that it has all of it
        took = time.perf_counter() - start
        os.waitpid(reader, 0)
        return sent / took


def _read_all(listener: socket.socket, sender: socket.socket) -> None:
    """In the reader's process, which ends here."""
    status = 1
    try:
        sender.close()
        accepted = listener.accept()[0]
        room = bytearray(1 << 18)
        while accepted.recv_into(room):
            pass
        accepted.send(b"!")
        status = 0
    finally:
        os._exit(status)
