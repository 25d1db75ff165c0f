# SPDX-License-Identifier: GPL-3.0-or-later
"""Policy rules of somebody else's that take a document's packets away before the main table is asked. Pure.

Only what is certain counts: a rule for marked packets, for a user's or for some ports may be for others' packets, and
one that leads to a table may find nothing there.
"""

from __future__ import annotations

from typing import Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple

from ..document.prefix import known_prefix
from ..document.routes import DEFAULTS
from ..firewall.want import overlap, within
from ..model import TABLE_MAIN, HostView, KernelRoute, NamespaceView, PolicyRule, Topology
from ..rtnetlink import constants as nl
from ..visible import visible
from .misled import networks_of
from .sheet import place

_TAKEN = {nl.FR_ACT_BLACKHOLE: "blackhole", nl.FR_ACT_UNREACHABLE: "unreachable", nl.FR_ACT_PROHIBIT: "prohibit"}
_KERNELS = {nl.RT_TABLE_LOCAL: "local", TABLE_MAIN: "main"}
_THROW = 9  # RTN_THROW, linux/rtnetlink.h: look on in the next table
_SHOWN = 3  # of what one rule takes; the rest is counted


class _Trust(NamedTuple):
    """What a document rests on in one namespace, in one family: ``networks`` that it reaches or where its guests live,
    ``sources`` of those that are led on, ``default``: whether it has a default route there."""

    networks: Tuple[str, ...]
    sources: Tuple[str, ...]
    default: bool


def policy_warnings(topology: Topology, view: HostView) -> List[str]:
    """A line for each rule of others that takes packets which the document is to lead somewhere."""
    return [
        line
        for room in view.views.values()
        if room.rules is not None
        for family in (4, 6)
        for line in _in_room(topology, room, room.rules, family)
    ]


def _in_room(topology: Topology, room: NamespaceView, rules: Sequence[PolicyRule], family: int) -> Iterator[str]:
    mine = [rule for rule in rules if rule.family == family]
    trust = _trust(topology, room.netns, family)
    if not mine or not (trust.networks or trust.default):
        return
    where, name = place(room.netns), f"IPv{family}"
    for table, called in _KERNELS.items():
        if not any(_leads_all(rule, table) for rule in mine):
            yield (
                f"{where}: no policy rule leads {name} packets to the table {called}: the document's addresses and"
                f" routes there aren't asked; make it again (ip -{family} rule add"
                f" priority {'0' if table == nl.RT_TABLE_LOCAL else '32766'} table {called})"
            )
            return
    own = {route.table for route in topology.routes if route.netns == room.netns}
    tables: Dict[int, List[KernelRoute]] = {}
    for route in (*room.routes, *room.beyond):
        tables.setdefault(route.table, []).append(route)
    for rule in sorted(mine, key=lambda one: one.priority):
        if _leads_all(rule, TABLE_MAIN):
            return
        if rule.action == nl.FR_ACT_TO_TBL and rule.table == TABLE_MAIN and rule.suppressed is not None:
            trust = trust._replace(networks=())  # what main has of these comes first
        taken = [] if rule.table in own else _taken(rule, trust, tables.get(rule.table, ()), family)
        if taken:
            more = f" and {len(taken) - _SHOWN} more" if len(taken) > _SHOWN else ""
            yield (
                f"{where}: the policy rule {rule.priority} of {name} ({_words(rule)}), which isn't ours, takes packets"
                f" {', '.join(taken[:_SHOWN])}{more} before the document's routes are asked; delete it (ip -{family}"
                f" rule del priority {rule.priority}), or let it be for others"
            )


def _leads_all(rule: PolicyRule, table: int) -> bool:
    """Whether this rule has every packet looked for in that table, as the kernel's own does."""
    return rule == PolicyRule(rule.family, rule.priority, table=table)


def _trust(topology: Topology, netns: Optional[str], family: int) -> _Trust:
    networks = [one for one in networks_of(topology, netns) if known_prefix(one).family == family]
    routes = [route.to for route in topology.routes if route.netns == netns and route.table == TABLE_MAIN]
    there = [to for to in routes if known_prefix(to).family == family]
    sources = [entry.source for entry in topology.masquerade if entry.netns == netns]
    return _Trust(
        tuple(dict.fromkeys([*networks, *(to for to in there if to not in DEFAULTS)])),
        tuple(dict.fromkeys([*networks, *(one for one in sources if known_prefix(one).family == family)])),
        any(to in DEFAULTS for to in there),
    )


def _taken(rule: PolicyRule, trust: _Trust, routes: Iterable[KernelRoute], family: int) -> List[str]:
    """What a rule surely takes, in words."""
    if rule.partly or rule.oif is not None or rule.iif is not None:
        return []
    if rule.inverted:
        if not rule.mark or rule.source or rule.destination:
            return []
    elif rule.mark:
        return []
    if rule.source is not None and not any(overlap(rule.source, source) for source in trust.sources):
        return []
    if rule.action in _TAKEN:
        return _named(rule, trust, {rule.destination})
    if rule.action != nl.FR_ACT_TO_TBL or rule.table in _KERNELS:
        return []
    ways = {route.to for route in routes if (":" in route.to) == (family == 6) and not _is_passed_over(rule, route)}
    if rule.destination is not None:
        inner = {to for to in ways if within(to, rule.destination)}
        ways = inner | {rule.destination for to in ways if within(rule.destination, to)}
    return _named(rule, trust, set(ways))


def _is_passed_over(rule: PolicyRule, route: KernelRoute) -> bool:
    return route.type == _THROW or (rule.suppressed is not None and int(route.to.partition("/")[2]) <= rule.suppressed)


def _named(rule: PolicyRule, trust: _Trust, ways: Set[Optional[str]]) -> List[str]:
    """Which packets are surely taken that go to one of ``ways``; None is everywhere."""
    everywhere = None in ways or any(to in DEFAULTS for to in ways)
    to = [f"to {one}" for one in trust.networks if everywhere or any(way and overlap(way, one) for way in ways)]
    if rule.source is not None and (everywhere or to):
        return [f"from {rule.source}"]
    if everywhere and trust.default:
        return [*to, "that the default route is for"]
    return to


def _words(rule: PolicyRule) -> str:
    words = [f"{'not ' if rule.inverted else ''}from {rule.source or 'all'}"]
    words += [f"to {rule.destination}"] if rule.destination else []
    words += [f"iif {visible(rule.iif)}"] if rule.iif else []
    words += [f"fwmark {rule.mark:#x}"] if rule.mark else []
    words.append(_TAKEN.get(rule.action) or f"lookup {rule.table}")
    return " ".join(words)
