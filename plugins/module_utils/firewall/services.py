# SPDX-License-Identifier: GPL-3.0-or-later
"""How the servers of ours on the host are asked: what a packet to one of them is told by."""

from __future__ import annotations

from typing import Dict, Iterable, List, Tuple

_DNS = (("udp", 53), ("tcp", 53))
_ASKED: Dict[Tuple[str, int], Tuple[Tuple[str, int], ...]] = {
    ("dhcp", 4): (("udp", 67),),
    ("dhcp", 6): (("udp", 547),),
    ("dns", 4): _DNS,
    ("dns", 6): _DNS,
}
# Router solicitations and neighbour discovery: whoever serves by IPv6 is asked that first (RFC 4861).
NEIGHBOURS = tuple(f"-p ipv6-icmp -m icmp6 --icmpv6-type {number}" for number in (133, 135, 136))


def asked(services: Iterable[str], family: int) -> Tuple[str, ...]:
    """What matches packets to these services ("dhcp", "dns"), whatever interface they come by."""
    found: Dict[str, List[int]] = {}
    for service in sorted(services):
        for protocol, port in _ASKED[service, family]:
            found.setdefault(protocol, []).append(port)
    return tuple(_matching(protocol, ports) for protocol, ports in found.items())


def _matching(protocol: str, ports: List[int]) -> str:
    if len(ports) == 1:
        return f"-p {protocol} -m {protocol} --dport {ports[0]}"
    return f"-p {protocol} -m multiport --dports {','.join(map(str, sorted(ports)))}"
