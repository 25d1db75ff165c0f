# SPDX-License-Identifier: GPL-3.0-or-later
"""A host between its guests and a LAN, out of plain commands, and calls between them with real packets.

    red .1, blue .2 -- v-net-0 .5 --+
                                    +-- the host -- eth0 192.168.1.2 -- lan .3
    green .1 -- v-net-1 .5 ---------+          `--- eth9 10.9.0.1 -- wan .2

v-net-0 is 192.168.15.0/24 and fd00:15::/64, v-net-1 is 192.168.16.0/24 and fd00:16::/64, the LAN is also
2001:db8:1::/64. ``lan`` and ``wan`` route to the guests through the host, as an unfriendly neighbour would.
"""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import time
from typing import Any, Iterable, Iterator, List, Optional, Tuple

from ansible_collections.hostwire.linux.plugins.module_utils import firewall
from ansible_collections.hostwire.linux.plugins.module_utils.firewall import FirewallWant, GuestNetwork
from ansible_collections.hostwire.linux.plugins.module_utils.firewall.difference import FirewallChange
from ansible_collections.hostwire.linux.plugins.module_utils.model import Masquerade, PublishedPort
from ansible_collections.hostwire.linux.plugins.module_utils.netns import inside

GUESTS = (
    GuestNetwork("v-net-0", ("192.168.15.0/24", "fd00:15::/64")),
    GuestNetwork("v-net-1", ("192.168.16.0/24", "fd00:16::/64")),
)
MASQUERADE = Masquerade(None, "192.168.15.0/24", ("v-net-0",))
HOST, HOST6 = "192.168.1.2", "2001:db8:1::2"  # the host's own addresses on the LAN
RED, BLUE = "192.168.15.1", "192.168.15.2"
PATIENCE = 5.0  # seconds for what does come, on a busy machine
NEVER = 0.2  # seconds after which a packet that takes microseconds won't come any more

_CABLES = (  # (room, its interface's addresses, the host's end, the bridge that end is in)
    ("red", ("192.168.15.1/24", "fd00:15::1/64"), "veth-red", "v-net-0"),
    ("blue", ("192.168.15.2/24", "fd00:15::2/64"), "veth-blue", "v-net-0"),
    ("green", ("192.168.16.1/24", "fd00:16::1/64"), "veth-green", "v-net-1"),
    ("lan", ("192.168.1.3/24", "2001:db8:1::3/64"), "eth0", None),
    ("wan", ("10.9.0.2/24",), "eth9", None),
)
_MACS = {cable[0]: f"02:00:00:00:00:{number:02x}" for number, cable in enumerate(_CABLES, 1)}
_HOST_MACS = {"v-net-0": "02:00:00:00:01:00", "v-net-1": "02:00:00:00:01:01", "eth0": "02:00:00:00:01:02"}
_HOST = (
    ("v-net-0", "192.168.15.5/24"),
    ("v-net-0", "fd00:15::5/64"),
    ("v-net-1", "192.168.16.5/24"),
    ("v-net-1", "fd00:16::5/64"),
    ("eth0", "192.168.1.2/24"),
    ("eth0", "2001:db8:1::2/64"),
    ("eth9", "10.9.0.1/24"),
)
_GATEWAYS = {
    "red": ("192.168.15.5", "fd00:15::5"),
    "blue": ("192.168.15.5", "fd00:15::5"),
    "green": ("192.168.16.5", "fd00:16::5"),
    "lan": ("192.168.1.2", "2001:db8:1::2"),
    "wan": ("10.9.0.1",),
}


def batch(lines: Iterable[str], netns: Optional[str] = None) -> None:
    """Run many ``ip`` commands as one."""
    command = ["ip", *(["-n", netns] if netns else []), "-batch", "-"]
    subprocess.run(command, input="\n".join(lines), text=True, check=True)


def sysctl(path: str, value: object) -> None:
    with open(f"/proc/sys/{path}", "w", encoding="ascii") as file:
        file.write(str(value))


def build(bridge_nf: int = 0) -> None:
    """Make the world in the namespace that the thread is in; the host forwards both families."""
    bridges = {bridge for *_cable, bridge in _CABLES if bridge}
    lines = [f"netns add {cable[0]}" for cable in _CABLES]
    lines += [f"link add {bridge} address {_HOST_MACS[bridge]} type bridge" for bridge in sorted(bridges)]
    for room, _addresses, end, bridge in _CABLES:
        mac = f" address {_HOST_MACS[end]}" if end in _HOST_MACS else ""
        lines.append(f"link add {end}{mac} type veth peer name eth0 address {_MACS[room]} netns {room}")
        lines.append(f"link set {end} up" + (f" master {bridge}" if bridge else ""))
    lines += [f"link set {bridge} up" for bridge in sorted(bridges)]
    lines += [f"address add {address} dev {interface} nodad" for interface, address in _HOST if ":" in address]
    lines += [f"address add {address} dev {interface}" for interface, address in _HOST if ":" not in address]
    batch([*lines, *_neighbours(None), "link set lo up"])
    for room, addresses, _end, _bridge in _CABLES:
        nodad = {address: " nodad" if ":" in address else "" for address in addresses}
        batch(
            [
                "link set lo up",
                "link set eth0 up",
                *(f"address add {address} dev eth0{nodad[address]}" for address in addresses),
                *(f"route add default via {gateway}" for gateway in _GATEWAYS[room]),
                *_neighbours(room),
            ],
            room,
        )
    sysctl("net/ipv4/ip_forward", 1)
    sysctl("net/ipv6/conf/all/forwarding", 1)
    for family in ("iptables", "ip6tables"):
        sysctl(f"net/bridge/bridge-nf-call-{family}", bridge_nf)


def _neighbours(room: Optional[str]) -> Iterator[str]:
    """A link that is younger than a second or two loses IPv6's neighbour solicitations: so who lives where is known."""
    networks = {end: bridge or end for _room, _addresses, end, bridge in _CABLES}
    for other, addresses, end, _bridge in _CABLES:
        for address in addresses:
            if ":" in address and (room is None or room != other):
                device = networks[end] if room is None else "eth0"
                yield f"neighbour replace {address.partition('/')[0]} lladdr {_MACS[other]} dev {device}"
    for interface, address in _HOST:
        if ":" in address and room is not None:
            yield f"neighbour replace {address.partition('/')[0]} lladdr {_HOST_MACS[interface]} dev eth0"


def iptables(words: str, family: str = "iptables") -> None:
    subprocess.run([family, *words.split()], check=True)


def port(
    number: int,
    to: str,
    to_port: int,
    address: str = "any",
    protocol: str = "tcp",
    last: Optional[int] = None,
    sources: Tuple[str, ...] = (),
) -> PublishedPort:
    return PublishedPort(None, protocol, number, last or number, address, to, to_port, sources)


def wanted(**fields: Any) -> FirewallWant:
    """What a document called main asks for that names both switches and routes and guards IPv4."""
    usual = {
        "guests": GUESTS,
        "named": ("v-net-0", "v-net-1"),
        "masquerade": (MASQUERADE,),
        "forwarding": (4,),
        "guard": (4,),
    }
    return FirewallWant(**{"owner": "main", **usual, **fields})


def apply(want: Optional[FirewallWant], owner: str = "main", netns: Optional[str] = None) -> Tuple[str, ...]:
    """Read, decide, write, and read again to see that nothing is left to do; returns the lines of the change."""
    change = firewall.changes(firewall.observe(netns), want, None, owner, netns)
    if want is not None:
        with inside(netns):
            there = {name for _index, name in socket.if_nameindex()}
        groups = firewall.link_groups(want).items()
        batch([f"link set {name} group {group}" for name, group in groups if name in there], netns)
    for swap in change.swaps:
        firewall.restore(netns, swap.backend, swap.family, swap.text)
    again = firewall.changes(firewall.observe(netns), want, want, owner, netns)
    assert again == FirewallChange()
    if want is not None and netns is None:
        for interface in firewall.localnet_interfaces(want):
            if os.path.exists(f"/proc/sys/net/ipv4/conf/{interface}"):
                sysctl(f"net/ipv4/conf/{interface}/route_localnet", 1)
    return change.lines


def saved(backend: str, netns: Optional[str] = None, families: Iterable[str] = ("iptables", "ip6tables")) -> List[str]:
    """What iptables-save prints, without the comment lines, which hold the time, and without tables that hold nothing.

    A table that was once written to stays, empty, and does nothing.
    """
    lines: List[str] = []
    with inside(netns):
        for family in families:
            text = subprocess.run([f"{family}-{backend}-save"], capture_output=True, text=True, check=True).stdout
            for table in text.split("COMMIT\n"):
                rows = [row for row in table.splitlines() if not row.startswith("#")]
                if any(not row.startswith("*") and " ACCEPT [" not in row for row in rows):
                    lines += [f"{family} {rows[0]}", *rows[1:]]
    return lines


def listening(
    room: Optional[str], number: int, protocol: str = "tcp", family: int = 4, address: str = ""
) -> socket.socket:
    """A server in a room, at one address of it or at all."""
    with inside(room):
        kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
        server = socket.socket(socket.AF_INET6 if family == 6 else socket.AF_INET, kind)
        if family == 6:
            server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((address or ("::" if family == 6 else "0.0.0.0"), number))
        if protocol == "tcp":
            server.listen()
        return server


def call(
    room: Optional[str], address: str, number: int, server: socket.socket, patience: float = PATIENCE
) -> Optional[str]:
    """Whom ``server`` sees when a room calls ``address``; None if the call doesn't get through both ways."""
    with inside(room):
        client = socket.socket(server.family, server.type)
    with client:
        client.setblocking(False)
        server.settimeout(patience)
        try:
            client.connect_ex((address, number))
            if server.type == socket.SOCK_DGRAM:
                client.send(b"call")
                _text, peer = server.recvfrom(16)
                server.sendto(b"answer", peer)
            else:
                connection, peer = server.accept()
                with connection:
                    connection.send(b"answer")
            client.settimeout(patience)
            assert client.recv(16) == b"answer"
        except OSError:
            return None
        return str(peer[0])


def blocked(room: Optional[str], address: str, number: int, server: socket.socket) -> bool:
    """Whether a room's call of ``address`` does not get through."""
    return call(room, address, number, server, NEVER) is None


def ping(room: Optional[str], address: str, patience: float = PATIENCE) -> bool:
    """Whether an echo request of a room is answered; an IPv6 address may end in ``%`` and an interface's number."""
    family, protocol, kind, answer = (
        (socket.AF_INET6, socket.IPPROTO_ICMPV6, 128, 129)
        if ":" in address
        else (socket.AF_INET, socket.IPPROTO_ICMP, 8, 0)
    )
    with inside(room):
        client = socket.socket(family, socket.SOCK_RAW, protocol)
    number = os.urandom(4)  # identifier and sequence number
    request = struct.pack(">BBH", kind, 0, 0) + number
    words = sum(struct.unpack(">4H", request))
    checksum = ~(words + (words >> 16)) & 0xFFFF  # RFC 1071; the kernel writes IPv6's itself
    to, _percent, scope = address.partition("%")
    where = (to, 0, 0, int(scope or 0)) if family == socket.AF_INET6 else (to, 0)
    deadline = time.monotonic() + patience
    if family == socket.AF_INET6:
        client.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 0)  # who asks all others doesn't answer
    with client:
        try:
            client.sendto(request[:2] + struct.pack(">H", checksum) + number, where)
            while True:
                client.settimeout(max(deadline - time.monotonic(), 0.001))
                packet = client.recv(128)
                message = packet if ":" in address else packet[20:]  # behind the IPv4 header
                if message[0] == answer and message[4:8] == number:
                    return True
        except OSError:
            return False
