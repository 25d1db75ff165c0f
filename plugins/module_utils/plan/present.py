# SPDX-License-Identifier: GPL-3.0-or-later
"""What is there of what documents name, entry by entry, as a document: the "before" of a diff."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, NamedTuple, Optional, Tuple

from ..document import identity
from ..firewall import FirewallWant, Tables, standing
from ..firewall.labels import masquerade_label, publish_label
from ..model import (
    HostView,
    Topology,
)
from .found import Finder
from .owned import Owned
from .touched import Touched

Wants = Mapping[Optional[str], FirewallWant]


class Present(NamedTuple):
    """What was found: ``topology``, and of the packet filters what no field of a document says, in words.

    ``rules``: those of them that stand, ``wanted``: those that are to stand afterwards; namespace by namespace.
    """

    topology: Topology
    rules: Tuple[str, ...]
    wanted: Tuple[str, ...]


def present(
    previous: Topology,
    stored: Topology,
    view: HostView,
    owned: Owned,
    tables: Mapping[Optional[str], Tables],
    wants: Wants,
    wants_before: Wants,
    touched: Optional[Touched],
) -> Present:
    """The objects that are there and ours of those that the last document (``previous``) or this one names.

    With the values that they have. An entry of the packet filter is there if all its rules stand. ``wants`` and
    ``wants_before``: what the two ask of the packet filters. ``touched``: what the plan for a whole document touches;
    with one, what bears the document's mark and is named by neither counts as named, too. None: it is for a part.
    """
    found = Finder(view, owned, previous, stored, touched)
    before, after = _standing(tables, wants_before), _standing(tables, wants)
    there = {netns: {**after.get(netns, {}), **before.get(netns, {})} for netns in {*before, *after}}
    topology = Topology(
        name=stored.name,
        namespaces=tuple(found.namespaces()),
        bridges=tuple(found.bridges(there.get(None, {}))),
        veths=tuple(found.veths()),
        interfaces=tuple(found.interfaces()),
        taps=tuple(found.taps()),
        containers=tuple(found.containers()),
        routes=tuple(found.routes()),
        forwarding=found.forwarding(None, [previous.forwarding, stored.forwarding])._replace(
            networks=_let_through((previous, before), (stored, after))
        ),
        masquerade=_entries("masquerade", masquerade_label, (previous, before), (stored, after)),
        published_ports=_entries("published_ports", publish_label, (previous, before), (stored, after)),
        sysctls=found.sysctls(None, [previous.sysctls, stored.sysctls]),
        probes=previous.probes,
    )
    told = set(_told(previous, stored))
    wanted = {(netns, label) for netns, labels in after.items() for label in labels} - told
    stand = {(netns, label) for netns, labels in there.items() for label, stands in labels.items() if stands} - told
    return Present(topology, _words(stand), _words(wanted))


_Labels = Dict[Optional[str], Dict[str, bool]]


def _standing(tables: Mapping[Optional[str], Tables], wants: Wants) -> _Labels:
    """Per namespace, what each rule with a name is for, and whether all rules of that name stand."""
    return {netns: standing(tables[netns], want) for netns, want in wants.items() if netns in tables}


def _told(*topologies: Topology) -> Iterator[Tuple[Optional[str], str]]:
    """What an entry of a document says in other words."""
    for topology in topologies:
        for entry in topology.masquerade:
            yield entry.netns, masquerade_label(entry)
        for port in topology.published_ports:
            yield port.netns, publish_label(port)


def _words(labels: Iterable[Tuple[Optional[str], str]]) -> Tuple[str, ...]:
    ordered = sorted(labels, key=lambda item: (item[0] or "", item[1]))
    return tuple(f"{'host' if netns is None else f'namespace {netns}'}: {label}" for netns, label in ordered)


def _entries(section: str, words: Callable[[Any], str], *documents: Tuple[Topology, _Labels]) -> Tuple[Any, ...]:
    """The entries whose rules stand, as the document had them that these are of."""
    found: List[Any] = []
    for topology, labels in documents:
        known = identity.namesakes(section, found)
        for entry in getattr(topology, section):
            if labels.get(entry.netns, {}).get(words(entry)) and not known.of(entry):
                found.append(entry)
    return tuple(found)


def _let_through(*documents: Tuple[Topology, _Labels]) -> Tuple[str, ...]:
    """The networks between which the rules of one family let everything through."""
    for topology, labels in documents:
        standing_here = labels.get(None, {})
        found: List[str] = []
        for family in (False, True):
            networks = sorted({network for network in topology.forwarding.networks if (":" in network) == family})
            if standing_here.get(f"let through between {', '.join(networks)}"):
                found += networks
        if found:
            return tuple(sorted(found))
    return ()
