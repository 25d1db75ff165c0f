# SPDX-License-Identifier: GPL-3.0-or-later
"""The links that may lose what they hold when steps are done, or when these are undone. Pure."""

from __future__ import annotations

from typing import Dict, FrozenSet, Iterable, List, NamedTuple, Optional, Set, Tuple

from ..model import HostView, LinkKey
from ..plan.actions import (
    Action,
    AddressAdd,
    AddressDelete,
    AddressRenew,
    BridgeAdd,
    LinkChange,
    LinkDelete,
    NetnsAdd,
    NetnsDelete,
    Step,
    SysctlSet,
    TapAdd,
    UplinkAttach,
    UplinkDetach,
    VethAdd,
)
from ..plan.hands import DISABLE_IPV6
from ..plan.settings import link_in

_ALL = "all"  # links of a namespace
_LEAST_IPV4 = 68  # IPV4_MIN_MTU, net/ip.h: with less a link has no IPv4

Families = FrozenSet[int]  # 4, 6: of which a link may lose what it holds
BOTH = frozenset((4, 6))
_IPV4, _IPV6 = frozenset((4,)), frozenset((6,))
Lost = Dict[Optional[str], Dict[int, Set[str]]]  # by namespace and family, links


class Endangered(NamedTuple):
    """Links by name, and namespaces of which each link may lose what it holds.

    ``taking``: the steps that delete links and namespaces; ``others``: the links, and rooms, that other steps threaten.
    """

    links: Dict[LinkKey, Families]
    rooms: Dict[Optional[str], Families]
    taking: List[Step]
    others: Set[LinkKey]

    @property
    def places(self) -> Set[Optional[str]]:
        """The namespaces that any of it is in."""
        return {netns for netns, _name in self.links}.union(self.rooms)

    def there(self, before: HostView) -> Lost:
        """Those that were there before, with the other ends of cables in these namespaces: they lose their carrier."""
        places = self.places
        found: Lost = {netns: {} for netns in places if netns in before.views}
        threatened = [*self.links.items()]
        threatened += [((netns, name), families) for netns, families in self.rooms.items() if netns in found
                       for name in before.views[netns].links]  # fmt: skip
        for (netns, name), families in threatened:
            if netns in found and name in before.views[netns].links:
                peer = before.peers.get((netns, name)) if families == BOTH else None
                for family in families:
                    found[netns].setdefault(family, set()).add(name)
                    if peer is not None and peer[0] in found:
                        found[peer[0]].setdefault(family, set()).add(peer[1])
        return found


def endangered(steps: Iterable[Step]) -> Endangered:
    """By these steps or by what undoes them. What steps make themselves held nothing before."""
    links: Dict[LinkKey, Families] = {}
    rooms: Dict[Optional[str], Families] = {}
    taking: List[Step] = []
    others: Set[LinkKey] = set()
    made: Set[LinkKey] = set()
    new: Set[Optional[str]] = set()
    for step in steps:
        action = step.action
        if isinstance(action, NetnsAdd):
            new.add(action.netns)
        elif isinstance(action, NetnsDelete):
            rooms[action.netns] = BOTH
            taking.append(step)
        elif isinstance(action, (BridgeAdd, TapAdd, VethAdd)):
            made.update(_made(action))
        else:
            takes = isinstance(action, LinkDelete)
            again: Set[LinkKey] = set()  # that the step's undoing makes
            if isinstance(action, LinkDelete):
                taking.append(step)
                again.add((action.netns, action.name))
            for one in (action, *step.inverse):
                families, keys = _threatened(one)
                if takes and isinstance(one, (BridgeAdd, TapAdd, VethAdd)):
                    again.update(keys)
                for key in keys:
                    if key not in again and not (takes and isinstance(one, LinkChange) and _only_plugs(one)):
                        others.add(key)
                    if key[0] not in new and key not in made:
                        if key[1] == _ALL:
                            rooms[key[0]] = families | rooms.get(key[0], families)
                        else:
                            links[key] = families | links.get(key, families)
    return Endangered(links, rooms, taking, others)


def _only_plugs(action: LinkChange) -> bool:
    """Whether the link only becomes a port again, and holds what it holds."""
    return action.up is None and action.mac is None and action.mtu is None


def _threatened(action: Action) -> Tuple[Families, List[LinkKey]]:
    """An address takes nothing of the other family along; who loses IPv6 keeps IPv4."""
    if isinstance(action, (AddressAdd, AddressDelete, AddressRenew)):
        return _IPV6 if ":" in action.address else _IPV4, [(action.netns, action.link)]
    if isinstance(action, LinkChange):
        key = (action.netns, action.name)
        if action.up is None and action.mac is None and action.bridge is None:
            narrow = _IPV6 if (action.mtu or 0) >= _LEAST_IPV4 else BOTH
            return (narrow, [key]) if action.mtu is not None else (BOTH, [])
        return BOTH, [key]
    if isinstance(action, LinkDelete):
        return BOTH, [(action.netns, action.name)]
    if isinstance(action, (BridgeAdd, TapAdd, VethAdd)):
        return BOTH, _made(action)
    if isinstance(action, (UplinkAttach, UplinkDetach)):
        return BOTH, [(action.netns, action.name), (action.netns, action.link)]
    if isinstance(action, SysctlSet) and action.path.endswith(DISABLE_IPV6):
        link = link_in(action.path)
        return _IPV6, [(action.netns, link)] if link not in ("", "default") else []
    return BOTH, []


def _made(action: Action) -> List[LinkKey]:
    if isinstance(action, VethAdd):
        return [(action.netns, action.name), (action.peer_netns, action.peer)]
    return [(action.netns, action.name)] if isinstance(action, (BridgeAdd, TapAdd)) else []
