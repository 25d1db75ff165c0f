# SPDX-License-Identifier: GPL-3.0-or-later
"""From the rules of an earlier version to today's, document by document, while packets keep coming."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from pathlib import Path
from typing import Iterator, List, Tuple

from ansible_collections.hostwire.linux.plugins.module_utils.firewall import FirewallWant, GuestNetwork
from ansible_collections.hostwire.linux.plugins.module_utils.netns import inside
from ansible_collections.hostwire.linux.tests.kernel.firewall_world import (
    BLUE,
    HOST,
    PATIENCE,
    apply,
    blocked,
    call,
    iptables,
    listening,
    saved,
)
from ansible_collections.hostwire.linux.tests.unit.test_firewall_documents import OLD, ONE, TWO

RECORDED = Path(__file__).resolve().parents[1] / "unit" / "firewall_rules"
GREEN = "192.168.16.1"


def load_earlier(backend: str) -> None:
    for program in ("iptables", "ip6tables"):
        text = (RECORDED / f"earlier.{program}").read_text(encoding="ascii")
        subprocess.run([f"{program}-{backend}-restore"], input=text, text=True, check=True)


# A process and no thread: while there are several, none can change its mount namespace.
SENDER = """
import signal, socket, sys
senders = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _port in range(64)]
sent = 0
def stop(*_signal):
    print(sent)
    sys.exit()
signal.signal(signal.SIGTERM, stop)
print("ready", flush=True)
while True:
    for sender in senders:
        try:
            sender.sendto(b"flood", (sys.argv[1], 9))
        except OSError:
            pass
        sent += 1
"""


@contextlib.contextmanager
def flood(ways: List[Tuple[str, str]]) -> Iterator[List[int]]:
    """Datagrams of many flows from rooms to addresses all the time; how many each way had, once it is over."""
    sent: List[int] = []
    senders = []
    for room, to in ways:
        with inside(room):
            words = [sys.executable, "-c", SENDER, to]
            senders.append(subprocess.Popen(words, stdout=subprocess.PIPE, text=True))
    try:
        for sender in senders:
            assert sender.stdout is not None
            assert sender.stdout.readline() == "ready\n"
        yield sent
    finally:
        for sender in senders:
            sender.terminate()
            sent.append(int(sender.communicate()[0] or 0))


def connected(room: str, address: str, number: int, server: socket.socket) -> Tuple[socket.socket, socket.socket]:
    with inside(room):
        client = socket.create_connection((address, number), PATIENCE)
    return client, server.accept()[0]


def go_on(pairs: List[Tuple[socket.socket, socket.socket]]) -> None:
    for pair in pairs:
        for one, other in (pair, pair[::-1]):
            other.settimeout(PATIENCE)
            one.send(b"still there")
            assert other.recv(16) == b"still there"


def arrived(servers: List[socket.socket]) -> int:
    count = 0
    for server in servers:
        server.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while server.recv(16):
                count += 1
    return count


def test_moving_over_opens_nothing_in_between_and_breaks_nothing(world: int, backend: str) -> None:
    iptables("-P FORWARD DROP")
    load_earlier(backend)
    unwanted = [("lan", BLUE), ("green", BLUE), ("lan", GREEN), ("red", GREEN)]
    with contextlib.ExitStack() as stack:
        doors = [stack.enter_context(listening(room, 9, "udp")) for room in ("blue", "green")]
        blue, lan, green = (stack.enter_context(listening(room, 80)) for room in ("blue", "lan", "green"))
        flows = [connected("lan", HOST, 8080, blue), connected("blue", "192.168.1.3", 80, lan)]
        flows.append(connected("green", "192.168.1.3", 80, lan))
        with flood(unwanted) as sent:
            for moved in (ONE, TWO):
                apply(moved, moved.owner)
                go_on(flows)
                for way in ("lan", "green"):
                    assert blocked(way, BLUE, 80, blue)
                assert blocked("lan", GREEN, 80, green)
                assert call("lan", HOST, 8080, blue) == "192.168.1.3"
                for guest in ("red", "green"):
                    assert call(guest, "192.168.1.3", 80, lan) == HOST  # in front of the guard of either layout
        assert min(sent) > 1000
        assert arrived(doors) == 0
        for flow in flows:
            for end in flow:
                end.close()
    assert not [line for line in saved(backend) if "HOSTWIRE-GUARD" in line or any(old in line for old in OLD)]


def test_a_flood_that_is_wanted_arrives(world: int) -> None:
    """So that the other test has something to see."""
    guests = (GuestNetwork("v-net-0", ("192.168.15.0/24",)),)
    apply(FirewallWant("one", guests=guests, named=("v-net-0",)), "one")
    with listening("blue", 9, "udp") as door, flood([("red", BLUE)]):
        door.settimeout(PATIENCE)
        assert door.recv(16) == b"flood"
