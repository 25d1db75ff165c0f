# SPDX-License-Identifier: GPL-3.0-or-later
"""From what is there and what is wanted to a plan. Pure: reads nothing, changes nothing."""

from __future__ import annotations

from typing import Dict, FrozenSet, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ..errors import Conflict
from ..firewall import FirewallWant, Tables
from ..model import HostView, LinkKey, Topology
from ..netns import Process
from . import removal
from .actions import Action, AddressAdd, AddressDelete, LinkChange, Step
from .addresses import given_link_locals, take_foreign_addresses
from .around import Elsewhere, together
from .claims import claims, interface_claims, namespaces_in, within, without
from .firewall import plan_firewall
from .hairpins import hairpins
from .hands import ipv6_ways
from .links import (
    IPV6_MTU,
    plan_bridges,
    plan_interfaces,
    plan_namespaces,
    plan_veths,
    refuse_ways_without_ipv6,
)
from .narrow import narrow_switches, refuse_small_mtus
from .owned import AddressKey, Owned, SysctlKey, nothing
from .ports import plan_other_ports, plan_ports_of_others
from .redirects import along_with
from .routes import plan_routes, take_routes
from .settings import forwarding_of, plan_files, plan_settings, take_files, take_settings, without_what_forwarding_needs
from .sheet import LEAVE, Sheet
from .strangers import Hangers
from .taps import plan_taps
from .uplinks import plan_uplinks, settings_of_bridges, take_uplinks


class Wish(NamedTuple):
    """What is asked for.

    ``topology`` is to be there (with ``settings`` and ``files`` derived from it). With ``whole``, what is owned beyond
    it goes; otherwise only what ``taken`` names does. ``firewall`` and ``firewall_before``: per namespace, what the
    packet filter should hold and what the document asked for last time; ``unfiltered``: what the host's would, if
    anything were forwarded. ``inherited``: settings that stay as they are
    though this document lets them go, because another one wants them too. ``stored``: what the document is afterwards,
    ``previous``: what it was. ``isolation``: for bridges, whether their ports are to be isolated from each other.
    ``leased``: the ends of cables to which somebody else gives addresses. ``said``: every setting that the document has
    a value for afterwards. ``elsewhere``: what other documents say that concerns this one. ``clashes``: settings that
    one document says and another one, or the same, can't do with. ``remembered``: ``previous`` is known, and all that
    was made since; ``certain``: so is what is owned, and not told by marks.
    """

    topology: Topology
    settings: Dict[SysctlKey, str]
    files: Dict[str, str]
    whole: bool
    taken: Topology
    taken_settings: Dict[SysctlKey, str]
    taken_files: Dict[str, str]
    firewall: Dict[Optional[str], FirewallWant]
    firewall_before: Dict[Optional[str], FirewallWant]
    unfiltered: Optional[FirewallWant]
    inherited: FrozenSet[SysctlKey]
    stored: Topology
    previous: Topology
    isolation: Dict[LinkKey, bool]
    leased: Dict[LinkKey, FrozenSet[str]]
    said: Dict[SysctlKey, str]
    elsewhere: Elsewhere
    remembered: bool
    certain: bool
    clashes: Tuple[str, ...]


class Plan(NamedTuple):
    """The whole of what a run does: lines to read, steps in the order of work, and what is owned afterwards."""

    lines: Tuple[str, ...]
    steps: Tuple[Step, ...]
    owned: Owned


def make_plan(
    wish: Wish,
    view: HostView,
    owned: Owned,
    tables: Mapping[Optional[str], Tables],
    processes: Dict[int, List[Process]],
    machine: str,
    conflicts: Sequence[str] = (),
) -> Plan:
    """Raises Conflict, with all of them and ``conflicts``, if something that isn't ours is in the way."""
    sheet = _new_sheet(wish, Sheet(view, owned, machine))
    sheet.conflicts += (*conflicts, *wish.clashes)
    lent = _find_hairpins(sheet, wish, tables)
    wanted = claims(wish.topology, wish.settings, wish.files)
    doomed = _doomed(wish, owned, wanted)
    unwanted = list(doomed.links)
    if wish.whole:
        unwanted += [key for key in removal.marked_links(sheet, wanted.links) if key not in doomed.links]
    take_uplinks(sheet, wish.topology, wish.whole, unwanted)
    removal.take_links(sheet, unwanted)
    removal.take_namespaces(sheet, doomed.namespaces, processes, tables)
    removal.take_interface_settings(sheet, doomed.settings)
    take_foreign_addresses(sheet, _unmentioned(wish, doomed))
    take_routes(sheet, doomed.routes)
    take_settings(sheet, doomed.sysctls, wish.inherited)

    plan_namespaces(sheet, wish.topology.namespaces)
    plan_bridges(sheet, wish.topology.bridges)
    plan_veths(sheet, wish.topology.veths)
    plan_taps(sheet, wish.topology.taps)
    if not wish.whole:
        plan_other_ports(sheet, wish.topology, wish.stored)
    plan_ports_of_others(sheet, *lent)
    plan_interfaces(sheet, wish.topology.interfaces)
    refuse_ways_without_ipv6(sheet)
    refuse_small_mtus(sheet, wish.topology)
    plan_uplinks(sheet, wish.topology.bridges)
    plan_routes(sheet, wish.topology.routes)
    plan_firewall(sheet, tables, wish.firewall, wish.firewall_before, wish.unfiltered)
    plan_settings(sheet, wish.settings)
    plan_files(sheet, wish.files)
    take_files(sheet, doomed.files)
    if sheet.steps:
        sheet.conflicts += Hangers(sheet, wish.previous, wish.remembered, wish.topology).conflicts()
    if sheet.conflicts:
        raise Conflict(sheet.conflicts)
    _forget_containers(sheet.after)
    return Plan(tuple(sheet.lines), _in_order(_leaving_first(sheet.steps)), sheet.after)


def _new_sheet(wish: Wish, sheet: Sheet) -> Sheet:
    """Tell a new sheet what is said of objects beyond their own entries."""
    sheet.isolation, sheet.leased, sheet.said = wish.isolation, wish.leased, wish.said
    sheet.previous, sheet.remembered, sheet.certain = wish.previous, wish.remembered, wish.certain
    sheet.link_locals = given_link_locals(wish.previous)
    sheet.elsewhere = {key: word.value for key, word in wish.elsewhere.said.items()}
    sheet.wired = {(entry.netns, entry.bridge) for entry in wish.stored.interfaces if entry.bridge is not None}
    sheet.uplinks = {(bridge.netns, bridge.uplink) for bridge in wish.stored.bridges if bridge.uplink is not None}
    sheet.narrow = narrow_switches(sheet, wish.stored)
    sheet.kept = [(key, word) for key, word in {**sheet.elsewhere, **sheet.said}.items() if forwarding_of(key)]
    sheet.ipv6_ways = ipv6_ways(wish.stored)
    return sheet


def _find_hairpins(
    sheet: Sheet, wish: Wish, tables: Mapping[Optional[str], Tables]
) -> Tuple[FrozenSet[LinkKey], FrozenSet[LinkKey]]:
    """Tell the sheet which ports of bridges lead to published ports; those that the document's own lead to, and led."""
    elsewhere, ours, before = wish.elsewhere, wish.stored.published_ports, wish.previous.published_ports
    bridged = {netns for netns, found in tables.items() if found.bridged}
    if elsewhere.bridged:
        bridged.update(port.netns for port in (*ours, *before, *elsewhere.ports))
    now, then = (together(topology, elsewhere.plugged) for topology in (wish.stored, wish.previous))
    sheet.hairpins = hairpins(now, (*ours, *elsewhere.ports), bridged)
    sheet.hairpins_before = sheet.hairpins
    if not wish.whole:
        sheet.hairpins_before = hairpins(then, (*before, *elsewhere.ports), bridged)
    if not any(elsewhere.plugged[1:]):
        return frozenset(), frozenset()
    return hairpins(now, ours, bridged), hairpins(then, before, bridged)


def _forget_containers(owned: Owned) -> None:
    """Those in which nothing is left."""
    for key in owned.containers.keys() - namespaces_in(owned):
        del owned.containers[key]


def _unmentioned(wish: Wish, doomed: Owned) -> List[AddressKey]:
    """The addresses to take from interfaces that the document has no entry for: those with one get what it says."""
    mentioned = {(interface.netns, interface.name) for interface in wish.topology.interfaces}
    mentioned.update((bridge.netns, bridge.name) for bridge in wish.topology.bridges)
    return [key for key in doomed.addresses if key[:2] not in mentioned]


def _doomed(wish: Wish, owned: Owned, wanted: Owned) -> Owned:
    if wish.whole:
        doomed = without(owned, wanted)
        serving = settings_of_bridges(owned, wish.topology, served=True)
        going = {key: change for key, change in doomed.sysctls.items() if key not in serving}
        return doomed._replace(sysctls=without_what_forwarding_needs(going, wish.settings))
    passing = {key: change for key, change in owned.sysctls.items() if change.perhaps and change.before == change.after}
    passing.update({key: owned.sysctls[key] for key in settings_of_bridges(owned, wish.topology, served=False)})
    if not wish.taken_settings and wish.taken == Topology(name=wish.taken.name, present=wish.taken.present):
        return nothing(owned.name)._replace(sysctls=passing)
    named = within(owned, claims(wish.taken, wish.taken_settings, wish.taken_files))
    named.sysctls.update(passing)
    along = along_with(named.sysctls, owned.sysctls)
    named.sysctls.update({key: change for key, change in along.items() if key not in wish.said})
    interfaces = interface_claims(owned, wish.taken)
    named.addresses.update(interfaces.addresses)
    named.settings.update(interfaces.settings)
    return named


def _leaving_first(steps: List[Step]) -> List[Step]:
    """An IPv6 address that moves leaves its old link first: the new one asks whether somebody has it (hazard 28).

    So does one that gets another prefix length, for a link has no IPv6 address twice, and one that goes from a link
    whose MTU becomes too small for IPv6 (hazard 22): afterwards there is nothing to take it from.
    """
    shrinking = {
        (step.action.netns, step.action.name)
        for step in steps
        if isinstance(step.action, LinkChange) and step.action.mtu is not None and step.action.mtu < IPV6_MTU
    }
    arriving = {
        step.action.address.partition("/")[0]
        for step in steps
        if isinstance(step.action, AddressAdd) and ":" in step.action.address
    }
    if not (arriving or shrinking):
        return steps

    def leaves(action: Action) -> bool:
        if not isinstance(action, AddressDelete) or ":" not in action.address:
            return False
        return action.address.partition("/")[0] in arriving or (action.netns, action.link) in shrinking

    return [step._replace(stage=LEAVE) if leaves(step.action) else step for step in steps]


def _in_order(steps: List[Step]) -> Tuple[Step, ...]:
    """By tens of the stage, then namespace by namespace in the order they first come up, then by stage."""
    ranks: Dict[Optional[str], int] = {}
    for step in steps:
        ranks.setdefault(step.action.netns, len(ranks))
    return tuple(sorted(steps, key=lambda step: (step.stage // 10, ranks[step.action.netns], step.stage)))
