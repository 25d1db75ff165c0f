# SPDX-License-Identifier: GPL-3.0-or-later
"""The floor: the bare rtnetlink messages for the benchmark's work, with nothing around them.

No plan, no check of what is there, no marks, no journal, no reading back: what any program must do at the very least.

    floor.py build N     N namespaces, each with a cable to one switch, an address and a default route
    floor.py dump N      dump links, addresses and routes of the host and of the N namespaces
    floor.py change N    give the last namespace another address
    floor.py remove N    take all of it away

Prints the seconds of the work alone, without the start of Python, as JSON.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import socket
import struct
import sys
import time
from typing import Callable, Dict, List

from network import BRIDGE, GATEWAY, PREFIX_LENGTH, address, cable, moved_address, namespace

CLONE_NEWNET = 0x40000000  # linux/sched.h
MS_BIND, MS_REC, MS_SHARED, MNT_DETACH = 4096, 16384, 1 << 20, 2  # linux/mount.h
REQUEST_ACK, CREATE_EXCL, DUMP = 0x5, 0x600, 0x301  # linux/netlink.h, NLM_F_*
NLMSG_DONE = 3
RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18  # linux/rtnetlink.h
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR, RTM_NEWROUTE, RTM_GETROUTE = 20, 21, 22, 24, 26
IFLA_IFNAME, IFLA_MASTER, IFLA_LINKINFO, IFLA_NET_NS_FD = 3, 10, 18, 28  # linux/if_link.h
BATCH = 64

libc = ctypes.CDLL(None, use_errno=True)


def mount(source: bytes, target: bytes, flags: int) -> None:
    if libc.mount(source, target, b"none", flags, None):
        raise OSError(ctypes.get_errno(), f"mount {target!r}")


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def message(kind: int, flags: int, body: bytes) -> bytes:
    return struct.pack("=IHHII", 16 + len(body), kind, flags, 0, 0) + body


def link(index: int, up: int = 0) -> bytes:  # struct ifinfomsg
    return struct.pack("=BxHiII", 0, 0, index, up, up)


def address_message(kind: int, flags: int, index: int, text: str) -> bytes:  # struct ifaddrmsg
    packed = socket.inet_aton(text)
    body = struct.pack("=BBBBi", socket.AF_INET, PREFIX_LENGTH, 0, 0, index)
    return message(kind, flags, body + attribute(2, packed) + attribute(1, packed))


def default_route() -> bytes:  # struct rtmsg: table main, protocol boot, scope universe, unicast
    body = struct.pack("=BBBBBBBBI", socket.AF_INET, 0, 0, 0, 254, 3, 0, 1, 0)
    return message(RTM_NEWROUTE, REQUEST_ACK | CREATE_EXCL, body + attribute(5, socket.inet_aton(GATEWAY)))


def netlink() -> socket.socket:
    return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)


def send(wire: socket.socket, messages: List[bytes]) -> None:
    for start in range(0, len(messages), BATCH):
        batch = messages[start : start + BATCH]
        wire.send(b"".join(batch))
        answers = 0
        while answers < len(batch):
            data = wire.recv(65536)
            offset = 0
            while offset < len(data):
                (length,) = struct.unpack_from("=I", data, offset)
                (error,) = struct.unpack_from("=i", data, offset + 16)
                if error:
                    raise OSError(-error, os.strerror(-error))
                answers += 1
                offset += (length + 3) & ~3


def path(number: int) -> str:
    return f"/run/netns/{namespace(number)}"


def build(count: int) -> None:
    mount(b"/run/netns", b"/run/netns", MS_BIND | MS_REC)
    mount(b"", b"/run/netns", MS_SHARED | MS_REC)
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    descriptors = []
    for number in range(count):
        os.close(os.open(path(number), os.O_CREAT | os.O_EXCL, 0))
        libc.unshare(CLONE_NEWNET)
        mount(b"/proc/thread-self/ns/net", path(number).encode(), MS_BIND)
        descriptors.append(os.open(path(number), os.O_RDONLY))
    libc.setns(home, CLONE_NEWNET)

    wire = netlink()
    kind = attribute(IFLA_LINKINFO, attribute(1, b"bridge"))
    new = REQUEST_ACK | CREATE_EXCL
    send(wire, [message(RTM_NEWLINK, new, link(0, 1) + attribute(IFLA_IFNAME, BRIDGE.encode() + b"\0") + kind)])
    switch = socket.if_nametoindex(BRIDGE)
    master = attribute(IFLA_MASTER, struct.pack("=I", switch))
    messages = [address_message(RTM_NEWADDR, new, switch, GATEWAY)]
    for number, descriptor in enumerate(descriptors):
        peer = link(0) + attribute(IFLA_IFNAME, b"eth0\0") + attribute(IFLA_NET_NS_FD, struct.pack("=I", descriptor))
        kind = attribute(IFLA_LINKINFO, attribute(1, b"veth") + attribute(2, attribute(1, peer)))
        name = attribute(IFLA_IFNAME, cable(number).encode() + b"\0")
        messages.append(message(RTM_NEWLINK, new, link(0, 1) + name + master + kind))
    send(wire, messages)

    for number, descriptor in enumerate(descriptors):
        libc.setns(descriptor, CLONE_NEWNET)
        with netlink() as inside:  # lo is 1 and the only other link of a fresh namespace is 2
            up = [message(RTM_NEWLINK, REQUEST_ACK, link(index, 1)) for index in (1, 2)]
            send(inside, [*up, address_message(RTM_NEWADDR, new, 2, address(number)), default_route()])


def dump_here() -> None:
    questions = {RTM_GETLINK: link(0), RTM_GETADDR: bytes(8), RTM_GETROUTE: bytes(12)}
    with netlink() as wire:
        for kind, body in questions.items():
            wire.send(message(kind, DUMP, body))
            done = False
            while not done:
                data = wire.recv(65536)
                offset = 0
                while offset < len(data):
                    length, answer = struct.unpack_from("=IH", data, offset)
                    done = done or answer == NLMSG_DONE
                    offset += (length + 3) & ~3


def dump(count: int) -> None:
    dump_here()
    for number in range(count):
        with open(path(number)) as inside:
            libc.setns(inside.fileno(), CLONE_NEWNET)
            dump_here()


def change(count: int) -> None:
    last = count - 1
    with open(path(last)) as inside:
        libc.setns(inside.fileno(), CLONE_NEWNET)
        with netlink() as wire:
            # old one first: as the primary of the subnet it would take the new one along
            old = address_message(RTM_DELADDR, REQUEST_ACK, 2, address(last))
            new = address_message(RTM_NEWADDR, REQUEST_ACK | CREATE_EXCL, 2, moved_address(last))
            send(wire, [old, new, default_route()])


def remove(count: int) -> None:
    with netlink() as wire:
        send(wire, [message(RTM_DELLINK, REQUEST_ACK, link(socket.if_nametoindex(BRIDGE)))])
    for number in range(count):
        libc.umount2(path(number).encode(), MNT_DETACH)
        os.unlink(path(number))


def main() -> None:
    works: Dict[str, Callable[[int], None]] = {"build": build, "dump": dump, "change": change, "remove": remove}
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    work, count = works[sys.argv[1]], int(sys.argv[2])
    start = time.perf_counter()
    work(count)
    print(json.dumps({"seconds": time.perf_counter() - start}))


if __name__ == "__main__":
    main()
