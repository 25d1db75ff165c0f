# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions to the packet filter's own netlink family, in the namespace that the thread is in. Changes nothing.

Messages: linux/netfilter/nfnetlink.h, nf_tables.h, nf_tables_compat.h.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
from typing import Dict, Iterator, List, NamedTuple, Optional, Pattern, Set, Tuple

_NETLINK_NETFILTER = 12
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_NLM_F_REQUEST, _NLM_F_DUMP_INTR, _NLM_F_DUMP = 0x1, 0x10, 0x300
_NLA_TYPE_MASK = 0x3FFF
_HEADER = struct.Struct("=IHHII")  # struct nlmsghdr
_ATTRIBUTE = struct.Struct("=HH")  # struct nlattr
_GENERIC = 4  # bytes of struct nfgenmsg
_TIMEOUT = struct.pack("@ll", 10, 0)  # struct timeval
_DUMP_ATTEMPTS = 20

_NFTABLES, _COMPAT = 10, 11  # NFNL_SUBSYS_*
_GET_TABLE, _GET_CHAIN, _GET_RULE = 1, 4, 7  # NFT_MSG_*
_TABLE_NAME, _CHAIN_TABLE, _CHAIN_NAME, _CHAIN_HOOK, _HOOK_NUMBER = 1, 1, 3, 4, 1  # NFTA_*
_RULE_TABLE, _RULE_CHAIN = 1, 2
_COMPAT_NAME, _COMPAT_REVISION, _COMPAT_TYPE = 1, 2, 3  # NFTA_COMPAT_*
# NF_INET_PRE_ROUTING, NF_INET_FORWARD, NF_INET_POST_ROUTING, linux/netfilter.h
_ON_THE_WAY = frozenset(struct.pack(">I", hook) for hook in (0, 2, 4))
FAMILIES = {1: "inet", 2: "ip", 10: "ip6"}  # NFPROTO_*, linux/netfilter.h; in those packets are forwarded

_NOTHING_TO_ASK = frozenset(
    (errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT, errno.EPERM, errno.EACCES, errno.ENOENT, errno.EINVAL)
)


@contextlib.contextmanager
def where_there_is_any() -> Iterator[None]:
    """What is asked in it is left out by a kernel that has no nftables, or where it isn't for us to ask.

    Raises any other OSError: it says nothing of the rules that are there.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _NOTHING_TO_ASK:
            raise


class Table(NamedTuple):
    """A table of nftables: "inet", "ip" or "ip6", and its name."""

    family: str
    name: str


def forward_tables(others: Tuple[Table, ...] = ()) -> List[Table]:
    """The tables with a chain that packets pass while they are forwarded, but for ``others``. Raises OSError."""
    with _connected() as channel:
        names = [_table(body) for body in _answers(channel, _NFTABLES, _GET_TABLE)]
        if not any(table.family and table not in others for table in names):
            return []
        chains = [_attributes(body) for body in _answers(channel, _NFTABLES, _GET_CHAIN)]
    found = {_named(family, chain, _CHAIN_TABLE) for family, chain in chains if _is_on_the_way(chain)}
    return sorted(table for table in found if table.family and table not in others)


def families_of(chains: Pattern[str]) -> Set[str]:
    """The families in which there is a chain whose name is of this kind. Raises OSError."""
    with _connected() as channel:
        named = [_named(*_attributes(body), _CHAIN_NAME) for body in _answers(channel, _NFTABLES, _GET_CHAIN)]
    return {family for family, name in named if family and chains.fullmatch(name)}


def families_with(text: bytes, chains: Pattern[str]) -> Set[str]:
    """The families in which a rule of a chain whose name is of this kind holds the text. Raises OSError.

    iptables' comments are in its rules letter by letter.
    """
    found: Set[str] = set()
    with _connected() as channel:
        listed = [_attributes(body) for body in _answers(channel, _NFTABLES, _GET_CHAIN)]
        for number, chain in listed:
            family, name = _named(number, chain, _CHAIN_NAME)
            if family and family not in found and chains.fullmatch(name):
                place = _attribute(_RULE_TABLE, chain[_CHAIN_TABLE]) + _attribute(_RULE_CHAIN, chain[_CHAIN_NAME])
                if any(text in rule for rule in _answers(channel, _NFTABLES, _GET_RULE, number, place)):
                    found.add(family)
    return found


def revision(protocol: int, name: str) -> int:
    """Ask whether nftables can use the match ``name``: 0 if so, else an errno (ENOENT: the kernel has no such match).

    ``protocol``: 4 or 6. The kernel loads the match's module if it has one, as it does for the iptables programs.
    """
    body = _attribute(_COMPAT_NAME, name.encode() + b"\0")
    body += _attribute(_COMPAT_REVISION, b"\0\0\0\0") + _attribute(_COMPAT_TYPE, b"\0\0\0\0")
    number = {4: socket.AF_INET, 6: socket.AF_INET6}[protocol]
    with _connected() as channel:
        channel.send(_request(_COMPAT, 0, _NLM_F_REQUEST, number, body))
        answer = channel.recv(4096)
    _size, kind, _flags, _sequence, _port = _HEADER.unpack_from(answer)
    return -int(struct.unpack_from("=i", answer, _HEADER.size)[0]) if kind == _NLMSG_ERROR else 0


def _connected() -> socket.socket:
    channel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER)
    channel.bind((0, 0))  # an address now rather than with the first message: so strace can tell what is asked
    channel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _TIMEOUT)
    return channel


def _request(subsystem: int, message: int, flags: int, family: int, body: bytes = b"") -> bytes:
    size = _HEADER.size + _GENERIC + len(body)
    return _HEADER.pack(size, subsystem << 8 | message, flags, 1, 0) + struct.pack(">BBH", family, 0, 0) + body


def _attribute(number: int, payload: bytes) -> bytes:
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(payload), number) + payload + b"\0" * (-len(payload) % 4)


def _answers(
    channel: socket.socket, subsystem: int, message: int, family: int = socket.AF_UNSPEC, place: bytes = b""
) -> List[bytes]:
    """Everything that the kernel lists, each from struct nfgenmsg on; asked again where it changed meanwhile."""
    for _attempt in range(_DUMP_ATTEMPTS):
        channel.send(_request(subsystem, message, _NLM_F_REQUEST | _NLM_F_DUMP, family, place))
        found = _listed(channel)
        if found is not None:
            return found
    raise OSError(errno.EINTR, "nftables: listing interrupted")


def _listed(channel: socket.socket) -> Optional[List[bytes]]:
    """What comes to the end of a listing; None where what is listed changed meanwhile (hazard 10)."""
    found: List[bytes] = []
    interrupted = 0
    while True:
        buffer = channel.recv(1 << 18)
        start = 0
        while start + _HEADER.size <= len(buffer):
            size, kind, flags, _sequence, _port = _HEADER.unpack_from(buffer, start)
            interrupted |= flags & _NLM_F_DUMP_INTR
            if kind in (_NLMSG_DONE, _NLMSG_ERROR):
                whole = size >= _HEADER.size + 4
                number = struct.unpack_from("=i", buffer, start + _HEADER.size)[0] if whole else 0
                if number < 0:
                    raise OSError(-number, "nftables: listing refused")
                return None if interrupted else found
            found.append(buffer[start + _HEADER.size : start + size])
            start += (size + 3) & ~3


def _attributes(body: bytes) -> Tuple[int, Dict[int, bytes]]:
    """The family of one answer, and its attributes by number."""
    return body[0], dict(_walk(body[_GENERIC:]))


def _walk(data: bytes) -> Iterator[Tuple[int, bytes]]:
    start = 0
    while start + _ATTRIBUTE.size <= len(data):
        size, number = _ATTRIBUTE.unpack_from(data, start)
        if size < _ATTRIBUTE.size:
            return
        yield number & _NLA_TYPE_MASK, data[start + _ATTRIBUTE.size : start + size]
        start += (size + 3) & ~3


def _table(body: bytes) -> Table:
    return _named(*_attributes(body), _TABLE_NAME)


def _named(family: int, found: Dict[int, bytes], number: int) -> Table:
    return Table(FAMILIES.get(family, ""), found.get(number, b"").rstrip(b"\0").decode(errors="surrogateescape"))


def _is_on_the_way(chain: Dict[int, bytes]) -> bool:
    hook = dict(_walk(chain.get(_CHAIN_HOOK, b"")))
    return hook.get(_HOOK_NUMBER) in _ON_THE_WAY
