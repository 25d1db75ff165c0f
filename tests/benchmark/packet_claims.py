# SPDX-License-Identifier: GPL-3.0-or-later
"""What the project claims about the price of the filter, from rounds in which all hosts were asked."""

from __future__ import annotations

from typing import List

from claims import Claim
from measure import ratios
from packets import NETWORKS, PORTS, Measured, Rounds

WAYS = {
    "document": "networks in one document",
    "documents": "documents of one network",
    "mixed": "networks of all modes",
}


def growing(backend: str, found: Measured) -> List[Claim]:
    """That a packet's way doesn't grow with the host."""
    text = f"The last of {PORTS:,} published ports ({backend}): a connection, of the first"
    return [
        *(claim for way in WAYS for claim in _growing(backend, found, way)),
        Claim(text, 1.5, True, ratios(found.ports["last"], found.ports["first"])),
    ]


def packets(backend: str, found: Measured) -> List[Claim]:
    """All of them."""
    return [
        *growing(backend, found),
        *(claim for way in WAYS for claim in _rules(backend, found, way)),
        *(_stream(backend, found, way) for way in ("one", "document")),
        _against_docker(backend, found),
    ]


def _against_docker(backend: str, found: Measured) -> Claim:
    """By the worst of the ways in which as many networks are there."""
    ways = [way for way in WAYS if found.networks[way] == NETWORKS]
    ours = [min(values) for values in zip(*(found.packets[way] for way in ways))]
    text = f"{NETWORKS} networks ({backend}): packets a second, of those with Docker's layout of rules"
    return Claim(text, 4, False, ratios(ours, found.packets["docker"]))


def _named(backend: str, found: Measured, way: str) -> str:
    where = f"{found.networks[way]} {WAYS[way]}" if way in WAYS else "One network"
    return f"{where} ({backend})"


def _growing(backend: str, found: Measured, way: str) -> List[Claim]:
    def of_one(values: Rounds) -> List[float]:
        return ratios(values[way], values["one"])

    text = f"{_named(backend, found, way)}, of one network:"
    return [
        Claim(f"{text} packets a second", 0.8, False, of_one(found.packets)),
        Claim(f"{text} a UDP flow's first packet and answer", 1.3, True, of_one(found.first_packets)),
        Claim(f"{text} a TCP connection", 1.3, True, of_one(found.connections)),
    ]


def _rules(backend: str, found: Measured, way: str) -> List[Claim]:
    """Where there are few networks, those rules that stand once for all of them aren't shared out among them."""
    half, whole = found.rules[way]
    count = found.networks[way]
    each = whole / count if count == NETWORKS else (whole - half) / (count - count // 2)
    text = _named(backend, found, way)
    return [
        Claim(f"{text}: rules for each", 10, True, [each]),
        Claim(f"{text}: rules, of those of half as many", 2.05, True, [whole / half]),
    ]


def _stream(backend: str, found: Measured, way: str) -> Claim:
    text = f"{_named(backend, found, way)}: one TCP stream, of the same without a filter"
    return Claim(text, 0.9, False, ratios(found.streams[way], found.streams["plain"]))
