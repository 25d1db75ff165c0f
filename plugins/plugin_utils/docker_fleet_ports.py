# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""At which addresses a witness asks for a host's published ports.

Which addresses it has, a host says itself, and the witness connects to them. A host that lies must not send another one
to anybody's door. So it is asked only where somebody else knows it: at an address that the inventory says, or in a
network in which another host of the fleet is, too.
"""

from __future__ import annotations

import ipaddress
from typing import Any, Dict, Iterable, List, Mapping, Sequence, Set, Tuple, Union

MOST = 500  # probes of one host: what one witness can ask in a reasonable time

Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]
Lan = Tuple[int, int, int]  # version, prefix length, and the network as a number


class Lans:
    """The networks to which hosts are connected, each with those hosts."""

    def __init__(self, routes: Iterable[Tuple[str, Sequence[Mapping[str, Any]]]]) -> None:
        """``routes``: each host's name, and its routes as docker_info tells them."""
        self._hosts: Dict[Lan, Set[str]] = {}
        for name, of_it in routes:
            for route in of_it:
                if not route.get("via"):
                    network = ipaddress.ip_network(route["to"], strict=False)
                    lan = (network.version, network.prefixlen, int(network.network_address))
                    self._hosts.setdefault(lan, set()).add(name)
        self._lengths = sorted({lan[:2] for lan in self._hosts})

    def shared(self, name: str, address: Address) -> bool:
        """Whether another host than ``name`` is in a network with this address."""
        for version, length in self._lengths:
            if version == address.version:
                rest = address.max_prefixlen - length
                hosts = self._hosts.get((version, length, int(address) >> rest << rest), set())
                if hosts - {name}:
                    return True
        return False


def askable(name: str, own: Sequence[str], known: Sequence[str], lans: Lans) -> List[str]:
    """Those of a host's addresses at which it is asked; ``known`` are those that the inventory says."""
    sure = {str(ipaddress.ip_address(text)) for text in known}
    found = []
    for text in own:
        address = ipaddress.ip_address(text.partition("%")[0])
        special = address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified
        if not special and (str(address) in sure or lans.shared(name, address)):
            found.append(text)
    return found


def published(containers: Sequence[Mapping[str, Any]], own: Sequence[str]) -> List[Tuple[str, int]]:
    """Address and number of each published TCP port at these addresses.

    Left out are those that the engine chooses anew at each start, and what is more than MOST: each port is asked for at
    one address before any is at a second one.
    """
    rounds: List[Dict[Tuple[str, int], None]] = [{} for dummy in own]
    known = {address: place for place, address in enumerate(own)}
    for container in containers:
        chosen = {port["port"] for port in container["ports"] if not port["host_port"]}
        for port in container["ports"]:
            if port["protocol"] != "tcp" or port["port"] in chosen:
                continue
            if port["address"] is None:
                for place, address in enumerate(own[:MOST]):
                    rounds[place][address, port["host_port"]] = None
            elif port["address"] in known:
                rounds[0][port["address"], port["host_port"]] = None
    return list(dict.fromkeys(probe for each in rounds for probe in each))[:MOST]


def any_published(containers: Sequence[Mapping[str, Any]]) -> bool:
    """Whether there is a TCP port that could be asked for from outside at all."""
    inner = ("127.", "::1")
    return any(
        port["protocol"] == "tcp" and port["host_port"] and not str(port["address"] or "").startswith(inner)
        for container in containers
        for port in container["ports"]
    )
