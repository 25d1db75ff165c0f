# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a host obeys anybody's redirects: as a router never by our doing, and afterwards no less safe than before.

The kernel makes all.accept_redirects 0 when IPv4 forwarding goes on, and 1 when it goes off (hazards 30 and 48). What
it was before is remembered for as long as a document keeps forwarding on.
"""

from __future__ import annotations

from typing import Dict, List, Optional

from .. import sysctl
from .actions import Action, SysctlSet
from .owned import Change, SysctlKey
from .sheet import SYSCTL, Sheet

ACCEPT_REDIRECTS = "net/ipv4/conf/all/accept_redirects"
_ACCEPT_RA = "/accept_ra"


def switch_of(key: SysctlKey) -> Optional[SysctlKey]:
    """The forwarding switch along with which a setting is changed and remembered; None if there is none."""
    netns, path = key
    if path == ACCEPT_REDIRECTS:
        return netns, sysctl.IPV4_FORWARDING
    return (netns, sysctl.IPV6_FORWARDING) if path.endswith(_ACCEPT_RA) else None


def along_with(switches: Dict[SysctlKey, Change], owned: Dict[SysctlKey, Change]) -> Dict[SysctlKey, Change]:
    """What is remembered of redirects for the sake of these switches."""
    return {key: change for key, change in owned.items() if key[1] == ACCEPT_REDIRECTS and switch_of(key) in switches}


def follow(sheet: Sheet, netns: Optional[str], value: str, line: int) -> None:
    """IPv4 forwarding becomes ``value``: do what is to be done behind it, and remember what was."""
    key, now = (netns, ACCEPT_REDIRECTS), _now(sheet, netns)
    if now is None:
        return
    sheet.switched.add(netns)
    said, memory = sheet.said.get(key), sheet.owned.sysctls.get(key)
    first = now if memory is None else memory.before
    kernels = _kernels(value)
    if said is not None:
        target = said
    elif value == "1":
        target = kernels
    else:
        target = first if memory is not None and now in (memory.after, memory.perhaps) else now
    if target != kernels:
        sheet.do(SYSCTL, line, SysctlSet(netns, ACCEPT_REDIRECTS, target), SysctlSet(netns, ACCEPT_REDIRECTS, now))
    perhaps = kernels if target != kernels else None  # so it is if the run is killed in between
    if said is not None:
        sheet.after.sysctls.setdefault(key, Change(first, said, perhaps))
    elif value == "1" and sheet.said.get((netns, sysctl.IPV4_FORWARDING)) == value:
        sheet.after.sysctls[key] = Change(first, target)
    elif perhaps is not None:
        sheet.after.sysctls[key] = Change(target, target, perhaps)
    else:
        sheet.after.sysctls.pop(key, None)


def undoing(sheet: Sheet, netns: Optional[str], value: str) -> List[Action]:
    """What makes it as it was, behind IPv4 forwarding that is put back from ``value``."""
    now = _now(sheet, netns)
    if now in (None, _kernels("0" if value == "1" else "1")):
        return []
    return [SysctlSet(netns, ACCEPT_REDIRECTS, now or "")]


def outdated(sheet: Sheet, netns: Optional[str]) -> Optional[str]:
    """The value that a router is to have instead of the one that we gave it and nobody asks for any more."""
    key = (netns, ACCEPT_REDIRECTS)
    memory = sheet.owned.sysctls.get(key)
    ours = memory is not None and memory.after == "1" == _now(sheet, netns)
    return "0" if ours and key not in sheet.said else None


def is_seen_to(sheet: Sheet, netns: Optional[str], forwards: Optional[str]) -> bool:
    """Whether what is remembered is no longer to be put back by itself: the switch does it, or its turn comes."""
    said = sheet.said.get((netns, sysctl.IPV4_FORWARDING), forwards)
    return netns in sheet.switched or said != forwards


def _now(sheet: Sheet, netns: Optional[str]) -> Optional[str]:
    namespace = sheet.namespace(netns)
    return namespace.sysctls.get(ACCEPT_REDIRECTS) if namespace is not None else None


def _kernels(forwarding: str) -> str:
    """What the kernel makes of it when forwarding becomes so."""
    return "0" if forwarding == "1" else "1"
