# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fields that hold a subnet, an address in one, or a range of addresses."""

from __future__ import annotations

import contextlib
from typing import Any, Optional, Tuple

from ansible_collections.hostwire.linux.plugins.module_utils.document.fields import Fields, shown
from ansible_collections.hostwire.linux.plugins.module_utils.document.prefix import (
    parse_ip,
    parse_prefix,
    why_not_a_prefix,
    why_not_an_ip,
    why_not_on_a_link,
)

from .model import BRIDGED, Network, gateway

# The check that every plugin can be imported has no netaddr; the filters say so where it is missing.
with contextlib.suppress(ImportError):
    import netaddr


def available() -> bool:
    """Whether netaddr is there."""
    return "netaddr" in globals()


def subnet_of(fields: Fields, key: str, family: int, longest: int, default: Optional[str] = None) -> Any:
    """A subnet of one family with room for the guests; ``default`` where none is given."""
    given = fields.values.get(key)
    text = default if given is None else fields.text(key, "a network, like 10.0.2.0/24")
    prefix = fields.network(key, text) if text else None
    if prefix is None:
        return None
    reason = why_not_on_a_link(prefix._replace(number=prefix.first + 1)) if prefix.last > prefix.first + 1 else None
    if prefix.family != family:
        fields.problem(key, f"{prefix.text} is not IPv{family}; that is {'subnet6' if family == 4 else 'subnet'}")
    elif prefix.length > longest:
        fields.problem(key, f"{prefix.text} is too small; /{longest} is the smallest that has room for what is in it")
    elif reason:
        fields.problem(key, f"{prefix.text} {reason}")
    else:
        return netaddr.IPNetwork(prefix.text)  # type: ignore[no-untyped-call]
    return None


def host_on(fields: Fields, key: str, subnet: Any, network: Network, family: int) -> Any:
    """A guest's address, with its prefix length; None if left out."""
    text = fields.text(key, "an address with its prefix length, like 10.0.2.4/24")
    if text is None:
        return None
    if "/" not in text and subnet is not None and parse_ip(text):
        fields.problem(key, f"{shown(text)} has no prefix length; say {text}/{subnet.prefixlen}")
        return None
    prefix = parse_prefix(text)
    reason = why_not_a_prefix(text) if prefix is None else why_not_on_a_link(prefix)
    if prefix is None or reason:
        fields.problem(key, f"{shown(text)} {reason}")
    elif prefix.family != family:
        fields.problem(key, f"{prefix.text} is not IPv{family}; that is {'address6' if family == 4 else 'address'}")
    elif network.mode == BRIDGED:
        return netaddr.IPNetwork(prefix.text)  # type: ignore[no-untyped-call]
    elif subnet is None:
        fields.problem(key, f"network {network.name} has no {'subnet' if family == 4 else 'subnet6'}; give it one")
    else:
        found = netaddr.IPNetwork(prefix.text)  # type: ignore[no-untyped-call]
        if found.ip not in subnet:
            fields.problem(key, f"{found.ip} is not in {subnet}, the subnet of network {network.name}")
        elif found.prefixlen != subnet.prefixlen:
            fields.problem(key, f"{found} has another prefix length than {subnet}; say {found.ip}/{subnet.prefixlen}")
        elif found.ip == subnet.network:
            fields.problem(key, f"{found.ip} is the address of the network itself")
        elif str(found.ip) == gateway(network, family):
            fields.problem(key, f"{found.ip} is the address of the host's side of network {network.name}")
        else:
            return found
    return None


def ip_range(fields: Fields, key: str, subnet: Any, router: int) -> Optional[Tuple[str, str]]:
    """A range of addresses of a subnet, like 10.0.2.100-10.0.2.200, as (first, last)."""
    text = fields.text(key, "a range, like 10.0.2.100-10.0.2.200")
    if text is None:
        return None
    ends = [end.strip() for end in text.split("-")]
    if len(ends) != 2:
        fields.problem(key, f"{shown(text)} is no range; say it like 10.0.2.100-10.0.2.200")
        return None
    for end in ends:
        if parse_ip(end) is None:
            fields.problem(key, f"{shown(end)} {why_not_an_ip(end)}")
            return None
    if subnet is None:
        fields.problem(key, f"the network has no {'subnet6' if key == 'range6' else 'subnet'}")
        return None
    first, last = (netaddr.IPAddress(end) for end in ends)  # type: ignore[no-untyped-call]
    outside = [str(end) for end in (first, last) if end not in subnet]
    if outside:
        fields.problem(key, f"{outside[0]} is not in {subnet}")
    elif first > last:
        fields.problem(key, f"{shown(text)} runs backwards; say {last}-{first}")
    elif first <= subnet[router] <= last:
        fields.problem(key, f"{subnet[router]} in it is the server's own; begin with {subnet[router + 1]}")
    elif first == subnet.network or (subnet.version == 4 and last == subnet.broadcast):
        fields.problem(key, f"the first and the last address of {subnet} are no guest's")
    else:
        return str(first), str(last)
    return None
