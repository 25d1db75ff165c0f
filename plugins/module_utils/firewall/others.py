# SPDX-License-Identifier: GPL-3.0-or-later
"""A quick look at what is forwarded at all, and whether others' rules may drop that. Pure."""

from __future__ import annotations

from typing import Dict, List, Sequence

from ..model import PublishedPort
from .tables import MARK, target_of
from .want import ANY, within


def may_drop(chains: Dict[str, List[str]], start: str = "FORWARD") -> bool:
    """Whether anything that others put there can drop a packet that comes to ``start``, wherever our openings stand."""
    seen = {start}
    ahead = [others(chains.get(start, []))]
    while ahead:
        for line in ahead.pop():
            target = target_of(line)
            if target in ("DROP", "REJECT") or is_untracked(line):
                return True
            if target in chains and target not in seen:
                seen.add(target)
                ahead.append(others(chains[target]))
    return False


def is_untracked(line: str) -> bool:
    """Whether a rule has packets pass without being tracked: nothing is translated then, and answers are unknown."""
    return target_of(line) == "NOTRACK" or (target_of(line) == "CT" and " --notrack" in line)


def others(lines: Sequence[str]) -> List[str]:
    """The rules that aren't ours."""
    return [line for line in lines if not MARK.search(line)]


def is_forwarded(ports: Sequence[PublishedPort]) -> bool:
    """Whether one of these ports has callers beside the host itself."""
    return any(port.address == ANY or not within(port.address, "127.0.0.0/8") for port in ports)
