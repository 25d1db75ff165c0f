# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the kernel takes a document's values for settings: asked beforehand, in a namespace that ends at once.

What a setting may be only the kernel knows: a range, one of a few words, a form of its own. The host's own settings
aren't touched.
"""

from __future__ import annotations

import contextlib
import os
from typing import Dict, Iterable, List, Optional, Tuple

from . import netns as namespaces
from . import sysctl
from .errors import HostwireError, KernelRefused
from .plan.owned import SysctlKey
from .plan.settings import link_in
from .plan.sheet import place

# Each namespace has these for itself. Others may be the whole host's, wherever they are written.
_TRIED = ("net/ipv4/", "net/ipv6/", "net/core/")
_UNTRIED = "congestion_control"  # naming an algorithm loads its module
_BESIDE = {  # judged by another one, whose value on the host isn't known here: so by the one that lets most pass
    "net/ipv4/ip_local_port_range": ("net/ipv4/ip_unprivileged_port_start", "0"),
    "net/ipv4/ip_unprivileged_port_start": ("net/ipv4/ip_local_port_range", "65534 65535"),
}
_PLAIN = frozenset(("0", "1", "2"))
_SURE = (  # settings of links of which each kernel takes these: most documents name no others
    *("/rp_filter", "/forwarding", "/accept_ra", "/disable_ipv6", "/arp_ignore", "/arp_announce", "/route_localnet"),
    *("/accept_redirects", "/send_redirects", "/secure_redirects", "/proxy_arp", "/accept_source_route"),
)
_MISSING = "this kernel has no such setting"


def refused(words: Iterable[Tuple[SysctlKey, str, bool]]) -> List[str]:
    """A line for each value that won't be taken, or not as it is written.

    Each word is a namespace and a path, its value, and whether that namespace is yet to be made.
    """
    asked = [word for word in words if not _is_sure(word[0][1], word[1])]
    found: Dict[SysctlKey, Optional[str]] = {key: _why_closed(key[1]) for key, _value, _new in asked if key[0] is None}
    rest = [word for word in asked if found.get(word[0]) is None]
    if rest:
        with contextlib.suppress(KernelRefused), namespaces.scratch("a namespace to try settings in"):
            found.update({key: _tried(key, value, new) for key, value, new in rest})
    return [f"{place(netns)}: sysctl {path}: {reason}" for (netns, path), reason in found.items() if reason]


def _is_sure(path: str, value: str) -> bool:
    return value in _PLAIN and path.endswith(_SURE) and bool(link_in(path))


def _why_closed(path: str) -> Optional[str]:
    """Why it is no setting that anybody could have a value for, in the namespace that the thread is in."""
    try:
        mode = os.stat(f"/proc/sys/{path}").st_mode
    except OSError:
        return None
    if not mode & 0o222:
        return "can only be read here; leave it out"
    if not mode & 0o444:
        return "is an order to the kernel and keeps no value; leave it out"
    return None


def _tried(key: SysctlKey, value: str, new: bool) -> Optional[str]:
    """What comes of it in the namespace that the thread is in, which has no link but lo."""
    netns, path = key
    link = link_in(path)
    here = path if link in ("", "all", "default") else path.replace(f"/{link}/", "/lo/", 1)
    if not os.path.exists(f"/proc/sys/{here}"):
        builtin = path.startswith(_TRIED) and (link or path.count("/") == _TRIED[0].count("/"))
        return _MISSING if new and builtin else None
    closed = _why_closed(here)
    if closed or not path.startswith(_TRIED) or _UNTRIED in path:
        return closed if netns is not None else None
    try:
        if path in _BESIDE:
            sysctl.write(*_BESIDE[path])
        sysctl.write(here, value)
    except HostwireError as error:
        reason = os.strerror(error.errno) if isinstance(error, KernelRefused) else str(error)
        return f"the kernel doesn't take {value} ({reason}); say another value"
    now = sysctl.read(here)
    return None if now in (None, value) else f"the kernel makes {now} of {value}; say that, or another value"
