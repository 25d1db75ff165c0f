# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of nftables that aren't iptables' and that forwarded packets pass, read with the program nft."""

from __future__ import annotations

import shutil
import subprocess
from typing import List, Optional, Tuple

from ..netns import inside
from ..search_path import search_path
from . import nfnetlink

# Modules are to use AnsibleModule.run_command, says ansible-test; the engine knows no Ansible.
# pylint: disable=ansible-bad-function

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
    try:
        done = subprocess.run(
            [program, "-j", "list", "table", table.family, table.name],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            timeout=_PATIENCE,
            encoding="utf-8",
            errors="surrogateescape",
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return []
    return [done.stdout]
