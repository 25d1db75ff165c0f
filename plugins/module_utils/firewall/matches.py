# SPDX-License-Identifier: GPL-3.0-or-later
"""Which matches of iptables the kernel has, asked before a rule is written with one. Changes no rule."""

from __future__ import annotations

import ctypes
import errno
import socket
import struct
from typing import Dict, FrozenSet, Optional, Tuple

from ..netns import inside
from . import nfnetlink
from .tables import DEVGROUP, RPFILTER

NAMES = (DEVGROUP, RPFILTER)  # what the rules need beside the matches that every iptables host has
# IPT_SO_GET_REVISION_MATCH (IPT_BASE_CTL + 2) and IP6T_SO_GET_REVISION_MATCH (IP6T_BASE_CTL + 4), and the protocol
# whose options these are: linux/netfilter_ipv4/ip_tables.h, linux/netfilter_ipv6/ip6_tables.h
_OPTIONS = {4: (socket.AF_INET, socket.IPPROTO_IP, 66), 6: (socket.AF_INET6, socket.IPPROTO_IPV6, 68)}
_REVISION = struct.Struct("=29sB")  # struct xt_get_revision (linux/netfilter/x_tables.h): a name and a revision

_libc = ctypes.CDLL(None, use_errno=True)
_known: Dict[Tuple[str, int], FrozenSet[str]] = {}


def lacking(netns: Optional[str], backend: str, family: int) -> FrozenSet[str]:
    """Those of NAMES that rules of this backend ("nft", "legacy") and family (4, 6) can't be written with.

    What can't be asked (no privilege, legacy tables not loaded yet) counts as there. Asked once in a process: the
    kernel's matches are the same in all namespaces.
    """
    key = backend, family
    if key not in _known:
        with inside(netns):
            ask = _ask_nft if backend == "nft" else _ask_legacy
            _known[key] = frozenset(name for name in NAMES if ask(family, name) == errno.ENOENT)
    return _known[key]


def _ask_nft(family: int, name: str) -> int:
    try:
        return nfnetlink.revision(family, name)
    except OSError as error:
        return error.errno or errno.EIO


def _ask_legacy(family: int, name: str) -> int:
    kind, level, option = _OPTIONS[family]
    try:
        with socket.socket(kind, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.IPPROTO_RAW) as raw:
            # Not raw.getsockopt(): that hands the kernel no question, only room for the answer.
            question = ctypes.create_string_buffer(_REVISION.pack(name.encode(), 0), _REVISION.size)
            size = ctypes.c_uint32(_REVISION.size)
            asked = _libc.getsockopt(raw.fileno(), level, option, question, ctypes.byref(size))
            return 0 if asked == 0 else ctypes.get_errno()
    except OSError as error:
        return error.errno or errno.EIO
