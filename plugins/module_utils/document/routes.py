# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the routes of a document."""

from __future__ import annotations

from typing import List, NamedTuple, Optional, Tuple

from ..model import TABLE_MAIN, Nexthop, Route
from ..suggestion import suggestion
from .fields import EXCEPT_LO, Fields, join, open_mapping, shown
from .prefix import is_link_local, is_loopback, why_not_a_host

TYPES = ("unicast", "blackhole", "unreachable", "prohibit")
NEXTHOP_KEYS = frozenset(("via", "dev", "weight"))
# linux/rtnetlink.h, RT_TABLE_*; "local" (255) is the kernel's own.
TABLES = {"main": TABLE_MAIN, "default": 253}
TABLE_LOCAL = 255
TABLE_HIGHEST = 2**32 - 1  # RTA_TABLE is 32 bits
METRIC_HIGHEST = 2**32 - 1
DEFAULT_METRIC = {4: 0, 6: 1024}  # IP6_RT_PRIO_USER, linux/ipv6_route.h
WEIGHT_HIGHEST = 256  # rtnh_hops is one byte and counts from 0
DEFAULT = {4: "0.0.0.0/0", 6: "::/0"}
DEFAULTS = tuple(DEFAULT.values())
_EVERYWHERE = ("any", "all", "0.0.0.0", "::", "0/0")  # as other programs have it
# What an entry with state absent doesn't say; no route is so.
EITHER_DEFAULT = "default"  # of both families
TABLE_ANY = 0  # RT_TABLE_UNSPEC


def route(fields: Fields, absent: bool) -> Optional[Route]:
    """One entry of ``routes``; None if something is wrong with it.

    With ``absent`` it means all that fit it: without a metric those of each, without a table those in each, and without
    a gateway ``default`` in both families.
    """
    before = len(fields.problems)
    netns = fields.room()
    kind = fields.choice("type", TYPES, "unicast")
    ways = _ways(fields)
    families = [way.family for way in ways if way.family]
    destination = _destination(fields, families[0] if families else 4)
    metric = fields.integer("metric", 0, METRIC_HIGHEST)
    table = _table(fields)
    if len(fields.problems) > before or destination is None:
        return None
    family, to = destination
    for way in ways:
        if way.family and way.family != family:
            way.fields.problem("via", f"{way.hop.via} is an IPv{way.family} gateway and the route is IPv{family}")
        if len(ways) > 1 and family == 6 and not way.family:
            way.fields.problem("via", "is missing; of several next hops of an IPv6 route each needs its gateway")
    if kind != "unicast" and ways:
        fields.problem("type", f"a route of type {kind} leads nowhere; leave via, dev and nexthops out")
    if kind == "unicast" and not ways and not absent:
        fields.problem("via", "is missing; say the gateway's address, or dev for a route without one")
    if len(fields.problems) > before:
        return None
    if metric in (0, DEFAULT_METRIC[family]):  # IPv6 takes 0 for its default too
        metric = DEFAULT_METRIC[family] if absent else None
    if absent:
        table = table if fields.values.get("table") is not None else TABLE_ANY
        to = EITHER_DEFAULT if fields.values.get("to") == EITHER_DEFAULT and not families else to
    via, dev = (ways[0].hop.via, ways[0].hop.dev) if len(ways) == 1 else (None, None)
    return Route(netns, to, via, dev, metric, table, kind, tuple(way.hop for way in ways) if len(ways) > 1 else ())


class _Way(NamedTuple):
    """A next hop, the fields that it was read from, and the family of its gateway."""

    fields: Fields
    hop: Nexthop
    family: Optional[int]


def _ways(fields: Fields) -> List[_Way]:
    """The one next hop of via and dev, or those of nexthops."""
    nexthops = fields.values.get("nexthops")
    if nexthops is None or nexthops == []:
        way = _way(fields, 1)
        return [way] if way else []
    for key in ("via", "dev"):
        if fields.values.get(key) is not None:
            fields.problem(key, "is there beside nexthops; say it in one of them")
    found: List[_Way] = []
    for key, entry in fields.items("nexthops", "[{via: 192.168.15.5, weight: 1}]"):
        inner = open_mapping(entry, join(fields.path, key), NEXTHOP_KEYS, fields.problems)
        if inner is None:
            continue
        before = len(fields.problems)
        way = _way(inner, inner.integer("weight", 1, WEIGHT_HIGHEST) or 1)
        if way is None:
            if len(fields.problems) == before:
                inner.problem("via", "is missing; say the gateway's address, or dev for a next hop without one")
        elif any(way.hop[:2] == other.hop[:2] for other in found):
            fields.problem(key, "is there twice; give one of them more weight instead")
        else:
            found.append(way)
    return found


def _way(fields: Fields, weight: int) -> Optional[_Way]:
    """The next hop that via and dev tell; None if they aren't there."""
    via, dev = fields.ip("via"), fields.interface("dev", EXCEPT_LO)
    if via is None:
        return _Way(fields, Nexthop(None, dev, weight), None) if dev else None
    reason = why_not_a_host(via.family, via.number)
    if is_loopback(via.family, via.number):
        reason = "is a loopback address"
    if reason:
        fields.problem("via", f"{via.text} {reason}; no gateway can have it")
    elif is_link_local(via.family, via.number) and fields.values.get("dev") is None:
        fields.problem("via", f"{via.text} is a link-local address; say with dev which link it is on")
    return _Way(fields, Nexthop(via.text, dev, weight), via.family)


def _destination(fields: Fields, default_family: int) -> Optional[Tuple[int, str]]:
    """The family and prefix that the route leads to; ``default`` is of the gateway's family."""
    if fields.values.get("to") is None:
        fields.missing("to", "where the route leads, like 192.168.2.0/24 or default")
        return None
    text = fields.text("to", "where the route leads, like 192.168.2.0/24 or default")
    if text == "default":
        return default_family, DEFAULT[default_family]
    if text in _EVERYWHERE:
        fields.problem("to", f"{shown(text)} is no destination; say default for what no other route has")
        return None
    prefix = fields.network("to", text, "192.168.2.0/24 or default") if text else None
    return (prefix.family, prefix.text) if prefix else None


def _table(fields: Fields) -> int:
    """The number of the routing table."""
    value = fields.values.get("table")
    if isinstance(value, str) and not value.isdigit():
        if value in TABLES:
            return TABLES[value]
        fields.problem("table", f"{shown(value)} is no table; say main, default or a number{suggestion(value, TABLES)}")
        return TABLE_MAIN
    number = fields.integer("table", 1, TABLE_HIGHEST)
    if number == TABLE_LOCAL:
        fields.problem("table", "255 is the table local, which is the kernel's own; say another")
    return number or TABLE_MAIN
