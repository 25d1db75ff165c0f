# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses: the exact set on our own links, only what we gave on other people's (hazard 25)."""

from __future__ import annotations

import socket
from typing import Dict, FrozenSet, Iterable, List, Optional, Set, Tuple, Union

from ..document.containers import cables
from ..document.prefix import has_ipv6, is_link_local, known_prefix
from ..model import Address, Bridge, End, Link, LinkKey, Topology
from ..rtnetlink.constants import IFA_F_PERMANENT, IFA_F_SECONDARY, IFA_F_TENTATIVE, RT_SCOPE_LINK
from .actions import AddressAdd, AddressDelete, SysctlSet
from .connected import plan_connected
from .owned import AddressKey, Change
from .sheet import ADDRESS, BEFORE_UP, SYSCTL, UNADDRESS, Sheet, place


def leased_ends(stored: Topology, previous: Topology) -> Dict[LinkKey, FrozenSet[str]]:
    """The ends of cables to which somebody else gives addresses, with those that we gave them before."""
    leased = {(end.netns, end.name) for veth in cables(stored) for end in veth if end.leased}
    given = {(end.netns, end.name): end.addresses for veth in cables(previous) for end in veth} if leased else {}
    return {key: frozenset(given.get(key, ())) for key in leased}


def given_link_locals(previous: Topology) -> Dict[LinkKey, FrozenSet[str]]:
    """The link-local addresses that a document gave to links of ours; all others on these are the kernel's own."""
    links: List[Union[Bridge, End]] = [*previous.bridges, *(end for veth in cables(previous) for end in veth)]
    found: Dict[LinkKey, FrozenSet[str]] = {}
    for link in links:
        if has_ipv6(link.addresses):
            given = [known_prefix(text) for text in link.addresses]
            link_local = (one.text for one in given if is_link_local(one.family, one.number))
            found[link.netns, link.name] = frozenset(link_local)
    return found


def plan_addresses(
    sheet: Sheet,
    netns: Optional[str],
    link: str,
    wanted: Tuple[str, ...],
    have: Optional[Link],
    unchecked: bool = False,
) -> None:
    """Give our link just these addresses. Those that the kernel or a router made are left alone, and leased ones.

    ``unchecked``: nobody can be there who has one of the IPv6 addresses too, so that they are to be usable at once.
    """
    if have is None:
        for address in wanted:
            _add(sheet, netns, link, address, unchecked, known=False)
        return
    present = sheet.view.views[netns].addresses.get(have.index)
    if present is None:
        for address in wanted:
            _add(sheet, netns, link, address, unchecked)
        return
    given = sheet.leased.get((netns, link))
    judged = {
        entry.address: entry
        for entry in present
        if (_counts(entry, wanted) if given is None else entry.address in wanted or entry.address in given)
        or _was_given(sheet, (netns, link), have, entry)
    }
    if unchecked and not have.checking:
        _make_usable(sheet, netns, link, [judged[address] for address in wanted if address in judged])
    if given is None:
        plan_connected(sheet, netns, have, wanted, judged)
    _exchange(sheet, netns, link, wanted, judged, present, unchecked)


def _make_usable(sheet: Sheet, netns: Optional[str], link: str, there: Iterable[Address]) -> None:
    """The check of these waits for a carrier, which may never come."""
    for entry in there:
        if entry.flags & IFA_F_TENTATIVE and (netns, link) not in sheet.falling:
            line = sheet.line(f"{place(netns)}: {link}: address {entry.address}: usable at once")
            sheet.do(ADDRESS, line, AddressDelete(netns, link, entry.address), AddressAdd(netns, link, entry.address))
            sheet.do(ADDRESS, line, AddressAdd(netns, link, entry.address, unchecked=True))


def plan_foreign_addresses(
    sheet: Sheet, netns: Optional[str], link: str, wanted: Tuple[str, ...], have: Link, unchecked: bool = False
) -> None:
    """Add what is missing; take away what we once gave and is wanted no more; touch nothing else."""
    present = sheet.view.views[netns].addresses.get(have.index, ())
    ours = {
        entry.address: entry
        for entry in present
        if entry.address in wanted or (netns, link, entry.address) in sheet.owned.addresses
    }
    _exchange(sheet, netns, link, wanted, ours, present, unchecked)
    for address in wanted:
        if address not in ours:
            sheet.after.addresses[(netns, link, address)] = None
    for key in [key for key in sheet.owned.addresses if key[:2] == (netns, link) and key[2] not in wanted]:
        sheet.after.addresses.pop(key, None)


def take_foreign_addresses(sheet: Sheet, unwanted: Iterable[AddressKey]) -> None:
    """Take away what we gave to interfaces that aren't ours and that the document no longer mentions at all."""
    by_link: Dict[LinkKey, Set[str]] = {}
    for netns, link, address in unwanted:
        sheet.after.addresses.pop((netns, link, address), None)
        by_link.setdefault((netns, link), set()).add(address)
    for (netns, link), gone in by_link.items():
        have = sheet.link(netns, link)
        present = sheet.view.views[netns].addresses.get(have.index, ()) if have is not None else ()
        ours = {entry.address: entry for entry in present if entry.address in gone}
        _exchange(sheet, netns, link, (), ours, present)


def _counts(entry: Address, wanted: Tuple[str, ...]) -> bool:
    """Whether an address is ours to judge: not one that the kernel derived, or that came by advertisement or lease."""
    if entry.address in wanted:
        return True
    derived = ":" in entry.address and entry.scope == RT_SCOPE_LINK
    return not derived and bool(entry.flags & IFA_F_PERMANENT)


def _was_given(sheet: Sheet, key: LinkKey, have: Link, entry: Address) -> bool:
    """Whether the last document gave a link-local address that isn't the one that the kernel would make anyhow."""
    return entry.address in sheet.link_locals.get(key, ()) and entry.address != _derived(have.mac)


def _derived(mac: str) -> str:
    """The link-local address that the kernel makes of a MAC address (RFC 4291, appendix A); "" of none."""
    packed = bytes.fromhex(mac.replace(":", ""))
    if not packed:  # of a link that is on paper only
        return ""
    interface = bytes([packed[0] ^ 2, *packed[1:3], 0xFF, 0xFE, *packed[3:]])
    return f"{socket.inet_ntop(socket.AF_INET6, bytes([0xFE, 0x80, *bytes(6)]) + interface)}/64"


def _exchange(
    sheet: Sheet,
    netns: Optional[str],
    link: str,
    wanted: Tuple[str, ...],
    ours: Dict[str, Address],
    present: Tuple[Address, ...],
    unchecked: bool = False,
) -> None:
    lost_with_state = (netns, link) in sheet.falling
    for address in wanted:
        if address not in ours or (lost_with_state and ":" in address):
            _add(sheet, netns, link, address, unchecked)
    surplus = [entry for address, entry in ours.items() if address not in wanted]
    if not surplus:
        return
    _keep_secondaries(sheet, netns, link, surplus, present, wanted)
    # Secondaries first: a primary takes its secondaries along.
    for entry in sorted(surplus, key=lambda entry: not entry.flags & IFA_F_SECONDARY):
        if lost_with_state and ":" in entry.address:
            continue  # went with the link's state
        line = sheet.line(f"{place(netns)}: {link}: address {entry.address}: remove")
        undo = AddressAdd(netns, link, entry.address)
        sheet.do(UNADDRESS, line, AddressDelete(netns, link, entry.address), undo)


def _keep_secondaries(
    sheet: Sheet,
    netns: Optional[str],
    link: str,
    surplus: List[Address],
    present: Tuple[Address, ...],
    wanted: Tuple[str, ...],
) -> None:
    """Deleting a primary IPv4 address deletes its secondaries too, unless they are promoted (hazard 26)."""
    kept = [address for address in wanted if ":" not in address]
    kept += [entry.address for entry in present if ":" not in entry.address and entry not in surplus]
    networks = {known_prefix(address).network for address in kept}
    primaries = [entry for entry in surplus if ":" not in entry.address and not entry.flags & IFA_F_SECONDARY]
    path = f"net/ipv4/conf/{link}/promote_secondaries"
    if any(known_prefix(entry.address).network in networks for entry in primaries):
        now = sheet.view.views[netns].sysctls.get(path) or "0"  # read beforehand for interfaces that aren't ours
        if now != "0":
            return
        line = len(sheet.lines)  # part of the first removal's line, which comes next
        sheet.do(BEFORE_UP, line, SysctlSet(netns, path, "1"), SysctlSet(netns, path, now))
        sheet.do(SYSCTL, line, SysctlSet(netns, path, now))
        known = sheet.after.sysctls.get((netns, path), Change(now, now))
        sheet.after.sysctls[(netns, path)] = known._replace(perhaps="1")  # so it is if the run is killed in between


def _add(
    sheet: Sheet, netns: Optional[str], link: str, address: str, unchecked: bool = False, known: bool = True
) -> None:
    line = sheet.line(f"{place(netns)}: {link}: address {address}: add")
    add = AddressAdd(netns, link, address, unchecked and ":" in address)
    if known:
        sheet.do(ADDRESS, line, add, AddressDelete(netns, link, address))
    else:  # goes with the link that the same plan makes
        sheet.do(ADDRESS, line, add)
