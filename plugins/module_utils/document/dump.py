# SPDX-License-Identifier: GPL-3.0-or-later
"""A Topology back into a document: the same for every order of its entries, defaults left out."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Union

from .. import model
from .published import DEFAULT_ADDRESS
from .routes import TABLE_ANY

Entry = Dict[str, Any]


def canonical(topology: model.Topology) -> model.Topology:
    """The same topology with each list in the order that dump writes it: equal for documents that mean the same."""
    lists: Dict[str, Any] = {name: tuple(sorted(getattr(topology, name), key=key)) for name, key in _ORDER.items()}
    return topology._replace(**lists)


def dump(topology: model.Topology) -> Entry:
    """The document of a topology, with plain values only; read gives canonical(topology) back."""
    ordered = canonical(topology)
    document: Entry = {"name": topology.name}
    if not topology.present:
        document["state"] = "absent"
    for section, entry in _SECTIONS.items():
        objects = getattr(ordered, section)
        if objects:
            document[section] = [entry(value) for value in objects]
    _add(document, "forwarding", _forwarding(topology.forwarding, model.Forwarding()))
    _add(document, "sysctls", dict(topology.sysctls))
    _add(document, "probes", [_probe(value) for value in ordered.probes])
    return document


def _add(entry: Entry, key: str, value: Any) -> None:
    """Add a field that isn't empty."""
    if value is not None and value != [] and value != {}:
        entry[key] = value


def _forwarding(value: model.Forwarding, default: model.Forwarding) -> Entry:
    entry: Entry = {}
    _add(entry, "ipv4", value.ipv4 if value.ipv4 != default.ipv4 else None)
    _add(entry, "ipv6", value.ipv6 if value.ipv6 != default.ipv6 else None)
    _add(entry, "networks", list(value.networks))
    return entry


def _namespace(value: model.Namespace) -> Entry:
    entry: Entry = {"name": value.name}
    _add(entry, "forwarding", _forwarding(value.forwarding, model.Forwarding(False, False)))
    _add(entry, "sysctls", dict(value.sysctls))
    _add(entry, "nameservers", list(value.nameservers))
    _add(entry, "hosts", dict(value.hosts))
    return entry


def _bridge(value: model.Bridge) -> Entry:
    entry = _port(value)
    for flag in ("stp", "vlan_filtering"):
        if getattr(value, flag):
            entry[flag] = True
    _add(entry, "uplink", value.uplink)
    if value.guests is not None:  # also where nothing is closed: that it is a guest network is said by the field alone
        told = value.guests._asdict()
        services, from_others = list(told.pop("services")), told.pop("from_others")
        entry["guests"] = {name: False for name, allowed in told.items() if not allowed}
        _add(entry["guests"], "from_others", from_others or None)
        _add(entry["guests"], "services", services)
    return entry


def _port(value: Union[model.End, model.Bridge, model.Tap]) -> Entry:
    """What an end of a cable, a bridge and a tap have in common."""
    entry: Entry = {"name": value.name}
    _add(entry, "netns", value.netns)
    if not isinstance(value, model.Bridge):
        _add(entry, "bridge", value.bridge)
    if not isinstance(value, model.Tap):
        _add(entry, "addresses", list(value.addresses))
    _add(entry, "mac", value.mac)
    _add(entry, "mtu", value.mtu)
    if not value.up:
        entry["up"] = False
    if isinstance(value, model.End) and value.leased:
        entry["leased"] = True
    return entry


def _veth(value: model.Veth) -> Entry:
    entry = _port(value.a)
    if value.b.name:  # a document with state absent may leave the peer out
        entry["peer"] = _port(value.b)
    return entry


def _tap(value: model.Tap) -> Entry:
    entry = _port(value)
    _add(entry, "owner", value.owner)
    return entry


def _container(value: model.Container) -> Entry:
    entry: Entry = {"container": value.container, "name": value.name}
    _add(entry, "bridge", value.bridge)
    _add(entry, "addresses", list(value.addresses))
    _add(entry, "mac", value.mac)
    _add(entry, "mtu", value.mtu)
    if value.leased:
        entry["leased"] = True
    return entry


def _interface(value: model.Interface) -> Entry:
    entry: Entry = {"name": value.name}
    _add(entry, "netns", value.netns)
    _add(entry, "bridge", value.bridge)
    _add(entry, "addresses", list(value.addresses))
    _add(entry, "mtu", value.mtu)
    _add(entry, "up", value.up)
    return entry


def _route(value: model.Route) -> Entry:
    entry: Entry = {}
    _add(entry, "netns", value.netns)
    entry["to"] = value.to
    _add(entry, "via", value.via)
    _add(entry, "dev", value.dev)
    _add(entry, "metric", value.metric)
    _add(entry, "table", value.table if value.table not in (model.TABLE_MAIN, TABLE_ANY) else None)
    _add(entry, "type", value.type if value.type != "unicast" else None)
    nexthops: List[Entry] = []
    for hop in value.nexthops:
        nexthop: Entry = {}
        _add(nexthop, "via", hop.via)
        _add(nexthop, "dev", hop.dev)
        _add(nexthop, "weight", hop.weight if hop.weight != 1 else None)
        nexthops.append(nexthop)
    _add(entry, "nexthops", nexthops)
    return entry


def _masquerade(value: model.Masquerade) -> Entry:
    entry: Entry = {}
    _add(entry, "netns", value.netns)
    entry["source"] = value.source
    _add(entry, "except_to", value.except_to[0] if len(value.except_to) == 1 else list(value.except_to))
    _add(entry, "to_source", value.to_source)
    return entry


def _published_port(value: model.PublishedPort) -> Entry:
    entry: Entry = {}
    _add(entry, "netns", value.netns)
    _add(entry, "protocol", value.protocol or None)
    entry["port"] = _ports(value.port, value.port_last)
    if value.to_address:
        host = f"[{value.to_address}]" if ":" in value.to_address else value.to_address
        entry["to"] = f"{host}:{_ports(value.to_port, value.to_port + value.port_last - value.port)}"
    if value.address not in (DEFAULT_ADDRESS, ""):
        entry["address"] = value.address
    _add(entry, "sources", list(value.sources))
    return entry


def _ports(first: int, last: int) -> Union[int, str]:
    return first if first == last else f"{first}-{last}"


def _probe(value: model.Probe) -> Entry:
    entry: Entry = {}
    _add(entry, "from", value.source)
    entry["to"] = value.to
    if value.protocol != "icmp":
        entry["protocol"] = value.protocol
    _add(entry, "port", value.port)
    if not value.reachable:
        entry["expect"] = "unreachable"
    return entry


_SECTIONS: Dict[str, Callable[[Any], Entry]] = {
    "namespaces": _namespace,
    "bridges": _bridge,
    "veths": _veth,
    "interfaces": _interface,
    "taps": _tap,
    "containers": _container,
    "routes": _route,
    "masquerade": _masquerade,
    "published_ports": _published_port,
}
_ORDER: Dict[str, Callable[[Any], Any]] = {
    "namespaces": lambda value: value.name,
    "bridges": lambda value: (value.netns or "", value.name),
    "veths": lambda value: (value.a.netns or "", value.a.name, value.b.netns or "", value.b.name),
    "interfaces": lambda value: (value.netns or "", value.name),
    "taps": lambda value: (value.netns or "", value.name),
    "containers": lambda value: (value.container, value.name),
    "routes": lambda value: (value.netns or "", value.table, ":" in value.to, value.to, value.metric or 0, repr(value)),
    "masquerade": lambda value: (value.netns or "", value.source, value.except_to, value.to_source or ""),
    "published_ports": lambda value: (value.netns or "", value.protocol, value.port, value.address, repr(value)),
    "probes": lambda value: (value.source or "", value.to, value.protocol, value.port or 0, value.reachable),
}
