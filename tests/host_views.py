# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts as the engine would have read them, for the rules that need to know one."""

from __future__ import annotations

from typing import NamedTuple

from ansible_collections.hostwire.linux.plugins.module_utils.model import (
    Address,
    HostView,
    KernelRoute,
    Link,
    NamespaceView,
)
from ansible_collections.hostwire.linux.plugins.module_utils.rtnetlink.constants import (
    RT_SCOPE_UNIVERSE,
    RTN_UNICAST,
    RTPROT_KERNEL,
)

STATIC = 4  # RTPROT_STATIC, linux/rtnetlink.h


class Device(NamedTuple):
    """An interface and its addresses; ``peer`` is the other end's address on a point-to-point link."""

    name: str
    addresses: tuple[str, ...] = ()
    kind: str | None = None
    up: bool = True
    peer: str | None = None


class Path(NamedTuple):
    """A route: where to, by what gateway, through which device."""

    to: str
    via: str | None = None
    dev: str | None = None
    protocol: int = STATIC
    type: int = RTN_UNICAST


LO = Device("lo", ("127.0.0.1/8", "::1/128"))


def view(netns: str | None, devices: tuple[Device, ...] = (), paths: tuple[Path, ...] = ()) -> NamespaceView:
    """A namespace with lo, these devices and these routes; the kernel's own routes are not among them."""
    indexes = {device.name: index for index, device in enumerate((LO, *devices), 1)}
    return NamespaceView(
        netns,
        inode=1,
        links={
            device.name: Link(
                index=indexes[device.name],
                name=device.name,
                kind=device.kind,
                up=device.up,
                running=device.up,
                mtu=1500,
                mac="02:00:00:00:00:01",
                master=None,
                alias="",
                altnames=(),
                peer_index=None,
                peer_netnsid=None,
                accept_ra=None,
            )
            for device in (LO, *devices)
        },
        addresses={
            indexes[device.name]: tuple(
                Address(indexes[device.name], address, RT_SCOPE_UNIVERSE, 0, device.peer)
                for address in device.addresses
            )
            for device in (LO, *devices)
        },
        routes=tuple(
            KernelRoute(path.to, path.via, indexes.get(path.dev or ""), 0, 254, path.type, path.protocol)
            for path in paths
        ),
        forwarding_ipv4=False,
        forwarding_ipv6=False,
        sysctls={},
    )


def host(
    *devices: Device, paths: tuple[Path, ...] = (), rooms: tuple[NamespaceView, ...] = (), unread: tuple[str, ...] = ()
) -> HostView:
    """A host with these devices and routes, these namespaces, and namespaces that nobody has looked at."""
    views = {None: view(None, devices, paths), **{room.netns: room for room in rooms}}
    return HostView((*(room.netns for room in rooms if room.netns), *unread), views, {}, {})


__all__ = ["RTPROT_KERNEL", "Device", "Path", "host", "view"]
