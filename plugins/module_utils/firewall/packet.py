# SPDX-License-Identifier: GPL-3.0-or-later
"""A packet of which not all is known, and what a rule asks of it: yes, no, or None where that can't be told. Pure."""

from __future__ import annotations

from typing import Any, FrozenSet, Iterable, NamedTuple, Optional, Tuple

from ..document.prefix import parse_ip, parse_prefix

Span = Tuple[int, int, int]  # family, first and last address as numbers


class Packet(NamedTuple):
    """The first packet of a connection that the host forwards; None (or ``not_by``) where something isn't known.

    ``by`` and ``to``: the interfaces. ``source`` and ``destination``: an address or a prefix, the latter after
    translation. ``ports`` are those of the destination, ``original_ports`` what they were before translation.
    """

    family: int
    by: Optional[str] = None
    not_by: FrozenSet[str] = frozenset()
    to: Optional[str] = None
    source: Optional[str] = None
    destination: Optional[str] = None
    protocol: Optional[str] = None
    ports: Optional[Tuple[int, int]] = None
    original_ports: Optional[Tuple[int, int]] = None
    translated: bool = False


class Condition(NamedTuple):
    """One thing that a rule asks. It holds if one of ``values`` is the packet's, or with ``negated`` if none is.

    ``kind``: "by" or "to" (names of interfaces, "*" at the end for any rest), "source" or "destination" (spans),
    "protocol", "ports" or "original ports" (pairs), "state" (NEW, DNAT, ...), "family", or "unknown".
    """

    kind: str
    values: Tuple[Any, ...] = ()
    negated: bool = False


UNKNOWN = Condition("unknown")
ALWAYS = Condition("family", (4, 6))
NEVER = Condition("family")


def span(text: str) -> Optional[Span]:
    """The addresses of a prefix or an address; None for what is neither."""
    prefix = parse_prefix(text)
    if prefix is not None:
        return prefix.family, prefix.first, prefix.last
    ip = parse_ip(text)
    return None if ip is None else (ip.family, ip.number, ip.number)


def hold(packet: Packet, conditions: Iterable[Condition]) -> Optional[bool]:
    """Whether all of these hold."""
    known: Optional[bool] = True
    for condition in conditions:
        found = _holds(packet, condition)
        if found is False:
            return False
        if found is None:
            known = None
    return known


def _holds(packet: Packet, condition: Condition) -> Optional[bool]:
    found = _any(packet, condition)
    return found if found is None or not condition.negated else not found


def _any(packet: Packet, condition: Condition) -> Optional[bool]:
    kind, values = condition.kind, condition.values
    if kind == "by":
        return _interface(packet.by, packet.not_by, values)
    if kind == "to":
        return _interface(packet.to, frozenset(), values)
    if kind == "protocol":
        return None if packet.protocol is None else packet.protocol in values
    if kind == "ports":
        return _ranges(packet.ports, values)
    if kind == "original ports":
        return _ranges(packet.original_ports, values)
    if kind == "source":
        return _spans(packet.source, values)
    if kind == "destination":
        return _spans(packet.destination, values)
    if kind == "state":
        return "NEW" in values or (packet.translated and "DNAT" in values)
    if kind == "family":
        return packet.family in values
    return None


def _interface(name: Optional[str], excluded: FrozenSet[str], patterns: Tuple[str, ...]) -> Optional[bool]:
    if name is not None:
        return any(name == pattern or (pattern[-1:] == "*" and name.startswith(pattern[:-1])) for pattern in patterns)
    if "*" in patterns:
        return True
    return False if all(pattern in excluded for pattern in patterns) else None


def _ranges(have: Optional[Tuple[int, int]], ranges: Tuple[Tuple[int, int], ...]) -> Optional[bool]:
    if have is None:
        return None
    if any(first <= have[0] and have[1] <= last for first, last in ranges):
        return True
    return None if any(first <= have[1] and have[0] <= last for first, last in ranges) else False


def _spans(text: Optional[str], spans: Tuple[Span, ...]) -> Optional[bool]:
    have = span(text) if text is not None else None
    if have is None:
        return None
    same = [(first, last) for family, first, last in spans if family == have[0]]
    return _ranges(have[1:], tuple(same))
