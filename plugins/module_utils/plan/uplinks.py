# SPDX-License-Identifier: GPL-3.0-or-later
"""Interfaces whose work a bridge does: taken over, and given back with all that has come meanwhile."""

from __future__ import annotations

from typing import Iterable, Optional, Set, Tuple

from .. import sysctl
from ..document.prefix import has_ipv6
from ..model import Baggage, Bridge, Link, LinkKey, Topology
from ..rtnetlink.constants import IFA_F_PERMANENT, RT_SCOPE_LINK, RTPROT_KERNEL
from ..uplink_settings import ADVERTISEMENTS, MODE, NO_IPV6, SECRET, SETTINGS
from . import fallen_uplinks
from .actions import SysctlSet, UplinkAttach, UplinkDetach
from .addresses import plan_addresses, plan_foreign_addresses
from .lost_uplinks import (
    Attachment,
    attachments,
    hand_back,
    mark_of_uplink,
    take_note,
    take_stray_marks,
    together,
    words_of,
)
from .owned import Change, Owned, SysctlKey, owner_of
from .ports import mend_plugged
from .sheet import ATTACH, DETACH, SYSCTL, Sheet, is_our_route, place

DEFAULT_MTU = 1500  # ETH_DATA_LEN, linux/if_ether.h: of a bridge without ports


def attachment_of(owned: Owned, bridge: Bridge) -> Optional[Attachment]:
    """The interface whose work this bridge does by now."""
    mine = [one for one in attachments(owned) if (one.netns, one.bridge) == (bridge.netns, bridge.name)]
    return mine[0] if mine else None


def carriers(topology: Topology, owned: Owned) -> Iterable[LinkKey]:
    """The links whose baggage has to be known to plan this."""
    for bridge in topology.bridges:
        if bridge.uplink is not None:
            yield bridge.netns, bridge.uplink
            yield bridge.netns, bridge.name
    for one in attachments(owned):
        yield one.netns, one.nic
        yield one.netns, one.bridge


def take_uplinks(sheet: Sheet, wanted: Topology, whole: bool, gone: Iterable[LinkKey]) -> None:
    """Give back what the document no longer asks for, before its bridge goes."""
    bridges = {(bridge.netns, bridge.name): bridge for bridge in wanted.bridges}
    doomed: Set[LinkKey] = set(gone)
    served = {(bridge.netns, bridge.uplink) for bridge in wanted.bridges}
    for one in attachments(sheet.owned):
        key = (one.netns, one.bridge)
        bridge = bridges.get(key)
        if whole or bridge is not None or key in doomed or one.carried in served:
            hand_back(sheet, one, one.carried in served)
        if bridge is not None and bridge.uplink == one.nic:
            continue
        if bridge is not None and bridge.uplink is not None:
            sheet.conflicts.append(
                f"bridge {one.bridge}: {one.nic} is its uplink: leave uplink out first, then say {bridge.uplink}"
            )
        elif bridge is not None or key in doomed or whole:
            _detach(sheet, one, bridge is not None)
    if whole:
        take_stray_marks(sheet)


def _detach(sheet: Sheet, one: Attachment, stays: bool) -> None:
    netns = one.netns
    sheet.after.settings.pop(one.key, None)
    sheet.after.carried.pop(one.carried, None)
    own = tuple(address for where, link, address in sheet.owned.addresses if (where, link) == (netns, one.bridge))
    for address in own:
        sheet.after.addresses.pop((netns, one.bridge, address), None)
    bridge, nic = sheet.link(netns, one.bridge), sheet.link(netns, one.nic)
    if bridge is None or not sheet.is_ours(netns, bridge):
        return
    sheet.leaving.add((netns, one.bridge))
    baggage = sheet.view.views[netns].baggage[one.bridge]
    routes = tuple(key[1:] for key in sheet.owned.routes if key[0] == netns)
    moving = baggage._replace(
        addresses=tuple(address for address in baggage.addresses if address not in own),
        routes=tuple(route for route in baggage.routes if route not in routes),
    )
    if nic is None:
        if moving.addresses:
            sheet.conflicts.append(
                f"{place(netns)}: {one.nic} is gone, and {one.bridge} has its addresses "
                f"({', '.join(moving.addresses)}): put it back, or take them from {one.bridge} first"
            )
        return
    if nic.master not in (None, bridge.index):
        sheet.conflicts.append(f"{place(netns)}: {one.nic} is a port of another bridge by now; take it out there first")
        return
    marked = mark_of_uplink(nic) is not None and one.carried not in sheet.given_back
    if nic.master is None and not any(moving[:4]) and not marked:
        return
    if not nic.up and any(moving[:4]):
        sheet.conflicts.append(
            f"{place(netns)}: {one.nic} is down, and has to be up to take back what {one.bridge} does for it; "
            "set it up first"
        )
        return
    _refuse_obstacles(sheet, one, one.bridge, baggage)
    fallen_uplinks.give_back(sheet, one, bridge)
    line = sheet.line(f"{place(netns)}: {one.nic}: no longer the uplink of {one.bridge}{_words(moving, 'takes back')}")
    sheet.returning.add((netns, one.nic))
    undo = UplinkAttach(netns, one.bridge, one.nic, own, stays)
    sheet.do(DETACH, line, UplinkDetach(netns, one.bridge, one.nic, own, routes), undo)


def plan_uplinks(sheet: Sheet, wanted: Iterable[Bridge]) -> None:
    """See that each bridge with an uplink does the work of that interface, all of it."""
    for bridge in wanted:
        nic = sheet.link(bridge.netns, bridge.uplink) if bridge.uplink is not None else None
        if nic is not None:
            _attach(sheet, bridge, nic)
    for one in attachments(sheet.after):
        take_note(sheet, one)


def _attach(sheet: Sheet, bridge: Bridge, nic: Link) -> None:
    netns = bridge.netns
    one = Attachment(netns, nic.name, bridge.name)
    what = f"bridge {bridge.name}: uplink {nic.name}"
    owner = owner_of(nic.alias)
    if owner is not None:
        sheet.conflicts.append(f"{what}: it belongs to the document {owner!r}")
        return
    if nic.kind == "bridge":
        sheet.conflicts.append(f"{what}: it is a bridge itself, and can't be a port of another")
        return
    have = sheet.link(netns, bridge.name)
    master = sheet.names(netns).get(nic.master or 0)
    if master is not None and master != bridge.name:
        sheet.conflicts.append(f"{what}: it is a port of {master} already; take it out there first")
        return
    mark = mark_of_uplink(nic) if master is None else None
    if mark is not None and mark.document != sheet.owned.name:
        sheet.conflicts.append(
            f"{what}: its altname says that it is the uplink of {mark.bridge} of the document {mark.document!r}; "
            "that one has to let it go first"
        )
        return
    sheet.after.settings[one.key] = Change("none", bridge.name)
    baggage = _held(sheet, netns, nic.name)
    if have is not None and nic.master == have.index:
        fallen_uplinks.raise_again(sheet, one, bridge, have)
        mend_plugged(sheet, netns, nic, have)
        if not any(baggage[:4]):
            return
    _refuse_obstacles(sheet, one, nic.name, baggage)
    line = sheet.line(f"{place(netns)}: {nic.name}: uplink of {bridge.name}{_words(baggage, 'which takes over')}")
    own = tuple(address for address in bridge.addresses if address not in baggage.addresses)
    settled = have is not None and _behave_alike(sheet, bridge, nic.name, line)
    sheet.do(
        ATTACH,
        line,
        UplinkAttach(netns, bridge.name, nic.name, own, settled),
        UplinkDetach(netns, bridge.name, nic.name, own, ()),
    )
    _hear_as_it_was(sheet, bridge, nic.name, line)


def _behave_alike(sheet: Sheet, bridge: Bridge, nic: str, line: int) -> bool:
    """A bridge that is there does as its uplink from now on, and remembers what it did. False if that isn't known."""
    netns, baggage = bridge.netns, sheet.view.views[bridge.netns].baggage
    its, mine = (dict(baggage[name].settings) if name in baggage else {} for name in (nic, bridge.name))
    secret = False
    for template, value in its.items() if mine else ():
        path, now = template.format(bridge.name), mine.get(template)
        if value is None or sheet.word(netns, path) is not None:
            continue
        if template == NO_IPV6 and value == "1" and has_ipv6(bridge.addresses):
            continue
        if template == SECRET:
            secret = value != now
        elif now is None or (value == now and not (secret and template == MODE)):
            continue
        if template == SECRET and not secret:
            continue
        sheet.do(
            ATTACH, line, SysctlSet(netns, path, value), *([SysctlSet(netns, path, now)] if now is not None else [])
        )
        if now not in (None, value) and template != ADVERTISEMENTS:  # which no switch of ours heeds by itself
            known = sheet.after.sysctls.get((netns, path))
            sheet.after.sysctls[(netns, path)] = Change(now if known is None else known.before, value)
    return bool(its and mine)


def settings_of_bridges(owned: Owned, topology: Topology, served: bool) -> Set[SysctlKey]:
    """What is remembered of how bridges behaved that do an uplink's work, or (``served`` False) that did and don't."""
    attached = {(one.netns, one.bridge) for one in attachments(owned)}
    bridges = [bridge for bridge in topology.bridges if (bridge.netns, bridge.name) in attached]
    return {
        (bridge.netns, template.format(bridge.name))
        for bridge in bridges
        if (bridge.uplink is not None) == served
        for template in SETTINGS
    } & owned.sysctls.keys()


def _hear_as_it_was(sheet: Sheet, bridge: Bridge, nic: str, line: int) -> None:
    """A bridge takes over its uplink's settings; one that this run puts back is put back there, too."""
    key, path = (bridge.netns, sysctl.accept_ra(nic)), sysctl.accept_ra(bridge.name)
    change = sheet.owned.sysctls.get(key)
    if change is not None and key not in sheet.after.sysctls and sheet.word(bridge.netns, path) is None:
        values = (change.before, change.after)
        sheet.do(SYSCTL, line, *(SysctlSet(bridge.netns, path, value) for value in values))


def _refuse_obstacles(sheet: Sheet, one: Attachment, link: str, baggage: Baggage) -> None:
    for obstacle in baggage.obstacles:
        sheet.conflicts.append(
            f"bridge {one.bridge}: uplink {one.nic}: the work of {link} can't move: {obstacle}; change that first"
        )


def _words(baggage: Baggage, verb: str) -> str:
    return f", {verb} {words_of(baggage)}" if any(baggage[:4]) else ""


def _held(sheet: Sheet, netns: Optional[str], nic: str) -> Baggage:
    """What an interface holds when a bridge takes it over."""
    there = sheet.view.views[netns].baggage[nic]
    returned = sheet.given_back.get((netns, nic))
    return there if returned is None else together(there, returned)


def plan_bridge_addresses(sheet: Sheet, bridge: Bridge, have: Optional[Link]) -> None:
    """Just the document's addresses; with an uplink they are beside those that came with it, or come (a lease)."""
    netns, name = bridge.netns, bridge.name
    shares = attachment_of(sheet.owned, bridge) is not None
    wanted = bridge.addresses
    if bridge.uplink is not None and sheet.link(netns, bridge.uplink) is not None:
        arriving = _held(sheet, netns, bridge.uplink).addresses
        wanted = tuple(address for address in wanted if address not in arriving)
    if shares and have is not None:
        plan_foreign_addresses(sheet, netns, name, wanted, have)
    else:
        if have is not None and not (sheet.certain and (netns, name) in sheet.owned.links):
            _refuse_doubt(sheet, bridge, have)
        alone = bridge.uplink is None and not shares and has_only_own_ports(sheet, netns, name, have)
        plan_addresses(sheet, netns, name, wanted, have, unchecked=alone)
    for address in wanted:
        if bridge.uplink is None:
            sheet.after.addresses.pop((netns, name, address), None)
        elif not shares:
            sheet.after.addresses[(netns, name, address)] = None


def _refuse_doubt(sheet: Sheet, bridge: Bridge, have: Link) -> None:
    """By its mark it is ours, and nothing is remembered of it: with a port that isn't, it may do that one's work."""
    netns, view = bridge.netns, sheet.view.views[bridge.netns]
    ports = [link.name for link in view.links.values() if link.master == have.index and owner_of(link.alias) is None]
    plugged = {key[1] for key in sheet.owned.settings if key[0] == netns}
    there = [entry for entry in view.addresses.get(have.index, ()) if entry.flags & IFA_F_PERMANENT]
    surplus = [one.address for one in there if one.scope != RT_SCOPE_LINK and one.address not in bridge.addresses]
    strangers = [port for port in ports if port not in plugged]
    what = f"bridge {bridge.name} ({place(netns)}): {', '.join(surplus)} may be the host's: nothing is remembered of"
    if surplus and strangers:
        sheet.conflicts.append(
            f"{what} the bridge, and {', '.join(strangers)}, which isn't ours, is a port of it: say uplink: "
            f"{strangers[0]}, or take the addresses from it first"
        )
    elif surplus and any(not is_our_route(r) and r.protocol != RTPROT_KERNEL for r in sheet.through(netns, have)):
        sheet.conflicts.append(
            f"{what} the bridge, and routes that aren't ours lead by it; delete them, or take the addresses off first"
        )


def has_only_own_ports(sheet: Sheet, netns: Optional[str], name: str, bridge: Optional[Link]) -> bool:
    """Whether nobody is on a switch but guests of documents: no wire, and nothing that somebody else plugged in."""
    if bridge is None or (netns, name) in sheet.wired:
        return (netns, name) not in sheet.wired
    links = sheet.view.views[netns].links.values()
    return all(owner_of(link.alias) is not None for link in links if link.master == bridge.index)


def look_of(sheet: Sheet, bridge: Bridge) -> Tuple[Optional[str], Optional[int]]:
    """The MAC address and MTU that a bridge is to have; None leaves them as they are.

    Those of its uplink, so that the LAN notices nothing (hazards 3 and 21). Without one any more, its own MAC again,
    and the MTU that the kernel would choose.
    """
    nic = sheet.link(bridge.netns, bridge.uplink) if bridge.uplink is not None else None
    if nic is not None:
        return bridge.mac or nic.mac, bridge.mtu or nic.mtu
    had_one, have = attachment_of(sheet.owned, bridge), sheet.link(bridge.netns, bridge.name)
    if had_one is None or have is None:
        return bridge.mac, bridge.mtu
    links = sheet.view.views[bridge.netns].links.values()
    mtus = [link.mtu for link in links if link.master == have.index and link.name != had_one.nic]
    return bridge.mac or sheet.stable_mac(bridge.netns, bridge.name), bridge.mtu or min(mtus, default=DEFAULT_MTU)
