# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables of nftables, as ``nft -j list table`` prints them, read as rules that can be tried on a packet. Pure.

The schema is that of libnftables-json(5). What isn't understood is unknown, and so makes nothing certain.
"""

from __future__ import annotations

import json
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

from ..visible import visible
from .obstacles import ACCEPT, CONTINUE, DROP, GOTO, JUMP, RETURN, UNSURE, Rule, Wall
from .packet import ALWAYS, NEVER, UNKNOWN, Condition, Span, span

_VERDICTS = {"accept": ACCEPT, "drop": DROP, "reject": DROP, "return": RETURN, "queue": UNSURE, "continue": CONTINUE}
# Statements that neither decide nor ask anything.
_QUIET = ("counter", "log", "notrack", "mangle", "set", "map", "flow", "dup", "secmark", "ct helper", "ct timeout")
_META = {
    "iifname": "by", "iif": "by", "oifname": "to", "oif": "to", "l4proto": "protocol", "nfproto": "family",
}  # fmt: skip
_ADDRESSES = {"saddr": "source", "daddr": "destination"}
_FAMILIES = {"ip": 4, "ip6": 6, "ipv4": 4, "ipv6": 6}
_PROTOCOLS = {6: "tcp", 17: "udp", 1: "icmp", 58: "ipv6-icmp", "icmpv6": "ipv6-icmp"}
_OF = {4: "ip", 6: "ip6"}
_COMPARED = {"==": False, "!=": True, "in": False}
_WHY = "drops what our rules let through"
_LAST_PORT = 65535
_DSTNAT, _SRCNAT = -100, 100  # NF_IP_PRI_NAT_DST, NF_IP_PRI_NAT_SRC, linux/netfilter_ipv4.h


class _Question(NamedTuple):
    """What an expression asks about: the ``kind`` of a condition, and what has to hold beside."""

    kind: str
    beside: Tuple[Condition, ...] = ()


def walls(text: str, family: int) -> List[Wall]:
    """What a forwarded packet of this family (4, 6) passes in one table; nothing of a text that isn't one."""
    try:
        return _walls(text, family)
    except (ValueError, LookupError, TypeError, AttributeError):  # another schema than this one
        return []


def _walls(text: str, family: int) -> List[Wall]:
    listed = json.loads(text)["nftables"]
    objects = [(kind, value) for entry in listed for kind, value in entry.items()]
    sets = {value["name"]: value.get("elem", []) for kind, value in objects if kind in ("set", "map")}
    chains: Dict[str, List[Rule]] = {value["name"]: [] for kind, value in objects if kind == "chain"}
    for kind, value in objects:
        if kind == "rule":
            chains[value["chain"]] += _rules(value, sets, _place(value, value["chain"]))
    found = []
    for kind, value in objects:
        if kind == "chain" and _is_on_the_way(value) and value["family"] in ("inet", _OF[family]):
            place, hook = _place(value, value["name"]), value["hook"]
            policy = place if value.get("policy") == "drop" else ""
            found.append(Wall(f"nftables, hook {hook}", _WHY, chains.get, value["name"], policy, hook))
    return found


def _is_on_the_way(chain: Dict[str, Any]) -> bool:
    """Whether forwarded packets pass it, and with the addresses that they are known by: before translation or after."""
    hook, priority = chain.get("hook"), chain.get("prio", 0)
    if hook == "prerouting":
        return bool(priority < _DSTNAT)
    return hook == "forward" or (hook == "postrouting" and priority < _SRCNAT)


def _place(value: Dict[str, Any], chain: str) -> str:
    return visible(f"table {value['family']} {value['table']}, chain {chain}")


def _rules(value: Dict[str, Any], sets: Dict[str, Any], where: str) -> Iterator[Rule]:
    """One rule, or for a verdict map one for each of its elements."""
    conditions: List[Condition] = []
    number = value.get("handle", "?")
    for statement in value.get("expr", ()):
        kind, body = _statement(statement)
        if kind == "match":
            conditions += _conditions(body, sets)
        elif kind == "vmap":
            for found, verdict in _elements(body, sets):
                yield _rule(where, number, (*conditions, *found), verdict)
        elif _is_verdict(kind):
            yield _rule(where, number, tuple(conditions), {kind: body})
        elif kind not in _QUIET:
            conditions.append(UNKNOWN)


def _statement(statement: Any) -> Tuple[str, Any]:
    return next(iter(statement.items())) if isinstance(statement, dict) and statement else (str(statement), None)


def _is_verdict(kind: str) -> bool:
    return kind in _VERDICTS or kind in ("jump", "goto")


def _rule(where: str, number: Any, conditions: Tuple[Condition, ...], verdict: Dict[str, Any]) -> Rule:
    ((kind, body),) = verdict.items()
    words = f"the rule with handle {number} ({kind})"
    if kind in ("jump", "goto"):
        return Rule(where, words, conditions, JUMP if kind == "jump" else GOTO, body["target"])
    return Rule(where, words, conditions, _VERDICTS.get(kind, UNSURE))


def _elements(body: Dict[str, Any], sets: Dict[str, Any]) -> Iterator[Tuple[List[Condition], Dict[str, Any]]]:
    data = body["data"]
    elements = sets.get(data[1:], []) if isinstance(data, str) else data["set"]
    for key, verdict in elements:
        yield _conditions({"op": "==", "left": body["key"], "right": _bare(key)}, sets), verdict


def _bare(element: Any) -> Any:
    """The value of an element that may have a comment, a counter or an end of its own."""
    return element["elem"]["val"] if isinstance(element, dict) and "elem" in element else element


def _conditions(match: Dict[str, Any], sets: Dict[str, Any]) -> List[Condition]:
    question = _question(match["left"])
    operator, right = match.get("op", "=="), match["right"]
    if question is None or (operator not in _COMPARED and not (operator == "!" and question.kind == "state")):
        return [UNKNOWN]
    if question.kind == "status":  # a set of bits: "==" compares them all
        question = _Question("state" if operator == "in" else "unknown")
    values = _values(question.kind, right, sets)
    if values is None:
        return [*question.beside, UNKNOWN]
    if question.kind == "direction":
        return [ALWAYS if ("original" in values) != _COMPARED.get(operator, True) else NEVER]
    return [*question.beside, Condition(question.kind, tuple(values), _COMPARED.get(operator, True))]


def _question(left: Any) -> Optional[_Question]:
    ((what, body),) = left.items() if isinstance(left, dict) and len(left) == 1 else (("", {}),)
    if what == "meta":
        kind = _META.get(body.get("key"))
        return _Question(kind) if kind else None
    if what == "ct":
        key = body.get("key")
        if key in ("state", "status"):
            return _Question(key)
        return _Question("direction") if key == "direction" else None
    return _in_packet(body.get("protocol"), body.get("field")) if what == "payload" else None


def _in_packet(protocol: Any, field: Any) -> Optional[_Question]:
    if protocol in ("ip", "ip6"):
        of_family = (Condition("family", (_FAMILIES[protocol],)),)
        if field in ("protocol", "nexthdr"):
            return _Question("protocol", of_family)
        return _Question(_ADDRESSES[field], of_family) if field in _ADDRESSES else None
    if field != "dport":
        return None
    return _Question("ports", () if protocol == "th" else (Condition("protocol", (protocol,)),))


def _values(kind: str, right: Any, sets: Dict[str, Any]) -> Optional[List[Any]]:
    """All that a match compares with, None if some of it isn't understood."""
    if isinstance(right, str) and right.startswith("@"):
        right = {"set": sets.get(right[1:])}
    several = right["set"] if isinstance(right, dict) and "set" in right else right
    if several is None:
        return None
    values = [_value(kind, _bare(one)) for one in (several if isinstance(several, list) else [several])]
    return None if None in values else values


def _value(kind: str, one: Any) -> Any:
    if kind in ("source", "destination"):
        return _addresses(one)
    if kind == "ports":
        ends = one["range"] if isinstance(one, dict) and "range" in one else [one, one]
        return tuple(ends) if all(isinstance(end, int) and 0 <= end <= _LAST_PORT for end in ends) else None
    if kind == "protocol":
        return _PROTOCOLS.get(one, one) if isinstance(one, (str, int)) else None
    if not isinstance(one, str):
        return None
    if kind == "family":
        return _FAMILIES.get(one)
    return one.upper() if kind == "state" else one


def _addresses(one: Any) -> Optional[Span]:
    if isinstance(one, dict) and "prefix" in one:
        return span(f"{one['prefix']['addr']}/{one['prefix']['len']}")
    if isinstance(one, dict) and "range" in one:
        first, last = (span(end) for end in one["range"])
        return (first[0], first[1], last[2]) if first and last else None
    return span(one) if isinstance(one, str) else None
