# SPDX-License-Identifier: GPL-3.0-or-later
"""What finds the cells of the table of modes that a network has otherwise, finds each and nothing else."""

from __future__ import annotations

from typing import FrozenSet

import pytest

from ansible_collections.hostwire.linux.plugins.plugin_utils.guest_network.model import MODES
from ansible_collections.hostwire.linux.tests import guest_modes
from ansible_collections.hostwire.linux.tests.guest_modes import Attempt, expected, wrong_cells


def open_attempts(mode: str) -> FrozenSet[Attempt]:
    return frozenset(attempt for dummy, attempt, wanted in expected(mode, (4, 6)) if wanted)


def test_the_table_has_each_mode_and_each_column() -> None:
    assert set(guest_modes.table()) == set(MODES)
    assert all(set(cells) == set(guest_modes.WAYS) for cells in guest_modes.table().values())


@pytest.mark.parametrize("mode", MODES)
def test_a_network_as_the_table_says_has_no_wrong_cell(mode: str) -> None:
    allowed = open_attempts(mode)
    assert wrong_cells(mode, lambda attempt: attempt in allowed, (4, 6)) == []


@pytest.mark.parametrize("mode", MODES)
def test_each_attempt_that_comes_out_otherwise_is_told(mode: str) -> None:
    allowed = open_attempts(mode)
    for column, attempt, wanted in expected(mode, (4, 6)):
        got = allowed - {attempt} if wanted else allowed | {attempt}
        found = wrong_cells(mode, lambda tried, got=got: tried in got, (4, 6), patience=0)  # type: ignore[misc]
        assert found == [f"{mode}: {column}: {attempt}: {'does not get through' if wanted else 'gets through'}"]


def test_no_mode_passes_for_another() -> None:
    columns = {mode: tuple(cells.values()) for mode, cells in guest_modes.table().items()}
    for mode in MODES:
        allowed = open_attempts(mode)
        for other in MODES:
            found = wrong_cells(other, lambda attempt, allowed=allowed: attempt in allowed, patience=0)  # type: ignore[misc]
            assert bool(found) == (columns[mode] != columns[other]), (mode, other)
