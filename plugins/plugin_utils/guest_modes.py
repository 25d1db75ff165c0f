# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modes of guest networks promise, and the probes that show whether it holds."""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Tuple

from .guest_network.documents import documents
from .guest_network.model import Network, Plugged, Setup
from .guest_network.names import document, router

CELLS = ("guest → host", "host → guest", "guest ↔ guest", "guest → LAN", "LAN → guest")
YES, NO, PORT = "yes", "no", "port only"  # the last: not directly, but through a published port

# What each mode promises, in the order of CELLS.
PROMISES: Dict[str, Tuple[str, ...]] = {
    "nat": (YES, PORT, NO, YES, PORT),
    "nat_network": (YES, PORT, YES, YES, PORT),
    "bridged": (YES, YES, YES, YES, YES),
    "internal": (NO, NO, YES, NO, NO),
    "host_only": (YES, YES, YES, NO, NO),
    "routed": (YES, YES, YES, YES, YES),
}

HOST, NEIGHBOUR = "host", "neighbour"  # where a probe starts: on the host of the networks, or on its LAN


class Surroundings(NamedTuple):
    """The host's own address and a neighbour's, on the LAN, and the TCP port that the guests serve; None: unknown.

    ``there``: the documents that were on the host before, by name, which the networks' documents were made from.
    """

    host: Optional[str] = None
    neighbour: Optional[str] = None
    port: Optional[int] = None
    there: Optional[Mapping[str, Any]] = None


class Trial(NamedTuple):
    """One probe of one cell: ``way`` is direct or port, ``place`` HOST or NEIGHBOUR, ``source`` a namespace there."""

    network: str
    mode: str
    cell: str
    promise: str
    way: str
    place: str
    source: Optional[str]
    to: str
    protocol: str
    port: Optional[int] = None

    @property
    def expect(self) -> str:
        """What the promise means for this probe."""
        return "reachable" if self.promise == YES or self.way == "port" else "unreachable"


def promises(network: Network) -> Dict[str, str]:
    """What a network promises, by cell."""
    found = dict(zip(CELLS, PROMISES[network.mode]))
    if not network.policy.get("to_host", True):
        found["guest → host"] = NO
    return found


def trials(setup: Setup, around: Surroundings) -> List[Trial]:
    """Probes for each cell of each network, from the first two guests in it that are namespaces with an address.

    A cell gets none where there aren't that many guests, or where it isn't known whom to ask.
    """
    composed = {entry["name"]: entry for entry in documents(setup, around.there)}
    found: List[Trial] = []
    for network in setup.networks:
        if network.present:
            members = [
                member
                for member in setup.plugged[network.name]
                if member.guest.kind == "namespace" and member.nic.address is not None
            ]
            found += _Network(network, members[:2], composed[document(network.name)], around).trials()
    return found


class _Network(NamedTuple):
    """One network with the guests to try, the document made of it, and what is around the host."""

    network: Network
    members: List[Plugged]
    document: Dict[str, Any]
    around: Surroundings

    def trials(self) -> List[Trial]:
        """All probes of this network."""
        if not self.members:
            return []
        return [*self._to_host(), *self._to_guest(), *self._among(), *self._out()]

    def _to_host(self) -> Iterator[Trial]:
        """The guest asks for the host at each address that is the host's: on this network, and on the LAN."""
        own = [address.split("/")[0] for bridge in self.document["bridges"] for address in bridge.get("addresses", ())]
        elsewhere = [self.around.host] if self.around.host and (self.network.its.leads_out or not own) else []
        for address in [*(text for text in own if ":" not in text), *elsewhere]:
            yield self._trial(CELLS[0], self._guest(0), address)

    def _to_guest(self) -> Iterator[Trial]:
        """The host and the neighbour ask for the guest, at its own address and through its published ports."""
        callers = [(CELLS[1], HOST)]
        if self.around.neighbour:
            callers.append((CELLS[4], NEIGHBOUR))
        for cell, place in callers:
            yield from self._call(cell, None, str(self.members[0].nic.address.ip), place)
            for port in self.members[0].nic.ports if self.around.host else ():
                if port.protocol == "tcp" and port.address == "any" and not port.sources:
                    through = self._trial(cell, None, str(self.around.host), place, "tcp", port.first)
                    yield through._replace(way="port")

    def _among(self) -> Iterator[Trial]:
        """Both guests ask for each other; where each sits behind a router, for the other's router."""
        if len(self.members) < 2:
            return
        for here, there in ((0, 1), (1, 0)):
            other = self.members[there]
            if self.network.mode != "nat":
                yield from self._call(CELLS[2], self._guest(here), str(other.nic.address.ip))
                continue
            for address in self._router_addresses(other.guest.name):
                yield self._trial(CELLS[2], self._guest(here), address)
                for port in other.nic.ports:
                    yield self._trial(CELLS[2], self._guest(here), address, HOST, port.protocol, port.first)

    def _out(self) -> Iterator[Trial]:
        if self.around.neighbour:
            yield self._trial(CELLS[3], self._guest(0), self.around.neighbour)

    def _guest(self, number: int) -> str:
        return self.members[number].guest.name

    def _router_addresses(self, guest: str) -> Iterator[str]:
        """Where the network's switch has the router of a guest, by IPv4."""
        room = router(self.network.name, guest)
        for veth in self.document["veths"]:
            if veth.get("bridge") == self.network.name and veth["peer"].get("netns") == room:
                yield from (text.split("/")[0] for text in veth["peer"]["addresses"] if ":" not in text)

    def _call(self, cell: str, source: Optional[str], address: str, place: str = HOST) -> Iterator[Trial]:
        """An echo request, and a connection to what the guest serves."""
        yield self._trial(cell, source, address, place)
        if self.around.port:
            yield self._trial(cell, source, address, place, "tcp", self.around.port)

    def _trial(
        self,
        cell: str,
        source: Optional[str],
        address: str,
        place: str = HOST,
        protocol: str = "icmp",
        port: Optional[int] = None,
    ) -> Trial:
        promise = promises(self.network)[cell]
        name, mode = self.network.name, self.network.mode
        return Trial(name, mode, cell, promise, "direct", place, source, address, protocol, port)


def shipped(found: List[Trial]) -> List[Dict[str, Any]]:
    """Trials as tasks take them: per place the probes, and in the same order what each is a trial of."""
    return [
        {
            "place": place,
            "probes": [_probe(trial) for trial in found if trial.place == place],
            "trials": [trial._asdict() for trial in found if trial.place == place],
        }
        for place in (HOST, NEIGHBOUR)
        if any(trial.place == place for trial in found)
    ]


def _probe(trial: Trial) -> Dict[str, Any]:
    probe: Dict[str, Any] = {"from": trial.source, "to": trial.to, "protocol": trial.protocol, "expect": trial.expect}
    return probe if trial.port is None else {**probe, "port": trial.port}
