# SPDX-License-Identifier: GPL-3.0-or-later
"""Whenever a signal comes, and however many: what was done is said, what was not is not, and what is left is told."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, NamedTuple

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import ansible_module, cli, engine
from ansible_collections.hostwire.linux.plugins.module_utils.apply import (
    disk,
    journals,
    recovery,
    runner,
    undo,
    way_back,
)
from ansible_collections.hostwire.linux.plugins.module_utils.apply.executor import Executor
from ansible_collections.hostwire.linux.plugins.module_utils.hosts_file import run as hosts_file
from ansible_collections.hostwire.linux.plugins.module_utils.interruption import heeded
from ansible_collections.hostwire.linux.tests.in_process import call
from ansible_collections.hostwire.linux.tests.kernel import world

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
DOCUMENT: Dict[str, Any] = {
    "name": "office",
    "bridges": [{"name": "sw0"}],
    "sysctls": {"net.ipv4.conf.all.arp_ignore": 1},
}
ENTRIES = [{"address": "10.0.0.5", "names": ["db"]}]
PUT_BACK = "everything was put back as it was"


class Answer(NamedTuple):
    """What a program says in the end."""

    success: bool
    words: str


class Way(NamedTuple):
    """A way in which something is done, and where it can be told to stop: objects and the names of their functions."""

    go: Callable[[], Answer]
    reads: List[Any]
    over: List[Any]  # behind its last look whether it is to stop


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """As in a program that nobody has set anything up for; they are so again afterwards."""
    ours = [signal.signal(number, signal.SIG_DFL) for number in SIGNALS[1:]]
    ours = [signal.signal(signal.SIGINT, signal.default_int_handler), *ours]
    usual = [signal.getsignal(number) for number in SIGNALS]
    yield
    found = [signal.getsignal(number) for number in SIGNALS]
    for number, handler in zip(SIGNALS, ours):
        signal.signal(number, handler)
    assert found == usual


@pytest.fixture(params=["command line", "topology", "hosts_file"])
def way(private_host: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Way:
    def by_command_line() -> Answer:
        (tmp_path / "document").write_text(json.dumps(DOCUMENT))
        status = cli.main(["apply", str(tmp_path / "document")])
        return Answer(status == 0, "".join(capsys.readouterr()))

    def by_module(module: str, /, **parameters: Any) -> Answer:
        answer = call(module, **parameters)
        if "failed" in answer:
            assert answer["kind"] in ("interrupted", "undo")
            return Answer(False, answer["msg"])
        return Answer(True, "\n".join(answer["plan"]))

    topology = [engine, "recalled"], [engine.Run, "remember"]
    return {
        "command line": Way(by_command_line, *topology),
        "topology": Way(lambda: by_module("topology", **DOCUMENT), *topology),
        "hosts_file": Way(
            lambda: by_module("hosts_file", entries=ENTRIES),
            [hosts_file, "read_entries"],
            [journals.Journals, "drop"],
        ),
    }[request.param]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Has this process told to stop before or after a function of something is called for the first time."""

    def tell(where: Any, name: str, number: int, times: int = 1, after: bool = False) -> None:
        really, calls = getattr(where, name), []

        def signals() -> None:
            if len(calls) == 1:
                for _time in range(times):
                    os.kill(os.getpid(), number)

        def called(*args: Any, **options: Any) -> Any:
            calls.append(name)
            if not after:
                signals()
            result = really(*args, **options)
            if after:
                signals()
            return result

        monkeypatch.setattr(where, name, called)

    return tell


def image() -> Dict[str, Any]:
    return {**world.image(), "hosts": Path("/etc/hosts").read_text(encoding="ascii")}


def name_of(number: int) -> str:
    return signal.Signals(number).name


@pytest.mark.parametrize("number", SIGNALS)
def test_who_is_told_while_nothing_is_begun_says_that_alone(way: Way, number: int, told: Callable[..., None]) -> None:
    before = image()
    told(*way.reads, number)
    answer = way.go()
    assert not answer.success
    assert f"told to stop by {name_of(number)}" in answer.words
    assert "put back" not in answer.words
    assert world.differences(before, image()) == []


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("again", [0, 1, 3])
def test_who_is_told_again_while_it_takes_all_back_says_that_it_did(
    way: Way, number: int, again: int, told: Callable[..., None]
) -> None:
    before = image()
    told(Executor, "run", number, after=True)
    told(runner, "undisturbed", number, again)
    told(way_back, "ending", number, again)
    answer = way.go()
    assert not answer.success
    assert f"told to stop by {name_of(number)}" in answer.words
    assert PUT_BACK in answer.words
    assert world.differences(before, image()) == []


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("again", [0, 1, 3])
def test_who_is_told_again_while_it_can_not_take_all_back_says_what_is_left(
    way: Way, number: int, again: int, told: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = image()
    told(Executor, "run", number, after=True)
    told(runner, "undisturbed", number, again)
    told(way_back, "ending", number, again)
    with monkeypatch.context() as patch:
        patch.setattr(undo, "do_tolerantly", lambda *_args: ["it can't be"])
        answer = way.go()
    assert not answer.success
    assert "and not all could be put back:" in answer.words
    assert "left over" in answer.words or "still is as this run made it" in answer.words
    assert PUT_BACK not in answer.words
    assert world.differences(before, image()) != []
    assert way.go().success  # from there, or from anew


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("times", [1, 3])
def test_who_is_told_when_all_is_done_says_that_it_is(
    way: Way, number: int, times: int, told: Callable[..., None]
) -> None:
    told(*way.over, number, times, after=True)
    answer = way.go()
    assert answer.success
    assert "sw0" in answer.words or "10.0.0.5" in answer.words
    done = image()
    assert way.go().success
    assert world.differences(done, image()) == []


@pytest.mark.parametrize("number", SIGNALS)
def test_who_is_told_while_it_says_what_it_did_says_it_all(way: Way, number: int, told: Callable[..., None]) -> None:
    told(cli, "_show", number)
    told(ansible_module.zip_source, "keep_bytecode", number)
    answer = way.go()
    assert answer.success
    assert "sw0" in answer.words or "10.0.0.5" in answer.words


@pytest.mark.parametrize("number", SIGNALS)
def test_who_is_told_at_the_end_of_one_of_several_runs_does_not_begin_the_next(
    private_host: Path, number: int, told: Callable[..., None]
) -> None:
    told(disk.Store, "drop_journal", number, after=True)
    documents = [{"name": name, "bridges": [{"name": name}]} for name in ("first", "second")]
    answer = call("topologies", documents=documents)
    assert (answer["kind"], f"told to stop by {name_of(number)}" in answer["msg"]) == ("interrupted", True)
    assert [link["ifname"] for link in world.ip(None, "link")[0] if link["ifname"] != "lo"] == ["first"]


@pytest.mark.parametrize("number", SIGNALS)
def test_who_is_told_while_it_ends_a_broken_off_run_begins_no_other(
    private_host: Path, number: int, told: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = image()
    with monkeypatch.context() as patch:
        told(Executor, "run", number, after=True)
        patch.setattr(undo, "do_tolerantly", lambda *_args: ["it can't be"])
        assert call("hosts_file", entries=ENTRIES)["kind"] == "undo"
    assert world.differences(before, image()) != []
    told(recovery, "undone", number)
    answer = call("hosts_file", entries=[{"address": "10.0.0.6", "names": ["web"]}])
    assert (answer["kind"], f"told to stop by {name_of(number)}" in answer["msg"]) == ("interrupted", True)
    assert world.differences(before, image()) == []


@pytest.mark.parametrize("number", SIGNALS)
def test_without_a_program_that_answers_a_late_signal_does_what_it_would_have_done(number: int) -> None:
    came: List[int] = []
    for fails in (False, True):
        signal.signal(number, lambda late, _frame: came.append(late))
        try:
            with heeded():
                os.kill(os.getpid(), number)
                if fails:
                    raise ValueError
        except ValueError:
            assert came == [number]  # from before: it ends anyway, with more to say
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    assert came == [number]
