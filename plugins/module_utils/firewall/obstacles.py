# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of a packet among others' rules, as far as it is certain: the rule that surely keeps it away. Pure."""

from __future__ import annotations

from typing import Callable, Dict, NamedTuple, Optional, Sequence, Tuple

from .packet import Condition, Packet, hold

ACCEPT, DROP, RETURN, JUMP, GOTO, CONTINUE, UNSURE = "ACCEPT", "DROP", "RETURN", "JUMP", "GOTO", "CONTINUE", "UNSURE"
_DEPTH = 16  # chains within chains; NFT_JUMP_STACK_SIZE, include/net/netfilter/nf_tables.h
_SINGLE = ("source", "destination", "protocol", "ports", "original ports")  # what a packet has of its own


class Rule(NamedTuple):
    """A rule of somebody else's. ``where`` and ``words`` are for people: its chain, and what it says.

    ``verdict``: what it does with a packet for which all ``conditions`` hold. UNSURE: it decides, nobody knows what.
    """

    where: str
    words: str
    conditions: Tuple[Condition, ...]
    verdict: str
    target: str = ""


class Wall(NamedTuple):
    """Rules that a forwarded packet passes, from ``start`` on. ``rules``: of a chain, None if there is none.

    ``policy``: what drops a packet about which none of them decides, "" if nothing does. ``why``: how it comes that no
    rule of ours helps against one that drops here, in words. ``hook``: where packets come by here, "prerouting",
    "forward" or "postrouting".
    """

    name: str
    why: str
    rules: Callable[[str], Optional[Sequence[Rule]]]
    start: str
    policy: str = ""
    hook: str = "forward"


class Fate(NamedTuple):
    """``end``: ACCEPT, DROP, or "" if no rule surely decides; ``rule`` is the one that does.

    ``may_pass``: whether a rule before that may have accepted it already.
    """

    end: str = ""
    rule: Optional[Rule] = None
    may_pass: bool = False


class Obstacle(NamedTuple):
    """What surely drops a packet: ``what`` does, ``where`` that stands, and ``why`` it counts."""

    what: str
    where: str
    why: str


class Judge:
    """Tries packets on walls. Those that differ in nothing that a wall asks about are tried once: ports are many."""

    def __init__(self) -> None:
        self._asked: Dict[Tuple[Wall, Packet], Tuple[Condition, ...]] = {}
        self._found: Dict[Tuple[Wall, Packet, Tuple[Optional[bool], ...]], Optional[Obstacle]] = {}

    def obstacle(self, wall: Wall, packet: Packet) -> Optional[Obstacle]:
        """What keeps this packet away for certain; None if nothing does, or it can't be told."""
        rough = packet._replace(source=None, destination=None, protocol=None, ports=None, original_ports=None)
        if (wall, rough) not in self._asked:
            self._asked[wall, rough] = _asked(wall, rough)
        key = wall, rough, tuple(hold(packet, (condition,)) for condition in self._asked[wall, rough])
        if key not in self._found:
            self._found[key] = obstacle(wall, packet)
        return self._found[key]


def obstacle(wall: Wall, packet: Packet) -> Optional[Obstacle]:
    """What keeps this packet away for certain; None if nothing does, or it can't be told."""
    fate = _fate(wall, wall.start, packet, 0)
    if fate.may_pass or fate.end == ACCEPT:
        return None
    if fate.rule is not None:
        return Obstacle(fate.rule.words, f"{fate.rule.where} ({wall.name})", wall.why)
    return Obstacle("the policy drop", f"{wall.policy} ({wall.name})", wall.why) if wall.policy else None


def _asked(wall: Wall, rough: Packet) -> Tuple[Condition, ...]:
    """What is to be known of a packet beyond ``rough`` to tell its fate."""
    found: Dict[Condition, None] = {}
    seen, ahead = {wall.start}, [wall.start]
    while ahead:
        for rule in wall.rules(ahead.pop()) or ():
            if hold(rough, rule.conditions) is False:
                continue
            found.update(dict.fromkeys(condition for condition in rule.conditions if condition.kind in _SINGLE))
            if rule.verdict in (JUMP, GOTO) and rule.target not in seen:
                seen.add(rule.target)
                ahead.append(rule.target)
    return tuple(found)


def _fate(wall: Wall, chain: str, packet: Packet, depth: int) -> Fate:
    rules = wall.rules(chain) if depth <= _DEPTH else None
    if rules is None:
        return Fate("", None, True)
    may_pass = False
    inside: Optional[bool] = True  # None: a rule may have led out of this chain already
    for rule in rules:
        met = hold(packet, rule.conditions) if rule.verdict != CONTINUE else False
        if met is False:
            continue
        fate = _verdict(wall, rule, packet, depth)
        may_pass |= fate.may_pass
        if not fate.end and rule.verdict == JUMP:
            continue
        if met and inside and fate.end:
            return Fate(fate.end, fate.rule, may_pass)
        may_pass |= fate.end == ACCEPT
        if met:
            break
        if rule.verdict in (RETURN, GOTO):
            inside = None
    return Fate("", None, may_pass)


def _verdict(wall: Wall, rule: Rule, packet: Packet, depth: int) -> Fate:
    """What becomes of a packet that a rule takes; no ``end``: it leaves this chain, or comes back to it."""
    if rule.verdict in (JUMP, GOTO):
        return _fate(wall, rule.target, packet, depth + 1)
    if rule.verdict in (ACCEPT, DROP):
        return Fate(rule.verdict, rule)
    return Fate(ACCEPT, rule) if rule.verdict == UNSURE else Fate()
