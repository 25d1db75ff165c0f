# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines of iptables-save read as rules that can be tried on a packet. Pure."""

from __future__ import annotations

import functools
import re
from typing import Callable, Dict, List, Optional, Sequence, Tuple

from ..visible import visible
from .obstacles import ACCEPT, CONTINUE, DROP, GOTO, JUMP, RETURN, UNSURE, Rule, Wall
from .others import is_untracked, others
from .packet import ALWAYS, NEVER, UNKNOWN, Condition, span
from .tables import GO_ON, MARK, OWN_CHAIN, target_of

_WORD = re.compile(r'"(?:[^"\\]|\\.)*"|\S+')
_VERDICTS = {
    "ACCEPT": ACCEPT, "DROP": DROP, "REJECT": DROP, "RETURN": RETURN, "QUEUE": UNSURE, "NFQUEUE": UNSURE,
}  # fmt: skip
# Modules that ask nothing but by their options; one that isn't listed may.
_QUIET = ("addrtype", "comment", "conntrack", "icmp", "icmp6", "multiport", "physdev", "state", "tcp", "udp")
_PROTOCOLS = {"6": "tcp", "17": "udp", "1": "icmp", "58": "ipv6-icmp", "icmpv6": "ipv6-icmp"}
_BARE = ("--physdev-is-bridged",)  # options without a value
_SYN = {"SYN"}  # the flags of a connection's first packet


def wall(chains: Dict[str, List[str]], table: str, start: str = "FORWARD", drops: bool = False) -> Wall:
    """What a forwarded packet passes in one table before it comes to our openings; in chains other than FORWARD nothing
    of ours opens anything. ``drops``: so does the chain's policy."""

    @functools.cache
    def rules(chain: str) -> Optional[Tuple[Rule, ...]]:
        lines = chains.get(chain)
        if lines is None:
            return None
        before = _before_ours(lines, chains) if chain == "FORWARD" else others(lines)
        return tuple(_of_either(line) if start == "PREROUTING" else rule(line) for line in before)

    name = f"iptables, {'' if table == 'filter' else table + ' '}{start}"
    why = "drops what our rules let through" if drops else "comes before our rules"
    return Wall(name, why, rules, start, f"chain {start}" if drops else "", start.lower())


def _of_either(line: str) -> Rule:
    """A rule before it is known where the packet goes: to this host, or on."""
    found = rule(line)
    if is_untracked(line):
        found = found._replace(verdict=DROP)
    return found._replace(conditions=(*found.conditions, UNKNOWN)) if "-type " in line else found


def _before_ours(lines: Sequence[str], chains: Dict[str, List[str]]) -> List[str]:
    found = []
    for line in lines:
        if not MARK.search(line):
            found.append(line)
        elif _opens(target_of(line), chains):
            break
    return found


def _opens(chain: str, chains: Dict[str, List[str]]) -> bool:
    """Whether one of our chains lets anything through."""
    targets = [target_of(line) for line in chains.get(chain, ()) if OWN_CHAIN.fullmatch(chain)]
    return "ACCEPT" in targets or any(_opens(target, chains) for target in targets if target != chain)


@functools.lru_cache(maxsize=8192)
def rule(line: str) -> Rule:
    """One line ("-A CHAIN ...")."""
    words = _WORD.findall(line)
    chain = words[1]
    conditions: List[Condition] = []
    verdict, target = CONTINUE, ""
    position, negated = 2, False
    while position < len(words):
        word = words[position]
        if word in ("-j", "-g"):
            target = words[position + 1]
            verdict = GOTO if word == "-g" else _VERDICTS.get(target, CONTINUE if target in GO_ON else JUMP)
            break
        position += 1
        if word == "!":
            negated = True
            continue
        first = position
        position += word == "--comment"
        while position < len(words) and words[position] != "!" and not words[position].startswith("-"):
            position += 1
        conditions.append(_condition(word, words[first:position], negated))
        negated = False
    return Rule(f"chain {visible(chain)}", f'"{visible(line)}"', tuple(conditions), verdict, target)


def _condition(option: str, values: List[str], negated: bool) -> Condition:
    make = _OPTIONS.get(option)
    if make is None or not (values or option in _BARE):
        return UNKNOWN
    found = make(values)
    return found if found is UNKNOWN else found._replace(negated=found.negated != negated)


def _module(values: List[str]) -> Condition:
    return ALWAYS if values and values[0] in _QUIET else UNKNOWN


def _interface(kind: str) -> Callable[[List[str]], Condition]:
    def make(values: List[str]) -> Condition:
        name = values[0]
        return Condition(kind, (f"{name[:-1]}*" if name.endswith("+") else name,))

    return make


def _addresses(kind: str) -> Callable[[List[str]], Condition]:
    def make(values: List[str]) -> Condition:
        found = span(values[0])
        return UNKNOWN if found is None else Condition(kind, (found,))

    return make


def _ports(kind: str) -> Callable[[List[str]], Condition]:
    def make(values: List[str]) -> Condition:
        ranges = [(part.partition(":")[0], part.rpartition(":")[2]) for part in values[0].split(",")]
        if not all(first.isdigit() and last.isdigit() for first, last in ranges):
            return UNKNOWN
        return Condition(kind, tuple((int(first), int(last)) for first, last in ranges))

    return make


def _protocol(values: List[str]) -> Condition:
    return Condition("protocol", (_PROTOCOLS.get(values[0], values[0]),))


def _state(values: List[str]) -> Condition:
    return Condition("state", tuple(values[0].split(",")))


def _direction(values: List[str]) -> Condition:
    return ALWAYS if values[0] == "ORIGINAL" else NEVER


def _destination_type(values: List[str]) -> Condition:
    return ALWAYS if "UNICAST" in values[0].split(",") else NEVER  # others aren't forwarded


def _source_type(values: List[str]) -> Condition:
    types = set(values[0].split(","))
    return ALWAYS if "UNICAST" in types else NEVER if types == {"LOCAL"} else UNKNOWN


def _flags(values: List[str]) -> Condition:
    return ALWAYS if _SYN & set(values[0].split(",")) == set(values[1].split(",")) - {"NONE"} else NEVER


_OPTIONS: Dict[str, Callable[[List[str]], Condition]] = {
    "-m": _module,
    "-i": _interface("by"),
    "-o": _interface("to"),
    "-s": _addresses("source"),
    "-d": _addresses("destination"),
    "-p": _protocol,
    "--dport": _ports("ports"),
    "--dports": _ports("ports"),
    "--ctorigdstport": _ports("original ports"),
    "--ctstate": _state,
    "--state": _state,
    "--ctdir": _direction,
    "--dst-type": _destination_type,
    "--src-type": _source_type,
    "--tcp-flags": _flags,
    "--comment": lambda _values: ALWAYS,
    "--physdev-is-bridged": lambda _values: NEVER,  # what is translated or routed isn't
}
