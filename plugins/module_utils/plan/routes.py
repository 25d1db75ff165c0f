# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes: ours carry a protocol number of their own; another's with our prefix and metric is a conflict (hazard 27)."""

from __future__ import annotations

from typing import Dict, Iterable, List, Optional, Tuple

from ..document.identity import RouteKey, route_key
from ..document.routes import DEFAULTS
from ..model import TABLE_MAIN, KernelRoute, NamespaceView, Route
from ..rtnetlink.constants import ROUTE_PROTOCOL, RTN_UNICAST
from ..rtnetlink.routes import TYPES, default_metric
from .actions import RouteAdd, RouteDelete
from .sheet import ROUTE, UNROUTE, Sheet, devices, is_our_route, place

_Index = Dict[Tuple[str, int, int], List[KernelRoute]]


def describe(route: Route) -> str:
    """A route as a plan's line names it."""
    words = ["default" if route.to in DEFAULTS else route.to]
    if route.to == "::/0" and route.via is None:
        words = ["default (IPv6)"]
    if route.type != "unicast":
        words.append(route.type)
    words += [f"via {route.via}"] if route.via else []
    words += [f"dev {route.dev}"] if route.dev else []
    for hop in route.nexthops:
        words.append("nexthop" + (f" via {hop.via}" if hop.via else "") + (f" dev {hop.dev}" if hop.dev else ""))
        words += [f"weight {hop.weight}"] if hop.weight != 1 else []
    words += [f"metric {route.metric}"] if route.metric is not None else []
    words += [f"table {route.table}"] if route.table != TABLE_MAIN else []
    return " ".join(words)


def plan_routes(sheet: Sheet, wanted: Iterable[Route]) -> None:
    """Add what is missing, exchange ours that lead elsewhere.

    Those without a gateway first, whatever the document's order: another one's gateway may be reached by them.
    """
    indexes: Dict[Optional[str], _Index] = {}
    for route in sorted(wanted, key=lambda one: one.via is not None or bool(one.nexthops)):
        key = netns, to, table, metric = route_key(route)
        namespace = sheet.namespace(netns)
        known = namespace is not None
        if namespace is not None:
            if netns not in indexes:
                indexes[netns] = _staying(sheet, namespace)
            here = indexes[netns].get((to, table, metric), [])
            if any(is_our_route(there) and agrees(sheet, namespace, route, there) for there in here):
                sheet.after.routes[key] = None
                continue
            if not _make_room(sheet, namespace, route, key, here):
                continue
        line = sheet.line(f"{place(netns)}: route {describe(route)}: add")
        add = _add(route, metric)
        sheet.do(ROUTE, line, add, *([_delete(add)] if known else []))
        sheet.after.routes[key] = None


def _staying(sheet: Sheet, namespace: NamespaceView) -> _Index:
    """The routes that outlast what the plan takes away, by prefix, table and metric."""
    doomed = {
        link.index
        for link in namespace.links.values()
        if any((namespace.netns, link.name) in group for group in (sheet.gone, sheet.falling, sheet.leaving))
    }
    index: _Index = {}
    for route in namespace.routes:
        if not (doomed and devices(route) & doomed):
            index.setdefault((route.to, route.table, route.metric), []).append(route)
    return index


def _make_room(sheet: Sheet, namespace: NamespaceView, route: Route, key: RouteKey, here: List[KernelRoute]) -> bool:
    """Take our old routes of this key away; False, and a conflict noted, if another's is in the way."""
    ours = key in sheet.owned.routes or (namespace.netns is not None and sheet.is_our_namespace(namespace.netns))
    for there in here:
        if not is_our_route(there) or not ours:
            owner = "another document" if is_our_route(there) else f"protocol {there.protocol}"
            sheet.conflicts.append(
                f"route {describe(route)} ({place(route.netns)}): there is one with the same prefix and metric already "
                f"that isn't ours ({owner}); give this one another metric or remove that one"
            )
            return False
    for there in here:
        _take(sheet, namespace, there, f"{place(route.netns)}: route {_kernel_words(sheet, namespace, there)}: remove")
    return True


def take_routes(sheet: Sheet, keys: Iterable[RouteKey]) -> None:
    """Delete routes of ours that the document no longer names, those through a gateway first; see plan_routes."""
    indexes: Dict[Optional[str], _Index] = {}
    going: List[Tuple[NamespaceView, KernelRoute]] = []
    for key in keys:
        netns, to, table, metric = key
        sheet.after.routes.pop(key, None)
        namespace = sheet.namespace(netns)
        if namespace is None:
            continue
        if netns not in indexes:
            indexes[netns] = _staying(sheet, namespace)
        for there in indexes[netns].get((to, table, metric), []):
            if is_our_route(there):
                going.append((namespace, there))
    for namespace, there in sorted(going, key=lambda one: one[1].via is None and not one[1].nexthops):
        words = f"{place(namespace.netns)}: route {_kernel_words(sheet, namespace, there)}: remove"
        _take(sheet, namespace, there, words)


def _take(sheet: Sheet, namespace: NamespaceView, route: KernelRoute, text: str) -> None:
    add = sheet.remake_route(namespace.netns, route)
    sheet.do(UNROUTE, sheet.line(text), _delete(add), add)


def _kernel_words(sheet: Sheet, namespace: NamespaceView, route: KernelRoute) -> str:
    names = sheet.names(namespace.netns)
    words = ["default" if route.to in DEFAULTS else route.to]
    words += [f"via {route.via}"] if route.via else []
    if route.dev and route.type == RTN_UNICAST:
        words.append(f"dev {names.get(route.dev, route.dev)}")
    words += [f"nexthop via {via}" for via, _dev, _weight in route.nexthops if via]
    words += [f"metric {route.metric}"] if route.metric != default_metric(route.to) else []
    words += [f"table {route.table}"] if route.table != TABLE_MAIN else []
    return " ".join(words)


def agrees(sheet: Sheet, namespace: NamespaceView, want: Route, have: KernelRoute) -> bool:
    """Whether a route of the kernel is the one that is wanted, whoever made it."""
    if TYPES[want.type] != have.type:
        return False
    if want.type != "unicast":
        return True
    if want.nexthops:
        links = namespace.links
        hops = {(hop.via, links[hop.dev].index if hop.dev in links else hop.dev, hop.weight) for hop in want.nexthops}
        there = set(have.nexthops)
        if len(hops) != len(there):
            return False
        return all(
            any(via == w and weight == x and (dev is None or dev == d) for w, d, x in there)
            for via, dev, weight in hops
        )
    if want.via != have.via or have.nexthops:
        return False
    if want.dev is None:
        return True
    link = sheet.link(want.netns, want.dev)
    return link is not None and link.index == have.dev


def _add(route: Route, metric: int) -> RouteAdd:
    hops = tuple((hop.via, hop.dev, hop.weight) for hop in route.nexthops)
    kind = TYPES[route.type]
    return RouteAdd(route.netns, route.to, route.via, route.dev, metric, route.table, kind, hops, ROUTE_PROTOCOL)


def _delete(add: RouteAdd) -> RouteDelete:
    return RouteDelete(*add[:9])
