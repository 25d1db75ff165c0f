# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role's variables, read and checked as a whole."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Tuple

from .fields import available
from .model import BRIDGED, Guest, GuestNetworkError, Network, Nic, Plugged, Setup
from .reading import read_guests, read_networks
from .rules import rule_problems


def read(networks: Any, guests: Any) -> Setup:
    """Read the variables ``networks`` and ``guests``. Raises GuestNetworkError with all that is wrong at once."""
    if not available():
        raise GuestNetworkError("netaddr: this Python package is missing on the controller (pip install netaddr)")
    problems: List[str] = []
    found = read_networks(networks, problems)
    names = {network.name for network in found}
    # Networks that couldn't be read still are no unknown ones.
    guests_found = read_guests(guests, found, problems) if _all_read(networks, names) else ()
    setup = Setup(found, guests_found, _plugged(found, guests_found))
    problems += rule_problems(setup)
    if problems:
        raise GuestNetworkError("\n".join(dict.fromkeys(problems)))
    return setup


def _all_read(networks: Any, names: set[str]) -> bool:
    entries = networks if isinstance(networks, (list, tuple)) else ()
    return all(isinstance(entry, Mapping) and entry.get("name") in names for entry in entries)


def _plugged(networks: Tuple[Network, ...], guests: Tuple[Guest, ...]) -> Dict[str, Tuple[Plugged, ...]]:
    """Who is in each network, in the order of the guests."""
    known = {network.name: network for network in networks}
    members: Dict[str, List[Plugged]] = {network.name: [] for network in networks}
    for guest in guests:
        default = _default(guest, known)
        for nic in guest.nics:
            members[nic.network].append(Plugged(guest, nic, nic is default))
    return {name: tuple(found) for name, found in members.items()}


def _default(guest: Guest, networks: Mapping[str, Network]) -> Optional[Nic]:
    """The NIC that the guest's default route leads through: the one that says so, else the first that leads out."""
    for nic in guest.nics:
        if nic.default_route:
            return nic
    for nic in guest.nics:
        network = networks[nic.network]
        bridged = network.mode == BRIDGED and not (nic.gateway or nic.gateway6)
        if nic.default_route is None and network.its.leads_out and not bridged:
            return nic
    return None
