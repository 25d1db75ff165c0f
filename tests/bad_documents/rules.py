# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects that don't go together, several problems at once, and what only a host shows."""

# ruff: noqa: E501 - a message reads best on one line

from __future__ import annotations

from typing import Any, Iterator

from ansible_collections.hostwire.linux.tests.bad_documents.model import (
    CABLE,
    RED,
    TARGET_RULE,
    BadDocument,
    Document,
    in_red,
)
from ansible_collections.hostwire.linux.tests.bad_documents.names import NAME_RULE
from ansible_collections.hostwire.linux.tests.bad_documents.shapes import SECTIONS


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
        ({"bridges": [{"name": "br0"}], "masquerade": [{"source": "10.0.0.0/8", "except_to": ["br0", "br1"]}]},
         'masquerade[0].except_to: no interface named "br1" on the host; did you mean "br0"?'),
        ({"routes": [{"to": "default", "via": "10.0.0.1"}]},
         "routes[0].via: no connected subnet of the host has the gateway 10.0.0.1; IPv4 has no subnet there"),
        ({"bridges": [{"name": "br0", "addresses": ["10.0.0.1/24"]}], "routes": [{"to": "default", "via": "10.0.1.1"}]},
         ("routes[0].via: no connected subnet of the host has the gateway 10.0.1.1; there are 10.0.0.0/24 on br0; "
         "where it is on the wire of br0 all the same, add the route {to: 10.0.1.1/32, dev: br0}")),
        ({"bridges": [{"name": "br0", "up": False, "addresses": ["10.0.0.1/24"]}], "routes": [{"to": "default", "via": "10.0.0.2"}]},
         "routes[0].via: no connected subnet of the host has the gateway 10.0.0.2; IPv4 has no subnet there"),
    )  # fmt: skip
    for index, (document, problem) in enumerate(cases):
        yield BadDocument(f"unknown-{index}", document, (problem,), empty_host=True)
