# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of nftables that aren't iptables' and that forwarded packets pass, read with the program nft."""

from __future__ import annotations

import shutil
from typing import List, Optional, Tuple

from ..errors import HostwireError, Interrupted
from ..netns import inside
from ..search_path import search_path
from . import nfnetlink

_IPTABLES = tuple(
    nfnetlink.Table(family, name) for family in ("ip", "ip6") for name in ("filter", "nat", "mangle", "raw", "security")
)
_PATIENCE = 10.0  # seconds for one table


def read(netns: Optional[str]) -> Tuple[str, ...]:
    """What ``nft -j list table`` prints of each; nothing where there are none, or no program to tell.

    Only a warning depends on it, so what can't be read is left out.
    """
    with inside(netns):
        try:
            tables = nfnetlink.forward_tables(_IPTABLES)
        except OSError:  # a kernel without nftables, or no right to ask
            return ()
        program = shutil.which("nft", path=search_path()) if tables else None
        return tuple(text for table in tables for text in _listed(program, table)) if program else ()


def _listed(program: str, table: nfnetlink.Table) -> List[str]:
    from ..program import run  # loaded when it is needed: most hosts have no such table

    try:
        done = run([program, "-j", "list", "table", table.family, table.name], _PATIENCE)
    except Interrupted:
        raise
    except HostwireError:
        return []
    return [done.output] if done.status == 0 else []
