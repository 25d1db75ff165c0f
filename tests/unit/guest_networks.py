# SPDX-License-Identifier: GPL-3.0-or-later
"""Guests and networks of each mode, the documents that become of them, and what is said of bad ones."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.hostwire.linux.plugins.filter.guests import FilterModule

FILTERS = FilterModule().filters()
guest_documents = FILTERS["guest_documents"]
Item = Dict[str, Any]

OFFICE = {"name": "office", "mode": "nat_network"}
NAT = {"name": "nat", "mode": "nat", "subnet": "10.0.9.0/24"}
DESK = {"name": "desk", "mode": "host_only"}
ISO = {"name": "iso", "mode": "internal"}
LAN = {"name": "lan", "mode": "bridged", "uplink": "eth0"}
OWN = {"name": "own", "mode": "routed", "uplink": "eth1", "subnet": "10.30.0.0/24"}
ALL = [OFFICE, NAT, DESK, ISO, LAN, OWN]


def problems(networks: Any, guests: Any = None) -> List[str]:
    with pytest.raises(AnsibleFilterError) as raised:
        guest_documents(networks, guests)
    return str(raised.value).removeprefix("guest_documents: ").split("\n")


def nics(*found: Any) -> Any:
    return [{"name": f"g{place}", "nics": entries} for place, entries in enumerate(found)]


def guest(name: str, *nics: Item, kind: str = "namespace", **more: Any) -> Item:
    return {"name": name, "kind": kind, "nics": list(nics), **more}


def by_name(networks: List[Item], guests: List[Item], there: Optional[Mapping[str, Any]] = None) -> Dict[str, Item]:
    return {item["name"]: item for item in guest_documents(networks, guests, there)}
