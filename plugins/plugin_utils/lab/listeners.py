# SPDX-License-Identifier: GPL-3.0-or-later
"""Listeners: what would be the service of a machine, for probes to connect to."""

from __future__ import annotations

import os
import select
import socket
from typing import Dict, List, NamedTuple, NoReturn, Tuple

from . import kernel


class Listener(NamedTuple):
    """Who accepts TCP connections on ``port`` in the namespace ``netns`` of the lab host ``host``."""

    host: str
    netns: str
    port: int


class _Open(NamedTuple):
    """A listening socket, and the device and inode of the namespace that it is in."""

    namespace: Tuple[int, int]
    server: socket.socket


def serve(listeners: List[Listener]) -> NoReturn:
    """Accept connections in namespaces as they appear, and let go of them as they go.

    Only a socket is inside, no process: a process would stand in the way of the namespace's removal (hazard 18). The
    kernel says through poll(2) on mountinfo when a name was mounted or unmounted, proc(5).
    """
    own = os.open("/proc/self/ns/net", os.O_RDONLY)
    listening: Dict[Listener, _Open] = {}
    with open("/proc/self/mountinfo", encoding="utf-8") as mounts:
        while True:
            poll = select.poll()
            poll.register(mounts, select.POLLERR | select.POLLPRI)
            for listener in listeners:
                _follow(listener, listening, own)
            servers = {opened.server.fileno(): opened.server for opened in listening.values()}
            for descriptor in servers:
                poll.register(descriptor, select.POLLIN)
            for descriptor in servers.keys() & dict(poll.poll()):
                servers[descriptor].accept()[0].close()


def _follow(listener: Listener, listening: Dict[Listener, _Open], own: int) -> None:
    """Bring the socket of one listener in line with the namespace that has its name now."""
    try:
        namespace = os.open(f"/run/netns/{listener.netns}", os.O_RDONLY)
    except FileNotFoundError:
        namespace = None
    status = os.fstat(namespace) if namespace is not None else None
    identity = (status.st_dev, status.st_ino) if status else None
    opened = listening.get(listener)
    if opened and opened.namespace != identity:
        listening.pop(listener).server.close()
        opened = None
    if namespace is None:
        return
    try:
        if opened is None and identity:
            listening[listener] = _Open(identity, _listen(namespace, listener.port, own))
    except OSError:
        # Not a namespace yet: `ip netns add` makes the file first and then mounts on it, which wakes poll again.
        pass
    finally:
        os.close(namespace)


def _listen(namespace: int, port: int, own: int) -> socket.socket:
    """Open a listening socket inside a namespace; the calling thread is back in ``own`` afterwards. Raises OSError."""
    kernel.setns(namespace, kernel.CLONE_NEWNET)
    try:
        if socket.has_dualstack_ipv6():
            return socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
        return socket.create_server(("", port))
    finally:
        kernel.setns(own, kernel.CLONE_NEWNET)
