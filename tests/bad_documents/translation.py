# SPDX-License-Identifier: GPL-3.0-or-later
"""Masquerading and published ports."""

# ruff: noqa: E501 - a message reads best on one line

from __future__ import annotations

from typing import Any, Iterator

from ansible_collections.hostwire.linux.tests.bad_documents.model import (
    HOST_RULE,
    NETWORK_RULE,
    TARGET_RULE,
    BadDocument,
    Document,
)

PORT_RULE = "say a number from 1 to 65535, or a range like 8000-8010"


def masquerades() -> Iterator[BadDocument]:
    cases: tuple[tuple[dict[str, Any], str], ...] = (
        ({"source": "192.168.15.0"}, 'source: "192.168.15.0" has no prefix length; say 192.168.15.0/24'),
        ({"source": "192.168.15.5/24"},
         'source: "192.168.15.5/24" has host bits set; say 192.168.15.0/24, or 192.168.15.5/32 for one host'),
        ({"source": "red"}, f'source: "red" {NETWORK_RULE}'),
        ({"source": ""}, "source: is empty; say a network, like 192.168.15.0/24, or leave it out"),
        ({"source": ["10.0.0.0/8"]}, "source: a list is not text; say a network, like 192.168.15.0/24"),
        ({"source": "10.0.0.0/8", "to_source": "127.0.0.1"},
         "to_source: 127.0.0.1 is a loopback address, to which no answer finds back"),
        ({"source": "10.0.0.0/8", "to_source": "web"}, f'to_source: "web" {HOST_RULE}'),
        ({"source": "10.0.0.0/8", "to_source": "10.0.0.1/24"},
         'to_source: "10.0.0.1/24" has a prefix length; write the address alone: 10.0.0.1'),
        ({"source": "10.0.0.0/8", "to_source": "fd00::1"}, "to_source: fd00::1 is of the other family than 10.0.0.0/8"),
        ({"source": "fd00::/64", "to_source": "10.0.0.1"}, "to_source: 10.0.0.1 is of the other family than fd00::/64"),
        ({"source": "10.0.0.0/8", "to_source": "224.0.0.1"}, "to_source: 224.0.0.1 is a multicast address"),
        ({"source": "10.0.0.0/8", "except_to": ["br0", "br1", "br0"]}, "except_to[2]: br0 is there twice"),
        ({"source": "10.0.0.0/8", "except_to": ["br0", 7]}, "except_to[1]: 7 is not text; say it like [v-net-0]"),
        ({"source": "10.0.0.0/8", "except_to": [None]}, "except_to[0]: null is not text; say it like [v-net-0]"),
        ({"source": "10.0.0.0/8", "except_to": ["lo", "all"]},
         'except_to[1]: "all" is reserved; choose another name'),
        ({"source": "10.0.0.0/8", "except_to": ["br0", "sixteen-letters-"]},
         'except_to[1]: "sixteen-letters-" has 16 characters; an interface\'s name has at most 15'),
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
        ({**to, "port": 80, "sources": ["10.0.0.5"]}, 'sources[0]: "10.0.0.5" has no prefix length; say 10.0.0.0/24, or 10.0.0.5/32 for one host'),
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
