# SPDX-License-Identifier: GPL-3.0-or-later
"""Wanted subnets against those that a namespace has already: addresses and routes of others (hazard 25)."""

from __future__ import annotations

from typing import Dict, List, Optional, Tuple

from ..document.links import Placed, PrefixTable
from ..document.prefix import Prefix, is_link_local, is_loopback, is_multicast
from ..document.rules import makes_no_subnet
from ..rows import NamedTuple

# A route this short stands for everything: the default, its two halves (0.0.0.0/1), all that is assigned (2000::/3).
_LENGTH_OF_EVERYTHING = {4: 1, 6: 3}


class ForeignAddress(NamedTuple):
    """An address that isn't ours; ``network`` is what it connects, the peer's on a point-to-point link.

    Not one that is on every link.
    """

    link: str
    own: Prefix
    network: Prefix


class ForeignRoute(NamedTuple):
    """A route that isn't ours, through ``link`` (None: several)."""

    to: Prefix
    via: Optional[str]
    link: Optional[str]


class _Taken(NamedTuple):
    """A network that is there, on which link, and how to say it."""

    prefix: Prefix
    link: Optional[str]
    words: str


def overlap_problems(
    wanted: List[Placed], addresses: List[ForeignAddress], routes: List[ForeignRoute], place: str
) -> List[str]:
    """At most one line per wanted address of one namespace; ``place`` names that in messages."""
    there = {(address.link, address.own.text) for address in addresses}
    new = [
        placed
        for placed in wanted
        if (placed.link.name, placed.prefix.text) not in there and not on_every_link(placed.prefix)
    ]
    found: Dict[str, str] = {}
    by_ip: Dict[Tuple[int, int], ForeignAddress] = {address.own[:2]: address for address in addresses}
    for placed in new:
        same = by_ip.get(placed.prefix[:2])
        if same is not None:
            found[placed.path] = _same_ip(placed, same, place)
    subnets = [placed for placed in new if not makes_no_subnet(placed.link.name, placed.prefix)]
    for placed, taken in _collisions(subnets, _taken(addresses, routes)):
        found.setdefault(placed.path, f"{placed.prefix.text} overlaps {taken.words} {place} already")
    return [f"{placed.path}: {found[placed.path]}" for placed in new if placed.path in found]


def on_every_link(prefix: Prefix) -> bool:
    """Whether the address means another thing on each link or namespace, so that it is never in the way of another."""
    return is_link_local(prefix.family, prefix.number) or is_loopback(prefix.family, prefix.number)


def _same_ip(placed: Placed, same: ForeignAddress, place: str) -> str:
    """An address that is there already, on another link or with another prefix length."""
    if same.link != placed.link.name:
        return f"{placed.prefix.ip} is there already {place}: {same.link} has {same.own.text}"
    return (
        f"{same.link} has {same.own.text} already; the same address with another prefix length would be a second one: "
        f"say {same.own.text}, or remove that first"
    )


def _taken(addresses: List[ForeignAddress], routes: List[ForeignRoute]) -> List[_Taken]:
    """The networks that are in the way, addresses first: they say more than the route that comes with each."""
    found = [
        _Taken(address.network, address.link, f"{address.own.text}, which {address.link} has")
        for address in addresses
        if not makes_no_subnet(address.link, address.network)
    ]
    for route in routes:
        to = route.to
        if to.length <= _LENGTH_OF_EVERYTHING[to.family] or on_every_link(to) or is_multicast(to.family, to.number):
            continue
        how = " ".join(word for word in (route.via and f"via {route.via}", route.link and f"dev {route.link}") if word)
        found.append(_Taken(to, route.link, f"the route to {to.text}{' ' if how else ''}{how}, which is"))
    return found


def _collisions(wanted: List[Placed], taken: List[_Taken]) -> List[Tuple[Placed, _Taken]]:
    """Every wanted subnet with what it lies in, and every wanted subnet with what lies in it."""
    found: List[Tuple[Placed, _Taken]] = []
    above: PrefixTable[_Taken] = PrefixTable()
    for other in taken:
        above.add(other.prefix, other)
    below: PrefixTable[Placed] = PrefixTable()
    for placed in wanted:
        prefix = placed.prefix
        below.add(prefix, placed)
        found += [(placed, other) for other in above.covering(prefix.family, prefix.number, prefix.length)]
    for other in taken:
        prefix = other.prefix
        found += [(placed, other) for placed in below.covering(prefix.family, prefix.number, prefix.length)]
    return [(placed, other) for placed, other in found if other.link != placed.link.name]
