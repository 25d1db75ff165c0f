# SPDX-License-Identifier: GPL-3.0-or-later
"""What a packet pays for the filter: rounds in which each host is asked once, all hosts standing at the same time."""

from __future__ import annotations

from collections import defaultdict
from typing import Callable, Dict, List, NamedTuple, Sequence

import packet_hosts as hosts

NETWORKS, PORTS = 200, 1000
TRIES = 6
STREAMS = ("plain", "masquerade", "one", "document")  # hosts that are asked for a TCP stream
Rounds = Dict[str, List[float]]


class Measured(NamedTuple):
    """By the hosts' names; equal places are of the same round.

    ``networks``: how many the hosts with many have. ``rules``: how many there are, after each stage of building.
    """

    labels: Dict[str, str]
    networks: Dict[str, int]
    rules: Dict[str, List[int]]
    packets: Rounds
    first_packets: Rounds
    connections: Rounds
    streams: Rounds
    ports: Rounds


def measure(backends: Sequence[str], repeats: int, small: int = NETWORKS) -> Dict[str, Measured]:
    """By backend, of which the first is nft: legacy then gets the rules that the engine wrote there.

    ``small``: how many networks there are where each takes a document and therefore time.
    """
    sizes = {"document": NETWORKS, "documents": small, "mixed": small}
    many = [hosts.one_document(NETWORKS), hosts.documents(small), hosts.mixed(small)]
    layouts = [hosts.PLAIN, hosts.MASQUERADE, hosts.ONE, *many, hosts.docker(NETWORKS), hosts.published(PORTS)]
    found = {}
    with hosts.standing(layouts, "nft") as there:
        for backend in backends:
            if backend == "legacy":
                for host in there.values():
                    host.to_legacy()
            found[backend] = _measure(there, sizes, repeats)
    return found


def _measure(there: Dict[str, hosts.StandingHost], sizes: Dict[str, int], repeats: int) -> Measured:
    senders = {name: host for name, host in there.items() if name != "ports"}
    streamers = {name: there[name] for name in STREAMS}
    labels = {name: host.layout.label for name, host in senders.items()}
    rules = {name: host.rules for name, host in senders.items()}
    kinds: List[Rounds] = [defaultdict(list) for _kind in range(5)]
    found = Measured(labels, sizes, rules, *kinds)
    for _turn in range(repeats):
        _round(found.packets, senders, hosts.StandingHost.packets, max, min)
        _round(found.first_packets, senders, hosts.StandingHost.first_packets, min, max)
        _round(found.connections, senders, hosts.StandingHost.connections, min, max)
        _round(found.streams, streamers, hosts.StandingHost.stream, max, min)
        answers = [(there["ports"].port(0), there["ports"].port(PORTS - 1)) for _try in range(TRIES)]
        for name, took in zip(("first", "last"), zip(*answers)):
            found.ports[name].append(min(took))
    return found


def _round(
    into: Rounds,
    there: Dict[str, hosts.StandingHost],
    ask: Callable[[hosts.StandingHost, int], float],
    best: Callable[[Sequence[float]], float],
    worst: Callable[[Sequence[float]], float],
) -> None:
    """Ask for each guest several times in turns, and keep the best: other work can only make it worse, and meets all.

    Of a host's guests the one that is worse off counts.
    """
    guests = [(name, end) for name, host in there.items() for end in host.layout.ends]
    answers = [[ask(there[name], end) for name, end in guests] for _try in range(TRIES)]
    found = dict(zip(guests, map(best, zip(*answers))))
    for name, host in there.items():
        into[name].append(worst([found[name, end] for end in host.layout.ends]))
