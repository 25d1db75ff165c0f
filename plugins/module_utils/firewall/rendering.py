# SPDX-License-Identifier: GPL-3.0-or-later
"""From what a document wants to the rules that say so: pure, complete, and in a fixed order.

Chains of a document (``TAG`` stands for its name):

- raw ``HW-RAW-TAG``, from PREROUTING: nobody outside reaches a masqueraded network by routing to it;
- filter ``HW-PROTECT-TAG``: drops new connections from elsewhere into the document's guest networks, and
  ``HW-ACCEPT-TAG`` (with ``HW-NAMED-TAG``): lets through what the document declares. Both hang in the shared chain
  ``HOSTWIRE-FORWARD`` at the head of FORWARD: every document's protection before any document's opening;
- filter ``HOSTWIRE-GUARD``, shared, at the end of FORWARD: what nobody decided about is dropped;
- nat ``HW-DNAT-TAG``, from PREROUTING and OUTPUT, for local destinations only (hazard 41), and ``HW-SNAT-TAG``.
"""

from __future__ import annotations

import functools
from typing import Dict, Tuple

from . import protection, translation
from .rules import FORWARD, GUARD, SHARED, Jump, Rendered, Rule, Writer, make_rule
from .want import FirewallWant, families

_TO_LOCAL = "-m addrtype --dst-type LOCAL"


@functools.lru_cache(maxsize=16)  # the same wants are rendered to decide, and again to verify
def render(want: FirewallWant, family: int, bridged: bool = False) -> Rendered:
    """Every rule that ``want`` means in one family; none in one that it doesn't need.

    ``bridged``: bridged packets may pass through iptables here.
    """
    if family not in families(want):
        return Rendered({}, ())
    writer = Writer(want, family)
    protection.raw_localnet(writer)
    if want.netns is None:
        protection.raw_hidden(writer)
        protection.protect(writer)
        protection.accept(writer)
        protection.guard(writer, bridged)
    translation.destinations(writer)
    translation.hairpin(writer)
    translation.masquerade(writer)
    chains = {key: tuple(rules) for key, rules in writer.chains.items()}
    return Rendered(_with_shared(want.owner, writer.tag, chains), _jumps(want.owner, writer.tag, chains))


def _with_shared(
    owner: str, tag: str, chains: Dict[Tuple[str, str], Tuple[Rule, ...]]
) -> Dict[Tuple[str, str], Tuple[Rule, ...]]:
    entries = tuple(
        make_rule(owner, "filter", FORWARD, "", "", chain)
        for chain in (f"HW-PROTECT-{tag}", f"HW-ACCEPT-{tag}")
        if ("filter", chain) in chains
    )
    return {**chains, ("filter", FORWARD): entries} if entries else chains


def _jumps(owner: str, tag: str, chains: Dict[Tuple[str, str], Tuple[Rule, ...]]) -> Tuple[Jump, ...]:
    places = (
        ("raw", "PREROUTING", f"HW-RAW-{tag}", ""),
        ("nat", "PREROUTING", f"HW-DNAT-{tag}", _TO_LOCAL),
        ("nat", "OUTPUT", f"HW-DNAT-{tag}", _TO_LOCAL),
        ("nat", "POSTROUTING", f"HW-SNAT-{tag}", ""),
    )
    return tuple(
        Jump(table, parent, chain, make_rule(owner, table, parent, "", matches, chain))
        for table, parent, chain, matches in places
        if (table, chain) in chains
    )


def shared_jumps() -> Dict[str, Jump]:
    """The jumps to the shared chains, which stand as long as there is something in them."""
    return {
        FORWARD: Jump("filter", "FORWARD", FORWARD, make_rule(SHARED, "filter", "FORWARD", "", "", FORWARD)),
        GUARD: Jump("filter", "FORWARD", GUARD, make_rule(SHARED, "filter", "FORWARD", "", "", GUARD), last=True),
    }
