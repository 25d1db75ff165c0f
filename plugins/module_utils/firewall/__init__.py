# SPDX-License-Identifier: GPL-3.0-or-later
"""NAT, published ports and what protects guests, spoken to iptables in whole transactions over chains of our own.

Reading (:func:`observe`), deciding (:func:`changes`) and writing (:func:`restore`) are apart; only the first and the
last run a program. What only these need is loaded when they are called: most documents ask nothing of a packet filter,
and a task compiles every module that it loads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Optional, Sequence, Set, Tuple

from .groups import link_groups
from .tables import Tables
from .want import FirewallWant, GuestNetwork, SwitchPolicy, families, leads_loopback_out, localnet_interfaces, needed

if TYPE_CHECKING:
    from ..model import PublishedPort
    from .chains import Chains
    from .difference import FirewallChange
    from .tables import Ruleset

__all__ = [
    "FirewallWant",
    "GuestNetwork",
    "SwitchPolicy",
    "Tables",
    "blank",
    "changes",
    "describe",
    "families",
    "families_marked",
    "forget_flows",
    "guards",
    "held_chains",
    "installed",
    "lead",
    "leads_loopback_out",
    "link_groups",
    "localnet_interfaces",
    "native_tables",
    "needed",
    "observe",
    "outcome",
    "restore",
    "rules_of",
    "standing",
    "warnings",
    "written_again",
]


def installed() -> bool:
    """Whether this host has iptables at all; see :mod:`.iptables`."""
    from . import iptables

    return iptables.installed()


def observe(netns: Optional[str], families: Sequence[int] = (4, 6)) -> Tables:
    """Read the packet filter of a namespace; see :mod:`.programs`."""
    from . import programs

    return programs.observe(netns, families)


def families_marked(netns: Optional[str], name: str, among: Iterable[int]) -> Tuple[int, ...]:
    """The families in which a rule of a document stands, looked at without programs; see :mod:`.marked`."""
    from . import marked

    return marked.families(netns, name, among)


def guards(tables: Tables) -> Dict[int, Set[str]]:
    """The documents that guard the host's forwarding, by family; see :mod:`.guarding`."""
    from . import guarding

    return guarding.guards(tables)


def blank(netns: Optional[str], families: Sequence[int]) -> Tables:
    """The packet filter of a namespace that is still to be made; see :mod:`.programs`."""
    from . import programs

    return programs.blank(netns, families)


def restore(netns: Optional[str], backend: str, family: int, text: str) -> None:
    """Write one transaction; see :mod:`.writing`."""
    from . import writing

    writing.restore(netns, backend, family, text)


def lead(netns: Optional[str], backend: str, family: int, before: Chains, after: Chains) -> None:
    """Change chains that may be others' too; see :mod:`.writing`."""
    from . import writing

    writing.lead(netns, backend, family, before, after)


def rules_of(netns: Optional[str], backend: str, family: int) -> Ruleset:
    """The rules of one backend; see :mod:`.programs`."""
    from . import programs

    return programs.rules_of(netns, backend, family)


def held_chains(tables: Tables, change: FirewallChange) -> List[str]:
    """What keeps a change from being made; see :mod:`.difference`."""
    if not change.swaps:
        return []
    from . import difference

    return list(difference.held_chains(tables, change))


def changes(
    tables: Tables, want: Optional[FirewallWant], previous: Optional[FirewallWant], owner: str, netns: Optional[str]
) -> FirewallChange:
    """What leads from ``tables`` to ``want``; see :mod:`.difference`."""
    from . import difference

    return difference.changes(tables, want, previous, owner, netns)


def written_again(tables: Tables) -> List[Tuple[str, int, str]]:
    """What makes these rules again where there are none: backend, family and text for :func:`restore`."""
    from .difference import UNDO
    from .tables import whole

    return [
        (backend, family, UNDO + whole(ruleset)) for (backend, family), ruleset in tables.rulesets.items() if ruleset
    ]


def standing(tables: Tables, want: FirewallWant) -> Dict[str, bool]:
    """What of the rules that ``want`` means stands; see :mod:`.description`."""
    from . import description

    return description.standing(tables, want)


def outcome(ruleset: Ruleset, text: str) -> Ruleset:
    """The rules after one transaction that isn't made; see :mod:`.paper`."""
    from . import paper

    return paper.outcome(ruleset, text)


def forget_flows(netns: Optional[str], ports: Iterable[PublishedPort]) -> int:
    """Delete the connection tracking entries of published ports, and say how many; see :mod:`.conntrack`."""
    from . import conntrack

    return conntrack.forget_flows(netns, ports)


def describe(tables: Tables) -> Dict[str, Any]:
    """Masquerades and published ports, readable; see :mod:`.description`."""
    from . import description

    return description.describe(tables)


def native_tables(netns: Optional[str]) -> Tuple[str, ...]:
    """The tables of nftables that forwarded packets pass beside iptables'; see :mod:`.natives`."""
    from . import natives

    return natives.read(netns)


def warnings(tables: Tables, want: FirewallWant) -> Tuple[str, ...]:
    """What a user who wants this should be told of these tables; see :mod:`.description`."""
    from . import description

    return description.warnings(tables, want)
