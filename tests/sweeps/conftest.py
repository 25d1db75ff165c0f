# SPDX-License-Identifier: GPL-3.0-or-later
"""At the end of a sweep: how many points of each kind were tried, and how each run ended."""

from __future__ import annotations

import pytest

from ansible_collections.hostwire.linux.tests.sweeps import figures


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):  # type: ignore[no-untyped-def]
    """What a test has counted goes along with its report: it may have run in another process."""
    outcome = yield
    if call.when == "call":
        outcome.get_result().user_properties += [("figures", line) for line in figures.taken()]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table."""
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    lines = [
        value
        for report in reports
        if isinstance(report, pytest.TestReport) and report.when == "call"
        for name, value in report.user_properties
        if name == "figures"
    ]
    if lines:
        terminalreporter.section("how the runs ended")
        for line in figures.table(lines):
            terminalreporter.write_line(line)
