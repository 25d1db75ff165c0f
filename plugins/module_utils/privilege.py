# SPDX-License-Identifier: GPL-3.0-or-later
"""What a process must be allowed to do before it can change a network."""

from __future__ import annotations

from typing import Dict

from .errors import MissingOnHost

_BITS: Dict[str, int] = {"CAP_NET_ADMIN": 12, "CAP_SYS_ADMIN": 21}  # linux/capability.h


def demand(namespaces: bool) -> None:
    """Raise MissingOnHost, which names them, if capabilities are missing; ``namespaces``: some are to be entered."""
    needed = ["CAP_NET_ADMIN", "CAP_SYS_ADMIN"] if namespaces else ["CAP_NET_ADMIN"]
    effective = _effective()
    missing = [name for name in needed if not effective >> _BITS[name] & 1]
    if missing:
        raise MissingOnHost(f"this process hasn't got {' and '.join(missing)}: run it as root (become: true)")


def _effective() -> int:
    with open("/proc/self/status", encoding="ascii", errors="replace") as status:
        return next(int(line.split()[1], 16) for line in status if line.startswith("CapEff:"))
