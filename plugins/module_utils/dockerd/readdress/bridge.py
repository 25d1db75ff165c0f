# SPDX-License-Identifier: GPL-3.0-or-later
"""docker0's addresses, changed by rtnetlink while dockerd is stopped or where it leaves something behind."""

from __future__ import annotations

import errno
from typing import Sequence

from ...errors import KernelRefused
from ...rtnetlink.addresses import delete_address
from ...rtnetlink.channel import Channel
from ..model import DEFAULT_BRIDGE
from .situation import docker0_addresses


def take_away(addresses: Sequence[str]) -> None:
    """Delete those of these addresses that docker0 has. Raises KernelRefused."""
    if not addresses:
        return
    here = [address for address in docker0_addresses() if address in addresses]
    if not here:
        return
    with Channel() as channel:
        index = channel.index_of(DEFAULT_BRIDGE)
        refusals = channel.transact([delete_address(index, address) for address in here])
    for address, refusal in zip(here, refusals):
        if refusal is not None and refusal.errno != errno.EADDRNOTAVAIL:
            raise KernelRefused(f"{DEFAULT_BRIDGE}: address {address}: delete", refusal.errno, refusal.detail)
