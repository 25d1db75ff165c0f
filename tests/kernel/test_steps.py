# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts files, guests' names and Docker's chains: one runner does and undoes them, and survives what befalls it."""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

import pytest

from ansible_collections.hostwire.linux.tests.kernel import step_worlds
from ansible_collections.hostwire.linux.tests.kernel.children import in_a_child
from ansible_collections.hostwire.linux.tests.kernel.step_worlds import (
    FAULTS,
    OF_PROGRAMS,
    Count,
    DockersChains,
    GuestNames,
    HostsFile,
    Image,
    MountedHostsFile,
    World,
)
from ansible_collections.hostwire.linux.tests.kernel.steps import STRIDE

RUNS = pytest.mark.parametrize(
    ("there", "wanted"),
    [(None, "first"), ("first", "second"), ("first", "absent")],
    ids=["made", "changed", "removed"],
)
FOLLOWING = ("wanted", "there", "absent")


@pytest.fixture(params=["file", "mounted file", "names", "chains nft", "chains legacy"])
def world(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    kind, _space, backend = request.param.partition(" ")
    if kind == "chains":
        for family in ("iptables", "ip6tables"):
            for verb in ("", "-save", "-restore"):
                (tmp_path / f"{family}{verb}").symlink_to(f"/usr/sbin/{family}-{backend}{verb}")
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    directory: Path = request.getfixturevalue("private_host")
    made: Dict[str, Callable[[], World]] = {
        "file": lambda: HostsFile(directory),
        "mounted": lambda: MountedHostsFile(directory),
        "names": lambda: GuestNames(directory, monkeypatch),
        "chains": lambda: DockersChains(backend, monkeypatch),
    }
    return made[kind]()


# By world, what is there and what is wanted: what was there before, and what there is after each run that may follow.
_known: Dict[Tuple[str, Optional[str], str], Tuple[Image, Dict[str, List[Image]]]] = {}


class Expected:
    """What a host looks like after undisturbed runs from the same beginning."""

    def __init__(self, world: World, there: Optional[str], wanted: str) -> None:
        self.world, self.there, self.wanted = world, there, wanted
        key = (world.name, there, wanted)
        if key not in _known:
            _known[key] = self._looked()
        self.before, self._images = _known[key]

    def _looked(self) -> Tuple[Image, Dict[str, List[Image]]]:
        self.begin()
        before = self.world.image()
        images: Dict[str, List[Image]] = {}
        for following in dict.fromkeys((self.wanted, self.there or "absent", "absent")):
            images[following] = []
            for first in ((), (self.wanted,)):
                self.begin()
                for wish in (*first, following):
                    self.world.run(wish)
                images[following].append(self.world.image())
        return before, images

    def begin(self) -> None:
        self.world.reset()
        if self.there is not None:
            self.world.run(self.there)

    def goes_on(self, following: str, told: object) -> None:
        """The next run says beforehand what it does, and does it; the one after has nothing to do."""
        left = self.world.image()
        predicted = self.world.run(following, check=True)
        assert self.world.image() == left, told
        assert self.world.run(following) == predicted, told
        assert self.world.image() in self._images[following], told
        assert self.world.run(following, check=True) == (), told
        assert self.world.run(following) == (), told

    def is_done(self) -> bool:
        return self.world.image() == self._images[self.wanted][0]


def some(world: World, salt: str, fault: str = "") -> range:
    """The numbers of the calls that are tried: of those with programs between them fewer; a run has few programs."""
    stride = STRIDE if STRIDE == 1 or fault in OF_PROGRAMS else 2 * STRIDE * world.weight
    if fault.startswith("restore"):
        stride = min(STRIDE, 2)
    return range(1 + zlib.crc32(f"{world.name}{salt}".encode()) % stride, 1000, stride)


def kill_runs(expected: Expected, following: str, undoing: bool, ended: Callable[[Any], None]) -> None:
    """Kill a run at some of its calls, or of those that take it back; ``ended`` looks at one that had no more of them.

    At least one is killed: where the first number is beyond the last call, an earlier one is tried.
    """
    world, there, wanted = expected.world, expected.there, expected.wanted
    then = {"wanted": wanted, "there": there or "absent", "absent": "absent"}[following]
    numbers = some(world, f"{wanted}{following}")
    first, killed = numbers.start, 0
    while not killed:
        assert first, "it made no call at all"
        for number in range(first, numbers.stop, numbers.step):
            expected.begin()

            def deed(number: int = number) -> None:
                if undoing:
                    step_worlds.fails_in_the_end()
                step_worlds.killed_at(number, Count(), undoing=undoing)
                world.run(wanted)

            said = in_a_child(deed)
            if said.get("kind") != "killed":
                ended(said)
                break
            killed += 1
            expected.goes_on(then, number)
        first //= 2


@pytest.mark.parametrize("following", FOLLOWING)
@RUNS
def test_a_run_killed_at_any_call_is_mended_by_whatever_comes_next(
    world: World, there: Optional[str], wanted: str, following: str
) -> None:
    def ended(said: Any) -> None:
        assert said == {}, said

    kill_runs(Expected(world, there, wanted), following, undoing=False, ended=ended)


@pytest.mark.parametrize("following", FOLLOWING)
@RUNS
def test_a_run_killed_while_it_takes_itself_back_is_mended_too(
    world: World, there: Optional[str], wanted: str, following: str
) -> None:
    expected = Expected(world, there, wanted)

    def ended(said: Any) -> None:
        assert said["kind"] == "refused", said
        assert said["error"].endswith("everything was put back as it was"), said
        assert world.image() == expected.before

    kill_runs(expected, following, undoing=True, ended=ended)


@pytest.mark.parametrize("lasting", [False, True], ids=["once", "for good"])
@pytest.mark.parametrize("undone", [False, True], ids=["doing", "undoing"])
@RUNS
def test_a_call_that_fails_leaves_no_lie_and_the_next_run_goes_on(
    world: World, there: Optional[str], wanted: str, undone: bool, lasting: bool
) -> None:
    expected = Expected(world, there, wanted)
    faults = {**FAULTS, **OF_PROGRAMS} if isinstance(world, DockersChains) else FAULTS
    for fault, install in faults.items():
        for first in some(world, f"{fault}{wanted}{undone}{lasting}", fault):
            expected.begin()
            count = Count()

            def deed(first: int = first, count: Count = count, install: Any = install) -> None:
                def strikes() -> bool:
                    return count.add() >= first if lasting else count.add() == first

                install(strikes)
                if undone:
                    step_worlds.fails_in_the_end()
                world.run(wanted)

            said = in_a_child(deed)
            told = (fault, first, said)
            journals = list(step_worlds.STATE.glob("*.steps"))
            if not said:
                assert expected.is_done(), told
            elif said["kind"] == "undo":
                assert journals, told
                assert "the next run goes on from there" in said["error"], told
            else:
                assert said["kind"] in ("refused", "missing", "verify"), told
                assert world.image() == expected.before, told
            expected.goes_on(wanted, told)
            world.run("absent")
            assert not list(step_worlds.STATE.glob("*.steps*")), told
            if count.value() < first:
                break
