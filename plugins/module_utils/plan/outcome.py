# SPDX-License-Identifier: GPL-3.0-or-later
"""What steps make of a host, on paper: the view of it that a later plan starts from. Pure: reads and changes nothing.

Only as far as plans look: no counters, no times. What is made on paper has numbers below zero, which the kernel gives
to nothing.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, List, Optional, Sequence, Set, Tuple, Type

from .. import sysctl
from ..document.prefix import WIDTH, is_link_local, known_ip, known_prefix
from ..model import TABLE_MAIN, Address, Baggage, HostView, KernelRoute, Link, LinkKey, NamespaceView
from ..rtnetlink import constants as nl
from ..uplink_record import ADDRESS, ROUTE, mark_on, marks_among, notes_of
from . import actions as act
from .actions import Step
from .links import VETH_MTU
from .lost_uplinks import baggage_in, together
from .redirects import ACCEPT_REDIRECTS
from .settings import IMPLIED, default_of, forwarding_of, link_in
from .sheet import USUAL, devices

_KERNEL_METRIC = {4: 0, 6: 256}  # of connected routes; IP6_RT_PRIO_ADDRCONF, net/ip6_route.h
_NOTHING = Baggage((), (), (), 0, ())


def outcome(view: HostView, steps: Sequence[Step]) -> HostView:
    """The host as it is once these steps are done and verified; ``view`` stays as it is."""
    if not steps:
        return view
    draft = _Draft(view)
    for step in steps:
        deed = _DEEDS.get(type(step.action))
        if deed is not None:
            deed(draft, step.action)
    return draft.finished()


class _Room:
    """A namespace that may be written on."""

    def __init__(self, view: NamespaceView) -> None:
        self._view = view
        self.links = dict(view.links)
        self.addresses = dict(view.addresses)
        self.routes: List[KernelRoute] = list(view.routes)
        self.forwarding: Dict[str, Optional[bool]] = {
            sysctl.IPV4_FORWARDING: view.forwarding_ipv4,
            sysctl.IPV6_FORWARDING: view.forwarding_ipv6,
        }
        self.sysctls = dict(view.sysctls)
        self.baggage = dict(view.baggage)
        self.touched: Set[int] = set()  # links whose connected routes may be others now
        self._lowest = min((link.index for link in view.links.values()), default=0)

    def finished(self) -> NamespaceView:
        kept = [r for r in self.routes if r.protocol != nl.RTPROT_KERNEL or r.dev not in self.touched]
        connected = [r for link in self.links.values() if link.index in self.touched for r in self._connected(link)]
        return self._view._replace(
            links=self.links,
            addresses=self.addresses,
            routes=(*kept, *connected),
            forwarding_ipv4=self.forwarding[sysctl.IPV4_FORWARDING],
            forwarding_ipv6=self.forwarding[sysctl.IPV6_FORWARDING],
            sysctls=self.sysctls,
            baggage=self.baggage,
        )

    def add(self, name: str, kind: str, mtu: Optional[int], mac: Optional[str], **more: Any) -> None:
        """A new link, down."""
        self._lowest = min(self._lowest, 0) - 1
        accept_ra = None if self.forwarding[sysctl.IPV6_FORWARDING] is None else 1
        self.links[name] = Link(
            self._lowest, name, kind, False, False, mtu or VETH_MTU, mac or "", None, "", (), None, None, accept_ra,
            **more,
        )  # fmt: skip
        self.sysctls.update({f"net/ipv4/conf/{name}{implied}": "0" for implied in IMPLIED})
        for path in self.sysctls:
            if link_in(path) == name:
                self.sysctls[path] = self.sysctls.get(default_of(path)) or "0"

    def change(self, name: str, **values: Any) -> None:
        """Other properties of a link."""
        self.links[name] = self.links[name]._replace(**values)
        self.touched.add(self.links[name].index)

    def remove(self, name: str) -> None:
        """A link goes, with all that was on it."""
        gone = self.links.pop(name, None)
        if gone is None:
            return
        self.addresses.pop(gone.index, None)
        self.routes = [route for route in self.routes if gone.index not in devices(route)]
        self.baggage.pop(name, None)
        for port in [link for link in self.links.values() if link.master == gone.index]:
            self.links[port.name] = port._replace(master=None, isolated=None, hairpin=None, odd=())
        for path in [path for path in self.sysctls if link_in(path) == name]:
            self.sysctls[path] = None

    def held(self, name: str) -> Tuple[Address, ...]:
        """The addresses of a link."""
        return self.addresses.get(self.links[name].index, ())

    def hold(self, name: str, addresses: Iterable[Address]) -> None:
        """Give a link these addresses, and no others."""
        index = self.links[name].index
        self.addresses[index] = tuple(address._replace(index=index) for address in addresses)
        self.touched.add(index)

    def way(self, via: Optional[str]) -> Optional[int]:
        """The link that leads to a gateway, by the narrowest subnet."""
        ip = known_ip(via) if via is not None else None
        ways = [
            (prefix.length, index)
            for index, addresses in self.addresses.items()
            for prefix in (known_prefix(address.address) for address in addresses)
            if ip is not None and prefix.family == ip.family and prefix.first <= ip.number <= prefix.last
        ]
        return max(ways)[1] if ways else None

    def _connected(self, link: Link) -> Iterable[KernelRoute]:
        """The routes that the kernel makes of a link's addresses."""
        for address in self.addresses.get(link.index, ()) if link.up else ():
            own = known_prefix(address.address)
            if own.length < WIDTH[own.family] and address.scope != nl.RT_SCOPE_LINK:
                metric = _KERNEL_METRIC[own.family]
                yield KernelRoute(own.network, None, link.index, metric, TABLE_MAIN, nl.RTN_UNICAST, nl.RTPROT_KERNEL)


class _Draft:
    """A host that may be written on."""

    def __init__(self, view: HostView) -> None:
        self._view = view
        self._rooms: Dict[Optional[str], _Room] = {}
        self.gone: Set[Optional[str]] = set()
        self.names = dict.fromkeys(view.names)
        self.files = dict(view.files)
        self.peers: Dict[LinkKey, LinkKey] = dict(view.peers)
        self._lowest = min((room.inode for room in view.views.values()), default=0)

    def finished(self) -> HostView:
        views = {netns: room for netns, room in self._view.views.items() if netns not in self.gone}
        views.update({netns: room.finished() for netns, room in self._rooms.items()})
        return self._view._replace(names=tuple(sorted(self.names)), views=views, files=self.files, peers=self.peers)

    def room(self, netns: Optional[str]) -> _Room:
        if netns not in self._rooms:
            self._rooms[netns] = _Room(self._view.views[netns])
        return self._rooms[netns]

    def make_room(self, netns: str) -> None:
        """A namespace with nothing but its lo. One that the document makes doesn't forward unless that is said."""
        self._lowest = min(self._lowest, 0) - 1
        ipv6 = self._view.views[None].forwarding_ipv6
        lo = Link(1, "lo", None, False, False, 65536, "", None, "", (), None, None, None if ipv6 is None else 1)
        new = NamespaceView(netns, self._lowest, {"lo": lo}, {}, (), False, None if ipv6 is None else False, {})
        self._rooms[netns] = _Room(new)
        self.names[netns] = None

    def take_room(self, netns: str) -> None:
        for key in [key for key in self.peers if key[0] == netns]:
            self.take_link(*key)
        self._rooms.pop(netns, None)
        self.gone.add(netns)
        self.names.pop(netns, None)

    def take_link(self, netns: Optional[str], name: str) -> None:
        """A link goes, and with one end of a cable the other."""
        self.room(netns).remove(name)
        peer = self.peers.pop((netns, name), None)
        if peer is not None:
            self.peers.pop(peer, None)
            self.room(peer[0]).remove(peer[1])


def _veth_add(draft: _Draft, action: act.VethAdd) -> None:
    here, there = draft.room(action.netns), draft.room(action.peer_netns)
    here.add(action.name, "veth", action.mtu, action.mac)
    there.add(action.peer, "veth", action.peer_mtu, action.peer_mac)
    if action.bridge:
        _plug(here, action.name, action.bridge)
    ends = (action.netns, action.name), (action.peer_netns, action.peer)
    draft.peers.update({ends[0]: ends[1], ends[1]: ends[0]})


def _bridge_add(draft: _Draft, action: act.BridgeAdd) -> None:
    room = draft.room(action.netns)
    room.add(action.name, "bridge", None, action.mac, stp=action.stp, vlan_filtering=action.vlan_filtering)


def _plug(room: _Room, name: str, bridge: str) -> None:
    """Make a link a port of a bridge; of none for ""."""
    master = room.links[bridge].index if bridge else None
    plain = False if bridge else None
    room.change(name, master=master, isolated=plain, hairpin=plain, odd=())


def _port_change(draft: _Draft, action: act.PortChange) -> None:
    said = {"isolated": action.isolated, "hairpin": action.hairpin, "state": action.state}
    room = draft.room(action.netns)
    odd = {*room.links[action.name].odd, *(name for name, on in action.flags if on != USUAL[name])}
    odd.difference_update(name for name, on in action.flags if on == USUAL[name])
    values = {name: value for name, value in said.items() if value is not None}
    room.change(action.name, odd=tuple(name for name in USUAL if name in odd), **values)


def _link_change(draft: _Draft, action: act.LinkChange) -> None:
    room, name = draft.room(action.netns), action.name
    if action.bridge is not None:
        _plug(room, name, action.bridge)
    fields = ("mac", "mtu", "alias", "up", "group", "silent")
    values = {field: getattr(action, field) for field in fields}
    room.change(name, **{field: value for field, value in values.items() if value is not None})
    if action.up is False:  # hazard 23
        index = room.links[name].index
        room.hold(name, [address for address in room.held(name) if ":" not in address.address])
        room.routes = [route for route in room.routes if index not in devices(route)]


def _bridge_change(draft: _Draft, action: act.BridgeChange) -> None:
    words = (("stp", action.stp), ("vlan_filtering", action.vlan_filtering))
    draft.room(action.netns).change(action.name, **{field: value for field, value in words if value is not None})


def _address_add(draft: _Draft, action: act.AddressAdd) -> None:
    room, own = draft.room(action.netns), known_prefix(action.address)
    held = room.held(action.link)
    if all(address.address != action.address for address in held):
        beside = own.family == 4 and any(known_prefix(address.address).network == own.network for address in held)
        flags = nl.IFA_F_PERMANENT | (nl.IFA_F_SECONDARY if beside else 0)
        scope = nl.RT_SCOPE_LINK if is_link_local(own.family, own.number) else nl.RT_SCOPE_UNIVERSE
        room.hold(action.link, _listed(held, Address(0, action.address, scope, flags)))


def _listed(held: Sequence[Address], new: Address) -> List[Address]:
    """In the kernel's order: primary IPv4 addresses, secondary ones, and IPv6 ones, of which the newest comes first."""
    ipv4 = [address for address in held if ":" not in address.address]
    if ":" not in new.address:
        ipv4.insert(sum(address.flags & nl.IFA_F_SECONDARY <= new.flags & nl.IFA_F_SECONDARY for address in ipv4), new)
        return [*ipv4, *(address for address in held if ":" in address.address)]
    return [*ipv4, new, *(address for address in held if ":" in address.address)]


def _address_renew(draft: _Draft, action: act.AddressRenew) -> None:
    room = draft.room(action.netns)
    lasting = action.lifetimes == act.AddressRenew._field_defaults["lifetimes"]
    set_, cleared = (nl.IFA_F_PERMANENT, nl.IFA_F_DEPRECATED | nl.IFA_F_GIVEN) if lasting else (0, nl.IFA_F_PERMANENT)
    for address in room.held(action.link):
        if address.address == action.address:
            renewed = address._replace(flags=address.flags & ~cleared | set_ | action.flags, lifetimes=None)
            room.hold(action.link, [renewed if one is address else one for one in room.held(action.link)])


def _address_delete(draft: _Draft, action: act.AddressDelete) -> None:
    room = draft.room(action.netns)
    if action.link in room.links:
        held = room.held(action.link)
        room.hold(action.link, [address for address in held if address.address != action.address])


def _route_add(draft: _Draft, action: act.RouteAdd) -> None:
    room = draft.room(action.netns)
    hops = tuple((via, _index(room, dev) or room.way(via), weight) for via, dev, weight in action.nexthops)
    dev = _index(room, action.dev) or room.way(action.via)
    room.routes.append(
        KernelRoute(
            action.to, action.via, dev, action.metric, action.table, action.type, action.protocol, hops,
            action.prefsrc, action.scope or nl.RT_SCOPE_UNIVERSE,
        )
    )  # fmt: skip


def _index(room: _Room, name: Optional[str]) -> Optional[int]:
    return room.links[name].index if name in room.links else None


def _route_delete(draft: _Draft, action: act.RouteDelete) -> None:
    room = draft.room(action.netns)
    name = (action.to, action.metric, action.table, action.type, action.protocol, action.via)
    room.routes = [r for r in room.routes if (r.to, r.metric, r.table, r.type, r.protocol, r.via) != name]


def _sysctl_set(draft: _Draft, action: act.SysctlSet) -> None:
    room, path, link = draft.room(action.netns), action.path, link_in(action.path)
    if path in room.forwarding:
        now = action.value == "1"
        if path == sysctl.IPV4_FORWARDING and room.forwarding[path] != now and ACCEPT_REDIRECTS in room.sysctls:
            room.sysctls[ACCEPT_REDIRECTS] = str(int(not now))  # hazard 30; if that was another, the next step says it
        room.forwarding[path] = now
        for along, had in room.sysctls.items():
            if had is not None and forwarding_of((None, along)) == (None, path):
                room.sysctls[along] = action.value  # likewise
    elif link in room.links and path == sysctl.accept_ra(link):
        room.links[link] = room.links[link]._replace(accept_ra=int(action.value))
    else:
        room.sysctls[path] = action.value


def _uplink_attach(draft: _Draft, action: act.UplinkAttach) -> None:
    room = draft.room(action.netns)
    _plug(room, action.link, action.name)
    nic, bridge = room.links[action.link], room.links[action.name]
    room.links[action.name] = bridge._replace(accept_ra=nic.accept_ra)
    room.links[action.link] = nic._replace(altnames=(*_unmarked(nic), mark_on(bridge.alias, action.name)))
    _move(room, action.link, action.name, set(), set())


def _uplink_detach(draft: _Draft, action: act.UplinkDetach) -> None:
    room = draft.room(action.netns)
    _plug(room, action.link, "")
    room.links[action.link] = room.links[action.link]._replace(altnames=_unmarked(room.links[action.link]))
    _move(room, action.name, action.link, set(action.addresses), set(action.routes))


def _uplink_return(draft: _Draft, action: act.UplinkReturn) -> None:
    """The interface holds what the notes say."""
    room, name = draft.room(action.netns), action.link
    link, notes = room.links[name], notes_of(action.addresses)
    given = [note for note in notes if note.kind == ADDRESS]
    ways = [note for note in notes if note.kind == ROUTE and note.protocol != nl.RTPROT_KERNEL]
    lasting = [Address(0, note.name, nl.RT_SCOPE_UNIVERSE, 0 if note.ends else nl.IFA_F_PERMANENT) for note in given]
    room.hold(name, [*room.held(name), *lasting])
    room.routes += [
        KernelRoute(way.name, way.via, link.index, way.metric, way.table, nl.RTN_UNICAST, way.protocol) for way in ways
    ]
    mine = room.baggage.get(name, _NOTHING)
    room.baggage[name] = together(mine, baggage_in(action.addresses))
    room.links[name] = link._replace(altnames=_unmarked(link))


def _unmarked(link: Link) -> Tuple[str, ...]:
    """The altnames of a link without those that say whose uplink it is."""
    marks = marks_among(link.altnames)
    return tuple(name for name in link.altnames if name not in marks)


def _move(room: _Room, source: str, target: str, stay: Set[str], doomed: Set[Tuple[str, int, int]]) -> None:
    """What one link holds goes to another, but for addresses that ``stay`` and routes that go altogether."""
    first, second = room.links[source].index, room.links[target].index
    held = room.held(source)
    moving = [a for a in held if a.address not in stay and a.scope != nl.RT_SCOPE_LINK]
    there = {address.address for address in moving}
    room.hold(target, [*(a for a in room.held(target) if a.address not in there), *moving])
    room.hold(source, [address for address in held if address not in moving])
    routes = [r for r in room.routes if r.dev != first or (r.to, r.table, r.metric) not in doomed]
    room.routes = [
        route._replace(dev=second) if route.dev == first and route.protocol != nl.RTPROT_KERNEL else route
        for route in routes
    ]
    mine, its = room.baggage.get(source, _NOTHING), room.baggage.get(target, _NOTHING)
    room.baggage[target] = Baggage(
        (*its.addresses, *(a for a in mine.addresses if a not in stay and a not in its.addresses)),
        (*its.leases, *(a for a in mine.leases if a not in stay)),
        (*its.routes, *(r for r in mine.routes if r not in doomed)),
        its.neighbours + mine.neighbours,
        its.obstacles,
        (*its.notes, *mine.notes),
    )
    room.baggage[source] = _NOTHING._replace(addresses=tuple(a for a in mine.addresses if a in stay))


_DEEDS: Dict[Type[Any], Callable[[_Draft, Any], None]] = {
    act.NetnsAdd: lambda draft, action: draft.make_room(action.netns),
    act.NetnsDelete: lambda draft, action: draft.take_room(action.netns),
    act.BridgeAdd: _bridge_add,
    act.VethAdd: _veth_add,
    act.TapAdd: lambda draft, action: draft.room(action.netns).add(action.name, "tun", None, None, owner=action.owner),
    act.LinkDelete: lambda draft, action: draft.take_link(action.netns, action.name),
    act.LinkChange: _link_change,
    act.BridgeChange: _bridge_change,
    act.PortChange: _port_change,
    act.AddressAdd: _address_add,
    act.AddressRenew: _address_renew,
    act.AddressDelete: _address_delete,
    act.RouteAdd: _route_add,
    act.RouteDelete: _route_delete,
    act.SysctlSet: _sysctl_set,
    act.FileSet: lambda draft, action: draft.files.__setitem__(action.path, action.text),
    act.UplinkAttach: _uplink_attach,
    act.UplinkDetach: _uplink_detach,
    act.UplinkReturn: _uplink_return,
}
