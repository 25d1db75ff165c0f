# SPDX-License-Identifier: GPL-3.0-or-later
"""What of the machine's own network nothing may change, as text to compare."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

SYSCTLS = Path("/proc/sys/net")
COUNTING = {"nf_conntrack_count"}  # a reading, not a setting


def _said(*command: str) -> str:
    if shutil.which(command[0]) is None:
        return ""
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout


def _without_timers(text: str) -> str:
    """Lifetimes of leased addresses and learnt routes run down by themselves, packet counters up."""
    lines = [line.split(" expires ")[0] for line in text.splitlines() if "valid_lft" not in line]
    return "\n".join(line for line in lines if not line.startswith("#"))


def own_network() -> dict[str, str]:
    """Links, addresses, routes and rules of both families, and firewall rules of each backend, for root to read."""
    commands = {
        "links": ("ip", "-details", "link", "show"),
        "addresses": ("ip", "address", "show"),
        "routes": ("ip", "-4", "route", "show", "table", "all"),
        "routes6": ("ip", "-6", "route", "show", "table", "all"),
        "rules": ("ip", "rule", "show"),
        "iptables": ("iptables-save",),
        "ip6tables": ("ip6tables-save",),
        "iptables-legacy": ("iptables-legacy-save",),
        "nftables": ("nft", "list", "ruleset"),
        "namespaces": ("ip", "netns", "list"),
    }
    return {name: _without_timers(_said(*command)) for name, command in commands.items()}


def own_sysctls() -> dict[str, str]:
    """Every readable setting below net, by path."""
    values = {}
    for path in sorted(SYSCTLS.rglob("*")):
        if path.is_file() and path.name not in COUNTING:
            try:
                values[str(path)] = path.read_text(encoding="utf-8", errors="replace")
            except OSError:  # written only, or a secret that was never set
                continue
    return values


def changed_sysctls(before: dict[str, str]) -> dict[str, tuple[str, str | None]]:
    """Settings that aren't what they were. New ones don't count: the kernel makes them when it loads a module."""
    now = own_sysctls()
    return {path: (value, now.get(path)) for path, value in before.items() if now.get(path) != value}
