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

# Of the kernel tests those that take longer than `make test-quick` may; it leaves these out (-m "not slow").
_SLOW = (
    "command_line", "containers", "convergence", "drift", "drift_kinds", "examples", "failures",
    "firewall_lacking", "firewall_packets", "guest_changes", "guest_leases", "guest_modes", "guest_policy",
    "guest_policy_documents", "hairpin", "hung_programs", "kills", "modules", "mtus", "name_service",
    "named_database", "neighbours", "order_of_documents", "ports_of_other_documents", "probe", "quiet",
    "readme_commands", "records", "rehearsal", "restored_rules", "samples", "scenarios", "slips", "small_faults",
    "steps", "uplink", "uplink_deleted", "uplink_failures", "uplink_gaps", "uplink_leases", "uplink_memory",
    "uplink_prefixes",
)  # fmt: skip
SLOW = {f"test_{name}.py" for name in _SLOW}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of the slow files."""
    for item in items:
        if item.path.parent.name == "kernel" and item.path.name in SLOW:
            item.add_marker(pytest.mark.slow)
