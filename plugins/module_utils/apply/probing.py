# SPDX-License-Identifier: GPL-3.0-or-later
"""The probes of a document: part of looking whether what was done is so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Tuple

from ..errors import VerificationFailed
from ..model import Topology

if TYPE_CHECKING:
    from ..probe import ProbeResult


def probed(topology: Topology) -> Tuple[ProbeResult, ...]:
    """Try the document's probes. Raises VerificationFailed if one comes out otherwise than declared."""
    if not topology.probes:
        return ()
    from .. import probe

    results = probe.run(topology.probes)
    wrong = [result for result in results if not result.ok]
    if wrong:
        raise VerificationFailed([_surprise(result) for result in wrong])
    return results


def _surprise(result: ProbeResult) -> str:
    claim = result.probe
    where = claim.source or "the host"
    to = f"{claim.to} ({claim.protocol}{f' {claim.port}' if claim.port else ''})"
    expected, got = ("reachable", "unreachable") if claim.reachable else ("unreachable", "reachable")
    return f"probe: {to} from {where} should be {expected} and is {got}: {result.detail}"
