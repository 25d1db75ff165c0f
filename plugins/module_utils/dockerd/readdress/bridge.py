# SPDX-License-Identifier: GPL-3.0-or-later
"""docker0's addresses, changed by rtnetlink while dockerd is stopped or where it leaves something behind."""

from __future__ import annotations

import errno
import ipaddress
from typing import Sequence

from ...errors import KernelRefused
from ...rtnetlink.addresses import add_address, delete_address
from ...rtnetlink.channel import Channel
from ...rtnetlink.links import add_bridge, change_link, read_links
from ...rtnetlink.wire import Message, attribute
from ..model import DEFAULT_BRIDGE
from .situation import docker0_addresses

_IFA_BROADCAST = 4  # linux/if_addr.h


def take_away(addresses: Sequence[str]) -> None:
    """Delete those of these addresses that docker0 has. Raises KernelRefused."""
    here = [address for address in docker0_addresses() if address in addresses] if addresses else []
    if not here:
        return
    with Channel() as channel:
        index = channel.index_of(DEFAULT_BRIDGE)
        refusals = channel.transact([delete_address(index, address) for address in here])
    for address, refusal in zip(here, refusals):
        if refusal is not None and refusal.errno != errno.EADDRNOTAVAIL:
            raise KernelRefused(f"{DEFAULT_BRIDGE}: address {address}: delete", refusal.errno, refusal.detail)


def put(addresses: Sequence[str]) -> None:
    """Give docker0 those of these IPv4 addresses that it lacks, the bridge itself if it is gone. Raises KernelRefused.

    dockerd takes over the address that it finds there, so nothing has to be written down for it; and whatever listens
    at that address, docker.socket for one, can be started before dockerd is.
    """
    here = docker0_addresses()
    lacking = [address for address in addresses if address and address not in here]
    if not lacking:
        return
    with Channel() as channel:
        if DEFAULT_BRIDGE not in read_links(channel):
            _ask(channel, add_bridge(DEFAULT_BRIDGE, None, stp=False, vlan_filtering=False), "make")
        index = channel.index_of(DEFAULT_BRIDGE)
        _ask(channel, change_link(index, up=True), "set up")
        for address in lacking:
            _ask(channel, _with_broadcast(index, address), f"address {address}: add")


def _ask(channel: Channel, message: Message, what: str) -> None:
    (refusal,) = channel.transact([message])
    if refusal is not None and refusal.errno != errno.EEXIST:
        raise KernelRefused(f"{DEFAULT_BRIDGE}: {what}", refusal.errno, refusal.detail)


def _with_broadcast(index: int, address: str) -> Message:
    """The message that adds an address as dockerd would, with the subnet's broadcast address."""
    message = add_address(index, address)
    broadcast = ipaddress.ip_interface(address).network.broadcast_address
    return message._replace(body=message.body + attribute(_IFA_BROADCAST, broadcast.packed))
