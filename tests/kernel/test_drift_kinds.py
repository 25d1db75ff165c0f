# SPDX-License-Identifier: GPL-3.0-or-later
"""Eighty kinds of drift and more: each is mended exactly, refused or warned of in words, or breaks no promise.

Check mode sees what the run does. After it all calls of drift_world.py end as they are to, and the host is as it was.
"""

from __future__ import annotations

import contextlib
from typing import Any, Dict, Iterator, List, Optional, Tuple

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils.errors import HostwireError
from ansible_collections.hostwire.linux.tests.kernel import drift_world, private, world
from ansible_collections.hostwire.linux.tests.kernel.drift_table import (
    LEFT,
    MENDED,
    MENDED_BESIDE,
    ON_THE_HOST,
    REFUSED,
    WARNED,
    Case,
)


class World:
    """The host with the document applied, as long as it is as it was."""

    def __init__(self, netns: Optional[str]) -> None:
        self.netns = netns
        self.place = netns or "host"
        self._stack = contextlib.ExitStack()
        self._image: Dict[str, Any] = {}

    def fresh(self) -> Dict[str, Any]:
        """What is there to begin with; made anew after a test that failed or left something."""
        if not self._image:
            self._stack.close()
            self._stack.enter_context(private.private_host())
            drift_world.build(self.netns)
            self._image = drift_world.image()
        found, self._image = self._image, {}
        return found

    def keep(self, image: Dict[str, Any]) -> None:
        """The host is as it was."""
        self._image = image

    def close(self) -> None:
        self._stack.close()

    def said(self, check: bool) -> Tuple[Tuple[str, ...], Tuple[str, ...]]:
        """The plan, and warnings; a refusal is among these."""
        try:
            result = drift_world.run(self.netns, check)
        except HostwireError as error:
            return (), (str(error),)
        return result.plan, tuple(line for line in result.warnings if "is older than what it tells of" not in line)

    def drifts(self, command: str) -> None:
        drift_world.shell(self.netns, command)

    def wrong(self) -> List[str]:
        return drift_world.Traffic(self.netns).wrong()


@pytest.fixture(scope="module", params=[None, "room"], ids=["host", "room"])
def place(request: pytest.FixtureRequest) -> Iterator[World]:
    there = World(request.param)
    yield there
    there.close()


def _mended(place: World, case: Case) -> Dict[str, Any]:
    before = place.fresh()
    command, words = case
    place.drifts(command)
    plan, warnings = place.said(check=True)
    line = words.replace("R:", f"{place.place}:").replace("R/", f"{place.place}/")
    assert any(line in one for one in plan), (plan, warnings)
    assert warnings == ()
    assert place.said(check=False) == (plan, ())
    assert place.wrong() == []
    assert place.said(check=True) == ((), ())
    return before


@pytest.mark.parametrize("drift", MENDED)
def test_what_is_ours_is_put_right_exactly(place: World, drift: str) -> None:
    _mended_exactly(place, MENDED[drift])


@pytest.mark.parametrize("place", [None], ids=["host"], indirect=True, scope="module")
@pytest.mark.parametrize("drift", ON_THE_HOST)
def test_what_only_a_host_has_is_put_right_exactly(place: World, drift: str) -> None:
    _mended_exactly(place, ON_THE_HOST[drift])


def _mended_exactly(place: World, case: Case) -> None:
    before = _mended(place, case)
    assert world.differences(before, drift_world.image()) == []
    place.keep(before)


@pytest.mark.parametrize("drift", MENDED_BESIDE)
def test_what_is_ours_is_put_right_beside_what_is_not(place: World, drift: str) -> None:
    _mended(place, MENDED_BESIDE[drift])


@pytest.mark.parametrize("drift", [*WARNED, *REFUSED])
def test_what_is_somebody_elses_is_named_and_left_to_them(place: World, drift: str) -> None:
    before = place.fresh()
    command, words = {**WARNED, **REFUSED}[drift]
    place.drifts(command)
    after = drift_world.image()
    for check in (True, False):
        plan, warnings = place.said(check)
        assert plan == ()
        assert any(words.replace("R:", f"{place.place}:") in line for line in warnings), warnings
    assert world.differences(after, drift_world.image()) == []
    back = _taken_back(command)
    if back is not None:
        place.drifts(back)
        assert world.differences(before, drift_world.image()) == []
        place.keep(before)


_BACK = (
    ("neigh replace ", "neigh del "),
    *((f"{what} add ", f"{what} del ") for what in ("rule", "route", "addr")),
    *((f" {made} ", f" {taken} ") for made, taken in (("-I", "-D"), ("-A", "-D"), ("-N", "-X"))),
    (" DROP", " ACCEPT"),  # a policy
)


def _taken_back(command: str) -> Optional[str]:
    """What undoes somebody's commands; None where that is more than the opposite of each."""
    if command.startswith("nft"):
        return "nft delete table inet theirs"
    found = []
    for part in reversed(command.split("; ")):
        pair = next((pair for pair in _BACK if pair[0] in part), None)
        if pair is None:
            return None
        found.append(part.replace(*pair))
    return "; ".join(found)


@pytest.mark.parametrize("drift", LEFT)
def test_what_breaks_no_promise_is_left_as_somebody_wants_it(place: World, drift: str) -> None:
    """One comes on top of the other."""
    before = place.fresh()
    command, _why = LEFT[drift]
    place.drifts(command)
    assert place.said(check=True) == ((), ())
    assert place.wrong() == []
    place.keep(before)


def test_there_are_eighty_kinds_that_break_a_promise() -> None:
    assert len({**MENDED, **MENDED_BESIDE, **WARNED, **REFUSED}) >= 80
