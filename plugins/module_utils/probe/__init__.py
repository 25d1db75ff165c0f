# SPDX-License-Identifier: GPL-3.0-or-later
"""Reachability probes: from namespaces, containers and the host, all of them at once."""

from __future__ import annotations

from .race import ProbeResult, run
from .rows import matrix

__all__ = ["ProbeResult", "matrix", "run"]
