# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What passes from one network to another: who has it gives it up before the other takes it.

Networks are documents of their own, applied one after the other. A guest whose ``eth0`` leads elsewhere from now on, a
default route, a subnet, an uplink or a published port would otherwise still be in the way of the one that comes first.
"""

from __future__ import annotations

import contextlib
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Set, Tuple

# The check that every plugin can be imported has no netaddr; setup.read says so where it is missing.
with contextlib.suppress(ImportError):
    import netaddr

Document = Mapping[str, Any]
Claim = Tuple[Any, ...]  # what it is, the namespace, and what it is called there
_DEFAULTS = {"default": "0.0.0.0/0"}


def handovers(networks: Sequence[Document], there: Mapping[str, Document]) -> List[Dict[str, Any]]:
    """The documents to apply before those of ``networks``, which come in this order; ``there`` is what the host has."""
    found: List[Dict[str, Any]] = []
    claimed: Set[Claim] = set()
    subnets: List[Any] = []
    for document in networks:
        before = there.get(document["name"])
        if before is not None:
            taken = claimed & _claims(before)
            anew = _moves(before, document) or any(claim[0] == "uplink" for claim in taken)
            if anew or any(
                one.first <= other.last and other.first <= one.last for one in _subnets(before) for other in subnets
            ):
                found.append({"name": document["name"], "state": "absent"})
            elif taken:
                found.append(_without(before, taken))
        claimed |= _claims(document)
        subnets += _subnets(document)
    return found


def _moves(before: Document, after: Document) -> bool:
    """Whether a switch gets another uplink, which it has to let go first."""
    old, new = ({bridge.get("uplink") for bridge in one.get("bridges") or ()} - {None} for one in (before, after))
    return bool(old and new and old != new)


def _claims(document: Document) -> Set[Claim]:
    """What one document can have at a time."""
    found: Set[Claim] = {("link", *end) for veth in document.get("veths") or () for end in _ends(veth)}
    found |= {("link", f"container:{entry['container']}", entry["name"]) for entry in document.get("containers") or ()}
    found |= {("link", tap.get("netns"), tap["name"]) for tap in document.get("taps") or ()}
    found |= {_route(route) for route in document.get("routes") or ()}
    found |= {port for entry in document.get("published_ports") or () for port in _ports(entry)}
    found |= {("uplink", bridge["uplink"]) for bridge in document.get("bridges") or () if bridge.get("uplink")}
    return found


def _ends(veth: Document) -> Tuple[Tuple[Optional[str], str], ...]:
    return tuple((end.get("netns"), end["name"]) for end in (veth, veth["peer"]))


def _names(value: Any) -> Tuple[str, ...]:
    """A field that takes one name or a list of names."""
    return (value,) if isinstance(value, str) else tuple(value or ())


def _route(route: Document) -> Claim:
    return "route", route.get("netns"), _DEFAULTS.get(route["to"], route["to"])


def _ports(entry: Document) -> Iterator[Claim]:
    first, _dash, last = str(entry["port"]).partition("-")
    for number in range(int(first), int(last or first) + 1):
        yield "port", entry.get("netns"), entry.get("protocol", "tcp"), number


def _subnets(document: Document) -> List[Any]:
    """Those that the host itself has addresses of."""
    bridges = [bridge for bridge in document.get("bridges") or () if bridge.get("netns") is None]
    addresses = [address for bridge in bridges for address in bridge.get("addresses") or ()]
    return [netaddr.IPNetwork(address) for address in addresses]  # type: ignore[no-untyped-call]


def _without(document: Document, taken: Set[Claim]) -> Dict[str, Any]:
    """The document but for what is taken, and for what can't be without that."""
    rooms = {claim[1] for claim in taken if claim[0] == "link" and claim[1] is not None}
    veths = list(document.get("veths") or ())
    unplugged = {end for veth in veths for end in _ends(veth) if rooms & {netns for netns, dummy in _ends(veth)}}
    kept = {
        "veths": [veth for veth in veths if not unplugged.intersection(_ends(veth))],
        "containers": [e for e in document.get("containers") or () if f"container:{e['container']}" not in rooms],
        "taps": [t for t in document.get("taps") or () if ("link", t.get("netns"), t["name"]) not in taken],
        "routes": [r for r in document.get("routes") or () if r.get("netns") not in rooms and _route(r) not in taken],
        # Of a router in mode nat that has no guest behind it.
        "masquerade": [
            m
            for m in document.get("masquerade") or ()
            if unplugged.isdisjoint((m.get("netns"), name) for name in _names(m.get("except_to")))
        ],
        "published_ports": [p for p in document.get("published_ports") or () if not taken.intersection(_ports(p))],
    }
    return {**document, **kept}
