# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role's variables into networks and guests, field by field, all that is wrong noted on the way."""

from __future__ import annotations

import re
from typing import Any, Dict, List, Optional, Sequence, Tuple

from ansible_collections.hostwire.linux.plugins.module_utils.document.fields import (
    ALL_DIGITS,
    HOST_NAME,
    Fields,
    open_mapping,
    shown,
)
from ansible_collections.hostwire.linux.plugins.module_utils.document.prefix import parse_ip, why_not_an_ip
from ansible_collections.hostwire.linux.plugins.module_utils.document.published import why_not_published_on
from ansible_collections.hostwire.linux.plugins.module_utils.document.rules import IPV6_LEAST_MTU

from .fields import host_on, ip_range, subnet_of
from .model import (
    BRIDGED,
    KINDS,
    MODES,
    NAT,
    NAT_GUEST,
    ROUTED,
    SMALLEST,
    SMALLEST_NAT,
    TRANSFER,
    TRANSFER6,
    Dhcp,
    Dns,
    Guest,
    Network,
    Nic,
    Port,
    offset,
)
from .names import NAMESPACES, document

_NETWORK = frozenset((
    "name", "mode", "state", "subnet", "subnet6", "uplink", "host_access", "transfer", "transfer6", "dhcp", "dns",
    "mtu",
))  # fmt: skip
_DHCP = frozenset(("enabled", "range", "range6", "lease_time", "sequential"))
_DNS = frozenset(("enabled", "domain", "upstream", "rebind_ok"))
_GUEST = frozenset(("name", "kind", "owner", "nics"))
_NIC = frozenset((
    "network", "address", "address6", "mac", "name", "default_route", "gateway", "gateway6", "tap", "published_ports",
))  # fmt: skip
_PORT = frozenset(("protocol", "port", "to_port", "address", "sources"))
_NETWORK_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,9}", re.ASCII)
_GUEST_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", re.ASCII)  # a label of DNS has at most 63
_LEASE_TIME = re.compile(r"infinite|[0-9]{1,9}[smhdw]?", re.ASCII)
MTU = (68, 65535)  # RFC 791's smallest datagram, ETH_MAX_MTU


def read_networks(value: Any, problems: List[str]) -> Tuple[Network, ...]:
    """The networks that could be read."""
    found = (_network(fields) for fields in _entries(value, "networks", _NETWORK, problems))
    return tuple(network for network in found if network)


def read_guests(value: Any, networks: Sequence[Network], problems: List[str]) -> Tuple[Guest, ...]:
    """The guests that could be read. A NIC in a network that is to be absent is left out."""
    known = {network.name: network for network in networks}
    found = (_guest(fields, known) for fields in _entries(value, "guests", _GUEST, problems))
    return tuple(guest for guest in found if guest)


def _entries(value: Any, path: str, known: frozenset[str], problems: List[str]) -> List[Fields]:
    """The objects of a list."""
    if value is None:
        return []
    if not isinstance(value, (list, tuple)):
        problems.append(f"{path}: {shown(value)} is not a list; say one entry per line, each with a dash")
        return []
    opened = (open_mapping(entry, f"{path}[{index}]", known, problems) for index, entry in enumerate(value))
    return [fields for fields in opened if fields]


def _network(fields: Fields) -> Optional[Network]:
    name = fields.text("name", "the network's name, like office")
    if fields.values.get("name") is None:
        fields.missing("name", "the network's name, like office")
    if name is not None and not _network_name(fields, name):
        name = None
    if fields.choice("state", ("present", "absent"), "present") == "absent":
        return Network(fields.path, name, "", False) if name else None
    if fields.values.get("mode") is None:
        fields.missing("mode", f"one of {', '.join(MODES)}")
        return None
    before = len(fields.problems)
    mode = fields.choice("mode", tuple(MODES), "")
    if not mode:
        return None
    network = Network(fields.path, name or "", mode, mtu=fields.integer("mtu", *MTU), uplink=_uplink(fields, mode))
    network = network._replace(host_access=_host_access(fields, mode), **_subnets(fields, mode))
    network = network._replace(dhcp=_dhcp(fields, network), dns=_dns(fields, mode))
    if network.mtu is not None and network.mtu < IPV6_LEAST_MTU and network.subnet6 is not None:
        fields.problem("mtu", f"{network.mtu} is under {IPV6_LEAST_MTU}, the least that IPv6 works with")
    return network if name and len(fields.problems) == before else None


def _network_name(fields: Fields, name: str) -> bool:
    if not _NETWORK_NAME.fullmatch(name):
        reason = "use at most 10 lower-case letters, digits and -, beginning with a letter or digit"
        fields.problem("name", f"{shown(name)} is no name for a network; {reason}")
        return False
    if name in ("all", "default", "lo") or document(name) == NAMESPACES:
        fields.problem("name", f"{shown(name)} is reserved; choose another name")
        return False
    return True


def _uplink(fields: Fields, mode: str) -> Optional[str]:
    uplink = fields.interface("uplink")
    if fields.values.get("uplink") is None:
        if mode == BRIDGED:
            fields.missing("uplink", "the host's network card that goes into the switch, like eth0")
        elif mode == ROUTED:
            fields.missing("uplink", "the interface towards the LAN, like eth0")
    elif mode not in (BRIDGED, ROUTED):
        fields.problem("uplink", f"a network in mode {mode} has none; leave it out, or say mode: bridged or routed")
    return uplink


def _host_access(fields: Fields, mode: str) -> bool:
    access = fields.flag("host_access", True)
    if mode != NAT and fields.values.get("host_access") is not None:
        fields.problem("host_access", f"only mode nat has it, and this is {mode}; leave it out")
    return access


def _subnets(fields: Fields, mode: str) -> Dict[str, Any]:
    """Subnets of a network, and in mode nat those between its routers."""
    if mode == BRIDGED:
        for key in ("subnet", "subnet6", "transfer", "transfer6"):
            if fields.values.get(key) is not None:
                fields.problem(key, "a bridged network has the LAN's; leave it out")
        return {}
    smallest = SMALLEST_NAT if mode == NAT else SMALLEST
    if mode == ROUTED and fields.values.get("subnet") is None:
        fields.missing("subnet", "the network that the LAN routes to this host, like 10.30.0.0/24")
    found = {
        "subnet": subnet_of(fields, "subnet", 4, smallest[4], MODES[mode].subnet),
        "subnet6": subnet_of(fields, "subnet6", 6, smallest[6]),
    }
    if mode == NAT:
        found["transfer"] = subnet_of(fields, "transfer", 4, SMALLEST[4], TRANSFER)
        found["transfer6"] = subnet_of(fields, "transfer6", 6, SMALLEST[6], TRANSFER6 if found["subnet6"] else None)
    else:
        for key in ("transfer", "transfer6"):
            if fields.values.get(key) is not None:
                fields.problem(key, f"only mode nat has routers, and this is {mode}; leave it out")
    return found


def _dhcp(fields: Fields, network: Network) -> Dhcp:
    inner = _inner(fields, "dhcp", _DHCP)
    if inner is None:
        return Dhcp()
    enabled = inner.flag("enabled", False)
    if enabled and not network.its.serves:
        inner.problem("enabled", "a bridged network has the LAN's DHCP server; leave it out")
    if network.mode == NAT:
        for key in ("range", "range6"):
            if inner.values.get(key) is not None and inner.values[key] != "slaac":
                inner.problem(key, "in mode nat the only address to give is the one of each guest; leave it out")
        return Dhcp(enabled, None, None, inner.values.get("range6") == "slaac", _lease_time(inner))
    slaac = inner.values.get("range6") == "slaac"
    if slaac and network.subnet6 is not None and network.subnet6.prefixlen != 64:
        inner.problem("range6", f"slaac needs a /64 (RFC 4862), and subnet6 is {network.subnet6}")
    return Dhcp(
        enabled,
        ip_range(inner, "range", network.subnet, network.its.gateway),
        None if slaac else ip_range(inner, "range6", network.subnet6, network.its.gateway),
        slaac,
        _lease_time(inner),
        inner.flag("sequential", False),
    )


def _lease_time(fields: Fields) -> Optional[str]:
    value = fields.values.get("lease_time")
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else fields.text("lease_time", "1h")
    if text is not None and not _LEASE_TIME.fullmatch(text):
        fields.problem("lease_time", f"{shown(text)} is no time; say it like 1h, 30m, 3600 (seconds) or infinite")
        return None
    return text


def _dns(fields: Fields, mode: str) -> Dns:
    inner = _inner(fields, "dns", _DNS)
    if inner is None:
        return Dns()
    enabled = inner.flag("enabled", False)
    if enabled and not MODES[mode].serves:
        inner.problem("enabled", "a bridged network has the LAN's DNS server; leave it out")
    domain = inner.text("domain", "a domain, like office.test")
    if domain is not None and not HOST_NAME.fullmatch(domain):
        inner.problem("domain", f"{shown(domain)} is no domain; say one like office.test")
    upstream = [inner.ip_of(where, text) for where, text in inner.text_items("upstream", "[192.168.1.1]")]
    if upstream and mode == "internal":
        inner.problem("upstream", "an internal network leads to no other server; leave it out")
    return Dns(enabled, domain, tuple(ip.text for ip in upstream if ip), _rebind_ok(inner))


def _rebind_ok(fields: Fields) -> Tuple[str, ...]:
    found: List[str] = []
    for where, text in fields.text_items("rebind_ok", "[corp.example.com]"):
        if not HOST_NAME.fullmatch(text):
            fields.problem(where, f"{shown(text)} is no domain; say one like corp.example.com")
        elif text in found:
            fields.problem(where, f"{text} is there twice")
        else:
            found.append(text)
    return tuple(found)


def _inner(fields: Fields, key: str, known: frozenset[str]) -> Optional[Fields]:
    value = fields.values.get(key)
    return None if value is None else open_mapping(value, f"{fields.path}.{key}", known, fields.problems)


def _guest(fields: Fields, networks: Dict[str, Network]) -> Optional[Guest]:
    what = "the name of its namespace or container"
    name = fields.text("name", what)
    if fields.values.get("name") is None:
        fields.missing("name", what)
    if name is not None and (not _GUEST_NAME.fullmatch(name) or ALL_DIGITS.fullmatch(name)):
        reason = "use at most 63 letters, digits, _ . and -, beginning with a letter or digit, not all digits"
        fields.problem("name", f"{shown(name)} is no name for a guest; {reason}")
        name = None
    kind = fields.choice("kind", KINDS, "namespace")
    owner = fields.values.get("owner")
    if owner is not None and kind != "vm":
        fields.problem("owner", f"only a tap of a vm has one, and this is a {kind}; leave it out")
    found = [
        _nic(nic, index, kind, networks)
        for index, nic in enumerate(_entries(fields.values.get("nics"), f"{fields.path}.nics", _NIC, fields.problems))
    ]
    nics = tuple(nic for nic in found if nic)
    return Guest(fields.path, name, kind, None if owner is None else str(owner), nics) if name else None


def _nic(fields: Fields, index: int, kind: str, networks: Dict[str, Network]) -> Optional[Nic]:
    name = fields.text("network", "the name of one of the networks")
    if fields.values.get("network") is None:
        fields.missing("network", "the name of one of the networks")
    network = networks.get(name or "")
    if network is None or not network.present:
        if name is not None and network is None:
            fields.problem("network", f"no network named {shown(name)}{_close(name, networks)}")
        return None
    interface = fields.interface("name") or (network.name if kind == "container" else f"eth{index}")
    tap = fields.interface("tap")
    if tap is not None and kind != "vm":
        fields.problem("tap", f"only a vm has a tap, and this is a {kind}; leave it out")
    nic = Nic(fields.path, network.name, interface, mac=fields.mac(), tap=tap, default_route=_route(fields, network))
    if network.mode == NAT:
        nic = nic._replace(address=_of_nat(fields, network, 4), address6=_of_nat(fields, network, 6))
    else:
        nic = nic._replace(address=_address(fields, network, 4), address6=_address(fields, network, 6))
    nic = nic._replace(gateway=_gateway(fields, network, 4), gateway6=_gateway(fields, network, 6))
    return nic._replace(ports=_ports(fields, network, nic))


def _close(name: str, networks: Dict[str, Network]) -> str:
    from ansible_collections.hostwire.linux.plugins.module_utils.suggestion import suggestion

    return suggestion(name, sorted(networks)) or f"; there are {', '.join(sorted(networks)) or 'none'}"


def _route(fields: Fields, network: Network) -> Optional[bool]:
    wanted = fields.boolean("default_route")
    if wanted and not network.its.leads_out:
        fields.problem("default_route", f"network {network.name} leads nowhere (mode {network.mode}); leave it out")
    return wanted


def _of_nat(fields: Fields, network: Network, family: int) -> Any:
    """The one address that a guest in mode nat has."""
    key, subnet = ("address", network.subnet) if family == 4 else ("address6", network.subnet6)
    if subnet is None:
        return host_on(fields, key, subnet, network, family)
    only = offset(subnet, NAT_GUEST[family])
    given = fields.values.get(key)
    if given is not None and given != only:
        fields.problem(key, f"in mode nat every guest has {only}, behind a router of its own; leave it out")
    return host_on(Fields({key: only}, fields.path, fields.problems), key, subnet, network, family)


def _address(fields: Fields, network: Network, family: int) -> Any:
    key, subnet = ("address", network.subnet) if family == 4 else ("address6", network.subnet6)
    return host_on(fields, key, subnet, network, family)


def _gateway(fields: Fields, network: Network, family: int) -> Optional[str]:
    key = "gateway" if family == 4 else "gateway6"
    ip = fields.ip(key)
    if ip is not None and network.mode != BRIDGED:
        fields.problem(key, f"in mode {network.mode} it is known; leave it out")
    elif ip is not None and ip.family != family:
        fields.problem(key, f"{ip.text} is of the other family")
    elif ip is not None and fields.values.get("address" if family == 4 else "address6") is None:
        fields.problem(key, "needs an address beside it; a guest without one asks DHCP, also for its gateway")
    return ip.text if ip else None


def _ports(fields: Fields, network: Network, nic: Nic) -> Tuple[Port, ...]:
    value = fields.values.get("published_ports")
    entries = _entries(value, f"{fields.path}.published_ports", _PORT, fields.problems)
    if entries and not network.its.publishes:
        can = " and ".join(name for name, mode in MODES.items() if mode.publishes)
        fields.problem("published_ports", f"network {network.name} is {network.mode}; only {can} publish ports")
    elif entries and fields.values.get("address") is None and nic.address is None and nic.address6 is None:
        fields.problem("published_ports", "lead to an address that stays the same; say the NIC's address")
    found = [_port(entry) for entry in entries]
    return tuple(port for port in found if port)


def _port(fields: Fields) -> Optional[Port]:
    before = len(fields.problems)
    protocol = fields.choice("protocol", ("tcp", "udp"), "tcp")
    if fields.values.get("port") is None:
        fields.missing("port", "which port of the host leads to the guest, like 8080")
    ports, to = fields.ports("port"), fields.ports("to_port")
    if ports and to and to.first != to.last and to.last - to.first != ports.last - ports.first:
        fields.problem("to_port", "is not as many ports as port; say the first one alone")
    if ports and to and to.first + ports.last - ports.first > 65535:
        fields.problem("to_port", f"{to.first} and as many more as port has is past 65535")
    address = "127.0.0.1" if fields.values.get("address") is None else fields.text("address", "a local address, or any")
    if address is not None and address != "any":
        ip = parse_ip(address)
        reason = why_not_published_on(ip) if ip else f"{why_not_an_ip(address)}; or say any"
        if reason:
            fields.problem("address", f"{shown(address)} {reason}")
        address = ip.text if ip else None
    sources = fields.networks("sources")
    if ports is None or address is None or len(fields.problems) > before:
        return None
    return Port(fields.path, protocol, ports.first, ports.last, to.first if to else ports.first, address, sources)
