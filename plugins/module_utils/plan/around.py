# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands in other documents of the host, as far as it matters to the plan of one."""

from __future__ import annotations

from typing import Dict, NamedTuple, Tuple

from ..model import PublishedPort, Topology
from .hands import Need, Word
from .owned import SysctlKey


class Elsewhere(NamedTuple):
    """What other documents of the host say that concerns a run.

    ``ports``: what they publish. ``settings``: what switches of this document need for those, each with the name of the
    document that puts it back one day. ``plugged``: bridges, cables and taps of the others. ``bridged``: iptables sees
    what bridges forward. ``guests``: cables and routes of the others, if a port of this document leads to a guest that
    isn't its own. ``said``: settings that they have a word for. ``needed``: settings that this document has a word for
    and that one of them needs.
    """

    ports: Tuple[PublishedPort, ...]
    settings: Dict[SysctlKey, str]
    plugged: Topology
    bridged: bool
    guests: Topology
    said: Dict[SysctlKey, Word] = {}
    needed: Dict[SysctlKey, Need] = {}


def together(topology: Topology, others: Topology) -> Topology:
    """The document with the bridges, cables, taps and routes of others."""
    if not any(others[1:]):
        return topology
    return topology._replace(
        bridges=topology.bridges + others.bridges,
        veths=topology.veths + others.veths,
        taps=topology.taps + others.taps,
        containers=topology.containers + others.containers,
        routes=topology.routes + others.routes,
    )
