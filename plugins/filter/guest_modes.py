# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter: guest networks into the probes that show what their modes promise."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Optional

from ansible_collections.hostwire.linux.plugins.plugin_utils.filters import as_filters
from ansible_collections.hostwire.linux.plugins.plugin_utils.guest_modes import Surroundings, shipped, trials
from ansible_collections.hostwire.linux.plugins.plugin_utils.guest_network.model import GuestNetworkError
from ansible_collections.hostwire.linux.plugins.plugin_utils.guest_network.setup import read


def guest_mode_probes(
    networks: Any,
    guests: Any = None,
    host: Optional[str] = None,
    neighbour: Optional[str] = None,
    port: Optional[int] = None,
    there: Optional[Mapping[str, Any]] = None,
) -> List[Dict[str, Any]]:
    """For each place that probes start from: the probes, and what each of them is to show."""
    return shipped(trials(read(networks, guests), Surroundings(host, neighbour, port, there)))


class FilterModule:
    """What the modes of guest networks promise."""

    def filters(self) -> Dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return as_filters(GuestNetworkError, guest_mode_probes)
