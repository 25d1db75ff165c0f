# SPDX-License-Identifier: GPL-3.0-or-later
"""What a probe sends and what it takes for an answer."""

from __future__ import annotations

import errno
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.hostwire.linux.plugins.module_utils import probe
from ansible_collections.hostwire.linux.plugins.module_utils.errors import InvalidValue
from ansible_collections.hostwire.linux.plugins.module_utils.model import Probe
from ansible_collections.hostwire.linux.plugins.module_utils.probe import packets

IP_HEADER = b"\x45" + bytes(19)
IP_HEADER_WITH_OPTIONS = b"\x46" + bytes(23)


def reply_to(request: bytes, ipv6: bool) -> bytes:
    return bytes([packets.ECHO_REPLY_V6 if ipv6 else packets.ECHO_REPLY]) + request[1:]


def test_the_checksum_is_that_of_rfc_1071() -> None:
    assert packets.checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0xFFFF - 0xDDF2  # the example of its section 3


@given(st.binary(max_size=40))
def test_a_packet_with_its_checksum_sums_up_to_nothing(body: bytes) -> None:
    even = body + b"\0" * (len(body) % 2)
    packet = even + struct.pack("!H", packets.checksum(even))
    assert packets.checksum(packet) == 0


@given(st.integers(0, 2**20))
def test_an_ipv4_echo_request_has_a_valid_checksum(sequence: int) -> None:
    assert packets.checksum(packets.echo_request(packets.new_echo(sequence), ipv6=False)) == 0


@pytest.mark.parametrize("header", [IP_HEADER, IP_HEADER_WITH_OPTIONS])
def test_the_reply_to_an_echo_is_known_by_its_content(header: bytes) -> None:
    echo = packets.new_echo(1)
    assert packets.is_echo_reply(header + reply_to(packets.echo_request(echo, False), False), echo, ipv6=False)
    assert packets.is_echo_reply(reply_to(packets.echo_request(echo, True), True), echo, ipv6=True)


@given(st.integers(0, 8 + packets.NONCE_LENGTH - 1).filter(lambda place: place not in (2, 3)), st.integers(1, 255))
def test_a_reply_that_differs_anywhere_but_in_the_checksum_is_none_of_ours(place: int, change: int) -> None:
    echo = packets.new_echo(1)
    reply = bytearray(reply_to(packets.echo_request(echo, True), True))
    reply[place] ^= change
    assert not packets.is_echo_reply(bytes(reply), echo, ipv6=True)


@given(st.binary(max_size=64), st.booleans())
def test_noise_is_neither_an_echo_reply_nor_a_dns_answer(noise: bytes, ipv6: bool) -> None:
    assert not packets.is_echo_reply(noise, packets.Echo(1, 1, b"x" * packets.NONCE_LENGTH), ipv6)
    assert packets.dns_answer(b"\0\1" + noise[:1], 1) is None


@given(st.integers(0, 0xFFFF), st.integers(0, 15))
def test_any_response_to_the_query_answers_it_whatever_its_code(identifier: int, code: int) -> None:
    query = packets.dns_query(identifier)
    response = query[:2] + struct.pack("!H", 0x8000 | code) + query[4:]
    assert packets.dns_answer(response, identifier)
    assert packets.dns_answer(response, identifier ^ 1) is None
    assert packets.dns_answer(query, identifier) is None


def test_errors_are_told_in_words_with_their_sender() -> None:
    port_closed = packets.EXTENDED_ERROR.pack(errno.ECONNREFUSED, packets.ORIGIN_ICMP, 3, 3, 0, 0)
    assert packets.extended_error_words(port_closed, "192.168.15.2") == "port closed, says 192.168.15.2"
    unknown = packets.EXTENDED_ERROR.pack(errno.EHOSTUNREACH, packets.ORIGIN_ICMP6, 77, 0, 0, 0)
    assert packets.extended_error_words(unknown, None) == "host unreachable"
    local = packets.EXTENDED_ERROR.pack(errno.ENETDOWN, 1, 0, 0, 0, 0)
    assert packets.extended_error_words(local, None) == "Network is down"


@pytest.mark.parametrize(("timeout", "attempts"), [(0.0, 1), (-1.0, 1), (float("nan"), 1), (1.0, 0)])
def test_no_time_and_no_attempt_are_refused(timeout: float, attempts: int) -> None:
    with pytest.raises(InvalidValue, match="timeout must be above 0 seconds and attempts at least 1"):
        probe.run([], timeout, attempts)


def test_a_result_becomes_a_row_of_plain_values() -> None:
    claim = Probe("red", "192.168.15.2", "tcp", 80, reachable=False)
    assert probe.matrix([probe.ProbeResult(claim, True, 0.4, "connected")]) == [
        {
            "from": "red",
            "to": "192.168.15.2",
            "protocol": "tcp",
            "port": 80,
            "expect": "unreachable",
            "got": "reachable",
            "ok": False,
            "milliseconds": 0.4,
            "detail": "connected",
        }
    ]
