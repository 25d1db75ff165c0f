# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules that somebody brings back from an older save are a document's by their marks, whatever its record says."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
from pathlib import Path
from typing import Any, Dict, List, Optional

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import engine, program, rehearsal
from ansible_collections.hostwire.linux.plugins.module_utils.errors import HostwireError, KernelRefused
from ansible_collections.hostwire.linux.tests.in_process import call
from ansible_collections.hostwire.linux.tests.kernel import world
from ansible_collections.hostwire.linux.tests.kernel.steps import NOTHING, Document

pytestmark = pytest.mark.usefixtures("private_host")

ROOM = {"name": "room", "forwarding": {"ipv4": True, "ipv6": True}}
PORTS = {
    4: {"port": 8080, "to": "10.5.0.2:80", "address": "any"},
    6: {"port": 8080, "to": "[fd05::2]:80", "address": "any"},
}


def plain(netns: Optional[str]) -> Document:
    """A switch on a router, and no word of what its packet filter is to do."""
    here: Dict[str, Any] = {"netns": netns} if netns else {}
    return {
        "name": "office",
        "namespaces": [ROOM] if netns else [],
        "bridges": [{"name": "sw0", "addresses": ["10.5.0.1/24", "fd05::1/64"], **here}],
        **({} if netns else {"forwarding": {"ipv4": True, "ipv6": True}}),
    }


def published(netns: Optional[str], families: List[int]) -> Document:
    here: Dict[str, Any] = {"netns": netns} if netns else {}
    return {**plain(netns), "published_ports": [{**PORTS[family], **here} for family in families]}


class Filter:
    """The packet filter of a place, saved and restored as a distribution's service does it."""

    def __init__(self, netns: Optional[str], backend: str) -> None:
        self._inside = ["ip", "netns", "exec", netns] if netns else []
        self._programs = [f"{base}-{backend}" for base in ("iptables", "ip6tables")]

    def save(self) -> List[str]:
        return [self._run(f"{name}-save") for name in self._programs]

    def restore(self, saved: List[str]) -> None:
        for name, text in zip(self._programs, saved):
            self._run(f"{name}-restore", text)

    @property
    def rules(self) -> List[str]:
        return [line for text in self.save() for line in text.splitlines() if "hostwire:office:" in line]

    def _run(self, name: str, text: str = "") -> str:
        done = subprocess.run([*self._inside, name], input=text, check=True, capture_output=True, text=True)
        return done.stdout


@pytest.mark.parametrize("families", [[4], [6], [4, 6]], ids=["IPv4", "IPv6", "both"])
@pytest.mark.parametrize("netns", [None, "room"])
def test_rules_that_come_back_go_with_the_next_run_that_has_none(
    backend: str, netns: Optional[str], families: List[int]
) -> None:
    rules = Filter(netns, backend)
    engine.run(published(netns, families))
    saved = rules.save()
    without = published(netns, [family for family in (4, 6) if family not in families])  # the other family's stay
    engine.run(without)
    kept, before = rules.rules, world.image()
    rules.restore(saved)
    expected = engine.run(without, check=True)
    assert any("firewall chains of office" in line or "8080" in line for line in expected.plan)
    assert engine.run(without).plan == expected.plan
    assert sorted(rules.rules) == sorted(kept)
    assert engine.run(without).plan == ()
    assert world.differences(before, world.image()) == []


@pytest.mark.parametrize("way", ["document", "documents", "module"])
def test_rules_that_come_back_when_all_is_gone_go_with_absent(backend: str, way: str) -> None:
    rules = Filter(None, backend)
    bare = world.image()
    engine.run(published(None, [4, 6]))
    saved = rules.save()
    gone = {"name": "office", "state": "absent"}
    engine.run(gone)
    for path in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
        assert Path(f"/proc/sys/net/{path}").read_text(encoding="ascii") == "0\n"
    rules.restore(saved)
    assert rules.rules
    runs = {
        "document": lambda: engine.run(gone).plan,
        "documents": lambda: rehearsal.run_all([gone])[0].plan,
        "module": lambda: call("topology", **gone)["plan"],
    }
    assert engine.run(gone, check=True).plan == ("host: firewall chains of office: remove",)
    assert list(runs[way]()) == ["host: firewall chains of office: remove"]
    assert rules.rules == []
    assert runs[way]() in ((), [])
    assert world.differences(bare, world.image()) == []


def test_rules_that_come_back_where_nothing_is_forwarded_dont_open_anything(backend: str) -> None:
    """The document's networks need no rules there, so the filter isn't read for them. What closes may stay."""
    rules = Filter(None, backend)
    bare = world.image()
    document = {"name": "office", "bridges": plain(None)["bridges"]}
    engine.run(published(None, [4, 6]))
    saved = rules.save()
    engine.run(document)
    rules.restore(saved)
    for check in (True, False):
        assert engine.run(document, check=check).plan == ("host: firewall chains of office: put right",)
    assert [line for line in rules.rules if "8080" in line or "ACCEPT" in line or "MASQUERADE" in line] == []
    assert engine.run(document).plan == ()
    engine.run({"name": "office", "state": "absent"})
    assert world.differences(bare, world.image()) == []


def test_rules_of_others_that_come_back_are_theirs(backend: str) -> None:
    other = Filter(None, backend)
    engine.run(published(None, [4, 6]))
    saved = other.save()
    engine.run({"name": "office", "state": "absent"})
    other.restore(saved)
    there = other.rules
    for name in ("offic", "office2", "ffice"):
        assert engine.run({**plain(None), "name": name}, dad_seconds=0).plan
        engine.run({"name": name, "state": "absent"})
    assert sorted(other.rules) == sorted(there)
    engine.run({"name": "office", "state": "absent"})
    engine.run(NOTHING)


def test_of_a_namespace_that_is_still_to_be_made_no_rules_are_looked_for() -> None:
    rooms = {"name": "rooms", "namespaces": [ROOM]}
    office = {"name": "office", "bridges": plain("room")["bridges"]}
    predicted = rehearsal.run_all([rooms, office], check=True)
    assert [result.plan for result in rehearsal.run_all([rooms, office])] == [result.plan for result in predicted]
    rehearsal.run_all([{"name": name, "state": "absent"} for name in ("office", "rooms")])


def places(monkeypatch: pytest.MonkeyPatch, number: int) -> Dict[str, int]:
    """From now on the n-th call about the packet filter fails, once; what is given back holds the n, at "left"."""
    count = {"left": -1}

    def fail() -> None:
        count["left"] -= 1
        if count["left"] == -1:
            raise OSError(number, os.strerror(number))

    class Socket(socket.socket):
        def __init__(self, *args: Any, **options: Any) -> None:
            if args[2:] == (12,):  # NETLINK_NETFILTER
                fail()
            super().__init__(*args, **options)

        def send(self, *args: Any) -> int:
            if self.proto == 12:
                fail()
            return super().send(*args)

        def recv(self, *args: Any) -> bytes:
            if self.proto == 12:
                fail()
            return super().recv(*args)

    started = program._started

    def start(command: Any, *args: Any) -> Any:
        try:
            if command[0].endswith("-save"):
                fail()
        except OSError as error:
            raise KernelRefused("a program: start", error.errno or 0) from error
        return started(command, *args)

    monkeypatch.setattr(socket, "socket", Socket)
    monkeypatch.setattr(program, "_started", start)
    return count


GONE: Document = {"name": "office", "state": "absent"}
QUIET: Document = {"name": "office", "namespaces": [{"name": "room"}]}  # nothing of it is for the packet filter


@pytest.mark.parametrize(("wanted", "number"), [(QUIET, errno.ENOBUFS), (GONE, errno.EMFILE)], ids=["stays", "goes"])
def test_a_fault_while_they_are_looked_for_is_not_their_absence(
    backend: str, wanted: Document, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it comes: the run fails, or it has seen them."""
    rules = Filter(None, backend)
    engine.run(published(None, [4, 6]))
    saved = rules.save()
    count = places(monkeypatch, number)
    failed = 0
    for place in range(0, 100, 3):
        engine.run(QUIET)
        rules.restore(saved)
        count["left"] = place
        try:
            engine.run(wanted)
        except HostwireError:
            failed += 1
        else:
            assert rules.rules == [], place
        reached, count["left"] = count["left"] < 0, -1
        if not reached:
            break
        engine.run(GONE)
        assert rules.rules == [], place
    assert failed > 2
    assert place < 99
