# SPDX-License-Identifier: GPL-3.0-or-later
"""The packet filter's part of a plan: its rules, and the groups of links that they ask for."""

from __future__ import annotations

from typing import Mapping, Optional, Tuple

from ..firewall import FirewallWant, Tables, changes, families, held_chains, link_groups
from ..firewall.groups import is_ours, narrower
from ..firewall.tables import DEVGROUP
from ..model import PublishedPort
from .actions import FlowsForget, LinkChange, TableSet
from .sheet import FILES, GROUP, PROTECT, UNGROUP, UNPROTECT, Sheet, place


def plan_firewall(
    sheet: Sheet,
    tables: Mapping[Optional[str], Tables],
    wants: Mapping[Optional[str], FirewallWant],
    previous: Mapping[Optional[str], FirewallWant],
    unfiltered: Optional[FirewallWant],
) -> None:
    """One swap per namespace and family; what only takes away comes last.

    ``unfiltered``: what the host's rules would be, if it needed any.
    """
    for netns in sorted(set(wants) | set(sheet.owned.firewall), key=lambda name: name or ""):
        if netns is not None and netns in sheet.gone_namespaces:
            sheet.after.firewall.pop(netns, None)
            continue
        want = wants.get(netns)
        change = changes(tables[netns], want, previous.get(netns), sheet.owned.name, netns)
        sheet.conflicts += [f"{place(netns)}: {line}" for line in held_chains(tables[netns], change)]
        first = len(sheet.lines)
        for text in change.lines:
            sheet.line(text)
        for swap in change.swaps:
            sheet.do(
                UNPROTECT if want is None else PROTECT,
                first,
                TableSet(netns, swap.backend, swap.family, swap.text),
                TableSet(netns, swap.backend, swap.family, swap.undo),
            )
        _plan_groups(sheet, netns, tables[netns], unfiltered if want is None and netns is None else want, first)
        ports = _moved(want, previous.get(netns)) if change.swaps else ()
        if ports:
            sheet.do(FILES, first, FlowsForget(netns, tuple(tuple(port) for port in ports)))
        if want is None:
            sheet.after.firewall.pop(netns, None)
        else:
            sheet.after.firewall[netns] = families(want)
    if None not in wants and None not in sheet.owned.firewall:  # the rules of others protect the host's links, too
        _plan_groups(sheet, None, None, unfiltered, max(len(sheet.lines) - 1, 0))


def _plan_groups(
    sheet: Sheet, netns: Optional[str], tables: Optional[Tables], want: Optional[FirewallWant], line: int
) -> None:
    """Put each link of ours into the group that the rules tell it by: before them as far as it closes something."""
    lacking = tables.lacks(4) | tables.lacks(6) if tables is not None else ()
    groups = link_groups(want) if want is not None and DEVGROUP not in lacking else {}
    for name, group in groups.items():
        have = sheet.link(netns, name)
        if have is None:
            if (netns, name) in sheet.made:
                line = _line_of_group(sheet, netns, name, line)
                sheet.do(GROUP, line, LinkChange(netns, name, group=group))
        elif have.group != group:
            line = _line_of_group(sheet, netns, name, line)
            undo = LinkChange(netns, name, group=have.group)
            first = narrower(have.group, group)
            if first != have.group:
                sheet.do(GROUP, line, LinkChange(netns, name, group=first), undo)
            if first != group:
                sheet.do(UNGROUP, line, LinkChange(netns, name, group=group), undo._replace(group=first))
    namespace = sheet.namespace(netns)
    for have in namespace.links.values() if namespace is not None else ():
        stale = is_ours(have.group) and have.name not in groups and (netns, have.name) not in sheet.gone
        if stale and sheet.is_ours(netns, have):
            line = _line_of_group(sheet, netns, have.name, line)
            undo = LinkChange(netns, have.name, group=have.group)
            sheet.do(UNPROTECT, line, LinkChange(netns, have.name, group=0), undo)


def _line_of_group(sheet: Sheet, netns: Optional[str], name: str, line: int) -> int:
    """The line of the rules that change along with a group; one of its own where it was lost alone."""
    return line if line < len(sheet.lines) else sheet.line(f"{place(netns)}: {name}: link group: put right")


def _moved(want: Optional[FirewallWant], previous: Optional[FirewallWant]) -> Tuple[PublishedPort, ...]:
    """Ports published newly, elsewhere, or no more: flows that are older than the change bypass it (hazard 39)."""
    now = set(want.published_ports) if want else set()
    before = set(previous.published_ports) if previous else set()
    return tuple(sorted(now ^ before))
