# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters: names of guests and hosts, from any source to any form."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Sequence

from ansible_collections.hostwire.linux.plugins.plugin_utils.filters import as_filters
from ansible_collections.hostwire.linux.plugins.plugin_utils.name_service.names import (
    NamesError,
    hosts_entries,
    records_of,
    server_lines,
)


def name_records(
    records: Any,
    guests: Any = None,
    networks: Any = None,
    network: Optional[str] = None,
    inventory: Any = None,
    document: Any = None,
    domain: Optional[str] = None,
) -> List[Dict[str, Any]]:
    """One list of records out of all sources."""
    found = records_of(records, guests, networks, network, inventory, document, domain)
    return [record.plain() for record in found]


def name_entries(records: Any, domain: Optional[str] = None) -> List[Dict[str, Any]]:
    """Records as entries of a hosts file."""
    return hosts_entries(records, domain)


def name_server_lines(
    records: Any, listen: Any, domain: Optional[str] = None, upstream: Sequence[Any] = (), port: int = 53
) -> List[str]:
    """Records as the configuration of a DNS server."""
    return server_lines(records, listen, domain, upstream, port)


class FilterModule:
    """Names of guests and hosts."""

    def filters(self) -> Dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return as_filters(NamesError, name_records, name_entries, name_server_lines)
