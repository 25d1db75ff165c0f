# SPDX-License-Identifier: GPL-3.0-or-later
"""What a link holds, as the kernel tells it, said again for another link: addresses, routes, fixed neighbours.

Attributes are handed on as they came, also those that nothing else here knows (metrics, labels, preferences): what
moves arrives as it was.
"""

from __future__ import annotations

import socket
import struct
from typing import Callable, Container, Dict, List, Mapping, NamedTuple, Optional, Tuple, TypeVar, Union

from . import constants as nl
from .channel import Channel
from .shapes import Shapes
from .wire import Message, attribute, attributes, c_string, u32

_IFADDR = struct.Struct("=BBBBI")  # struct ifaddrmsg: family, prefix length, flags, scope, link index
_RTMSG = struct.Struct("=BBBBBBBBI")  # struct rtmsg: family, lengths, tos, table, protocol, scope, type, flags
_NDMSG = struct.Struct("=BxHiHBB")  # struct ndmsg: family, padding, link index, state, flags, type
_FIB_RULE = struct.Struct("=BBBBBBBBI")  # struct fib_rule_hdr
_NEXTHOP = struct.Struct("=HBBi")  # struct rtnexthop: length, flags, weight - 1, link index
_EXPIRES = struct.Struct("=8xi")  # in struct rta_cacheinfo, in hundredths of a second (USER_HZ)
_FAMILIES = (socket.AF_INET, socket.AF_INET6)
_EVERY_ROUTE = _RTMSG.pack(0, 0, 0, 0, nl.RT_TABLE_UNSPEC, 0, 0, 0, 0)
_WAYS = Shapes({nl.RTA_OIF: "I", nl.RTA_MULTIPATH: "s"})
_ANY: Dict[int, str] = {socket.AF_INET: "0.0.0.0/0", socket.AF_INET6: "::/0"}

Parts = Dict[int, bytes]
Which = Union[int, Container[int], None]  # a link's index, several, or all
T = TypeVar("T")


class HeldAddress(NamedTuple):
    """An address of a link: its text with prefix length, nl.IFA_F_* flags, header and attributes."""

    address: str
    scope: int
    flags: int
    header: Tuple[int, ...]
    parts: Parts

    @property
    def is_ipv6(self) -> bool:
        """Whether it is an address of IPv6."""
        return ":" in self.address

    @property
    def home(self) -> str:
        """The address whose subnet the kernel makes a route to, with its length: the other end's where that is said."""
        return f"{socket.inet_ntop(self.header[0], self.parts[nl.IFA_ADDRESS])}/{self.header[1]}"

    @property
    def is_link_local(self) -> bool:
        """Whether it is an IPv6 address that each link has for itself."""
        return self.scope == nl.RT_SCOPE_LINK and self.is_ipv6


class HeldRoute(NamedTuple):
    """A route through a link, with what identifies it; ``header`` is its rtmsg."""

    to: str
    table: int
    metric: int
    protocol: int
    header: Tuple[int, ...]
    parts: Parts

    @property
    def is_ipv6(self) -> bool:
        """Whether it is a route of IPv6."""
        return self.header[0] == socket.AF_INET6


class HeldNeighbour(NamedTuple):
    """A neighbour that somebody wrote down (nl.NUD_PERMANENT), or for whom the host answers (nl.NTF_PROXY)."""

    header: Tuple[int, ...]
    parts: Parts

    @property
    def is_ipv6(self) -> bool:
        """Whether it is a neighbour by IPv6."""
        return self.header[0] == socket.AF_INET6


def _several(which: Which) -> Optional[Container[int]]:
    return {which} if isinstance(which, int) else which


def _each(channel: Channel, kind: int, request: bytes, read: Callable[[bytearray, int, int], Optional[T]]) -> List[T]:
    return [found for found in channel.dump(kind, request, read) if found is not None]


def _parts(buffer: bytearray, start: int, end: int) -> Parts:
    return {number: bytes(buffer[begin:stop]) for number, begin, stop in attributes(buffer, start, end)}


def _number(parts: Parts, number: int, otherwise: int = 0) -> int:
    return int.from_bytes(parts[number], "little" if _LITTLE else "big") if number in parts else otherwise


_LITTLE = struct.pack("=H", 1) == b"\1\0"


def addresses_of(channel: Channel, which: Which = None) -> List[HeldAddress]:
    """The addresses of links, in the kernel's order, without those that somebody else on the LAN has."""
    indexes = _several(which)

    def read(buffer: bytearray, start: int, end: int) -> Optional[HeldAddress]:
        header = _IFADDR.unpack_from(buffer, start)
        if header[0] not in _FAMILIES or not (indexes is None or header[4] in indexes):
            return None
        parts = _parts(buffer, start + _IFADDR.size, end)
        flags = _number(parts, nl.IFA_FLAGS, header[2])
        own = parts.get(nl.IFA_LOCAL) or parts[nl.IFA_ADDRESS]
        text = f"{socket.inet_ntop(header[0], own)}/{header[1]}"
        return None if flags & nl.IFA_F_DADFAILED else HeldAddress(text, header[3], flags, header, parts)

    return _each(channel, nl.RTM_GETADDR, _IFADDR.pack(0, 0, 0, 0, 0), read)


def give_address(held: HeldAddress, index: int, names: Tuple[str, str]) -> List[Message]:
    """The messages that give the address to the link with this index; ``names``: of the link it was on, and of that.

    With its lifetimes, counted on. An IPv6 address has been checked for duplicates on this network already, and is to
    be usable at once (hazard 28): it comes without a check, and the mark of that is taken off again.
    """
    family, length, _flags, scope, _old = held.header
    left_out = (nl.IFA_FLAGS, nl.IFA_LABEL, nl.IFA_TARGET_NETNSID)
    parts = b"".join(attribute(number, part) for number, part in held.parts.items() if number not in left_out)
    if nl.IFA_LABEL in held.parts:
        old, new = names
        label = held.parts[nl.IFA_LABEL][:-1].decode(errors="surrogateescape")
        renamed = (new + label[len(old) :]) if label.startswith(old) else new
        parts += attribute(nl.IFA_LABEL, renamed[:15].encode(errors="surrogateescape") + b"\0")
    head = _IFADDR.pack(family, length, 0, scope, index)
    given = held.flags & nl.IFA_F_GIVEN
    unchecked = (given | nl.IFA_F_NODAD) if family == socket.AF_INET6 else given
    flags = dict.fromkeys((unchecked, given))
    mode = nl.NLM_F_CREATE | nl.NLM_F_REPLACE
    return [Message(nl.RTM_NEWADDR, mode, head + parts + u32(nl.IFA_FLAGS, value)) for value in flags]


def take_address(held: HeldAddress, index: int) -> Message:
    """Take the address from the link with this index; EADDRNOTAVAIL if it hasn't got it."""
    family, length, _flags, scope, _old = held.header
    parts = b"".join(
        attribute(number, held.parts[number]) for number in (nl.IFA_LOCAL, nl.IFA_ADDRESS) if number in held.parts
    )
    return Message(nl.RTM_DELADDR, 0, _IFADDR.pack(family, length, 0, scope, index) + parts)


def routes_of(channel: Channel, index: int) -> List[HeldRoute]:
    """The unicast routes through a link, in every table but the kernel's own (local); those by a gateway last."""

    def read(buffer: bytearray, start: int, end: int) -> Optional[HeldRoute]:
        header = _RTMSG.unpack_from(buffer, start)
        if header[0] not in _FAMILIES or header[7] != nl.RTN_UNICAST or header[8] & nl.RTM_F_CLONED:
            return None
        parts = _parts(buffer, start + _RTMSG.size, end)
        table = _number(parts, nl.RTA_TABLE, header[4])
        if table == nl.RT_TABLE_LOCAL or index not in _devices(parts):
            return None
        return _held_route(header, parts, table)

    return sorted(_each(channel, nl.RTM_GETROUTE, _EVERY_ROUTE, read), key=_has_gateway)


def every_route(channel: Channel, indexes: Optional[Container[int]] = None) -> List[HeldRoute]:
    """The routes of all types, but for what the kernel keeps for itself; those by a gateway last.

    ``indexes``: only those that lead by one of these links; nothing is made of the others, of which there may be many.
    """

    def read(buffer: bytearray, start: int, end: int) -> Optional[HeldRoute]:
        header = _RTMSG.unpack_from(buffer, start)
        if header[0] not in _FAMILIES or header[8] & nl.RTM_F_CLONED:
            return None
        if indexes is not None and not _leads_by(buffer, start + _RTMSG.size, end, indexes):
            return None
        parts = _parts(buffer, start + _RTMSG.size, end)
        table = _number(parts, nl.RTA_TABLE, header[4])
        if table == nl.RT_TABLE_LOCAL and header[5] == nl.RTPROT_KERNEL:
            return None
        return _held_route(header, parts, table)

    return sorted(_each(channel, nl.RTM_GETROUTE, _EVERY_ROUTE, read), key=_has_gateway)


def _leads_by(buffer: bytearray, start: int, end: int, indexes: Container[int]) -> bool:
    index, multipath = _WAYS.read(buffer, start, end)
    if index is not None and index in indexes:
        return True
    return multipath is not None and any(one in indexes for one in _devices({nl.RTA_MULTIPATH: multipath}))


def _held_route(header: Tuple[int, ...], parts: Parts, table: int) -> HeldRoute:
    to = f"{socket.inet_ntop(header[0], parts[nl.RTA_DST])}/{header[1]}" if nl.RTA_DST in parts else _ANY[header[0]]
    return HeldRoute(to, table, _number(parts, nl.RTA_PRIORITY), header[5], header, parts)


def _has_gateway(route: HeldRoute) -> bool:
    return any(number in route.parts for number in (nl.RTA_GATEWAY, nl.RTA_VIA, nl.RTA_MULTIPATH))


def _devices(parts: Parts) -> List[int]:
    found = [_number(parts, nl.RTA_OIF)] if nl.RTA_OIF in parts else []
    multipath, start = parts.get(nl.RTA_MULTIPATH, b""), 0
    while start + _NEXTHOP.size <= len(multipath):
        size, _flags, _weight, index = _NEXTHOP.unpack_from(multipath, start)
        found.append(index)
        start += max((size + 3) & ~3, _NEXTHOP.size)
    return found


def devices_of(route: HeldRoute) -> List[int]:
    """The indexes of the links that the route leads by."""
    return _devices(route.parts)


def ways_of(route: HeldRoute) -> List[Tuple[bytes, int]]:
    """The ways that the route leads by: the gateway as the kernel tells it (nothing for none), and the link's index."""
    gateway = route.parts.get(nl.RTA_GATEWAY, route.parts.get(nl.RTA_VIA, b""))
    found = [(gateway, _number(route.parts, nl.RTA_OIF))] if nl.RTA_OIF in route.parts else []
    multipath, start = bytearray(route.parts.get(nl.RTA_MULTIPATH, b"")), 0
    while start + _NEXTHOP.size <= len(multipath):
        size, _flags, _weight, index = _NEXTHOP.unpack_from(multipath, start)
        said = {n: bytes(multipath[i:j]) for n, i, j in attributes(multipath, start + _NEXTHOP.size, start + size)}
        found.append((said.get(nl.RTA_GATEWAY, said.get(nl.RTA_VIA, b"")), index))
        start += max((size + 3) & ~3, _NEXTHOP.size)
    return found


def uses_nexthop_object(route: HeldRoute) -> bool:
    """Whether the route's way is an object of its own (``ip nexthop``), which knows the link."""
    return nl.RTA_NH_ID in route.parts


def give_route(route: HeldRoute, old: int, new: int, metric: Optional[int] = None) -> Message:
    """The route with link ``new`` for ``old``, beside the one that is there; EEXIST if it is there already.

    An IPv6 route by a gateway takes the other's place at once: the kernel would take it for one more way of the same
    route. ``metric``: another one than it has.
    """
    mode = nl.NLM_F_CREATE | (nl.NLM_F_REPLACE if takes_its_place(route, metric) else nl.NLM_F_APPEND)
    parts = dict(route.parts)
    if metric is not None:
        parts[nl.RTA_PRIORITY] = u32(0, metric)[4:]
    return Message(nl.RTM_NEWROUTE, mode, route_body(route._replace(parts=parts), {old: new}, expires=True))


def make_route(route: HeldRoute, renumbered: Mapping[int, int], metric: Optional[int] = None) -> Message:
    """The route once more, beside whatever is there. ``renumbered``: new indexes of links; ``metric``: another one."""
    parts = route.parts if metric is None else {**route.parts, nl.RTA_PRIORITY: u32(0, metric)[4:]}
    body = route_body(route._replace(parts=parts), renumbered, expires=True)
    return Message(nl.RTM_NEWROUTE, nl.NLM_F_CREATE | nl.NLM_F_APPEND, body)


def takes_its_place(route: HeldRoute, metric: Optional[int]) -> bool:
    """Whether giving the route to another link takes it from the first one."""
    return route.is_ipv6 and _has_gateway(route) and metric is None


def take_route(route: HeldRoute) -> Message:
    """Delete just this route; ESRCH if there is none."""
    return Message(nl.RTM_DELROUTE, 0, route_body(route, {}))


def route_body(route: HeldRoute, renumbered: Mapping[int, int], expires: bool = False) -> bytes:
    """The route in the words that make it, without what the kernel tells of its state: so it is alike as long as it is
    the same. ``renumbered``: the new indexes of links.
    """
    parts = route.parts
    header = (*route.header[:8], route.header[8] & nl.RTNH_F_ONLINK)
    body = _RTMSG.pack(*header)
    for number, part in parts.items():
        if number == nl.RTA_OIF:
            index = _number(parts, nl.RTA_OIF)
            body += u32(nl.RTA_OIF, renumbered.get(index, index))
        elif number == nl.RTA_MULTIPATH:
            body += attribute(nl.RTA_MULTIPATH, _other_links(part, renumbered))
        elif number != nl.RTA_CACHEINFO:
            body += attribute(number, part)
    if expires and route.is_ipv6 and len(parts.get(nl.RTA_CACHEINFO, b"")) >= _EXPIRES.size:
        (hundredths,) = _EXPIRES.unpack_from(parts[nl.RTA_CACHEINFO])
        if hundredths > 0:
            body += u32(nl.RTA_EXPIRES, max(1, hundredths // 100))
    return body


def _other_links(multipath: bytes, renumbered: Mapping[int, int]) -> bytes:
    changed, start = bytearray(multipath), 0
    while start + _NEXTHOP.size <= len(changed):
        size, flags, weight, index = _NEXTHOP.unpack_from(changed, start)
        _NEXTHOP.pack_into(changed, start, size, flags & nl.RTNH_F_ONLINK, weight, renumbered.get(index, index))
        start += max((size + 3) & ~3, _NEXTHOP.size)
    return bytes(changed)


def is_the_kernels(route: HeldRoute) -> bool:
    """Whether the kernel made the route along with an address (or a program that manages those says so).

    One of IPv6 that ends one day doesn't go with its address, and there may be none: a router advertised the prefix.
    """
    return route.protocol == nl.RTPROT_KERNEL


def neighbours_of(channel: Channel, which: Which = None) -> List[HeldNeighbour]:
    """The neighbours on links that were written down, and those that the host answers for there."""
    indexes = _several(which)
    found: List[HeldNeighbour] = []
    for flags in (0, nl.NTF_PROXY):

        def read(buffer: bytearray, start: int, end: int) -> Optional[HeldNeighbour]:
            header = _NDMSG.unpack_from(buffer, start)
            family, _pad, link, state, marks, kind = header
            if not (state & nl.NUD_PERMANENT or marks & nl.NTF_PROXY):  # most aren't
                return None
            if family not in _FAMILIES or not (indexes is None or link in indexes):
                return None
            parts = _parts(buffer, start + _NDMSG.size, end)
            kept = {number: parts[number] for number in (nl.NDA_DST, nl.NDA_LLADDR, nl.NDA_PROTOCOL) if number in parts}
            by_hand = kind in (nl.RTN_UNSPEC, nl.RTN_UNICAST)  # the kernel's own are for broadcast and multicast
            return HeldNeighbour(header, kept) if by_hand and nl.NDA_DST in kept else None

        found += _each(channel, nl.RTM_GETNEIGH, _NDMSG.pack(0, 0, 0, 0, flags, 0), read)
    return found


def give_neighbour(held: HeldNeighbour, index: int) -> Message:
    """The neighbour on the link with this index."""
    return Message(nl.RTM_NEWNEIGH, nl.NLM_F_CREATE | nl.NLM_F_REPLACE, _neighbour_body(held, index))


def take_neighbour(held: HeldNeighbour, index: int) -> Message:
    """Forget the neighbour on the link with this index; ENOENT if it isn't known there."""
    return Message(nl.RTM_DELNEIGH, 0, _neighbour_body(held, index))


def _neighbour_body(held: HeldNeighbour, index: int) -> bytes:
    family, _pad, _old, state, flags, kind = held.header
    body = _NDMSG.pack(family, 0, index, state, flags, kind)
    return body + b"".join(attribute(number, part) for number, part in held.parts.items())


def rules_that_name(channel: Channel, link: str) -> List[int]:
    """The priorities of the policy rules (``ip rule``) for what comes in or goes out by this link."""

    def read(buffer: bytearray, start: int, end: int) -> Optional[int]:
        parts = _parts(buffer, start + _FIB_RULE.size, end)
        named = {
            c_string(bytearray(parts[n]), 0, len(parts[n])) for n in (nl.FRA_IIFNAME, nl.FRA_OIFNAME) if n in parts
        }
        return _number(parts, nl.FRA_PRIORITY) if link in named else None

    return _each(channel, nl.RTM_GETRULE, _FIB_RULE.pack(0, 0, 0, 0, 0, 0, 0, 0, 0), read)


def is_lasting(held: HeldAddress) -> bool:
    """Whether the address has no end; one of a lease has."""
    part = held.parts.get(nl.IFA_CACHEINFO, b"\xff" * 8)
    return part[4:8] == b"\xff" * 4  # struct ifa_cacheinfo: preferred, valid
