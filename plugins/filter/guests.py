# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters: guest networks into topology documents, and into DHCP and DNS servers."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Optional

from ansible_collections.hostwire.linux.plugins.plugin_utils.filters import as_filters
from ansible_collections.hostwire.linux.plugins.plugin_utils.guest_network.documents import documents
from ansible_collections.hostwire.linux.plugins.plugin_utils.guest_network.model import GuestNetworkError
from ansible_collections.hostwire.linux.plugins.plugin_utils.guest_network.servers import servers
from ansible_collections.hostwire.linux.plugins.plugin_utils.guest_network.setup import read


def guest_documents(
    networks: Any, guests: Any = None, there: Optional[Mapping[str, Any]] = None
) -> List[Dict[str, Any]]:
    """The documents of guest networks, in the order in which they are to be applied."""
    if there is not None and not isinstance(there, Mapping):
        raise GuestNetworkError("there: is not a dictionary of documents by name; topology_info returns one")
    return documents(read(networks, guests), there)


def guest_services(networks: Any, guests: Any = None) -> List[Dict[str, Any]]:
    """The DHCP and DNS servers of guest networks."""
    return servers(read(networks, guests))


class FilterModule:
    """Guest networks."""

    def filters(self) -> Dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return as_filters(GuestNetworkError, guest_documents, guest_services)
