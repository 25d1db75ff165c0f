# SPDX-License-Identifier: GPL-3.0-or-later
"""What is there of what a document names, as a document: the "before" of a diff."""

from __future__ import annotations

from typing import Iterable, List, Mapping, Optional, Set, Tuple, Union

from ..document.containers import cable, cables
from ..document.links import same_mtu
from ..firewall import FirewallWant, Tables, changes
from ..model import (
    Bridge,
    Container,
    End,
    Forwarding,
    GuestPolicy,
    HostView,
    Interface,
    Link,
    Namespace,
    Route,
    Tap,
    Topology,
    Veth,
)
from ..rtnetlink.constants import IFA_F_PERMANENT, RT_SCOPE_LINK
from .links import VETH_MTU
from .owned import Owned
from .routes import agrees, key_of
from .settings import current, is_switch, wanted_files
from .sheet import Sheet, is_our_route


def present(
    named: Topology,
    view: HostView,
    owned: Owned,
    tables: Mapping[Optional[str], Tables],
    wants: Mapping[Optional[str], FirewallWant],
) -> Topology:
    """The objects that ``named`` names and that are there and ours, with the values that they have.

    ``wants``: what ``named`` asks of the packet filters; an entry whose rules aren't all in place counts as missing.
    """
    sheet = Sheet(view, owned, "")
    intact = {
        netns
        for netns, want in wants.items()
        if netns in tables and not changes(tables[netns], want, None, named.name, netns).swaps
    }
    return Topology(
        name=named.name,
        namespaces=tuple(_namespaces(sheet, named)),
        bridges=tuple(_bridges(sheet, named, None in intact)),
        veths=tuple(_veths(sheet, named)),
        interfaces=tuple(_interfaces(sheet, named)),
        taps=tuple(_taps(sheet, named)),
        containers=tuple(_containers(sheet, named)),
        routes=tuple(route for route in named.routes if _has_route(sheet, route)),
        forwarding=_forwarding(sheet, None, named.forwarding)._replace(
            networks=named.forwarding.networks if None in intact else ()
        ),
        masquerade=tuple(entry for entry in named.masquerade if entry.netns in intact),
        published_ports=tuple(port for port in named.published_ports if port.netns in intact),
        sysctls=_sysctls(sheet, None, named.sysctls),
        probes=named.probes,
    )


def _namespaces(sheet: Sheet, named: Topology) -> Iterable[Namespace]:
    for namespace in named.namespaces:
        if not sheet.is_our_namespace(namespace.name):
            continue
        files = wanted_files(named.name, [namespace])
        written = all(sheet.view.files.get(path) == text for path, text in files.items())
        yield Namespace(
            namespace.name,
            _forwarding(sheet, namespace.name, namespace.forwarding),
            _sysctls(sheet, namespace.name, namespace.sysctls),
            namespace.nameservers if written else (),
            namespace.hosts if written else (),
        )


def _forwarding(sheet: Sheet, netns: Optional[str], wanted: Forwarding) -> Forwarding:
    view = sheet.view.views.get(netns)
    if view is None:
        return Forwarding()
    return Forwarding(
        view.forwarding_ipv4 if wanted.ipv4 is not None else None,
        bool(view.forwarding_ipv6) if wanted.ipv6 is not None else None,
    )


def _sysctls(sheet: Sheet, netns: Optional[str], named: Iterable[Tuple[str, str]]) -> Tuple[Tuple[str, str], ...]:
    view = sheet.view.views.get(netns)
    values = [(path, current(view, path)) for path, _value in named if not is_switch(path)]
    return tuple((path, value) for path, value in values if value is not None)


def _addresses(sheet: Sheet, netns: Optional[str], link: Link, named: Iterable[str]) -> Tuple[str, ...]:
    wanted: Set[str] = set(named)
    entries = sheet.view.views[netns].addresses.get(link.index, ())
    return tuple(
        entry.address
        for entry in entries
        if entry.address in wanted or (entry.scope != RT_SCOPE_LINK and entry.flags & IFA_F_PERMANENT)
    )


def _ours(sheet: Sheet, netns: Optional[str], name: str, kind: str) -> Optional[Link]:
    link = sheet.link(netns, name)
    return link if link is not None and link.kind == kind and sheet.is_ours(netns, link) else None


def _bridges(sheet: Sheet, named: Topology, filtered: bool) -> Iterable[Bridge]:
    """``filtered``: the rules about guests are all in place."""
    for bridge in named.bridges:
        link = _ours(sheet, bridge.netns, bridge.name, "bridge")
        if link is not None:
            yield bridge._replace(
                addresses=_addresses_of_bridge(sheet, bridge, link),
                mac=link.mac if bridge.mac is not None else None,
                mtu=link.mtu if bridge.mtu is not None else None,
                up=link.up,
                stp=bool(link.stp),
                vlan_filtering=bool(link.vlan_filtering),
                uplink=_uplink(sheet, bridge, link),
                guests=_guests(sheet, named, bridge) if bridge.guests is not None and filtered else None,
            )


def _guests(sheet: Sheet, named: Topology, bridge: Bridge) -> Optional[GuestPolicy]:
    """What is said of the guests on a switch, but for isolation that a port has lost."""
    if bridge.guests is None or bridge.guests.among:
        return bridge.guests
    ports: List[Union[End, Tap]] = [end for veth in cables(named) for end in veth]
    links = [
        sheet.link(port.netns, port.name)
        for port in [*ports, *named.taps]
        if (port.netns, port.bridge) == (bridge.netns, bridge.name)
    ]
    return bridge.guests._replace(among=any(link is not None and not link.isolated for link in links))


def _addresses_of_bridge(sheet: Sheet, bridge: Bridge, link: Link) -> Tuple[str, ...]:
    """Of one that does an uplink's work only those that the document names: others are the uplink's."""
    found = _addresses(sheet, bridge.netns, link, bridge.addresses)
    return found if bridge.uplink is None else tuple(address for address in found if address in bridge.addresses)


def _uplink(sheet: Sheet, bridge: Bridge, link: Link) -> Optional[str]:
    nic = sheet.link(bridge.netns, bridge.uplink) if bridge.uplink is not None else None
    return bridge.uplink if nic is not None and nic.master == link.index else None


def _veths(sheet: Sheet, named: Topology) -> Iterable[Veth]:
    for veth in named.veths:
        there = _veth(sheet, veth)
        if there is not None:
            yield there


def _veth(sheet: Sheet, veth: Veth) -> Optional[Veth]:
    ends: List[End] = []
    for end, whole in zip(veth, same_mtu(veth)):
        link = _ours(sheet, end.netns, end.name, "veth")
        if link is not None:
            ends.append(_end(sheet, end, link, whole.mtu or VETH_MTU))
    if len(ends) == 2 and sheet.view.peers.get((veth.a.netns, veth.a.name)) == (veth.b.netns, veth.b.name):
        return Veth(ends[0], ends[1])
    return None


def _containers(sheet: Sheet, named: Topology) -> Iterable[Container]:
    for container in named.containers:
        there = _veth(sheet, cable(container))
        if there is not None:
            host, guest = there
            yield container._replace(bridge=host.bridge, addresses=guest.addresses, mac=guest.mac, mtu=guest.mtu)


def _taps(sheet: Sheet, named: Topology) -> Iterable[Tap]:
    for tap in named.taps:
        link = _ours(sheet, tap.netns, tap.name, "tun")
        if link is not None:
            same = tap.owner is not None and sheet.view.users.get(tap.owner) == link.owner
            yield tap._replace(
                bridge=_master(sheet, tap.netns, link),
                mac=link.mac if tap.mac is not None else None,
                mtu=link.mtu if tap.mtu is not None or link.mtu != 1500 else None,
                up=link.up,
                owner=tap.owner if same else None if link.owner is None else str(link.owner),
            )


def _end(sheet: Sheet, end: End, link: Link, usual_mtu: int) -> End:
    addresses = _addresses(sheet, end.netns, link, end.addresses)
    return end._replace(
        bridge=_master(sheet, end.netns, link),
        addresses=tuple(address for address in addresses if not end.leased or address in end.addresses),
        mac=link.mac if end.mac is not None else None,
        mtu=link.mtu if end.mtu is not None or link.mtu != usual_mtu else None,
        up=link.up,
    )


def _master(sheet: Sheet, netns: Optional[str], link: Link) -> Optional[str]:
    return sheet.names(netns).get(link.master or 0)


def _interfaces(sheet: Sheet, named: Topology) -> Iterable[Interface]:
    for interface in named.interfaces:
        link = sheet.link(interface.netns, interface.name)
        if link is not None:
            wanted = set(interface.addresses)
            yield interface._replace(
                addresses=tuple(a for a in _addresses(sheet, interface.netns, link, wanted) if a in wanted),
                mtu=link.mtu if interface.mtu is not None else None,
                up=link.up if interface.up is not None else None,
                bridge=_master(sheet, interface.netns, link) if interface.bridge is not None else None,
            )


def _has_route(sheet: Sheet, route: Route) -> bool:
    view = sheet.view.views.get(route.netns)
    if view is None:
        return False
    _netns, to, table, metric = key_of(route)
    return any(
        (there.to, there.table, there.metric) == (to, table, metric)
        and is_our_route(there)
        and agrees(sheet, view, route, there)
        for there in view.routes
    )
