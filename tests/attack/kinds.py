# SPDX-License-Identifier: GPL-3.0-or-later
"""What kind of attack a way is, in words: who failed is told by it, and that an attacker can do harm is shown by it."""

from __future__ import annotations

from ansible_collections.hostwire.linux.tests.attack.networks import INTERNAL, network_of
from ansible_collections.hostwire.linux.tests.attack.sensing import HOST
from ansible_collections.hostwire.linux.tests.attack.ways import LINK_LOCAL, LOOPBACK, UNSPECIFIED, Scene, Way

# Each has to arrive where nothing is kept away, by both protocols and both families but where it says otherwise.
LOOPBACK_PORT = "a port at 127.0.0.1 from outside"
FORGED_NETWORK = "a network's source from elsewhere"
FORGED_BY_GUEST = "a guest's packet with a source that isn't its network's"
HIDDEN_GUEST = "a guest's unpublished port from outside"
BETWEEN = "from network to network"
FOREIGN_GUEST = "somebody else's guests from a network"
FOREIGN_TO_GUEST = "a guest from somebody else's guests"
ALLOWED_SOURCES = "a port with sources by another source"
TRANSIT = "through the host by interfaces nobody named"
WAY_OUT = "out of a network that leads nowhere"
HOSTS_INNER_ADDRESS = "the host's address in a network from elsewhere"
OTHER = "otherwise"


def kind_of(it: Scene, way: Way, at: str) -> str:
    """The kind, with what tells where to look: who sends, as whom, where it arrives."""
    return f"{_kind(it, way, at)} ({_role(it, way.sender)} as {_claimed(it, way)} -> {_role(it, at)})"


def _kind(it: Scene, way: Way, at: str) -> str:
    if way.sender == HOST or way.target.near:
        return OTHER
    sender = it.places[way.sender]
    there = it.places.get(at)
    there_network = there.network if there else None
    if way.target.address in LOOPBACK.values():
        return LOOPBACK_PORT
    claimed = network_of(way.source, it.networks)
    if claimed and claimed != sender.network and claimed.kind != INTERNAL:
        return FORGED_NETWORK
    if sender.network and claimed != sender.network and way.source not in sender.addresses.values():
        return FORGED_BY_GUEST
    if way.target.port is not None and way.target.port.sources and there_network:
        return ALLOWED_SOURCES
    if at == HOST:
        return HOSTS_INNER_ADDRESS
    if sender.network is None:
        if there_network is None:
            return TRANSIT
        return FOREIGN_TO_GUEST if sender.kind == "company" else HIDDEN_GUEST
    if there_network is not None:
        return BETWEEN
    if there is not None and there.kind == "company":
        return FOREIGN_GUEST
    return WAY_OUT


def plain_kind_of(it: Scene, way: Way, at: str) -> str:
    """The kind alone."""
    return _kind(it, way, at)


def _role(it: Scene, place: str) -> str:
    if place == HOST:
        return HOST
    found = it.places[place]
    return found.name if found.kind == "company" else found.kind


def _claimed(it: Scene, way: Way) -> str:
    if way.sender == HOST or way.source in it.places[way.sender].addresses.values():
        return "itself"
    for words, addresses in (("loopback", LOOPBACK), ("link-local", LINK_LOCAL), ("nobody", UNSPECIFIED)):
        if way.source in addresses.values():
            return words
    claimed = network_of(way.source, it.networks)
    if claimed:
        return "its neighbour" if claimed == it.places[way.sender].network else f"one of a {claimed.kind} network"
    return "another"
