# SPDX-License-Identifier: GPL-3.0-or-later
"""A record of any shape is read without a traceback: it is used, or a sentence says what is wrong with which file."""

from __future__ import annotations

import copy
import errno
import json
import os
import re
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple, Union

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import whereabouts
from ansible_collections.hostwire.linux.plugins.module_utils.apply.disk import Store
from ansible_collections.hostwire.linux.plugins.module_utils.document import read
from ansible_collections.hostwire.linux.plugins.module_utils.errors import KernelRefused
from ansible_collections.hostwire.linux.plugins.module_utils.model import Life
from ansible_collections.hostwire.linux.plugins.module_utils.plan.actions import (
    BridgeAdd,
    LinkDelete,
    Step,
    VethAdd,
    decode,
)
from ansible_collections.hostwire.linux.plugins.module_utils.plan.owned import UPLINK, Change, Owned, nothing, to_plain
from ansible_collections.hostwire.linux.plugins.module_utils.uplink_record import ROUTE, Note, notes_of
from ansible_collections.hostwire.linux.plugins.module_utils.uplink_record import written as as_text

DOCUMENT: Dict[str, Any] = {
    "name": "main",
    "namespaces": [{"name": "red", "hosts": {"db": "10.0.0.9"}}],
    "bridges": [{"name": "sw0", "addresses": ["10.5.0.1/24"], "uplink": "eth0"}],
    "veths": [{"name": "v-red", "bridge": "sw0", "peer": {"name": "e0", "netns": "red"}}],
    "forwarding": {"ipv4": True},
    "sysctls": {"net.ipv4.conf.all.log_martians": "1"},
    "published_ports": [{"protocol": "tcp", "port": 80, "to": "10.5.0.2:80"}],
    "probes": [{"from": "red", "to": "10.5.0.1"}],
}
STEPS = (
    Step(40, BridgeAdd(None, "sw0", None, stp=False, vlan_filtering=False), (LinkDelete(None, "sw0"),), 0),
    Step(40, VethAdd(None, "v-red", None, 1400, "sw0", "red", "e0", None, None), (), 1),
)
NOTE = Note(ROUTE, "0.0.0.0/0", "sw0", 7, (2, 0, 0, 0), "0a", 254, 100, 16, "192.168.1.1", others=(3,))


def owned() -> Owned:
    it = nothing("main")
    it.namespaces["red"] = 4026532000
    it.links.update({(None, "sw0"): 7, (None, "v-red"): 0, ("red", "e0"): 2})
    it.addresses[None, "eth1", "192.168.1.9/24"] = None
    it.routes["red", "0.0.0.0/0", 254, 0] = None
    it.settings.update({(None, "eth0", UPLINK): Change("none", "sw0"), (None, "eth1", "mtu"): Change("1500", "1400")})
    it.sysctls[None, "net/ipv4/ip_forward"] = Change("0", "1", "0")
    it.files["/etc/netns/red/hosts"] = None
    it.firewall.update({None: (4, 6), "red": (4,)})
    it.carried[None, "eth0"] = ("hostwire:main:sw0", as_text(NOTE))
    it.containers["container:web"] = Life(4711, "2026-01-01T00:00:00Z", 4026532111)
    return it


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A state directory with a state and a journal in it."""
    store = Store(str(tmp_path))
    store.settle("main", DOCUMENT, owned())
    store.journal("main", DOCUMENT, owned(), STEPS)
    return tmp_path


def test_what_was_written_is_read(written: Path) -> None:
    store = Store(str(written))
    memory = store.load("main")
    again = owned()  # the journal was to touch these settings once more
    for part in (again.settings, again.sysctls):
        for key, change in part.items():
            part[key] = change._replace(perhaps=change.perhaps or change.after)
    assert (memory.owned, memory.document, memory.interrupted, memory.certain) == (again, DOCUMENT, True, True)
    steps = json.loads((written / "main.journal").read_text())["steps"]
    assert [(decode(done), [decode(one) for one in undone]) for done, undone in steps] == [
        (step.action, list(step.inverse)) for step in STEPS
    ]
    assert store.doubts() == []


@pytest.mark.parametrize("file", ["main.state", "main.journal"])
def test_cut_off_after_any_byte_it_is_damaged(written: Path, file: str) -> None:
    path = written / file
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        store = Store(str(written))
        memory = store.load("main")
        assert (memory.certain, memory.interrupted) == (False, True)
        assert [line.startswith(f"{path} is ") for line in store.doubts()] == [True]


@pytest.mark.parametrize("file", ["main.state", "main.journal"])
def test_with_any_byte_changed_it_is_damaged_or_of_the_right_shape(written: Path, file: str) -> None:
    path = written / file
    whole = path.read_bytes()
    for position in range(0, len(whole), 3):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        use(written)


OTHERS: Tuple[Any, ...] = (
    None,
    True,
    -1,
    2**70,
    1.5,
    "",
    "x",
    "a\0b",
    "../../x",
    "\udcff",
    [],
    [1],
    [[]],
    {},
    {"x": 1},
)
Place = List[Union[str, int]]


@pytest.mark.parametrize("file", ["main.state", "main.journal"])
@pytest.mark.parametrize("other", OTHERS, ids=map(repr, OTHERS))
def test_with_any_value_of_another_kind_it_is_damaged_or_of_the_right_shape(
    written: Path, file: str, other: Any
) -> None:
    path = written / file
    whole = json.loads(path.read_text())
    for place in places(whole):
        path.write_text(json.dumps(exchanged(whole, place, other)))
        use(written)


@pytest.mark.parametrize("file", ["main.state", "main.journal"])
def test_with_any_value_missing_it_is_damaged_or_of_the_right_shape(written: Path, file: str) -> None:
    path = written / file
    whole = json.loads(path.read_text())
    for place in places(whole):
        if place:
            less = copy.deepcopy(whole)
            holder = less
            for key in place[:-1]:
                holder = holder[key]
            del holder[place[-1]]
            path.write_text(json.dumps(less))
            use(written)


def places(value: Any, above: Tuple[Union[str, int], ...] = ()) -> Iterator[Tuple[Union[str, int], ...]]:
    yield above
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield from places(one, (*above, key))


def exchanged(whole: Any, place: Tuple[Union[str, int], ...], other: Any) -> Any:
    if not place:
        return other
    less = copy.deepcopy(whole)
    holder = less
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = other
    return less


def use(directory: Path) -> None:
    """Read it, and do with it all that is done with records that are good."""
    store = Store(str(directory))
    memory = store.load("main")
    assert all("main." in line for line in store.doubts())
    json.dumps(to_plain(memory.owned))
    assert memory.owned.name == "main"
    assert memory.document is None or memory.document.get("name") in (None, "main")
    read(memory.document or {})
    for part in memory.owned.keyed:
        assert all(key[0] is None or isinstance(key[0], str) for key in part)
    assert all(isinstance(number, int) for number in (*memory.owned.links.values(), *memory.owned.namespaces.values()))
    assert all(path.startswith("/etc/netns/") and ".." not in path for path in memory.owned.files)
    assert all(path.startswith("net/") and ".." not in path for _netns, path in memory.owned.sysctls)
    for record in memory.owned.carried.values():
        assert isinstance(record[0], str)
        for note in notes_of(record):
            assert type(note.name) is type(note.body) is str
            assert all(isinstance(number, int) for number in (note.table, note.metric, *note.header, *note.others))
    for (_netns, _link, field), change in memory.owned.settings.items():
        assert field != "mtu" or (change.before + change.after).isdigit()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        (" \n", "is empty"),
        ("hello", "is damaged (not JSON)"),
        ("\udcff\udcfe", "is damaged (not JSON)"),
        ("[" * 100000, "is damaged (not JSON)"),
        ("null", "is damaged (no object but null)"),
        ("[1]", "is damaged (no object but [1])"),
        ("{}", "is damaged (it has no version number)"),
        ('{"version": "1"}', "is damaged (it has no version number)"),
        ('{"version": 1}', "is damaged ('boot' is missing)"),
        ('{"version": 1, "boot": 3, "document": {}, "owned": {}}', "is damaged ('name' is missing)"),
        ('{"version": 99}', "was written by another version of the collection (version 99, not 1)"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, reason: str) -> None:
    tmp_path.chmod(0o700)
    path = tmp_path / "main.state"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    path.chmod(0o600)
    store = Store(str(tmp_path))
    assert store.load("main").owned == nothing("main")
    (said,) = store.doubts()
    assert said.startswith(f"{path} {reason}: ")
    assert "move the file away" in said


def test_the_record_of_another_document_isnt_this_ones(written: Path) -> None:
    (written / "other.state").write_bytes((written / "main.state").read_bytes())
    store = Store(str(written))
    assert store.load("other").owned == nothing("other")
    assert "other.state is damaged (it is another document's)" in store.doubts()[0]


def test_an_action_that_nobody_knows_is_said(written: Path) -> None:
    path = written / "main.journal"
    path.write_text(path.read_text().replace('"BridgeAdd"', '"BridgeFly"'))
    store = Store(str(written))
    assert store.load("main").interrupted
    assert "main.journal is damaged (nobody knows the action 'BridgeFly')" in store.doubts()[0]


def test_files_that_no_document_can_have_are_none_of_ours(written: Path) -> None:
    for name in ("x y.state", ".state", "main.state.damaged", "é.journal", "a" * 40 + ".state", "names.names"):
        (written / name).write_text("hello")
    assert Store(str(written)).names() == ["main"]


def test_what_is_damaged_is_kept_when_it_is_written_anew(written: Path) -> None:
    (written / "main.state").write_text("damaged")
    store = Store(str(written))
    store.load("main")
    store.settle("main", DOCUMENT, owned())
    store.settle("main", DOCUMENT, owned())  # the good one isn't put aside
    assert (written / "main.state.damaged").read_text() == "damaged"
    assert store.load("main").certain
    assert len(store.doubts()) == 1  # this run still says so


@pytest.mark.parametrize("whole", [True, False], ids=["undone", "left"])
@pytest.mark.parametrize("journal", ["damaged", None, "good"])
@pytest.mark.parametrize("state", ["damaged", None, "good"])
def test_after_a_run_that_failed_the_files_are_as_they_were(
    written: Path, state: Optional[str], journal: Optional[str], whole: bool
) -> None:
    for file, kind in (("main.state", state), ("main.journal", journal)):
        if kind is None:
            (written / file).unlink()
        elif kind == "damaged":
            (written / file).write_bytes(b"damaged \xff")
    before = contents(written)
    for settled in (DOCUMENT, None, False):
        store = Store(str(written))
        memory = store.load("main")
        store.journal("main", DOCUMENT, owned(), STEPS[:1])
        during = contents(written)["main.journal"]
        if settled is not False:
            store.settle("main", settled, owned())
            store.journal("main", DOCUMENT, owned(), STEPS[:1])
        assert store.put_back("main", memory, whole) == ()
        after = contents(written)
        if not whole:
            assert after.pop("main.journal") == during
            after.pop("main.journal.damaged", None)
            after.update({file: content for file, content in before.items() if file == "main.journal"})
        assert after == before
        assert len(store.doubts()) == [state, journal].count("damaged")
        put(written, before)


HOST_SETTING = (None, "net/ipv4/conf/all/arp_ignore")


@pytest.mark.parametrize("journal", [False, True], ids=["", "killed"])
@pytest.mark.parametrize("known", [None, Change("1", "2", "3")], ids=["new", "its-own-too"])
def test_an_heir_knows_what_was_before_and_its_own_journal_stays(
    written: Path, journal: bool, known: Optional[Change]
) -> None:
    its = owned()
    if known is not None:
        its.sysctls[HOST_SETTING] = known
    store = Store(str(written))
    store.settle("main", DOCUMENT, its)
    if journal:
        store.journal("main", DOCUMENT, its, STEPS)
    before = contents(written)
    assert store.bequeath("main", {HOST_SETTING: Change("0", "1")})
    after = contents(written)
    assert {file for file in after if after[file] != before.get(file)} == {"main.state"}
    memory = Store(str(written)).load("main")
    change = memory.owned.sysctls[HOST_SETTING]
    assert change[:2] == ("0", known.after if known is not None else "1")
    assert (memory.certain, memory.interrupted, memory.document) == (True, journal, DOCUMENT)
    assert store.put_back("other", Store(str(written)).load("other"), whole=True) == ()
    assert contents(written) == before
    store.bequeath("main", {HOST_SETTING: Change("0", "1")})
    store.begin()
    store.put_back("other", Store(str(written)).load("other"), whole=True)
    assert contents(written) == after


@pytest.mark.parametrize("file", ["gone", "damaged", "another version's", "of another life"])
def test_who_has_no_state_of_this_life_inherits_nothing(written: Path, file: str) -> None:
    path = written / "main.state"
    found = json.loads(path.read_text())
    if file == "gone":
        path.unlink()
    else:
        text = {
            "damaged": "{",
            "another version's": json.dumps({**found, "version": 99}),
            "of another life": json.dumps({**found, "boot": "another"}),
        }[file]
        path.write_text(text)
    before = contents(written)
    assert not Store(str(written)).bequeath("main", {HOST_SETTING: Change("0", "1")})
    assert contents(written) == before


def contents(directory: Path) -> Dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def put(directory: Path, files: Dict[str, bytes]) -> None:
    for path in directory.iterdir():
        path.unlink()
    for name, content in files.items():
        (directory / name).write_bytes(content)
        (directory / name).chmod(0o600)


def test_a_journal_that_cant_be_removed_is_named_in_words(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unlink(path: str, **_options: Any) -> None:
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), path)

    store = Store(str(written))
    memory = store.load("main")
    monkeypatch.setattr(os, "unlink", unlink)
    words = f"file {written}/main.journal: remove: the kernel refused: Device or resource busy (EBUSY)"
    with pytest.raises(KernelRefused, match=re.escape(words)):
        store.drop_journal("main")
    assert store.put_back("main", memory._replace(texts=(memory.texts[0], None)), whole=True) == (
        f"what is remembered of it: {words}",
    )


def test_a_record_that_a_person_has_edited_is_read(written: Path) -> None:
    (written / "main.journal").unlink()
    path = written / "main.state"
    path.write_text(path.read_text().replace("4026532000", "4026532001"))
    assert Store(str(written)).load("main").owned.namespaces == {"red": 4026532001}


def test_in_another_life_only_files_are_owned(written: Path) -> None:
    for file in ("main.state", "main.journal"):
        path = written / file
        found = json.loads(path.read_text())
        for other in ({"boot": "another"}, {"network": "cookie 1234567890123"}):
            path.write_text(json.dumps({**found, **other}))
            memory = Store(str(written)).load("main")
            assert not memory.certain
            assert memory.former is not None
            assert memory.former.firewall[None] == (4, 6)
        path.write_text(json.dumps({**found, "boot": "another"}))
    assert memory.owned == nothing("main")._replace(files={"/etc/netns/red/hosts": None})
    assert memory.document == DOCUMENT


def test_a_record_that_doesnt_know_the_network_is_told_by_the_boot(written: Path) -> None:
    for file in ("main.state", "main.journal"):
        path = written / file
        found = json.loads(path.read_text())
        del found["network"], found["seal"]
        path.write_text(json.dumps(found))
    memory = Store(str(written)).load("main")
    assert memory.certain
    assert memory.owned.namespaces == {"red": 4026532000}


def test_without_cookies_a_network_is_told_by_inodes(monkeypatch: pytest.MonkeyPatch) -> None:
    here = whereabouts.here()
    assert here.network is not None
    assert here.network.startswith("cookie ")
    monkeypatch.setattr(whereabouts, "_SO_NETNS_COOKIE", 9999)  # as before Linux 5.14
    older = whereabouts.here()
    assert older.network is not None
    assert older.network.startswith("inodes ")
    assert older == whereabouts.here()
    assert not here.may_be(older)
    assert here.may_be(here._replace(network=None))
