# SPDX-License-Identifier: GPL-3.0-or-later
"""Guests on one network, as the role guest_network takes them, and the documents that it makes of them."""

from __future__ import annotations

import os
import sys
from typing import Any, Dict, List

from private_host import ROOT

sys.path.insert(0, os.path.join(ROOT, "build"))

NETWORK = "bench"
SUBNET = "10.64.0.0/16"
TRANSFER = "100.64.0.0/16"
MODES = ("nat_network", "nat")


def variables(mode: str, count: int) -> Dict[str, Any]:
    """``count`` namespaces with one NIC each on one network; in nat each has a router of its own."""
    network: Dict[str, Any] = {"name": NETWORK, "mode": mode}
    network.update({"transfer": TRANSFER} if mode == "nat" else {"subnet": SUBNET})
    nics = [{"network": NETWORK, **_address(mode, number)} for number in range(count)]
    guests = [{"name": f"g{number}", "kind": "namespace", "nics": [nic]} for number, nic in enumerate(nics)]
    return {"guest_network_networks": [network], "guest_network_guests": guests}


def _address(mode: str, number: int) -> Dict[str, str]:
    return {} if mode == "nat" else {"address": f"10.64.{number // 250}.{number % 250 + 2}/16"}


def documents(mode: str, count: int) -> List[Dict[str, Any]]:
    """What the role applies, in one task."""
    from ansible_collections.hostwire.linux.plugins.plugin_utils.guest_network import setup
    from ansible_collections.hostwire.linux.plugins.plugin_utils.guest_network.documents import documents

    given = variables(mode, count)
    return documents(setup.read(given["guest_network_networks"], given["guest_network_guests"]))


def gateway(mode: str) -> str:
    """The guests' default route."""
    return "10.0.2.2" if mode == "nat" else "10.64.0.1"


def host(mode: str) -> str:
    """An address of the host that guests reach."""
    return "100.64.0.1" if mode == "nat" else "10.64.0.1"
