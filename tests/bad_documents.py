# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad documents, each with exactly the problems that it has: what the reader and the preflight must say, and say alone.

Every document is plain enough for JSON. ``empty_host``: the problem shows only against a host, here one with nothing
but lo; all other problems show without looking at any host.
"""

# ruff: noqa: E501 - a message reads best on one line

from __future__ import annotations

from typing import Any, Callable, Iterator, NamedTuple

Document = Any
Places = dict[str, Callable[[Any], Document]]  # a field's path to a document with a value there
Values = tuple[tuple[str, Any, str], ...]  # a case, a value, and the value in a message


class BadDocument(NamedTuple):
    """A document and the lines of the one message that it gets, in their order."""

    id: str
    document: Document
    problems: tuple[str, ...]
    empty_host: bool = False


NAME_RULE = "use letters, digits, _ . and -, beginning with a letter or digit"
PORT_RULE = "say a number from 1 to 65535, or a range like 8000-8010"
ADDRESS_RULE = "is not an address with prefix length, like 192.168.15.1/24 or fd00:15::1/64"
TARGET_RULE = "say it like 192.168.15.2:80 or [fd00:15::2]:80"
HOST_RULE = "is not an IPv4 or IPv6 address, like 192.168.15.2 or fd00:15::2"

RED = {"name": "red"}
PLUGGED = {"container": "web", "name": "lan0", "bridge": "br0"}
CABLE = {"name": "a0", "peer": {"name": "b0", "netns": "red"}}


def in_red(address: str, **more: Any) -> Document:
    """A document with one room whose interface b0 has this address."""
    cable = {"name": "a0", "peer": {"name": "b0", "netns": "red", "addresses": [address]}}
    return {"namespaces": [RED], "veths": [cable], **more}


# Where a new interface gets its name: a document with that name in it, and the field's path.
NEW_NAMES: Places = {
    "bridges[0].name": lambda name: {"bridges": [{"name": name}]},
    "veths[0].name": lambda name: {"veths": [{"name": name, "peer": {"name": "b0"}}]},
    "veths[0].peer.name": lambda name: {"veths": [{"name": "a0", "peer": {"name": name}}]},
    "interfaces[0].name": lambda name: {"interfaces": [{"name": name}]},
    "containers[0].name": lambda name: {"containers": [{"container": "web", "name": name, "bridge": "br0"}]},
}

# Where an interface is spoken of.
NAMED_INTERFACES: Places = {
    "veths[0].bridge": lambda name: {"veths": [{"name": "a0", "bridge": name, "peer": {"name": "b0"}}]},
    "veths[0].peer.bridge": lambda name: {"veths": [{"name": "a0", "peer": {"name": "b0", "bridge": name}}]},
    "containers[0].bridge": lambda name: {"containers": [{"container": "web", "name": "lan0", "bridge": name}]},
    "interfaces[0].bridge": lambda name: {"interfaces": [{"name": "eth0", "bridge": name}]},
    "routes[0].dev": lambda name: {"routes": [{"to": "10.0.0.0/8", "dev": name}]},
    "routes[0].nexthops[0].dev": lambda name: {"routes": [{"to": "10.0.0.0/8", "nexthops": [{"dev": name}]}]},
    "masquerade[0].except_to": lambda name: {"masquerade": [{"source": "10.0.0.0/8", "except_to": name}]},
}

# A name that can't be one, and why (hazard 12).
BAD_NAMES: dict[str, tuple[Any, str]] = {
    "shell": ("$(id)", f'"$(id)" is no safe name for an interface; {NAME_RULE}'),
    "semicolon": ("a;b", f'"a;b" is no safe name for an interface; {NAME_RULE}'),
    "option": ("-x", f'"-x" is no safe name for an interface; {NAME_RULE}'),
    "accent": ("é", f'"é" is no safe name for an interface; {NAME_RULE}'),
    "pattern": ("a%d", f'"a%d" is no safe name for an interface; {NAME_RULE}'),
    "space": ("a b", f'"a b" is no safe name for an interface; {NAME_RULE}'),
    "slash": ("a/b", f'"a/b" is no safe name for an interface; {NAME_RULE}'),
    "dots": ("..", f'".." is no safe name for an interface; {NAME_RULE}'),
    "newline": ("eth0\n", f'"eth0\\n" is no safe name for an interface; {NAME_RULE}'),
    "nul": ("eth\0", f'"eth\\x00" is no safe name for an interface; {NAME_RULE}'),
    "alias": ("eth0:1", f'"eth0:1" is no safe name for an interface; {NAME_RULE}'),
    "arabic-digit": ("eth٣", f'"eth٣" is no safe name for an interface; {NAME_RULE}'),
    "sixteen": ("sixteen-letters-", '"sixteen-letters-" has 16 characters; an interface\'s name has at most 15'),
    "all": ("all", '"all" is reserved; choose another name'),
    "default": ("default", '"default" is reserved; choose another name'),
    "empty": ("", "is empty; say the name of an interface, or leave it out"),
    "number": (7, "7 is not text; say the name of an interface (YAML reads it as a number: quote it)"),
    "boolean": (
        False,
        "false is not text; say the name of an interface (YAML reads yes, no, on and off as booleans: quote it)",
    ),
    "fraction": (1.5, "1.5 is not text; say the name of an interface"),
    "list": (["eth0"], "a list is not text; say the name of an interface"),
    "mapping": ({"name": "eth0"}, "a mapping is not text; say the name of an interface"),
}


def interface_names() -> Iterator[BadDocument]:
    for path, document in NEW_NAMES.items():
        for case, (name, reason) in BAD_NAMES.items():
            yield BadDocument(f"name-{case}-{path}", document(name), (f"{path}: {reason}",))
    for path, document in NAMED_INTERFACES.items():
        for case in ("shell", "option", "sixteen", "all", "empty", "number", "list"):
            name, reason = BAD_NAMES[case]
            yield BadDocument(f"names-{case}-{path}", document(name), (f"{path}: {reason}",))
    lo = '"lo" is reserved; choose another name'
    for path in ("bridges[0].name", "veths[0].name", "veths[0].peer.name"):
        yield BadDocument(f"name-lo-{path}", NEW_NAMES[path]("lo"), (f"{path}: {lo}",))
    for path in ("veths[0].bridge", "interfaces[0].bridge"):
        yield BadDocument(f"names-lo-{path}", NAMED_INTERFACES[path]("lo"), (f"{path}: {lo}",))


# Where a namespace is named.
NAMESPACES: Places = {
    "namespaces[0].name": lambda name: {"namespaces": [{"name": name}]},
    "bridges[0].netns": lambda name: {"bridges": [{"name": "br0", "netns": name}]},
    "veths[0].netns": lambda name: {"veths": [{"name": "a0", "netns": name, "peer": {"name": "b0"}}]},
    "veths[0].peer.netns": lambda name: {"veths": [{"name": "a0", "peer": {"name": "b0", "netns": name}}]},
    "interfaces[0].netns": lambda name: {"interfaces": [{"name": "eth0", "netns": name}]},
    "routes[0].netns": lambda name: {"routes": [{"to": "10.0.0.0/8", "dev": "eth0", "netns": name}]},
    "masquerade[0].netns": lambda name: {"masquerade": [{"source": "10.0.0.0/8", "netns": name}]},
    "published_ports[0].netns": lambda name: {"published_ports": [{"port": 80, "to": "10.0.0.1:80", "netns": name}]},
    "probes[0].from": lambda name: {"probes": [{"from": name, "to": "10.0.0.1"}]},
}

BAD_NAMESPACES: dict[str, tuple[Any, str]] = {
    "digits": ("12", '"12" is all digits, which other programs take for a process; add a letter'),
    "path": ("../x", f'"../x" is no safe name for a namespace; {NAME_RULE}'),
    "slash": ("a/b", f'"a/b" is no safe name for a namespace; {NAME_RULE}'),
    "option": ("-n", f'"-n" is no safe name for a namespace; {NAME_RULE}'),
    "empty": ("", "is empty; say the name of a namespace, or leave it out"),
    "number": (12, "12 is not text; say the name of a namespace (YAML reads it as a number: quote it)"),
    "list": (["red"], "a list is not text; say the name of a namespace"),
}


def namespace_names() -> Iterator[BadDocument]:
    for path, document in NAMESPACES.items():
        for case, (name, reason) in BAD_NAMESPACES.items():
            yield BadDocument(f"netns-{case}-{path}", document(name), (f"{path}: {reason}",))
    long = "x" * 256
    shown = '"' + "x" * 57 + '..."'
    yield BadDocument(
        "netns-long",
        {"namespaces": [{"name": long}]},
        (f"namespaces[0].name: {shown} has 256 characters; a namespace's name has at most 255",),
    )
    yield BadDocument(
        "netns-superscript-digits", {"namespaces": [{"name": "²"}]},
        (f'namespaces[0].name: "²" is no safe name for a namespace; {NAME_RULE}',),
    )  # fmt: skip


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


SECTIONS = {
    "namespaces": "forwarding, hosts, name, nameservers, sysctls",
    "bridges": "addresses, guests, mac, mtu, name, netns, stp, up, uplink, vlan_filtering",
    "veths": "addresses, bridge, leased, mac, mtu, name, netns, peer, up",
    "interfaces": "addresses, bridge, mtu, name, netns, up",
    "containers": "addresses, bridge, container, leased, mac, mtu, name",
    "routes": "dev, metric, netns, nexthops, table, to, type, via",
    "masquerade": "except_to, netns, source, to_source",
    "published_ports": "address, netns, port, protocol, sources, to",
    "probes": "expect, from, port, protocol, to",
}

FIRST_MISSING = {
    "namespaces": "name: is missing; say how the namespace is called",
    "bridges": "name: is missing; say how the bridge is called",
    "interfaces": "name: is missing; say how the interface is called",
    "routes": "to: is missing; say where the route leads, like 192.168.2.0/24 or default",
    "masquerade": "source: is missing; say the network whose packets are to leave with another address",
    "probes": "to: is missing; say the address to try",
}


def shapes() -> Iterator[BadDocument]:
    """The right things at the wrong places."""
    for section, keys in SECTIONS.items():
        no_lists: Values = (("mapping", {"name": "x"}, "a mapping"), ("text", "red", '"red"'), ("number", 7, "7"))
        for case, value, shown in no_lists:
            yield BadDocument(
                f"{section}-is-{case}",
                {section: value},
                (f"{section}: {shown} is not a list; say one entry per line, each with a dash",),
            )
        no_entries: Values = (
            ("null", None, "null"),
            ("text", "red", '"red"'),
            ("list", [1], "a list"),
            ("true", True, "true"),
        )
        for case, value, shown in no_entries:
            yield BadDocument(
                f"{section}-entry-{case}",
                {section: [value]},
                (f"{section}[0]: {shown} is not a mapping of fields ({keys})",),
            )
    for section, missing in FIRST_MISSING.items():
        yield BadDocument(f"{section}-entry-empty", {section: [{}]}, (f"{section}[0].{missing}",))
    yield BadDocument(
        "veths-entry-empty",
        {"veths": [{}]},
        (
            "veths[0].name: is missing; say how this end of the cable is called",
            "veths[0].peer: is missing; say the cable's other end, like {name: veth-red, netns: red}",
        ),
    )
    yield BadDocument(
        "published-entry-empty",
        {"published_ports": [{}]},
        (
            "published_ports[0].port: is missing; say which port to publish, like 8080 or 8000-8010",
            "published_ports[0].to: is missing; say the address and port that it leads to, like 192.168.15.2:80",
        ),
    )
    yield BadDocument(
        "containers-entry-empty",
        {"containers": [{}]},
        (
            "containers[0].container: is missing; say the container to plug the cable into, by its name",
            "containers[0].name: is missing; say how the interface in the container is called",
            "containers[0].bridge: is missing; say the bridge of the host that the cable comes from",
        ),
    )
    peer_keys = "addresses, bridge, leased, mac, mtu, name, netns, up"
    yield BadDocument(
        "peer-is-text",
        {"veths": [{"name": "a0", "peer": "b0"}]},
        (f'veths[0].peer: "b0" is not a mapping of fields ({peer_keys})',),
    )
    yield BadDocument(
        "peer-empty",
        {"veths": [{"name": "a0", "peer": {}}]},
        ("veths[0].peer.name: is missing; say how this end of the cable is called",),
    )
    top = (
        "bridges, containers, forwarding, interfaces, masquerade, name, namespaces, probes, published_ports, routes, state, "
        "sysctls, taps, veths"
    )
    no_documents: Values = (("null", None, "null"), ("list", [], "a list"), ("text", "x", '"x"'), ("number", 1, "1"))
    for case, value, shown in no_documents:
        yield BadDocument(f"document-is-{case}", value, (f"document: {shown} is not a mapping of fields ({top})",))


def unknown_keys() -> Iterator[BadDocument]:
    cases: tuple[tuple[Document, str], ...] = (
        ({"bridge": []}, 'bridge: unknown key; did you mean "bridges"?'),
        ({"Bridges": []}, 'Bridges: unknown key; did you mean "bridges"?'),
        ({"published_port": []}, 'published_port: unknown key; did you mean "published_ports"?'),
        ({"namespaces": [{"name": "red", "sysctl": {}}]}, 'namespaces[0].sysctl: unknown key; did you mean "sysctls"?'),
        ({"namespaces": [{"name": "red", "forwarding": {"ipv5": True}}]},
         'namespaces[0].forwarding.ipv5: unknown key; did you mean "ipv6"?'),
        ({"namespaces": [{"name": "red", "forwarding": {"networks": []}}]},
         "namespaces[0].forwarding.networks: unknown key; known are ipv4, ipv6"),
        ({"bridges": [{"name": "br0", "adresses": []}]}, 'bridges[0].adresses: unknown key; did you mean "addresses"?'),
        ({"bridges": [{"name": "br0", "ports": []}]},
         "bridges[0].ports: unknown key; known are addresses, guests, mac, mtu, name, netns, stp, up, uplink, vlan_filtering"),
        ({"veths": [{**CABLE, "net_ns": "red"}], "namespaces": [RED]},
         'veths[0].net_ns: unknown key; did you mean "netns"?'),
        ({"veths": [{"name": "a0", "peer": {"name": "b0", "adress": "x"}}]},
         'veths[0].peer.adress: unknown key; did you mean "addresses"?'),
        ({"veths": [{"name": "a0", "peer": {"name": "b0", "peer": {}}}]},
         "veths[0].peer.peer: unknown key; known are addresses, bridge, leased, mac, mtu, name, netns, up"),
        ({"interfaces": [{"name": "eth0", "mac": "02:00:00:00:00:01"}]},
         "interfaces[0].mac: unknown key; known are addresses, bridge, mtu, name, netns, up"),
        ({"routes": [{"to": "10.0.0.0/8", "dev": "eth0", "tabel": 5}]},
         'routes[0].tabel: unknown key; did you mean "table"?'),
        ({"routes": [{"to": "10.0.0.0/8", "nexthops": [{"dev": "eth0", "wieght": 5}]}]},
         'routes[0].nexthops[0].wieght: unknown key; did you mean "weight"?'),
        ({"masquerade": [{"source": "10.0.0.0/8", "exept_to": "br0"}]},
         'masquerade[0].exept_to: unknown key; did you mean "except_to"?'),
        ({"published_ports": [{"port": 80, "to": "10.0.0.1:80", "source": []}]},
         'published_ports[0].source: unknown key; did you mean "sources"?'),
        ({"forwarding": {"ip4": True}}, 'forwarding.ip4: unknown key; did you mean "ipv4"?'),
        ({"probes": [{"to": "10.0.0.1", "expected": "reachable"}]},
         'probes[0].expected: unknown key; did you mean "expect"?'),
        ({"a\nb": 1, "name": "x"},
         ('"a\\nb": unknown key; known are bridges, containers, forwarding, interfaces, masquerade, name, namespaces, '
         "probes, published_ports, routes, state, sysctls, taps, veths")),
    )  # fmt: skip
    for index, (document, problem) in enumerate(cases):
        yield BadDocument(f"key-{index}", document, (problem,))


def top_level() -> Iterator[BadDocument]:
    rule = "is no name for a document; use up to 32 letters, digits, _ . and -, beginning with a letter or digit"
    cases: tuple[tuple[Document, str], ...] = (
        ({"name": "a b"}, f'name: "a b" {rule}'),
        ({"name": "../main"}, f'name: "../main" {rule}'),
        ({"name": "-main"}, f'name: "-main" {rule}'),
        ({"name": "x" * 33}, f'name: "{"x" * 33}" {rule}'),
        ({"name": ""}, "name: is empty; say a name for the document, or leave it out"),
        ({"name": 5}, "name: 5 is not text; say a name for the document (YAML reads it as a number: quote it)"),
        ({"state": "absend"}, 'state: "absend" is none of present, absent; did you mean "absent"?'),
        ({"state": "Present"}, 'state: "Present" is none of present, absent; did you mean "present"?'),
        ({"state": True}, "state: true is none of present, absent"),
        ({"state": ["absent"]}, "state: a list is none of present, absent"),
        ({"taps": [{}]}, "taps[0].name: is missing; say how the tap is called"),
        ({"taps": [{"name": "tap0", "owner": "no one"}]},
         'taps[0].owner: "no one" is no user\'s name; use letters, digits, - and _, like qemu'),
        ({"taps": [{"name": "tap0", "owner": 2**32 - 1}]},
         "taps[0].owner: 4294967295 is no user's number; they go from 0 to 4294967294"),
        ({"taps": [{"name": "tap0", "owner": "99999999999"}]},
         'taps[0].owner: "99999999999" is no user\'s number; they go from 0 to 4294967294'),
        ({"taps": [{"name": "tap0", "addresses": ["10.0.0.1/24"]}]}, "taps[0].addresses: unknown key; known are bridge, mac, mtu, name, netns, owner, up"),
        ({"bridges": [{"name": "br0", "uplink": "lo"}]}, 'bridges[0].uplink: "lo" is reserved; choose another name'),
        ({"bridges": [{"name": "br0", "guests": True}]},
         "bridges[0].guests: true is not a mapping of fields (among, from_host, outside, to_host)"),
        ({"bridges": [{"name": "br0", "guests": ["among"]}]},
         "bridges[0].guests: a list is not a mapping of fields (among, from_host, outside, to_host)"),
        ({"bridges": [{"name": "br0", "guests": {"to_hosts": False}}]},
         'bridges[0].guests.to_hosts: unknown key; did you mean "to_host"?'),
        ({"bridges": [{"name": "br0", "guests": {"among": "never"}}]},
         'bridges[0].guests.among: "never" is neither true nor false'),
        ({"namespaces": [RED], "bridges": [{"name": "br0", "netns": "red", "guests": {}}]},
         "bridges[0].guests: is for bridges of the host; leave it out, or leave netns out"),
        ({"forwarding": True}, "forwarding: true is not a mapping of fields (ipv4, ipv6, networks)"),
        ({"forwarding": {"ipv4": "perhaps"}}, 'forwarding.ipv4: "perhaps" is neither true nor false'),
        ({"forwarding": {"networks": "10.0.0.0/8"}},
         'forwarding.networks: "10.0.0.0/8" is not a list; say it like [192.168.15.0/24]'),
        ({"forwarding": {"networks": ["10.0.0.1/8"]}},
         'forwarding.networks[0]: "10.0.0.1/8" has host bits set; say 10.0.0.0/8, or 10.0.0.1/32 for one host'),
        ({"namespaces": [{"name": "red", "forwarding": "yes"}]},
         'namespaces[0].forwarding: "yes" is not a mapping of fields (ipv4, ipv6)'),
        ({"namespaces": [{"name": "red", "nameservers": "10.0.0.1"}]},
         'namespaces[0].nameservers: "10.0.0.1" is not a list; say it like [192.168.15.5]'),
        ({"namespaces": [{"name": "red", "nameservers": ["dns.example"]}]},
         f'namespaces[0].nameservers[0]: "dns.example" {HOST_RULE}'),
        ({"namespaces": [{"name": "red", "nameservers": ["10.0.0.1/24"]}]},
         'namespaces[0].nameservers[0]: "10.0.0.1/24" has a prefix length; write the address alone: 10.0.0.1'),
        ({"namespaces": [{"name": "red", "nameservers": ["224.0.0.1"]}]},
         'namespaces[0].nameservers[0]: "224.0.0.1" is a multicast address'),
        ({"namespaces": [{"name": "red", "nameservers": ["10.0.0.1", "10.0.0.1"]}]},
         "namespaces[0].nameservers[1]: 10.0.0.1 is there twice"),
        ({"namespaces": [{"name": "red", "nameservers": ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"]}]},
         "namespaces[0].nameservers: 4 are too many; a resolver asks the first 3 only"),
        ({"namespaces": [{"name": "red", "hosts": ["db"]}]},
         "namespaces[0].hosts: a list is not a mapping of names to addresses, like {localdb: 10.0.2.12}"),
        ({"namespaces": [{"name": "red", "hosts": {"db": "10.0.2"}}]}, f'namespaces[0].hosts[db]: "10.0.2" {HOST_RULE}'),
        ({"namespaces": [{"name": "red", "hosts": {"db": None}}]},
         "namespaces[0].hosts[db]: null is not an address, like 10.0.2.12"),
        ({"namespaces": [{"name": "red", "hosts": {"d b": "10.0.2.1"}}]},
         'namespaces[0].hosts[d b]: "d b" is not a host\'s name; use letters, digits, - and dots between'),
        ({"namespaces": [{"name": "red", "hosts": {"db\n1.2.3.4 bank": "10.0.2.1"}}]},
         ('namespaces[0].hosts["db\\n1.2.3.4 bank"]: "db\\n1.2.3.4 bank" is not a host\'s name; '
         "use letters, digits, - and dots between")),
    )  # fmt: skip
    for index, (document, problem) in enumerate(cases):
        yield BadDocument(f"top-{index}", document, (problem,))


def containers() -> Iterator[BadDocument]:
    """Cables into containers: names that can't be, two in one place, and routes of containers without a cable."""
    other = {**PLUGGED, "name": "lan1"}
    switch = {"name": "br0", "addresses": ["10.0.0.1/24"]}
    via = {"netns": "container:web", "to": "10.9.0.0/16", "via": "10.0.0.1"}
    nothing_there = "no entry of containers has a cable into container"
    cases: tuple[tuple[Document, tuple[str, ...]], ...] = (
        ({"containers": [{**PLUGGED, "container": "a b"}]},
         ('containers[0].container: "a b" names no container; say it as docker ps shows it, like web',)),
        ({"containers": [{**PLUGGED, "container": "container:web"}]},
         ('containers[0].container: "container:web" names no container; say it as docker ps shows it, like web',)),
        ({"containers": [{**PLUGGED, "container": ""}]},
         ("containers[0].container: is empty; say the name of a container, like web, or leave it out",)),
        ({"containers": [{**PLUGGED, "container": 5}]},
         ("containers[0].container: 5 is not text; say the name of a container, like web (YAML reads it as a number: quote it)",)),
        ({"containers": [{**PLUGGED, "netns": "red"}]},
         ("containers[0].netns: unknown key; known are addresses, bridge, container, leased, mac, mtu, name",)),
        ({"containers": [{**PLUGGED, "mtu": 67}]},
         ("containers[0].mtu: 67 is out of range; say a number from 68 to 65535",)),
        ({"containers": [{**PLUGGED, "mac": "01:00:00:00:00:01"}]},
         ("containers[0].mac: 01:00:00:00:00:01 is a multicast address; the first byte must be even, like 02:00:00:00:00:01",)),
        ({"containers": [{**PLUGGED, "mtu": 1279, "addresses": ["fd00::2/64"]}]},
         ("containers[0].mtu: 1279 is under 1280, the least that IPv6 works with, and fd00::2/64 is on it",)),
        ({"containers": [PLUGGED, {**PLUGGED, "bridge": "br1"}]},
         ('containers[1].name: interface "lan0" in container web is there already, in containers[0]',)),
        ({"containers": [{**PLUGGED, "addresses": ["10.0.0.2/24"]}, {**other, "addresses": ["10.0.0.3/24"]}]},
         ("containers[1].addresses[0]: 10.0.0.3/24 overlaps 10.0.0.2/24 of lan0, in containers[0].addresses[0]",)),
        ({"bridges": [switch], "containers": [{**PLUGGED, "addresses": ["10.0.0.1/24"]}]},
         ("containers[0].addresses[0]: 10.0.0.1 is there already on the same switch br0, in bridges[0].addresses[0]",)),
        ({"veths": [{"name": "br0", "peer": {"name": "b0"}}], "containers": [PLUGGED]},
         ('containers[0].bridge: "br0" is not a bridge in this document',)),
        ({"routes": [via]}, (f"routes[0].netns: {nothing_there} web; say one, or another",)),
        ({"containers": [{**PLUGGED, "container": "db"}], "routes": [via]},
         (f"routes[0].netns: {nothing_there} web; say one, or another",)),
        ({"routes": [{**via, "netns": "container:"}]},
         ('routes[0].netns: "container:" names no container; say it like container:web',)),
        ({"routes": [{**via, "netns": "containers:web"}]},
         (f'routes[0].netns: "containers:web" is no safe name for a namespace; {NAME_RULE}',)),
        ({"bridges": [{"name": "br0", "netns": "container:web"}]},
         (f'bridges[0].netns: "container:web" is no safe name for a namespace; {NAME_RULE}',)),
    )  # fmt: skip
    for index, (document, problems) in enumerate(cases):
        yield BadDocument(f"container-{index}", document, problems)


def sysctls() -> Iterator[BadDocument]:
    not_network = "is not a setting of the network; say one below net, like net.ipv4.conf.all.rp_filter"
    no_path = "is no path of a setting; say it like net.ipv4.conf.all.rp_filter or net/ipv4/conf/eth0.100/rp_filter"
    cases: tuple[tuple[str, Any, str], ...] = (
        ("kernel.hostname", "x", not_network),
        ("net", 1, not_network),
        ("net.ipv4", 1, not_network),
        ("vm/swappiness", 1, not_network),
        ("", 1, not_network),
        ("net/../kernel/hostname", "x", no_path),
        ("net/ipv4//ip_default_ttl", 64, no_path),
        ("net/ipv4/./x", 64, no_path),
        ("net.ipv4.conf.a;b.rp_filter", 1, no_path),
        ("net.ipv4.conf.eth0.100.rp_filter", 1,
         "can't be told apart from an interface with dots in its name; say net/ipv4/conf/eth0.100/rp_filter"),
        ("net.ipv6.neigh.eth0.100.gc_stale_time", 1,
         "can't be told apart from an interface with dots in its name; say net/ipv6/neigh/eth0.100/gc_stale_time"),
        ("net.ipv4.ip_forward", 1, "is set by the field forwarding; say forwarding: {ipv4: true} instead"),
        ("net/ipv4/conf/all/forwarding", 1, "is set by the field forwarding; say forwarding: {ipv4: true} instead"),
        ("net.ipv6.conf.all.forwarding", 1, "is set by the field forwarding; say forwarding: {ipv6: true} instead"),
        ("net.ipv4.ip_default_ttl", None, "null is not a value for a setting; say a number or text"),
        ("net.ipv4.ip_default_ttl", [64], "a list is not a value for a setting; say a number or text"),
        ("net.ipv4.ip_default_ttl", 6.4, "6.4 is not a value for a setting; say a number or text"),
        ("net.ipv4.ip_default_ttl", 10**40, "a huge number is not a value for a setting; say a number or text"),
        ("net.ipv4.ip_default_ttl", "", '"" is not a value for a setting; say a number or text'),
        ("net.ipv4.ip_default_ttl", "64\n65", '"64\\n65" is not a value for a setting; say a number or text'),
    )  # fmt: skip
    for index, (key, value, reason) in enumerate(cases):
        shown = key or '""'
        yield BadDocument(f"sysctl-{index}-host", {"sysctls": {key: value}}, (f"sysctls[{shown}]: {reason}",))
        if index % 3 == 0:
            yield BadDocument(
                f"sysctl-{index}-namespace",
                {"namespaces": [{"name": "red", "sysctls": {key: value}}]},
                (f"namespaces[0].sysctls[{shown}]: {reason}",),
            )
    yield BadDocument(
        "sysctls-list",
        {"sysctls": ["net.ipv4.ip_default_ttl=64"]},
        ("sysctls: a list is not a mapping; say it like {net.ipv4.conf.all.rp_filter: 1}",),
    )
    yield BadDocument(
        "sysctl-twice",
        {"sysctls": {"net.ipv4.ip_default_ttl": 64, "net/ipv4/ip_default_ttl": 63}},
        (
            "sysctls[net/ipv4/ip_default_ttl]: net/ipv4/ip_default_ttl is there twice, once with dots and once with slashes",
        ),
    )


def routes() -> Iterator[BadDocument]:
    """Routes on the host, of which nothing is known here: what is wrong with each shows by itself."""
    cases: tuple[tuple[dict[str, Any], str], ...] = (
        ({"via": "10.0.0.1"}, "to: is missing; say where the route leads, like 192.168.2.0/24 or default"),
        ({"to": "", "dev": "eth0"}, "to: is empty; say where the route leads, like 192.168.2.0/24 or default, or leave it out"),
        ({"to": 10, "dev": "eth0"},
         "to: 10 is not text; say where the route leads, like 192.168.2.0/24 or default (YAML reads it as a number: quote it)"),
        ({"to": "defautl", "dev": "eth0"}, f'to: "defautl" {ADDRESS_RULE}'),
        ({"to": "10.0.0.5", "dev": "eth0"}, 'to: "10.0.0.5" has no prefix length; write it like 10.0.0.5/24'),
        ({"to": "10.0.0.5/24", "dev": "eth0"}, 'to: "10.0.0.5/24" has host bits set; say 10.0.0.0/24, or 10.0.0.5/32 for one host'),
        ({"to": "fd00::5/64", "dev": "eth0"}, 'to: "fd00::5/64" has host bits set; say fd00::/64, or fd00::5/128 for one host'),
        ({"to": "10.0.0.0/255.0.0.0", "dev": "eth0"},
         'to: "10.0.0.0/255.0.0.0" has a netmask; write the prefix length: 10.0.0.0/8'),
        ({"to": "10.0.0.0/40", "dev": "eth0"},
         'to: "10.0.0.0/40" has no valid prefix length: for IPv4 it is a number from 0 to 32'),
        ({"to": "10.0.0.0/8"}, "via: is missing; say the gateway's address, or dev for a route without one"),
        ({"to": "default"}, "via: is missing; say the gateway's address, or dev for a route without one"),
        ({"to": "default", "via": "gateway"}, f'via: "gateway" {HOST_RULE}'),
        ({"to": "default", "via": "10.0.0.1/24"},
         'via: "10.0.0.1/24" has a prefix length; write the address alone: 10.0.0.1'),
        ({"to": "default", "via": "224.0.0.1"}, "via: 224.0.0.1 is a multicast address; no gateway can have it"),
        ({"to": "default", "via": "127.0.0.1"}, "via: 127.0.0.1 is a loopback address; no gateway can have it"),
        ({"to": "default", "via": "0.0.0.0"}, "via: 0.0.0.0 is in 0.0.0.0/8, which no host can have; no gateway can have it"),
        ({"to": "default", "via": "255.255.255.255"}, "via: 255.255.255.255 is the broadcast address; no gateway can have it"),
        ({"to": "default", "via": "::"}, "via: :: is the unspecified address; no gateway can have it"),
        ({"to": "default", "via": "fe80::1"}, "via: fe80::1 is a link-local address; say with dev which link it is on"),
        ({"to": "default", "via": ["10.0.0.1"]}, "via: a list is not text; say an address, like 192.168.15.5"),
        ({"to": "fd01::/64", "via": "10.0.0.1"}, "via: 10.0.0.1 is an IPv4 gateway and the route is IPv6"),
        ({"to": "10.1.0.0/16", "via": "fd00::1"}, "via: fd00::1 is an IPv6 gateway and the route is IPv4"),
        ({"to": "::/0", "via": "10.0.0.1"}, "via: 10.0.0.1 is an IPv4 gateway and the route is IPv6"),
        ({"to": "0.0.0.0/0", "via": "fd00::1"}, "via: fd00::1 is an IPv6 gateway and the route is IPv4"),
        ({"to": "default", "nexthops": [{"via": "10.0.0.1"}, {"via": "fd00::1"}]},
         "nexthops[1].via: fd00::1 is an IPv6 gateway and the route is IPv4"),
        ({"to": "default", "via": "10.0.0.1", "nexthops": [{"via": "10.0.0.2"}]},
         "via: is there beside nexthops; say it in one of them"),
        ({"to": "default", "dev": "eth0", "nexthops": [{"via": "10.0.0.2"}]},
         "dev: is there beside nexthops; say it in one of them"),
        ({"to": "default", "nexthops": {"via": "10.0.0.1"}},
         "nexthops: a mapping is not a list; say it like [{via: 192.168.15.5, weight: 1}]"),
        ({"to": "default", "nexthops": [None]}, "nexthops[0]: null is not a mapping of fields (dev, via, weight)"),
        ({"to": "default", "nexthops": ["10.0.0.1"]}, 'nexthops[0]: "10.0.0.1" is not a mapping of fields (dev, via, weight)'),
        ({"to": "default", "nexthops": [{"weight": 2}]},
         "nexthops[0].via: is missing; say the gateway's address, or dev for a next hop without one"),
        ({"to": "default", "nexthops": [{"via": "10.0.0.1", "weight": 0}]},
         "nexthops[0].weight: 0 is out of range; say a number from 1 to 256"),
        ({"to": "default", "nexthops": [{"via": "10.0.0.1", "weight": 257}]},
         "nexthops[0].weight: 257 is out of range; say a number from 1 to 256"),
        ({"to": "default", "nexthops": [{"via": "10.0.0.1"}, {"via": "10.0.0.1", "weight": 3}]},
         "nexthops[1]: is there twice; give one of them more weight instead"),
        ({"to": "default", "via": "10.0.0.1", "metric": -1}, "metric: -1 is out of range; say a number from 0 to 4294967295"),
        ({"to": "default", "via": "10.0.0.1", "metric": 2**32},
         "metric: 4294967296 is out of range; say a number from 0 to 4294967295"),
        ({"to": "default", "via": "10.0.0.1", "metric": "low"},
         'metric: "low" is not a whole number; say one from 0 to 4294967295'),
        ({"to": "default", "via": "10.0.0.1", "table": "mian"},
         'table: "mian" is no table; say main, default or a number; did you mean "main"?'),
        ({"to": "default", "via": "10.0.0.1", "table": 0}, "table: 0 is out of range; say a number from 1 to 4294967295"),
        ({"to": "default", "via": "10.0.0.1", "table": 255},
         "table: 255 is the table local, which is the kernel's own; say another"),
        ({"to": "default", "via": "10.0.0.1", "table": [1]},
         "table: a list is not a whole number; say one from 1 to 4294967295"),
        ({"to": "default", "via": "10.0.0.1", "type": "blackole"},
         'type: "blackole" is none of unicast, blackhole, unreachable, prohibit; did you mean "blackhole"?'),
        ({"to": "10.0.0.0/8", "via": "10.0.0.1", "type": "blackhole"},
         "type: a route of type blackhole leads nowhere; leave via, dev and nexthops out"),
        ({"to": "10.0.0.0/8", "dev": "eth0", "type": "unreachable"},
         "type: a route of type unreachable leads nowhere; leave via, dev and nexthops out"),
        ({"to": "10.0.0.0/8", "nexthops": [{"dev": "eth0"}], "type": "prohibit"},
         "type: a route of type prohibit leads nowhere; leave via, dev and nexthops out"),
    )  # fmt: skip
    for index, (route, problem) in enumerate(cases):
        yield BadDocument(f"route-{index}", {"routes": [route]}, (f"routes[0].{problem}",))


def gateways() -> Iterator[BadDocument]:
    """Routes in a room that the document makes, so that it says all there is to know."""
    none = "no connected subnet of namespace red has the gateway"
    here = "10.0.0.1/24"
    cases: tuple[tuple[str, Document, str], ...] = (
        ("elsewhere", in_red(here, routes=[{"netns": "red", "to": "default", "via": "10.0.1.1"}]),
         f"via: {none} 10.0.1.1; there are 10.0.0.0/24 on b0"),
        ("other-family", in_red(here, routes=[{"netns": "red", "to": "default", "via": "fd00::1"}]),
         f"via: {none} fd00::1; IPv6 has no subnet there"),
        ("single", in_red("10.0.0.1/32", routes=[{"netns": "red", "to": "default", "via": "10.0.0.2"}]),
         f"via: {none} 10.0.0.2; there are 10.0.0.1/32 on b0"),
        ("itself", in_red(here, routes=[{"netns": "red", "to": "default", "via": "10.0.0.1"}]),
         "via: 10.0.0.1 is an address of namespace red itself, not of a gateway"),
        ("network", in_red(here, routes=[{"netns": "red", "to": "default", "via": "10.0.0.0"}]),
         "via: 10.0.0.0 is the network address of 10.0.0.0/24, not a gateway's"),
        ("broadcast", in_red(here, routes=[{"netns": "red", "to": "default", "via": "10.0.0.255"}]),
         "via: 10.0.0.255 is the broadcast address of 10.0.0.0/24, not a gateway's"),
        ("nexthop", in_red(here, routes=[{"netns": "red", "to": "default", "nexthops": [{"via": "10.0.0.2"}, {"via": "10.0.1.2"}]}]),
         f"nexthops[1].via: {none} 10.0.1.2; there are 10.0.0.0/24 on b0"),
        ("no-subnet", {"namespaces": [RED], "routes": [{"netns": "red", "to": "default", "via": "10.0.0.1"}]},
         f"via: {none} 10.0.0.1; IPv4 has no subnet there"),
        ("behind-a-gateway", in_red(here, routes=[
            {"netns": "red", "to": "default", "via": "10.1.0.1"}, {"netns": "red", "to": "10.1.0.0/16", "via": "10.0.0.2"}]),
         f"via: {none} 10.1.0.1; there are 10.0.0.0/24 on b0"),
        ("down", {"namespaces": [RED], "veths": [{"name": "a0", "peer": {"name": "b0", "netns": "red", "up": False, "addresses": [here]}}],
                  "routes": [{"netns": "red", "to": "default", "via": "10.0.0.2"}]},
         f"via: {none} 10.0.0.2; IPv4 has no subnet there"),
        ("dev-down", {"namespaces": [RED], "veths": [{"name": "a0", "peer": {"name": "b0", "netns": "red", "up": "off"}}],
                      "routes": [{"netns": "red", "to": "10.0.0.0/8", "dev": "b0"}]},
         "dev: b0 is down (up: false), and a route needs it up"),
        ("other-dev", {"namespaces": [RED], "veths": [
            {"name": "a0", "peer": {"name": "b0", "netns": "red", "addresses": [here]}},
            {"name": "a1", "peer": {"name": "b1", "netns": "red", "addresses": ["10.0.1.1/24"]}}],
            "routes": [{"netns": "red", "to": "default", "via": "10.0.1.2", "dev": "b0"}]},
         "via: no connected subnet on b0 of namespace red has the gateway 10.0.1.2; there are 10.0.0.0/24 on b0, 10.0.1.0/24 on b1"),
    )  # fmt: skip
    for case, document, problem in cases:
        yield BadDocument(f"gateway-{case}", document, (f"routes[0].{problem}",))


def masquerades() -> Iterator[BadDocument]:
    cases: tuple[tuple[dict[str, Any], str], ...] = (
        ({"source": "192.168.15.0"}, 'source: "192.168.15.0" has no prefix length; write it like 192.168.15.0/24'),
        ({"source": "192.168.15.5/24"},
         'source: "192.168.15.5/24" has host bits set; say 192.168.15.0/24, or 192.168.15.5/32 for one host'),
        ({"source": "red"}, f'source: "red" {ADDRESS_RULE}'),
        ({"source": ""}, "source: is empty; say a network, like 192.168.15.0/24, or leave it out"),
        ({"source": ["10.0.0.0/8"]}, "source: a list is not text; say a network, like 192.168.15.0/24"),
        ({"source": "10.0.0.0/8", "to_source": "web"}, f'to_source: "web" {HOST_RULE}'),
        ({"source": "10.0.0.0/8", "to_source": "10.0.0.1/24"},
         'to_source: "10.0.0.1/24" has a prefix length; write the address alone: 10.0.0.1'),
        ({"source": "10.0.0.0/8", "to_source": "fd00::1"}, "to_source: fd00::1 is of the other family than 10.0.0.0/8"),
        ({"source": "fd00::/64", "to_source": "10.0.0.1"}, "to_source: 10.0.0.1 is of the other family than fd00::/64"),
        ({"source": "10.0.0.0/8", "to_source": "224.0.0.1"}, "to_source: 224.0.0.1 is a multicast address"),
        ({"source": "10.0.0.0/8", "to_source": "0.0.0.0"}, "to_source: 0.0.0.0 is in 0.0.0.0/8, which no host can have"),
    )  # fmt: skip
    for index, (masquerade, problem) in enumerate(cases):
        yield BadDocument(f"masquerade-{index}", {"masquerade": [masquerade]}, (f"masquerade[0].{problem}",))
    yield BadDocument(
        "masquerade-twice",
        {"masquerade": [{"source": "10.0.0.0/8"}, {"source": "10.0.0.0/8", "to_source": "10.0.0.1"}]},
        ("masquerade[1].source: 10.0.0.0/8 is there already on the host, in masquerade[0]",),
    )


def published_ports() -> Iterator[BadDocument]:
    to = {"to": "10.0.0.1:80"}
    cases: tuple[tuple[dict[str, Any], str], ...] = (
        ({**to}, "port: is missing; say which port to publish, like 8080 or 8000-8010"),
        ({**to, "port": 0}, 'port: "0" is out of range; ports go from 1 to 65535'),
        ({**to, "port": 65536}, 'port: "65536" is out of range; ports go from 1 to 65535'),
        ({**to, "port": -80}, f'port: "-80" is not a port; {PORT_RULE}'),
        ({**to, "port": 10**30}, f'port: "{10**30}" is not a port; {PORT_RULE}'),
        ({**to, "port": "http"}, f'port: "http" is not a port; {PORT_RULE}'),
        ({**to, "port": "80:90"}, f'port: "80:90" is not a port; {PORT_RULE}'),
        ({**to, "port": "80-"}, f'port: "80-" is not a port; {PORT_RULE}'),
        ({**to, "port": ""}, f'port: "" is not a port; {PORT_RULE}'),
        ({**to, "port": 80.0}, f"port: 80.0 is not a port; {PORT_RULE}"),
        ({**to, "port": True}, f"port: true is not a port; {PORT_RULE}"),
        ({**to, "port": [80]}, f"port: a list is not a port; {PORT_RULE}"),
        ({**to, "port": "8010-8000"}, 'port: "8010-8000" runs backwards; say 8000-8010'),
        ({**to, "port": "65000-70000"}, 'port: "65000-70000" is out of range; ports go from 1 to 65535'),
        ({"port": 80, "to": "web:80"}, f'to: "web:80": "web" is not an address; {TARGET_RULE}'),
        ({"port": 80, "to": "10.0.0.1"}, f'to: "10.0.0.1" has no port; {TARGET_RULE}'),
        ({"port": 80, "to": "fd00::1"}, f'to: "fd00::1" has no port; {TARGET_RULE}'),
        ({"port": 80, "to": "fd00::1:80"}, f'to: "fd00::1:80" has no port; {TARGET_RULE}'),
        ({"port": 80, "to": "[10.0.0.1]:80"}, f'to: "[10.0.0.1]:80": "10.0.0.1" is not an address; {TARGET_RULE}'),
        ({"port": 80, "to": "web"}, f'to: "web" is not an address and port; {TARGET_RULE}'),
        ({"port": 80, "to": ""}, f'to: "" is not an address and port; {TARGET_RULE}'),
        ({"port": 80, "to": 80}, f'to: "80" is not an address and port; {TARGET_RULE}'),
        ({"port": 80, "to": ["10.0.0.1:80"]}, "to: a list is not an address and port, like 192.168.15.2:80 or [fd00:15::2]:80"),
        ({"port": 80, "to": "10.0.0.1:http"}, f'to: "http" is not a port; {PORT_RULE}'),
        ({"port": 80, "to": "10.0.0.1:0"}, 'to: "0" is out of range; ports go from 1 to 65535'),
        ({"port": 80, "to": "10.0.0.1:80-81"}, "to: leads to 2 ports and publishes 1; say as many as in port"),
        ({"port": "80-82", "to": "10.0.0.1:80"}, "to: leads to 1 port and publishes 3; say as many as in port"),
        ({"port": 80, "to": "127.0.0.1:80"}, "to: 127.0.0.1 is a loopback address, where no packet from elsewhere can be led"),
        ({"port": 80, "to": "224.0.0.1:80"}, "to: 224.0.0.1 is a multicast address"),
        ({"port": 80, "to": "0.0.0.0:80"}, "to: 0.0.0.0 is in 0.0.0.0/8, which no host can have"),
        ({"port": 80, "to": "[fd00::2]:80"},
         "address: 127.0.0.1 is the default and IPv4; say the IPv6 address to publish on, or any"),
        ({"port": 80, "to": "[fd00::2]:80", "address": "127.0.0.1"},
         "address: 127.0.0.1 is IPv4 and fd00::2 is IPv6; say one of the same family, or any"),
        ({"port": 80, "to": "[fd00::2]:80", "address": "::1"},
         "address: ::1 can't be published on, for IPv6 leads nothing away from its loopback; say another address, or any"),
        ({**to, "port": 80, "address": "fd00::9"},
         "address: fd00::9 is IPv6 and 10.0.0.1 is IPv4; say one of the same family, or any"),
        ({**to, "port": 80, "address": "0.0.0.0"}, "address: 0.0.0.0 is not an address of its own; say any for every local address"),
        ({**to, "port": 80, "address": "224.0.0.1"}, "address: 224.0.0.1 is a multicast address"),
        ({**to, "port": 80, "address": "all"}, f'address: "all" {HOST_RULE}; or say any'),
        ({**to, "port": 80, "address": "10.0.0.9/24"},
         'address: "10.0.0.9/24" has a prefix length; write the address alone: 10.0.0.9; or say any'),
        ({**to, "port": 80, "address": ""}, "address: is empty; say a local address, or any, or leave it out"),
        ({**to, "port": 80, "address": 5},
         "address: 5 is not text; say a local address, or any (YAML reads it as a number: quote it)"),
        ({**to, "port": 80, "protocol": "sctp"}, 'protocol: "sctp" is none of tcp, udp'),
        ({**to, "port": 80, "protocol": "TCP"}, 'protocol: "TCP" is none of tcp, udp; did you mean "tcp"?'),
        ({**to, "port": 80, "protocol": 6}, "protocol: 6 is none of tcp, udp"),
        ({**to, "port": 80, "sources": "10.0.0.0/8"}, 'sources: "10.0.0.0/8" is not a list; say it like [192.168.15.0/24]'),
        ({**to, "port": 80, "sources": ["10.0.0.5"]}, 'sources[0]: "10.0.0.5" has no prefix length; write it like 10.0.0.5/24'),
        ({**to, "port": 80, "sources": ["10.0.0.5/24"]},
         'sources[0]: "10.0.0.5/24" has host bits set; say 10.0.0.0/24, or 10.0.0.5/32 for one host'),
        ({**to, "port": 80, "sources": [None]}, "sources[0]: null is not text; say it like [192.168.15.0/24]"),
        ({**to, "port": 80, "sources": ["fd00::/64"]}, "sources: fd00::/64 is of the other family than 10.0.0.1"),
    )  # fmt: skip
    for index, (published, problem) in enumerate(cases):
        yield BadDocument(f"port-{index}", {"published_ports": [published]}, (f"published_ports[0].{problem}",))


def published_twice() -> Iterator[BadDocument]:
    def port(ports: Any, address: str = "any", **more: Any) -> dict[str, Any]:
        first, _dash, last = str(ports).partition("-")
        count = int(last or first) - int(first)
        return {"port": ports, "to": f"10.0.0.1:{1}-{1 + count}" if count else "10.0.0.1:1", "address": address, **more}

    def twice(*entries: dict[str, Any]) -> Document:
        return {"published_ports": list(entries)}

    cases: tuple[tuple[Document, str], ...] = (
        (twice(port(80), port(80)), "[1].port: tcp 80 on any address is published already, in published_ports[0]"),
        (twice(port(80), port(80, "10.0.0.9")), "[1].port: tcp 80 on 10.0.0.9 is published already, in published_ports[0]"),
        (twice(port(80, "10.0.0.9"), port(80)), "[1].port: tcp 80 on any address is published already, in published_ports[0]"),
        (twice(port(80, "10.0.0.9"), port(80, "10.0.0.9")),
         "[1].port: tcp 80 on 10.0.0.9 is published already, in published_ports[0]"),
        (twice(port("80-90"), port(85)), "[1].port: tcp 85 on any address is published already, in published_ports[0]"),
        (twice(port(85), port("80-90")), "[0].port: tcp 85 on any address is published already, in published_ports[1]"),
        (twice(port("80-90"), port("90-99")), "[1].port: tcp 90-99 on any address is published already, in published_ports[0]"),
        (twice(port("80-99"), port("81-82", "10.0.0.9"), port(90, "10.0.0.8")),
         "[1].port: tcp 81-82 on 10.0.0.9 is published already, in published_ports[0]"),
        (twice(port(53, protocol="udp"), port(53, protocol="udp")),
         "[1].port: udp 53 on any address is published already, in published_ports[0]"),
    )  # fmt: skip
    for index, (document, problem) in enumerate(cases):
        problems = [f"published_ports{problem}"]
        if index == 7:
            problems.append("published_ports[2].port: tcp 90 on 10.0.0.8 is published already, in published_ports[0]")
        yield BadDocument(f"port-twice-{index}", document, tuple(problems))


def probes() -> Iterator[BadDocument]:
    cases: tuple[tuple[dict[str, Any], str], ...] = (
        ({"to": "web"}, f'to: "web" {HOST_RULE}'),
        ({"to": ""}, "to: is empty; say an address, or leave it out"),
        ({"to": 5}, "to: 5 is not text; say an address (YAML reads it as a number: quote it)"),
        ({"to": "10.0.0.1/24"}, 'to: "10.0.0.1/24" has a prefix length; write the address alone: 10.0.0.1'),
        ({"to": "fe80::1"}, 'to: "fe80::1": a link-local address, and no other, needs its interface, like fe80::1%eth0'),
        ({"to": "fe80::1%"}, 'to: "fe80::1%": a link-local address, and no other, needs its interface, like fe80::1%eth0'),
        ({"to": "10.0.0.1%eth0"},
         'to: "10.0.0.1%eth0": a link-local address, and no other, needs its interface, like fe80::1%eth0'),
        ({"to": "10.0.0.1", "port": 80}, "port: icmp has no ports; leave it out, or say protocol: tcp"),
        ({"to": "10.0.0.1", "protocol": "tcp"}, "port: is missing; say which tcp port to try"),
        ({"to": "10.0.0.1", "protocol": "udp"}, "port: is missing; say which udp port to try"),
        ({"to": "10.0.0.1", "protocol": "tcp", "port": 0}, "port: 0 is out of range; say a number from 1 to 65535"),
        ({"to": "10.0.0.1", "protocol": "tcp", "port": "80-90"},
         'port: "80-90" is not a whole number; say one from 1 to 65535'),
        ({"to": "10.0.0.1", "protocol": "ping"}, 'protocol: "ping" is none of icmp, tcp, udp, dns'),
        ({"to": "10.0.0.1", "expect": "unreachabel"},
         'expect: "unreachabel" is none of reachable, unreachable; did you mean "unreachable"?'),
        ({"to": "10.0.0.1", "expect": False}, "expect: false is none of reachable, unreachable"),
        ({"to": "10.0.0.1", "from": "container:"}, 'from: "container:" names no container; say it like container:web'),
        ({"to": "10.0.0.1", "from": "container:a/b"}, 'from: "container:a/b" names no container; say it like container:web'),
    )  # fmt: skip
    for index, (probe, problem) in enumerate(cases):
        yield BadDocument(f"probe-{index}", {"probes": [probe]}, (f"probes[0].{problem}",))


def between_objects() -> Iterator[BadDocument]:
    def bridge(name: str, *addresses: str, **more: Any) -> dict[str, Any]:
        return {"name": name, "addresses": list(addresses), **more}

    def cable(name: str, bridge: str | None, netns: str, *addresses: str) -> dict[str, Any]:
        return {
            "name": name,
            "bridge": bridge,
            "peer": {"name": f"{name}-in", "netns": netns, "addresses": list(addresses)},
        }

    rooms = [{"name": "red"}, {"name": "blue"}]
    port_rule = "where addresses do nothing; put them on the bridge"
    cases: dict[str, tuple[Document, str]] = {
        "namespace-twice": (
            {"namespaces": [RED, {"name": "red", "hosts": {}}]},
            'namespaces[1].name: namespace "red" is there already, in namespaces[0]',
        ),
        "bridge-twice": (
            {"bridges": [bridge("br0"), bridge("br0")]},
            'bridges[1].name: interface "br0" on the host is there already, in bridges[0]',
        ),
        "bridge-and-end": (
            {"bridges": [bridge("x")], "veths": [{"name": "x", "peer": {"name": "y"}}]},
            'veths[0].name: interface "x" on the host is there already, in bridges[0]',
        ),
        "both-ends": (
            {"veths": [{"name": "x", "peer": {"name": "x"}}]},
            'veths[0].peer.name: interface "x" on the host is there already, in veths[0]',
        ),
        "ends-in-a-room": (
            {"namespaces": [RED], "veths": [CABLE, {"name": "a1", "peer": {"name": "b0", "netns": "red"}}]},
            'veths[1].peer.name: interface "b0" in namespace red is there already, in veths[0].peer',
        ),
        "interface-is-ours": (
            {"bridges": [bridge("br0")], "interfaces": [{"name": "br0", "mtu": 1400}]},
            'interfaces[0].name: interface "br0" on the host is there already, in bridges[0]',
        ),
        "interface-twice": (
            {"interfaces": [{"name": "eth0", "mtu": 1400}, {"name": "eth0", "up": True}]},
            'interfaces[1].name: interface "eth0" on the host is there already, in interfaces[0]',
        ),
        "lo-down": (
            {"namespaces": [RED], "interfaces": [{"name": "lo", "netns": "red", "up": False}]},
            "interfaces[0].up: lo is up in every namespace; leave it out",
        ),
        "lo-in-a-bridge": (
            {"bridges": [bridge("br0")], "interfaces": [{"name": "lo", "bridge": "br0"}]},
            "interfaces[0].bridge: lo can't be a port of a bridge",
        ),
        "port-of-a-cable": (
            {"veths": [{"name": "a0", "peer": {"name": "b0"}}, {"name": "a1", "bridge": "a0", "peer": {"name": "b1"}}]},
            'veths[1].bridge: "a0" is not a bridge in this document',
        ),
        "port-of-itself": (
            {"veths": [{"name": "a0", "bridge": "a0", "peer": {"name": "b0"}}]},
            'veths[0].bridge: "a0" is not a bridge in this document',
        ),
        "address-on-a-port": (
            {"bridges": [bridge("br0")], "veths": [{"name": "a0", "bridge": "br0", "addresses": ["10.0.0.1/24"],
                                                    "peer": {"name": "b0"}}]},
            f"veths[0].addresses: a0 is a port of bridge br0, {port_rule}",
        ),
        "address-on-an-interface-port": (
            {"bridges": [bridge("br0")], "interfaces": [{"name": "eth0", "bridge": "br0", "addresses": ["10.0.0.1/24"]}]},
            f"interfaces[0].addresses: eth0 is a port of bridge br0, {port_rule}",
        ),
        "uplink-of-two": (
            {"bridges": [bridge("br0", uplink="eth0"), bridge("br1", uplink="eth0")]},
            'bridges[1].uplink: "eth0" on the host is an uplink already, in bridges[0].uplink',
        ),
        "uplink-of-ours": (
            {"bridges": [bridge("br0", uplink="a0")], "veths": [{"name": "a0", "peer": {"name": "b0"}}]},
            ('bridges[0].uplink: "a0" is made by this document, in veths[0]; an uplink is there already: say bridge: br0 '
             "there instead"),
        ),
        "uplink-of-itself": (
            {"bridges": [bridge("br0", uplink="br0")]},
            ('bridges[0].uplink: "br0" is made by this document, in bridges[0]; an uplink is there already: say bridge: '
             "br0 there instead"),
        ),
        "uplink-with-addresses": (
            {"bridges": [bridge("br0", uplink="eth0")], "interfaces": [{"name": "eth0", "addresses": ["10.0.0.1/24"]}]},
            "interfaces[0].addresses: eth0 is an uplink, in bridges[0].uplink; put them on br0",
        ),
        "uplink-as-a-port": (
            {"bridges": [bridge("br0", uplink="eth0")], "interfaces": [{"name": "eth0", "bridge": "br0"}]},
            "interfaces[0].bridge: eth0 is an uplink, in bridges[0].uplink, and so a port of br0; leave it out",
        ),
        "route-by-an-uplink": (
            {"bridges": [bridge("br0", uplink="eth0")], "routes": [{"to": "10.0.0.0/8", "dev": "eth0"}]},
            "routes[0].dev: eth0 is the uplink of br0, which does its work: say br0",
        ),
        "mtu-ipv6-bridge": (
            {"bridges": [bridge("br0", "10.0.0.1/24", "fd00::1/64", mtu=1279)]},
            "bridges[0].mtu: 1279 is under 1280, the least that IPv6 works with, and fd00::1/64 is on it",
        ),
        "mtu-ipv6-peer": (
            {"veths": [{"name": "a0", "peer": {"name": "b0", "mtu": 576, "addresses": ["fe80::1/64"]}}]},
            "veths[0].peer.mtu: 576 is under 1280, the least that IPv6 works with, and fe80::1/64 is on it",
        ),
        "mtu-ipv6-interface": (
            {"interfaces": [{"name": "eth0", "mtu": "1000", "addresses": ["fd00::1/64"]}]},
            "interfaces[0].mtu: 1000 is under 1280, the least that IPv6 works with, and fd00::1/64 is on it",
        ),
        "mtu-ipv6-through-a-port": (
            {
                "bridges": [bridge("br0", "fd00::1/64")],
                "veths": [{"name": "a0", "bridge": "br0", "mtu": 1000, "peer": {"name": "b0"}}],
            },
            ("veths[0].mtu: 1000 is under 1280, the least that IPv6 works with, and bridge br0 with fd00::1/64 takes it; "
             "give it an mtu"),
        ),
        "address-twice-in-a-room": (
            {"bridges": [bridge("br0", "10.0.0.1/24"), bridge("br1", "10.0.0.1/16")]},
            "bridges[1].addresses[0]: 10.0.0.1 is there already on the host, in bridges[0].addresses[0]",
        ),
        "address-twice-on-a-link": (
            {"bridges": [bridge("br0", "10.0.0.1/24", "10.0.0.1/16")]},
            "bridges[0].addresses[1]: 10.0.0.1 is there already on the host, in bridges[0].addresses[0]",
        ),
        "address-twice-on-a-switch": (
            {"namespaces": rooms, "bridges": [bridge("br0")],
             "veths": [cable("r", "br0", "red", "10.0.0.1/24"), cable("b", "br0", "blue", "10.0.0.1/24")]},
            "veths[1].peer.addresses[0]: 10.0.0.1 is there already on the same switch br0, in veths[0].peer.addresses[0]",
        ),
        "address-of-the-switch": (
            {"namespaces": rooms, "bridges": [bridge("br0", "fd00::1/64")], "veths": [cable("r", "br0", "red", "fd00:0::1/64")]},
            "veths[0].peer.addresses[0]: fd00::1 is there already on the same switch br0, in bridges[0].addresses[0]",
        ),
        "address-twice-with-other-lengths": (
            {"namespaces": rooms, "bridges": [bridge("br0")],
             "veths": [cable("r", "br0", "red", "10.0.0.1/24"), cable("b", "br0", "blue", "10.0.0.1/16")]},
            "veths[1].peer.addresses[0]: 10.0.0.1 is there already on the same switch br0, in veths[0].peer.addresses[0]",
        ),
        "address-twice-on-joined-switches": (
            {"namespaces": rooms, "bridges": [bridge("br0"), bridge("br1")],
             "veths": [cable("r", "br0", "red", "10.0.0.1/24"), cable("b", "br1", "blue", "10.0.0.1/24"),
                       {"name": "t0", "bridge": "br0", "peer": {"name": "t1", "bridge": "br1"}}]},
            "veths[1].peer.addresses[0]: 10.0.0.1 is there already on the same switch br1, in veths[0].peer.addresses[0]",
        ),
        "address-twice-on-a-cable": (
            {"namespaces": rooms, "veths": [{"name": "x", "netns": "red", "addresses": ["10.0.0.1/24"],
                                             "peer": {"name": "x", "netns": "blue", "addresses": ["10.0.0.1/24"]}}]},
            "veths[0].peer.addresses[0]: 10.0.0.1 is there already on the same cable, in veths[0].addresses[0]",
        ),
        "link-local-twice-on-a-cable": (
            {"namespaces": rooms, "veths": [{"name": "x", "netns": "red", "addresses": ["fe80::1/64"],
                                             "peer": {"name": "x", "netns": "blue", "addresses": ["fe80::1/64"]}}]},
            "veths[0].peer.addresses[0]: fe80::1 is there already on the same cable, in veths[0].addresses[0]",
        ),
        "same-subnet": (
            {"bridges": [bridge("br0", "10.0.0.1/24"), bridge("br1", "10.0.0.2/24")]},
            "bridges[1].addresses[0]: 10.0.0.2/24 overlaps 10.0.0.1/24 of br0, in bridges[0].addresses[0]",
        ),
        "subnet-within": (
            {"bridges": [bridge("br0", "10.0.0.1/16"), bridge("br1", "10.0.7.1/24")]},
            "bridges[1].addresses[0]: 10.0.7.1/24 overlaps 10.0.0.1/16 of br0, in bridges[0].addresses[0]",
        ),
        "subnet-around": (
            {"bridges": [bridge("br0", "10.0.7.1/24"), bridge("br1", "10.0.0.1/16")]},
            "bridges[0].addresses[0]: 10.0.7.1/24 overlaps 10.0.0.1/16 of br1, in bridges[1].addresses[0]",
        ),
        "subnet-overlap-ipv6": (
            {"bridges": [bridge("br0", "fd00::1/48"), bridge("br1", "fd00:0:0:7::1/64")]},
            "bridges[1].addresses[0]: fd00:0:0:7::1/64 overlaps fd00::1/48 of br0, in bridges[0].addresses[0]",
        ),
        "subnet-overlap-in-a-room": (
            {"namespaces": [RED], "veths": [cable("a", None, "red", "10.0.0.1/24"), cable("b", None, "red", "10.0.0.200/25")]},
            "veths[1].peer.addresses[0]: 10.0.0.200/25 overlaps 10.0.0.1/24 of a-in, in veths[0].peer.addresses[0]",
        ),
        "subnet-overlap-with-an-interface": (
            {"bridges": [bridge("br0", "192.168.1.1/24")], "interfaces": [{"name": "eth0", "addresses": ["192.168.1.10/24"]}]},
            "interfaces[0].addresses[0]: 192.168.1.10/24 overlaps 192.168.1.1/24 of br0, in bridges[0].addresses[0]",
        ),
        "route-twice": (
            {"routes": [{"to": "10.0.0.0/8", "dev": "eth0"}, {"to": "10.0.0.0/8", "dev": "eth1", "metric": 0}]},
            ("routes[1].to: a route to 10.0.0.0/8 is there already on the host, in routes[0]; give one another metric, "
             "or make it one route with nexthops"),
        ),
        "route-twice-ipv6": (
            {"routes": [{"to": "fd00::/64", "dev": "eth0", "metric": 1024}, {"to": "fd00::/64", "type": "blackhole"}]},
            ("routes[1].to: a route to fd00::/64 is there already on the host, in routes[0]; give one another metric, "
             "or make it one route with nexthops"),
        ),
        "default-twice": (
            in_red("10.0.0.1/24", routes=[{"netns": "red", "to": "default", "via": "10.0.0.2"},
                                          {"netns": "red", "to": "0.0.0.0/0", "via": "10.0.0.3"}]),
            ("routes[1].to: a route to 0.0.0.0/0 is there already in namespace red, in routes[0]; give one another metric, "
             "or make it one route with nexthops"),
        ),
    }  # fmt: skip
    for case, (document, problem) in cases.items():
        yield BadDocument(case, document, (problem,))


def several_at_once() -> Iterator[BadDocument]:
    yield BadDocument(
        "everything-in-one-message",
        {
            "nmae": "main",
            "namespaces": [{"name": "12"}, {"name": "red"}, {"name": "red"}],
            "bridges": [{"name": "br0", "addresses": ["10.0.0.1"], "mtu": 5}],
            "veths": [{"name": "$(id)", "peer": {"name": "b0", "netns": "red", "mac": "x"}}],
            "routes": [{"netns": "red", "to": "10.0.0.1/8", "via": "fd00::1", "metric": "x"}],
            "published_ports": [{"port": 0, "to": "web:80"}],
        },
        (
            'nmae: unknown key; did you mean "name"?',
            'namespaces[0].name: "12" is all digits, which other programs take for a process; add a letter',
            'bridges[0].addresses[0]: "10.0.0.1" has no prefix length; write it like 10.0.0.1/24',
            "bridges[0].mtu: 5 is out of range; say a number from 68 to 65535",
            f'veths[0].name: "$(id)" is no safe name for an interface; {NAME_RULE}',
            'veths[0].peer.mac: "x" is not a MAC address, like 02:00:00:00:00:01',
            'routes[0].to: "10.0.0.1/8" has host bits set; say 10.0.0.0/8, or 10.0.0.1/32 for one host',
            'routes[0].metric: "x" is not a whole number; say one from 0 to 4294967295',
            'published_ports[0].port: "0" is out of range; ports go from 1 to 65535',
            f'published_ports[0].to: "web:80": "web" is not an address; {TARGET_RULE}',
            'namespaces[2].name: namespace "red" is there already, in namespaces[1]',
        ),
    )
    yield BadDocument(
        "paths-count-what-is-left-out",
        {"bridges": [None, {"name": "br0", "addresses": ["10.0.0.1/24"]}, {"name": "br0"}]},
        (
            f"bridges[0]: null is not a mapping of fields ({SECTIONS['bridges']})",
            'bridges[2].name: interface "br0" on the host is there already, in bridges[1]',
        ),
    )


def unknown_on_an_empty_host() -> Iterator[BadDocument]:
    """Nothing on the host but lo: what a document names and doesn't make isn't there."""
    blu = 'no namespace named "blu"; did you mean "blue"?'
    blue = [{"name": "blue"}]
    cases: tuple[tuple[Document, str], ...] = (
        ({"namespaces": blue, "veths": [{"name": "a0", "peer": {"name": "b0", "netns": "blu"}}]}, f"veths[0].peer.netns: {blu}"),
        ({"namespaces": blue, "veths": [{"name": "a0", "netns": "blu", "peer": {"name": "b0"}}]}, f"veths[0].netns: {blu}"),
        ({"namespaces": blue, "bridges": [{"name": "br0", "netns": "blu"}]}, f"bridges[0].netns: {blu}"),
        ({"namespaces": blue, "interfaces": [{"name": "eth0", "netns": "blu"}]}, f"interfaces[0].netns: {blu}"),
        ({"namespaces": blue, "routes": [{"netns": "blu", "to": "10.0.0.0/8", "type": "blackhole"}]}, f"routes[0].netns: {blu}"),
        ({"namespaces": blue, "masquerade": [{"netns": "blu", "source": "10.0.0.0/8"}]}, f"masquerade[0].netns: {blu}"),
        ({"namespaces": blue, "published_ports": [{"netns": "blu", "port": 80, "to": "10.0.0.1:80"}]},
         f"published_ports[0].netns: {blu}"),
        ({"namespaces": blue, "probes": [{"from": "blu", "to": "10.0.0.1"}]}, f"probes[0].from: {blu}"),
        ({"bridges": [{"name": "br0", "netns": "red"}]}, 'bridges[0].netns: no namespace named "red"'),
        ({"bridges": [{"name": "v-net-0"}], "veths": [{"name": "a0", "bridge": "v-net-o", "peer": {"name": "b0"}}]},
         'veths[0].bridge: no bridge named "v-net-o" on the host; did you mean "v-net-0"?'),
        ({"veths": [{"name": "a0", "peer": {"name": "b0", "bridge": "br0"}}]},
         'veths[0].peer.bridge: no bridge named "br0" on the host'),
        ({"veths": [{"name": "a0", "bridge": "eth7", "peer": {"name": "b0"}}]}, 'veths[0].bridge: no bridge named "eth7" on the host'),
        ({"namespaces": [RED], "bridges": [{"name": "br0"}],
          "veths": [{"name": "a0", "peer": {"name": "b0", "netns": "red", "bridge": "br0"}}]},
         'veths[0].peer.bridge: no bridge named "br0" in namespace red; it is on the host, and a port is in its bridge\'s namespace'),
        ({"interfaces": [{"name": "eth0", "mtu": 1400}]}, 'interfaces[0].name: no interface named "eth0" on the host'),
        ({"namespaces": [RED], "interfaces": [{"name": "eth0", "netns": "red"}]},
         'interfaces[0].name: no interface named "eth0" in namespace red'),
        ({"routes": [{"to": "10.0.0.0/8", "dev": "eth0"}]}, 'routes[0].dev: no interface named "eth0" on the host'),
        ({"bridges": [{"name": "br0"}], "routes": [{"to": "10.0.0.0/8", "dev": "br1"}]},
         'routes[0].dev: no interface named "br1" on the host; did you mean "br0"?'),
        ({"bridges": [{"name": "br0"}], "routes": [{"to": "10.0.0.0/8", "nexthops": [{"dev": "br0"}, {"dev": "br1"}]}]},
         'routes[0].nexthops[1].dev: no interface named "br1" on the host; did you mean "br0"?'),
        ({"masquerade": [{"source": "10.0.0.0/8", "except_to": "br0"}]},
         'masquerade[0].except_to: no interface named "br0" on the host'),
        ({"routes": [{"to": "default", "via": "10.0.0.1"}]},
         "routes[0].via: no connected subnet of the host has the gateway 10.0.0.1; IPv4 has no subnet there"),
        ({"bridges": [{"name": "br0", "addresses": ["10.0.0.1/24"]}], "routes": [{"to": "default", "via": "10.0.1.1"}]},
         "routes[0].via: no connected subnet of the host has the gateway 10.0.1.1; there are 10.0.0.0/24 on br0"),
        ({"bridges": [{"name": "br0", "up": False, "addresses": ["10.0.0.1/24"]}], "routes": [{"to": "default", "via": "10.0.0.2"}]},
         "routes[0].via: no connected subnet of the host has the gateway 10.0.0.2; IPv4 has no subnet there"),
    )  # fmt: skip
    for index, (document, problem) in enumerate(cases):
        yield BadDocument(f"unknown-{index}", document, (problem,), empty_host=True)


BAD_DOCUMENTS: tuple[BadDocument, ...] = (
    *interface_names(),
    *namespace_names(),
    *addresses(),
    *field_values(),
    *shapes(),
    *unknown_keys(),
    *top_level(),
    *containers(),
    *sysctls(),
    *routes(),
    *gateways(),
    *masquerades(),
    *published_ports(),
    *published_twice(),
    *probes(),
    *between_objects(),
    *several_at_once(),
    *unknown_on_an_empty_host(),
)
