# SPDX-License-Identifier: GPL-3.0-or-later
"""Many networks on one host that forwards between them and a LAN: as documents, and without us.

Each network is a switch with a subnet; only the first and the last one have a guest, a namespace. The LAN is a
namespace behind the host's eth0.
"""

from __future__ import annotations

import os
import sys
from typing import Any, Dict, List

from private_host import ROOT

sys.path.insert(0, os.path.join(ROOT, "build"))

LAN = "lan"
HOST_ADDRESS, LAN_ADDRESS = "192.0.2.1", "192.0.2.2"
FIRST_PORT, FIRST_TARGET = 10000, 20000
# Of the role's modes those of which one host has many; each is followed by the next, over and over.
MODES = ("nat_network", "routed", "host_only", "internal", "nat")
Document = Dict[str, Any]


def bridge(number: int) -> str:
    return f"net{number}"


def namespace(number: int) -> str:
    return f"g{number}"


def subnet(number: int) -> str:
    return f"{_start(number)}.0/24"


def gateway(number: int) -> str:
    return f"{_start(number)}.1"


def guest(number: int) -> str:
    return f"{_start(number)}.2"


def _start(number: int) -> str:
    return f"10.{64 + number // 250}.{number % 250}"


def ends(count: int) -> List[int]:
    """The networks that have a guest."""
    return sorted({0, count - 1})


def wire() -> List[str]:
    """Commands of ``ip -batch``: the LAN, which knows the way back to guests whose address nobody translates."""
    return [
        f"netns add {LAN}",
        f"link add eth0 up type veth peer name eth0 netns {LAN}",
        f"address add {HOST_ADDRESS}/24 dev eth0",
    ]


def wire_in_lan() -> List[str]:
    return [
        "link set lo up",
        "link set eth0 up",
        f"address add {LAN_ADDRESS}/24 dev eth0",
        f"route add 10.0.0.0/8 via {HOST_ADDRESS}",
    ]


def one_document(count: int, last: int) -> List[Document]:
    """``count`` masqueraded networks and forwarding in a single document; ``last`` is the other one with a guest."""
    whole: Document = {"name": "bench", "forwarding": {"ipv4": True}}
    for number in range(count):
        for section, entries in _network(number, number in (0, last)).items():
            whole.setdefault(section, []).extend(entries)
    return [whole]


def documents(count: int, last: int) -> List[Document]:
    """The same networks, each in a document of its own."""
    return [
        {"name": f"bench{number}", "forwarding": {"ipv4": True}, **_network(number, number in (0, last))}
        for number in range(count)
    ]


def published(count: int) -> List[Document]:
    """One network whose guest has ``count`` ports of the host."""
    (whole,) = one_document(1, 0)
    whole["published_ports"] = [
        {"protocol": "tcp", "port": FIRST_PORT + n, "to": f"{guest(0)}:{FIRST_TARGET + n}", "address": "any"}
        for n in range(count)
    ]
    return [whole]


def mixed(count: int, last: int) -> List[Document]:
    """All modes of the role guest_network in turns, as the role makes documents of them; the ends are masqueraded."""
    from ansible_collections.hostwire.linux.plugins.plugin_utils.guest_network import setup
    from ansible_collections.hostwire.linux.plugins.plugin_utils.guest_network.documents import documents

    networks: List[Document] = []
    for number in range(count):
        mode = MODES[0] if number in (0, last) else MODES[number % len(MODES)]
        network = {"name": bridge(number), "mode": mode}
        network["transfer" if mode == "nat" else "subnet"] = subnet(number)
        if mode == "routed":
            network["uplink"] = "eth0"
        networks.append(network)
    guests = [
        {
            "name": namespace(number),
            "kind": "namespace",
            "nics": [{"network": bridge(number), "address": f"{guest(number)}/24"}],
        }
        for number in ends(last + 1)
        if number < count
    ]
    made: List[Document] = documents(setup.read(networks, guests))
    return made


def bare(count: int) -> List[str]:
    """Commands of ``ip -batch`` for the same networks."""
    commands = []
    for number in range(count):
        name = bridge(number)
        commands += [f"link add {name} up type bridge", f"address add {gateway(number)}/24 dev {name}"]
    for number in ends(count):
        room = namespace(number)
        commands += [f"netns add {room}", _cable(number)]
    return commands


def bare_inside(number: int) -> List[str]:
    return [
        "link set lo up",
        "link set eth0 up",
        f"address add {guest(number)}/24 dev eth0",
        f"route add default via {gateway(number)}",
    ]


def _cable(number: int) -> str:
    room = namespace(number)
    return f"link add c{number} up master {bridge(number)} type veth peer name eth0 netns {room}"


def _network(number: int, has_guest: bool) -> Dict[str, List[Document]]:
    name = bridge(number)
    found: Dict[str, List[Document]] = {
        "bridges": [{"name": name, "addresses": [f"{gateway(number)}/24"]}],
        "masquerade": [{"source": subnet(number), "except_to": name}],
    }
    if has_guest:
        room = namespace(number)
        peer = {"name": "eth0", "netns": room, "addresses": [f"{guest(number)}/24"]}
        found["namespaces"] = [{"name": room}]
        found["veths"] = [{"name": f"c{number}", "bridge": name, "peer": peer}]
        found["routes"] = [{"netns": room, "to": "default", "via": gateway(number)}]
    return found
