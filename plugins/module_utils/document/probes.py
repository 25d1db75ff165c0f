# SPDX-License-Identifier: GPL-3.0-or-later
"""The probes of a document."""

from __future__ import annotations

from typing import Optional

from ..model import Probe
from .fields import INTERFACE_NAME, Fields, shown
from .prefix import is_link_local, parse_ip, why_not_an_ip


def probe(fields: Fields, absent: bool) -> Optional[Probe]:
    """A claim about what is reachable, read."""
    before = len(fields.problems)
    source = fields.room("from")
    protocol = fields.choice("protocol", ("icmp", "tcp", "udp", "dns"), "icmp")
    port = fields.integer("port", 1, 65535)
    reachable = fields.choice("expect", ("reachable", "unreachable"), "reachable") == "reachable"
    if not fields.required("to", "the address to try"):
        return None
    to = fields.text("to", "an address")
    if to is None or len(fields.problems) > before:
        return None
    address, percent, dev = to.partition("%")
    ip = parse_ip(address)
    if ip is None:
        fields.problem("to", f"{shown(to)} {why_not_an_ip(address)}")
    elif is_link_local(ip.family, ip.number) != bool(percent) or (percent and not INTERFACE_NAME.fullmatch(dev)):
        fields.problem("to", f"{shown(to)}: a link-local address, and no other, needs its interface, like fe80::1%eth0")
    if protocol == "icmp" and port is not None:
        fields.problem("port", "icmp has no ports; leave it out, or say protocol: tcp")
    if protocol in ("tcp", "udp") and port is None:
        fields.missing("port", f"which {protocol} port to try")
    if len(fields.problems) > before:
        return None
    return Probe(source, f"{ip.text if ip else address}{percent}{dev}", protocol, port, reachable)
