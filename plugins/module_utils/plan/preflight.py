# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of the document that need to know the host: what is named and isn't there, and what is there and in the way."""

from __future__ import annotations

from typing import Collection, Container, Dict, Iterator, List, Mapping, NamedTuple, Optional, Set, Tuple

from ..document import Where
from ..document.gateways import connected_by_document, told_by_document, unreachable_gateways
from ..document.links import BRIDGE, FOREIGN, Key, Placed, WantedLink, place, placed_addresses, wanted_links, ways
from ..document.prefix import is_link_local, known_ip, known_prefix
from ..document.rules import IPV6_LEAST_MTU
from ..model import CONTAINER, Bridge, HostView, Link, NamespaceView, Topology
from ..rtnetlink import constants as nl
from ..suggestion import suggestion
from .claims import claimed_links
from .hands import DISABLE_IPV6, words_of
from .limits import limit_problems
from .overlap import ForeignAddress, ForeignRoute, on_every_link, overlap_problems

AddressKey = Tuple[Optional[str], str, str]  # namespace, interface, address
_EVERYTHING_KNOWN = Where()


class _Scene(NamedTuple):
    """The document and the host, looked at together."""

    topology: Topology
    where: Where
    host: HostView
    links: List[WantedLink]
    made: Dict[Optional[str], Set[str]]  # the interfaces that this document makes, by namespace
    namespaces: Set[str]  # that this document makes
    names: Set[str]  # of namespaces on the host
    owned_links: Container[Key]
    owned_addresses: Container[AddressKey]
    fragment: bool
    attached: Mapping[Key, str]  # a bridge that does an interface's work, and that interface
    going: Collection[Optional[str]]  # namespaces that the plan takes away


def container_problems(topology: Topology, reasons: Mapping[str, str], where: Where) -> List[str]:
    """Why there can't be cables into containers, a line for each of these; ``reasons`` by ``container:NAME``."""
    first = {value.netns: where.path("containers", i) for i, value in reversed([*enumerate(topology.containers)])}
    return [f"{path}.container: {reasons[netns]}" for netns, path in reversed(first.items()) if netns in reasons]


def problems(
    topology: Topology,
    host: HostView,
    owned_links: Container[Key],
    where: Where = _EVERYTHING_KNOWN,
    owned_addresses: Container[AddressKey] = (),
    fragment: bool = False,
    attached: Optional[Mapping[Key, str]] = None,
    going: Collection[str] = (),
) -> List[str]:
    """One line per rule that the document breaks on this host, in the form of document.read's problems.

    ``host`` holds a view of each namespace that the document names and the host has; ``owned_links`` and
    ``owned_addresses`` (on links that aren't ours) are what this document made in an earlier run: they count as gone
    unless it still asks for them, or is a ``fragment``, which leaves the rest as it is. ``attached``: the bridges with
    an uplink, and what that is; without one they give its addresses back. ``going``: namespaces that the plan takes
    away, so that nothing can be in them. A document with state absent breaks no rule.
    """
    if not topology.present:
        return []
    links = wanted_links(topology, where)
    made: Dict[Optional[str], Set[str]] = {}
    for link in links:
        if link.kind != FOREIGN:
            made.setdefault(link.netns, set()).add(link.name)
    namespaces = {namespace.name for namespace in topology.namespaces}
    left = host
    if going:
        left = host._replace(views={netns: view for netns, view in host.views.items() if netns not in going})
    scene = _Scene(
        topology, where, left, links, made, namespaces, set(host.names).difference(going),
        () if fragment else owned_links, owned_addresses, fragment, attached or {}, going,
    )  # fmt: skip
    return [
        *_uplinks(scene),
        *_unknown_namespaces(scene),
        *_unknown_bridges(scene),
        *limit_problems(links, _wanted_uplinks(topology), host, scene.owned_links),
        *_unknown_users(scene),
        *_unknown_interfaces(scene),
        *_ways_that_are_down(scene),
        *_overlaps(scene),
        *_gateways(scene),
    ]


def warnings(topology: Topology, host: HostView, where: Where = _EVERYTHING_KNOWN) -> List[str]:
    """What is allowed and does harm to interfaces that aren't ours.

    An MTU under 1280 takes IPv6 from one (hazard 22), as disable_ipv6 does, and a port of a bridge has no use for its
    addresses (hazard 3).
    """
    found: List[str] = []
    for position, interface in enumerate(topology.interfaces):
        path = where.path("interfaces", position)
        view = host.views.get(interface.netns)
        link = view.links.get(interface.name) if view else None
        if view is None or link is None:
            continue
        addresses = [address.address for address in view.addresses.get(link.index, ())]
        ipv6 = [address for address in addresses if ":" in address]
        if ipv6 and interface.mtu is not None and interface.mtu < IPV6_LEAST_MTU:
            found.append(
                f"{path}.mtu: {interface.mtu} is under {IPV6_LEAST_MTU}, the least that IPv6 works with: "
                f"{interface.name} loses {', '.join(ipv6)} for good"
            )
        useless = [address for address in addresses if not on_every_link(known_prefix(address))]
        if interface.bridge and useless:
            found.append(
                f"{path}.bridge: as a port of {interface.bridge}, {interface.name} can't be reached any more by "
                f"{', '.join(useless)}"
            )
    found += _without_ipv6(topology, host)
    return found + [line for i, bridge in enumerate(topology.bridges) for line in _leases(bridge, host, where, i)]


def _without_ipv6(topology: Topology, host: HostView) -> Iterator[str]:
    """What a word that turns IPv6 off takes from interfaces: it doesn't come back by itself."""
    moving = {(bridge.netns, bridge.name): bridge.uplink for bridge in topology.bridges if bridge.uplink is not None}
    made = claimed_links(topology) - moving.keys()
    for (netns, path), value in words_of(topology).items():
        view = host.views.get(netns)
        if view is None or value != "1" or not path.endswith(DISABLE_IPV6) or view.sysctls.get(path) == value:
            continue
        which = path.split("/")[-2]
        baggage = view.baggage.get(moving.get((netns, which), ""))
        lost = [address for address in baggage.addresses if ":" in address] if baggage is not None else []
        if lost and which not in view.links:
            yield f"sysctl {path}: {value} takes IPv6 from {which}, which loses {', '.join(lost)} for good"
        for name, link in view.links.items():
            if which not in (name, "all") or name == "lo" or (netns, name) in made:
                continue
            there = [entry for entry in view.addresses.get(link.index, ()) if entry.flags & nl.IFA_F_PERMANENT]
            lost = [entry.address for entry in there if ":" in entry.address and entry.scope != nl.RT_SCOPE_LINK]
            if lost:
                yield f"sysctl {path}: {value} takes IPv6 from {name}, which loses {', '.join(lost)} for good"


def _leases(bridge: Bridge, host: HostView, where: Where, position: int) -> Iterator[str]:
    """A DHCP client that listens on a port of a bridge hears nothing any more."""
    view = host.views.get(bridge.netns)
    baggage = view.baggage.get(bridge.uplink or "") if view else None
    leases = [address for address in baggage.leases if ":" not in address] if baggage else []
    if leases:
        yield (
            f"{where.path('bridges', position)}.uplink: {bridge.uplink} has {', '.join(leases)} by DHCP; it moves, but "
            f"from now on the DHCP client has to renew it on {bridge.name}"
        )


def _uplinks(scene: _Scene) -> Iterator[str]:
    """Each uplink is there and works: the bridge has no other way to the LAN."""
    told = {link.key: link.up for link in scene.links if link.kind == FOREIGN}
    for position, bridge in enumerate(scene.topology.bridges):
        view = scene.host.views.get(bridge.netns)
        if bridge.uplink is None or view is None or bridge.uplink in scene.made.get(bridge.netns, ()):
            continue
        path = f"{scene.where.path('bridges', position)}.uplink"
        link = view.links.get(bridge.uplink)
        if link is None:
            hint = _known_as(scene, bridge.netns, bridge.uplink) or suggestion(
                bridge.uplink, sorted(_foreign_links(scene, bridge.netns))
            )
            yield f'{path}: no interface named "{bridge.uplink}" {place(bridge.netns)}{hint}'
        elif not link.up and not told.get((bridge.netns, bridge.uplink)):
            entry = f"interfaces: [{{name: {bridge.uplink}, up: true}}]"
            yield f"{path}: {bridge.uplink} is down; say {entry} to set it up"


def _uplinks_of(scene: _Scene, netns: Optional[str]) -> Dict[str, str]:
    """The link that does another's work: what is on the one, is or will be on the other."""
    doing = {bridge.uplink: bridge.name for bridge in scene.topology.bridges if bridge.netns == netns and bridge.uplink}
    if not scene.fragment:
        given_back = {name: nic for (where, name), nic in scene.attached.items() if where == netns and nic not in doing}
        doing.update({name: nic for name, nic in given_back.items() if name not in doing.values()})
    return doing


def _unknown_namespaces(scene: _Scene) -> Iterator[str]:
    topology, where = scene.topology, scene.where
    known = scene.namespaces | scene.names
    named = [(f"{link.path}.netns", link.netns) for link in scene.links]
    for section in ("routes", "masquerade", "published_ports"):
        named += [
            (f"{where.path(section, i)}.netns", value.netns) for i, value in enumerate(getattr(topology, section))
        ]
    named += [(f"{where.path('probes', i)}.from", probe.source) for i, probe in enumerate(topology.probes)]
    for path, netns in named:
        if netns in where.spoken:
            continue
        if netns in scene.going:
            yield (
                f'{path}: the namespace "{netns}" goes, for the document no longer names it; name it among namespaces'
            )
        elif netns is not None and netns not in known and not netns.startswith(CONTAINER):
            yield f'{path}: no namespace named "{netns}"{suggestion(netns, sorted(known))}'


def _foreign_links(scene: _Scene, netns: Optional[str]) -> Dict[str, Link]:
    """What is in a namespace on the host and isn't this document's."""
    view = scene.host.views.get(netns)
    if view is None:
        return {}
    return {name: link for name, link in view.links.items() if (netns, name) not in scene.owned_links}


def _known_as(scene: _Scene, netns: Optional[str], name: str) -> str:
    """The end of a message about an interface that there isn't by this name, but by another one."""
    names = [link.name for link in _foreign_links(scene, netns).values() if name in link.altnames]
    return f'; it is another name of "{names[0]}": say that' if names else ""


def _can_tell(scene: _Scene, netns: Optional[str]) -> bool:
    """Whether the interfaces of a namespace are known: it was looked at, or this document makes it."""
    return netns in scene.host.views or (netns in scene.namespaces and netns not in scene.names)


def _unknown_bridges(scene: _Scene) -> Iterator[str]:
    made = {link.key for link in scene.links if link.kind == BRIDGE}
    others = {link.key for link in scene.links} - made
    for link in scene.links:
        key = (link.netns, link.bridge or "")
        if link.bridge is None or key in made or key in others or not _can_tell(scene, link.netns):
            continue
        if link.bridge in scene.where.spoken:
            continue
        there = _foreign_links(scene, link.netns)
        found = there.get(link.bridge)
        if found is None:
            names = [name for name, other in there.items() if other.kind == "bridge"]
            names += [name for netns, name in made if netns == link.netns]
            elsewhere = [netns for netns, name in made if name == link.bridge]
            hint = _known_as(scene, link.netns, link.bridge) or suggestion(link.bridge, sorted(names))
            if elsewhere and not hint:
                hint = f"; it is {place(elsewhere[0])}, and a port is in its bridge's namespace"
            yield f'{link.path}.bridge: no bridge named "{link.bridge}" {place(link.netns)}{hint}'
        elif found.kind != "bridge":
            yield f'{link.path}.bridge: "{link.bridge}" is not a bridge, it is {_kind(found)}'


def _wanted_uplinks(topology: Topology) -> Dict[Key, str]:
    return {(bridge.netns, bridge.name): bridge.uplink for bridge in topology.bridges if bridge.uplink is not None}


def _unknown_users(scene: _Scene) -> Iterator[str]:
    for position, tap in enumerate(scene.topology.taps):
        if tap.owner is not None and scene.host.users.get(tap.owner) is None:
            path = scene.where.path("taps", position)
            yield f'{path}.owner: this host has no user "{tap.owner}"; name one that it has, or its number'


def _kind(link: Link) -> str:
    return f"of kind {link.kind}" if link.kind else "hardware"


def _unknown_interfaces(scene: _Scene) -> Iterator[str]:
    """Each interface that the document speaks of and doesn't make is on the host."""
    topology, where = scene.topology, scene.where
    made = scene.made
    named = [(f"{link.path}.name", link.netns, link.name) for link in scene.links if link.kind == FOREIGN]
    for i, route in enumerate(topology.routes):
        named += [(f"{way.path}.dev", route.netns, way.dev) for way in ways(route, where.path("routes", i)) if way.dev]
    named += [
        (f"{where.path('masquerade', i)}.except_to", masquerade.netns, name)
        for i, masquerade in enumerate(topology.masquerade)
        for name in masquerade.except_to
    ]
    for i, probe in enumerate(topology.probes):
        if "%" in probe.to:
            named.append((f"{where.path('probes', i)}.to", probe.source, probe.to.partition("%")[2]))
    there: Dict[Optional[str], Set[str]] = {}
    for path, netns, name in named:
        if name == "lo" or name in where.spoken or name in made.get(netns, ()) or not _can_tell(scene, netns):
            continue
        if netns not in there:
            there[netns] = set(_foreign_links(scene, netns))
        if name not in there[netns]:
            hint = _known_as(scene, netns, name) or suggestion(name, sorted(there[netns] | made.get(netns, set())))
            yield f'{path}: no interface named "{name}" {place(netns)}{hint}'


def _ways_that_are_down(scene: _Scene) -> Iterator[str]:
    """The kernel takes no route through an interface that is down. (A gateway in a subnet is missed by its subnet.)"""
    told = {link.key for link in scene.links if link.up is not None}
    for position, route in enumerate(scene.topology.routes):
        there = scene.host.views.get(route.netns)
        for way in ways(route, scene.where.path("routes", position)):
            link = there.links.get(way.dev or "") if there else None
            if link is None or link.up or (route.netns, link.name) in told:
                continue
            via = known_ip(way.via) if way.via else None
            if via is None or is_link_local(via.family, via.number):
                yield f"{way.path}.dev: {way.dev} is down; say interfaces: [{{name: {way.dev}, up: true}}] to set it up"


def _foreign_addresses(scene: _Scene, view: NamespaceView) -> List[ForeignAddress]:
    """The addresses in a namespace that this document hasn't made and whose interface it doesn't make."""
    made = scene.made.get(view.netns, set())
    uplinks = _uplinks_of(scene, view.netns)
    shared = {*uplinks.values(), *uplinks}
    foreign = _foreign_links(scene, view.netns)
    found: List[ForeignAddress] = []
    for name, link in view.links.items():
        if name not in shared and (name in made or name not in foreign):
            continue  # ours, or somebody else's where ours is to be: a conflict of its own
        for address in view.addresses.get(link.index, ()):
            if (view.netns, name, address.address) not in scene.owned_addresses:
                own = known_prefix(address.address)
                network = known_prefix(f"{address.peer}/{own.length}") if address.peer else own
                if not on_every_link(own):
                    found.append(ForeignAddress(uplinks.get(name, name), own, network))
    return found


def _foreign_routes(scene: _Scene, view: NamespaceView, with_ours: bool = False) -> List[ForeignRoute]:
    """The routes that lead somewhere, not through this document's interfaces, and not made by one of ours."""
    made = scene.made.get(view.netns, set())
    uplinks = _uplinks_of(scene, view.netns)
    shared = {*uplinks.values(), *uplinks}
    names = {link.index: name for name, link in view.links.items()}
    ours = {index for index, name in names.items() if name in made or (view.netns, name) in scene.owned_links}
    ours -= {index for index, name in names.items() if name in shared}
    told = {index for index, name in names.items() if name in shared}  # by their addresses, as far as the kernel goes
    names = {index: uplinks.get(name, name) for index, name in names.items()}
    return [
        ForeignRoute(known_prefix(route.to), route.via, names.get(route.dev or 0))
        for route in view.routes
        if route.type == nl.RTN_UNICAST
        and (with_ours or route.protocol != nl.ROUTE_PROTOCOL)
        and route.dev not in ours
        and not (route.dev in told and route.protocol == nl.RTPROT_KERNEL)
    ]


def _overlaps(scene: _Scene) -> Iterator[str]:
    wanted: Dict[Optional[str], List[Placed]] = {}
    for placed in placed_addresses(scene.links):
        wanted.setdefault(placed.link.netns, []).append(placed)
    for netns, group in wanted.items():
        view = scene.host.views.get(netns)
        if view is not None:
            addresses, routes = _foreign_addresses(scene, view), _foreign_routes(scene, view)
            if addresses or routes:
                yield from overlap_problems(group, addresses, routes, place(netns))


def _is_up(link: WantedLink, view: Optional[NamespaceView]) -> WantedLink:
    """An interface that isn't ours, and of which the document doesn't say whether it is up, stays as it is."""
    if link.kind != FOREIGN or link.up is not None or view is None or link.name not in view.links:
        return link
    return link._replace(up=view.links[link.name].up)


def _gateways(scene: _Scene) -> Iterator[str]:
    """Gateways in namespaces that aren't this document's alone, by what the host and the document have together."""
    views = scene.host.views
    links = [_is_up(link, views.get(link.netns)) for link in scene.links]
    told = told_by_document(scene.topology, links)
    routed = {route.netns for route in scene.topology.routes}
    untold = {netns for netns in routed if netns not in told and _can_tell(scene, netns)}
    connected = connected_by_document(scene.topology, links, untold)
    up = {link.key: link.up for link in links if link.up is not None}
    for netns in untold:
        view = views.get(netns)
        if view is None:
            continue
        working = {name for name, link in view.links.items() if up.get((netns, name), link.up)}
        working |= {doing for done_for, doing in _uplinks_of(scene, netns).items() if done_for in working}
        for address in _foreign_addresses(scene, view):
            if address.link in working:
                connected[netns].add_address(address.own, address.network, address.link)
        for route in _foreign_routes(scene, view, with_ours=scene.fragment):
            if route.link in working and route.via is None:
                connected[netns].add_network(route.to, route.link or "")
    yield from unreachable_gateways(scene.topology, scene.where, connected)
