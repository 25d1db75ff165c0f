# SPDX-License-Identifier: GPL-3.0-or-later
"""The sheet that a plan is drawn up on: lines for people, steps for the machine, conflicts, and what will be owned."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import Dict, FrozenSet, Iterable, List, Optional, Sequence, Set, Tuple, Union

from .. import sysctl
from ..model import (
    CONTAINER,
    TABLE_MAIN,
    Baggage,
    Bridge,
    End,
    HostView,
    KernelRoute,
    Link,
    LinkKey,
    NamespaceView,
    Tap,
    Topology,
)
from ..rtnetlink.constants import ROUTE_PROTOCOL, RT_SCOPE_LINK, RTN_UNICAST, RTPROT_KERNEL, RTPROT_RA
from ..rtnetlink.links import PORT_FLAGS
from .actions import (
    Action,
    AddressAdd,
    BridgeAdd,
    Hop,
    LinkChange,
    LinkDelete,
    PortChange,
    RouteAdd,
    Step,
    SysctlSet,
    TapAdd,
    VethAdd,
)
from .owned import UNKNOWN, Owned, SysctlKey, copy, owner_of

USUAL = {name: usual for name, _number, usual in PORT_FLAGS}  # of a new port of a bridge

_FEW = 16  # routes that are looked through rather than listed
BY_HAND = (0, 3, 4)  # RTPROT_UNSPEC, RTPROT_BOOT, RTPROT_STATIC, linux/rtnetlink.h

# The order of work. Tens order everything; within ten the work of one namespace stays together.
CLOSE = 0  # forwarding off, before what protected goes
DETACH = 5  # what a bridge does for an interface goes back to that, before the bridge goes
TAKE_LINKS = 10
TAKE_NAMESPACES = 20
MAKE_NAMESPACES = 30
MAKE_LINKS = 40
GROUP = 50  # of links, which rules tell ours by: so before the rules, as far as it closes
PROTECT = 52  # firewall rules, before anything opens
UNGROUP = 55  # as far as it opens
LEAVE = 65  # IPv6 addresses that another link gets, or the same one with another prefix length
BEFORE_UP = 70  # settings that a link must have before it hears the first packet
LINK = 71
ADDRESS = 72
UNROUTE = 73
UNADDRESS = 74  # behind ADDRESS: a link that loses its last address loses its routes (hazard 26)
ATTACH = 75  # a bridge takes over an interface's work; routes of the document may need that
ROUTE = 76
OPEN = 80  # forwarding on
SYSCTL = 81  # behind it: toggling forwarding rewrites other settings (hazard 30)
FILES = 90
UNPROTECT = 95


def place(netns: Optional[str]) -> str:
    """A namespace as a plan's line names it."""
    if netns is not None and netns.startswith(CONTAINER):
        return f"container {netns[len(CONTAINER) :]}"
    return "host" if netns is None else netns


def port_again(netns: Optional[str], link: Link) -> List[Action]:
    """What a port is to be told once more when it has left its bridge and come back."""
    lost = (link.isolated or None, link.hairpin or None)
    return [PortChange(netns, link.name, *lost, flags=odd_flags(link))] if any(lost) or link.odd else []


def odd_flags(link: Link, usual: bool = False) -> Tuple[Tuple[str, bool], ...]:
    """The flags of a port that aren't as on a new one: as they are, or with ``usual`` as they would be there."""
    return tuple((name, USUAL[name] == usual) for name in link.odd)


class Sheet:
    """One plan being drawn up. ``owned`` is what was owned before, ``after`` what will be.

    ``machine`` is some text that no other host has, to derive MAC addresses from.
    """

    def __init__(self, view: HostView, owned: Owned, machine: str) -> None:
        self.view = view
        self.owned = owned
        self.machine = machine
        self.previous = Topology()  # the document as it was
        self.remembered = True  # the document as it was is known, and all that was made since
        self.certain = True  # what is owned is remembered, not told by marks
        self.after = copy(owned)
        self.lines: List[str] = []
        self.steps: List[Step] = []
        self.conflicts: List[str] = []
        self.gone: Set[LinkKey] = set()
        self.made: Set[LinkKey] = set()
        self._names: Dict[Optional[str], Dict[int, str]] = {}
        self._connected: Dict[Optional[str], Set[Tuple[str, Optional[int]]]] = {}
        self._twice: Optional[Set[str]] = None
        self._through: Dict[Optional[str], Dict[int, List[KernelRoute]]] = {}
        self.gone_namespaces: Set[str] = set()
        self.leased: Dict[LinkKey, FrozenSet[str]] = {}  # see addresses.leased_ends
        self.link_locals: Dict[LinkKey, FrozenSet[str]] = {}  # see addresses.given_link_locals
        self.isolation: Dict[LinkKey, bool] = {}  # bridges, and whether their ports are to be isolated; see ports
        # Ports that lead to the target of a published one, now and before; see hairpins.
        self.hairpins: FrozenSet[LinkKey] = frozenset()
        self.hairpins_before: FrozenSet[LinkKey] = frozenset()
        self.said: Dict[SysctlKey, str] = {}  # every setting that the document has a value for
        self.elsewhere: Dict[SysctlKey, str] = {}  # the same of other documents
        self.switched: Set[Optional[str]] = set()  # where IPv4 forwarding changes
        self.switches: Dict[SysctlKey, str] = {}  # the forwarding switches that change, and what they become
        self.kept: List[Tuple[SysctlKey, str]] = []  # what documents say of single links' forwarding
        # Links that the plan takes down: they lose routes and IPv6 addresses (hazard 23).
        self.falling: Set[LinkKey] = set()
        self.wired: Set[LinkKey] = set()  # bridges onto which the document plugs interfaces that aren't ours
        self.uplinks: Set[LinkKey] = set()  # interfaces whose work the document has bridges do
        self.ipv6_ways: Dict[LinkKey, str] = {}  # links by which IPv6 routes of the document go; see hands
        self.narrow: Set[LinkKey] = set()  # bridges with ports too small for IPv6; see links
        self.leaving: Set[LinkKey] = set()  # bridges that give an uplink back: their routes move or go
        self.returning: Set[LinkKey] = set()  # those uplinks: ports only with all that they do, never before

        self.given_back: Dict[LinkKey, Baggage] = {}  # to interfaces, of what bridges had that somebody deleted
        self.raised: Set[LinkKey] = set()  # interfaces whose bridges were set down, and lost what they get back

    def line(self, text: str) -> int:
        """Add a readable line; steps that belong to it carry its number."""
        self.lines.append(text)
        return len(self.lines) - 1

    def do(self, stage: int, line: int, action: Action, *inverse: Action) -> None:
        """Add a step."""
        self.steps.append(Step(stage, action, inverse, line))
        if stage == MAKE_LINKS and isinstance(action, (BridgeAdd, VethAdd, TapAdd)):
            self.made.add((action.netns, action.name))
            if isinstance(action, VethAdd):
                self.made.add((action.peer_netns, action.peer))

    def names(self, netns: Optional[str]) -> Dict[int, str]:
        """The names of a namespace's links by their index, as it was read."""
        found = self._names.get(netns)
        if found is None:
            found = self._names[netns] = {link.index: link.name for link in self.view.views[netns].links.values()}
        return found

    def through(self, netns: Optional[str], link: Link) -> Sequence[KernelRoute]:
        """The routes that lead through a link, as they were read."""
        found = self._through.get(netns)
        if found is None:
            found = self._through[netns] = by_device(self.view.views[netns].routes)
        return found.get(link.index, ())

    def is_connected(self, netns: Optional[str], network: str, index: int) -> bool:
        """Whether a route of the main table leads to a network without a gateway, by the link with that index."""
        routes = self.view.views[netns].routes
        if len(routes) < _FEW:
            for route in routes:
                if route[0] == network and route[2] == index and route[1] is None and route[4] == TABLE_MAIN:
                    return True
            return False
        found = self._connected.get(netns)
        if found is None:
            found = self._connected[netns] = {
                (route[0], route[2]) for route in routes if route[1] is None and route[4] == TABLE_MAIN
            }
        return (network, index) in found

    def twice(self) -> Set[str]:
        """The MAC addresses that more than one link has of all that were read."""
        if self._twice is None:
            rooms = self.view.views.values()
            macs = [link[6] for room in rooms for link in room.links.values() if link[1] != "lo"]
            several = len(set(macs)) < len(macs)
            self._twice = {mac for mac, count in Counter(macs).items() if count > 1 and mac} if several else set()
        return self._twice

    def namespace(self, netns: Optional[str]) -> Optional[NamespaceView]:
        """The namespace as it will be after what the plan takes away: None if there is none then."""
        return None if netns in self.gone_namespaces else self.view.views.get(netns)

    def link(self, netns: Optional[str], name: str) -> Optional[Link]:
        """The link as it will be after what the plan takes away."""
        namespace = self.namespace(netns)
        if namespace is None or (netns, name) in self.gone:
            return None
        return namespace.links.get(name)

    def word(self, netns: Optional[str], path: str) -> Optional[str]:
        """What this document says of a setting, or another one."""
        return self.said.get((netns, path), self.elsewhere.get((netns, path)))

    def stable_mac(self, netns: Optional[str], name: str) -> str:
        """A locally administered MAC address that the link gets on this host whenever it is made (hazards 3, 21)."""
        digest = hashlib.sha256("\0".join((self.machine, self.owned.name, netns or "", name)).encode()).digest()
        return bytes([digest[0] & 0xFC | 0x02, *digest[1:6]]).hex(":")

    def is_ours(self, netns: Optional[str], link: Link) -> bool:
        """By its mark. One without it is ours if a run that was killed was to make it, or if it has lost its mark.

        The latter is believed of the index that we remember along with the MAC address that we gave it: numbers alone
        are given to others, too.
        """
        if link.alias == self.owned.mark:
            return True
        index = self.owned.links.get((netns, link.name))
        if owner_of(link.alias) is not None or index is None:
            return False
        if index == UNKNOWN:
            return True
        return index == link.index and (not self.machine or link.mac in self._macs(netns, link.name))

    def has_lost_mark(self, netns: Optional[str], link: Link) -> bool:
        """Whether it may be a link of ours: it has the index that we remember, but nothing else says so."""
        known = self.owned.links.get((netns, link.name)) == link.index and owner_of(link.alias) is None
        return known and not self.is_ours(netns, link)

    def _macs(self, netns: Optional[str], name: str) -> Set[str]:
        """The addresses that a link of ours may have: the one that we derive, or the one that the document said."""
        said: List[Union[Bridge, Tap, End]] = [*self.previous.bridges, *self.previous.taps]
        said += [end for veth in self.previous.veths for end in veth]
        own = {one.mac for one in said if one.mac is not None and (one.netns, one.name) == (netns, name)}
        return own | {self.stable_mac(netns, name)}

    def is_our_namespace(self, netns: str) -> bool:
        """By the mark on its loopback link; where that is lost, by its inode along with a link in it that has our mark.

        Inodes alone are given out again at once. One that a killed run was to make has none of either.
        """
        namespace = self.view.views.get(netns)
        if namespace is None:
            return False
        mark, lo, inode = self.owned.mark, namespace.links.get("lo"), self.owned.namespaces.get(netns)
        if lo is not None and owner_of(lo.alias) is not None:
            return lo.alias == mark
        if inode == UNKNOWN:
            return True
        return inode == namespace.inode and any(link.alias == mark for link in namespace.links.values())

    def peer_of(self, netns: Optional[str], link: Link) -> Optional[Tuple[Optional[str], Link]]:
        """The other end of a cable, if it is in a namespace that was read."""
        peer = self.view.peers.get((netns, link.name))
        return (peer[0], self.view.views[peer[0]].links[peer[1]]) if peer else None

    def take_link(self, netns: Optional[str], link: Link, line: int) -> None:
        """Delete a link; its inverse makes it again with all that went with it."""
        if (netns, link.name) in self.gone:
            return
        peer = self.peer_of(netns, link) if link.kind == "veth" else None
        self.do(TAKE_LINKS, line, LinkDelete(netns, link.name), *self._remake(netns, link, peer))
        for where, end in [(netns, link)] + ([peer] if peer else []):
            self.gone.add((where, end.name))
            self.after.links.pop((where, end.name), None)

    def _remake(self, netns: Optional[str], link: Link, peer: Optional[Tuple[Optional[str], Link]]) -> List[Action]:
        actions: List[Action] = []
        if link.kind == "bridge":
            actions.append(BridgeAdd(netns, link.name, link.mac, bool(link.stp), bool(link.vlan_filtering)))
            actions += self._dress(netns, link)
            for port in self.view.views[netns].links.values():
                if port.master == link.index and (netns, port.name) not in self.returning:
                    actions += self.replug(netns, port, link.name)
        elif link.kind == "tun":
            actions.append(TapAdd(netns, link.name, link.owner))
            actions.append(LinkChange(netns, link.name, mac=link.mac))
            actions += self._dress(netns, link)
        elif peer is not None:
            where, end = peer
            actions.append(VethAdd(netns, link.name, link.mac, link.mtu, None, where, end.name, end.mac, end.mtu))
            actions += self._dress(netns, link) + self._dress(where, end)
        return actions

    def _dress(self, netns: Optional[str], link: Link) -> List[Action]:
        """What a link that was made again needs to be as it was."""
        namespace = self.view.views[netns]
        master = self.names(netns).get(link.master or 0)
        dress = LinkChange(netns, link.name, link.up, mtu=link.mtu, alias=link.alias or None, group=link.group or None)
        actions: List[Action] = [dress]
        if link.accept_ra is not None:
            actions.append(SysctlSet(netns, sysctl.accept_ra(link.name), str(link.accept_ra)))
        if master:  # by itself, for the bridge may be made again only after this link: then it fetches its ports
            actions += self.replug(netns, link, master)
        # If it leaves, only what the document gave it: the rest isn't here any more.
        leaving = (netns, link.name) in self.leaving
        for address in namespace.addresses.get(link.index, ()):
            own = (netns, link.name, address.address) in self.owned.addresses
            if address.scope != RT_SCOPE_LINK and (own or not leaving):  # the kernel makes those itself
                actions.append(AddressAdd(netns, link.name, address.address))
        if leaving:
            return actions
        return actions + [
            self.remake_route(netns, route)
            for route in self.through(netns, link)
            if route.protocol not in (RTPROT_KERNEL, RTPROT_RA)
        ]

    def replug(self, netns: Optional[str], link: Link, bridge: str) -> List[Action]:
        """What makes a link a port of a bridge again, with what it is as one."""
        return [LinkChange(netns, link.name, bridge=bridge), *port_again(netns, link)]

    def remake_route(self, netns: Optional[str], route: KernelRoute) -> RouteAdd:
        """The action that makes this route again, whoever made it."""
        names = self.names(netns)
        hops: Sequence[Hop] = [(via, names.get(dev or 0), weight) for via, dev, weight in route.nexthops]
        return RouteAdd(
            netns,
            route.to,
            route.via,
            names.get(route.dev or 0) if route.type == RTN_UNICAST else None,
            route.metric,
            route.table,
            route.type,
            tuple(hops),
            route.protocol,
            route.prefsrc,
            route.scope,
        )


def devices(route: KernelRoute) -> Set[int]:
    """The indexes of the links that a route leads through."""
    return {dev for _via, dev, _weight in route.nexthops if dev} | ({route.dev} if route.dev else set())


def by_device(routes: Iterable[KernelRoute]) -> Dict[int, List[KernelRoute]]:
    """These routes by the index of each link that they lead through."""
    found: Dict[int, List[KernelRoute]] = {}
    for route in routes:
        for index in devices(route) if route.nexthops else (route.dev,):
            if index:
                found.setdefault(index, []).append(route)
    return found


def kind_words(kind: Optional[str]) -> str:
    """What people call a link of this kind."""
    return "tap" if kind == "tun" else kind or "a device"


def is_by_hand(route: KernelRoute) -> bool:
    """Whether somebody wrote down this route of the main table: no document did, and nothing that comes and goes."""
    return route.protocol in BY_HAND and route.table == TABLE_MAIN


def is_our_route(route: KernelRoute) -> bool:
    """Whether the collection made it (for whichever document)."""
    return route.protocol == ROUTE_PROTOCOL
