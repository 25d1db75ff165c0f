# SPDX-License-Identifier: GPL-3.0-or-later
"""What a document promises and others' rules forbid: a line for each, with the name of what stands in the way. Pure."""

from __future__ import annotations

from typing import Callable, Dict, Iterator, List, Mapping, Optional, Sequence

from ..firewall import FirewallWant, Tables, outcome, warnings
from ..firewall.labels import publish_label
from ..firewall.others import is_forwarded, may_drop
from ..firewall.tables import MARK, Ruleset, target_of
from ..firewall.want import Homes
from ..model import HostView, NamespaceView
from ..sysctl import IPV4_FORWARDING
from .actions import Step, TableSet
from .ways import way_to, ways_out

# Where forwarded packets pass iptables' tables, and others may close the way.
_GATES = (
    ("raw", "PREROUTING"),
    ("mangle", "PREROUTING"),
    ("mangle", "FORWARD"),
    ("mangle", "POSTROUTING"),
    ("filter", "FORWARD"),
)


def hindrances(
    wants: Mapping[Optional[str], FirewallWant],
    tables: Mapping[Optional[str], Tables],
    steps: Sequence[Step],
    view: Callable[[], HostView],
    natives: Callable[[Optional[str]], Sequence[str]],
    setting: Callable[[Optional[str], str], Optional[str]] = lambda _netns, _path: None,
) -> List[str]:
    """Warnings about published ports and masqueraded networks that others' rules shut, or don't cover.

    ``tables`` are read before ``steps``, ``view`` gives the host after them. ``natives``: what nft prints of each table
    that isn't iptables'. ``setting``: a kernel setting's value. The last three are only asked where a promise
    depends on them.
    """
    found: List[str] = []
    for netns, want in wants.items():
        found += _without_way(want, view)
        found += warnings(tables[netns], want)
        ahead = _ahead(tables[netns], "PREROUTING") if want.published_ports else {}
        here = _ahead(tables[netns], "OUTPUT") if want.published_ports else {}
        leaving = _ahead(tables[netns], "POSTROUTING") if want.masquerade else {}
        if ahead or here or leaving:
            from . import rivals  # loaded when it is needed: our rules are the first

            found += rivals.taken(want.published_ports, view(), ahead)
            found += [line for line in rivals.taken(want.published_ports, view(), here, "OUTPUT") if line not in found]
            found += rivals.unmasked(want, view().views.get(netns), leaving)
        if want.masquerade or is_forwarded(want.published_ports):
            found += _let_nothing_on(want, view().views.get(netns), setting)
            texts = natives(netns)
            closed = _closed(tables[netns])
            if texts or closed:
                from . import promises  # loaded when it is needed: most hosts have nothing of the kind

                after = {family: _after(ruleset, steps, tables[netns], family) for family, ruleset in closed.items()}
                found += promises.broken_promises(want, view().views.get(netns), after, texts, tables[netns].dropping)
    return found


def _let_nothing_on(
    want: FirewallWant, room: Optional[NamespaceView], setting: Callable[[Optional[str], str], Optional[str]]
) -> Iterator[str]:
    """A line for each link of a default route from which no IPv4 packet is forwarded: answers don't come through."""
    for name in ways_out(room, 4) if room is not None and 4 in want.forwards else ():
        off = setting(want.netns, f"net/ipv4/conf/{name}/forwarding") == "0"
        if off and setting(want.netns, IPV4_FORWARDING) == "1":  # else that is about to be turned on, for each link
            yield (
                f"{'host' if want.netns is None else want.netns}: nothing that comes by {name} is forwarded"
                f" (net.ipv4.conf.{name}.forwarding is 0): no caller gets to published ports, and no answer to"
                " masqueraded networks; set that to 1"
            )


def _ahead(tables: Tables, chain: str) -> Dict[int, List[str]]:
    """The rules that packets pass before ours in this chain of nat, by family: those of chains that are led to, too."""
    found: Dict[int, List[str]] = {}
    for (backend, family), ruleset in tables.rulesets.items():
        chains = ruleset.get("nat", {})
        first = _until_ours(chains.get(chain, ()))
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
            closed = {
                table: ruleset[table]
                for table, chain in _GATES
                if may_drop(ruleset.get(table, {}), chain) or (family, table, chain) in tables.dropping
            }
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
