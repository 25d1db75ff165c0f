# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking a run back: the inverse of each step that was done, last first, and a look whether that was all."""

from __future__ import annotations

from typing import Dict, Iterable, List, Optional, Sequence, Tuple

from ..errors import HostwireError
from ..model import Address, HostView, KernelRoute, Link, NamespaceView
from ..plan.actions import Step
from ..plan.sheet import place
from ..rtnetlink.constants import IFA_F_PERMANENT, RT_SCOPE_LINK, RTPROT_KERNEL
from .executor import Executor, Work


def take_back(steps: Sequence[Step], done: Iterable[int], lines: Sequence[str]) -> List[str]:
    """Undo the steps at these positions; what could not be undone, in words."""
    failures: List[str] = []
    for position in sorted(set(done), reverse=True):
        step = steps[position]
        work = [
            Work(action, f"undo of: {lines[step.line] if step.line < len(lines) else ''}") for action in step.inverse
        ]
        try:
            with Executor(tolerant=True) as executor:
                executor.run(work)
        except HostwireError as error:
            failures += error.problems
    return failures


def differences(before: HostView, after: HostView) -> List[str]:
    """What is not as it was, in words. Kernel-made addresses and routes, counters and indexes don't count."""
    found = [f"namespace {name}: is gone" for name in before.names if name not in after.names]
    found += [f"namespace {name}: is left over" for name in after.names if name not in before.names]
    for netns, then in before.views.items():
        now = after.views.get(netns)
        if now is not None:
            found += _compare(netns, _facts(then), _facts(now))
    for path, text in before.files.items():
        if after.files.get(path) != text:
            found.append(f"file {path}: differs")
    return found


def _compare(netns: Optional[str], then: Dict[str, object], now: Dict[str, object]) -> List[str]:
    found = [f"{place(netns)}: {subject}: is gone" for subject in then if subject not in now]
    found += [f"{place(netns)}: {subject}: is left over" for subject in now if subject not in then]
    for subject, value in then.items():
        if subject in now and now[subject] != value:
            found.append(f"{place(netns)}: {subject}: is {now[subject]}, was {value}")
    return found


def _facts(view: NamespaceView) -> Dict[str, object]:
    names = {link.index: link.name for link in view.links.values()}
    facts: Dict[str, object] = {}
    for link in view.links.values():
        facts[f"link {link.name}"] = _link_facts(link, names)
        for address in view.addresses.get(link.index, ()):
            if _is_made(address):
                facts[f"address {address.address} on {link.name}"] = True
    for route in view.routes:
        if route.protocol != RTPROT_KERNEL:
            facts[f"route {_route_facts(route, names)}"] = True
    facts["IPv4 forwarding"] = view.forwarding_ipv4
    facts["IPv6 forwarding"] = view.forwarding_ipv6
    for path, value in view.sysctls.items():
        facts[f"sysctl {path}"] = value
    return facts


def _link_facts(link: Link, names: Dict[int, str]) -> Tuple[object, ...]:
    return (link.kind, link.up, link.mtu, names.get(link.master or 0), link.alias, link.stp, link.vlan_filtering)


def _is_made(address: Address) -> bool:
    return address.scope != RT_SCOPE_LINK and bool(address.flags & IFA_F_PERMANENT)


def _route_facts(route: KernelRoute, names: Dict[int, str]) -> Tuple[object, ...]:
    hops = tuple((via, names.get(dev or 0), weight) for via, dev, weight in route.nexthops)
    return (route.to, route.via, names.get(route.dev or 0), route.metric, route.table, route.type, route.protocol, hops)
