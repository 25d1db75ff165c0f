# SPDX-License-Identifier: GPL-3.0-or-later
"""What a document promises and others' rules forbid: a line for each, with the name of what stands in the way. Pure."""

from __future__ import annotations

from typing import Callable, Dict, Iterator, List, Mapping, Optional, Sequence

from ..firewall import FirewallWant, Tables, outcome, warnings
from ..firewall.labels import publish_label
from ..firewall.others import is_forwarded, may_drop
from ..firewall.tables import MARK, Ruleset, target_of
from ..firewall.want import Homes
from ..model import HostView
from .actions import Step, TableSet
from .ways import way_to

_CLOSED_BY_OTHERS = ("mangle", "filter")  # the tables of iptables that forwarded packets pass


def hindrances(
    wants: Mapping[Optional[str], FirewallWant],
    tables: Mapping[Optional[str], Tables],
    steps: Sequence[Step],
    view: Callable[[], HostView],
    natives: Callable[[Optional[str]], Sequence[str]],
) -> List[str]:
    """Warnings about published ports and masqueraded networks that others' rules shut, or don't cover.

    ``tables`` are read before ``steps``, ``view`` gives the host after them. ``natives``: what nft prints of each table
    that isn't iptables'. The last two are only asked where a promise depends on them.
    """
    found: List[str] = []
    for netns, want in wants.items():
        found += _without_way(want, view)
        found += warnings(tables[netns], want)
        ahead = _ahead(tables[netns]) if want.published_ports else {}
        if ahead:
            from . import rivals  # loaded when it is needed: our rules are the first

            found += rivals.taken(want.published_ports, view(), ahead)
        if want.masquerade or is_forwarded(want.published_ports):
            texts = natives(netns)
            closed = _closed(tables[netns])
            if texts or closed:
                from . import promises  # loaded when it is needed: most hosts have nothing of the kind

                after = {family: _after(ruleset, steps, tables[netns], family) for family, ruleset in closed.items()}
                found += promises.broken_promises(want, view().views.get(netns), after, texts)
    return found


def _ahead(tables: Tables) -> Dict[int, List[str]]:
    """The rules that callers of published ports pass before ours, by family: those of chains that are led to, too."""
    found: Dict[int, List[str]] = {}
    for (backend, family), ruleset in tables.rulesets.items():
        chains = ruleset.get("nat", {})
        first = _until_ours(chains.get("PREROUTING", ()))
        if first and backend == tables.backend:
            found[family] = [*first, *(line for rule in first for line in chains.get(target_of(rule), ()))]
    return found


def _until_ours(lines: Sequence[str]) -> List[str]:
    """Those before the first rule of ours; none if there is none of ours, which is about to be made then."""
    for position, line in enumerate(lines):
        if MARK.search(line):
            return list(lines[:position])
    return []


def _without_way(want: FirewallWant, view: Callable[[], HostView]) -> Iterator[str]:
    """A line for each published port to whose target no route leads."""
    homes, ways = Homes(want.guests), dict(want.ways)
    for port in want.published_ports:
        if homes.of(port.to_address) is None and port.to_address not in ways:
            room = view().views.get(want.netns)
            if room is not None and way_to(room, port.to_address) is None:
                label = publish_label(port).partition(" ")[2]
                yield f"published port {label} leads nowhere yet: there is no route to {port.to_address}"


def _closed(tables: Tables) -> Dict[int, Ruleset]:
    """What others may drop forwarded packets with, by family. A quick look: on most hosts that is nothing."""
    found: Dict[int, Ruleset] = {}
    for (backend, family), ruleset in tables.rulesets.items():
        if backend == tables.backend:
            closed = {name: ruleset[name] for name in _CLOSED_BY_OTHERS if may_drop(ruleset.get(name, {}))}
            if closed:
                found[family] = closed
    return found


def _after(closed: Ruleset, steps: Sequence[Step], tables: Tables, family: int) -> Ruleset:
    """These tables once the steps are done: our own rules may stand elsewhere then."""
    after: Ruleset = closed
    for step in steps:
        action = step.action
        where = (tables.netns, tables.backend, family)
        if isinstance(action, TableSet) and (action.netns, action.backend, action.family) == where:
            after = outcome(after, action.text)
    return {name: after[name] for name in closed}
