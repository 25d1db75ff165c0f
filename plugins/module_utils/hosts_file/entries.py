# SPDX-License-Identifier: GPL-3.0-or-later
"""The names that a block is to give: read, judged, and held against what the file says already. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any, Dict, List, NamedTuple, Sequence, Tuple, Union

from ..document.fields import HOST_NAME
from ..suggestion import suggestion
from .text import Line

# The option of both modules that take entries, as Ansible wants to have it described.
ENTRIES: Dict[str, Any] = {
    "type": "list",
    "elements": "dict",
    "default": [],
    "options": {
        "address": {"type": "str", "required": True},
        "names": {"type": "list", "elements": "str", "required": True},
    },
}
_FIELDS = tuple(ENTRIES["options"])
_LOCAL = ("localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback")

Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]


class Entry(NamedTuple):
    """An address in its canonical form and its names; the first is the canonical one."""

    address: str
    names: Tuple[str, ...]

    @property
    def line(self) -> str:
        """As it stands in the file."""
        return " ".join([self.address, *self.names])


def read_entries(values: Sequence[Any]) -> Tuple[List[Entry], List[str]]:
    """The entries, sorted by address, and everything that is wrong with them, a line each with the field's path."""
    entries: List[Entry] = []
    problems: List[str] = []
    given: Dict[Tuple[str, int], Tuple[str, str]] = {}
    for position, value in enumerate(values):
        path = f"entries[{position}]"
        if not isinstance(value, Mapping):
            problems.append(f"{path}: has to be a mapping with address and names")
            continue
        problems += [f"{path}.{key}: unknown key{suggestion(str(key), _FIELDS)}" for key in value if key not in _FIELDS]
        address, names = _address(value.get("address"), path, problems), _names(value.get("names"), path, problems)
        if address is None or not names:
            continue
        problems += _twice(address, names, path, given)
        entries.append(Entry(str(address), names))
    return sorted(entries, key=_order), problems


def _order(entry: Entry) -> Tuple[int, int, Tuple[str, ...]]:
    address = ipaddress.ip_address(entry.address)
    return address.version, int(address), entry.names


def _address(value: Any, path: str, problems: List[str]) -> Any:
    text = str(value) if value is not None else ""
    if "/" in text:
        problems.append(f"{path}.address: {text} has a prefix length; a hosts file takes the address alone")
        return None
    if "%" in text:  # ipaddress takes anything behind it, a line's end too
        problems.append(f"{path}.address: {text!r} names an interface; a hosts file takes the address alone")
        return None
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        problems.append(f'{path}.address: "{text}" is no IPv4 or IPv6 address; 10.0.2.12 would be one')
        return None


def _names(value: Any, path: str, problems: List[str]) -> Tuple[str, ...]:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, (list, tuple)) or not names:
        problems.append(f"{path}.names: has to be a list of at least one name")
        return ()
    good = []
    for number, name in enumerate(names):
        if not isinstance(name, str) or not HOST_NAME.fullmatch(name):
            hint = "write it as punycode (xn--...)" if isinstance(name, str) and not name.isascii() else "say letters"
            problems.append(f'{path}.names[{number}]: "{name}" is no host name; {hint}, digits, - and dots between')
        else:
            good.append(name)
    return tuple(good)


def _twice(
    address: Address, names: Sequence[str], path: str, given: Dict[Tuple[str, int], Tuple[str, str]]
) -> List[str]:
    """A name has one address of a family, and localhost is this host."""
    problems = []
    for number, name in enumerate(names):
        where = f"{path}.names[{number}]"
        if name.lower() in _LOCAL and not address.is_loopback:
            problems.append(f'{where}: "{name}" is this host itself and can\'t be {address}')
        earlier = given.setdefault((name.lower(), address.version), (str(address), where))
        if earlier[0] != str(address):
            problems.append(f'{where}: "{name}" is {address} here and {earlier[0]} in {earlier[1]}; keep one of them')
    return problems


def conflicts(entries: Sequence[Entry], others: Sequence[Line], path: str) -> List[str]:
    """Names that the file gives another address outside our block.

    A line with a loopback address is the host's own business (Debian's 127.0.1.1) and stays.
    """
    said: Dict[Tuple[str, int], List[Tuple[str, int]]] = {}
    for line in others:
        try:
            address = ipaddress.ip_address(line.address.partition("%")[0])
        except ValueError:
            continue
        if not address.is_loopback:
            for name in line.names:
                said.setdefault((name.lower(), address.version), []).append((str(address), line.number))
    found = []
    for entry in entries:
        version = ipaddress.ip_address(entry.address).version
        for name in entry.names:
            for address_there, number in said.get((name.lower(), version), ()):
                if address_there != entry.address:
                    found.append(
                        f'{path}: "{name}" is to be {entry.address} (line "{entry.line}"), but line {number}, which'
                        f" isn't ours, says {address_there}; change or delete one of the two"
                    )
    return found
