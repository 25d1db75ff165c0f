# SPDX-License-Identifier: GPL-3.0-or-later
"""The passes over a set-up: every way once, answers and what follows them, and attacks in two steps."""

from __future__ import annotations

from typing import Dict, Iterator, List, NamedTuple, Sequence, Tuple

from ansible_collections.hostwire.linux.tests.attack.frames import ACK, SYN, Packet
from ansible_collections.hostwire.linux.tests.attack.kinds import kind_of
from ansible_collections.hostwire.linux.tests.attack.networks import FIRST, LEG, NAT, SECOND
from ansible_collections.hostwire.linux.tests.attack.networks import HOST as HOST_ADDRESS
from ansible_collections.hostwire.linux.tests.attack.oracle import NO, YES, may_arrive, seen_source, true_source
from ansible_collections.hostwire.linux.tests.attack.sensing import HOST, Arrival, Sensors
from ansible_collections.hostwire.linux.tests.attack.ways import UNPUBLISHED, Scene, Target, Way, ways

FIRST_PORT, PORTS = 1024, 64000


class Finding(NamedTuple):
    """Something that is not as promised: what kind of thing, and the way with which it was seen."""

    kind: str
    way: str


class Outcome(NamedTuple):
    """What came of a pass. ``arrived``: kinds of what must not arrive and did, with how often."""

    tried: int
    wanted: int
    unwanted: Tuple[Finding, ...]
    missing: Tuple[Finding, ...]


class Tried(NamedTuple):
    """A way with the packet that went it, and what was seen of it."""

    way: Way
    packet: Packet
    arrivals: Tuple[Arrival, ...]


class Passes:
    """All of them over one scene, with packets that are numbered through."""

    def __init__(self, it: Scene, sensors: Sensors) -> None:
        self.scene = it
        self._sensors = sensors
        self._number = 0

    def all_ways(self) -> Tuple[Outcome, List[Tried]]:
        """Each way once."""
        tried = self.go([(way, self._packet(way)) for way in ways(self.scene)])
        unwanted: List[Finding] = []
        missing: List[Finding] = []
        wanted = 0
        for each in tried:
            way = each.way
            seen = {arrival.place for arrival in each.arrivals}
            unwanted += [
                Finding(kind_of(self.scene, way, at), f"{way} arrived at {at}")
                for at in sorted(seen)
                if may_arrive(self.scene, way, at) == NO
            ]
            for arrival in each.arrivals:
                whom = seen_source(self.scene, way, arrival.place)
                if whom is not None and arrival.packet.source != whom and true_source(self.scene, way):
                    where = f"{arrival.place} sees {arrival.packet.source}"
                    unwanted.append(Finding("a source that is not translated as it should be", f"{way}: {where}"))
            if may_arrive(self.scene, way, way.target.place) == YES:
                wanted += 1
                if way.target.place not in seen:
                    missing.append(Finding(f"closed: {kind_of(self.scene, way, way.target.place)}", str(way)))
        return Outcome(len(tried), wanted, tuple(unwanted), tuple(missing)), tried

    def answers(self, tried: Sequence[Tried]) -> Outcome:
        """What was let through is answered, and goes on: both have to arrive, from whom they were sent to."""
        flows = [each for each in tried if self._is_answered(each)]
        back: List[Tuple[str, Packet, bytes]] = []
        forth: List[Tuple[str, Packet, bytes]] = []
        for each in flows:
            at = each.way.target.place
            seen = next(arrival.packet for arrival in each.arrivals if arrival.place == at)
            to = each.way.target.address if seen.to == "::" else seen.to
            answer = Packet(to, seen.source, seen.port, seen.source_port, seen.protocol, self._next(), SYN | ACK)
            answer = answer._replace(acknowledged=each.packet.next_sequence)
            back.append(
                (self._answers_by(at, answer), answer, self._mac(each.way.sender) if each.way.target.near else b"")
            )
            more = each.packet._replace(
                number=self._next(),
                flags=ACK,
                sequence=each.packet.next_sequence,
                acknowledged=answer.next_sequence,
            )
            forth.append((each.way.sender, more, self._mac(at) if each.way.target.near else b""))
        self._sensors.go(back)
        self._sensors.go(forth)
        missing = []
        for each, (dummy, answer, dummy), (dummy, more, dummy) in zip(flows, back, forth):
            kind = kind_of(self.scene, each.way, each.way.target.place)
            home = [one.packet for one in self._arrivals(answer) if one.place == each.way.sender]
            if not home or (home[0].source, home[0].source_port) != (each.packet.to, each.packet.port):
                missing.append(Finding(f"no answer: {kind}", f"the answer to {each.way}"))
            if each.way.target.place not in {one.place for one in self._arrivals(more)}:
                missing.append(Finding(f"doesn't go on: {kind}", f"after the answer, {each.way}"))
        return Outcome(2 * len(flows), 2 * len(flows), (), tuple(missing))

    def two_steps(self) -> Outcome:
        """A forged packet makes the host believe in a flow; then its other end sends to a port nobody published."""
        first: List[Tuple[str, Packet, bytes]] = []
        second: List[Tuple[Way, Packet]] = []
        for number, (victim, forger, partner, family, flags) in enumerate(self._plots()):
            place, other = self.scene.places[victim], self.scene.places[partner]
            address, theirs = place.addresses[family], other.addresses[family]
            port, their_port = FIRST_PORT + number % PORTS, FIRST_PORT + (number * 7) % PORTS
            protocol = "tcp" if flags else "udp"
            forged = Packet(address, theirs, port, their_port, protocol, self._next(), flags)
            first.append((forger, forged, b""))
            for to in (address, HOST_ADDRESS[family]):
                target = Target(to, UNPUBLISHED, victim)
                way = Way(partner, theirs, target, f"{protocol} after {forger} forged")
                reply = Packet(theirs, to, their_port, port, protocol, self._next(), flags | ACK)
                second.append((way, reply._replace(acknowledged=forged.next_sequence)))
        self._sensors.go(first)
        self._sensors.go([(way.sender, packet, b"") for way, packet in second])
        unwanted = []
        for way, packet in second:
            for arrival in self._arrivals(packet):
                if arrival.place == way.target.place and may_arrive(self.scene, way, arrival.place) == NO:
                    kind = kind_of(self.scene, way, arrival.place)
                    unwanted.append(Finding(f"in two steps: {kind}", f"{way}, answer arrived"))
        return Outcome(len(second), 0, tuple(unwanted), ())

    def go(self, packets: Sequence[Tuple[Way, Packet]]) -> List[Tried]:
        """Send each way's packet, and say what was seen of it."""
        self._sensors.go(
            [(way.sender, packet, self._mac(way.target.place) if way.target.near else b"") for way, packet in packets]
        )
        return [Tried(way, packet, tuple(self._arrivals(packet))) for way, packet in packets]

    def blind(self, place: str) -> None:
        """Make a sensor see nothing any more."""
        self._sensors.blind(place)
        self._sensors.patience = 0.5

    def _plots(self) -> Iterator[Tuple[str, str, str, int, int]]:
        """Victim, forger, partner, family, TCP's flags or 0."""
        places = self.scene.places
        for victim, place in places.items():
            if place.network is None or place.kind == NAT:
                continue
            for forger, theirs in places.items():
                if theirs.network == place.network:  # who forges a neighbour's address is not promised
                    continue
                for partner, other in places.items():
                    if other.network == place.network:
                        continue
                    for family in (4, 6):
                        if family in other.addresses:
                            for flags in (0, SYN, ACK):
                                yield victim, forger, partner, family, flags

    def _is_answered(self, each: Tried) -> bool:
        at = each.way.target.place
        if not true_source(self.scene, each.way) or may_arrive(self.scene, each.way, at) != YES:
            return False
        if at == HOST and each.way.protocol == "tcp":  # which it has refused already
            return False
        return any(arrival.place == at for arrival in each.arrivals)

    def _answers_by(self, at: str, answer: Packet) -> str:
        """The place from which an answer leaves: a guest in two networks has its default route in the first."""
        if at == LEG and not SECOND.holds(answer.to):
            return FIRST.guests[0]
        return at

    def _packet(self, way: Way) -> Packet:
        number = self._next()
        return Packet(
            way.source, way.target.address, FIRST_PORT + number % PORTS, way.target.number, way.protocol, number
        )

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _arrivals(self, packet: Packet) -> List[Arrival]:
        return self._sensors.arrivals.get(packet.number, [])

    def _mac(self, place: str) -> bytes:
        return self.scene.places[place].mac


def together(outcomes: Sequence[Outcome]) -> Outcome:
    return Outcome(
        sum(each.tried for each in outcomes),
        sum(each.wanted for each in outcomes),
        tuple(finding for each in outcomes for finding in each.unwanted),
        tuple(finding for each in outcomes for finding in each.missing),
    )


def in_words(findings: Sequence[Finding]) -> List[str]:
    """A line a kind, with how often it was seen and one way with which it is seen again."""
    by_kind: Dict[str, List[str]] = {}
    for finding in findings:
        by_kind.setdefault(finding.kind, []).append(finding.way)
    return [f"{len(found)} x {kind}: e.g. {found[0]}" for kind, found in sorted(by_kind.items())]
