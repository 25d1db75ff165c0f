# SPDX-License-Identifier: GPL-3.0-or-later
"""NAT, published ports and what protects guests, spoken to iptables in whole transactions over chains of our own.

Reading (:func:`observe`), deciding (:func:`changes`) and writing (:func:`restore`) are apart; only the first and the
last run a program.
"""

from __future__ import annotations

from .changes import FirewallChange, Swap, changes
from .conntrack import forget_flows
from .describe import describe, warnings
from .programs import blank, observe, restore
from .tables import Tables
from .want import FirewallWant, GuestNetwork, families, localnet_interfaces, needed

__all__ = [
    "FirewallChange",
    "FirewallWant",
    "GuestNetwork",
    "Swap",
    "Tables",
    "blank",
    "changes",
    "describe",
    "families",
    "forget_flows",
    "localnet_interfaces",
    "needed",
    "observe",
    "restore",
    "warnings",
]
