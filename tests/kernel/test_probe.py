# SPDX-License-Identifier: GPL-3.0-or-later
"""Probes between real namespaces with real listeners: every protocol, both outcomes, both address families."""

from __future__ import annotations

import os
import signal
import socket
import socketserver
import struct
import subprocess
import time
from contextlib import contextmanager
from typing import Callable, Iterator, List, Optional, Tuple

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import netns, probe
from ansible_collections.hostwire.linux.plugins.module_utils.errors import Conflict, InvalidValue, MissingOnHost
from ansible_collections.hostwire.linux.plugins.module_utils.model import Probe
from ansible_collections.hostwire.linux.tests.kernel.docker_stand_in import handler
from ansible_collections.hostwire.linux.tests.kernel.lan import connected

RED, BLUE = "192.168.15.1", "192.168.15.2"
RED6, BLUE6 = "fd00:15::1", "fd00:15::2"
NOBODY, NOBODY6 = "192.168.15.9", "fd00:15::9"  # on the cable's subnet, but nobody's
ELSEWHERE, ELSEWHERE6 = "203.0.113.1", "2001:db8::1"  # no route leads there
TIMEOUT = 0.4  # seconds, for what doesn't come; a virtual cable answers in well under a millisecond
PATIENCE = 5.0  # seconds, for what does come, on a busy machine


def ip(words: str) -> None:
    subprocess.run(["ip", *words.split()], check=True)


def sysctl(path: str, value: str) -> None:
    with open(f"/proc/sys/net/{path}", "w") as file:
        file.write(value)


@pytest.fixture
def cable(private_host: object) -> None:
    """Red and blue with a cable between them, both address families, and loopback up.

    The ends get different interface indexes: where they are the same, the kernel takes the cable's carrier for old news
    (linkwatch_urgent_event in net/core/link_watch.c), and each test waits up to 1 s for it.
    """
    for name in ("red", "blue"):
        ip(f"netns add {name}")
        ip(f"-n {name} link set lo up")
    ip("link add eth0 index 2 netns red type veth peer name eth0 index 3 netns blue")
    for name, address, address6 in (("red", RED, RED6), ("blue", BLUE, BLUE6)):
        ip(f"-n {name} address add {address}/24 dev eth0")
        ip(f"-n {name} address add {address6}/64 dev eth0 nodad")
        ip(f"-n {name} link set eth0 up")
    connected(("red", "eth0"), ("blue", "eth0"))


def one(claim: Probe, attempts: int = 1, timeout: Optional[float] = None) -> probe.ProbeResult:
    expected = PATIENCE if claim.reachable else TIMEOUT
    return probe.run([claim], timeout=expected if timeout is None else timeout, attempts=attempts)[0]


def family_of(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


@contextmanager
def tcp_listener(name: str, address: str, port: int) -> Iterator[None]:
    with netns.inside(name):
        server = socket.create_server((address, port), family=family_of(address))
    with server:
        yield


@contextmanager
def child(work: Callable[[], None]) -> Iterator[None]:
    """A child process, not a thread: a process with threads couldn't go back to its mount namespace after the test."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            os._exit(1)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@contextmanager
def udp_service(name: str, address: str, port: int, reply: Callable[[bytes], Optional[bytes]]) -> Iterator[List[bytes]]:
    """Answer datagrams inside a namespace; at its end the list holds what arrived. ``reply`` None keeps silent."""
    arrived: List[bytes] = []
    with netns.inside(name):
        service = socket.socket(family_of(address), socket.SOCK_DGRAM)
        service.bind((address, port))
    notes, noted = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def serve() -> None:
        while True:
            packet, sender = service.recvfrom(2048)
            notes.send(packet)
            answer = reply(packet)
            if answer is not None:
                service.sendto(answer, sender)

    with service, noted:
        with child(serve):
            yield arrived
        notes.close()
        arrived.extend(iter(lambda: noted.recv(2048), b""))


def echo(packet: bytes) -> bytes:
    return packet


def dns_response(query: bytes, rcode: int = 5, shift: int = 0) -> bytes:
    identifier = (struct.unpack_from("!H", query)[0] + shift) & 0xFFFF
    return struct.pack("!HH", identifier, 0x8000 | rcode) + query[4:]


@pytest.mark.parametrize("to", [BLUE, BLUE6, RED, RED6])
def test_icmp_reaches_a_neighbour_and_oneself(cable: None, to: str) -> None:
    result = one(Probe("red", to))
    assert (result.reachable, result.ok, result.detail) == (True, True, "echo reply")
    assert result.milliseconds is not None
    assert result.milliseconds > 0


@pytest.mark.parametrize("to", [NOBODY, NOBODY6])
def test_icmp_to_nobody_is_unreachable_after_the_timeout(cable: None, to: str) -> None:
    result = one(Probe("red", to, reachable=False))
    assert (result.reachable, result.ok, result.milliseconds) == (False, True, None)
    assert result.detail == "no answer within 0.4 s"


@pytest.mark.parametrize("protocol", ["icmp", "tcp", "udp", "dns"])
@pytest.mark.parametrize("to", [ELSEWHERE, ELSEWHERE6])
def test_without_a_route_every_protocol_is_unreachable_at_once(cable: None, protocol: str, to: str) -> None:
    started = time.monotonic()
    result = one(Probe("red", to, protocol, 80, reachable=False), timeout=30)
    assert (result.reachable, result.detail) == (False, "no route")
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("to", [BLUE, BLUE6])
def test_tcp_reaches_a_listener(cable: None, to: str) -> None:
    with tcp_listener("blue", to, 80):
        result = one(Probe("red", to, "tcp", 80))
    assert (result.reachable, result.detail) == (True, "connected")


@pytest.mark.parametrize("protocol", ["tcp", "udp", "dns"])
@pytest.mark.parametrize("to", [BLUE, BLUE6])
def test_a_closed_port_is_unreachable_at_once_and_says_so(cable: None, protocol: str, to: str) -> None:
    result = one(Probe("red", to, protocol, 80, reachable=False), timeout=30)
    assert not result.reachable
    assert result.detail.startswith("port closed")
    if protocol != "tcp":
        assert result.detail == f"port closed, says {to}"


@pytest.mark.parametrize("to", [BLUE, BLUE6])
def test_udp_is_reachable_if_a_datagram_comes_back(cable: None, to: str) -> None:
    with udp_service("blue", to, 514, echo) as arrived:
        result = one(Probe("red", to, "udp", 514))
    assert result.reachable
    assert len(arrived) == 1
    assert result.detail == f"answered with {len(arrived[0])} bytes"


def test_udp_that_stays_silent_is_unreachable(cable: None) -> None:
    with udp_service("blue", BLUE, 514, lambda packet: None) as arrived:
        result = one(Probe("red", BLUE, "udp", 514), timeout=TIMEOUT)
    assert not result.reachable
    assert len(arrived) == 1


@pytest.mark.parametrize("to", [BLUE, BLUE6])
@pytest.mark.parametrize("port", [None, 5353])
def test_dns_is_reachable_if_anything_well_formed_comes_back(cable: None, to: str, port: Optional[int]) -> None:
    with udp_service("blue", to, port or 53, dns_response):
        result = one(Probe("red", to, "dns", port))
    assert (result.reachable, result.detail) == (True, "DNS answers: refused")


def test_dns_takes_neither_an_echo_nor_the_answer_to_another_query(cable: None) -> None:
    for reply in (echo, lambda query: dns_response(query, shift=1), lambda query: b"\0"):
        with udp_service("blue", BLUE, 53, reply) as arrived:
            assert not one(Probe("red", BLUE, "dns"), timeout=TIMEOUT).reachable
        assert len(arrived) == 1


@pytest.mark.parametrize("protocol", ["icmp", "tcp", "udp"])
@pytest.mark.parametrize(
    ("family", "to", "cidr", "near"), [("-4", "10.9.9.9", "10.9.9.9/32", BLUE), ("-6", "fd99::9", "fd99::9/128", BLUE6)]
)
def test_a_router_that_refuses_is_named(cable: None, protocol: str, family: str, to: str, cidr: str, near: str) -> None:
    ip(f"-n red {family} route add {cidr} via {near}")
    ip(f"-n blue {family} route add prohibit {cidr}")
    with netns.inside("blue"):
        sysctl("ipv4/ip_forward", "1")
        sysctl("ipv6/conf/all/forwarding", "1")
    result = one(Probe("red", to, protocol, 80, reachable=False), timeout=30)
    assert not result.reachable
    assert result.detail in (f"prohibited by a filter, says {near}", f"prohibited by a route or a filter, says {near}")


def test_a_local_filter_is_told_from_silence(cable: None) -> None:
    ip("netns exec red iptables -A OUTPUT -d 192.168.15.2 -j DROP")
    assert one(Probe("red", BLUE, reachable=False), timeout=30).detail == "dropped by a filter where the probe starts"


def test_the_host_itself_is_where_a_probe_without_a_source_starts(cable: None) -> None:
    ip("link add to-red type veth peer name to-host netns red")
    ip("address add 192.168.16.1/24 dev to-red")
    ip("link set to-red up")
    ip("-n red address add 192.168.16.2/24 dev to-host")
    ip("-n red link set to-host up")
    connected((None, "to-red"), ("red", "to-host"))
    host, red = probe.run([Probe(None, BLUE, reachable=False), Probe(None, "192.168.16.2")], TIMEOUT, 1)
    assert (host.reachable, red.reachable) == (False, True)


def test_two_hundred_probes_cost_one_timeout(cable: None) -> None:
    claims = [Probe("red", NOBODY, "tcp", 1000 + n, reachable=False) for n in range(100)]
    claims += [Probe("red", NOBODY, "udp", 1000 + n, reachable=False) for n in range(50)]
    claims += [Probe("red", BLUE) for dummy in range(50)]
    started = time.monotonic()
    results = probe.run(claims, timeout=1.0)
    assert time.monotonic() - started < 1.9
    assert all(result.ok for result in results)
    assert [result.probe for result in results] == claims


def test_more_probes_than_a_process_may_open_files(cable: None) -> None:
    claims = [Probe("red", f"127.0.{n // 250}.{1 + n % 250}") for n in range(1100)]
    assert all(result.ok for result in probe.run(claims, timeout=5.0, attempts=1))


def test_a_claim_made_many_times_is_tried_once(cable: None) -> None:
    with udp_service("blue", BLUE, 514, echo) as arrived:
        assert [result.ok for result in probe.run([Probe("red", BLUE, "udp", 514)] * 3, TIMEOUT, 1)] == [True] * 3
    assert len(arrived) == 1


def test_a_probe_is_repeated_until_it_comes_out_as_it_claims(cable: None) -> None:
    answers = iter([None, b"late"])
    with udp_service("blue", BLUE, 514, lambda packet: next(answers)) as arrived:
        result = one(Probe("red", BLUE, "udp", 514), attempts=3, timeout=1.0)
    assert result.ok
    assert len(arrived) == 2
    assert arrived[0] != arrived[1]


def test_an_answer_where_none_should_come_is_asked_again(cable: None) -> None:
    """Hazard 3: something may still answer out of an old neighbour entry; the second try counts."""
    answers = iter([b"stale", None])
    with udp_service("blue", BLUE, 514, lambda packet: next(answers)) as arrived:
        result = one(Probe("red", BLUE, "udp", 514, reachable=False), attempts=2)
    assert result.ok
    assert len(arrived) == 2


def test_a_probe_from_nowhere_is_an_error_and_no_result(cable: None) -> None:
    with pytest.raises(MissingOnHost, match="yellow"):
        probe.run([Probe("red", BLUE), Probe("yellow", BLUE, reachable=False)])


def test_a_name_as_target_is_an_error(cable: None) -> None:
    with pytest.raises(InvalidValue, match="blue: not an IPv4 or IPv6 address"):
        probe.run([Probe("red", "blue")])


@contextmanager
def docker_engine(answers: Callable[[str], Tuple[int, bytes]]) -> Iterator[None]:
    """Something on /run/docker.sock (a tmpfs of this test) that answers as the Docker Engine's API does."""
    with socketserver.UnixStreamServer("/run/docker.sock", handler(answers)) as server, child(server.serve_forever):
        yield
    os.unlink("/run/docker.sock")


def inspected(pid: int, started: str = "2026-01-01T00:00:00Z", running: bool = True) -> Tuple[int, bytes]:
    state = '{"State": {"Running": %s, "Status": "exited", "Pid": %d, "StartedAt": "%s"}}'
    return 200, (state % ("true" if running else "false", pid, started)).encode()


@pytest.fixture
def process_in_blue(cable: None) -> Iterator[int]:
    """The PID of a process that lives in blue, as a container's first process lives in the container's namespace."""
    with netns.inside("blue"):
        process = subprocess.Popen(["sleep", "600"])
    yield process.pid
    process.kill()
    process.wait()


def test_a_probe_starts_inside_a_container(process_in_blue: int) -> None:
    with docker_engine(lambda path: inspected(process_in_blue) if path == "/containers/web/json" else (404, b"{}")):
        results = probe.run(
            [Probe("container:web", RED), Probe("container:web", BLUE6), Probe(None, RED, reachable=False)]
        )
    assert all(result.ok for result in results)


def test_a_container_restarted_meanwhile_is_no_source(process_in_blue: int) -> None:
    """Hazard 15: the PID may be somebody else's by now."""
    lives = iter(["2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z"])
    restarting = docker_engine(lambda path: inspected(process_in_blue, next(lives)))
    with restarting, pytest.raises(Conflict, match="web: it was restarted"):
        probe.run([Probe("container:web", RED)])


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((404, b'{"message": "No such container: web"}'), "there is no such container"),
        ((500, b'{"message": "on fire"}'), "the Docker engine says on fire"),
        (inspected(0, running=False), "it is exited; start it first"),
        ((200, b"<html>"), "doesn't speak the Docker API"),
        ((200, b"[]"), "doesn't speak the Docker API"),
    ],
)
def test_no_running_container_is_an_error_in_words(private_host: object, answer: Tuple[int, bytes], words: str) -> None:
    with docker_engine(lambda path: answer), pytest.raises(MissingOnHost, match=words):
        probe.run([Probe("container:web", "127.0.0.1")])


def test_no_docker_engine_is_an_error_in_words(private_host: object) -> None:
    with pytest.raises(MissingOnHost, match=r"container web: no Docker engine answers at /var/run/docker\.sock"):
        probe.run([Probe("container:web", "127.0.0.1")])
