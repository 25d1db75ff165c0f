# SPDX-License-Identifier: GPL-3.0-or-later
"""From what a document wants to the rules that say so: pure, complete, and in a fixed order.

The shared chains and what is in them for everybody: :mod:`.shared`. Chains of a document (``TAG`` stands for its
name) hang in those:

- raw ``HW-FORGED-TAG`` (:mod:`.sources`): what nobody elsewhere must claim to be;
- mangle ``HW-INTO-TAG``, ``HW-HIDDEN-TAG`` and ``HW-THROUGH-TAG`` (:mod:`.closing`): who may call its guests;
- filter ``HW-OPEN-TAG``, ``HW-NAMED-TAG`` and ``HW-THROUGH-TAG`` (:mod:`.opening`): what it lets through;
- nat ``HW-TCP-TAG`` and its like, ``HW-SNAT-TAG``, each with branches, and ``HW-HAIRPIN-TAG`` (:mod:`.translation`).
"""

from __future__ import annotations

import functools
from typing import Dict, FrozenSet, NamedTuple, Tuple

from .closing import close
from .opening import open_ways
from .rules import Rule, Writer
from .shared import skeleton
from .sources import sources
from .translation import translate
from .want import FirewallWant, families

Chains = Dict[Tuple[str, str], Tuple[Rule, ...]]


class Rendered(NamedTuple):
    """The rules of one document in one family, by table and chain. Not to be changed: it is kept and handed out again.

    ``chains`` are the document's own, ``parts`` its rules in shared chains; ``skeleton`` is what stands in those for
    all documents.
    """

    chains: Chains
    parts: Chains
    skeleton: Chains


NOTHING = Rendered({}, {}, {})


@functools.lru_cache(maxsize=16)  # the same wants are rendered to decide, and again to verify
def render(want: FirewallWant, family: int, bridged: bool = False, lacking: FrozenSet[str] = frozenset()) -> Rendered:
    """Every rule that ``want`` means in one family; none in one that it doesn't need.

    ``bridged``: bridged packets may pass through iptables here. ``lacking``: matches that the kernel hasn't got.
    """
    if family not in families(want):
        return NOTHING
    writer = Writer(want, family, bridged, lacking)
    sources(writer)
    close(writer)
    open_ways(writer)
    translate(writer)
    return Rendered(
        writer.own_chains(),
        {key: tuple(rules) for key, rules in writer.parts.items()},
        skeleton(family, bridged, lacking, want.foreign, want.netns is None),
    )
