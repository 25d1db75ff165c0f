# SPDX-License-Identifier: GPL-3.0-or-later
"""By which link a namespace sends what goes to an address. Pure."""

from __future__ import annotations

from typing import Dict, Iterator, NamedTuple, Optional, Tuple

from ..document.prefix import known_ip, known_prefix
from ..document.routes import DEFAULT
from ..model import TABLE_MAIN, KernelRoute, NamespaceView
from ..rtnetlink.constants import RTN_UNICAST

LOOPBACK = "lo"


class _Way(NamedTuple):
    """A route that holds the address; the longest prefix is taken, and of several the least metric."""

    length: int
    least: int
    link: Optional[str]


def way_to(view: NamespaceView, address: str) -> Optional[str]:
    """The name of the link towards ``address`` (without prefix length), by the main table.

    "lo" for an address of the namespace itself; None where no route leads there, or one that refuses.
    """
    ip = known_ip(address)
    names = {link.index: name for name, link in view.links.items()}
    ways = []
    for index, held in view.addresses.items():
        for entry in held:
            own = known_prefix(entry.address)
            if own.family != ip.family:
                continue
            if own.number == ip.number:
                return LOOPBACK
            network = known_prefix(f"{entry.peer}/{own.length}") if entry.peer else own
            name = names.get(index)
            if network.first <= ip.number <= network.last and name is not None and view.links[name].up:
                ways.append(_Way(network.length, 0, name))
    for route in view.routes:
        if route.table == TABLE_MAIN:
            to = known_prefix(route.to)
            if to.family == ip.family and to.first <= ip.number <= to.last:
                ways.append(_Way(to.length, -route.metric, _link(route, names)))
    return max(ways, key=lambda way: way[:2]).link if ways else None


def ways_out(view: NamespaceView, family: int) -> Tuple[str, ...]:
    """The links of the default routes of a family (4, 6), sorted."""
    names = {link.index: name for name, link in view.links.items()}
    found = {link for route in view.routes if route.to == DEFAULT[family] for link in _links(route, names)}
    return tuple(sorted(found))


def _link(route: KernelRoute, names: Dict[int, str]) -> Optional[str]:
    return next(_links(route, names), None)


def _links(route: KernelRoute, names: Dict[int, str]) -> Iterator[str]:
    if route.type == RTN_UNICAST:
        for index in (route.dev, *(dev for _via, dev, _weight in route.nexthops)):
            if index is not None and index in names:
                yield names[index]
