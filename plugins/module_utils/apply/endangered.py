# SPDX-License-Identifier: GPL-3.0-or-later
"""The links that may lose what they hold when steps are done, or when these are undone. Pure."""

from __future__ import annotations

from typing import Iterable, List, NamedTuple, Optional, Set, Tuple

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


class Endangered(NamedTuple):
    """``links`` by name, and the namespaces that may lose all that their links hold."""

    links: Set[LinkKey]
    rooms: Set[Optional[str]]

    @property
    def places(self) -> Set[Optional[str]]:
        """The namespaces that any of it is in."""
        return {netns for netns, _name in self.links} | self.rooms

    def there(self, before: HostView) -> Set[LinkKey]:
        """Those that were there before, with the other ends of cables: these lose their carrier."""
        found = {(netns, name) for netns in self.rooms if netns in before.views for name in before.views[netns].links}
        found |= {key for key in self.links if key[0] in before.views and key[1] in before.views[key[0]].links}
        return found | {before.peers[key] for key in found if key in before.peers}


def endangered(steps: Iterable[Step]) -> Endangered:
    """By these steps or by what undoes them. What steps make themselves held nothing before."""
    links: Set[LinkKey] = set()
    rooms: Set[Optional[str]] = set()
    made: Set[LinkKey] = set()
    new: Set[Optional[str]] = set()
    for step in steps:
        action = step.action
        if isinstance(action, NetnsAdd):
            new.add(action.netns)
        elif isinstance(action, NetnsDelete):
            rooms.add(action.netns)
        elif isinstance(action, (BridgeAdd, TapAdd, VethAdd)):
            made.update(_made(action))
        else:
            for one in (action, *step.inverse):
                for netns, name in _threatened(one):
                    if netns not in new and (netns, name) not in made:
                        if name == _ALL:
                            rooms.add(netns)
                        else:
                            links.add((netns, name))
    return Endangered(links, rooms)


def _threatened(action: Action) -> List[Tuple[Optional[str], str]]:
    if isinstance(action, LinkChange):
        harmless = action.up is None and action.mac is None and action.mtu is None and action.bridge is None
        return [] if harmless else [(action.netns, action.name)]
    if isinstance(action, (AddressAdd, AddressDelete, AddressRenew)):
        return [(action.netns, action.link)]
    if isinstance(action, LinkDelete):
        return [(action.netns, action.name)]
    if isinstance(action, (BridgeAdd, TapAdd, VethAdd)):
        return _made(action)
    if isinstance(action, (UplinkAttach, UplinkDetach)):
        return [(action.netns, action.name), (action.netns, action.link)]
    if isinstance(action, SysctlSet) and action.path.endswith(DISABLE_IPV6):
        link = link_in(action.path)
        return [(action.netns, link)] if link not in ("", "default") else []
    return []


def _made(action: Action) -> List[LinkKey]:
    if isinstance(action, VethAdd):
        return [(action.netns, action.name), (action.peer_netns, action.peer)]
    return [(action.netns, action.name)] if isinstance(action, (BridgeAdd, TapAdd)) else []
