# SPDX-License-Identifier: GPL-3.0-or-later
"""Forgetting connections that a published port no longer, or not yet, leads (hazard 39), over ctnetlink.

NAT is decided at a connection's first packet. A UDP peer that keeps sending keeps its old way for ever, so the entries
that a new or removed published port concerns are deleted, and only those. Messages: linux/netfilter/nfnetlink.h,
nfnetlink_conntrack.h.
"""

from __future__ import annotations

import errno
import socket
import struct
from typing import Container, Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple

from ..errors import KernelRefused, MissingOnHost
from ..model import PublishedPort
from ..netns import inside
from .want import ANY, family_of, within

_NETLINK_NETFILTER = 12
_NLMSG_ERROR = 2
_NLMSG_DONE = 3
_NLM_F_REQUEST = 0x1
_NLM_F_ACK = 0x4
_NLM_F_DUMP = 0x300
_CT_GET = 0x0101  # NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET
_CT_DELETE = 0x0102
_CTA_TUPLE_ORIG = 1
_CTA_TUPLE_REPLY = 2
_CTA_ID = 12
_CTA_ZONE = 18
_CTA_TUPLE_IP = 1
_CTA_TUPLE_PROTO = 2
_CTA_IP_SRC = {4: 1, 6: 3}
_CTA_IP_DST = {4: 2, 6: 4}
_CTA_PROTO_SRC_PORT = 2
_CTA_PROTO_DST_PORT = 3
_CTA_PROTO_NUM = 1
_NLA_TYPE_MASK = 0x3FFF
_HEADER = struct.Struct("=IHHII")  # struct nlmsghdr
_GENERIC = struct.Struct(">BBH")  # struct nfgenmsg: family, version, resource id
_ATTRIBUTE = struct.Struct("=HH")  # struct nlattr
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
_PROTOCOLS = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP}
_CHUNK = 1 << 18
_PATIENCE = 10.0  # seconds for one answer of the kernel


class Flow(NamedTuple):
    """One connection: who called whom, and who answers. ``key`` are the attributes that name it to the kernel."""

    protocol: int
    source: str
    destination: str
    port: int
    answers: str
    answers_port: int
    key: bytes = b""


def forget_flows(netns: Optional[str], ports: Iterable[PublishedPort]) -> int:
    """Delete the connections that published ports concern, be they new or gone; returns how many.

    Raises KernelRefused, or MissingOnHost where the kernel has no nf_conntrack_netlink.
    """
    wanted = list(ports)
    if not wanted:
        return 0
    with inside(netns), _connect() as channel:
        local = _Local()
        forgotten = 0
        for family in sorted({family_of(port.to_address) for port in wanted}):
            of_family = [port for port in wanted if family_of(port.to_address) == family]
            doomed = _concerned(_dump(channel, family), of_family, local)
            _delete(channel, family, doomed)
            forgotten += len(doomed)
    return forgotten


def _concerned(flows: Iterable[Flow], ports: List[PublishedPort], local: Container[str]) -> List[Flow]:
    """Those that one of the ports decides about. Looked at one by one: a router may have a million others."""
    found: List[Flow] = []
    by_port: Dict[Tuple[int, int], List[PublishedPort]] = {}
    for flow in flows:
        by_port = by_port or _by_port(ports)  # where nothing flows, as in most namespaces, nobody needs it
        if any(concerns(flow, port, local) for port in by_port.get((flow.protocol, flow.port), ())):
            found.append(flow)
    return found


def _by_port(ports: Iterable[PublishedPort]) -> Dict[Tuple[int, int], List[PublishedPort]]:
    found: Dict[Tuple[int, int], List[PublishedPort]] = {}
    for port in ports:
        for number in range(port.port, port.port_last + 1):
            found.setdefault((_PROTOCOLS[port.protocol], number), []).append(port)
    return found


class _Local:
    """Which addresses are this namespace's own: those that a socket can be bound to."""

    def __init__(self) -> None:
        self._known: Dict[str, bool] = {}

    def __contains__(self, address: object) -> bool:
        text = str(address)
        if text not in self._known:
            with socket.socket(_FAMILIES[family_of(text)], socket.SOCK_DGRAM) as probe:
                try:
                    probe.bind((text, 0))
                    self._known[text] = True
                except OSError as error:
                    if error.errno not in (errno.EADDRNOTAVAIL, errno.EINVAL):
                        raise
                    self._known[text] = False
        return self._known[text]


def concerns(flow: Flow, port: PublishedPort, local: Container[str]) -> bool:
    """Whether a published port decides about a connection, or did.

    Either it was led to the port's target, or it reached the host itself though the port is published now.
    """
    if flow.protocol != _PROTOCOLS[port.protocol] or not port.port <= flow.port <= port.port_last:
        return False
    if port.address != ANY and flow.destination != port.address:
        return False
    if flow.answers == port.to_address and flow.answers_port == port.to_port + flow.port - port.port:
        return True
    if port.sources and not any(within(flow.source, source) for source in port.sources):
        return False
    return flow.answers == flow.destination and flow.destination in local


# --- the wire


def _connect() -> socket.socket:
    try:
        channel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER)
    except OSError as error:
        raise MissingOnHost(f"conntrack: the kernel has no nfnetlink: {error.strerror}") from error
    channel.settimeout(_PATIENCE)
    channel.bind((0, 0))
    return channel


def _message(kind: int, flags: int, family: int, attributes: bytes = b"") -> bytes:
    body = _GENERIC.pack(_FAMILIES[family], 0, 0) + attributes
    return _HEADER.pack(_HEADER.size + len(body), kind, _NLM_F_REQUEST | flags, 0, 0) + body


def _received(channel: socket.socket) -> Iterator[Tuple[int, memoryview]]:
    """The messages of one datagram: type and payload."""
    datagram = memoryview(channel.recv(_CHUNK))
    while len(datagram) >= _HEADER.size:
        length, kind, _flags, _sequence, _port = _HEADER.unpack_from(datagram)
        yield kind, datagram[_HEADER.size : length]
        datagram = datagram[(length + 3) & ~3 :]


def _errno(payload: memoryview) -> int:
    return -int(struct.unpack_from("=i", payload)[0])


def _dump(channel: socket.socket, family: int) -> Iterator[Flow]:
    channel.send(_message(_CT_GET, _NLM_F_DUMP, family))
    while True:
        for kind, payload in _received(channel):
            if kind == _NLMSG_DONE:
                return
            if kind == _NLMSG_ERROR:
                _refuse(_errno(payload), "read")
            flow = parse(payload[_GENERIC.size :], family)
            if flow is not None:
                yield flow


def _delete(channel: socket.socket, family: int, flows: List[Flow]) -> None:
    for flow in flows:
        channel.send(_message(_CT_DELETE, _NLM_F_ACK, family, flow.key))
        for kind, payload in _received(channel):
            number = _errno(payload) if kind == _NLMSG_ERROR else 0
            if number not in (0, errno.ENOENT):  # ENOENT: it ended by itself meanwhile
                _refuse(number, f"forget the flow {flow.source} -> {flow.destination} port {flow.port}")


def _refuse(number: int, what: str) -> None:
    if number == errno.EPERM:
        raise MissingOnHost(f"conntrack: {what}: not allowed; it needs CAP_NET_ADMIN")
    if number in (errno.EINVAL, errno.EOPNOTSUPP) and what == "read":
        raise MissingOnHost("conntrack: the kernel can't list connections: module nf_conntrack_netlink is missing")
    raise KernelRefused(f"conntrack: {what}", number)


def _attributes(payload: memoryview) -> Dict[int, memoryview]:
    """Attributes by type, each with its header."""
    found: Dict[int, memoryview] = {}
    while len(payload) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(payload)
        if length < _ATTRIBUTE.size:
            break
        found[kind & _NLA_TYPE_MASK] = payload[:length]
        payload = payload[(length + 3) & ~3 :]
    return found


def _content(attribute: memoryview) -> memoryview:
    return attribute[_ATTRIBUTE.size :]


def parse(payload: memoryview, family: int) -> Optional[Flow]:
    """Read one entry; None if it has no ports (icmp)."""
    attributes = _attributes(payload)
    original = _attributes(_content(attributes[_CTA_TUPLE_ORIG]))
    reply = _attributes(_content(attributes[_CTA_TUPLE_REPLY]))
    ports = _attributes(_content(original[_CTA_TUPLE_PROTO]))
    reply_ports = _attributes(_content(reply[_CTA_TUPLE_PROTO]))
    if _CTA_PROTO_DST_PORT not in ports or _CTA_PROTO_SRC_PORT not in reply_ports:
        return None
    addresses = _attributes(_content(original[_CTA_TUPLE_IP]))
    reply_addresses = _attributes(_content(reply[_CTA_TUPLE_IP]))
    key = b"".join(
        bytes(attributes[kind]) + bytes(-len(attributes[kind]) % 4)
        for kind in (_CTA_TUPLE_ORIG, _CTA_ZONE, _CTA_ID)
        if kind in attributes
    )
    return Flow(
        _content(ports[_CTA_PROTO_NUM])[0],
        _text(addresses[_CTA_IP_SRC[family]], family),
        _text(addresses[_CTA_IP_DST[family]], family),
        _number(ports[_CTA_PROTO_DST_PORT]),
        _text(reply_addresses[_CTA_IP_SRC[family]], family),
        _number(reply_ports[_CTA_PROTO_SRC_PORT]),
        key,
    )


def _text(attribute: memoryview, family: int) -> str:
    return socket.inet_ntop(_FAMILIES[family], _content(attribute))


def _number(attribute: memoryview) -> int:
    return int.from_bytes(_content(attribute)[:2], "big")
