# SPDX-License-Identifier: GPL-3.0-or-later
"""What a document asks of packet filters: by itself, and on a host as that is. Pure."""

from __future__ import annotations

from typing import AbstractSet, Callable, Container, Dict, Iterable, List, Mapping, NamedTuple, Optional, Set, Tuple

from .. import sysctl
from ..document.prefix import known_prefix
from ..document.routes import DEFAULTS
from ..firewall import (
    FirewallWant,
    GuestNetwork,
    SwitchPolicy,
    leads_loopback_out,
    localnet_interfaces,
    needed,
)
from ..firewall.groups import is_ours
from ..firewall.want import Homes, family_of, within
from ..model import Forwarding, HostView, NamespaceView, Nexthop, PublishedPort, Topology
from .answers import answers
from .around import Elsewhere, together
from .bridges import bystanders, leads_out, ways_of
from .hands import LOCALNET, LOOSE, RP_FILTER
from .owned import Owned, SysctlKey
from .ways import LOOPBACK, way_to


def firewall_wants(topology: Topology) -> Dict[Optional[str], FirewallWant]:
    """What each namespace's packet filter should hold, as far as the document alone says; see :func:`on_host`."""
    if not topology.present:
        return {}
    places: Set[Optional[str]] = {entry.netns for entry in topology.masquerade}
    places |= {port.netns for port in topology.published_ports}
    routers: Dict[Optional[str], Tuple[int, ...]] = {
        namespace.name: _forwarded(namespace.forwarding.ipv4, namespace.forwarding.ipv6)
        for namespace in topology.namespaces
    }
    routers[None] = _forwarded(topology.forwarding.ipv4, topology.forwarding.ipv6)
    places |= {netns for netns, forwarded in routers.items() if forwarded}
    wants = {}
    for netns in {*places, None}:
        want = FirewallWant(
            owner=topology.name,
            netns=netns,
            guests=_guests(topology, netns),
            named=_named(topology, netns),
            masquerade=tuple(entry for entry in topology.masquerade if entry.netns == netns),
            published_ports=tuple(port for port in topology.published_ports if port.netns == netns),
            forwarding=routers.get(netns, ()),
        )
        if netns is None:
            protected = {guest.interface for guest in want.guests}
            switches = tuple(
                SwitchPolicy(bridge.name, *bridge.guests, leads_out=bridge.name not in protected)
                for bridge in topology.bridges
                if bridge.guests is not None
            )
            want = want._replace(let_through=topology.forwarding.networks, switches=switches)
        if needed(want) or (netns is None and want.guests):  # whether others make the host forward isn't known here
            wants[netns] = want
    return wants


def _forwarded(ipv4: Optional[bool], ipv6: Optional[bool]) -> Tuple[int, ...]:
    return tuple(family for family, on in ((4, ipv4), (6, ipv6)) if on)


def _named(topology: Topology, netns: Optional[str]) -> Tuple[str, ...]:
    """Every interface with a network that the document names."""
    named = {name for name, _prefixes in _networks(topology, netns)}
    named |= {interface.name for interface in topology.interfaces if interface.netns == netns}
    named |= {bridge.name for bridge in topology.bridges if bridge.netns == netns and bridge.uplink is not None}
    return tuple(sorted(named))


def _networks(topology: Topology, netns: Optional[str]) -> List[Tuple[str, Tuple[str, ...]]]:
    """Our own links with addresses, and the networks on them."""
    found = []
    links = [(bridge.name, bridge.netns, bridge.addresses) for bridge in topology.bridges]
    links += [(end.name, end.netns, end.addresses) for veth in topology.veths for end in veth if not end.bridge]
    for name, where, addresses in links:
        if where == netns and addresses:
            found.append((name, tuple(sorted({known_prefix(address).network for address in addresses}))))
    return sorted(found)


def _guests(topology: Topology, netns: Optional[str]) -> Tuple[GuestNetwork, ...]:
    """The networks that are ours to protect.

    Not one that leads out: the bridge of an interface that isn't ours, or the way of a default route. Protecting that
    would cut off everybody else's guests, Docker's too. A switch on which the host has no address is one that it
    forwards nothing from.
    """
    bridged = {interface.bridge for interface in topology.interfaces if interface.netns == netns}
    bridged |= {bridge.name for bridge in topology.bridges if bridge.netns == netns and bridge.uplink is not None}
    routes = [route for route in topology.routes if route.netns == netns]
    ways = [way for route in routes if route.to in DEFAULTS for way in ways_of(route)]
    devices = {way.dev for way in ways}
    gateways = [way.via for way in ways if way.via]

    def leads_out(name: str, prefixes: Tuple[str, ...]) -> bool:
        return name in bridged or name in devices or any(within(via, prefix) for via in gateways for prefix in prefixes)

    networks = dict(_networks(topology, netns))
    for bridge in topology.bridges:
        if bridge.netns == netns:
            networks.setdefault(bridge.name, ())
    ends = {end.name for veth in topology.veths for end in veth if end.netns == netns and not end.bridge}
    for way in (way for route in routes for way in ways_of(route) if way.dev in ends):
        networks.setdefault(way.dev or "", ())
    behind = [(route.to, way) for route in routes if route.to not in DEFAULTS for way in ways_of(route)]
    return tuple(
        GuestNetwork(name, tuple(sorted({*prefixes, *_behind(behind, name, prefixes)})))
        for name, prefixes in sorted(networks.items())
        if not leads_out(name, prefixes)
    )


def _behind(routes: Iterable[Tuple[str, Nexthop]], name: str, prefixes: Tuple[str, ...]) -> Iterable[str]:
    """What the document routes through a link."""
    for to, way in routes:
        if way.dev == name or (way.via is not None and any(within(way.via, prefix) for prefix in prefixes)):
            yield to


SWITCHES = ((4, sysctl.IPV4_FORWARDING), (6, sysctl.IPV6_FORWARDING))


def switched_on(owned: Owned) -> Set[int]:
    """The families in which the host did not forward until a document came that owns this."""
    changes = ((family, owned.sysctls.get((None, path))) for family, path in SWITCHES)
    return {family for family, change in changes if change is not None and change.before == "0"}


def implied_settings(wants: Mapping[Optional[str], FirewallWant]) -> Dict[SysctlKey, str]:
    """The kernel settings without which the rules don't do what they are for."""
    implied: Dict[SysctlKey, str] = {}
    for netns, want in wants.items():
        for name in localnet_interfaces(want):
            implied[(netns, f"net/ipv4/conf/{name}{LOCALNET}")] = "1"
        for answer in want.answers:
            if answer.ours and family_of(answer.address) == 4:  # the rules look closer at sources than the kernel does
                implied[(netns, f"net/ipv4/conf/{answer.interface}{RP_FILTER}")] = LOOSE
    return implied


def localnet_settings(topology: Topology, ports: Iterable[PublishedPort]) -> Dict[SysctlKey, str]:
    """The same for ports of the host, whoever publishes them, that lead to guests of this document."""
    published = tuple(port for port in ports if port.netns is None)
    if not published:
        return {}
    return implied_settings(
        {None: FirewallWant(topology.name, guests=_guests(topology, None), published_ports=published)}
    )


def settings_to_read(
    wants: Mapping[Optional[str], FirewallWant], published: Tuple[PublishedPort, ...]
) -> Iterable[SysctlKey]:
    """Those that may turn out to be implied once it is known what is there; ``*`` stands for each link.

    ``published``: ports of other documents.
    """
    for netns, want in wants.items():
        if leads_loopback_out(want):
            yield netns, f"net/ipv4/conf/*{LOCALNET}"
        if netns is None and (want.published_ports or published):
            for links in ("*", "default"):
                yield netns, f"net/ipv4/conf/{links}{RP_FILTER}"


class Situation(NamedTuple):
    """What the packet filters of a document depend on beside the document: ``view``, what it ``owned`` before.

    ``elsewhere``: the families in which another document made the host forward. Its guard goes with it, and forwarding
    stays then. ``before``: what the last run's document said. ``inherited``: settings that stay for other documents'
    sake though this one lets them go. ``around``: what other documents say that concerns this one.
    """

    view: HostView
    owned: Owned
    elsewhere: AbstractSet[int]
    before: Mapping[Optional[str], FirewallWant]
    inherited: Container[SysctlKey]
    around: Elsewhere


def on_host(
    wants: Mapping[Optional[str], FirewallWant], topology: Topology, situation: Situation
) -> Dict[Optional[str], FirewallWant]:
    """The same, with what the host adds: a guard where it is the engine that turned the host's forwarding on, and who
    else has guests here."""
    return {netns: _at(want, topology, situation) for netns, want in wants.items()}


def with_rules(
    wants: Mapping[Optional[str], FirewallWant], filtered: Callable[[], bool]
) -> Dict[Optional[str], FirewallWant]:
    """Those, on this host, that need rules; networks of which nothing is said need none where nothing is forwarded.

    ``filtered`` says whether this host has iptables at all.
    """
    return {netns: want for netns, want in wants.items() if not says_nothing(want) or (want.forwards and filtered())}


def _at(want: FirewallWant, topology: Topology, situation: Situation) -> FirewallWant:
    view = situation.view.views.get(want.netns)
    if view is None:  # a namespace that is still to be made
        return want._replace(forwards=want.forwarding)
    forwards = set(_forwards(want.netns, topology, situation))
    if situation.before.get(want.netns) == want:  # what protects stays though nothing is forwarded for the time being
        forwards.update(situation.owned.firewall.get(want.netns, ()))
    foreign, passages = bystanders(view, topology, want.netns)
    homes = Homes(want.guests)
    outside = {port.to_address for port in want.published_ports if homes.of(port.to_address) is None}
    ways = {target: way_to(view, target) for target in outside}
    return want._replace(
        forwards=tuple(sorted(forwards)),
        foreign=foreign,
        passages=passages,
        guard=_guard(want, situation) if want.netns is None else (),
        answers=answers(
            want,
            together(topology, situation.around.guests),
            situation.around.ports,
            situation.view,
            situation.owned.routes,
        ),
        ways=tuple(sorted((to, way) for to, way in ways.items() if way not in (None, LOOPBACK))),
        borrowed=tuple(sorted(to for to, way in ways.items() if _answers_elsewhere(view, way))),
    )


def _forwards(netns: Optional[str], topology: Topology, situation: Situation) -> Iterable[int]:
    """The families in which packets are forwarded here once the document is applied."""
    view = situation.view.views[netns]
    said = topology.forwarding
    if netns is not None:
        said = next((room.forwarding for room in topology.namespaces if room.name == netns), Forwarding())
    now = {4: view.forwarding_ipv4, 6: view.forwarding_ipv6}
    for (family, path), wanted in zip(SWITCHES, (said.ipv4, said.ipv6)):
        change = situation.owned.sysctls.get((netns, path))
        on = bool(now[family])
        if wanted is not None:
            on = wanted
        elif change is not None and (netns, path) not in situation.inherited and change.explains(str(int(on))):
            on = change.before != "0"  # this run puts it back
        if on:
            yield family


def _answers_elsewhere(view: NamespaceView, way: Optional[str]) -> bool:
    """Whether machines behind a link may have another router than this host: not where it is a guests' bridge."""
    link = view.links.get(way or "")
    if link is None or is_ours(link.group) or way == LOOPBACK:
        return False
    return link.kind != "bridge" or leads_out(view, link)


def says_nothing(want: FirewallWant) -> bool:
    """Whether the document only has networks, and neither leads them out nor closes them."""
    said = (want.masquerade, want.published_ports, want.forwarding, want.let_through, want.switches)
    return not any(said)


def _guard(want: FirewallWant, situation: Situation) -> Tuple[int, ...]:
    host = situation.view.views[None]
    before = {4: host.forwarding_ipv4, 6: host.forwarding_ipv6}
    ours = switched_on(situation.owned) | situation.elsewhere
    kept = {family for family, path in SWITCHES if (None, path) in situation.owned.sysctls}
    ours |= {family for family, _path in SWITCHES if family not in kept and not before[family]}
    return tuple(sorted(ours.intersection(want.forwarding)))
