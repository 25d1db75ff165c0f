# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking a run back: the inverse of each step that was done, last first, and what went along with them."""

from __future__ import annotations

from typing import Callable, Dict, Iterable, List, Optional, Sequence

from .. import sysctl
from ..document.prefix import known_prefix
from ..errors import HostwireError
from ..model import Address, HostView, Link, NamespaceView
from ..plan.actions import (
    Action,
    AddressAdd,
    AddressDelete,
    LinkChange,
    PortChange,
    Step,
    SysctlSet,
    UplinkAttach,
    UplinkDetach,
)
from ..plan.owned import nothing
from ..plan.sheet import Sheet, devices
from ..rtnetlink.constants import IFA_F_SECONDARY, RTPROT_KERNEL
from .differences import is_made, link_names, route_facts, touched_links
from .executor import Executor, Work


def take_back(
    steps: Sequence[Step], positions: Iterable[int], lines: Sequence[str], go_home: Callable[[], None]
) -> Dict[int, List[str]]:
    """Undo the steps at these positions, in this order; those of which a part could not be undone, and why.

    ``go_home`` is called before each: one that failed may have failed elsewhere. Behind an interface's move that could
    not be undone all stays, for it bears the host's own connection.
    """
    failures: Dict[int, List[str]] = {}
    barred = False
    for position in positions:
        if barred:
            failures[position] = []
            continue
        go_home()
        step = steps[position]
        subject = f"undo of: {lines[step.line] if step.line < len(lines) else 'a step'}"
        words = do_tolerantly([Work(_at_once(action), subject) for action in step.inverse])
        if words:
            failures[position] = words
            barred = isinstance(step.action, (UplinkAttach, UplinkDetach))
    return failures


def _at_once(action: Action) -> Action:
    """An IPv6 address that was there before needn't be checked again, and its neighbours are to know it at once."""
    return action._replace(unchecked=True) if isinstance(action, AddressAdd) and ":" in action.address else action


def do_tolerantly(work: Sequence[Work]) -> List[str]:
    """Do what can be done, each by itself where it can't be done together; why the rest can't, in words.

    Sockets are new each time: an old one may be what is broken.
    """
    if not work:
        return []
    try:
        with Executor(tolerant=True) as executor:
            executor.run(work)
    except (HostwireError, OSError) as error:
        if len(work) > 1:
            return [words for one in work for words in do_tolerantly([one])]
        return list(error.problems) if isinstance(error, HostwireError) else [f"{work[0].subject}: {error}"]
    return []


def mend(before: HostView, after: HostView, steps: Sequence[Step]) -> List[Action]:
    """What puts back what the undone steps took along without naming it: a link's routes that went with its last
    address or its state, addresses that went with a primary one, settings that a switch drags along.

    Only of links that the steps touched: what other people changed meanwhile stays changed.
    """
    actions: List[Action] = []
    touched = touched_links(steps, before)
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
        present = {route_facts(route, link_names(now)) for route in now.routes}
        for route in then.routes:
            if route.protocol == RTPROT_KERNEL or not devices(route) & set(indexes.values()):
                continue
            if route_facts(route, link_names(then)) not in present:
                actions.append(sheet.remake_route(netns, route))
        for path, value in then.sysctls.items():
            if value is not None and now.sysctls.get(path) not in (None, value):
                actions.append(SysctlSet(netns, path, value))
    return actions


def _mend_link(then: NamespaceView, now: NamespaceView, link: Link) -> List[Action]:
    netns, there = then.netns, now.links[link.name]
    actions: List[Action] = []
    if (link.up, link.mtu, link.alias, link.group) != (there.up, there.mtu, there.alias, there.group):
        actions.append(LinkChange(netns, link.name, link.up, mtu=link.mtu, alias=link.alias, group=link.group))
    if None not in (link.accept_ra, there.accept_ra) and link.accept_ra != there.accept_ra:
        # IPv6 went and came back, with the settings of a new link.
        actions.append(SysctlSet(netns, sysctl.accept_ra(link.name), str(link.accept_ra)))
    as_port = link.isolated, link.hairpin
    if None not in (*as_port, there.isolated) and as_port != (there.isolated, there.hairpin):
        actions.append(PortChange(netns, link.name, *as_port))
    present = {address.address for address in now.addresses.get(there.index, ())}
    for address in then.addresses.get(link.index, ()):
        if is_made(address) and address.address not in present:
            actions.append(_at_once(AddressAdd(netns, link.name, address.address)))
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
    return known_prefix(entry.address).network
