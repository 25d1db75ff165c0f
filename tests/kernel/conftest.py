# SPDX-License-Identifier: GPL-3.0-or-later
"""Every test here that asks for ``private_host`` runs on a host of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Iterator

import pytest

from ansible_collections.hostwire.linux.tests.kernel import private


@pytest.fixture
def private_host() -> Iterator[Path]:
    """A fresh network and mount namespace for one test; its value is a directory for files."""
    with private.private_host() as directory:
        yield directory
