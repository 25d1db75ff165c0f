# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks and guests into topology documents: one of the guests' namespaces, then one for each network."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Set, Tuple

from ansible_collections.hostwire.linux.plugins.module_utils.document.prefix import is_link_local, known_ip

from . import handover, transfer
from .model import (
    BRIDGED,
    CLOSED,
    HOST_ONLY,
    INTERNAL,
    NAT,
    NAT_NETWORK,
    ROUTED,
    Network,
    Nic,
    Plugged,
    Port,
    Setup,
    gateway,
    offset,
    on_host,
)
from .names import INNER, NAMESPACES, OUTER, SWITCH, document, link_name, router, services

Document = Dict[str, Any]
INSIDE = "inside"  # the interface of a router towards its guest, and of a server's namespace


def documents(setup: Setup, there: Optional[Mapping[str, Document]] = None) -> List[Document]:
    """The documents in the order in which they are to be applied: what goes, the namespaces, then the networks.

    A network of which another one takes something over comes twice, first without that; see handover.
    ``there``: the documents on the host by name. A namespace that is no guest's any more is kept until the networks
    have taken their cables out of it; the document of namespaces then comes once more at the end. Namespaces that
    networks use of which nothing is said here stay, and routers keep their addresses.
    """
    there = there or {}
    made = there.get(NAMESPACES, {}).get("namespaces") or ()
    wanted = _namespaces(setup)
    wanted += _used_elsewhere(setup, {namespace["name"] for namespace in wanted}, there)
    kept = {namespace["name"] for namespace in wanted}
    leaving = [namespace for namespace in made if namespace["name"] not in kept]
    gone = [{"name": document(n.name), "state": "absent"} for n in reversed(setup.networks) if not n.present]
    # A routed network may have the switch of a bridged one as its uplink, which has to be there.
    order = sorted(setup.networks, key=lambda network: network.mode == ROUTED)
    networks = [_network(setup, network, there) for network in order if network.present]
    networks = [*handover.handovers(networks, there), *networks]
    last = {"name": NAMESPACES, "namespaces": wanted} if wanted else {"name": NAMESPACES, "state": "absent"}
    if not wanted:
        return [*gone, *networks, last]
    if not leaving:
        return [*gone, last, *networks]
    first = {"name": NAMESPACES, "namespaces": [*wanted, *leaving]}
    return [*gone, first, *networks, last]


def _namespaces(setup: Setup) -> List[Document]:
    """The namespaces of guests that are plugged in somewhere, with the name server of the network that has one."""
    known = {network.name: network for network in setup.networks}
    servers: Dict[str, str] = {}
    rooms: Dict[str, None] = {}
    for network in setup.networks:
        for member in setup.plugged[network.name]:
            if member.guest.kind == "namespace":
                rooms[member.guest.name] = None
                server = gateway(network, 4)
                if known[network.name].dns.enabled and server and (member.default or member.guest.name not in servers):
                    servers[member.guest.name] = server
    order = [guest.name for guest in setup.guests if guest.name in rooms]
    return [{"name": name, **({"nameservers": [servers[name]]} if name in servers else {})} for name in order]


def _used_elsewhere(setup: Setup, wanted: Set[str], there: Mapping[str, Document]) -> List[Document]:
    """The namespaces, as they are, into which a network leads that was made before and is not listed now."""
    listed = {document(network.name) for network in setup.networks}
    ends = {
        (veth.get("peer") or {}).get("netns")
        for name, found in there.items()
        if name.startswith(document("")) and name not in listed
        for veth in found.get("veths") or ()
    }
    made = there.get(NAMESPACES, {}).get("namespaces") or ()
    return [entry for entry in made if entry["name"] in ends and entry["name"] not in wanted]


def _network(setup: Setup, network: Network, there: Mapping[str, Document]) -> Document:
    members = setup.plugged[network.name]
    if network.mode == NAT:
        found = _nat(network, members, there.get(document(network.name), {}))
    else:
        found = _COMPOSERS[network.mode](network, members)
    return {"name": document(network.name), **{section: value for section, value in found.items() if value}}


def _nat_network(network: Network, members: Tuple[Plugged, ...]) -> Document:
    return {
        **_switched(network, members, _own_addresses(network)),
        "forwarding": _forwarding(network),
        "masquerade": [{"source": str(subnet), "except_to": network.name} for subnet in network.subnets],
        "published_ports": [
            entry
            for member in members
            for port in member.nic.ports
            for to in (member.nic.address, member.nic.address6)
            if to is not None
            for entry in _published(port, str(to.ip), port.to_port)
        ],
    }


def _host_only(network: Network, members: Tuple[Plugged, ...]) -> Document:
    return _switched(network, members, _own_addresses(network))


def _routed(network: Network, members: Tuple[Plugged, ...]) -> Document:
    return {
        **_switched(network, members, _own_addresses(network)),
        "interfaces": [{"name": network.uplink}],
        "forwarding": _forwarding(network),
    }


def _bridged(network: Network, members: Tuple[Plugged, ...]) -> Document:
    found = _switched(network, members, [])
    found["bridges"][0]["uplink"] = network.uplink
    return found


def _internal(network: Network, members: Tuple[Plugged, ...]) -> Document:
    """The host has no address here; the servers, where there are any, are a guest of their own."""
    found = _switched(network, members, [])
    if network.dhcp.enabled or network.dns.enabled:
        room = services(network.name)
        found["namespaces"] = [{"name": room}]
        peer = {"name": INSIDE, "netns": room, "addresses": _own_addresses(network), **_mtu(network)}
        cable = {"name": link_name(network.name, "services", INNER), "bridge": network.name, **_mtu(network)}
        found["veths"].append({**cable, "peer": peer})
    return found


def _switched(network: Network, members: Tuple[Plugged, ...], addresses: List[str]) -> Document:
    """A switch on the host with all guests plugged into it."""
    bridge: Document = {"name": network.name, "guests": {**network.policy, **_services(network)}, **_mtu(network)}
    if addresses:
        bridge["addresses"] = addresses
    found: Document = {"bridges": [bridge], "veths": [], "taps": [], "containers": [], "routes": []}
    for member in members:
        _plug(found, network, member, network.name)
    return found


def _services(network: Network) -> Document:
    """The servers that the guests use, where they run on the host itself."""
    serving = {"dhcp": network.dhcp.enabled, "dns": network.dns.enabled}
    used = [name for name, enabled in serving.items() if enabled and on_host(network)]
    return {"services": used} if used else {}


def _plug(found: Document, network: Network, member: Plugged, bridge: str, straight: Optional[Document] = None) -> None:
    """One guest's cable or tap into ``bridge`` on the host; with ``straight`` a namespace's leads to that end."""
    guest, nic = member.guest, member.nic
    name = link_name(network.name, guest.name)
    if guest.kind == "vm":
        owner = {"owner": guest.owner} if guest.owner else {}
        found["taps"].append({"name": nic.tap or name, "bridge": bridge, **owner, **_mtu(network)})
        return
    end: Document = {"name": nic.name}
    addresses = [str(address) for address in (nic.address, nic.address6) if address is not None]
    properties = {"addresses": addresses, "mac": nic.mac, "mtu": network.mtu, "leased": _asks(network, nic)}
    end.update({key: value for key, value in properties.items() if value})
    if guest.kind == "container":
        found["containers"].append({"container": guest.name, "bridge": bridge, **end})
        room = f"container:{guest.name}"
    else:
        here = straight or {"name": name, "bridge": bridge, **_mtu(network)}
        found["veths"].append({**here, "peer": {**end, "netns": guest.name}})
        room = guest.name
    if member.default:
        gateways = (
            (nic.gateway, nic.gateway6) if network.mode == BRIDGED else (gateway(network, 4), gateway(network, 6))
        )
        for to, via, address in zip(("0.0.0.0/0", "::/0"), gateways, (nic.address, nic.address6)):
            if via is not None and address is not None:
                # A link-local address is on every link; which one is meant has to be said.
                dev = {"dev": nic.name} if _is_link_local(via) else {}
                found["routes"].append({"netns": room, "to": to, "via": via, **dev})


def _asks(network: Network, nic: Nic) -> bool:
    """Whether the guest sees to an address itself, by DHCP or router advertisements."""
    served6 = network.mode == BRIDGED or network.dhcp.slaac or network.dhcp.range6 is not None
    return nic.address is None or (nic.address6 is None and served6)


def _is_link_local(address: str) -> bool:
    ip = known_ip(address)
    return is_link_local(ip.family, ip.number)


def _nat(network: Network, members: Tuple[Plugged, ...], before: Document) -> Document:
    """A switch that joins the routers and the host, and behind each router one guest."""
    numbers = transfer.numbers(network, [member.guest.name for member in members], before)
    outer = [subnet for subnet in (network.transfer, network.transfer6) if subnet is not None]
    bridge = {"name": network.name, "guests": network.policy, **_mtu(network)}
    found: Document = {
        "namespaces": [],
        "bridges": [{**bridge, "addresses": [offset(subnet, 1) for subnet in outer]}],
        "veths": [],
        "taps": [],
        "containers": [],
        "routes": [],
        "forwarding": _forwarding(network),
        "masquerade": [{"source": str(subnet), "except_to": network.name} for subnet in outer],
        "published_ports": [],
    }
    for member in members:
        _router(found, network, member, [(subnet, numbers[member.guest.name]) for subnet in outer])
    return found


def _router(found: Document, network: Network, member: Plugged, outer: List[Tuple[Any, int]]) -> None:
    """One guest's router: its namespace, the cable to the network's switch, and the way to the guest."""
    guest, room = member.guest.name, router(network.name, member.guest.name)
    found["namespaces"].append({"name": room, "forwarding": _forwarding(network)})
    outside = {
        "name": transfer.OUTSIDE,
        "netns": room,
        "addresses": [offset(*place) for place in outer],
        **_mtu(network),
    }
    cable = {"name": link_name(network.name, guest, OUTER), "bridge": network.name, **_mtu(network)}
    found["veths"].append({**cable, "peer": outside})
    for subnet, dummy in outer:
        to = "0.0.0.0/0" if subnet.version == 4 else "::/0"
        found["routes"].append({"netns": room, "to": to, "via": offset(subnet, 1, length=False)})
    found["masquerade"] += [{"netns": room, "source": str(subnet), "except_to": INSIDE} for subnet in network.subnets]
    inside = {"name": INSIDE, "netns": room, "addresses": _own_addresses(network), **_mtu(network)}
    if member.guest.kind == "namespace":
        _plug(found, network, member, network.name, inside)
    else:
        switch = link_name(network.name, guest, SWITCH)
        found["bridges"].append({"name": switch, "guests": dict(CLOSED), **_mtu(network)})
        inner = {"name": link_name(network.name, guest, INNER), "bridge": switch, **_mtu(network)}
        found["veths"].append({**inner, "peer": inside})
        _plug(found, network, member, switch)
    found["published_ports"] += _through_router(network, member, room, outer)


def _through_router(network: Network, member: Plugged, room: str, outer: List[Tuple[Any, int]]) -> Iterator[Document]:
    """A port of the host leads to the same port of the router, and that one to the guest's."""
    for port in member.nic.ports:
        for (subnet, number), guest in zip(outer, (member.nic.address, member.nic.address6)):
            own = offset(subnet, number, length=False)
            for entry in _published(port, own, port.first):
                yield entry
                yield {
                    "netns": room,
                    "protocol": port.protocol,
                    "port": _span(port.first, port.last),
                    "address": own,
                    "to": _target(str(guest.ip), port.to_port, port.last - port.first),
                }


def _published(port: Port, to: str, to_port: int) -> Iterator[Document]:
    """The document's entry for a port that leads to ``to``; none where its address or sources aren't of that family."""
    family = 6 if ":" in to else 4
    if not port.is_of(family):
        return
    sources = list(port.sources_of(family))
    entry = {"protocol": port.protocol, "port": _span(port.first, port.last), "address": port.address}
    yield {
        **entry,
        "to": _target(to, to_port, port.last - port.first),
        **({"sources": sources} if sources else {}),
    }


def _span(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"


def _target(address: str, port: int, more: int) -> str:
    shown = f"[{address}]" if ":" in address else address
    return f"{shown}:{_span(port, port + more)}"


def _own_addresses(network: Network) -> List[str]:
    """What the host, the router or the server has on the guests' side."""
    return [offset(subnet, network.its.gateway) for subnet in network.subnets]


def _forwarding(network: Network) -> Dict[str, bool]:
    return {"ipv4": True, **({"ipv6": True} if network.subnet6 is not None else {})}


def _mtu(network: Network) -> Dict[str, Any]:
    return {"mtu": network.mtu} if network.mtu else {}


_COMPOSERS: Dict[str, Callable[[Network, Tuple[Plugged, ...]], Document]] = {
    NAT_NETWORK: _nat_network,
    BRIDGED: _bridged,
    INTERNAL: _internal,
    HOST_ONLY: _host_only,
    ROUTED: _routed,
}
