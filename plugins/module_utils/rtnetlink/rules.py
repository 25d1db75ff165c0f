# SPDX-License-Identifier: GPL-3.0-or-later
"""Policy rules (``ip rule``), which say in which tables a packet's route is looked for; and, asked for along with them,
a namespace's addresses and forwarding switches.

Nearly all namespaces have the rules that the kernel made, and these come in the same bytes each time.
"""

from __future__ import annotations

import errno
import socket
import struct
from typing import Dict, List, NamedTuple, Optional, Set, Tuple

from ..model import Address, PolicyRule
from . import constants as nl
from .addresses import ALL_ADDRESSES, by_link, parse_address, read_addresses
from .channel import Bundle, Channel
from .netconf import QUESTIONS, is_forwarding, read_forwarding
from .wire import HEADER_SIZE, Message, attributes, c_string, unpack_header, unpack_u32

_HEADER = struct.Struct("=BBBBBxxBI")  # struct fib_rule_hdr: family, lengths, tos, table, action, flags
_STATUS = struct.Struct("=i")  # of a listing, at its end
_NO_RULES = (errno.EOPNOTSUPP, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT)  # a kernel without policy routing
_FAMILIES = {socket.AF_INET: 4, socket.AF_INET6: 6}
_REQUEST = Message(nl.RTM_GETRULE, nl.NLM_F_DUMP, bytes(_HEADER.size))
_BUNDLE = Bundle(_REQUEST, QUESTIONS, Message(nl.RTM_GETADDR, nl.NLM_F_DUMP, ALL_ADDRESSES))
_U32 = (nl.FRA_PRIORITY, nl.FRA_FWMARK, nl.FRA_TABLE, nl.FRA_SUPPRESS_PREFIXLEN)
# What else a rule has that takes nothing away from those that it is for.
_TOLD = {
    *_U32,
    nl.FRA_FWMASK,
    nl.FRA_DST,
    nl.FRA_SRC,
    nl.FRA_IIFNAME,
    nl.FRA_OIFNAME,
    nl.FRA_L3MDEV,
    nl.FRA_PROTOCOL,
    0,
}
_NONE = 0xFFFFFFFF  # of FRA_SUPPRESS_PREFIXLEN
_DEFAULT = 253  # RT_TABLE_DEFAULT, linux/rtnetlink.h
_KERNELS = {
    PolicyRule(4, 0, table=nl.RT_TABLE_LOCAL),
    PolicyRule(4, 32766, table=nl.RT_TABLE_MAIN),
    PolicyRule(4, 32767, table=_DEFAULT),
    PolicyRule(6, 0, table=nl.RT_TABLE_LOCAL),
    PolicyRule(6, 32766, table=nl.RT_TABLE_MAIN),
}
_plain: Set[bytes] = set()  # what a kernel sends of its own rules alone; it says who asked, too


class Beside(NamedTuple):
    """What is read along with each other. ``rules``: None if they are those that the kernel makes."""

    addresses: Dict[int, Tuple[Address, ...]]
    forwarding: Tuple[Optional[bool], Optional[bool]]
    rules: Optional[Tuple[PolicyRule, ...]]


def read_beside(channel: Channel) -> Beside:
    """A namespace's addresses, forwarding switches and policy rules."""
    found = channel.dump_along(_BUNDLE, _hear, parse_address)
    if found is None:
        return Beside(read_addresses(channel), read_forwarding(channel), _read_rules(channel))
    came, switches, addresses = found
    ipv4, ipv6 = switches
    return Beside(by_link(addresses), (ipv4, ipv6), None if came in _plain else _parse_all(channel, came))


def _hear(answer: bytes) -> Optional[bool]:
    return is_forwarding(bytearray(answer), HEADER_SIZE, len(answer))


def _parse_all(channel: Channel, came: bytes) -> Optional[Tuple[PolicyRule, ...]]:
    """What is in the bytes that came; read once more if it changed meanwhile."""
    found: List[Optional[PolicyRule]] = []
    buffer, start = bytearray(came), 0
    while start < len(buffer):
        length, kind, flags, _sequence, _port = unpack_header(buffer, start)
        is_broken = kind == nl.NLMSG_DONE and _STATUS.unpack_from(buffer, start + HEADER_SIZE)[0] < 0
        if flags & nl.NLM_F_DUMP_INTR or is_broken:
            return _read_rules(channel)
        if kind not in (nl.NLMSG_DONE, nl.NLMSG_ERROR):
            found.append(_parse(buffer, start + HEADER_SIZE, start + length))
        start += (length + 3) & ~3
    rules = _beyond_the_kernels(found)
    if rules is None:
        _plain.add(came)
    return rules


def _read_rules(channel: Channel) -> Optional[Tuple[PolicyRule, ...]]:
    try:
        return _beyond_the_kernels(channel.dump(nl.RTM_GETRULE, _REQUEST.body, _parse))
    except OSError as error:
        if error.errno not in _NO_RULES:
            raise
        return None


def _beyond_the_kernels(found: List[Optional[PolicyRule]]) -> Optional[Tuple[PolicyRule, ...]]:
    rules = tuple(rule for rule in found if rule is not None)
    families = {rule.family for rule in rules}
    return None if {rule for rule in _KERNELS if rule.family in families} == {*rules} else rules


def _parse(buffer: bytearray, start: int, end: int) -> Optional[PolicyRule]:
    number, to_length, from_length, tos, table, action, flags = _HEADER.unpack_from(buffer, start)
    if number not in _FAMILIES:  # of multicast routing
        return None
    values: Dict[int, int] = {}
    networks: Dict[int, bytes] = {}
    links: Dict[int, str] = {}
    partly = tos != 0
    for kind, begin, stop in attributes(buffer, start + _HEADER.size, end):
        if kind in _U32:
            values[kind] = unpack_u32(buffer, begin)[0]
        elif kind in (nl.FRA_SRC, nl.FRA_DST):
            networks[kind] = bytes(buffer[begin:stop])
        elif kind in (nl.FRA_IIFNAME, nl.FRA_OIFNAME):
            links[kind] = c_string(buffer, begin, stop)
        elif kind == nl.FRA_L3MDEV:
            partly |= buffer[begin] != 0
        else:
            partly |= kind not in _TOLD and any(buffer[begin:stop])
    lengths = {nl.FRA_SRC: from_length, nl.FRA_DST: to_length}
    told = {kind: f"{socket.inet_ntop(number, packed)}/{lengths[kind]}" for kind, packed in networks.items()}
    suppressed = values.get(nl.FRA_SUPPRESS_PREFIXLEN, _NONE)
    return PolicyRule(
        _FAMILIES[number],
        values.get(nl.FRA_PRIORITY, 0),
        action,
        values.get(nl.FRA_TABLE, table) if action == nl.FR_ACT_TO_TBL else 0,
        told.get(nl.FRA_SRC),
        told.get(nl.FRA_DST),
        links.get(nl.FRA_IIFNAME),
        links.get(nl.FRA_OIFNAME),
        values.get(nl.FRA_FWMARK, 0),
        flags & nl.FIB_RULE_INVERT != 0,
        None if suppressed == _NONE else suppressed,
        partly,
    )
