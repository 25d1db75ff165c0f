# SPDX-License-Identifier: GPL-3.0-or-later
"""The network that every peer of the benchmark builds, and our document for it.

``count`` namespaces n0, n1, …; from each a cable to the switch br0 of the host, an address and a default route by way
of the switch's own address.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional

BRIDGE = "br0"
GATEWAY = "10.0.255.254"
PREFIX_LENGTH = 16
GUEST = "10.0.0.2"  # the address that the published ports lead to: namespace n0's


def namespace(number: int) -> str:
    return f"n{number}"


def cable(number: int) -> str:
    return f"v{number}"


def address(number: int) -> str:
    return f"10.0.{number // 250}.{number % 250 + 2}"


def moved_address(number: int) -> str:
    return f"10.0.{100 + number // 250}.{number % 250 + 2}"


def document(count: int, moved: bool = False, ports: Optional[int] = None) -> Dict[str, Any]:
    """Our document. ``moved``: the last namespace has another address; ``ports``: a router that publishes as many."""
    veths: List[Dict[str, Any]] = []
    for number in range(count):
        own = moved_address(number) if moved and number == count - 1 else address(number)
        peer = {"name": "eth0", "netns": namespace(number), "addresses": [f"{own}/{PREFIX_LENGTH}"]}
        veths.append({"name": cable(number), "bridge": BRIDGE, "peer": peer})
    wanted: Dict[str, Any] = {
        "name": "benchmark",
        "namespaces": [{"name": namespace(number)} for number in range(count)],
        "bridges": [{"name": BRIDGE, "addresses": [f"{GATEWAY}/{PREFIX_LENGTH}"]}],
        "veths": veths,
        "routes": [{"netns": namespace(number), "to": "default", "via": GATEWAY} for number in range(count)],
    }
    if ports is not None:
        wanted["forwarding"] = {"ipv4": True}
        wanted["published_ports"] = [
            {"protocol": "tcp", "port": 10000 + port, "to": f"{GUEST}:{20000 + port}", "address": "any"}
            for port in range(ports)
        ]
    return wanted
