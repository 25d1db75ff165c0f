# SPDX-License-Identifier: GPL-3.0-or-later
"""What the project claims about its speed: each a ratio of two things measured in the same round, and its bound."""

from __future__ import annotations

from typing import Dict, List, NamedTuple

import peers
import rounds
from measure import Time, median, ratios


class Claim(NamedTuple):
    """``pairs`` are the ratios of the rounds; their median has to keep to ``bound``."""

    text: str
    bound: float
    at_most: bool
    pairs: List[float]

    @property
    def ratio(self) -> float:
        return median(self.pairs)

    def holds(self, slack: float = 1.0) -> bool:
        """Whether the median is within the bound, or with ``slack`` above 1 as many times beyond it at most."""
        return self.ratio <= self.bound * slack if self.at_most else self.ratio * slack >= self.bound

    def line(self) -> str:
        sign = "≤" if self.at_most else "≥"
        spread = f"{min(self.pairs):.2f} to {max(self.pairs):.2f}, {len(self.pairs)} rounds"
        return f"{self.text}: {self.ratio:.2f} ({sign} {self.bound:g}; {spread})"


def calls(times: List[Time]) -> List[float]:
    return [time.call for time in times]


def building(times: rounds.Times) -> List[Claim]:
    """From rounds with 200 namespaces."""
    engine = calls(times["engine"])
    return [
        Claim("200 namespaces: the engine, of the floor", 1.5, True, ratios(engine, calls(times["floor"]))),
        Claim("200 namespaces: the shell script, of the engine", 6, False, ratios(calls(times["shell"]), engine)),
    ]


def against_ifstate(engine: float, ifstate: List[Time]) -> Claim:
    """``engine``: the median seconds of the rounds around it. A time that was cut short is a lower bound."""
    pairs = [took.call / engine for took in ifstate]
    at_least = "" if all(took.finished for took in ifstate) else " (cut short, so at least)"
    return Claim(f"200 namespaces: ifstate, of the engine{at_least}", 100, False, pairs)


def growing(few: rounds.Times, many: rounds.Times) -> Claim:
    """From rounds with 50 and with 1000 namespaces."""
    at_few = ratios(calls(few["engine"]), calls(few["floor"]))
    at_many = ratios(calls(many["engine"]), calls(many["floor"]))
    return Claim("1000 namespaces, of 50: the ratio to the floor", 4 / 3, True, ratios(at_many, at_few))


def reading(times: rounds.Times) -> List[Claim]:
    """From rounds with 1000 namespaces."""
    nothing = calls(times["nothing"])
    batch = calls(times["ip-batch"])
    return [
        Claim("1000 namespaces: nothing to do, of a bare dump", 6, True, ratios(nothing, calls(times["dump"]))),
        Claim("1000 namespaces: one ip -j -batch each, of nothing to do", 8, False, ratios(batch, nothing)),
    ]


def publishing(times: rounds.Times) -> Claim:
    """From rounds with the nft backend."""
    pairs = ratios(calls(times["engine"]), calls(times["restore"]))
    return Claim("1000 published ports (nft), of bare iptables-restore", 2, True, pairs)


def guests(mode: str, times: Dict[int, List[Time]]) -> Claim:
    """From rounds with FEW_GUESTS and MANY_GUESTS: linear means that each guest costs the same."""
    few, many = ([took / count for took in calls(times[count])] for count in (FEW_GUESTS, MANY_GUESTS))
    text = f"{MANY_GUESTS} guests in mode {mode}, of {FEW_GUESTS}: the time for each guest"
    return Claim(text, 4 / 3, True, ratios(many, few))


def tasks(seconds: Dict[str, List[float]]) -> List[Claim]:
    """From rounds with 200 namespaces over ssh: first uses in a play with one another, later ones with one another."""
    return [
        Claim(
            f"200 namespaces: a whole topology task over ssh ({place} in its play), of a whole ping task",
            bound,
            True,
            ratios(seconds[f"{place} topology"], seconds[f"{place} ping"]),
        )
        for place, bound in TASK_BOUNDS.items()
    ]


# The first in a play packs the engine for the managed host, which compiles it, once; the more it can do the longer.
TASK_BOUNDS = {"first": 3.0, "later": 2.5}
FEW_GUESTS, GUESTS, MANY_GUESTS = 50, 100, 200
BUILD_TURNS = (peers.FLOOR, peers.ENGINE, peers.SHELL)
