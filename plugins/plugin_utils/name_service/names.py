# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One list of records out of all sources, lines of a hosts file and of a dnsmasq configuration out of that. Pure."""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Mapping
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple

from ansible_collections.hostwire.linux.plugins.module_utils.document.fields import HOST_NAME, INTERFACE_NAME, shown
from ansible_collections.hostwire.linux.plugins.plugin_utils.name_service.sources import (
    Address,
    Given,
    from_document,
    from_guests,
    from_inventory,
    from_records,
)

_LOCAL = ("localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback")
_DNS_PORT = 53


class NamesError(ValueError):
    """What the sources say can't be right; the text is a line for each problem."""


class Record(NamedTuple):
    """A name without its domain, at most one address of each family, and more names for the same addresses."""

    name: str
    addresses: Tuple[str, ...]
    aliases: Tuple[str, ...]

    def plain(self) -> Dict[str, Any]:
        """As a filter returns it."""
        return {"name": self.name, "addresses": list(self.addresses), "aliases": list(self.aliases)}


def records_of(
    records: Any,
    guests: Any = None,
    networks: Any = None,
    network: Optional[str] = None,
    inventory: Any = None,
    document: Any = None,
    domain: Optional[str] = None,
) -> List[Record]:
    """All sources together, in the order of first appearance; names inside ``domain`` lose it.

    Raises NamesError with everything that is wrong: above all a name with two addresses of one family, which names both
    of its sources.
    """
    problems: List[str] = [*_domain_problems(domain)]
    given = [
        *from_records(records, problems),
        *from_guests(guests, networks, network, problems),
        *from_inventory({} if inventory is None else inventory, problems),
        *from_document({} if document is None else document, problems),
    ]
    merged = _merged([_short(one, domain) for one in given], problems)
    if problems:
        raise NamesError("\n".join(problems))
    return merged


def hosts_entries(records: Any, domain: Optional[str] = None) -> List[Dict[str, Any]]:
    """Entries as the modules hosts_file and guest_names take them: with a domain the full name comes first."""
    entries = []
    for record in records_of(records, domain=domain):
        names = [full for name in (record.name, *record.aliases) for full in _with_domain(name, domain)]
        entries += [{"address": address, "names": names} for address in record.addresses]
    return entries


def server_lines(
    records: Any, listen: Any, domain: Optional[str] = None, upstream: Sequence[Any] = (), port: int = _DNS_PORT
) -> List[str]:
    """The configuration of a dnsmasq that knows these records: both ways, name to address and back.

    It asks nobody else but ``upstream``; without, what it doesn't know doesn't exist.
    """
    problems: List[str] = [*_domain_problems(domain)]
    addresses = [_plain_address(item, f"listen[{number}]", problems) for number, item in enumerate(_listed(listen))]
    if not addresses:
        problems.append("listen: needs at least one address for the server, like 10.0.2.15")
    servers = [_server(item, f"upstream[{number}]", problems) for number, item in enumerate(_listed(upstream))]
    if not (isinstance(port, int) and 1 <= port <= 65535):
        problems.append(f"port: {port} is out of range; ports go from 1 to 65535")
    if problems:
        raise NamesError("\n".join(problems))
    lines = ["bind-dynamic", *(f"listen-address={address}" for address in addresses)]
    lines += [f"port={port}"] if port != _DNS_PORT else []
    lines += ["no-hosts", "no-resolv", "domain-needed"]
    lines += [f"domain={domain}", f"local=/{domain}/"] if domain else []
    lines += [f"server={server}" for server in servers] or ["address=/#/"]
    # One line a name: dnsmasq reads no more than 1024 characters of a line. The first for an address is its name.
    for record in records_of(records, domain=domain):
        for name in (record.name, *record.aliases):
            lines.append("host-record=" + ",".join([*_with_domain(name, domain), *record.addresses]))
    return lines


def _merged(given: Iterable[Given], problems: List[str]) -> List[Record]:
    addresses: Dict[str, Dict[int, Address]] = {}
    names: Dict[str, str] = {}
    aliases: Dict[str, Dict[str, str]] = {}
    claims: Dict[Tuple[str, int], Tuple[Address, str]] = {}
    for one in given:
        problems += _name_problems(one)
        if not isinstance(one.name, str):
            continue
        key = one.name.lower()
        for label in (one.name, *one.aliases):
            problems += _claim(str(label), one, claims)
        if one.addresses:
            names.setdefault(key, one.name)
            for address in one.addresses:
                addresses.setdefault(key, {}).setdefault(address.version, address)
            others = {str(alias).lower(): str(alias) for alias in one.aliases if str(alias).lower() != key}
            aliases.setdefault(key, {}).update(others)
    return [
        Record(
            name, tuple(str(addresses[key][version]) for version in sorted(addresses[key])), (*aliases[key].values(),)
        )
        for key, name in names.items()
    ]


def _claim(name: str, one: Given, claims: Dict[Tuple[str, int], Tuple[Address, str]]) -> List[str]:
    """A name has one address of each family, whoever says so."""
    found = []
    for address in one.addresses:
        earlier, source = claims.setdefault((name.lower(), address.version), (address, one.source))
        if earlier != address:
            found.append(f"{one.source}: {shown(name)} is {address} here and {earlier} in {source}; keep one of them")
    return found


def _name_problems(one: Given) -> List[str]:
    problems = []
    for field, name in (("name", one.name), *(("aliases", alias) for alias in one.aliases)):
        if not isinstance(name, str) or not HOST_NAME.fullmatch(name):
            foreign = isinstance(name, str) and not name.isascii()
            hint = "punycode (xn--...)" if foreign else "letters, digits, - and dots"
            problems.append(f"{one.source}: {field}: {shown(name)} is no host name; say {hint}")
        elif name.lower() in _LOCAL:
            problems += [
                f"{one.source}: {field}: {shown(name)} is each host itself and can't be {address}"
                for address in one.addresses
                if not address.is_loopback
            ]
    return problems


def _short(one: Given, domain: Optional[str]) -> Given:
    """Names without the domain, so that web1 and web1.example.com of two sources are one."""

    def cut(name: Any) -> Any:
        end = f".{domain}".lower()
        return name[: -len(end)] if domain and isinstance(name, str) and name.lower().endswith(end) else name

    return one._replace(name=cut(one.name), aliases=tuple(cut(alias) for alias in one.aliases))


def _with_domain(name: str, domain: Optional[str]) -> List[str]:
    """A name with a dot in it is full already."""
    return [f"{name}.{domain}", name] if domain and "." not in name else [name]


def _domain_problems(domain: Any) -> List[str]:
    if domain is None or (isinstance(domain, str) and HOST_NAME.fullmatch(domain)):
        return []
    return [f"domain: {shown(domain)} is no domain; lab.example would be one"]


def _listed(value: Any) -> List[Any]:
    if value is None or value == "":
        return []
    return [value] if isinstance(value, (str, Mapping)) else list(value)


def _plain_address(value: Any, path: str, problems: List[str]) -> str:
    text = str(value)
    if "%" not in text:  # ipaddress takes anything behind it, a line's end too
        with contextlib.suppress(ValueError):
            return str(ipaddress.ip_address(text))
    hint = f"; say {text.partition('/')[0]}" if "/" in text and text.isprintable() else "; 10.0.2.15 would be one"
    problems.append(f"{path}: {shown(value)} is no address{hint}")
    return ""


def _server(value: Any, path: str, problems: List[str]) -> str:
    """An upstream server: an address, with %INTERFACE where that is link-local, and #PORT where that isn't 53."""
    text, mark, port = str(value).partition("#")
    if mark and not (port.isdecimal() and 1 <= int(port) <= 65535):
        problems.append(f"{path}: {shown(port)} is no port; say ADDRESS#PORT, like 192.0.2.53#5353")
    address, percent, interface = text.partition("%")
    if percent and not (":" in address and INTERFACE_NAME.fullmatch(interface)):
        problems.append(f"{path}: {shown(interface)} is no interface; say it like fe80::1%eth0")
    return f"{_plain_address(address, path, problems)}{percent}{interface}{mark}{port}"
