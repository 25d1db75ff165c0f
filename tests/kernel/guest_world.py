# SPDX-License-Identifier: GPL-3.0-or-later
"""A host on a LAN, and calls with real packets between it, its guests, a neighbour on the LAN and the internet.

    guests -- ... -- the host -- eth0 192.168.1.2 -- lan .3, which also is the internet, 203.0.113.1

``lan`` takes the host for the way to everywhere, as a neighbour does that would like to reach the guests; guests of
networks that lead nowhere are given a way out all the same.
"""

from __future__ import annotations

import socket
import subprocess
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ansible_collections.hostwire.linux.plugins.filter.guests import FilterModule
from ansible_collections.hostwire.linux.plugins.module_utils import engine
from ansible_collections.hostwire.linux.plugins.module_utils.netns import inside
from ansible_collections.hostwire.linux.tests.guest_modes import (
    GUEST,
    HOST,
    INTERNET,
    LAN,
    OTHER,
    YES,
    Attempt,
    table,
)
from ansible_collections.hostwire.linux.tests.kernel import world
from ansible_collections.hostwire.linux.tests.kernel.firewall_world import NEVER, batch, call, listening, sysctl

FILTERS = FilterModule().filters()
Item = Dict[str, Any]

HOST_ADDRESS = {4: "192.168.1.2", 6: "2001:db8:1::2"}
LAN_ADDRESS = {4: "192.168.1.3", 6: "2001:db8:1::3"}
INTERNET_ADDRESS = {4: "203.0.113.1", 6: "2001:db8:ffff::1"}
PORTS = {GUEST: 8001, OTHER: 8002}  # of the host, leading to port 80 of each

_HOST_SIDE = """
netns add lan
link add eth0 type veth peer name eth0 netns lan
address add 192.168.1.2/24 dev eth0
address add 2001:db8:1::2/64 dev eth0 nodad
link set eth0 up
route add default via 192.168.1.3
route add default via 2001:db8:1::3
"""
_LAN_SIDE = """
link set lo up
address add 192.168.1.3/24 dev eth0
address add 2001:db8:1::3/64 dev eth0 nodad
address add 203.0.113.1/32 dev lo
address add 2001:db8:ffff::1/128 dev lo nodad
link set eth0 up
route add default via 192.168.1.2
route add default via 2001:db8:1::2
"""


def build(bridge_nf: int = 0) -> None:
    """The host and its LAN."""
    batch(_HOST_SIDE.strip().splitlines())
    batch(_LAN_SIDE.strip().splitlines(), "lan")
    for family in ("iptables", "ip6tables"):
        sysctl(f"net/bridge/bridge-nf-call-{family}", bridge_nf)


class Network(NamedTuple):
    """A network of one mode with two guests, ``one`` and ``two`` behind its name, as the role's variables have them."""

    mode: str
    name: str
    entry: Item
    guests: Tuple[Item, Item]


SUBNETS = {"nat_network": 2, "host_only": 3, "internal": 4, "routed": 5, "nat": 6}


def network(mode: str, families: Sequence[int] = (4, 6), name: Optional[str] = None, **more: Any) -> Network:
    """A network of a mode with everything that it can have."""
    name = name or mode.replace("_", "-")[:10]
    entry: Item = {"name": name, "mode": mode, **more}
    number = SUBNETS.get(mode)
    if mode == "bridged":
        entry["uplink"] = "eth0"
    else:
        entry["subnet"] = f"10.0.{number}.0/24"
        entry.update({"subnet6": f"fd00:{number}::/64"} if 6 in families else {})
    if mode == "routed":
        entry["uplink"] = more.get("uplink", "eth0")
    return Network(mode, name, entry, (_guest(entry, "one", 4, families), _guest(entry, "two", 12, families)))


def _guest(entry: Item, who: str, number: int, families: Sequence[int]) -> Item:
    nic: Item = {"network": entry["name"]}
    if entry["mode"] == "bridged":
        nic.update({"address": f"192.168.1.{number + 80}/24", "gateway": LAN_ADDRESS[4]})
        if 6 in families:
            nic.update({"address6": f"2001:db8:1::{number + 80}/64", "gateway6": LAN_ADDRESS[6]})
    elif entry["mode"] != "nat":
        nic["address"] = f"10.0.{SUBNETS[entry['mode']]}.{number}/24"
        nic.update({"address6": f"fd00:{SUBNETS[entry['mode']]}::{number}/64"} if 6 in families else {})
    if entry["mode"] in ("nat", "nat_network"):
        port = PORTS[GUEST if who == "one" else OTHER]
        nic["published_ports"] = [
            {"protocol": protocol, "port": port, "to_port": 80, "address": "any"} for protocol in ("tcp", "udp")
        ]
    return {"name": f"{entry['name']}.{who}", "nics": [nic]}


def documents(*networks: Network, **more: Any) -> List[Item]:
    """The documents of networks and their guests."""
    guests = [guest for each in networks for guest in each.guests]
    found: List[Item] = FILTERS["guest_documents"]([each.entry for each in networks], guests, **more)
    return found


def apply(found: Sequence[Item]) -> None:
    """Each document in turn: check mode foretells it and changes nothing, and a second run finds nothing to do."""
    for document in found:
        before = world.image()
        predicted = engine.run(document, check=True)
        assert world.differences(before, world.image()) == []
        done = engine.run(document)
        assert (done.plan, done.after) == (predicted.plan, predicted.after)
    for document in found:
        assert engine.run(document).plan == ()


def remove(found: Sequence[Item]) -> None:
    """The documents' networks in reverse."""
    for document in reversed(found):
        engine.run({"name": document["name"], "state": "absent"})


class World:
    """Who is where on a network, and attempts between them."""

    def __init__(self, subject: Network, ports: Optional[Mapping[str, int]] = None) -> None:
        self.network = subject
        self.ports = PORTS if ports is None else ports
        self.rooms = {GUEST: subject.guests[0]["name"], OTHER: subject.guests[1]["name"], HOST: None}
        self.rooms.update({LAN: "lan", INTERNET: "lan"})
        self.to_host_is_open = table()[subject.mode]["guest → host"] == YES
        self._undo: List[Tuple[Optional[str], str]] = []

    def be_unfriendly(self) -> None:
        """Ways that the document didn't make: whoever is to be kept out, is so although he has one."""
        name, mode = self.network.name, self.network.mode
        if mode in ("host_only", "internal"):
            mac = world.ip(None, f"link show dev {name}")[0][0]["address"]
            for guest in (GUEST, OTHER):
                for family, gateway in ((4, "10.99.99.1"), (6, "fe80::99")):
                    self._add(self.rooms[guest], f"neighbour {{}} {gateway} lladdr {mac} dev eth0")
                    onlink = f"via {gateway} dev eth0 onlink"
                    self._add(self.rooms[guest], f"-{family} route {{}} default {onlink}")
        if mode == "internal":
            for subnet in (self.network.entry["subnet"], self.network.entry.get("subnet6")):
                if subnet:
                    self._add(None, f"route {{}} {subnet} dev {name}")
        if mode == "nat":
            self._add(None, "route {} 10.0.6.0/24 via 100.64.0.2")
            if "subnet6" in self.network.entry:
                self._add(None, "-6 route {} fd00:6::/64 via fd64::2")

    def make_up(self) -> None:
        """Take these ways away again."""
        for room, command in reversed(self._undo):
            _ip(room, command.format("del"))
        self._undo.clear()

    def _add(self, room: Optional[str], command: str) -> None:
        _ip(room, command.format("add"))
        self._undo.append((room, command))

    def reach(self, attempt: Attempt) -> bool:
        """One attempt; to the host it is by each of its addresses, and all that are open have to be."""
        outcomes = (self._one(attempt, address) for address in self._addresses(attempt))
        if attempt.target == HOST and self.to_host_is_open:
            return all(outcomes)
        return any(outcomes)

    def _addresses(self, attempt: Attempt) -> List[str]:
        """Where the attempt goes to."""
        family, target = attempt.family, attempt.target
        if attempt.published:
            own = {4: "127.0.0.1", 6: HOST_ADDRESS[6]}[family]  # there is no route_localnet for IPv6
            return [own, HOST_ADDRESS[family]] if attempt.source == HOST else [HOST_ADDRESS[family]]
        if target == HOST:
            return [HOST_ADDRESS[family], *self._bridge(family)]
        if target in (LAN, INTERNET):
            return [(LAN_ADDRESS if target == LAN else INTERNET_ADDRESS)[family]]
        if self.network.mode == "nat":
            # The guests have one address; from elsewhere it is the first one's, and the second one's router is tried.
            first = {4: "10.0.6.15", 6: "fd00:6::15"}[family]
            router = {4: "100.64.0.", 6: "fd64::"}[family]
            return [f"{router}2", first][: 1 if attempt.source == OTHER else 2] if target == GUEST else [f"{router}3"]
        nic = self.network.guests[0 if target == GUEST else 1]["nics"][0]
        return [nic["address" if family == 4 else "address6"].partition("/")[0]]

    def _bridge(self, family: int) -> List[str]:
        """The host's own addresses on the network's switch."""
        shown = world.ip(None, f"address show dev {self.network.name}")[0][0]["addr_info"]
        kind = "inet" if family == 4 else "inet6"
        return [entry["local"] for entry in shown if entry["family"] == kind and entry["scope"] == "global"]

    def _one(self, attempt: Attempt, address: str) -> bool:
        source, target = self.rooms[attempt.source], self.rooms[attempt.target]
        if attempt.protocol == "icmp":
            return ping(source, address)
        if attempt.published:
            with listening(target, 80, attempt.protocol, attempt.family) as server:
                return call(source, address, self.ports[attempt.target], server, NEVER) is not None
        with serving(target, address, attempt.protocol) as server:
            return call(source, address, server.getsockname()[1], server, NEVER) is not None


def serving(room: Optional[str], address: str, protocol: str) -> socket.socket:
    """A server at one address of a room, or wherever that leads from elsewhere, at a port of its own.

    Bound to the address where the room has it: a UDP server at every address answers from the one that its route says.
    """
    with inside(room):
        kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
        server = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
    try:
        server.bind((address, 0))
    except OSError:
        server.bind(("::" if ":" in address else "0.0.0.0", 0))
    if protocol == "tcp":
        server.listen()
    return server


def ping(room: Optional[str], address: str) -> bool:
    """Whether an echo comes back."""
    with inside(room):
        done = subprocess.run(["ping", "-n", "-c1", f"-W{NEVER}", address], check=False, capture_output=True)
    return done.returncode == 0


def _ip(room: Optional[str], command: str) -> None:
    subprocess.run(["ip", *(["-n", room] if room else []), *command.split()], check=True)
