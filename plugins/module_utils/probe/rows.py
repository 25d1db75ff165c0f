# SPDX-License-Identifier: GPL-3.0-or-later
"""Results of probes as rows of plain values, for return values and reports."""

from __future__ import annotations

from typing import Any, Dict, Iterable, List

from .race import ProbeResult

WORDS = {True: "reachable", False: "unreachable"}


def matrix(results: Iterable[ProbeResult]) -> List[Dict[str, Any]]:
    """One row per result, in the same order. ``from`` None is the host; ``milliseconds`` None: nothing answered."""
    return [
        {
            "from": result.probe.source,
            "to": result.probe.to,
            "protocol": result.probe.protocol,
            "port": result.probe.port,
            "expect": WORDS[result.probe.reachable],
            "got": WORDS[result.reachable],
            "ok": result.ok,
            "milliseconds": result.milliseconds,
            "detail": result.detail,
        }
        for result in results
    ]
