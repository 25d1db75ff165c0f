# SPDX-License-Identifier: GPL-3.0-or-later
"""Shared chains that earlier versions wrote: a document's run leaves them, other documents may still hang there."""

from __future__ import annotations

from typing import Dict, Tuple

GUARD = "HOSTWIRE-GUARD"  # hung at the end of FORWARD, the others at the heads of their built-in chains
CHAINS: Dict[str, Tuple[str, ...]] = {
    "raw": ("HOSTWIRE-BRIDGED",),
    "mangle": (),
    "filter": ("HOSTWIRE-FORWARD", "HOSTWIRE-CLOSED", "HOSTWIRE-INPUT", "HOSTWIRE-OUTPUT", GUARD),
    "nat": (),
}
