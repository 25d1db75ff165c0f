# SPDX-License-Identifier: GPL-3.0-or-later
"""The interfaces that a document speaks of, all in one form: what rules about names, addresses and MTUs look at."""

from __future__ import annotations

from typing import Dict, Generic, Iterable, Iterator, List, Optional, Tuple, TypeVar

from ..model import CONTAINER, Route, Topology, Veth
from ..rows import NamedTuple
from .containers import cable
from .prefix import WIDTH, Prefix, known_prefix
from .where import Where

Key = Tuple[Optional[str], str]  # namespace, interface
Entry = TypeVar("Entry")

BRIDGE, CABLE, FOREIGN, TAP = "bridge", "cable", "interface", "tap"


class WantedLink(NamedTuple):
    """A bridge, an end of a cable, a tap, or an interface that isn't ours, and its path in the document."""

    path: str
    kind: str
    netns: Optional[str]
    name: str
    addresses: Tuple[str, ...]
    bridge: Optional[str]
    mtu: Optional[int]
    up: Optional[bool]

    @property
    def key(self) -> Key:
        """What identifies the interface on the host."""
        return self.netns, self.name


def wanted_links(topology: Topology, where: Where) -> List[WantedLink]:
    """Every interface that the document names as one to be, in the document's order; a veth's ends as two."""
    found = [
        WantedLink(where.path("bridges", i), BRIDGE, b.netns, b.name, b.addresses, None, b.mtu, b.up)
        for i, b in enumerate(topology.bridges)
    ]
    for i, veth in enumerate(topology.veths):
        path, ends = where.path("veths", i), same_mtu(veth)
        for end, end_path in ((ends.a, path), (ends.b, path + ".peer")):
            found.append(WantedLink(end_path, CABLE, end.netns, end.name, end.addresses, end.bridge, end.mtu, end.up))
    found += [
        WantedLink(where.path("interfaces", i), FOREIGN, f.netns, f.name, f.addresses, f.bridge, f.mtu, f.up)
        for i, f in enumerate(topology.interfaces)
    ]
    found += [
        WantedLink(where.path("taps", i), TAP, t.netns, t.name, (), t.bridge, t.mtu, t.up)
        for i, t in enumerate(topology.taps)
    ]
    for i, value in enumerate(topology.containers):
        path = where.path("containers", i)
        for end in reversed(cable(value)):  # what is wrong with a cable is said of its end in the container
            found.append(WantedLink(path, CABLE, end.netns, end.name, end.addresses, end.bridge, end.mtu, end.up))
    return found


def same_mtu(veth: Veth) -> Veth:
    """A cable of which the MTU said at one end holds at the other, unless that says one too."""
    a, b = veth
    if a.mtu == b.mtu:
        return veth
    return Veth(a._replace(mtu=a.mtu or b.mtu), b._replace(mtu=b.mtu or a.mtu))


class Placed(NamedTuple):
    """An address, the path of its field, and the interface that it is to be on."""

    path: str
    link: WantedLink
    prefix: Prefix


def placed_addresses(links: Iterable[WantedLink]) -> Iterator[Placed]:
    """Every address of these interfaces."""
    for link in links:
        for index, address in enumerate(link.addresses):
            yield Placed(f"{link.path}.addresses[{index}]", link, known_prefix(address))


class PrefixTable(Generic[Entry]):
    """Which networks cover an address or a network, without looking at each: two prefixes are nested or disjoint.

    Keeps the first entry for each network.
    """

    def __init__(self) -> None:
        self._by_length: Dict[Tuple[int, int], Dict[int, Entry]] = {}

    def add(self, prefix: Prefix, entry: Entry) -> None:
        """Note ``entry`` for the network of ``prefix``."""
        self._by_length.setdefault((prefix.family, prefix.length), {}).setdefault(prefix.first, entry)

    def covering(self, family: int, number: int, length: int) -> Iterator[Entry]:
        """The entries of the networks that the prefix of this address and length lies in, itself included."""
        for (other_family, other_length), entries in self._by_length.items():
            if other_family == family and other_length <= length:
                host_bits = WIDTH[family] - other_length
                entry = entries.get(number >> host_bits << host_bits)
                if entry is not None:
                    yield entry


def room(netns: Optional[str]) -> str:
    """A namespace in a message."""
    if netns is not None and netns.startswith(CONTAINER):
        return f"container {netns[len(CONTAINER) :]}"
    return "the host" if netns is None else f"namespace {netns}"


def place(netns: Optional[str]) -> str:
    """Where something is, in a message."""
    return "on the host" if netns is None else f"in {room(netns)}"


class Way(NamedTuple):
    """One next hop of a route with the path of the object that says it."""

    path: str
    via: Optional[str]
    dev: Optional[str]


def ways(route: Route, path: str) -> List[Way]:
    """The next hops of a route, whether it has one or several."""
    if route.nexthops:
        return [Way(f"{path}.nexthops[{i}]", hop.via, hop.dev) for i, hop in enumerate(route.nexthops)]
    return [Way(path, route.via, route.dev)]
