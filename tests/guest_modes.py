# SPDX-License-Identifier: GPL-3.0-or-later
"""Who reaches whom in each mode of a guest network, as data, and what tells where a real network is otherwise.

Whoever asks brings ``reach``: it makes one attempt with real packets and says whether it got through. It is the same
table for namespaces, containers and virtual machines.
"""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

TABLE = """
| mode | guest → host | host → guest | guest ↔ guest | guest → LAN, internet | LAN → guest |
|---|---|---|---|---|---|
| `nat` | yes | published port only | **no** | yes | published port only |
| `nat_network` | yes | published port only | yes | yes | published port only |
| `bridged` | yes | yes | yes | yes | yes |
| `internal` | no | no | yes | no | no |
| `host_only` | yes | yes | yes | no | no |
| `routed` | yes | yes | yes | yes | yes, by a route |
"""

YES, NO, PORT = "yes", "no", "published port only"
GUEST, OTHER, HOST, LAN, INTERNET = "guest", "other", "host", "lan", "internet"  # other: a guest on the same network
PROTOCOLS = ("icmp", "tcp", "udp")

# The attempts that a column stands for, as (from, to).
WAYS: Dict[str, Tuple[Tuple[str, str], ...]] = {
    "guest → host": ((GUEST, HOST), (OTHER, HOST)),
    "host → guest": ((HOST, GUEST), (HOST, OTHER)),
    "guest ↔ guest": ((GUEST, OTHER), (OTHER, GUEST)),
    "guest → LAN, internet": ((GUEST, LAN), (OTHER, LAN), (GUEST, INTERNET), (OTHER, INTERNET)),
    "LAN → guest": ((LAN, GUEST), (LAN, OTHER)),
}


class Attempt(NamedTuple):
    """One attempt. ``protocol``: icmp, tcp or udp. ``family``: 4 or 6.

    ``published``: to a port of the host that leads to ``target``; else to an address of ``target`` itself.
    """

    source: str
    target: str
    protocol: str
    family: int = 4
    published: bool = False

    def __str__(self) -> str:
        through = " through the published port" if self.published else ""
        return f"{self.source} -> {self.target} by {self.protocol} over IPv{self.family}{through}"


Reach = Callable[[Attempt], bool]


def table() -> Dict[str, Dict[str, str]]:
    """The table's cells by mode and column: ``yes``, ``no`` or ``published port only``."""
    header, dummy, *rows = (
        [cell.strip(" *`") for cell in line.strip("|").split("|")] for line in TABLE.split("\n")[1:-1]
    )
    words = {"yes": YES, "no": NO, "published port only": PORT, "yes, by a route": YES}
    return {mode: {column: words[cell] for column, cell in zip(header[1:], cells)} for mode, *cells in rows}


def expected(
    mode: str, families: Sequence[int] = (4,), otherwise: Optional[Mapping[str, str]] = None
) -> Iterator[Tuple[str, Attempt, bool]]:
    """Every attempt that the table speaks of: its column, the attempt, and whether it has to get through.

    ``otherwise``: columns that are otherwise than the table says, since the network was asked for so.
    """
    for column, cell in {**table()[mode], **(otherwise or {})}.items():
        for source, target in WAYS[column]:
            for family in families:
                for protocol in PROTOCOLS:
                    yield column, Attempt(source, target, protocol, family), cell == YES
                    if cell == PORT and protocol != "icmp":
                        yield column, Attempt(source, target, protocol, family, True), True


def wrong_cells(
    mode: str,
    reach: Reach,
    families: Sequence[int] = (4,),
    otherwise: Optional[Mapping[str, str]] = None,
    patience: float = 10.0,
    workers: int = 1,
) -> List[str]:
    """One line for each attempt that comes out otherwise than the table says.

    What has to get through is tried first, and again for ``patience`` seconds: a young network loses packets. What
    must not is tried after that, when what is known to work has worked, by so many ``workers`` at a time.
    """
    attempts = list(expected(mode, families, otherwise))
    closed = [
        f"{mode}: {column}: {attempt}: does not get through"
        for column, attempt, wanted in attempts
        if wanted and not _patiently(reach, attempt, patience)
    ]
    unwanted = [(column, attempt) for column, attempt, wanted in attempts if not wanted]
    threads = _threads()
    with ThreadPoolExecutor(workers) as pool:
        outcomes = list(pool.map(reach, [attempt for dummy, attempt in unwanted]))
    while _threads() > threads:  # ended for Python, not yet for the kernel, which minds them in setns(2)
        time.sleep(0.01)
    opened = [f"{mode}: {column}: {attempt}: gets through" for (column, attempt), got in zip(unwanted, outcomes) if got]
    return closed + opened


def _threads() -> int:
    return len(os.listdir("/proc/self/task"))


def _patiently(reach: Reach, attempt: Attempt, patience: float) -> bool:
    end = time.monotonic() + patience
    while not reach(attempt):
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True
