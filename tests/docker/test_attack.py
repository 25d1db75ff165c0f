# SPDX-License-Identifier: GPL-3.0-or-later
"""A network of ours beside a live Docker engine's: who reaches whom, what a neighbour can forge, and after restarts."""

from __future__ import annotations

import json
from typing import Any, Iterator, NamedTuple, Set, Tuple

import pytest

from ansible_collections.hostwire.linux.tests.docker.machines import Machine, eventually, serving

HOST, LAN, GUEST = "192.0.2.2", "192.0.2.1", "10.88.0.2"
SERVICE, HIDDEN = 80, 7777  # ports of the guest, the first of which is published
DOCUMENT = {
    "name": "beside",
    "namespaces": [{"name": "guest"}],
    "bridges": [{"name": "beside", "addresses": ["10.88.0.1/24"]}],
    "veths": [
        {
            "name": "v-guest",
            "bridge": "beside",
            "peer": {"name": "eth0", "netns": "guest", "addresses": [f"{GUEST}/24"]},
        }
    ],
    "routes": [{"netns": "guest", "to": "default", "via": "10.88.0.1"}],
    "forwarding": {"ipv4": True},
    "masquerade": [{"source": "10.88.0.0/24", "except_to": "beside"}],
    "published_ports": [{"port": "8000", "to": f"{GUEST}:{SERVICE}", "address": "any"}],
}
# A neighbour who takes the host for the way to everywhere, and strict about nothing.
SURROUNDINGS = f"""
set -e
ip netns add lan
ip link add lan1 type veth peer name lan0 netns lan
ip address add {HOST}/24 dev lan1
ip link set lan1 up
ip -n lan address add {LAN}/24 dev lan0
ip -n lan link set lo up
ip -n lan link set lan0 up
ip -n lan route add default via {HOST}
for scope in all default lan1; do sysctl -qw net.ipv4.conf.$scope.rp_filter=0; done
"""
# The namespaces in the arguments get services that say who they are; UDP's number each caller for /run/heard.
SERVICES = """
import os, selectors, socket, sys
LIBC = __import__("ctypes").CDLL(None)
found = selectors.DefaultSelector()
heard = open("/run/heard", "w", buffering=1)
for word in sys.argv[1:]:
    name, path, ports = word.split(",")
    with open(path) as namespace:
        assert LIBC.setns(namespace.fileno(), 0x40000000) == 0
    for port in ports.split("+"):
        stream = socket.create_server(("", int(port)))
        packets = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        packets.bind(("", int(port)))
        for made in (stream, packets):
            found.register(made, selectors.EVENT_READ, name)
open("/run/services", "w").close()
while True:
    for key, dummy in found.select():
        if key.fileobj.type == socket.SOCK_STREAM:
            with key.fileobj.accept()[0] as connection:
                connection.sendall(key.data.encode())
        else:
            heard.write(key.data + " " + key.fileobj.recv(100).decode() + chr(10))
"""
# Each attempt, [namespace, address, port], and what it is answered within a second.
ATTEMPTS = """
import json, os, socket, sys
LIBC = __import__("ctypes").CDLL(None)
answers = []
for path, address, port in json.load(sys.stdin):
    with open(path) as namespace:
        assert LIBC.setns(namespace.fileno(), 0x40000000) == 0
    try:
        with socket.create_connection((address, port), timeout=1) as connection:
            answers.append(connection.recv(100).decode().strip())
    except OSError:
        answers.append("")
print(json.dumps(answers))
"""
# From the neighbour to the host: [source, port, address, port, text], each a UDP packet with any source.
FORGED = """
import json, socket, struct, sys
LIBC = __import__("ctypes").CDLL(None)
with open("/run/netns/lan") as namespace:
    assert LIBC.setns(namespace.fileno(), 0x40000000) == 0
sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
sender.bind(("lan0", 0))
ethernet = bytes.fromhex(sys.argv[1].replace(":", "")) + sender.getsockname()[4] + bytes([8, 0])
for source, source_port, to, port, text in json.load(sys.stdin):
    data = struct.pack(">HHHH", source_port, port, 8 + len(text), 0) + text.encode()
    ends = socket.inet_aton(source) + socket.inet_aton(to)
    header = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(data), 1, 0, 64, 17, 0) + ends
    total = sum(struct.unpack(">10H", header))
    checksum = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    sender.send(ethernet + header[:10] + struct.pack(">H", checksum) + header[12:] + data)
"""


class Host(NamedTuple):
    """A machine with an engine, two containers of its own network, and a guest of ours."""

    machine: Machine

    def namespace(self, name: str) -> str:
        if name in ("guest", "lan"):
            return f"/run/netns/{name}"
        if name == "host":
            return "/proc/1/ns/net"
        return f"/proc/{self.machine.inspect(name)['State']['Pid']}/ns/net"

    def address(self, container: str) -> str:
        return str(self.machine.inspect(container)["NetworkSettings"]["Networks"]["bridge"]["IPAddress"])

    def asks(self, *attempts: Tuple[str, str, int]) -> list[str]:
        """Whose answer each attempt gets: from a name to an address and port."""
        words = [(self.namespace(name), address, port) for name, address, port in attempts]
        found: list[str] = json.loads(self.machine.run("python3", "-c", ATTEMPTS, stdin=json.dumps(words)))
        return found

    def heard(self, packets: list[list[Any]]) -> Set[str]:
        """Which of a neighbour's packets are heard, and by whom; the last of them has to be."""
        control = [LAN, 999, HOST, SERVICE, "control"]
        mac = self.machine.run("cat", "/sys/class/net/lan1/address").strip()
        self.machine.run("python3", "-c", FORGED, mac, stdin=json.dumps([*packets, control]))
        found = eventually(lambda: self.machine.read("/run/heard") or "", lambda text: "host control" in text)
        assert "host control" in found, "a sensor that hears nothing"
        return {line for line in found.splitlines() if not line.endswith("control")}

    def start_services(self) -> None:
        self.machine.run("sh", "-c", "systemctl stop services 2>/dev/null; rm -f /run/services /run/heard")
        places = [("guest", f"{SERVICE}+{HIDDEN}"), ("lan", f"{SERVICE}+5000"), ("host", str(SERVICE))]
        words = [f"{name},{self.namespace(name)},{ports}" for name, ports in places]
        self.machine.run("systemd-run", "--quiet", "--unit=services", "python3", "-c", SERVICES, *words)
        eventually(lambda: self.machine.read("/run/services"), lambda text: text is not None)

    def start_containers(self) -> None:
        for name in ("web", "hidden"):
            self.machine.docker("start", name)
            eventually(lambda: self.asks(("host", self.address(name), 80)), lambda answers: answers == [name])  # noqa: B023


@pytest.fixture
def host(machine: Machine) -> Iterator[Host]:
    machine.reset(legacy=machine.release == "trixie")
    machine.run("sh", "-c", SURROUNDINGS)
    machine.docker("run", "--detach", "--name", "web", "--publish", "8080:80", "busybox", *serving("web"))
    machine.docker("run", "--detach", "--name", "hidden", "busybox", *serving("hidden"))
    made = Host(machine)
    made.start_containers()
    try:
        yield made
    finally:
        machine.run("systemctl", "stop", "services", check=False)
        machine.module("topology", name="beside", state="absent")
        machine.docker("rm", "--force", "web", "hidden", check=False)
        machine.run("ip", "netns", "delete", "lan", check=False)


def unwanted(host: Host) -> list[str]:
    """What gets through that must not."""
    web, hidden = host.address("web"), host.address("hidden")
    attempts = [
        ("guest", web, 80),
        ("guest", hidden, 80),
        *((name, GUEST, port) for name in ("web", "hidden", "lan") for port in (SERVICE, HIDDEN)),
    ]
    answers = host.asks(*attempts)
    found = [f"{attempt} is answered by {answer}" for attempt, answer in zip(attempts, answers) if answer]
    forged = [
        [source, 1000, GUEST, port, f"{source} to {port}"]
        for source in (LAN, web, hidden, "10.88.0.7", "198.51.100.7")
        for port in (SERVICE, HIDDEN)
    ]
    in_two_steps = [
        [GUEST, HIDDEN, LAN, 5000, "the guest's"],
        [LAN, 5000, GUEST, HIDDEN, "an answer to it"],
        [LAN, 5000, HOST, HIDDEN, "an answer to the host"],
        [web, HIDDEN, GUEST, 5000, "a container's"],
    ]
    return found + sorted(host.heard(forged + in_two_steps))


def missing(host: Host) -> list[str]:
    """What doesn't get through and has to."""
    attempts = {
        ("guest", LAN, SERVICE): "lan",
        ("web", LAN, SERVICE): "lan",
        ("lan", HOST, 8000): "guest",
        ("lan", HOST, 8080): "web",
        ("guest", HOST, 8080): "web",
        ("guest", HOST, 8000): "guest",
        ("web", HOST, 8000): "guest",
        ("host", GUEST, HIDDEN): "guest",
        ("host", "127.0.0.1", 8000): "guest",
    }
    answers = host.asks(*attempts)
    return [f"{it}: {got!r}" for (it, whose), got in zip(attempts.items(), answers) if got != whose]


def test_a_network_of_ours_and_dockers_are_apart_and_both_work_also_after_dockers_restart(host: Host) -> None:
    machine = host.machine
    machine.done("topology", **DOCUMENT)
    host.start_services()
    assert (unwanted(host), missing(host)) == ([], [])
    machine.run("systemctl", "restart", "docker")
    host.start_containers()
    host.start_services()
    assert unwanted(host) == []
    machine.done("topology", **DOCUMENT)
    assert (unwanted(host), missing(host)) == ([], [])


def test_where_nothing_is_kept_away_they_reach_each_other(host: Host) -> None:
    """Else what was tried above shows nothing."""
    host.machine.done("topology", **DOCUMENT)
    host.start_services()
    for table in ("raw", "mangle", "filter"):
        host.machine.run("iptables", "-t", table, "-F")
    host.machine.run("iptables", "-P", "FORWARD", "ACCEPT")
    found = "\n".join(unwanted(host))
    seen = ("'guest'", "'web'", "'hidden'", "'lan'", f"guest {LAN} to {HIDDEN}", "guest 10.88.0.7", "lan the guest's")
    for words in seen:
        assert words in found
