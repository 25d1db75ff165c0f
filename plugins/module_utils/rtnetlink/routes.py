# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes of both families in any table: unicast, multipath, blackhole, unreachable, prohibit."""

from __future__ import annotations

import errno
import functools
import socket
import struct
from typing import Iterable, List, Optional, Sequence, Tuple

from ..model import KernelRoute
from . import constants as nl
from .channel import Channel
from .shapes import Shapes
from .wire import Message, attribute, attributes, u32

TYPES = {
    "unicast": nl.RTN_UNICAST,
    "blackhole": nl.RTN_BLACKHOLE,
    "unreachable": nl.RTN_UNREACHABLE,
    "prohibit": nl.RTN_PROHIBIT,
}

# struct rtmsg: family, dst length, src length, tos, table, protocol, scope, type, flags
_RTMSG = struct.Struct("=BBBBBBBBI")
_NEXTHOP = struct.Struct("=HBBi")  # struct rtnexthop: length, flags, weight - 1, link index
_SHAPES = Shapes(
    {
        nl.RTA_DST: "s",
        nl.RTA_GATEWAY: "s",
        nl.RTA_VIA: "s",
        nl.RTA_OIF: "I",
        nl.RTA_PRIORITY: "I",
        nl.RTA_TABLE: "I",
        nl.RTA_PREFSRC: "s",
        nl.RTA_MULTIPATH: "s",
    }
)
_VIA_FAMILY = struct.Struct("=H")
_ANY = {socket.AF_INET: "0.0.0.0", socket.AF_INET6: "::"}
_METRIC = {socket.AF_INET: 0, socket.AF_INET6: 1024}  # IP6_RT_PRIO_USER, net/ip6_route.h


def read_routes(channel: Channel, tables: Iterable[int]) -> Tuple[KernelRoute, ...]:
    """The routes of these tables, both families; a table that doesn't exist holds none."""
    found: List[KernelRoute] = []
    for table in tables:
        found += _read_table(channel, table)
    return tuple(found)


def _read_table(channel: Channel, table: int) -> List[KernelRoute]:
    body = _RTMSG.pack(0, 0, 0, 0, nl.RT_TABLE_UNSPEC, 0, 0, 0, 0) + u32(nl.RTA_TABLE, table)
    try:
        routes = channel.dump(nl.RTM_GETROUTE, body, _parse)
    except OSError as error:
        if error.errno == errno.ENOENT:  # strict checking: no such table
            return []
        raise
    # A kernel before 4.20 doesn't filter, and lists what it has cached for IPv6.
    return [
        route for route in routes if route is not None and route.table == table and not route.flags & nl.RTM_F_CLONED
    ]


def read_all_routes(channel: Channel, local: bool = True) -> Tuple[KernelRoute, ...]:
    """The routes of every table, both families; what is only cached is left out.

    ``local``: with those that the kernel keeps for each address of the namespace itself.
    """
    parse = _parse if local else _parse_but_local
    routes = channel.dump(nl.RTM_GETROUTE, _RTMSG.pack(0, 0, 0, 0, nl.RT_TABLE_UNSPEC, 0, 0, 0, 0), parse)
    return tuple(route for route in routes if route is not None and not route.flags & nl.RTM_F_CLONED)


def _parse_but_local(buffer: bytearray, start: int, end: int) -> Optional[KernelRoute]:
    _family, _length, _src, _tos, table, protocol, *_rest = _RTMSG.unpack_from(buffer, start)
    return None if table == nl.RT_TABLE_LOCAL and protocol == nl.RTPROT_KERNEL else _parse(buffer, start, end)


@functools.lru_cache(maxsize=4096)
def _text(family: int, packed: bytes) -> str:
    """An address as text: namespaces have many in common."""
    return socket.inet_ntop(family, packed)


def _parse(buffer: bytearray, start: int, end: int) -> Optional[KernelRoute]:
    family, length, _src, _tos, table, protocol, scope, kind, flags = _RTMSG.unpack_from(buffer, start)
    if family not in _ANY:  # what a multicast router forwards comes in the same dump (RTNL_FAMILY_IPMR)
        return None
    to, gateway, other_gateway, dev, metric, wide_table, prefsrc, multipath = _SHAPES.read(
        buffer, start + _RTMSG.size, end
    )
    via = _text(family, gateway) if gateway else None
    return KernelRoute(
        f"{_text(family, to) if to else _ANY[family]}/{length}",
        _parse_via(other_gateway) if other_gateway else via,
        dev,
        metric or 0,
        table if wide_table is None else wide_table,  # the field in the header holds eight bits only
        kind,
        protocol,
        tuple(_parse_nexthops(bytearray(multipath), family)) if multipath else (),
        socket.inet_ntop(family, prefsrc) if prefsrc else None,
        scope,
        flags,
    )


def _parse_via(via: bytes) -> str:
    """struct rtvia: a family and an address of it, for a gateway of the other family."""
    return socket.inet_ntop(_VIA_FAMILY.unpack_from(via)[0], via[_VIA_FAMILY.size :])


def _parse_nexthops(buffer: bytearray, family: int) -> Iterable[Tuple[Optional[str], Optional[int], int]]:
    start = 0
    while start + _NEXTHOP.size <= len(buffer):
        size, _flags, hops, index = _NEXTHOP.unpack_from(buffer, start)
        via = None
        for number, begin, stop in attributes(buffer, start + _NEXTHOP.size, start + size):
            if number == nl.RTA_GATEWAY:
                via = socket.inet_ntop(family, buffer[begin:stop])
            elif number == nl.RTA_VIA:
                via = _parse_via(bytes(buffer[begin:stop]))
        yield via, index or None, hops + 1
        start += (size + 3) & ~3


def default_metric(to: str) -> int:
    """The metric that the kernel gives to a route without one."""
    return _METRIC[socket.AF_INET6 if ":" in to else socket.AF_INET]


def add_route(
    to: str,
    via: Optional[str],
    dev: Optional[int],
    metric: int,
    table: int,
    kind: int = nl.RTN_UNICAST,
    nexthops: Sequence[Tuple[Optional[str], Optional[int], int]] = (),
    protocol: int = nl.ROUTE_PROTOCOL,
    prefsrc: Optional[str] = None,
    scope: Optional[int] = None,
    flags: int = 0,
) -> Message:
    """A new route; EEXIST if one with the same prefix, table and metric is there. Never replaces (hazard 27)."""
    body = _route_body(to, via, dev, metric, table, kind, nexthops, protocol, prefsrc, scope, flags)
    return Message(nl.RTM_NEWROUTE, nl.NLM_F_CREATE | nl.NLM_F_EXCL, body)


def delete_route(
    to: str,
    via: Optional[str],
    dev: Optional[int],
    metric: int,
    table: int,
    kind: int = nl.RTN_UNICAST,
    nexthops: Sequence[Tuple[Optional[str], Optional[int], int]] = (),
    protocol: int = nl.ROUTE_PROTOCOL,
) -> Message:
    """Delete just the route that agrees in every field; ESRCH if there is none."""
    body = _route_body(to, via, dev, metric, table, kind, nexthops, protocol, None, nl.RT_SCOPE_NOWHERE, 0)
    return Message(nl.RTM_DELROUTE, 0, body)


def _route_body(
    to: str,
    via: Optional[str],
    dev: Optional[int],
    metric: int,
    table: int,
    kind: int,
    nexthops: Sequence[Tuple[Optional[str], Optional[int], int]],
    protocol: int,
    prefsrc: Optional[str],
    scope: Optional[int],
    flags: int,
) -> bytes:
    plain, _slash, length = to.partition("/")
    family = socket.AF_INET6 if ":" in plain else socket.AF_INET
    if scope is None:
        direct = kind == nl.RTN_UNICAST and family == socket.AF_INET and via is None and not nexthops
        scope = nl.RT_SCOPE_LINK if direct else nl.RT_SCOPE_UNIVERSE
    body = _RTMSG.pack(
        family, int(length), 0, 0, table if table < 256 else nl.RT_TABLE_UNSPEC, protocol, scope, kind, flags
    )
    if int(length):
        body += attribute(nl.RTA_DST, socket.inet_pton(family, plain))
    body += u32(nl.RTA_TABLE, table) + (u32(nl.RTA_PRIORITY, metric) if metric else b"")
    if via is not None:
        body += _gateway(family, via)
    if dev is not None:
        body += u32(nl.RTA_OIF, dev)
    if prefsrc is not None:
        body += attribute(nl.RTA_PREFSRC, socket.inet_pton(family, prefsrc))
    if nexthops:
        body += attribute(nl.RTA_MULTIPATH, b"".join(_pack_nexthop(family, *hop) for hop in nexthops))
    return body


def _gateway(family: int, via: str) -> bytes:
    family_of_via = socket.AF_INET6 if ":" in via else socket.AF_INET
    packed = socket.inet_pton(family_of_via, via)
    if family_of_via == family:
        return attribute(nl.RTA_GATEWAY, packed)
    return attribute(nl.RTA_VIA, _VIA_FAMILY.pack(family_of_via) + packed)


def _pack_nexthop(family: int, via: Optional[str], dev: Optional[int], weight: int) -> bytes:
    gateway = _gateway(family, via) if via is not None else b""
    return _NEXTHOP.pack(_NEXTHOP.size + len(gateway), 0, weight - 1, dev or 0) + gateway
