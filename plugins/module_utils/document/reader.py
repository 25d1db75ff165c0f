# SPDX-License-Identifier: GPL-3.0-or-later
"""A document, as a plain dict, into a Topology; field by field, all that is wrong noted on the way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable, Dict, FrozenSet, List, Optional, Sequence, Set, Tuple

from .. import model
from ..rows import NamedTuple
from .containers import container
from .fields import (
    DOCUMENT_NAME,
    EXCEPT_LO,
    HOST_NAME,
    MTU_HIGHEST,
    MTU_HIGHEST_LO,
    MTU_LOWEST,
    Fields,
    join,
    open_mapping,
    shown,
)
from .guests import guest_policy
from .prefix import is_loopback, why_not_a_host
from .probes import probe
from .published import published_port
from .routes import route
from .rules import rule_problems
from .sysctls import sysctls
from .taps import tap
from .where import Where

KEYS = frozenset((
    "name", "state", "namespaces", "bridges", "veths", "interfaces", "taps", "containers", "routes", "forwarding",
    "masquerade", "published_ports", "sysctls", "probes",
))  # fmt: skip
_PEER = frozenset(("name", "netns", "bridge", "addresses", "mac", "mtu", "up", "leased"))


class Reading(NamedTuple):
    """What was read: the topology, one line per problem, and where in the document each object stands.

    An object whose name or namespace can't be read is left out of ``topology``; another wrong field is as if it were
    not there.
    """

    topology: model.Topology
    problems: Tuple[str, ...]
    where: Where


def read(document: Mapping[str, Any], rules: bool = True) -> Reading:
    """Read a document; never raises for bad input, whatever it is. No problems: the topology is good as it stands.

    What only the host can tell (a namespace or bridge that the document doesn't make) is left to plan.preflight.
    With ``state: absent`` only what identifies an object has to be there, as far as it shall be told from others (see
    identity), and nothing is checked across objects: a veth without a peer then has one without a name. Nor without
    ``rules``, of a part of a document that is known to be good.
    """
    problems: List[str] = []
    top = open_mapping(document, "", KEYS, problems)
    if top is None:
        return Reading(model.Topology(), tuple(problems), Where({}, frozenset(), True))
    absent = top.choice("state", ("present", "absent"), "present") == "absent"
    found: Dict[str, Tuple[Any, ...]] = {}
    paths: Dict[str, Tuple[str, ...]] = {}
    doubtful: Set[Optional[str]] = set()
    everywhere = False
    spoken: Set[str] = set()
    for name, section in SECTIONS.items():
        found[name], paths[name], wrong = _section(top, name, section, absent)
        for entry in wrong:
            spoken.update(_texts(entry))
        for entry in wrong if section.connects else ():
            rooms = _namespaces_of(entry, "peer" in section.keys)
            doubtful.update(rooms)
            everywhere |= not rooms
    topology = model.Topology(
        name=_document_name(top),
        present=not absent,
        forwarding=_forwarding(top, "forwarding", model.Forwarding(), ("ipv4", "ipv6", "networks")),
        sysctls=sysctls(top),
        **found,
    )
    where = Where(paths, frozenset(doubtful), everywhere, frozenset(spoken))
    if rules and not absent:
        problems.extend(rule_problems(topology, where))
    return Reading(topology, tuple(problems), where)


class _Section(NamedTuple):
    """A list of the document: the keys of its entries, what reads one (None: unreadable).

    ``connects``: an entry can make a gateway reachable, so that a wrong one leaves its namespace in doubt.
    """

    keys: FrozenSet[str]
    read: Callable[[Fields, bool], Any]
    connects: bool = False


def _section(
    top: Fields, name: str, section: _Section, absent: bool
) -> Tuple[Tuple[Any, ...], Tuple[str, ...], List[Any]]:
    """The objects of one list, the path of each, and the entries that something was wrong with."""
    entries = top.values.get(name)
    if entries is None:
        return (), (), []
    if not isinstance(entries, (list, tuple)):
        top.problem(name, f"{shown(entries)} is not a list; say one entry per line, each with a dash")
        return (), (), [entries]
    problems = top.problems
    objects: List[Any] = []
    paths: List[str] = []
    wrong: List[Any] = []
    for index, entry in enumerate(entries):
        before = len(problems)
        path = f"{name}[{index}]"
        fields = open_mapping(entry, path, section.keys, problems)
        value = section.read(fields, absent) if fields else None
        if value is not None:
            objects.append(value)
            paths.append(path)
        if len(problems) > before:
            wrong.append(entry)
    return tuple(objects), tuple(paths), wrong


def _texts(entry: object) -> List[str]:
    """What a wrong entry may be called: itself, or one of its fields or keys."""
    if isinstance(entry, Mapping):
        return [text for pair in entry.items() for text in pair if isinstance(text, str)]
    return [entry] if isinstance(entry, str) else []


def _namespaces_of(entry: object, has_peer: bool) -> Set[Optional[str]]:
    """The namespaces that a wrong entry may have addresses in; empty where that can't be told."""
    if not isinstance(entry, Mapping):
        return set()
    if isinstance(entry.get("container"), str):
        return {model.CONTAINER + entry["container"]}
    rooms = {entry.get("netns")} if isinstance(entry.get("netns"), (str, type(None))) else set()
    if has_peer:
        others = _namespaces_of(entry.get("peer"), False)
        return rooms | others if rooms and others else set()
    return rooms


def _document_name(top: Fields) -> str:
    name = top.text("name", "a name for the document")
    if name is None or DOCUMENT_NAME.fullmatch(name):
        return name or "main"
    top.problem("name", f"{shown(name)} is no name for a document; use up to 32 letters, digits, _ . and -, "
                        "beginning with a letter or digit")  # fmt: skip
    return "main"


def _forwarding(fields: Fields, key: str, default: model.Forwarding, keys: Sequence[str]) -> model.Forwarding:
    value = fields.values.get(key)
    if value is None:
        return default
    inner = open_mapping(value, join(fields.path, key), frozenset(keys), fields.problems)
    if inner is None:
        return default
    ipv4, ipv6 = inner.boolean("ipv4"), inner.boolean("ipv6")
    return model.Forwarding(
        default.ipv4 if ipv4 is None else ipv4,
        default.ipv6 if ipv6 is None else ipv6,
        inner.networks("networks") if "networks" in keys else (),
    )


def _namespace(fields: Fields, absent: bool) -> Optional[model.Namespace]:
    if not fields.required("name", "how the namespace is called"):
        return None
    name = fields.netns("name")
    values = fields.values
    if name is None:
        return None
    if len(values) == 1:
        return model.Namespace(name)
    return model.Namespace(
        name,
        _forwarding(fields, "forwarding", model.Forwarding(False, False), ("ipv4", "ipv6")),
        sysctls(fields),
        _nameservers(fields),
        _hosts(fields),
    )


def _nameservers(fields: Fields) -> Tuple[str, ...]:
    found: List[str] = []
    for where, text in fields.text_items("nameservers", "[192.168.15.5]"):
        ip = fields.ip_of(where, text)
        reason = why_not_a_host(ip.family, ip.number) if ip else None
        if reason:
            fields.problem(where, f"{shown(text)} {reason}")
        elif ip and ip.text in found:
            fields.problem(where, f"{ip.text} is there twice")
        elif ip:
            found.append(ip.text)
    if len(found) > 3:  # MAXNS of resolv.h: the others would never be asked
        fields.problem("nameservers", f"{len(found)} are too many; a resolver asks the first 3 only")
    return tuple(found)


def _hosts(fields: Fields) -> Tuple[Tuple[str, str], ...]:
    value = fields.values.get("hosts")
    if value is None:
        return ()
    if not isinstance(value, Mapping):
        fields.problem("hosts", f"{shown(value)} is not a mapping of names to addresses, like {{localdb: 10.0.2.12}}")
        return ()
    found: Dict[str, str] = {}
    for name, address in value.items():
        key = f"hosts[{name if isinstance(name, str) and name.isprintable() else shown(name)}]"
        if not isinstance(name, str) or not HOST_NAME.fullmatch(name):
            fields.problem(key, f"{shown(name)} is not a host's name; use letters, digits, - and dots between")
        elif not isinstance(address, str):
            fields.problem(key, f"{shown(address)} is not an address, like 10.0.2.12")
        else:
            ip = fields.ip_of(key, address)
            if ip:
                found[name] = ip.text
    return tuple(sorted(found.items()))


def _bridge(fields: Fields, absent: bool) -> Optional[model.Bridge]:
    before = len(fields.problems)
    fields.required("name", "how the bridge is called")
    name, netns = fields.interface("name"), fields.netns()
    readable = name is not None and len(fields.problems) == before
    bridge = model.Bridge(
        name or "",
        netns,
        fields.link_addresses(),
        fields.mac(),
        fields.integer("mtu", MTU_LOWEST, MTU_HIGHEST),
        fields.flag("up", True),
        fields.flag("stp", False),
        fields.flag("vlan_filtering", False),
        guest_policy(fields),
        fields.interface("uplink"),
    )
    return bridge if readable else None


def _end(fields: Fields) -> Optional[model.End]:
    before = len(fields.problems)
    fields.required("name", "how this end of the cable is called")
    name, netns = fields.interface("name"), fields.netns()
    readable = name is not None and len(fields.problems) == before
    end = model.End(
        name or "",
        netns,
        fields.interface("bridge"),
        fields.link_addresses(),
        fields.mac(),
        fields.integer("mtu", MTU_LOWEST, MTU_HIGHEST),
        fields.flag("up", True),
        fields.flag("leased", False),
    )
    return end if readable else None


def _veth(fields: Fields, absent: bool) -> Optional[model.Veth]:
    a = _end(fields)
    peer = fields.values.get("peer")
    if peer is None:
        if absent:
            return model.Veth(a, model.End("")) if a else None
        fields.missing("peer", "the cable's other end, like {name: veth-red, netns: red}")
        return None
    inner = open_mapping(peer, fields.path + ".peer", _PEER, fields.problems)
    b = _end(inner) if inner else None
    return model.Veth(a, b) if a and b else None


def _interface(fields: Fields, absent: bool) -> Optional[model.Interface]:
    before = len(fields.problems)
    fields.required("name", "how the interface is called")
    name, netns = fields.interface("name", EXCEPT_LO), fields.netns()
    readable = name is not None and len(fields.problems) == before
    is_lo = name == "lo"
    up, bridge = fields.boolean("up"), fields.interface("bridge")
    if is_lo and up is False:
        fields.problem("up", "lo is up in every namespace; leave it out")
    if is_lo and bridge:
        fields.problem("bridge", "lo can't be a port of a bridge")
    addresses = fields.link_addresses(loopback=is_lo)
    mtu = fields.integer("mtu", MTU_LOWEST, MTU_HIGHEST_LO if is_lo else MTU_HIGHEST)
    return model.Interface(name or "", netns, addresses, mtu, up, bridge) if readable else None


def _masquerade(fields: Fields, absent: bool) -> Optional[model.Masquerade]:
    before = len(fields.problems)
    if not fields.required("source", "the network whose packets are to leave with another address"):
        return None
    netns = fields.netns()
    text = fields.text("source", "a network, like 192.168.15.0/24")
    source = fields.network("source", text) if text else None
    except_to = fields.interfaces("except_to", EXCEPT_LO)
    to_source = fields.ip("to_source")
    if source and to_source:
        reason = why_not_a_host(to_source.family, to_source.number)
        if is_loopback(to_source.family, to_source.number):
            reason = "is a loopback address, to which no answer finds back"
        if reason:
            fields.problem("to_source", f"{to_source.text} {reason}")
        elif to_source.family != source.family:
            fields.problem("to_source", f"{to_source.text} is of the other family than {source.text}")
    if source is None or len(fields.problems) > before:
        return None
    return model.Masquerade(netns, source.text, except_to, to_source.text if to_source else None)


SECTIONS: Dict[str, _Section] = {
    "namespaces": _Section(frozenset(("name", "forwarding", "sysctls", "nameservers", "hosts")), _namespace),
    "bridges": _Section(
        frozenset(("name", "netns", "addresses", "uplink", "mac", "mtu", "up", "stp", "vlan_filtering", "guests")),
        _bridge,
        True,
    ),
    "veths": _Section(_PEER | {"peer"}, _veth, True),
    "interfaces": _Section(frozenset(("name", "netns", "addresses", "mtu", "up", "bridge")), _interface, True),
    "taps": _Section(frozenset(("name", "netns", "bridge", "mac", "mtu", "up", "owner")), tap),
    "containers": _Section(
        frozenset(("container", "name", "bridge", "addresses", "mac", "mtu", "leased")), container, True
    ),
    "routes": _Section(frozenset(("netns", "to", "via", "dev", "metric", "table", "type", "nexthops")), route, True),
    "masquerade": _Section(frozenset(("source", "except_to", "netns", "to_source")), _masquerade),
    "published_ports": _Section(frozenset(("protocol", "port", "to", "address", "netns", "sources")), published_port),
    "probes": _Section(frozenset(("from", "to", "protocol", "port", "expect")), probe),
}
