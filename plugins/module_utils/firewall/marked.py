# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether rules of a document stand where nobody remembers any: somebody has brought back an older save of them.

A look without a program where that can be told, for it is taken in every run.
"""

from __future__ import annotations

import contextlib
from typing import Iterable, Iterator, Optional, Tuple

from ..errors import MissingOnHost
from ..netns import inside
from . import nfnetlink
from .iptables import find, installed, legacy_tables
from .tables import OWN_CHAIN

_NUMBER = {"ip": 4, "ip6": 6}


def families(netns: Optional[str], name: str, among: Iterable[int]) -> Tuple[int, ...]:
    """The families, of those ``among`` which it is asked, in which a rule of the document of this name stands.

    Raises OSError and HostwireError where that can't be told just now.
    """
    wanted = tuple(among)
    if not (wanted and installed()):
        return ()
    mark = f"hostwire:{name}:"
    with inside(netns):
        found = {*_nft(mark), *_legacy(mark, wanted)}
    return tuple(family for family in wanted if family in found)


def _nft(mark: str) -> Iterator[int]:
    if find("nft", 4, "save") is None:  # a host without the programs for it is not made to load it
        return
    with nfnetlink.where_there_is_any():
        yield from (_NUMBER[name] for name in nfnetlink.families_with(mark.encode(), OWN_CHAIN) if name in _NUMBER)


def _legacy(mark: str, wanted: Iterable[int]) -> Iterator[int]:
    for family in wanted:
        if legacy_tables(family):
            from . import programs  # loaded when it is needed: few hosts have legacy tables

            with contextlib.suppress(MissingOnHost):  # who may not read may not write either, and there it is told
                if mark in programs.saved("legacy", family):
                    yield family
