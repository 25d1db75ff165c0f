# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the repository importable as the collection that it is: ansible_collections.hostwire.linux."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import pytest
from hypothesis import settings

REPOSITORY = Path(__file__).resolve().parent.parent
BUILD = REPOSITORY / "build"
LINK = BUILD / "ansible_collections" / "hostwire" / "linux"

LINK.parent.mkdir(parents=True, exist_ok=True)
with contextlib.suppress(FileExistsError):
    LINK.symlink_to("../../..", target_is_directory=True)
sys.path.insert(0, str(BUILD))

# How long an example takes says something of the machine, and of what else runs there.
settings.register_profile("hostwire", deadline=None)
settings.load_profile("hostwire")

# What takes longer than `make test-quick` may; it leaves these out (-m "not slow").
SLOW = {
    "test_convergence.py",
    "test_examples.py",
    "test_failures.py",
    "test_guest_leases.py",
    "test_guest_modes.py",
    "test_kills.py",
    "test_modules.py",
    "test_name_service.py",
    "test_named_database.py",
    "test_quiet.py",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of the slow files."""
    for item in items:
        if item.path.parent.name == "kernel" and item.path.name in SLOW:
            item.add_marker(pytest.mark.slow)
