# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that is killed or told to stop: nobody finds anything in its way. All steps of all runs are in tests/sweeps."""

from __future__ import annotations

import errno
import signal
from pathlib import Path
from typing import Dict, List, Optional

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import engine, rehearsal
from ansible_collections.hostwire.linux.plugins.module_utils.errors import (
    Interrupted,
    KernelRefused,
)
from ansible_collections.hostwire.linux.tests.kernel import world
from ansible_collections.hostwire.linux.tests.kernel.steps import (
    JOURNAL,
    NOTHING,
    Document,
    apply,
    begin,
    killed,
    status_of_run_to_kill,
    steps_of,
)


def test_after_a_kill_another_document_or_none_at_all_finds_nothing_in_its_way(private_host: Path) -> None:
    world.build_surroundings()
    bare = world.image()
    other: Document = {
        **world.FIRST,
        "interfaces": [{**world.FIRST["interfaces"][0], "mtu": 1420}],
        "published_ports": [],
    }
    for step in range(0, len(steps_of(world.FIRST, world.SECOND)), 11):
        for following in (other, NOTHING):
            apply(world.FIRST)
            killed(world.SECOND, step, "before")
            apply(following)
            assert apply(following).plan == (), f"step {step}"
            apply(NOTHING)
            assert world.differences(bare, world.image()) == [], f"step {step}"


@pytest.mark.parametrize("there", [None, world.FIRST], ids=["the-first-run", "a-later-one"])
def test_a_run_of_another_document_says_whose_run_was_broken_off(private_host: Path, there: Optional[Document]) -> None:
    world.build_surroundings()
    bare = world.image()
    apply(there if there is not None else NOTHING)
    killed(world.SECOND, 5, "after")
    said = f"a run of the document 'main' hasn't come to its end ({JOURNAL}): "
    for document in ({"name": "other", "bridges": [{"name": "sw7"}]}, {"name": "other", "state": "absent"}):
        for check in (True, False):
            told = engine.run(document, check=check, dad_seconds=0).warnings
            assert [line.startswith(said) for line in told] == [True]
    assert JOURNAL.exists()
    assert not any(line.startswith(said) for line in apply(NOTHING).warnings)
    assert engine.run({"name": "other", "state": "absent"}).warnings == ()
    assert world.differences(bare, world.image()) == []


BATCHES: Dict[str, List[Document]] = {
    "it-first": [{**world.SECOND, "name": "main"}, {"name": "other", "bridges": [{"name": "sw7"}]}],
    "it-last": [{"name": "other", "bridges": [{"name": "sw7"}]}, {**world.SECOND, "name": "main"}],
    "it-as-it-was": [{**world.FIRST, "name": "main"}, {"name": "other", "bridges": [{"name": "sw7"}]}],
    "it-goes": [{"name": "main", "state": "absent"}, {"name": "other", "bridges": [{"name": "sw7"}]}],
    "without-it": [{"name": "other", "bridges": [{"name": "sw7"}]}, {"name": "third", "bridges": [{"name": "sw8"}]}],
    "nothing-to-do": [{"name": "other", "state": "absent"}, {"name": "third", "state": "absent"}],
}
WARNED = {
    "it-first": [False, False],
    "it-last": [True, False],
    "it-as-it-was": [False, False],
    "it-goes": [False, False],
    "without-it": [True, True],
    "nothing-to-do": [True, True],
}


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("step", [0, 5])
def test_check_mode_of_a_batch_warns_of_a_broken_off_run_just_as_the_run_does(
    private_host: Path, batch: str, step: int
) -> None:
    world.build_surroundings()
    apply(world.FIRST)
    killed(world.SECOND, step, "before")
    assert JOURNAL.exists()
    foretold, done = (
        [result.warnings for result in rehearsal.run_all(BATCHES[batch], check=check, dad_seconds=0)]
        for check in (True, False)
    )
    assert foretold == done
    said = f"a run of the document 'main' hasn't come to its end ({JOURNAL}): "
    assert [any(line.startswith(said) for line in told) for told in done] == WARNED[batch]


def test_a_failure_after_a_kill_does_not_forget_what_the_killed_run_left(private_host: Path) -> None:
    world.build_surroundings()
    bare = world.image()
    count = len(steps_of(None, world.FIRST))
    for step in range(0, count, 10):
        killed(world.FIRST, step, "before")
        left = world.image()["rooms"]

        def refuse(position: int, when: str) -> None:
            if when == "after":
                raise KernelRefused("a step", errno.EPERM)

        with pytest.raises(KernelRefused):
            apply(world.FIRST, refuse)
        assert world.differences(left, world.image()["rooms"]) == []
        apply(NOTHING)
        assert world.differences(bare, world.image()) == [], f"step {step}"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_run_that_is_told_to_stop_takes_itself_back(private_host: Path, number: int) -> None:
    begin(world.FIRST)
    before = world.image()
    ours = signal.signal(number, signal.SIG_DFL)  # whoever started the tests may have it ignored

    def stop(position: int, when: str) -> None:
        if (position, when) == (40, "before"):
            signal.raise_signal(number)

    try:
        with pytest.raises(Interrupted) as raised:
            apply(world.SECOND, stop)
    finally:
        signal.signal(number, ours)
    assert raised.value.problems == (
        f"told to stop by {signal.Signals(number).name}",
        "everything was put back as it was",
    )
    assert world.differences(before, world.image()) == []


@pytest.mark.parametrize("redirects", ["0", "1"])
@pytest.mark.parametrize("following", [True, False, None])
@pytest.mark.parametrize("wanted", [True, False, None])
@pytest.mark.parametrize("there", [True, False])
def test_30_a_setting_that_forwarding_drags_along_comes_back_though_a_run_was_killed_in_between(
    private_host: Path, there: bool, wanted: Optional[bool], following: Optional[bool], redirects: str
) -> None:
    def document(forwarding: Optional[bool]) -> Document:
        return NOTHING if forwarding is None else {"forwarding": {"ipv4": forwarding}}

    Path("/proc/sys/net/ipv4/conf/all/accept_redirects").write_text(redirects)
    bare = world.image()
    for step in range(3):
        apply(document(there))
        status_of_run_to_kill(document(wanted), step, "after")
        predicted = engine.run(document(following), check=True)
        assert apply(document(following)).plan == predicted.plan
        assert apply(document(following)).plan == ()
        apply(NOTHING)
        assert world.differences(bare, world.image()) == [], f"step {step}"
