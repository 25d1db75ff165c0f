# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the repository importable as the collection that it is: ansible_collections.hostwire.linux."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
BUILD = REPOSITORY / "build"
LINK = BUILD / "ansible_collections" / "hostwire" / "linux"

LINK.parent.mkdir(parents=True, exist_ok=True)
with contextlib.suppress(FileExistsError):
    LINK.symlink_to("../../..", target_is_directory=True)
sys.path.insert(0, str(BUILD))
