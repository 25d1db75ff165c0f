# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading ``sysctls``: settings below /proc/sys, as paths with slashes (hazard 31)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Dict, Optional, Tuple

from .fields import Fields, shown

_PART = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*", re.ASCII)
_VALUE = re.compile(r"[ -~\t]{1,4096}", re.ASCII)


def sysctls(fields: Fields) -> Tuple[Tuple[str, str], ...]:
    """``sysctls``: slash path below /proc/sys to value, sorted by path (hazard 31)."""
    values = fields.values.get("sysctls")
    if values is None:
        return ()
    if not isinstance(values, Mapping):
        fields.problem("sysctls", f"{shown(values)} is not a mapping; say it like {{net.ipv4.conf.all.rp_filter: 1}}")
        return ()
    found: Dict[str, str] = {}
    for key, value in values.items():
        where = f"sysctls[{key if isinstance(key, str) and key and key.isprintable() else shown(key)}]"
        path = sysctl_path(key)
        reason = why_not_a_sysctl(path) or why_not_a_sysctl_value(value)
        if reason:
            fields.problem(where, reason)
        elif path in found:
            fields.problem(where, f"{path} is there twice, once with dots and once with slashes")
        else:
            found[path] = str(int(value)) if isinstance(value, bool) else " ".join(str(value).split())
    return tuple(sorted(found.items()))


def sysctl_path(key: object) -> str:
    """The path below /proc/sys; a key whose first separator is a slash is one already (sysctl(8))."""
    if not isinstance(key, str):
        return ""
    first = re.search(r"[./]", key)
    if first is None or first[0] == "/":
        return key
    return key.translate(str.maketrans("./", "/."))


# Fields of their own, and several more settings hang on them (hazard 30).
_FORWARDING = {
    "net/ipv4/ip_forward": "ipv4",
    "net/ipv4/conf/all/forwarding": "ipv4",
    "net/ipv6/conf/all/forwarding": "ipv6",
}


def why_not_a_sysctl(path: str) -> Optional[str]:
    """What is wrong with a path below /proc/sys, or None."""
    parts = path.split("/")
    if parts[0] != "net" or len(parts) < 3:
        return "is not a setting of the network; say one below net, like net.ipv4.conf.all.rp_filter"
    if not all(_PART.fullmatch(part) for part in parts):
        return "is no path of a setting; say it like net.ipv4.conf.all.rp_filter or net/ipv4/conf/eth0.100/rp_filter"
    if parts[2] in ("conf", "neigh") and len(parts) > 5:
        right = "/".join([*parts[:3], ".".join(parts[3:-1]), parts[-1]])
        return f"can't be told apart from an interface with dots in its name; say {right}"
    if path in _FORWARDING:
        return f"is set by the field forwarding; say forwarding: {{{_FORWARDING[path]}: true}} instead"
    return None


def why_not_a_sysctl_value(value: object) -> Optional[str]:
    """What is wrong with the value of a setting, or None."""
    if isinstance(value, int) and value.bit_length() <= 64:
        return None
    if isinstance(value, str) and value.strip() and _VALUE.fullmatch(value):
        return None
    return f"{shown(value)} is not a value for a setting; say a number or text"
