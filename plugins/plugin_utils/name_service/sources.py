# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names and addresses as each source gives them: records, guests, the inventory, a document. Pure.

Nothing here raises: what is wrong is a line in ``problems``, which begins with the field's path.
"""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Mapping
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple, Union

from ansible_collections.hostwire.linux.plugins.module_utils.document.fields import open_mapping, shown
from ansible_collections.hostwire.linux.plugins.module_utils.suggestion import suggestion

Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]

_RECORD = ("name", "address", "addresses", "aliases")


class Given(NamedTuple):
    """What a source says: ``source`` is a path and names it in messages."""

    source: str
    name: Any
    addresses: Tuple[Address, ...]
    aliases: Tuple[Any, ...] = ()


def from_records(values: Any, problems: List[str]) -> Iterator[Given]:
    """Records as a person writes them: {name, address or addresses, aliases}."""
    for number, value in enumerate(_items(values, "records", problems)):
        path = f"records[{number}]"
        if not isinstance(value, Mapping):
            problems.append(f"{path}: has to be a mapping with name and addresses")
            continue
        open_mapping(value, path, frozenset(_RECORD), problems)
        addresses = []
        for key in ("address", "addresses"):
            for where, text in _texts(value.get(key), f"{path}.{key}"):
                addresses += _address(text, where, problems)
        if not addresses and not _texts(value.get("address"), "") and not _texts(value.get("addresses"), ""):
            problems.append(f"{path}.addresses: needs at least one address, like [10.0.2.12]")
        aliases = tuple(alias for dummy, alias in _texts(value.get("aliases"), path))
        yield Given(path, value.get("name"), tuple(addresses), aliases)


def from_guests(values: Any, networks: Any, network: Optional[str], problems: List[str]) -> Iterator[Given]:
    """Guests as the role guest_network takes them: of each family the first address that one of its NICs is given.

    With ``network`` only NICs plugged into it count. In networks of mode nat all guests have the same address, so no
    name could tell one from the other.
    """
    modes: Dict[str, Any] = {}
    for number, item in enumerate(_items(networks, "networks", problems)):
        if isinstance(item, Mapping) and item.get("name"):
            modes[str(item["name"])] = item.get("mode")
        else:
            problems.append(f"networks[{number}]: has to be a mapping with name and mode")
    known = {*modes}
    for number, guest in enumerate(_items(values, "guests", problems)):
        path = f"guests[{number}]"
        if not isinstance(guest, Mapping):
            problems.append(f"{path}: has to be a mapping with name and nics")
            continue
        addresses: List[Address] = []
        for position, nic in enumerate(_items(guest.get("nics"), f"{path}.nics", problems)):
            where = f"{path}.nics[{position}]"
            if not isinstance(nic, Mapping):
                problems.append(f"{where}: has to be a mapping with network and address")
                continue
            known.add(str(nic.get("network")))
            if (network is None or nic.get("network") == network) and modes.get(str(nic.get("network"))) != "nat":
                for key in ("address", "address6"):
                    for field, text in _texts(nic.get(key), f"{where}.{key}"):
                        addresses += _address(text, field, problems)
        yield Given(f"{path} ({guest.get('name')})", guest.get("name"), first_of_each_family(addresses))
    if network is not None and known and network not in known:
        problems.append(f"network: no guest is in a network {shown(network)}{suggestion(str(network), sorted(known))}")


def from_inventory(values: Any, problems: List[str]) -> Iterator[Given]:
    """Hosts and their addresses, one or a list for each."""
    if not isinstance(values, Mapping):
        problems.append("inventory: has to be a mapping of host names to addresses")
        return
    for name, value in values.items():
        path = f"inventory[{name}]"
        texts = _texts(value, path)
        if not texts:
            problems.append(f"{path}: this host has no address there; set the variable, or name another one")
        addresses = [address for where, text in texts for address in _address(text, where, problems)]
        yield Given(path, name, first_of_each_family(addresses))


def from_document(value: Any, problems: List[str]) -> Iterator[Given]:
    """A document's namespaces and containers: of each family the first address that an end in it is given."""
    if not isinstance(value, Mapping):
        problems.append("document: has to be a mapping of fields, as hostwire.linux.topology takes it")
        return
    found: Dict[Tuple[str, str], List[Address]] = {}
    for kind, name, where, texts in _ends(value, problems):
        for field, text in _texts(texts, where):
            addresses = [address for address in _address(text, field, problems) if not address.is_link_local]
            found.setdefault((kind, name), []).extend(addresses)
    for (kind, name), addresses in found.items():
        yield Given(f"document ({kind} {name})", name, first_of_each_family(addresses))


def _ends(document: Mapping[str, Any], problems: List[str]) -> Iterator[Tuple[str, str, str, Any]]:
    """Everything in a document that has addresses inside a namespace: (kind, name of the place, path, addresses)."""
    for section in ("bridges", "veths", "interfaces", "containers"):
        for number, item in enumerate(_items(document.get(section), f"document.{section}", problems)):
            path = f"document.{section}[{number}]"
            if not isinstance(item, Mapping):
                problems.append(f"{path}: has to be a mapping of fields")
                continue
            if section == "containers" and item.get("container"):
                yield "container", str(item["container"]), f"{path}.addresses", item.get("addresses")
            peer = item.get("peer")
            for end, where in ((item, path), (peer if isinstance(peer, Mapping) else {}, f"{path}.peer")):
                if end.get("netns"):
                    yield "namespace", str(end["netns"]), f"{where}.addresses", end.get("addresses")


def first_of_each_family(addresses: List[Address]) -> Tuple[Address, ...]:
    """At most one IPv4 and one IPv6 address, in that order."""
    by_version: Dict[int, Address] = {}
    for address in addresses:
        by_version.setdefault(address.version, address)
    return tuple(by_version[version] for version in sorted(by_version))


def _items(value: Any, path: str, problems: List[str]) -> List[Any]:
    if value is None:
        return []
    if isinstance(value, (str, bytes, Mapping)) or not hasattr(value, "__iter__"):
        problems.append(f"{path}: has to be a list")
        return []
    return list(value)


def _texts(value: Any, path: str) -> List[Tuple[str, Any]]:
    """A value or a list of them, each with its path; nothing for null and for an empty text."""
    if value is None or value == "":
        return []
    if isinstance(value, (list, tuple)):
        return [(f"{path}[{number}]", item) for number, item in enumerate(value)]
    return [(path, value)]


def _address(text: Any, path: str, problems: List[str]) -> List[Address]:
    """The address, with or without a prefix length, but not with an interface (%eth0)."""
    if isinstance(text, str) and "%" not in text:
        with contextlib.suppress(ValueError):
            return [ipaddress.ip_interface(text).ip]
    problems.append(f"{path}: {shown(text)} is no IPv4 or IPv6 address; 10.0.2.12 would be one")
    return []
