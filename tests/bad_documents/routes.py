# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes and their gateways."""

# ruff: noqa: E501 - a message reads best on one line

from __future__ import annotations

from typing import Any, Iterator

from ansible_collections.hostwire.linux.tests.bad_documents.model import (
    HOST_RULE,
    RED,
    BadDocument,
    Document,
    in_red,
)


def routes() -> Iterator[BadDocument]:
    """Routes on the host, of which nothing is known here: what is wrong with each shows by itself."""
    cases: tuple[tuple[dict[str, Any], str], ...] = (
        ({"via": "10.0.0.1"}, "to: is missing; say where the route leads, like 192.168.2.0/24 or default"),
        ({"to": "", "dev": "eth0"}, "to: is empty; say where the route leads, like 192.168.2.0/24 or default, or leave it out"),
        ({"to": 10, "dev": "eth0"},
         "to: 10 is not text; say where the route leads, like 192.168.2.0/24 or default (YAML reads it as a number: quote it)"),
        ({"to": "defautl", "dev": "eth0"}, 'to: "defautl" is not a network, like 192.168.2.0/24 or default'),
        ({"to": "0.0.0.0", "dev": "eth0"}, 'to: "0.0.0.0" is no destination; say default for what no other route has'),
        ({"to": "fd00::5", "dev": "eth0"}, 'to: "fd00::5" has no prefix length; say fd00::/64, or fd00::5/128 for one host'),
        ({"to": "10.0.0.5", "dev": "eth0"}, 'to: "10.0.0.5" has no prefix length; say 10.0.0.0/24, or 10.0.0.5/32 for one host'),
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
        ({"to": "fd99::/64", "nexthops": [{"via": "fd00::1", "dev": "eth0"}, {"dev": "eth0"}]},
         "nexthops[1].via: is missing; of several next hops of an IPv6 route each needs its gateway"),
        ({"to": "any", "via": "10.0.0.1"}, 'to: "any" is no destination; say default for what no other route has'),
        ({"to": "::", "via": "fd00::1"}, 'to: "::" is no destination; say default for what no other route has'),
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

    def way(gateway: str) -> str:
        return f"; where it is on the wire of b0 all the same, add the route {{to: {gateway}/32, dev: b0}}"

    cases: tuple[tuple[str, Document, str], ...] = (
        ("elsewhere", in_red(here, routes=[{"netns": "red", "to": "default", "via": "10.0.1.1"}]),
         f"via: {none} 10.0.1.1; there are 10.0.0.0/24 on b0{way('10.0.1.1')}"),
        ("other-family", in_red(here, routes=[{"netns": "red", "to": "default", "via": "fd00::1"}]),
         f"via: {none} fd00::1; IPv6 has no subnet there"),
        ("single", in_red("10.0.0.1/32", routes=[{"netns": "red", "to": "default", "via": "10.0.0.2"}]),
         f"via: {none} 10.0.0.2; there are 10.0.0.1/32 on b0{way('10.0.0.2')}"),
        ("itself", in_red(here, routes=[{"netns": "red", "to": "default", "via": "10.0.0.1"}]),
         "via: 10.0.0.1 is an address of namespace red itself, not of a gateway"),
        ("network", in_red(here, routes=[{"netns": "red", "to": "default", "via": "10.0.0.0"}]),
         "via: 10.0.0.0 is the network address of 10.0.0.0/24, not a gateway's"),
        ("broadcast", in_red(here, routes=[{"netns": "red", "to": "default", "via": "10.0.0.255"}]),
         "via: 10.0.0.255 is the broadcast address of 10.0.0.0/24, not a gateway's"),
        ("nexthop", in_red(here, routes=[{"netns": "red", "to": "default", "nexthops": [{"via": "10.0.0.2"}, {"via": "10.0.1.2"}]}]),
         f"nexthops[1].via: {none} 10.0.1.2; there are 10.0.0.0/24 on b0{way('10.0.1.2')}"),
        ("no-subnet", {"namespaces": [RED], "routes": [{"netns": "red", "to": "default", "via": "10.0.0.1"}]},
         f"via: {none} 10.0.0.1; IPv4 has no subnet there"),
        ("behind-a-gateway", in_red(here, routes=[
            {"netns": "red", "to": "default", "via": "10.1.0.1"}, {"netns": "red", "to": "10.1.0.0/16", "via": "10.0.0.2"}]),
         f"via: {none} 10.1.0.1; there are 10.0.0.0/24 on b0{way('10.1.0.1')}"),
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
         "via: no connected subnet on b0 of namespace red has the gateway 10.0.1.2; there are 10.0.0.0/24 on b0, 10.0.1.0/24 on b1"
         + way("10.0.1.2")),
    )  # fmt: skip
    for case, document, problem in cases:
        yield BadDocument(f"gateway-{case}", document, (f"routes[0].{problem}",))
