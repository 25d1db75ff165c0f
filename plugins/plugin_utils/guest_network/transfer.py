# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the routers of mode nat stand in the networks between them and the host."""

from __future__ import annotations

import contextlib
from typing import Any, Dict, Iterator, Mapping, Optional, Sequence

from .model import Network
from .names import router

# The check that every plugin can be imported has no netaddr; setup.read says so where it is missing.
with contextlib.suppress(ImportError):
    import netaddr

FIRST = 2  # the host is 1
OUTSIDE = "outside"  # a router's interface towards the host


def numbers(network: Network, guests: Sequence[str], before: Mapping[str, Any]) -> Dict[str, int]:
    """The number of each guest's router in the network ``transfer``: the one that it has, else the lowest free one.

    A router that moved would lose what its guest has open; so nobody moves because another guest came or went.
    ``before``: the network's document on the host, empty where there is none.
    """
    rooms = {router(network.name, guest): guest for guest in guests}
    found: Dict[str, int] = {}
    for veth in before.get("veths") or ():
        peer = veth.get("peer") or {}
        guest = rooms.get(str(peer.get("netns")))
        number = _number(network, peer) if guest is not None and peer.get("name") == OUTSIDE else None
        if guest is not None and number is not None and number not in found.values():
            found[guest] = number
    free = _free(set(found.values()))
    return {guest: found[guest] if guest in found else next(free) for guest in guests}


def _number(network: Network, end: Mapping[str, Any]) -> Optional[int]:
    """The place of an end's address in ``transfer``; None for an address from elsewhere."""
    transfer = network.transfer
    for address in end.get("addresses") or ():
        place = netaddr.IPNetwork(address)  # type: ignore[no-untyped-call]
        if place.cidr == transfer and FIRST <= int(place.ip) - transfer.first < transfer.size - 1:
            return int(place.ip) - int(transfer.first)
    return None


def _free(taken: set[int]) -> Iterator[int]:
    number = FIRST
    while True:
        if number not in taken:
            yield number
        number += 1
