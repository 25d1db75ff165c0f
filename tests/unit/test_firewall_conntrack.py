# SPDX-License-Identifier: GPL-3.0-or-later
"""Which connections a published port decides about (hazard 39), and how the kernel tells of them."""

from __future__ import annotations

import socket
import struct

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils.firewall.conntrack import Flow, concerns, parse
from ansible_collections.hostwire.linux.plugins.module_utils.model import PublishedPort

UDP, TCP = socket.IPPROTO_UDP, socket.IPPROTO_TCP
LOCAL = {"192.168.1.2", "127.0.0.1"}
DNS = PublishedPort(None, "udp", 5300, 5309, "any", "192.168.15.2", 53)


def flow(
    protocol: int = UDP, source: str = "192.168.1.3", destination: str = "192.168.1.2", port: int = 5300,
    answers: str = "192.168.1.2", answers_port: int = 5300,
) -> Flow:  # fmt: skip
    return Flow(protocol, source, destination, port, answers, answers_port)


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (flow(), True),  # older than the publishing: the host itself answers
        (flow(answers="192.168.15.2", answers_port=53), True),  # led there
        (flow(port=5302, answers="192.168.15.2", answers_port=55), True),
        (flow(port=5302, answers="192.168.15.2", answers_port=53), False),  # by another rule than this range's
        (flow(answers="172.17.0.2", answers_port=53), False),  # led elsewhere by somebody else
        (flow(destination="203.0.113.1", answers="203.0.113.1"), False),  # in transit
        (flow(protocol=TCP), False),
        (flow(port=5310), False),
    ],
)
def test_only_flows_that_the_port_decides_about_are_concerned(seen: Flow, expected: bool) -> None:
    assert concerns(seen, DNS, LOCAL) is expected


def test_a_port_of_one_address_concerns_that_address_only() -> None:
    assert not concerns(flow(), DNS._replace(address="127.0.0.1"), LOCAL)
    assert concerns(flow(), DNS._replace(address="192.168.1.2"), LOCAL)


def test_a_port_for_some_sources_concerns_those_only() -> None:
    assert not concerns(flow(), DNS._replace(sources=("10.0.0.0/8",)), LOCAL)
    assert concerns(flow(), DNS._replace(sources=("10.0.0.0/8", "192.168.1.0/24")), LOCAL)


def attribute(kind: int, content: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(content), kind) + content + bytes(-len(content) % 4)


def endpoints(kind: int, source: str, destination: str, protocol: int, ports: bytes) -> bytes:
    """A CTA_TUPLE_* attribute of linux/netfilter/nfnetlink_conntrack.h for IPv4; the nested bit is 0x8000."""
    addresses = attribute(1, socket.inet_aton(source)) + attribute(2, socket.inet_aton(destination))
    return attribute(
        0x8000 | kind, attribute(0x8001, addresses) + attribute(0x8002, attribute(1, bytes([protocol])) + ports)
    )


def test_an_entry_is_read_and_keeps_what_names_it_to_the_kernel() -> None:
    original = endpoints(1, "192.168.1.3", "192.168.1.2", UDP, attribute(2, b"\x0f\xa0") + attribute(3, b"\x14\xb4"))
    reply = endpoints(2, "192.168.15.2", "192.168.1.3", UDP, attribute(2, b"\x00\x35") + attribute(3, b"\x0f\xa0"))
    number = attribute(12, b"\x00\x00\x00\x07")
    read = parse(memoryview(original + reply + attribute(3, b"\x00\x00\x01\x88") + number), 4)
    assert read == Flow(UDP, "192.168.1.3", "192.168.1.2", 5300, "192.168.15.2", 53, original + number)


def test_an_entry_without_ports_is_left_out() -> None:
    icmp = endpoints(1, "192.168.1.3", "192.168.1.2", 1, b"") + endpoints(2, "192.168.1.2", "192.168.1.3", 1, b"")
    assert parse(memoryview(icmp), 4) is None
