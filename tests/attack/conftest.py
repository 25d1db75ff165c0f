# SPDX-License-Identifier: GPL-3.0-or-later
"""Each test here is on a private host; figures of all of them are written when the last one is through."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Tuple

import pytest

from ansible_collections.hostwire.linux.tests.attack import networks, places, ways
from ansible_collections.hostwire.linux.tests.attack.passes import Outcome, Passes
from ansible_collections.hostwire.linux.tests.attack.sensing import Sensors
from ansible_collections.hostwire.linux.tests.attack.setups import Setup
from ansible_collections.hostwire.linux.tests.kernel import private

REPORT = Path(__file__).resolve().parents[2] / "build" / "reports" / "attack.json"
SUMS = ("tried", "wanted", "unwanted", "missing")


@pytest.fixture
def private_host() -> Iterator[Path]:
    """A fresh network and mount namespace for one test."""
    with private.private_host() as directory:
        yield directory


Maker = Callable[..., Passes]


@pytest.fixture
def host(private_host: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Maker]:
    """Makes a set-up with its documents applied, and sensors and attackers everywhere."""
    with contextlib.ExitStack() as stack:

        def made(setup: Setup, afterwards: Callable[[], None] = lambda: None) -> Passes:
            choose_programs(setup.backend, tmp_path, monkeypatch)
            places.outside_world(setup)
            places.apply_documents(setup)
            found = places.places(setup)
            places.acquaint(found)
            afterwards()
            return Passes(ways.scene(setup, found), Sensors(found, stack))

        yield made


@pytest.fixture
def unguarded(host: Maker) -> Callable[[Setup], Passes]:
    """The same, and then nothing is kept away."""
    return lambda setup: host(setup, places.unguard)


@pytest.fixture
def two_steps_only(host: Maker) -> Callable[[Setup], Passes]:
    """The same, and then only new connections to guests are kept away."""
    guests = {place for network in networks.ALL for place in [network.name]}
    return lambda setup: host(setup, lambda: places.guard_by_state(sorted(guests)))


def choose_programs(backend: str, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The programs plainly called iptables are of this backend."""
    for family in ("iptables", "ip6tables"):
        for verb in ("", "-save", "-restore"):
            (directory / f"{family}{verb}").symlink_to(f"/usr/sbin/{family}-{backend}{verb}")
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")


@pytest.fixture
def figures(record_property: Callable[[str, object], None]) -> Callable[[str, Outcome], None]:
    """Takes down what came of a set-up."""

    def note(name: str, outcome: Outcome) -> None:
        numbers = (outcome.tried, outcome.wanted, len(outcome.unwanted), len(outcome.missing))
        record_property("attack", json.dumps([name, *numbers]))

    return note


_noted: List[Tuple[str, Dict[str, int]]] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """In the process that counts: what the others have taken down."""
    if report.when == "call":
        for name, value in report.user_properties:
            if name == "attack":
                title, *numbers = json.loads(str(value))
                _noted.append((title, dict(zip(SUMS, numbers))))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """All set-ups together in one line, and each of them in build/reports/attack.json."""
    if not _noted:
        return
    sums = {name: sum(numbers[name] for _title, numbers in _noted) for name in SUMS}
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    whole = {"setups": len(_noted), **sums, "each": dict(_noted)}
    REPORT.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    terminalreporter.write_line(
        f"attacks: {len(_noted)} set-ups, {sums['tried']} cells tried; {sums['unwanted']} arrived that must not, "
        f"{sums['missing']} of {sums['wanted']} didn't that have to"
    )
