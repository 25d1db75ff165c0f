# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers, settings and probes."""

# ruff: noqa: E501 - a message reads best on one line

from __future__ import annotations

from typing import Any, Iterator

from ansible_collections.hostwire.linux.tests.bad_documents.model import HOST_RULE, PLUGGED, BadDocument, Document
from ansible_collections.hostwire.linux.tests.bad_documents.names import NAME_RULE


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
