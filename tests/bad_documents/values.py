# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses and the other fields of a link."""

from __future__ import annotations

from typing import Any, Iterator

from ansible_collections.hostwire.linux.tests.bad_documents.model import (
    ADDRESS_RULE,
    PLUGGED,
    BadDocument,
    Places,
    Values,
)

ADDRESSES: Places = {
    "bridges[0].addresses": lambda value: {"bridges": [{"name": "br0", "addresses": value}]},
    "veths[0].addresses": lambda value: {"veths": [{"name": "a0", "addresses": value, "peer": {"name": "b0"}}]},
    "containers[0].addresses": lambda value: {"containers": [{**PLUGGED, "addresses": value}]},
    "interfaces[0].addresses": lambda value: {"interfaces": [{"name": "eth0", "addresses": value}]},
}


BAD_ADDRESSES: dict[str, tuple[Any, str]] = {
    "no-length": ("192.168.15.1", '"192.168.15.1" has no prefix length; write it like 192.168.15.1/24'),
    "no-length-6": ("fd00::1", '"fd00::1" has no prefix length; write it like fd00::1/64'),
    "netmask": (
        "10.0.0.1/255.255.255.0",
        '"10.0.0.1/255.255.255.0" has a netmask; write the prefix length: 10.0.0.1/24',
    ),
    "octet": ("192.168.15.300/24", f'"192.168.15.300/24" {ADDRESS_RULE}'),
    "octal": ("192.168.015.1/24", f'"192.168.015.1/24" {ADDRESS_RULE}'),
    "name": ("web/24", f'"web/24" {ADDRESS_RULE}'),
    "three": ("192.168.15/24", f'"192.168.15/24" {ADDRESS_RULE}'),
    "space": (" 10.0.0.1/24", f'" 10.0.0.1/24" {ADDRESS_RULE}'),
    "nul": ("10.0.0.1\0/24", f'"10.0.0.1\\x00/24" {ADDRESS_RULE}'),
    "zone": ("fe80::1%eth0/64", f'"fe80::1%eth0/64" {ADDRESS_RULE}'),
    "empty": ("", f'"" {ADDRESS_RULE}'),
    "length-33": ("10.0.0.1/33", '"10.0.0.1/33" has no valid prefix length: for IPv4 it is a number from 0 to 32'),
    "length-129": ("fd00::1/129", '"fd00::1/129" has no valid prefix length: for IPv6 it is a number from 0 to 128'),
    "length-minus": ("10.0.0.1/-1", '"10.0.0.1/-1" has no valid prefix length: for IPv4 it is a number from 0 to 32'),
    "length-plus": ("10.0.0.1/+8", '"10.0.0.1/+8" has no valid prefix length: for IPv4 it is a number from 0 to 32'),
    "length-word": ("10.0.0.1/x", '"10.0.0.1/x" has no valid prefix length: for IPv4 it is a number from 0 to 32'),
    "length-arabic": ("10.0.0.1/٢", '"10.0.0.1/٢" has no valid prefix length: for IPv4 it is a number from 0 to 32'),
    "length-none": ("10.0.0.1/", '"10.0.0.1/" has no valid prefix length: for IPv4 it is a number from 0 to 32'),
    "length-0": ("10.0.0.1/0", '"10.0.0.1/0" has prefix length 0: that is everything there is, not a subnet'),
    "network": ("10.0.0.0/24", '"10.0.0.0/24" is the address of the network itself, not a host\'s'),
    "network-30": ("10.0.0.4/30", '"10.0.0.4/30" is the address of the network itself, not a host\'s'),
    "network-6": ("fd00::/64", '"fd00::/64" is the address of the network itself, not a host\'s'),
    "network-126": ("fd00::4/126", '"fd00::4/126" is the address of the network itself, not a host\'s'),
    "broadcast": ("10.0.0.255/24", '"10.0.0.255/24" is the broadcast address of 10.0.0.0/24, not a host\'s'),
    "broadcast-30": ("10.0.0.7/30", '"10.0.0.7/30" is the broadcast address of 10.0.0.4/30, not a host\'s'),
    "broadcast-all": ("255.255.255.255/32", '"255.255.255.255/32" is the broadcast address'),
    "multicast": ("224.0.0.5/24", '"224.0.0.5/24" is a multicast address'),
    "multicast-6": ("ff02::1/64", '"ff02::1/64" is a multicast address'),
    "zero": ("0.0.0.0/24", '"0.0.0.0/24" is in 0.0.0.0/8, which no host can have'),
    "unspecified-6": ("::/64", '"::/64" is the unspecified address'),
    "reserved": ("240.0.0.1/24", '"240.0.0.1/24" is in 240.0.0.0/4, which is reserved'),
    "loopback": ("127.0.0.2/8", '"127.0.0.2/8" is a loopback address; those belong on lo'),
    "loopback-6": ("::1/128", '"::1/128" is a loopback address; those belong on lo'),
    "mapped": ("::ffff:10.0.0.1/120", '"::ffff:10.0.0.1/120" is an IPv4 address in disguise: write it as one'),
    "null": (None, "null is not text; say it like [192.168.15.1/24]"),
    "number": (10, "10 is not text; say it like [192.168.15.1/24]"),
    "list": (["10.0.0.1/24"], "a list is not text; say it like [192.168.15.1/24]"),
}


def addresses() -> Iterator[BadDocument]:
    for path, document in ADDRESSES.items():
        for case, (address, reason) in BAD_ADDRESSES.items():
            yield BadDocument(f"address-{case}-{path}", document([address]), (f"{path}[0]: {reason}",))
        no_lists: Values = (
            ("text", "10.0.0.1/24", '"10.0.0.1/24"'),
            ("mapping", {"a": 1}, "a mapping"),
            ("number", 5, "5"),
        )
        for case, value, shown in no_lists:
            reason = f"{shown} is not a list; say it like [192.168.15.1/24]"
            yield BadDocument(f"addresses-{case}-{path}", document(value), (f"{path}: {reason}",))
        yield BadDocument(
            f"address-twice-{path}",
            document(["fd00::1/64", "fd00:0::1/64"]),
            (f"{path}[1]: fd00::1/64 is there twice",),
        )


FIELD_VALUES: tuple[tuple[str, Any, str], ...] = (
    ("mac", "02:00:00:00:00", '"02:00:00:00:00" is not a MAC address, like 02:00:00:00:00:01'),
    ("mac", "02-00-00-00-00-01", '"02-00-00-00-00-01" is not a MAC address, like 02:00:00:00:00:01'),
    ("mac", "0g:00:00:00:00:01", '"0g:00:00:00:00:01" is not a MAC address, like 02:00:00:00:00:01'),
    ("mac", "01:00:5e:00:00:01",
     "01:00:5e:00:00:01 is a multicast address; the first byte must be even, like 02:00:00:00:00:01"),
    ("mac", "ff:ff:ff:ff:ff:ff",
     "ff:ff:ff:ff:ff:ff is a multicast address; the first byte must be even, like 02:00:00:00:00:01"),
    ("mac", "00:00:00:00:00:00", "00:00:00:00:00:00 is no address; say one like 02:00:00:00:00:01, or leave it out"),
    ("mac", 40915156, "40915156 is a number: YAML reads digits with colons so; put it in quotes"),
    ("mac", ["02:00:00:00:00:01"], "a list is not text; say a MAC address, like 02:00:00:00:00:01"),
    ("mtu", 67, "67 is out of range; say a number from 68 to 65535"),
    ("mtu", 65536, "65536 is out of range; say a number from 68 to 65535"),
    ("mtu", -1, "-1 is out of range; say a number from 68 to 65535"),
    ("mtu", 10**400, "a huge number is out of range; say a number from 68 to 65535"),
    ("mtu", "1500 bytes", '"1500 bytes" is not a whole number; say one from 68 to 65535'),
    ("mtu", "", '"" is not a whole number; say one from 68 to 65535'),
    ("mtu", True, "true is not a whole number; say one from 68 to 65535"),
    ("mtu", 1500.0, "1500.0 is not a whole number; say one from 68 to 65535"),
    ("mtu", [1500], "a list is not a whole number; say one from 68 to 65535"),
    ("up", "maybe", '"maybe" is neither true nor false'),
    ("up", 2, "2 is neither true nor false"),
    ("up", 1.0, "1.0 is neither true nor false"),
    ("up", "", '"" is neither true nor false'),
    ("up", [], "a list is neither true nor false"),
)  # fmt: skip


def field_values() -> Iterator[BadDocument]:
    for index, (field, value, reason) in enumerate(FIELD_VALUES):
        yield BadDocument(
            f"{field}-{index}-bridge", {"bridges": [{"name": "br0", field: value}]}, (f"bridges[0].{field}: {reason}",)
        )
        peer = {"name": "b0", field: value}
        yield BadDocument(
            f"{field}-{index}-peer", {"veths": [{"name": "a0", "peer": peer}]}, (f"veths[0].peer.{field}: {reason}",)
        )
    for flag in ("stp", "vlan_filtering"):
        yield BadDocument(
            f"{flag}-word",
            {"bridges": [{"name": "br0", flag: "rstp"}]},
            (f'bridges[0].{flag}: "rstp" is neither true nor false',),
        )
