# SPDX-License-Identifier: GPL-3.0-or-later
"""Actions as netlink messages."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Callable, Dict, List, Optional, Sequence, Tuple

from ..plan import actions as act
from ..rtnetlink import addresses, links, routes
from ..rtnetlink.wire import Message


class Here(ABC):
    """The namespace that a message is for, with what others before it in the same batch make of its links."""

    @abstractmethod
    def index(self, name: str) -> int:
        """The index of a link where the executor is."""

    @abstractmethod
    def descriptor(self, netns: Optional[str]) -> Optional[int]:
        """An open namespace for a message that is about to go out; None for the one the executor is in."""

    @abstractmethod
    def forget(self, name: str) -> None:
        """The link is about to be made or deleted: its index is another from now on."""


def _bridge_add(here: Here, action: act.BridgeAdd) -> Message:
    here.forget(action.name)
    return links.add_bridge(action.name, action.mac, action.stp, action.vlan_filtering)


def _veth_add(here: Here, action: act.VethAdd) -> Message:
    master = here.index(action.bridge) if action.bridge else None  # may flush, and then nothing is in flux
    here.forget(action.name)
    here.forget(action.peer)
    peer_netns = here.descriptor(action.peer_netns)
    return links.add_veth(
        action.name, action.mac, action.mtu, action.peer, action.peer_mac, action.peer_mtu, peer_netns, master
    )


def _link_delete(here: Here, action: act.LinkDelete) -> Message:
    message = links.delete_link(here.index(action.name))
    here.forget(action.name)
    return message


def _link_change(here: Here, action: act.LinkChange) -> Message:
    master = None
    if action.bridge is not None:
        master = here.index(action.bridge) if action.bridge else 0
    index = here.index(action.name)
    return links.change_link(
        index, action.up, action.mac, action.mtu, master, action.alias, action.group, action.silent
    )


def _bridge_change(here: Here, action: act.BridgeChange) -> Message:
    return links.change_bridge(here.index(action.name), action.stp, action.vlan_filtering)


def _port_change(here: Here, action: act.PortChange) -> Message:
    return links.change_port(here.index(action.name), action.isolated, action.hairpin, action.state, action.flags)


def _address_add(here: Here, action: act.AddressAdd) -> Message:
    return addresses.add_address(here.index(action.link), action.address, action.unchecked)


def _address_renew(here: Here, action: act.AddressRenew) -> Message:
    return addresses.renew_address(here.index(action.link), action.address, action.lifetimes, action.flags)


def _address_delete(here: Here, action: act.AddressDelete) -> Message:
    return addresses.delete_address(here.index(action.link), action.address)


def _hops(here: Here, hops: Sequence[act.Hop]) -> List[Tuple[Optional[str], Optional[int], int]]:
    return [(via, here.index(dev) if dev else None, weight) for via, dev, weight in hops]


def _route_add(here: Here, action: act.RouteAdd) -> Message:
    dev = here.index(action.dev) if action.dev else None
    hops = _hops(here, action.nexthops)
    return routes.add_route(
        action.to,
        action.via,
        dev,
        action.metric,
        action.table,
        action.type,
        hops,
        action.protocol,
        action.prefsrc,
        action.scope,
    )


def _route_delete(here: Here, action: act.RouteDelete) -> Message:
    dev = here.index(action.dev) if action.dev else None
    hops = _hops(here, action.nexthops)
    return routes.delete_route(
        action.to, action.via, dev, action.metric, action.table, action.type, hops, action.protocol
    )


BUILDERS: Dict[type, Callable[..., Message]] = {
    act.BridgeAdd: _bridge_add,
    act.VethAdd: _veth_add,
    act.LinkDelete: _link_delete,
    act.LinkChange: _link_change,
    act.BridgeChange: _bridge_change,
    act.PortChange: _port_change,
    act.AddressAdd: _address_add,
    act.AddressRenew: _address_renew,
    act.AddressDelete: _address_delete,
    act.RouteAdd: _route_add,
    act.RouteDelete: _route_delete,
}
