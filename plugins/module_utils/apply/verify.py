# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading back: the numbers of what was made, and addresses that take a while to be usable."""

from __future__ import annotations

import time
from typing import Callable, Iterator, List, Tuple

from ..errors import VerificationFailed
from ..model import Address, HostView, Link
from ..plan.owned import Owned, copy
from ..plan.sheet import place
from ..rtnetlink.constants import IFA_F_DADFAILED, IFA_F_TENTATIVE, RT_SCOPE_LINK

# RFC 4862 asks for 1 s after up to 1 s of random delay; Linux takes about 1.9 s, and longer where it has much to do.
DAD_SECONDS = 20.0
CARRIER_SECONDS = 1.0  # a cable's carrier follows its ends going up within this
_POLL_SECONDS = 0.05


def number_owned(owned: Owned, view: HostView) -> Owned:
    """The same with the inodes and indexes that the kernel gave to what was made."""
    numbered = copy(owned)
    for name in owned.namespaces:
        namespace = view.views.get(name)
        if namespace is not None:
            numbered.namespaces[name] = namespace.inode
    for netns, name in owned.links:
        namespace = view.views.get(netns)
        link = namespace.links.get(name) if namespace is not None else None
        if link is not None:
            numbered.links[(netns, name)] = link.index
    return numbered


def await_addresses(owned: Owned, look: Callable[[], HostView], limit: float = DAD_SECONDS) -> HostView:
    """Look until no IPv6 address of ours is tentative any more (hazard 28); VerificationFailed for a duplicate.

    An address on a link that has had no carrier is not waited for: its check begins when somebody plugs in. ``limit``
    is in seconds; with 0 nothing is waited for at all.
    """
    began = time.monotonic()
    while True:
        view = look()
        waiting: List[str] = []
        for where, link, address in _unsettled(owned, view):
            if address.flags & IFA_F_DADFAILED:
                raise VerificationFailed(
                    f"{where}: {link.name}: address {address.address}: somebody else on this network has it"
                )
            if link.checking or time.monotonic() - began < min(CARRIER_SECONDS, limit):
                waiting.append(f"{where}: {link.name}: address {address.address}: still being checked for duplicates")
        if not waiting or not limit:
            return view
        if time.monotonic() - began > limit:
            raise VerificationFailed(waiting)
        time.sleep(_POLL_SECONDS)


def _unsettled(owned: Owned, view: HostView) -> Iterator[Tuple[str, Link, Address]]:
    for netns, namespace in view.views.items():
        for link in namespace.links.values():
            ours = (netns, link.name) in owned.links
            for address in namespace.addresses.get(link.index, ()) if link.up else ():
                if not address.flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED) or address.scope == RT_SCOPE_LINK:
                    continue
                if ours or (netns, link.name, address.address) in owned.addresses:
                    yield place(netns), link, address
