# SPDX-License-Identifier: GPL-3.0-or-later
"""Records cut off at every byte, lost, older, another document's, another host's or of another life of this one."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import engine
from ansible_collections.hostwire.linux.plugins.module_utils.errors import Conflict
from ansible_collections.hostwire.linux.tests.kernel import lan, private, world
from ansible_collections.hostwire.linux.tests.kernel.steps import JOURNAL, NOTHING, Document, apply, killed, steps_of
from ansible_collections.hostwire.linux.tests.sweeps import figures
from ansible_collections.hostwire.linux.tests.sweeps.stage import HOST, WHOLE, Stage, some
from ansible_collections.hostwire.linux.tests.sweeps.transitions import (
    BESIDE,
    FOLLOWING,
    GUESTS,
    ROUTER,
    UPLINK,
    Transition,
)

STATE = JOURNAL.parent / "main.state"
KEPT = JOURNAL.parent / f"{JOURNAL.name}.damaged"
DOCUMENTS = {"router": ROUTER, "uplink": UPLINK, "guests": GUESTS}
EACH = pytest.mark.parametrize("name", DOCUMENTS)
# What only the record knew: how settings were that a switch of forwarding takes along, or that a route leads home.
ONLY_REMEMBERED = ("/accept_redirects", "/ip_forward", "/forwarding", "/accept_ra", "/send_redirects")


class Damage:
    """The host of a document, on which its record is damaged again and again."""

    def __init__(self, stage: Stage, document: Document) -> None:
        self.stage = stage
        self.document = document
        self.bare = stage.image()
        self._goals: Dict[int, Any] = {}
        self._turn = 0
        self.texts = self._texts()

    def _texts(self) -> Tuple[str, str]:
        """The document's record, and the journal of a run that was killed when all was done."""
        last = len(steps_of(None, self.document)) - 1
        apply(self.document)
        state = STATE.read_text()
        apply(NOTHING)
        killed(self.document, last, "after")
        journal = JOURNAL.read_text()
        apply(NOTHING)
        assert world.differences(self.bare, self.stage.image()) == []
        return state, journal

    def next_run(self, words: str, kind: str, before: Any) -> None:
        """What the next run does now that the record is as it is; ``words`` are of the sentence that says so."""
        following = (self.document, FOLLOWING, NOTHING)[self._turn % 3]
        self._turn += 1
        told = engine.run(following, dad_seconds=0)
        assert any(words in line for line in told.warnings), (words, told.warnings)
        assert all(map(lan.reached, HOST)), words
        assert engine.run(following, dad_seconds=0).plan == (), words
        apply(NOTHING)
        assert all(map(lan.reached, HOST)), words
        KEPT.unlink(missing_ok=True)  # a damaged journal is a person's to look at, and to take away
        assert unexplained(before, self.stage.image()) == [], words
        figures.count(kind, "done")


def unexplained(before: Any, after: Any) -> List[str]:
    """What no lost memory explains."""
    return [line for line in world.differences(before, after) if not any(path in line for path in ONLY_REMEMBERED)]


@pytest.fixture(params=DOCUMENTS)
def damage(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Damage]:
    """A host with something of another document's and of somebody else's on it."""
    document = DOCUMENTS[request.param]
    with Stage(Transition(None, document, beside=BESIDE), monkeypatch, tmp_path) as stage:
        subprocess.run(["ip", "link", "add", "theirs", "type", "bridge"], check=True)
        subprocess.run(["ip", "address", "add", "10.99.0.1/24", "dev", "theirs"], check=True)
        subprocess.run(["ip", "route", "add", "203.0.113.0/24", "via", "192.168.1.3", "proto", "static"], check=True)
        apply(BESIDE)  # whose rules heed what there is
        yield Damage(stage, document)


def write(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o600)


@pytest.mark.parametrize("path", [STATE, JOURNAL], ids=["record", "journal"])
def test_a_file_cut_off_at_any_byte_is_said_and_nothing_of_others_touched(damage: Damage, path: Path) -> None:
    """Where it is cut off is told at each byte; what comes of it is seen at some."""
    text = damage.texts[path is JOURNAL]
    salt = damage.document["bridges"][0]["name"]
    apply(damage.document)
    there = STATE.read_text()
    for length in some(list(range(len(text))), 10, salt):
        write(STATE, there)
        write(path, text[:length])
        told = engine.run(damage.document, check=True, dad_seconds=0)
        assert (told.plan, [f"{path} is " in line for line in told.warnings]) == ((), [True]), length
        figures.count(f"{path.suffix[1:]} cut off, foretold", "not begun")
    write(STATE, there)
    JOURNAL.unlink(missing_ok=True)
    for length in some(list(range(0, len(text), 50)), 2, salt):
        apply(damage.document)
        STATE.unlink()
        write(path, text[:length])
        damage.next_run(f"{path} is ", f"{path.suffix[1:]} cut off", damage.bare)


def test_a_record_that_is_lost_or_anothers_is_said_and_nothing_of_others_touched(damage: Damage) -> None:
    apply(FOLLOWING)
    older = STATE.read_text()
    apply(NOTHING)
    others = (STATE.parent / "beside.state").read_text()
    for _turn in range(3 if WHOLE else 1):
        apply(damage.document)
        STATE.unlink()
        damage.next_run(f"{STATE} is missing", "record lost", damage.bare)
        apply(damage.document)
        write(STATE, others)
        damage.next_run(f"{STATE} is damaged", "another document's record", damage.bare)
        apply(damage.document)
        write(STATE, older)
        damage.next_run(f"{STATE} is older than what it tells of", "older record", damage.bare)


def test_where_all_records_are_lost_nothing_of_another_document_is_touched(damage: Damage) -> None:
    """The other one may be the first to be applied again, or wait until this one is gone."""
    for first in (True, False):
        for following in (damage.document, FOLLOWING, NOTHING):
            apply(damage.document)
            for path in STATE.parent.glob("*.state"):
                path.unlink()
            if first:
                assert engine.run(BESIDE, dad_seconds=0).plan == ()
            told = engine.run(following, dad_seconds=0)
            assert any(f"{STATE} is missing" in line for line in told.warnings), told.warnings
            assert all(map(lan.reached, HOST))
            assert engine.run(following, dad_seconds=0).plan == ()
            assert engine.run(BESIDE, dad_seconds=0).plan == ()
            apply(NOTHING)
            assert all(map(lan.reached, HOST))
            assert unexplained(damage.bare, damage.stage.image()) == []
            figures.count("all records lost", "done")


@contextlib.contextmanager
def elsewhere(document: Document) -> Iterator[str]:
    """The record of a document on another host."""
    with private.private_host():
        lan.build()
        apply(document)
        record = STATE.read_text()
    yield record


@pytest.mark.parametrize("boot", ["same", "another"])
@EACH
def test_another_hosts_record_makes_nothing_of_this_one_ours(
    name: str, boot: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    document = DOCUMENTS[name]
    with elsewhere(document) as record, Stage(Transition(None, {}), monkeypatch, tmp_path) as stage:
        found = json.loads(record)
        if boot == "another":
            found["boot"] = "00000000-0000-4000-8000-000000000000"
            del found["seal"]
        build_theirs(document)
        before = stage.image()
        for following in (document, FOLLOWING, NOTHING):
            write(STATE, json.dumps(found))
            with contextlib.suppress(Conflict):
                engine.run(following, dad_seconds=0)
                apply(NOTHING)
            assert world.differences({**before, "remembered": []}, {**stage.image(), "remembered": []}) == []
            assert all(map(lan.reached, HOST))
            figures.count("another host's record" if boot == "another" else "record of another life", "done")


def build_theirs(document: Document) -> None:
    """Somebody made by hand what the document is about: bridges, taps, namespaces, files, the work of the NIC."""
    for bridge in document["bridges"]:
        subprocess.run(["ip", "link", "add", bridge["name"], "type", "bridge"], check=True)
        for address in bridge.get("addresses", ()):
            subprocess.run(["ip", "address", "add", address, "dev", bridge["name"]], check=True)
    for tap in document["taps"]:
        subprocess.run(["ip", "tuntap", "add", tap["name"], "mode", "tap"], check=True)
        subprocess.run(["ip", "link", "set", tap["name"], "master", tap["bridge"]], check=True)
    for namespace in document.get("namespaces", ()):
        subprocess.run(["ip", "netns", "add", namespace["name"]], check=True)
        os.makedirs(f"/etc/netns/{namespace['name']}")
        Path(f"/etc/netns/{namespace['name']}/hosts").write_text("127.0.0.1 theirs\n")
    subprocess.run(["sysctl", "-qw", "net.ipv4.ip_forward=1"], check=True)
