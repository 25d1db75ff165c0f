# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters: subnets by arithmetic."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence

from ansible_collections.hostwire.linux.plugins.plugin_utils.filters import as_filters
from ansible_collections.hostwire.linux.plugins.plugin_utils.subnets import (
    SubnetError,
    allocate,
    named,
    nth,
    overlaps,
    parse,
    slots,
)


def bridge_address(supernet: str, prefix: int, index: int, avoid: Sequence[str] = ()) -> str:
    """The first address of the ``index``-th subnet, with its prefix length."""
    cut = slots(supernet, prefix, avoid)
    return cut.bridge(nth(cut, index))


def bridge_addresses(
    supernet: str,
    prefix: int,
    hosts: Sequence[str],
    recorded: Optional[Mapping[str, str]] = None,
    avoid: Sequence[str] = (),
) -> Dict[str, str]:
    """A bridge address for each host, the same at each call."""
    cut = slots(supernet, prefix, avoid)
    return {host: cut.bridge(slot) for host, slot in allocate(cut, _hosts(hosts), recorded or {}).items()}


def address_pools(
    supernet: str,
    prefix: int,
    hosts: Sequence[str],
    size: int,
    recorded: Optional[Mapping[str, Any]] = None,
    avoid: Sequence[str] = (),
) -> Dict[str, List[Dict[str, Any]]]:
    """For each host a pool of its own, as docker_bridge takes it."""
    cut = slots(supernet, prefix, avoid)
    slots(supernet, size)  # whether this size can be
    if int(size) < cut.prefix:
        raise SubnetError(f"size: networks of /{size} don't fit into a pool of /{cut.prefix}")
    bases = {host: pool if isinstance(pool, str) else pool[0]["base"] for host, pool in (recorded or {}).items()}
    given = allocate(cut, _hosts(hosts), bases)
    return {host: [{"base": cut.network(slot), "size": int(size)}] for host, slot in given.items()}


def subnet_overlaps(subnets: Any, others: Any = None) -> List[Dict[str, str]]:
    """Each pair of subnets that shares an address."""
    found = overlaps(named(subnets, "subnets"), None if others is None else named(others, "others"))
    return [
        {
            "a": a.name,
            "b": b.name,
            "subnet_a": a.subnet,
            "subnet_b": b.subnet,
            "subnet": str(max((parse(a.subnet, a.name), parse(b.subnet, b.name)), key=lambda net: net.prefixlen).cidr),
        }
        for a, b in found
    ]


def _hosts(hosts: Any) -> List[str]:
    if isinstance(hosts, str) or not isinstance(hosts, Sequence) or not all(isinstance(host, str) for host in hosts):
        raise SubnetError(f"hosts: {hosts!r} is no list of names")
    return [str(host) for host in hosts]


class FilterModule:
    """Subnets by arithmetic."""

    def filters(self) -> Dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return as_filters(SubnetError, bridge_address, bridge_addresses, address_pools, subnet_overlaps)
