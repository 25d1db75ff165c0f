# SPDX-License-Identifier: GPL-3.0-or-later
"""What may arrive where, out of the ten promises of docs/security.md, and nothing else.

EITHER is where they are silent, or where it is somebody else's to say.
"""

from __future__ import annotations

from typing import Optional

from ansible_collections.hostwire.linux.tests.attack.networks import (
    BARE,
    HOST_ONLY,
    INTERNAL,
    MASQUERADED,
    NAT,
    ROUTED,
    UNADDRESSED,
    Network,
    network_of,
)
from ansible_collections.hostwire.linux.tests.attack.networks import HOST as HOST_ADDRESS
from ansible_collections.hostwire.linux.tests.attack.places import CLOSED, HOST_AT_WAN, LAN, Place
from ansible_collections.hostwire.linux.tests.attack.sensing import HOST
from ansible_collections.hostwire.linux.tests.attack.setups import ADMINISTRATOR, DOCKER, DOCKER_28, FIREWALLD, UFW
from ansible_collections.hostwire.linux.tests.attack.ways import (
    CONTAINER_PORT,
    LINK_LOCAL,
    LOOPBACK,
    UNHEARD,
    UNSPECIFIED,
    Scene,
    Way,
)

YES, NO, EITHER = "yes", "no", "either"
CLOSED_KINDS = (HOST_ONLY, INTERNAL, BARE)
HOSTS_CLOSED = (UFW, FIREWALLD)  # whose INPUT lets in nothing of this
ROUTER = "router"


def may_arrive(it: Scene, way: Way, at: str) -> str:
    """Whether a way's packet has to, must not or may arrive at a place."""
    if way.sender == HOST:
        return _from_host(it, way, at)
    said = _may_arrive(it, way, at)
    if it.setup.company == FIREWALLD and at != HOST and way.target.port is None:  # promise 8
        return _behind_firewalld(it, way, at, said)
    return said


def _behind_firewalld(it: Scene, way: Way, at: str, said: str) -> str:
    """Nothing but ports is forwarded; what doesn't pass the host's forwarding isn't asked."""
    if way.target.near:
        return EITHER if it.setup.bridge_nf else said
    if it.places[way.sender].kind == NAT and it.places[at].kind == ROUTER:
        return said
    return NO


def _may_arrive(it: Scene, way: Way, at: str) -> str:
    sender = it.places[way.sender]
    if way.target.near:
        return YES if at == way.target.place else EITHER
    if way.source in LOOPBACK.values() or way.target.address in LOOPBACK.values():  # promise 1
        return NO
    if sender.network is None:
        return _from_elsewhere(it, way, sender, at)
    return _from_guest(it, way, sender, sender.network, at)


def true_source(it: Scene, way: Way) -> bool:
    """Whether it is the sender's own."""
    return way.sender == HOST or way.source in it.places[way.sender].addresses.values()


def _from_elsewhere(it: Scene, way: Way, sender: Place, at: str) -> str:
    claimed = network_of(way.source, it.networks)
    if claimed and claimed.kind != INTERNAL:  # promise 2; nobody tells the host of an internal network's prefix
        return NO
    if at == HOST:
        return _host_from_elsewhere(it, way, sender)
    if at in it.places and it.places[at].network:
        return _guest_from_elsewhere(it, way, sender, it.places[at])
    return _transit(it, way, sender, at)


def _host_from_elsewhere(it: Scene, way: Way, sender: Place) -> str:
    near = network_of(way.target.address, it.networks)
    if near and near.translated:  # promise 3
        return NO
    if it.setup.company in HOSTS_CLOSED:  # promise 8
        return NO
    open_to_all = sender.kind in ("lan", "wan") and way.target.number == UNHEARD
    local = way.target.address in (HOST_ADDRESS[4], HOST_ADDRESS[6], HOST_AT_WAN[4], HOST_AT_WAN[6])
    return YES if open_to_all and local and true_source(it, way) else EITHER


def _guest_from_elsewhere(it: Scene, way: Way, sender: Place, at: Place) -> str:
    port = way.target.port
    if at.kind in CLOSED_KINDS or at.kind == ROUTER:
        return NO
    if at.network is not None and port is None and sender.name in at.network.callers:  # promise 4
        if at.kind == ROUTED:  # whoever lives behind the interface that its document names
            return YES if true_source(it, way) else EITHER
        return YES if true_source(it, way) else NO
    if port is None or port.place != at.name or port.loopback:  # promises 3 and 4
        return NO
    if port.sources:
        return _by_allowed_source(way, sender)
    return YES if sender.kind in ("lan", "wan") and true_source(it, way) else EITHER


def _by_allowed_source(way: Way, sender: Place) -> str:
    """A port with ``sources``: the one that may use it lives on the LAN."""
    if way.source not in LAN.values() or sender.name != "lan":
        return NO
    return YES


def _transit(it: Scene, way: Way, sender: Place, at: str) -> str:
    """Between what no document makes."""
    setup, port = it.setup, way.target.port
    honest = true_source(it, way)
    if port is not None and port.name == "nas":
        return YES if sender.kind == "wan" and honest else EITHER
    if at == sender.name:
        return EITHER
    if setup.company == ADMINISTRATOR and (at == "adm" or way.target.address in CLOSED.values()):  # promise 8
        return NO
    if at == "vm":
        return NO
    named = {name for network in it.networks if network.kind == ROUTED for name in network.callers}
    if sender.name in named and at in named:  # promise 7
        return YES if honest else EITHER
    if sender.kind == "company":
        if at in ("lan", "wan") and setup.company in (DOCKER, DOCKER_28) and honest:
            return YES
        return EITHER
    if at in it.places and it.places[at].kind == "company":
        return YES if port is CONTAINER_PORT and honest else EITHER
    if setup.forwarded:
        if setup.policy == "DROP":  # promise 8
            return NO
        return YES if honest else EITHER
    return NO  # promise 7


def _from_guest(it: Scene, way: Way, sender: Place, own: Network, at: str) -> str:
    place = it.places.get(at)
    if place is not None and place.netns == sender.netns and place.network != own:
        return EITHER  # to oneself
    if not _plausible(way, sender, own):
        return EITHER if _of_the_link(way) and _near_or_published(it, way, sender, own, at) else NO  # promise 2
    if place is not None and place.network == own:
        return _same_network(it, way, sender, own, place)
    if own.kind in UNADDRESSED:
        return NO
    if at == HOST:
        return _host_from_guest(it, way, own)
    if own.kind == HOST_ONLY:
        return NO
    if place is not None and place.network:
        return _other_network(it, way, own, place)
    return _outwards(it, way, own, at)


def _of_the_link(way: Way) -> bool:
    """A source that everybody may have on his own link."""
    return way.source in (*LINK_LOCAL.values(), *UNSPECIFIED.values())


def _near_or_published(it: Scene, way: Way, sender: Place, own: Network, at: str) -> bool:
    """Whether such a source does no harm: at the host, at a neighbour, or through a port that is everybody's."""
    place, port = it.places.get(at), way.target.port
    if at == HOST:
        return own.kind != INTERNAL
    if place is not None and place.network == own:
        return own.kind != NAT or at == f"router.{sender.name}"
    if own.kind in CLOSED_KINDS or port is None or port.loopback or port.sources:
        return False
    return at == way.target.place


def _plausible(way: Way, sender: Place, own: Network) -> bool:
    if sender.kind == NAT:  # behind a router that knows its one prefix
        return way.source in sender.addresses.values()
    return own.holds(way.source)


def _same_network(it: Scene, way: Way, sender: Place, own: Network, at: Place) -> str:
    port = way.target.port
    if port is not None and port.place == at.name:
        if port.loopback or port.sources:
            return NO
        return YES if own.kind == MASQUERADED and true_source(it, way) else EITHER
    if own.kind == NAT:  # guests who are apart; each has its own router
        if sender.kind == NAT and at.name == f"router.{sender.name}":
            return EITHER
        return NO
    return EITHER  # by the host to a neighbour


def _host_from_guest(it: Scene, way: Way, own: Network) -> str:
    if it.setup.company in HOSTS_CLOSED:  # promise 8
        return NO
    near = network_of(way.target.address, it.networks)
    if near and near != own and near.translated:  # promise 3
        return NO
    if way.target.number != UNHEARD or way.target.port or (near and near != own):
        return EITHER
    return YES if true_source(it, way) else EITHER


def _other_network(it: Scene, way: Way, own: Network, at: Place) -> str:
    port = way.target.port
    assert at.network is not None
    if port is not None and port.place == at.name and not port.loopback and not port.sources:
        return YES if true_source(it, way) else EITHER
    if at.kind == ROUTED and own.translated:
        return EITHER  # who leads out reaches it as the LAN does, if the host's owner likes
    return NO  # promises 5 and 6


def _outwards(it: Scene, way: Way, own: Network, at: str) -> str:
    port = way.target.port
    honest = YES if true_source(it, way) else EITHER
    if port is not None and port.name in ("nas", "container"):
        return honest
    if at not in ("lan", "wan"):  # promise 5: somebody else's guests
        return NO
    if it.setup.company == ADMINISTRATOR and way.target.address in CLOSED.values():  # promise 8
        return NO
    if own.kind == ROUTED and at == "wan":
        return EITHER
    return honest


def _from_host(it: Scene, way: Way, at: str) -> str:
    port, place = way.target.port, it.places.get(at)
    if ":" in way.target.address and way.target.address in LOOPBACK.values():
        return EITHER  # there is no route_localnet for IPv6
    if port is not None:
        if at == HOST:
            return EITHER
        if port.sources:
            return NO
        if port.loopback and way.target.address not in LOOPBACK.values():
            return NO
        if port is CONTAINER_PORT:
            return EITHER
        return YES
    if place is None or place.network is None:
        return EITHER if at == HOST or at != way.target.place else YES
    if not place.network.from_host:
        return NO
    if place.kind == BARE:  # where the host has no address
        return EITHER
    return YES if at == way.target.place else NO


def seen_source(it: Scene, way: Way, at: str) -> Optional[str]:
    """Whom a machine outside has to see where a network's packets are translated; None if it doesn't matter."""
    if way.sender == HOST or at not in ("lan", "wan") or way.target.near:
        return None
    network = it.places[way.sender].network
    if network is None or not network.leads_out:
        return None
    family = 6 if ":" in way.source else 4
    if network.translated:
        return (HOST_AT_WAN if at == "wan" else HOST_ADDRESS)[family]
    return None if way.target.port else way.source
