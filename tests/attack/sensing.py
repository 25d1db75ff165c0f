# SPDX-License-Identifier: GPL-3.0-or-later
"""Sends thousands of packets, and sees which of them arrive where."""

from __future__ import annotations

import contextlib
import socket
import time
from typing import Callable, Dict, Iterator, List, NamedTuple, Sequence, Set, Tuple

from ansible_collections.hostwire.linux.tests.attack import frames
from ansible_collections.hostwire.linux.tests.attack.frames import Packet
from ansible_collections.hostwire.linux.tests.attack.places import (
    PATIENCE,
    Place,
    delivered_sockets,
    dropped,
    link_socket,
    sending_sockets,
)

HOST = "host"
AT_A_TIME = 200  # packets between two looks at the sensors
ROUNDS = 3  # of control packets, each on the heels of the one before: as many hops as a packet may have before it
FIRST_CONTROL = 0xF0000000  # their numbers are above


class Arrival(NamedTuple):
    """A packet as it looked where it was seen."""

    place: str
    packet: Packet


class Sensors:
    """A sensor in each place and on the host, and the sockets by which they send."""

    def __init__(self, places: Sequence[Place], stack: contextlib.ExitStack) -> None:
        self.places = {place.name: place for place in places}
        self._links: List[Tuple[str, socket.socket]] = []
        self._delivered: List[Tuple[str, int, int, socket.socket]] = []
        self._senders: Dict[str, socket.socket] = {}
        self._controls: List[Tuple[str, Callable[[int], None]]] = []
        self.arrivals: Dict[int, List[Arrival]] = {}
        self._control = FIRST_CONTROL
        self.patience = PATIENCE
        self._own = sending_sockets()
        for made in self._own.values():
            stack.enter_context(made)
        self._host_sensor(HOST, None, self._own, stack)
        for place in places:
            self._senders[place.name] = stack.enter_context(link_socket(place.netns, place.interface))
            if place.kind == "router":
                own = sending_sockets(place.netns)
                for made in own.values():
                    stack.enter_context(made)
                self._host_sensor(place.name, place.netns, own, stack)
                continue
            sensor = stack.enter_context(link_socket(place.netns))
            self._links.append((place.name, sensor))
            gateway = f"{place.network.name}-{place.name}" if place.network and place.link == "inside" else None
            other_end = stack.enter_context(link_socket(gateway, place.link))
            self._controls.append((place.name, self._along_the_link(place, other_end)))

    def _host_sensor(
        self, name: str, netns: object, own: Dict[int, socket.socket], stack: contextlib.ExitStack
    ) -> None:
        for family, protocol, made in delivered_sockets(netns if isinstance(netns, str) else None):
            self._delivered.append((name, family, protocol, stack.enter_context(made)))

        def control(number: int) -> None:
            packet = Packet("127.0.0.1", "127.0.0.1", 9, 9, "udp", number)
            own[4].sendto(frames.datagram(packet), ("127.0.0.1", 0))

        self._controls.append((name, control))

    def _along_the_link(self, place: Place, other_end: socket.socket) -> Callable[[int], None]:
        """A control packet that no filter sees, from the interface that the place hangs on."""

        def control(number: int) -> None:
            packet = Packet("192.0.2.1", "192.0.2.2", 9, 9, "udp", number)
            other_end.send(frames.frame(packet, place.gateway, place.mac))

        return control

    def send(self, sender: str, packet: Packet, to_mac: bytes = b"") -> None:
        """From a place to its gateway or another MAC; from the host by its own ways."""
        if sender == HOST:
            family = 6 if ":" in packet.to else 4
            where = (packet.to, 0, 0, 0) if family == 6 else (packet.to, 0)
            with contextlib.suppress(OSError):  # its filter or its routes say no
                self._own[family].sendto(frames.datagram(packet), where)
            return
        place = self.places[sender]
        self._senders[sender].send(frames.frame(packet, place.mac, to_mac or place.gateway))

    def go(self, packets: Sequence[Tuple[str, Packet, bytes]]) -> None:
        """Send them all, and see to the end what becomes of them."""
        for number, (sender, packet, to_mac) in enumerate(packets, 1):
            self.send(sender, packet, to_mac)
            if number % AT_A_TIME == 0:
                self.look()
        self.settle()

    def settle(self) -> None:
        """Wait until every sensor has seen the control packets that were sent last. Raises if one doesn't."""
        for _round in range(ROUNDS):
            waited: Set[Tuple[str, int]] = set()
            for name, control in self._controls:
                self._control += 1
                waited.add((name, self._control))
                control(self._control)
            deadline = time.monotonic() + self.patience
            while waited:
                self.look()
                waited = {
                    (name, number)
                    for name, number in waited
                    if not any(arrival.place == name for arrival in self.arrivals.get(number, ()))
                }
                if waited and time.monotonic() > deadline:
                    raise AssertionError(f"blind sensors: {sorted(name for name, _number in waited)}")
        lost = sum(dropped(sensor) for _name, sensor in self._links)
        if lost:
            raise AssertionError(f"{lost} packets that the sensors had no room for")

    def blind(self, place: str) -> None:
        """One of them sees nothing any more."""
        self._links = [(name, sensor) for name, sensor in self._links if name != place]

    def look(self) -> None:
        """Take in what the sensors have seen."""
        for name, sensor in self._links:
            for data, address in _received(sensor):
                # PACKET_HOST: to this machine; not what a switch floods
                if address[0] == self.places[name].interface and address[2] == 0:
                    packet = frames.parsed(data[14:])
                    if packet:
                        self._note(name, packet)
        for name, family, protocol, sensor in self._delivered:
            for data, address in _received(sensor):
                if family == 4:
                    packet = frames.parsed(data)
                else:
                    packet = frames.segment_parsed(protocol, data, address[0].partition("%")[0], "::")
                if packet:
                    self._note(name, packet)

    def _note(self, place: str, packet: Packet) -> None:
        self.arrivals.setdefault(packet.number, []).append(Arrival(place, packet))


def _received(sensor: socket.socket) -> Iterator[Tuple[bytes, Tuple[str, int, int]]]:
    while True:
        try:
            yield sensor.recvfrom(2048)
        except BlockingIOError:
            return
