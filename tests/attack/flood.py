# SPDX-License-Identifier: GPL-3.0-or-later
"""Packets that must not arrive, sent without a pause while a host changes, and a flow that has to go on meanwhile."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Set

from ansible_collections.hostwire.linux.tests.attack import frames
from ansible_collections.hostwire.linux.tests.attack.frames import Packet
from ansible_collections.hostwire.linux.tests.attack.places import PATIENCE, link_socket

OWN_MAC = bytes.fromhex("020000000e01")  # of every sender; a switch lets none pass that has none
TITLES = 1 << 20  # numbers of packets that a stream has


class Stream(NamedTuple):
    """Packets from a namespace's eth0 to another namespace, all alike, or each with a number of its own."""

    title: str
    sender: str
    mac: str
    packet: Packet
    at: str
    numbered: bool = False


class Flood(threading.Thread):
    """Sends every stream in turn, for as long as it runs.

    ``arrived``: how many did, by stream. ``step`` is what is being done meanwhile, and ``steps`` tells how many arrived
    then.
    """

    def __init__(self, streams: Sequence[Stream], stack: contextlib.ExitStack) -> None:
        super().__init__(daemon=True)
        rooms = {stream.sender for stream in streams} | {stream.at for stream in streams}
        self._sensors = {room: stack.enter_context(link_socket(room)) for room in sorted(rooms)}
        self._senders: Dict[str, socket.socket] = dict(self._sensors)
        self.streams = list(streams)
        self.arrived: Dict[str, int] = {stream.title: 0 for stream in streams}
        self.step = "at first"
        self.steps: Dict[str, Dict[str, int]] = {stream.title: {} for stream in streams}
        self.sent: Dict[str, int] = dict(self.arrived)
        self.seen: Dict[str, Set[int]] = {stream.title: set() for stream in streams}
        self._over = threading.Event()
        self._rounds = 0
        self._frames = [self._frame(number) for number in range(len(self.streams))]
        self.error: Optional[BaseException] = None

    def run(self) -> None:
        try:
            while not self._over.is_set():
                self._round()
            self._look()
        except BaseException as error:  # noqa: BLE001 - told by stop
            self.error = error

    def stop(self) -> None:
        """To the end of what is on its way. Raises what went wrong."""
        self._over.set()
        self.join()
        if self.error:
            raise self.error

    def await_rounds(self, number: int = 3) -> None:
        """Until every stream has sent so often from now on."""
        goal, deadline = self._rounds + number, time.monotonic() + PATIENCE
        while self._rounds < goal and self.is_alive():
            assert time.monotonic() < deadline, "the flood has dried up"
            time.sleep(0.001)

    def await_arrival(self, title: str) -> None:
        """Until one more of a stream's packets has arrived."""
        before, deadline = self.arrived[title], time.monotonic() + PATIENCE
        while self.arrived[title] == before and self.is_alive():
            assert time.monotonic() < deadline, f"nothing arrives: {title}"
            time.sleep(0.001)

    def _round(self) -> None:
        for number, stream in enumerate(self.streams):
            count = self.sent[stream.title]
            data = self._frame(number, count) if stream.numbered else self._frames[number]
            with contextlib.suppress(OSError):  # it has no eth0 now
                self._senders[stream.sender].sendto(data, ("eth0", 0))
                self.sent[stream.title] = count + 1
        self._look()
        self._rounds += 1

    def _frame(self, number: int, count: int = 0) -> bytes:
        stream = self.streams[number]
        packet = stream.packet._replace(number=number * TITLES + count % TITLES)
        return frames.frame(packet, OWN_MAC, bytes.fromhex(stream.mac.replace(":", "")))

    def _look(self) -> None:
        for room, sensor in self._sensors.items():
            for packet in _seen(sensor):
                stream = self.streams[packet.number // TITLES]
                if room == stream.at:
                    self.arrived[stream.title] += 1
                    steps = self.steps[stream.title]
                    steps[self.step] = steps.get(self.step, 0) + 1
                    self.seen[stream.title].add(packet.number % TITLES)


def _seen(sensor: socket.socket) -> Iterator[Packet]:
    while True:
        try:
            data, address = sensor.recvfrom(2048)
        except BlockingIOError:
            return
        except OSError:  # its interface went down just now
            continue
        packet = frames.parsed(data[14:]) if address[2] == 0 else None
        if packet:
            yield packet


@contextlib.contextmanager
def flooded(streams: Sequence[Stream]) -> Iterator[Flood]:
    """While the context lasts; afterwards the kernel has forgotten the thread, too, as setns(2) wants it."""
    before = _threads()
    with contextlib.ExitStack() as stack:
        flood = Flood(streams, stack)
        flood.start()
        try:
            flood.await_rounds()
            yield flood
        finally:
            flood.stop()
    while _threads() > before:
        time.sleep(0.001)


def unwanted(flood: Flood, wanted: Sequence[str]) -> List[str]:
    """What arrived, save for what was to."""
    return [
        f"{count} of {flood.sent[title]} x {title}: {flood.steps[title]}"
        for title, count in flood.arrived.items()
        if count and title not in wanted
    ]


def _threads() -> int:
    return len(os.listdir("/proc/self/task"))
