# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules between the objects of one document."""

from __future__ import annotations

from typing import List

from ..model import Topology
from .where import Where


def rule_problems(topology: Topology, where: Where) -> List[str]:
    """One line per broken rule."""
    return []
