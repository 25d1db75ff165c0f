# SPDX-License-Identifier: GPL-3.0-or-later
"""python tests/run.py [SUITE...]: runs the suites (all of them without an argument), and says what came of it.

Each pytest test counts one; so does each linter, each ansible-core's sanity run and each molecule scenario. The last
line is ``N passed, N failed``. Reports in JUnit's format are kept in build/reports.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Iterator, NamedTuple, Optional, Sequence, Tuple

REPOSITORY = Path(__file__).resolve().parent.parent
LINK = "build/ansible_collections/hostwire/linux"
REPORTS = REPOSITORY / "build" / "reports"
NOT_RUN = 77  # a suite's exit status that says: this machine lacks what it takes, and the output says what
PYTHON = sys.executable
REASON_LENGTH = 300  # characters of what a failed test said, in the summary


class Suite(NamedTuple):
    """Commands that are run in the repository, each at most ``minutes``.

    Of a ``pytest`` suite the arguments are given, and its tests are counted; any other command counts one, and two of
    them run at a time if they are ``in_pairs``. A suite that is not ``usual`` runs only where it is named.
    """

    name: str
    commands: tuple[Sequence[str], ...]
    minutes: int = 5
    pytest: bool = False
    usual: bool = True
    in_pairs: bool = False


class Outcome(NamedTuple):
    """What came of a suite. ``failures``: a line for each test that failed, with the reason."""

    name: str
    passed: int = 0
    failed: int = 0
    remark: str = ""
    seconds: float = 0.0
    failures: tuple[str, ...] = ()


def shell_scripts() -> list[str]:
    """The tracked files that a shell runs, with an extension or without."""
    listed = subprocess.run(
        ["git", "grep", "-lIE", "^#!/bin/(ba)?sh"], cwd=REPOSITORY, check=False, capture_output=True, text=True
    )
    return [name for name in listed.stdout.split() if (REPOSITORY / name).read_bytes().startswith(b"#!")]


def scenarios() -> list[str]:
    """The molecule scenarios' names."""
    return sorted(file.parent.name for file in (REPOSITORY / "extensions" / "molecule").glob("*/molecule.yml"))


# Two processes, each with whole files: each test has a private host, but those of one file may share what they prepare.
IN_PARALLEL = ("-n", "2", "--dist", "loadfile")

SWEEP_MINUTES = 15 if os.environ.get("HOSTWIRE_SWEEPS") != "all" else 24 * 60
ATTACK_MINUTES = 15 if os.environ.get("HOSTWIRE_ATTACKS") != "all" else 24 * 60

DOWNTIME = "tests/docker/test_docker_bridge_downtime.py"

# In the order in which they run: what fails most often and costs least comes first.
SUITES = (
    Suite("ruff", (("ruff", "check", "."), ("ruff", "format", "--check", "."))),
    Suite("mypy", (("mypy", "-p", "ansible_collections.hostwire.linux.plugins"),)),
    Suite("repository", (("tests/lint",),), pytest=True),
    Suite("quick", ((*IN_PARALLEL, "-m", "not slow", "tests/unit", "tests/kernel"),), pytest=True, usual=False),
    Suite("unit", ((*IN_PARALLEL, "tests/unit"),), minutes=10, pytest=True),
    Suite("kernel", ((*IN_PARALLEL, "tests/kernel"),), minutes=25, pytest=True),
    # What breaks a run, at whichever place: a sample; all of it, by HOSTWIRE_SWEEPS=all, takes hours.
    Suite("sweeps", (("-n", "2", "--dist", "worksteal", "tests/sweeps"),), minutes=SWEEP_MINUTES, pytest=True),
    # Each set-up is a host of its own. All of them, by HOSTWIRE_ATTACKS=all, take hours: run it by itself then.
    Suite("attack", (("-n", "2", "--dist", "worksteal", "tests/attack"),), minutes=ATTACK_MINUTES, pytest=True),
    Suite(
        "lint",
        (
            ("yamllint", "--strict", "."),
            ("shellcheck", *shell_scripts()),
            ("antsibull-changelog", "lint"),
            ("antsibull-docs", "lint-collection-docs", "--plugin-docs", "--validate-collection-refs=dependent", LINK),
            ("ansible-lint", "--offline", "--nocolor"),
        ),
    ),
    Suite("lab", (("tests/lab",),), minutes=15, pytest=True),
    Suite("vm", (("-n", "2", "tests/vm"),), minutes=15, pytest=True),
    Suite("fleet", (("tests/fleet",),), minutes=10, pytest=True),
    # One process a Debian release: what takes time here is waiting for hosts and engines. Downtime is measured alone.
    # With HOSTWIRE_WAYS=all every way to set Docker up is gone on every engine.
    Suite(
        "docker",
        (
            ("-n", "3", "--dist", "loadgroup", f"--ignore={DOWNTIME}", "tests/docker"),
            ("-rP", DOWNTIME),
        ),
        minutes=40,
        pytest=True,
    ),
    # Against regressions, on a machine that may do other work: the claims as they stand are `make bench`'s to show.
    Suite(
        "speed",
        ((PYTHON, "tests/benchmark/check.py", "--slack", "1.25"),),
        minutes=10,
    ),
    Suite(
        "sanity",
        (
            (PYTHON, "tests/sanity.py", "2.19", "11", "12", "13"),
            (PYTHON, "tests/sanity.py", "2.21", "13", "12", "14"),
        ),
        minutes=20,
        in_pairs=True,
    ),
    Suite("molecule", tuple(("tests/molecule", name) for name in scenarios()), minutes=20, in_pairs=True),
)


def run(command: Sequence[str], minutes: int, output: Optional[IO[str]] = None) -> Optional[int]:
    """The command's exit status, or None where it took too long; then it and all that it started is ended."""
    process = subprocess.Popen(
        command, cwd=REPOSITORY, start_new_session=True, stdout=output, stderr=subprocess.STDOUT if output else None
    )
    try:
        return process.wait(timeout=minutes * 60)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


class Counts(NamedTuple):
    """What a report says of its tests."""

    passed: int
    skipped: int
    failures: tuple[str, ...]


def counted(report: Path) -> Counts:
    """How many tests passed and were skipped, and which failed, according to a JUnit report; nothing without one."""
    cases = list(ET.parse(report).iter("testcase")) if report.exists() else []
    reasons = {case: reason for case in cases for reason in [*case.iter("error"), *case.iter("failure")]}
    skipped = sum(case.find("skipped") is not None for case in cases)
    failures = tuple(f"{case.get('classname')}::{case.get('name')}: {in_one_line(it)}" for case, it in reasons.items())
    return Counts(len(cases) - len(reasons) - skipped, skipped, failures)


def in_one_line(reason: ET.Element) -> str:
    """What a failed test said, as far as a line holds it."""
    return " ".join((reason.get("message") or "no reason given").split())[:REASON_LENGTH]


def run_pytest(suite: Suite) -> Outcome:
    passed = failed = skipped = 0
    remarks = []
    failures: tuple[str, ...] = ()
    for arguments in suite.commands:
        report = REPORTS / f"{suite.name}.xml"
        report.unlink(missing_ok=True)
        status = run([PYTHON, "-m", "pytest", f"--junit-xml={report}", *arguments], suite.minutes)
        counts = counted(report)
        passed, failed, skipped = passed + counts.passed, failed + len(counts.failures), skipped + counts.skipped
        failures += counts.failures
        if status != 0 and not counts.failures:  # nothing collected, broken off, too long: no test says so
            failed += 1
            remarks.append(f"pytest {' '.join(arguments)}: {explain(status, suite.minutes)}")
    if skipped:
        remarks.append(f"{skipped} skipped")
    return Outcome(suite.name, passed, failed, "; ".join(remarks), failures=failures)


def run_commands(suite: Suite) -> Outcome:
    passed = failed = 0
    remarks = []
    for command, status in run_in_pairs(suite) if suite.in_pairs else run_in_turn(suite):
        words = " ".join(command[1:3] if command[0] == PYTHON else command[: 2 if suite.name == "molecule" else 1])
        if status == 0:
            passed += 1
        elif status == NOT_RUN:
            remarks.append(f"{words}: not run")
        else:
            failed += 1
            remarks.append(f"{words}: {explain(status, suite.minutes)}")
    if not suite.commands:
        failed, remarks = 1, ["nothing to run"]
    return Outcome(suite.name, passed, failed, "; ".join(remarks))


Ended = Tuple[Sequence[str], Optional[int]]


def run_in_turn(suite: Suite) -> Iterator[Ended]:
    """Each command with its status, when it has ended."""
    for command in suite.commands:
        print("$", *command, flush=True)
        yield command, run(command, suite.minutes)


def run_in_pairs(suite: Suite) -> Iterator[Ended]:
    """The same, two at a time, each with its output as a whole: they wait a lot for what they have started."""

    def one(command: Sequence[str]) -> Tuple[Optional[int], str]:
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
            status = run(command, suite.minutes, output)
            output.seek(0)
            return status, output.read()

    with ThreadPoolExecutor(2) as pool:
        for command, (status, said) in zip(suite.commands, pool.map(one, suite.commands)):
            print("$", *command)
            print(said, flush=True)
            yield command, status


def explain(status: Optional[int], minutes: int) -> str:
    return f"ended after {minutes} minutes" if status is None else f"exit status {status}"


def main(names: Sequence[str]) -> int:
    known = {suite.name for suite in SUITES}
    if not set(names) <= known:
        print(f"no such suite: {', '.join(sorted(set(names) - known))}; there are {', '.join(sorted(known))}")
        return 2
    REPORTS.mkdir(parents=True, exist_ok=True)
    # Samples; with 10000 and 1 it takes hours.
    os.environ.setdefault("HOSTWIRE_PAIRS", "200")  # of documents, in tests/kernel/test_convergence.py
    os.environ.setdefault("HOSTWIRE_STRIDE", "3")  # from step to step at which a run is killed or fails
    os.environ["PATH"] = f"{Path(PYTHON).parent}:{os.environ['PATH']}:/usr/sbin:/sbin"

    outcomes = []
    for suite in SUITES:
        if not (suite.name in names if names else suite.usual):
            continue
        print(f"\n===== {suite.name} =====", flush=True)
        begin = time.monotonic()
        outcome = run_pytest(suite) if suite.pytest else run_commands(suite)
        outcomes.append(outcome._replace(seconds=time.monotonic() - begin))

    print("\n===== summary =====")
    for outcome in outcomes:
        counts = f"{outcome.passed:6} passed {outcome.failed:4} failed"
        print(f"{outcome.name:11}{counts}{outcome.seconds:7.0f} s  {outcome.remark}")
    failing = [outcome.name for outcome in outcomes if outcome.failed]
    for failure in [failure for outcome in outcomes for failure in outcome.failures]:
        print(f"failed: {failure}")
    if failing:
        print(f"Look above, below the headings of {', '.join(failing)}, and in build/reports.")
        print(f"One alone, again: .venv/bin/python tests/run.py {failing[0]}")
    print(f"{sum(outcome.passed for outcome in outcomes)} passed, {sum(outcome.failed for outcome in outcomes)} failed")
    return 1 if failing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
