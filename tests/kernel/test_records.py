# SPDX-License-Identifier: GPL-3.0-or-later
"""Records that are damaged, lost, older or newer: nothing of others is touched, and each is told."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import cli, engine
from ansible_collections.hostwire.linux.plugins.module_utils.apply.journals import DOING, Job, Journals
from ansible_collections.hostwire.linux.plugins.module_utils.errors import Conflict, HostwireError
from ansible_collections.hostwire.linux.plugins.module_utils.info import info
from ansible_collections.hostwire.linux.plugins.module_utils.rehearsal import run_all
from ansible_collections.hostwire.linux.tests.in_process import call
from ansible_collections.hostwire.linux.tests.kernel import world
from ansible_collections.hostwire.linux.tests.kernel.steps import Document, actions_of, killed

DIRECTORY = Path("/var/lib/hostwire")
FIRST: Document = {
    "namespaces": [{"name": "red", "hosts": {"db": "10.0.0.9"}}, {"name": "blue", "forwarding": {"ipv4": True}}],
    "bridges": [{"name": "sw0", "addresses": ["10.5.0.1/24"]}],
    "veths": [
        {"name": "v-red", "bridge": "sw0", "peer": {"name": "e0", "netns": "red", "addresses": ["10.5.0.2/24"]}},
        {"name": "v-blue", "bridge": "sw0", "peer": {"name": "e0", "netns": "blue", "addresses": ["10.5.0.3/24"]}},
    ],
    "taps": [{"name": "tap0", "bridge": "sw0", "mac": "02:00:00:00:00:09"}],
    "routes": [
        {"to": "203.0.113.0/24", "via": "10.5.0.9"},
        {"to": "203.0.114.0/24", "via": "192.168.1.3"},
        {"netns": "red", "to": "default", "via": "10.5.0.1"},
    ],
    "masquerade": [{"netns": "blue", "source": "10.9.0.0/24"}],
    "published_ports": [{"port": 8080, "to": "10.5.0.2:80", "address": "any"}],
    "forwarding": {"ipv4": True},
}
SMALLER: Document = {
    "namespaces": [{"name": "red"}],
    "bridges": [{"name": "sw0", "addresses": ["10.5.0.1/24"]}],
    "forwarding": {"ipv4": True},
}
OTHER: Document = {
    "name": "other",
    "bridges": [{"name": "sw1", "addresses": ["10.6.0.1/24"]}],
    "published_ports": [{"port": 8081, "to": "10.6.0.2:80", "address": "any"}],
}
NOTHING: Document = {"state": "absent"}
NOT_OTHER: Document = {"name": "other", "state": "absent"}


def run(document: Document, check: bool = False) -> engine.Result:
    return engine.run(document, check=check, dad_seconds=0)


@pytest.fixture
def bare(private_host: Path) -> Dict[str, Any]:
    """A host with somebody else's things on it; its value is an image of it without our directory."""
    world.build_surroundings()
    run({"name": "warmer", "bridges": [{"name": "w"}]})  # modules and settings that come with the first rules
    run({"name": "warmer", "state": "absent"})
    return whole()


def whole() -> Dict[str, Any]:
    image = world.image()
    image["files"] = {path: text for path, text in image["files"].items() if path.startswith("/etc")}
    return image


def same(before: Dict[str, Any], but: str = "\0") -> bool:
    assert [line for line in world.differences(before, whole()) if but not in line] == []
    return True


ALONG = "/accept_redirects"  # changes along with forwarding; how it was before is only in the record


def text_of(**changes: Any) -> Callable[[Dict[str, Any]], str]:
    return lambda good: json.dumps({**good, **changes})


def of_owned(**changes: Any) -> Callable[[Dict[str, Any]], str]:
    return lambda good: json.dumps({**good, "owned": {**good["owned"], **changes}})


SHAPES: Dict[str, Callable[[Dict[str, Any]], str]] = {
    "empty": lambda _good: "",
    "half": lambda good: json.dumps(good)[: len(json.dumps(good)) // 2],
    "no text": lambda _good: "\0\1\2",
    "a list": lambda _good: "[1]",
    "null": lambda _good: "null",
    "a number": lambda _good: "5",
    "no version": lambda _good: "{}",
    "no keys": lambda _good: '{"version": 1}',
    "owned is a list": text_of(owned=[]),
    "a field of owned is missing": lambda good: json.dumps({**good, "owned": {"name": "main", "links": []}}),
    "links are no rows": of_owned(links=[["sw0"]]),
    "an index is a text": of_owned(links=[[None, "sw0", "7"]]),
    "a file of others": of_owned(files=["/etc/hosts"]),
    "a document is a list": text_of(document=[]),
    "a section is a text": text_of(document={"name": "main", "bridges": "sw0"}),
    "another document's": text_of(document={"name": "other"}),
    "a boot is a number": text_of(boot=3),
}


@pytest.mark.parametrize("file", ["main.state", "main.journal"])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_damaged_record_is_said_and_mended_by_marks(bare: Dict[str, Any], shape: str, file: str) -> None:
    run(FIRST)
    made = whole()
    good = json.loads((DIRECTORY / "main.state").read_text())
    path = DIRECTORY / file
    damage(path, SHAPES[shape](good))
    said = f"{path} is "

    told = run(FIRST, check=True)
    assert told.plan == ()
    assert [said in line for line in told.warnings] == [True]
    assert said in info()["problems"][0]
    assert call("topology_info")["problems"][0].startswith(said)
    assert "Traceback" not in on_the_console("info")

    foretold = run(OTHER, check=True)
    assert foretold.changed
    assert [said in line for line in foretold.warnings] == [True]
    run(OTHER)
    run(NOT_OTHER)
    assert same(made)

    assert said in on_the_console("absent", "main", "--check")
    assert same(made)
    result = run(NOTHING)
    assert [said in line for line in result.warnings] == [True]
    assert same(bare, ALONG)
    kept = [f"{file}.damaged"] if file == "main.journal" else []  # it may tell of more than what had marks
    assert sorted(os.listdir(DIRECTORY)) == ["lock", *kept]
    assert ["is kept as" in line for line in result.warnings] == [bool(kept)]
    assert run(FIRST).warnings == ()
    run(NOTHING)
    assert same(bare, ALONG)


def damage(path: Path, text: str) -> None:
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    path.chmod(0o600)


def on_the_console(*arguments: str) -> str:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        cli.main(list(arguments))
    return out.getvalue() + err.getvalue()


def test_what_is_no_longer_asked_for_goes_by_its_marks_too(bare: Dict[str, Any]) -> None:
    run(SMALLER)
    smaller = whole()
    run(FIRST)
    damage(DIRECTORY / "main.state", "")
    kept = "(the file is kept as /var/lib/hostwire/main.state.damaged for as long as the document is there)"
    foretold = run(SMALLER, check=True)
    assert not any("is kept as" in line for line in foretold.warnings)
    result = run(SMALLER)
    assert result.plan == foretold.plan
    assert [line.endswith(kept) for line in result.warnings] == [True]
    assert sorted(os.listdir(DIRECTORY)) == ["lock", "main.state", "main.state.damaged"]
    assert same(smaller, ALONG)
    assert run(SMALLER).plan == ()
    run(NOTHING)
    assert same(bare, ALONG)


@pytest.mark.parametrize("document", [FIRST, SMALLER, NOTHING], ids=["same", "smaller", "absent"])
def test_a_lost_record_is_told_from_marks(bare: Dict[str, Any], document: Document) -> None:
    run(document if document is not NOTHING else SMALLER)
    wanted = whole() if document is not NOTHING else bare
    run(FIRST)
    (DIRECTORY / "main.state").unlink()
    result = run(document)
    assert [line.startswith("/var/lib/hostwire/main.state is missing: ") for line in result.warnings] == [True]
    assert same(wanted, ALONG)
    run(NOTHING)
    assert same(bare, ALONG)


def test_routes_and_rules_alone_are_found_too(bare: Dict[str, Any]) -> None:
    document = {section: FIRST[section] for section in ("routes", "published_ports")}
    document["routes"] = [{"to": "203.0.114.0/24", "via": "192.168.1.3"}]
    run(document)
    (DIRECTORY / "main.state").unlink()
    run(NOTHING)
    assert same(bare)


def test_a_name_that_was_never_here_takes_nothing(bare: Dict[str, Any]) -> None:
    run({"routes": [{"to": "203.0.114.0/24", "via": "192.168.1.3"}]})
    there = whole()
    (DIRECTORY / "main.state").unlink()
    assert run(NOT_OTHER).plan == ()
    assert same(there)


def test_a_route_of_another_document_by_a_link_of_ours_stays(bare: Dict[str, Any]) -> None:
    switch: Document = {"name": "main", "bridges": [{"name": "sw0", "addresses": ["10.5.0.1/24"]}]}
    run(switch)
    run({"name": "other", "routes": [{"to": "203.0.113.0/24", "via": "10.5.0.9"}]})
    there = whole()
    (DIRECTORY / "main.state").unlink()
    assert run(switch).plan == ()
    assert same(there)
    for document in (NOT_OTHER, NOTHING):
        run(document)
    assert same(bare)


def test_a_route_that_may_be_another_documents_stays(bare: Dict[str, Any]) -> None:
    run(FIRST)
    run(theirs := {"name": "other", "routes": [{"to": "203.0.115.0/24", "via": "192.168.1.3"}]})
    there = whole()
    damage(DIRECTORY / "main.state", "")
    run(SMALLER)
    run(FIRST)
    assert same(there)
    damage(DIRECTORY / "main.state", "")
    damage(DIRECTORY / "other.state", "")
    run(NOTHING)
    left = [line for line in world.differences(bare, whole()) if ALONG not in line]
    assert len(left) == 1
    for net in ("203.0.114.0/24", "203.0.115.0/24"):  # they lead through nothing of ours, and either may be theirs
        assert net in left[0]
    assert "203.0.113.0/24" not in left[0]
    assert run(theirs).plan == ("host: route 203.0.114.0/24 via 192.168.1.3 dev eth0: remove",)  # nobody else is left


@pytest.mark.parametrize("there", [None, FIRST, SMALLER], ids=["nothing", "first", "smaller"])
@pytest.mark.parametrize("remembered", [FIRST, SMALLER], ids=["of first", "of smaller"])
@pytest.mark.parametrize("wanted", [FIRST, SMALLER], ids=["to first", "to smaller"])
def test_a_record_that_is_newer_or_older_than_the_kernel_is_no_hindrance(
    bare: Dict[str, Any], there: Any, remembered: Document, wanted: Document
) -> None:
    run(wanted)
    goal = whole()
    run(NOTHING)
    run(remembered)
    kept = (DIRECTORY / "main.state").read_bytes()
    run(there or NOTHING)
    damage(DIRECTORY / "main.state", kept.decode())
    run(wanted)
    assert same(goal, ALONG)
    assert run(wanted).plan == ()
    run(NOTHING)
    assert same(bare, ALONG)


def test_a_newer_versions_record_is_left_to_it(bare: Dict[str, Any]) -> None:
    run(FIRST)
    made = whole()
    path = DIRECTORY / "main.state"
    damage(path, json.dumps({**json.loads(path.read_text()), "version": 99}))
    kept = path.read_bytes()
    for document in (FIRST, NOTHING):
        for check in (True, False):
            with pytest.raises(Conflict, match=f"{path} was written by another version of .* or move the file away"):
                run(document, check)
    run(OTHER)
    run(NOT_OTHER)
    assert same(made)
    assert path.read_bytes() == kept
    path.rename("/var/lib/away")
    run(NOTHING)
    assert same(bare, ALONG)


def test_a_task_for_one_object_isnt_taken_for_the_whole(bare: Dict[str, Any]) -> None:
    call("bridge", name="sw0")
    call("published_port", port=8080, to="10.5.0.2:80", address="any")
    made = whole()
    path = DIRECTORY / "tasks.state"
    damage(path, "")
    answer = call("bridge", name="sw9")
    assert answer["failed"]
    assert answer["msg"].startswith(f"{path} is empty: what earlier tasks made for 'tasks' isn't known")
    assert same(made)


def indexes() -> List[Tuple[int, str]]:
    shown = json.loads(subprocess.run(["ip", "-j", "link"], check=True, capture_output=True, text=True).stdout)
    return [(link["ifindex"], link["ifname"]) for link in shown]


def test_numbers_alone_make_nothing_ours(bare: Dict[str, Any]) -> None:
    """Somebody took ours away, and has his own now, of the same name and number, in the same network."""
    run({"bridges": [{"name": "sw0"}], "namespaces": [{"name": "red"}]})
    index = {name: number for number, name in indexes()}["sw0"]
    subprocess.run(["ip", "link", "delete", "sw0"], check=True)
    subprocess.run(["ip", "link", "add", "sw0", "index", str(index), "type", "bridge"], check=True)
    subprocess.run(["ip", "netns", "delete", "red"], check=True)
    subprocess.run(["ip", "netns", "add", "red"], check=True)
    theirs = whole()
    with pytest.raises(Conflict, match=r"bridge sw0 \(host\) has lost its mark"):
        run(NOTHING)
    assert same(theirs)
    subprocess.run(["ip", "link", "set", "sw0", "name", "sw7"], check=True)
    run(NOTHING)
    subprocess.run(["ip", "link", "set", "sw7", "name", "sw0"], check=True)
    assert same(theirs)


def test_a_link_that_has_lost_its_mark_is_known_by_its_number_and_address(bare: Dict[str, Any]) -> None:
    document: Document = {"bridges": [{"name": "sw0"}, {"name": "sw1", "mac": "02:00:00:00:00:07"}]}
    run(document)
    made = whole()
    for name in ("sw0", "sw1"):
        subprocess.run(["ip", "link", "set", name, "alias", ""], check=True)
    assert run(document).plan == ("host: sw0: mark as ours", "host: sw1: mark as ours")
    assert same(made)
    for name in ("sw0", "sw1"):
        subprocess.run(["ip", "link", "set", name, "alias", ""], check=True)
    run(NOTHING)
    assert same(bare)


def test_another_documents_file_that_isnt_ours_alone_blocks_nobody(bare: Dict[str, Any]) -> None:
    run(OTHER)
    path = DIRECTORY / "other.state"
    path.chmod(0o666)
    result = run(SMALLER)
    assert [f"{path} can be written by others" in line for line in result.warnings] == [True]
    assert f"{path} can be written by others" in info()["problems"][0]
    with pytest.raises(Conflict, match=f"{path} can be written by others"):
        run(NOT_OTHER)


def test_a_run_that_fails_names_the_damaged_file_too(bare: Dict[str, Any]) -> None:
    run(FIRST)
    damage(DIRECTORY / "main.state", "")
    with pytest.raises(HostwireError, match=r"(?s)\"lo\" is reserved.*main.state is empty"):
        run({**FIRST, "bridges": [*FIRST["bridges"], {"name": "lo"}]})
    with pytest.raises(HostwireError) as refused:
        run({**FIRST, "bridges": [*FIRST["bridges"], {"name": "lo"}]})
    assert "is kept as" not in str(refused.value)
    assert sorted(os.listdir(DIRECTORY)) == ["lock", "main.state"]


@pytest.mark.parametrize("there", [None, SMALLER], ids=["the-first-run", "a-later-one"])
def test_a_killed_run_whose_journal_is_damaged_leaves_what_may_be_others_and_the_journal(
    bare: Dict[str, Any], there: Any
) -> None:
    others = {*os.listdir("/run/netns")}
    if there is not None:
        run(there)
    steps = [name for name, *_what in actions_of(there, FIRST)]
    killed(FIRST, steps.index("NetnsAdd"), "after")
    damage(DIRECTORY / "main.journal", "garbage")
    for document, check in ((NOTHING, True), (NOTHING, False)):
        (line,) = run(document, check).warnings
        assert line.startswith(f"{DIRECTORY}/main.journal is damaged (not JSON): ")
        assert "made but not yet marked can't be told from others' things" in line
        assert line.endswith(f"(the file is kept as {DIRECTORY}/main.journal.damaged)") != check
    assert sorted(os.listdir(DIRECTORY)) == ["lock", "main.journal.damaged"]
    (left,) = {*os.listdir("/run/netns")} - others
    subprocess.run(["ip", "netns", "delete", left], check=True)
    for document in (SMALLER, NOTHING):  # it stays until a person has looked at it
        run(document)
    assert (DIRECTORY / "main.journal.damaged").read_text() == "garbage"


@pytest.mark.parametrize("there", [None, SMALLER], ids=["the-first-run", "a-later-one"])
def test_info_names_the_runs_that_have_not_come_to_their_end(bare: Dict[str, Any], there: Any) -> None:
    if there is not None:
        run(there)
    killed(FIRST, 3, "after")
    said = f"a run of the document 'main' hasn't come to its end ({DIRECTORY}/main.journal): "
    for problems in (info()["problems"], call("topology_info")["problems"]):
        assert [line.startswith(said) for line in problems] == [True]
    run(NOTHING)
    assert info()["problems"] == []


def test_info_names_the_jobs_that_have_not_come_to_their_end(bare: Dict[str, Any]) -> None:
    journals, path = Journals(str(DIRECTORY)), DIRECTORY / "hosts.1.steps"
    journals.write(Job("hosts.1", "hosts file /etc/hosts", (), (), {}), DOING)
    for text, said in (
        (None, f"a run of hosts file /etc/hosts hasn't come to its end ({path}): "),
        ("garbage", f"{path} is damaged (not JSON): "),
    ):
        if text is not None:
            damage(path, text)
        for problems in (info()["problems"], call("topology_info")["problems"]):
            assert [line.startswith(said) for line in problems] == [True]
            assert "hasn't come to its end" in problems[0]


@pytest.mark.parametrize("check", [True, False])
def test_several_documents_at_once_say_it_once(bare: Dict[str, Any], check: bool) -> None:
    run(FIRST)
    run(OTHER)
    made = whole()
    path = DIRECTORY / "main.state"
    damage(path, "")
    results = run_all([{**FIRST, "name": "main"}, OTHER], check=check, dad_seconds=0)
    assert [line for result in results for line in result.plan] == []
    assert [sum(f"{path} is empty" in line for line in result.warnings) for result in results] == [1, 1]
    assert same(made, ALONG)
    assert Path(f"{path}.damaged").exists() != check
