# SPDX-License-Identifier: GPL-3.0-or-later
"""What is on one wire: the interfaces on a switch, on switches that a cable joins, or at the two ends of a cable."""

from __future__ import annotations

from typing import Dict, Iterator, List, NamedTuple, Optional, Tuple

from .links import BRIDGE, CABLE, Placed, WantedLink, placed_addresses
from .prefix import is_link_local


class _Wire(NamedTuple):
    """A switch, by its namespace and name, or a cable without one, by its path."""

    kind: str
    netns: Optional[str]
    name: str

    def __str__(self) -> str:
        return f"switch {self.name}" if self.kind == BRIDGE else "cable"


def addresses_on_switches(links: List[WantedLink]) -> Iterator[str]:
    """One line for each address that is there already on the same wire, in another namespace.

    Twice in one namespace is a rule of its own, save for link-local addresses, which only a wire sets apart.
    """
    joined: Dict[_Wire, _Wire] = {}
    first: Dict[Tuple[_Wire, int, int], Placed] = {}
    for wire, link in _on_wires(links, joined):
        segment = _segment(wire, joined)
        for placed in placed_addresses((link,)):
            other = first.setdefault((segment, *placed.prefix[:2]), placed)
            if other is not placed and (
                other.link.netns != link.netns or is_link_local(placed.prefix.family, placed.prefix.number)
            ):
                yield f"{placed.path}: {placed.prefix.ip} is there already on the same {wire}, in {other.path}"


def _on_wires(links: List[WantedLink], joined: Dict[_Wire, _Wire]) -> List[Tuple[_Wire, WantedLink]]:
    """Each interface with the wire that its packets go out on; ``joined`` learns which switches are one."""
    found = [(_Wire(BRIDGE, link.netns, link.name), link) for link in links if link.kind == BRIDGE]
    ends = [link for link in links if link.kind == CABLE]
    for a, b in zip(ends[::2], ends[1::2]):
        at_a = _Wire(BRIDGE, a.netns, a.bridge) if a.bridge else None
        at_b = _Wire(BRIDGE, b.netns, b.bridge) if b.bridge else None
        if at_a and at_b:
            one, other = _segment(at_a, joined), _segment(at_b, joined)
            if one != other:
                joined[other] = one
        elif at_a:
            found.append((at_a, b))
        elif at_b:
            found.append((at_b, a))
        else:
            cable = _Wire(CABLE, None, a.path)
            found += [(cable, a), (cable, b)]
    return found


def _segment(wire: _Wire, joined: Dict[_Wire, _Wire]) -> _Wire:
    """The wire that stands for all that are joined with this one."""
    while wire in joined:
        above = joined[wire]
        joined[wire] = above = joined.get(above, above)  # halves the way for the next who asks
        wire = above
    return wire
