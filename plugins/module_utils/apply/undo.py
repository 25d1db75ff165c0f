# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking a run back: the inverse of each step that was done, last first, and a look whether that was all."""

from __future__ import annotations

import ipaddress
from typing import Dict, Iterable, List, Optional, Sequence, Tuple

from ..errors import HostwireError
from ..model import Address, HostView, KernelRoute, Link, NamespaceView
from ..plan.actions import Action, AddressAdd, AddressDelete, LinkChange, Step, SysctlSet, VethAdd
from ..plan.owned import nothing
from ..plan.sheet import Sheet, devices, place
from ..rtnetlink.constants import IFA_F_PERMANENT, IFA_F_SECONDARY, RT_SCOPE_LINK, RTPROT_KERNEL
from .executor import Executor, Work


def take_back(steps: Sequence[Step], done: Iterable[int], lines: Sequence[str]) -> List[str]:
    """Undo the steps at these positions; what could not be undone, in words."""
    failures: List[str] = []
    for position in sorted(set(done), reverse=True):
        step = steps[position]
        work = [
            Work(action, f"undo of: {lines[step.line] if step.line < len(lines) else ''}") for action in step.inverse
        ]
        failures += do_tolerantly(work)
    return failures


def do_tolerantly(work: Sequence[Work]) -> List[str]:
    """Do what can be done; why the rest can't, in words."""
    try:
        with Executor(tolerant=True) as executor:
            executor.run(work)
    except HostwireError as error:
        return list(error.problems)
    return []


def mend(before: HostView, after: HostView, steps: Iterable[Step]) -> List[Action]:
    """What puts back what the undone steps took along without naming it: a link's routes that went with its last
    address or its state, addresses that went with a primary one, settings that a switch drags along.

    Only of links that the steps touched: what other people changed meanwhile stays changed.
    """
    actions: List[Action] = []
    touched = {link for step in steps for link in _links_of(step.action)}
    names = {netns for netns, _name in touched} | {step.action.netns for step in steps}
    sheet = Sheet(before, nothing(""), "")
    for netns in names:
        then, now = before.views.get(netns), after.views.get(netns)
        if then is None or now is None:
            continue
        for link in then.links.values():
            if (netns, link.name) in touched and link.name in now.links:
                actions += _mend_link(then, now, link)
        indexes = {link.name: link.index for link in then.links.values() if (netns, link.name) in touched}
        present = set(_routes(now))
        for route in then.routes:
            if route.protocol == RTPROT_KERNEL or not devices(route) & set(indexes.values()):
                continue
            if _route_facts(route, _names(then)) not in present:
                actions.append(sheet.remake_route(netns, route))
        for path, value in then.sysctls.items():
            if value is not None and now.sysctls.get(path) not in (None, value):
                actions.append(SysctlSet(netns, path, value))
    return actions


def _mend_link(then: NamespaceView, now: NamespaceView, link: Link) -> List[Action]:
    netns, there = then.netns, now.links[link.name]
    actions: List[Action] = []
    if (link.up, link.mtu, link.alias) != (there.up, there.mtu, there.alias):
        actions.append(LinkChange(netns, link.name, up=link.up, mtu=link.mtu, alias=link.alias))
    present = {address.address for address in now.addresses.get(there.index, ())}
    for address in then.addresses.get(link.index, ()):
        if _is_made(address) and address.address not in present:
            actions.append(AddressAdd(netns, link.name, address.address))
    return actions + _mend_primaries(
        netns, link.name, then.addresses.get(link.index, ()), now.addresses.get(there.index, ())
    )


def _mend_primaries(netns: Optional[str], link: str, then: Sequence[Address], now: Sequence[Address]) -> List[Action]:
    """Within a subnet the first IPv4 address is the primary one: another comes first only if it is given first."""
    primaries = {_network(entry): entry.address for entry in now if not entry.flags & IFA_F_SECONDARY}
    actions: List[Action] = []
    for entry in then:
        network = _network(entry)
        if ":" in entry.address or entry.flags & IFA_F_SECONDARY or primaries.get(network) in (None, entry.address):
            continue
        members = [other.address for other in then if _network(other) == network]
        actions += [AddressDelete(netns, link, address) for address in reversed(members)]
        actions += [AddressAdd(netns, link, address) for address in members]
    return actions


def _network(entry: Address) -> str:
    return str(ipaddress.ip_interface(entry.address).network)


def _links_of(action: Action) -> List[Tuple[Optional[str], str]]:
    names = [getattr(action, field, None) for field in ("name", "link", "dev")]
    found = [(action.netns, name) for name in names if name]
    if isinstance(action, VethAdd):
        found.append((action.peer_netns, action.peer))
    return found


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
    names = _names(view)
    facts: Dict[str, object] = {}
    for link in view.links.values():
        facts[f"link {link.name}"] = _link_facts(link, names)
        for address in view.addresses.get(link.index, ()):
            if _is_made(address):
                facts[f"address {address.address} on {link.name}"] = True
    for route in _routes(view):
        facts[f"route {route}"] = True
    facts["IPv4 forwarding"] = view.forwarding_ipv4
    facts["IPv6 forwarding"] = view.forwarding_ipv6
    for path, value in view.sysctls.items():
        facts[f"sysctl {path}"] = value
    return facts


def _names(view: NamespaceView) -> Dict[int, str]:
    return {link.index: link.name for link in view.links.values()}


def _routes(view: NamespaceView) -> List[Tuple[object, ...]]:
    names = _names(view)
    return [_route_facts(route, names) for route in view.routes if route.protocol != RTPROT_KERNEL]


def _link_facts(link: Link, names: Dict[int, str]) -> Tuple[object, ...]:
    return (link.kind, link.up, link.mtu, names.get(link.master or 0), link.alias, link.stp, link.vlan_filtering)


def _is_made(address: Address) -> bool:
    return address.scope != RT_SCOPE_LINK and bool(address.flags & IFA_F_PERMANENT)


def _route_facts(route: KernelRoute, names: Dict[int, str]) -> Tuple[object, ...]:
    hops = tuple((via, names.get(dev or 0), weight) for via, dev, weight in route.nexthops)
    return (route.to, route.via, names.get(route.dev or 0), route.metric, route.table, route.type, route.protocol, hops)
