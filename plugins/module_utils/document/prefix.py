# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses and prefixes as numbers: what the document's rules reckon with.

``ipaddress`` takes about 10 µs for what inet_pton does in one; a document may hold thousands of addresses and every one
is looked at several times, so parsing is by inet_pton and remembered.
"""

from __future__ import annotations

import re
import socket
from functools import lru_cache
from typing import Iterable, Optional

from ..rows import NamedTuple

WIDTH = {4: 32, 6: 128}
_FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}
_LENGTH = re.compile(r"[0-9]{1,3}", re.ASCII)
_REMEMBERED = 65536
A_NETWORK = "192.168.15.0/24 or fd00:15::/64"  # an example, for messages


class Ip(NamedTuple):
    """An address without prefix length: ``family`` 4 or 6, its ``number``, ``text`` as inet_ntop writes it."""

    family: int
    number: int
    text: str


class Prefix(NamedTuple):
    """An address with prefix length, host bits included; ``first`` and ``last`` are the ends of its network."""

    family: int
    number: int
    length: int
    first: int
    last: int
    text: str

    @property
    def ip(self) -> str:
        """The address without its prefix length."""
        return self.text[: self.text.rindex("/")]

    @property
    def network(self) -> str:
        """The network that the address is in, like 192.168.15.0/24."""
        return f"{ip_text(self.family, self.first)}/{self.length}"


@lru_cache(maxsize=_REMEMBERED)
def parse_ip(text: str) -> Optional[Ip]:
    """Read an address without prefix length; None if ``text`` isn't one."""
    family = 6 if ":" in text else 4
    try:
        packed = socket.inet_pton(_FAMILY[family], text)
    except (OSError, ValueError):  # ValueError: a NUL character, or one that isn't ASCII
        return None
    return Ip(family, int.from_bytes(packed, "big"), socket.inet_ntop(_FAMILY[family], packed))


@lru_cache(maxsize=_REMEMBERED)
def parse_prefix(text: str) -> Optional[Prefix]:
    """Read an address with prefix length, host bits allowed; None if ``text`` isn't one."""
    address, _slash, length_text = text.partition("/")
    ip = parse_ip(address)
    if ip is None or not _LENGTH.fullmatch(length_text):
        return None
    length = int(length_text)
    width = WIDTH[ip.family]
    if length > width:
        return None
    host_bits = (1 << (width - length)) - 1
    last = ip.number | host_bits
    return Prefix(ip.family, ip.number, length, last ^ host_bits, last, f"{ip.text}/{length}")


def has_ipv6(addresses: Iterable[str]) -> bool:
    """Whether one of these is an IPv6 address."""
    return ":" in "".join(addresses)  # asked of every link: faster than one by one


def known_prefix(text: str) -> Prefix:
    """Like parse_prefix for text that has been checked already. Raises ValueError where it has not."""
    prefix = parse_prefix(text)
    if prefix is None:
        raise ValueError(f"{text!r} is not an address with prefix length")
    return prefix


def known_ip(text: str) -> Ip:
    """Like parse_ip for text that has been checked already. Raises ValueError where it has not."""
    ip = parse_ip(text)
    if ip is None:
        raise ValueError(f"{text!r} is not an address")
    return ip


def ip_text(family: int, number: int) -> str:
    """The text of an address given as a number."""
    return socket.inet_ntop(_FAMILY[family], number.to_bytes(WIDTH[family] // 8, "big"))


def is_multicast(family: int, number: int) -> bool:
    """224.0.0.0/4 (RFC 5771) or ff00::/8 (RFC 4291)."""
    return number >> 28 == 0xE if family == 4 else number >> 120 == 0xFF


def is_loopback(family: int, number: int) -> bool:
    """127.0.0.0/8 (RFC 1122) or ::1 (RFC 4291)."""
    return number >> 24 == 127 if family == 4 else number == 1


def is_link_local(family: int, number: int) -> bool:
    """fe80::/10 (RFC 4291), which belongs to one link; 169.254.0.0/16 is routed like any other."""
    return family == 6 and number >> 118 == 0x3FA


def why_not_a_host(family: int, number: int) -> Optional[str]:
    """Why no single machine can have this address, in words; None if one can. Loopback addresses pass."""
    if is_multicast(family, number):
        return "is a multicast address"
    if family == 4:
        if number >> 24 == 0:
            return "is in 0.0.0.0/8, which no host can have"
        if number == 0xFFFFFFFF:
            return "is the broadcast address"
        return "is in 240.0.0.0/4, which is reserved" if number >> 28 == 0xF else None
    if number == 0:
        return "is the unspecified address"
    return "is an IPv4 address in disguise: write it as one" if number >> 32 == 0xFFFF else None


def why_not_on_a_link(prefix: Prefix) -> Optional[str]:
    """Why an interface can't have this address, in words; None if it can. Loopback addresses pass.

    A /31 and a /127 have no network or broadcast address (RFC 3021, RFC 6164), nor has a /32 or a /128.
    """
    reason = why_not_a_host(prefix.family, prefix.number)
    if reason:
        return reason
    if prefix.length == 0:
        return "has prefix length 0: that is everything there is, not a subnet"
    if prefix.length < WIDTH[prefix.family] - 1:
        if prefix.number == prefix.first:
            return "is the address of the network itself, not a host's"
        if prefix.family == 4 and prefix.number == prefix.last:
            return f"is the broadcast address of {prefix.network}, not a host's"
    return None


def why_not_an_ip(text: str) -> str:
    """What is wrong with a text that should be an address without prefix length."""
    if parse_prefix(text):
        return f"has a prefix length; write the address alone: {text.partition('/')[0]}"
    return "is not an IPv4 or IPv6 address, like 192.168.15.2 or fd00:15::2"


def why_not_a_network(text: str, like: str = A_NETWORK) -> str:
    """What is wrong with a text that should be a network; ``like``: examples of one."""
    ip = parse_ip(text)
    if ip is not None:
        usual = (24 if ip.family == 4 else 64) if ip.number else 0
        network = known_prefix(f"{ip.text}/{usual}").network
        alone = "" if network == f"{ip.text}/{usual}" else f", or {ip.text}/{WIDTH[ip.family]} for one host"
        return f"has no prefix length; say {network}{alone}"
    return why_not_a_prefix(text) if parse_ip(text.partition("/")[0]) else f"is not a network, like {like}"


def why_not_a_prefix(text: str) -> str:
    """What is wrong with a text that should be an address with prefix length."""
    address, slash, length = text.partition("/")
    ip = parse_ip(address)
    if ip is None:
        return "is not an address with prefix length, like 192.168.15.1/24 or fd00:15::1/64"
    if not slash:
        return f"has no prefix length; write it like {ip.text}/{24 if ip.family == 4 else 64}"
    mask = parse_ip(length)
    if mask and mask.family == ip.family == 4:
        inverse = mask.number ^ 0xFFFFFFFF
        if inverse & (inverse + 1) == 0:
            return f"has a netmask; write the prefix length: {ip.text}/{32 - inverse.bit_length()}"
    return f"has no valid prefix length: for IPv{ip.family} it is a number from 0 to {WIDTH[ip.family]}"
