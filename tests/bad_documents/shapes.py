# SPDX-License-Identifier: GPL-3.0-or-later
"""The right things at the wrong places, unknown keys, and the document's own fields."""

# ruff: noqa: E501 - a message reads best on one line

from __future__ import annotations

from typing import Iterator

from ansible_collections.hostwire.linux.tests.bad_documents.model import (
    CABLE,
    HOST_RULE,
    RED,
    BadDocument,
    Document,
    Values,
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
        hint = "; say {name: red}" if "name" in keys.split(", ") else ""
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
                (f"{section}[0]: {shown} is not a mapping of fields ({keys}){hint if case == 'text' else ''}",),
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
        (f'veths[0].peer: "b0" is not a mapping of fields ({peer_keys}); say {{name: b0}}',),
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
         "bridges[0].guests: true is not a mapping of fields (among, from_host, from_others, outside, services, to_host)"),
        ({"bridges": [{"name": "br0", "guests": ["among"]}]},
         "bridges[0].guests: a list is not a mapping of fields (among, from_host, from_others, outside, services, to_host)"),
        ({"bridges": [{"name": "br0", "guests": {"to_hosts": False}}]},
         'bridges[0].guests.to_hosts: unknown key; did you mean "to_host"?'),
        ({"bridges": [{"name": "br0", "guests": {"among": "never"}}]},
         'bridges[0].guests.among: "never" is neither true nor false'),
        ({"bridges": [{"name": "br0", "guests": {"outside": False, "from_others": True}}]},
         "bridges[0].guests.from_others: lets guests of other networks in, and outside is false; leave one of the two out"),
        ({"bridges": [{"name": "br0", "guests": {"services": "dns"}}]},
         'bridges[0].guests.services: "dns" is not a list; say it like [dhcp, dns]'),
        ({"bridges": [{"name": "br0", "guests": {"services": ["dhpc"]}}]},
         'bridges[0].guests.services[0]: "dhpc" is none of dhcp, dns; did you mean "dhcp"?'),
        ({"bridges": [{"name": "br0", "guests": {"services": ["dns", "ntp"]}}]},
         'bridges[0].guests.services[1]: "ntp" is none of dhcp, dns'),
        ({"bridges": [{"name": "br0", "guests": {"services": ["dns", 53]}}]},
         "bridges[0].guests.services[1]: 53 is not text; say it like [dhcp, dns]"),
        ({"bridges": [{"name": "br0", "guests": {"services": ["dns", "dns"]}}]},
         "bridges[0].guests.services[1]: dns is there twice"),
        ({"bridges": [{"name": "br0", "guests": {"services": ["dns"], "to_host": False}}]},
         "bridges[0].guests.services: are the host's, and to_host is false; leave one of the two out"),
        ({"namespaces": [RED], "bridges": [{"name": "br0", "netns": "red", "guests": {}}]},
         "bridges[0].guests: is for bridges of the host; leave it out, or leave netns out"),
        ({"forwarding": True}, "forwarding: true is not a mapping of fields (ipv4, ipv6, networks); say {ipv4: true}"),
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
