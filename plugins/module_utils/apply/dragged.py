# SPDX-License-Identifier: GPL-3.0-or-later
"""Which kernel settings steps may have changed: those that they write, and those that go along with something. Pure.

All others are not theirs, whoever changes them meanwhile.
"""

from __future__ import annotations

from typing import Callable, Iterable, Optional, Set

from ..plan.actions import LinkChange, LinkDelete, NetnsDelete, Step, SysctlSet, TapAdd, VethAdd
from ..plan.redirects import ACCEPT_REDIRECTS
from ..plan.settings import link_in
from ..sysctl import IPV4_FORWARDING

_ALL_IPV4 = "net/ipv4/conf/all/forwarding"  # the same switch as IPV4_FORWARDING


def moved_settings(steps: Iterable[Step], netns: Optional[str]) -> Callable[[str], bool]:
    """Whether these steps, or what undoes them, may have changed the setting with this path in a namespace."""
    written: Set[str] = set()
    families: Set[str] = set()  # paths of which every link's may have changed, with * for the link
    links: Set[str] = set()  # made anew, with new settings
    narrowed: Set[str] = set()  # links that may have lost IPv6 for a while (hazard 22)
    for step in steps:
        for action in (step.action, *step.inverse):
            if isinstance(action, VethAdd) and action.peer_netns == netns:
                links.add(action.peer)
            if action.netns != netns:
                continue
            if isinstance(action, NetnsDelete):
                return lambda _path: True
            if isinstance(action, SysctlSet):
                written |= _along(action.path)
                if link_in(action.path) in ("all", "default"):  # IPv4's default is that of links as yet unset, too
                    families.add(_any_link(action.path))
            elif isinstance(action, (LinkDelete, TapAdd, VethAdd)):
                links.add(action.name)
            elif isinstance(action, LinkChange) and action.mtu is not None:
                narrowed.add(action.name)
    if IPV4_FORWARDING in written:
        families.add(_any_link(_ALL_IPV4))

    def moved(path: str) -> bool:
        link = link_in(path)
        if path in written or (link and link in links):
            return True
        return bool(link) and (_any_link(path) in families or (link in narrowed and path.startswith("net/ipv6/")))

    return moved


def _along(path: str) -> Set[str]:
    """What is written with a setting: a router obeys no redirects (hazard 30)."""
    return {IPV4_FORWARDING, _ALL_IPV4, ACCEPT_REDIRECTS} if path in (IPV4_FORWARDING, _ALL_IPV4) else {path}


def _any_link(path: str) -> str:
    return path.replace(f"/{link_in(path)}/", "/*/", 1)
