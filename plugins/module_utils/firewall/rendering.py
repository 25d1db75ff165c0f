# SPDX-License-Identifier: GPL-3.0-or-later
"""From what a document wants to the rules that say so: pure, complete, and in a fixed order.

Chains of a document (``TAG`` stands for its name):

- raw ``HW-RAW-TAG``, from PREROUTING: nobody outside reaches a masqueraded network by routing to it;
- raw ``HOSTWIRE-BRIDGED``, shared, ahead of these: frames within closed switches, which nothing of that is about;
- filter ``HW-PROTECT-TAG``: drops new connections from elsewhere into the document's guest networks, and
  ``HW-ACCEPT-TAG`` (with ``HW-NAMED-TAG``): lets through what the document declares. Both hang in the shared chain
  ``HOSTWIRE-FORWARD`` at the head of FORWARD: every document's protection before any document's opening;
- filter ``HW-INPUT-TAG``, ``HW-OUTPUT-TAG`` and ``HW-CLOSED-TAG``: close the ways between guests and the host, and
  those that lead through the host. They hang in the shared chains ``HOSTWIRE-INPUT``, ``HOSTWIRE-OUTPUT`` and
  ``HOSTWIRE-CLOSED`` at the heads of INPUT, OUTPUT and FORWARD, ahead of all that could open them;
- filter ``HOSTWIRE-GUARD``, shared, at the end of FORWARD: what nobody decided about is dropped;
- nat ``HW-DNAT-TAG``, from PREROUTING and OUTPUT, for local destinations only (hazard 41), and ``HW-SNAT-TAG``.
"""

from __future__ import annotations

import functools
from typing import Dict, Tuple

from . import policy, protection, translation
from .rules import BRIDGED, CLOSED, FORWARD, GUARD, INPUT, OUTPUT, SHARED, Jump, Rendered, Rule, Writer, make_rule
from .want import FirewallWant, families

# What hangs at the heads of built-in chains, in the order of insertion: HOSTWIRE-CLOSED comes to stand before -FORWARD.
_HEADS = {FORWARD: "FORWARD", CLOSED: "FORWARD", INPUT: "INPUT", OUTPUT: "OUTPUT"}
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
        policy.leave_bridged(writer, bridged)
        policy.close_host(writer)
        policy.close_forwarding(writer, bridged)
        protection.protect(writer)
        policy.open_within(writer)
        protection.accept(writer)
        protection.guard(writer, bridged)
    translation.destinations(writer)
    translation.hairpin(writer)
    translation.masquerade(writer, bridged)
    chains = {key: tuple(rules) for key, rules in writer.chains.items()}
    return Rendered(_with_shared(want.owner, writer.tag, chains), _jumps(want.owner, writer.tag, chains))


def _with_shared(
    owner: str, tag: str, chains: Dict[Tuple[str, str], Tuple[Rule, ...]]
) -> Dict[Tuple[str, str], Tuple[Rule, ...]]:
    shared = {}
    for name, own in (
        (FORWARD, (f"HW-PROTECT-{tag}", f"HW-ACCEPT-{tag}")),
        (CLOSED, (f"HW-CLOSED-{tag}",)),
        (INPUT, (f"HW-INPUT-{tag}",)),
        (OUTPUT, (f"HW-OUTPUT-{tag}",)),
    ):
        entries = tuple(make_rule(owner, "filter", name, "", "", chain) for chain in own if ("filter", chain) in chains)
        if entries:
            shared["filter", name] = entries
    return {**chains, **shared}


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
    heads = {
        chain: Jump("filter", parent, chain, make_rule(SHARED, "filter", parent, "", "", chain), ahead=chain != FORWARD)
        for chain, parent in _HEADS.items()
    }
    guard = Jump("filter", "FORWARD", GUARD, make_rule(SHARED, "filter", "FORWARD", "", "", GUARD), last=True)
    bridged = Jump("raw", "PREROUTING", BRIDGED, make_rule(SHARED, "raw", "PREROUTING", "", "", BRIDGED), ahead=True)
    return {**heads, GUARD: guard, BRIDGED: bridged}
