# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user asks for: parameters in, options of dockerd out, everything that is wrong with them said at once."""

from __future__ import annotations

import ipaddress
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

from ...errors import InvalidValue
from ..daemon_json import DELETE
from ..options import BY_PARAMETER

PRESENT, ABSENT, RESTORED = "present", "absent", "restored"
LEAST_MTU = 68  # RFC 791
LEAST_MTU_V6 = 1280  # RFC 8200
MOST_MTU = 65535
LONGEST_PREFIX = {4: 30, 6: 126}  # a bridge with one container

Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]


class Wish(NamedTuple):
    """``options`` by daemon.json key: a value, or DELETE. ``taken``: (name, subnet) of ranges in use elsewhere."""

    state: str
    options: Dict[str, Any]
    taken: Tuple[Tuple[str, str], ...] = ()

    def value(self, key: str) -> Any:
        """The value asked for; None if none is, or if the option is to go."""
        value = self.options.get(key)
        return None if value is DELETE else value


def read_wish(parameters: Mapping[str, Any]) -> Wish:
    """The wish in docker_bridge's parameters; those that are None are left out. Raises InvalidValue."""
    problems: List[str] = []
    state = str(parameters.get("state") or PRESENT)
    options: Dict[str, Any] = {}
    for name, option in BY_PARAMETER.items():
        value = parameters.get(name)
        if value is None:
            continue
        if state != PRESENT:
            problems.append(f"{name}: says nothing with state {state}; leave it out")
            continue
        found = _CHECKS[name](name, value) if name in _CHECKS else []
        if found:
            problems += found
        else:
            options[option.key] = _WRITTEN[name](value) if name in _WRITTEN else value
    if state == PRESENT and not options and not problems:
        problems.append("docker_bridge: nothing is asked for; give at least one option, like bip: 192.168.225.1/24")
    taken = _taken(parameters.get("taken") or (), problems)
    problems += _together(options)
    if problems:
        raise InvalidValue(problems)
    if state != PRESENT:
        options = {option.key: DELETE for option in BY_PARAMETER.values()}
    return Wish(state, options, taken)


def judged(parameter: str, name: str, value: Any) -> List[str]:
    """What is wrong with a value that an option has already, wherever that stands; ``name`` begins each line."""
    return _CHECKS[parameter](name, value) if parameter in _CHECKS else []


def _bip(family: int) -> Callable[[str, Any], List[str]]:
    example = "192.168.225.1/24" if family == 4 else "fd00:225::1/64"

    def check(name: str, text: Any) -> List[str]:
        interface = _interface(text)
        if interface is None or interface.version != family or "/" not in str(text):
            return [f'{name}: "{text}" is not an IPv{family} address with its prefix length, like {example}']
        address, network = interface.ip, interface.network
        why = _why_not(network)
        if not why and network.prefixlen > LONGEST_PREFIX[family]:
            why = f"leaves no room for containers; the prefix length is {LONGEST_PREFIX[family]} at most"
        if not why and address == network.network_address:
            why = f"is the network's own address; the bridge needs one in it, like {_first(network)}"
        if not why and family == 4 and address == network.broadcast_address:
            why = f"is the broadcast address of {network}; take another, like {_first(network)}"
        return [f'{name}: "{text}" {why}'] if why else []

    return check


def _cidr(family: int) -> Callable[[str, Any], List[str]]:
    example = "192.168.225.128/25" if family == 4 else "fd00:225::/64"

    def check(name: str, text: Any) -> List[str]:
        interface = _interface(text)
        if interface is None or interface.version != family or "/" not in str(text):
            return [f'{name}: "{text}" is not an IPv{family} network, like {example}']
        if interface.ip != interface.network.network_address:
            return [f'{name}: "{text}" has host bits set; the network is {interface.network}']
        why = _why_not(interface.network)
        return [f'{name}: "{text}" {why}'] if why else []

    return check


def _mtu(name: str, value: Any) -> List[str]:
    if isinstance(value, bool) or not LEAST_MTU <= int(value) <= MOST_MTU:
        return [f"{name}: {value} bytes is not between {LEAST_MTU} and {MOST_MTU}"]
    return []


def _check_pools(name: str, value: Any) -> List[str]:
    problems: List[str] = []
    seen: List[Tuple[str, Network]] = []
    for number, pool in enumerate(value):
        field = f"{name}[{number}]"
        if not isinstance(pool, Mapping):
            problems.append(f'{field}: "{pool}" is not a pool, like {{base: 10.200.0.0/16, size: 24}}')
            continue
        interface, size = _interface(pool.get("base")), pool.get("size")
        if interface is None or "/" not in str(pool.get("base")):
            problems.append(f'{field}.base: "{pool.get("base")}" is not a network, like 10.200.0.0/16')
            continue
        base = interface.network
        if interface.ip != base.network_address:
            problems.append(f'{field}.base: "{pool["base"]}" has host bits set; the network is {base}')
        if _why_not(base):
            problems.append(f'{field}.base: "{pool["base"]}" {_why_not(base)}')
        if (
            not isinstance(size, int)
            or isinstance(size, bool)
            or not base.prefixlen <= size <= LONGEST_PREFIX[base.version]
        ):
            longest = LONGEST_PREFIX[base.version]
            problems.append(f"{field}.size: {size} is not a prefix length between {base.prefixlen} and {longest}")
        for other, network in seen:
            if overlap(network, base):
                problems.append(f"{field}.base: {base} overlaps {other}.base, {network}")
        seen.append((field, base))
    return problems if value else [f"{name}: the list is empty; to go back to Docker's own use state: absent"]


def _pools(value: Sequence[Mapping[str, Any]]) -> Any:
    return [{"base": str(pool.get("base")), "size": pool.get("size")} for pool in value]


def _taken(entries: Sequence[Any], problems: List[str]) -> Tuple[Tuple[str, str], ...]:
    found = []
    for number, entry in enumerate(entries):
        subnet = entry.get("subnet") if isinstance(entry, Mapping) else entry
        name = str(entry.get("name") or subnet) if isinstance(entry, Mapping) else ""
        interface = _interface(subnet)
        if interface is None or interface.ip != interface.network.network_address:
            problems.append(f'taken[{number}]: "{subnet}" is not a network, like 10.0.0.0/8')
        else:
            found.append((name, str(interface.network)))
    return tuple(found)


def _together(options: Mapping[str, Any]) -> List[str]:
    """What no option alone is wrong with."""
    problems = []
    for cidr, bip, family in (("fixed-cidr", "bip", 4), ("fixed-cidr-v6", "bip6", 6)):
        if options.get(cidr) and options.get(bip):
            problems += outside(str(options[cidr]), str(options[bip]), family)
    v6 = options.get("ipv6") or options.get("bip6") or options.get("fixed-cidr-v6")
    if options.get("mtu") and v6 and int(options["mtu"]) < LEAST_MTU_V6:
        problems.append(f"mtu: {options['mtu']} bytes is too little for IPv6, which needs {LEAST_MTU_V6}")
    return problems


def outside(cidr: str, bip: str, family: int) -> List[str]:
    """The problem with a range for containers that doesn't lie in the bridge's subnet."""
    inner, outer = ipaddress.ip_network(cidr, strict=False), ipaddress.ip_interface(bip).network
    if inner.version == outer.version and (inner.prefixlen < outer.prefixlen or not overlap(inner, outer)):
        name, other = ("fixed_cidr", "bip") if family == 4 else ("fixed_cidr_v6", "bip6")
        return [f"{name}: {inner} is not inside {outer}, the bridge's subnet ({other})"]
    return []


def overlap(one: Network, other: Network) -> bool:
    """Whether two networks share an address; never across families."""
    return one.version == other.version and one.overlaps(other)


def _interface(text: Any) -> Optional[Union[ipaddress.IPv4Interface, ipaddress.IPv6Interface]]:
    try:
        return ipaddress.ip_interface(str(text))
    except ValueError:
        return None


def _first(network: Network) -> str:
    return f"{network.network_address + 1}/{network.prefixlen}"


def _why_not(network: Network) -> str:
    """Why no bridge can have this network, "" if one can."""
    address = network.network_address
    if address.is_loopback:
        return "is a loopback range, which stays within one machine"
    if address.is_multicast:
        return "is a multicast range"
    if network.prefixlen == 0 or address.is_unspecified or (network.version == 4 and address in _ZERO):
        return "is in 0.0.0.0/8, which no host can have" if network.version == 4 else "is no subnet"
    if network.version == 4 and address in _RESERVED:
        return "is in 240.0.0.0/4, which is reserved"
    inside = next((one for one in _SPECIAL if overlap(one, network)), None)
    return f"is so large that {inside}, which no host can have, is in it" if inside is not None else ""


_SPECIAL = tuple(ipaddress.ip_network(text) for text in ("127.0.0.0/8", "224.0.0.0/3", "::1/128", "ff00::/8"))
_ZERO = ipaddress.ip_network("0.0.0.0/8")
_RESERVED = ipaddress.ip_network("240.0.0.0/4")
_WRITTEN: Dict[str, Callable[[Any], Any]] = {  # in one spelling, whatever the user's is
    "bip": lambda text: str(ipaddress.ip_interface(text)),
    "bip6": lambda text: str(ipaddress.ip_interface(text)),
    "fixed_cidr": lambda text: str(ipaddress.ip_network(text)),
    "fixed_cidr_v6": lambda text: str(ipaddress.ip_network(text)),
    "default_address_pools": _pools,
}
_CHECKS: Dict[str, Callable[[str, Any], List[str]]] = {
    "bip": _bip(4),
    "bip6": _bip(6),
    "fixed_cidr": _cidr(4),
    "fixed_cidr_v6": _cidr(6),
    "mtu": _mtu,
    "default_address_pools": _check_pools,
}
