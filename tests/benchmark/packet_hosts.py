# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts that packets are sent through: all of them stand at the same time, and are asked in turns."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from functools import partial
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Sequence

import packet_docker
import packet_networks as networks
import packet_probe as probe
import peers
from measure import run
from private_host import Started, await_cleanup, end, start, undisturbed

_LEGACY = "to legacy"
FAMILIES = ("iptables", "ip6tables")
Stage = Callable[[str, str], None]  # with a folder for its input, and the backend


class Layout(NamedTuple):
    """A kind of host. ``ends``: the networks with guests; ``ours``: whether its rules are the engine's.

    Where it is made in two stages, there are half as many networks after the first.
    """

    name: str
    label: str
    stages: Sequence[Stage]
    ends: Sequence[int] = (0,)
    ours: bool = False


def by_engine(wanted: List[networks.Document], folder: str, backend: str) -> None:
    run(peers.engine_on(folder, wanted))


def by_hand(count: int, rules: str, folder: str, backend: str) -> None:
    """Without the engine; ``rules`` are for iptables-restore, or none."""
    _ip(folder, networks.bare(count))
    for number in networks.ends(count):
        _ip(folder, networks.bare_inside(number), networks.namespace(number))
    subprocess.run(["sysctl", "-qw", "net.ipv4.ip_forward=1"], check=True)
    if rules:
        subprocess.run([f"iptables-{backend}-restore", "-w"], input=rules, text=True, check=True)


PLAIN = Layout("plain", "forwarding without a filter", [partial(by_hand, 1, "")])
MASQUERADE = Layout("masquerade", "one MASQUERADE rule alone", [partial(by_hand, 1, packet_docker.masquerade_alone())])
ONE = Layout("one", "**the engine**: one network", [partial(by_engine, networks.one_document(1, 0))], ours=True)


def docker(count: int) -> Layout:
    build = partial(by_hand, count, packet_docker.rules(count))
    return Layout("docker", f"Docker's layout of rules: {count} networks", [build], networks.ends(count))


def one_document(count: int) -> Layout:
    made = [networks.one_document(some, count - 1) for some in (count // 2, count)]
    return _ours("document", f"{count} networks in one document", made, count)


def documents(count: int) -> Layout:
    made = networks.documents(count, count - 1)
    halves = made[: count // 2], made[count // 2 :]
    return _ours("documents", f"{count} documents of one network", halves, count)


def mixed(count: int) -> Layout:
    made = [networks.mixed(some, count - 1) for some in (count // 2, count)]
    return _ours("mixed", f"{count} networks of all modes, by the role", made, count)


def published(count: int) -> Layout:
    return _ours("ports", f"{count:,} published ports", [networks.published(count)], 1)


def _ours(name: str, label: str, stages: Sequence[List[networks.Document]], count: int) -> Layout:
    made = [partial(by_engine, stage) for stage in stages]
    return Layout(name, f"**the engine**: {label}", made, networks.ends(count), ours=True)


class StandingHost:
    """A host of its own process, which does what it is asked until it is told to go.

    ``rules``: how many there are after each stage.
    """

    def __init__(self, layout: Layout, backend: str) -> None:
        self.layout = layout
        self._ours, theirs = Pipe()
        self._host: Started = start(partial(_live, layout, backend, theirs))
        theirs.close()
        self.rules: List[int] = self._answer()

    def packets(self, end: int) -> float:
        """Packets a second from the guest in the network ``end``."""
        return self._from_guest("packets", end, networks.LAN_ADDRESS)

    def first_packets(self, end: int) -> float:
        return self._from_guest("first_packets", end, networks.LAN_ADDRESS)

    def connections(self, end: int) -> float:
        there = (networks.LAN_ADDRESS, 0)
        return self._from_guest("connections", end, there, there)

    def stream(self, end: int) -> float:
        return self._from_guest("stream", end, networks.LAN_ADDRESS)

    def port(self, number: int) -> float:
        """Seconds of a connection from the LAN to that published port."""
        listen = (networks.guest(0), networks.FIRST_TARGET + number)
        port = (networks.HOST_ADDRESS, networks.FIRST_PORT + number)
        return float(self._ask("connections", networks.LAN, networks.namespace(0), listen, port))

    def to_legacy(self) -> None:
        """Take the rules of both families over from iptables-nft to iptables-legacy, word for word."""
        self._ask(_LEGACY)

    def close(self) -> None:
        self._ours.send(None)
        end(self._host)
        self._ours.close()

    def _from_guest(self, kind: str, end: int, *more: Any) -> float:
        return float(self._ask(kind, networks.namespace(end), networks.LAN, *more))

    def _ask(self, *question: Any) -> Any:
        self._ours.send(question)
        return self._answer()

    def _answer(self) -> Any:
        try:
            return self._ours.recv()
        except EOFError as gone:
            raise RuntimeError(f"the host with {self.layout.label} failed, see above") from gone


@contextlib.contextmanager
def standing(layouts: Sequence[Layout], backend: str) -> Iterator[Dict[str, StandingHost]]:
    """All of them, by name."""
    with contextlib.ExitStack() as stack:
        hosts = {}
        for layout in layouts:
            hosts[layout.name] = StandingHost(layout, backend)
            stack.callback(hosts[layout.name].close)
        yield hosts
    await_cleanup()


def _live(layout: Layout, backend: str, questions: Connection) -> None:
    """In the host's own process."""
    with tempfile.TemporaryDirectory(dir="/run") as folder:
        _ip(folder, networks.wire())
        _ip(folder, networks.wire_in_lan(), networks.LAN)
        before = _choose(backend) if layout.ours else 0
        rules = []
        for stage in layout.stages:
            stage(folder, backend)
            rules.append(_count(backend) - before)
        questions.send(rules)
        while True:
            asked = questions.recv()
            if asked is None:
                return
            if asked[0] == _LEGACY:
                _to_legacy()
                questions.send(None)
                continue
            with undisturbed():
                answer = getattr(probe, asked[0])(*asked[1:])
            questions.send(answer)


def _choose(backend: str) -> int:
    """Make the host one that uses this backend already, by a rule of each family; return how many that are."""
    for program in FAMILIES:
        subprocess.run([f"{program}-{backend}", "-w", "-A", "INPUT", "-i", "lo", "-j", "ACCEPT"], check=True)
    return len(FAMILIES)


def _count(backend: str) -> int:
    saved = [_save(program, backend) for program in FAMILIES]
    return sum(line.startswith("-A ") for text in saved for line in text.splitlines())


def _save(program: str, backend: str) -> str:
    command = [f"{program}-{backend}-save"]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout


def _to_legacy() -> None:
    before = _count("nft")
    for program in FAMILIES:
        subprocess.run([f"{program}-legacy-restore", "-w"], input=_save(program, "nft"), text=True, check=True)
    subprocess.run(["nft", "flush", "ruleset"], check=True)
    if _count("legacy") != before:
        raise RuntimeError("not all rules were taken over")


def _ip(folder: str, commands: List[str], netns: str = "") -> None:
    place = ["-n", netns] if netns else []
    subprocess.run(["ip", *place, "-batch", peers.write(folder, "ip.batch", peers.newlines(commands))], check=True)
