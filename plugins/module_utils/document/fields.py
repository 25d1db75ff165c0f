# SPDX-License-Identifier: GPL-3.0-or-later
"""Typed readers for the fields of one object of a document.

Nothing here raises for bad input, whatever it is: each reader returns its value, or None (or nothing) after it has put
one line into ``problems`` that names the field and says what would be right.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Dict, FrozenSet, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from ..model import CONTAINER
from ..suggestion import as_field, suggestion
from ..visible import visible
from .prefix import (
    A_NETWORK,
    Ip,
    Prefix,
    is_loopback,
    parse_ip,
    parse_prefix,
    why_not_a_network,
    why_not_a_prefix,
    why_not_an_ip,
    why_not_on_a_link,
)

# Hazard 12: the kernel takes far more, and other programs then read keywords, options or patterns in it.
INTERFACE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}", re.ASCII)  # IFNAMSIZ is 16 with the final NUL
RESERVED_NAMES = frozenset(("all", "default", "lo"))
EXCEPT_LO = RESERVED_NAMES - {"lo"}  # for fields that may name lo, which is there already
# Hazard 14: the same characters; the name is a file's name below /run/netns (NAME_MAX is 255).
NETNS_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,254}", re.ASCII)
CONTAINER_NAME = NETNS_NAME  # Docker's names are of these characters too (RestrictedNameChars of moby/daemon/names)
ALL_DIGITS = re.compile(r"[0-9]+", re.ASCII)
DOCUMENT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}", re.ASCII)
# RFC 791's smallest datagram, ETH_MIN_MTU and ETH_MAX_MTU of linux/if_ether.h; lo has one more.
MTU_LOWEST, MTU_HIGHEST, MTU_HIGHEST_LO = 68, 65535, 65536
USER_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}", re.ASCII)  # what Linux distributions allow, or a number
_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?"  # RFC 1123, 2.1; underscores are in wide use
HOST_NAME = re.compile(rf"(?!.{{254}}){_LABEL}(\.{_LABEL})*", re.ASCII)
_MAC = re.compile(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}", re.ASCII)
_INTEGER = re.compile(r"-?[0-9]{1,18}", re.ASCII)
_PORTS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", re.ASCII)
_TARGET = re.compile(r"(?:\[([^\[\]]*)\]|([^\[\]:]*)):([^:]*)")

# What a Jinja template or an Ansible boolean may arrive as.
_BOOLEANS: Dict[str, bool] = {
    "true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False,
}  # fmt: skip
_CHARACTERS = "letters, digits, _ . and -, beginning with a letter or digit"


class Ports(NamedTuple):
    """The ports from ``first`` to ``last``, both included."""

    first: int
    last: int


def shown(value: object) -> str:
    """A value in a message: short, on one line, and safe whatever it is."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        text = value if len(value) <= 60 else value[:57] + "..."
        return f'"{visible(text)}"'
    if isinstance(value, int):
        return str(value) if value.bit_length() <= 128 else "a huge number"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list"
    return f"a value of type {type(value).__name__}"


def join(path: str, key: str) -> str:
    """The path of a field of the object at ``path``."""
    return f"{path}.{key}" if path else key


class Fields:
    """The fields of one object: ``values`` as given, ``path`` for messages, ``problems`` to add to."""

    __slots__ = ("path", "problems", "values")

    def __init__(self, values: Mapping[str, Any], path: str, problems: List[str]) -> None:
        self.values = values
        self.path = path
        self.problems = problems

    def problem(self, key: str, text: str) -> None:
        """Note what is wrong with field ``key``."""
        self.problems.append(f"{join(self.path, key)}: {text}")

    def missing(self, key: str, what: str) -> None:
        """Note that a required field isn't there."""
        self.problem(key, f"is missing; say {what}")

    def required(self, key: str, what: str) -> bool:
        """Whether a required field is there; noted if it isn't."""
        if self.values.get(key) is not None:
            return True
        self.missing(key, what)
        return False

    def text(self, key: str, what: str) -> Optional[str]:
        """Text, not empty; ``what`` says in a message what it should be."""
        value = self.values.get(key)
        if value is None:
            return None
        if isinstance(value, str):
            if value:
                return value
            self.problem(key, f"is empty; say {what}, or leave it out")
            return None
        hint = " (YAML reads yes, no, on and off as booleans: quote it)" if isinstance(value, bool) else ""
        if isinstance(value, int) and not hint:
            hint = " (YAML reads it as a number: quote it)"
        self.problem(key, f"{shown(value)} is not text; say {what}{hint}")
        return None

    def interface(self, key: str, reserved: FrozenSet[str] = RESERVED_NAMES) -> Optional[str]:
        """The name of an interface, by the allow-list of hazard 12."""
        if self.values.get(key) is None:
            return None
        value = self.text(key, "the name of an interface")
        return value if value is not None and self.is_interface(key, value, reserved) else None

    def is_interface(self, key: str, value: str, reserved: FrozenSet[str] = RESERVED_NAMES) -> bool:
        """Whether the text of field ``key`` is a good name for an interface; noted if it isn't."""
        if INTERFACE_NAME.fullmatch(value) and value not in reserved:
            return True
        if value in reserved:
            self.problem(key, f'"{value}" is reserved; choose another name')
        elif len(value) > 15:
            self.problem(key, f"{shown(value)} has {len(value)} characters; an interface's name has at most 15")
        else:
            self.problem(key, f"{shown(value)} is no safe name for an interface; use {_CHARACTERS}")
        return False

    def interfaces(self, key: str, reserved: FrozenSet[str] = RESERVED_NAMES) -> Tuple[str, ...]:
        """The name of one interface, or a list of names; sorted, since their order means nothing."""
        if not isinstance(self.values.get(key), (list, tuple)):
            alone = self.interface(key, reserved)
            return () if alone is None else (alone,)
        found: List[str] = []
        for where, text in self.text_items(key, "[v-net-0]"):
            if text in found:
                self.problem(where, f"{text} is there twice")
            elif self.is_interface(where, text, reserved):
                found.append(text)
        return tuple(sorted(found))

    def room(self, key: str = "netns") -> Optional[str]:
        """The name of a namespace, or container:NAME."""
        value = self.values.get(key)
        if not isinstance(value, str) or not value.startswith(CONTAINER):
            return self.netns(key)
        if not CONTAINER_NAME.fullmatch(value[len(CONTAINER) :]):
            self.problem(key, f"{shown(value)} names no container; say it like container:web")
        return value

    def netns(self, key: str = "netns") -> Optional[str]:
        """The name of a namespace, by hazard 14; None is the host."""
        if self.values.get(key) is None:
            return None
        value = self.text(key, "the name of a namespace")
        if value is None or (NETNS_NAME.fullmatch(value) and not ALL_DIGITS.fullmatch(value)):
            return value
        if ALL_DIGITS.fullmatch(value):
            self.problem(key, f"{shown(value)} is all digits, which other programs take for a process; add a letter")
        elif len(value) > 255:
            self.problem(key, f"{shown(value)} has {len(value)} characters; a namespace's name has at most 255")
        else:
            self.problem(key, f"{shown(value)} is no safe name for a namespace; use {_CHARACTERS}")
        return None

    def choice(self, key: str, choices: Sequence[str], default: str) -> str:
        """One of ``choices``."""
        value = self.values.get(key)
        if value is None:
            return default
        if isinstance(value, str) and value in choices:
            return value
        close = suggestion(value, choices) if isinstance(value, str) else ""
        self.problem(key, f"{shown(value)} is none of {', '.join(choices)}{close}")
        return default

    def boolean(self, key: str) -> Optional[bool]:
        """True or false, also as the words and digits that Ansible takes for them; None if left out."""
        value = self.values.get(key)
        if value is None or value is True or value is False:
            return value
        if isinstance(value, int) and value in (0, 1):
            return bool(value)
        answer = _BOOLEANS.get(value.lower()) if isinstance(value, str) else None
        if answer is None:
            self.problem(key, f"{shown(value)} is neither true nor false")
        return answer

    def flag(self, key: str, default: bool) -> bool:
        """Like boolean, with a default."""
        value = self.boolean(key)
        return default if value is None else value

    def integer(self, key: str, lowest: int, highest: int) -> Optional[int]:
        """A whole number from ``lowest`` to ``highest``, also as text; None if left out."""
        value = self.values.get(key)
        if value is None:
            return None
        if isinstance(value, str) and _INTEGER.fullmatch(value):
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            self.problem(key, f"{shown(value)} is not a whole number; say one from {lowest} to {highest}")
        elif not lowest <= value <= highest:
            self.problem(key, f"{shown(value)} is out of range; say a number from {lowest} to {highest}")
        else:
            return int(value)
        return None

    def mac(self, key: str = "mac") -> Optional[str]:
        """A unicast MAC address, in lower case."""
        value = self.values.get(key)
        if value is None:
            return None
        if isinstance(value, int) and not isinstance(value, bool):
            self.problem(key, f"{shown(value)} is a number: YAML reads digits with colons so; put it in quotes")
            return None
        value = self.text(key, "a MAC address, like 02:00:00:00:00:01")
        if value is None:
            return None
        if not _MAC.fullmatch(value):
            self.problem(key, f"{shown(value)} is not a MAC address, like 02:00:00:00:00:01")
        elif int(value[:2], 16) & 1:  # the group bit of IEEE 802
            self.problem(key, f"{value} is a multicast address; the first byte must be even, like 02:00:00:00:00:01")
        elif value == "00:00:00:00:00:00":
            self.problem(key, f"{value} is no address; say one like 02:00:00:00:00:01, or leave it out")
        else:
            return value.lower()
        return None

    def items(self, key: str, example: str) -> Iterator[Tuple[str, Any]]:
        """The entries of a list, each with its own key for messages; ``example`` says how one is written."""
        value = self.values.get(key)
        if value is None:
            return
        if not isinstance(value, (list, tuple)):
            self.problem(key, f"{shown(value)} is not a list; say it like {example}")
            return
        for index, item in enumerate(value):
            yield f"{key}[{index}]", item

    def text_items(self, key: str, example: str) -> Iterator[Tuple[str, str]]:
        """The entries of a list of texts."""
        for where, item in self.items(key, example):
            if isinstance(item, str):
                yield where, item
            else:
                self.problem(where, f"{shown(item)} is not text; say it like {example}")

    def link_addresses(self, loopback: bool = False) -> Tuple[str, ...]:
        """``addresses`` of an interface: each with its prefix length, in canonical text, in the order given.

        ``loopback``: the interface is lo, the only one that may have loopback addresses.
        """
        value = self.values.get("addresses")
        if not value and (value is None or value == []):
            return ()
        found: List[str] = []
        for where, text in self.text_items("addresses", "[192.168.15.1/24]"):
            prefix = parse_prefix(text)
            reason = why_not_a_prefix(text) if prefix is None else why_not_on_a_link(prefix)
            if prefix and not reason and is_loopback(prefix.family, prefix.number) and not loopback:
                reason = "is a loopback address; those belong on lo"
            if prefix is None or reason:
                self.problem(where, f"{shown(text)} {reason}")
            elif prefix.text in found:
                self.problem(where, f"{prefix.text} is there twice")
            else:
                found.append(prefix.text)
        return tuple(found)

    def network(self, key: str, text: str, like: str = A_NETWORK) -> Optional[Prefix]:
        """A network as a prefix without host bits, from the text of field ``key``."""
        prefix = parse_prefix(text)
        if prefix is None:
            self.problem(key, f"{shown(text)} {why_not_a_network(text, like)}")
            return None
        if prefix.number != prefix.first:
            width = 32 if prefix.family == 4 else 128
            self.problem(
                key, f"{shown(text)} has host bits set; say {prefix.network}, or {prefix.ip}/{width} for one host"
            )
            return None
        return prefix

    def networks(self, key: str) -> Tuple[str, ...]:
        """A list of networks, sorted: their order means nothing."""
        if self.values.get(key) is None:
            return ()
        found = {
            prefix.text
            for where, text in self.text_items(key, "[192.168.15.0/24]")
            for prefix in (self.network(where, text),)
            if prefix
        }
        return tuple(sorted(found))

    def ip(self, key: str) -> Optional[Ip]:
        """An address without prefix length; None if left out."""
        text = self.text(key, "an address, like 192.168.15.5")
        return None if text is None else self.ip_of(key, text)

    def ip_of(self, key: str, text: str) -> Optional[Ip]:
        """An address without prefix length, from the text of field ``key``."""
        ip = parse_ip(text)
        if ip is None:
            self.problem(key, f"{shown(text)} {why_not_an_ip(text)}")
        return ip

    def ports(self, key: str) -> Optional[Ports]:
        """A port, or a range of ports like 8000-8010; each from 1 to 65535."""
        value = self.values.get(key)
        if isinstance(value, int) and not isinstance(value, bool):
            if 1 <= value <= 65535:
                return Ports(value, value)
            value = shown(value)
        if value is None:
            return None
        if not isinstance(value, str):
            self.problem(key, f"{shown(value)} is not a port; say a number from 1 to 65535, or a range like 8000-8010")
            return None
        return self.ports_of(key, value)

    def ports_of(self, key: str, text: str) -> Optional[Ports]:
        """A port or a range of ports, from the text of field ``key``."""
        match = _PORTS.fullmatch(text)
        if match is None:
            self.problem(key, f"{shown(text)} is not a port; say a number from 1 to 65535, or a range like 8000-8010")
            return None
        first = int(match[1])
        last = int(match[2] or first)
        if not (1 <= first <= 65535 and 1 <= last <= 65535):
            self.problem(key, f"{shown(text)} is out of range; ports go from 1 to 65535")
        elif first > last:
            self.problem(key, f"{shown(text)} runs backwards; say {last}-{first}")
        else:
            return Ports(first, last)
        return None

    def target(self, key: str) -> Optional[Tuple[Ip, Ports]]:
        """Where a published port leads: 192.168.15.2:80, [fd00::2]:80, or with a range of ports."""
        value = self.values.get(key)
        if isinstance(value, int) and not isinstance(value, bool):
            value = shown(value)
        example = "192.168.15.2:80 or [fd00:15::2]:80"
        if not isinstance(value, str):
            self.problem(key, f"{shown(value)} is not an address and port, like {example}")
            return None
        match = _TARGET.fullmatch(value)
        if match is None:
            alone = parse_ip(value)
            reason = "has no port" if alone else "is not an address and port"
            self.problem(key, f"{shown(value)} {reason}; say it like {example}")
            return None
        address = match[1] if match[1] is not None else match[2]
        ip = parse_ip(address)
        if ip is None or (ip.family == 6) != (match[1] is not None):
            self.problem(key, f"{shown(value)}: {shown(address)} is not an address; say it like {example}")
            return None
        ports = self.ports_of(key, match[3])
        return (ip, ports) if ports else None


def open_mapping(value: object, path: str, known: FrozenSet[str], problems: List[str]) -> Optional[Fields]:
    """The fields of a mapping, unknown keys noted; None if it isn't a mapping."""
    if not isinstance(value, Mapping):
        fields = f"({', '.join(sorted(known))}){as_field(value, known)}"
        problems.append(f"{path or 'document'}: {shown(value)} is not a mapping of fields {fields}")
        return None
    if not known.issuperset(value):
        for key in value:
            if key not in known:
                text = key if isinstance(key, str) and key and key.isprintable() else shown(key)
                close = suggestion(key, sorted(known)) if isinstance(key, str) else ""
                hint = close or f"; known are {', '.join(sorted(known))}"
                problems.append(f"{join(path, text[:60])}: unknown key{hint}")
    return Fields(value, path, problems)
