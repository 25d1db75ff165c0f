# SPDX-License-Identifier: GPL-3.0-or-later
"""The set-ups that are attacked, as values, and a sample of them in which every pair of values occurs."""

from __future__ import annotations

import itertools
import os
import random
from typing import Dict, Iterator, List, NamedTuple, Set, Tuple

NOBODY, LIBVIRT, ADMINISTRATOR, UFW, FIREWALLD, DOCKER, DOCKER_28 = (
    "nobody",
    "libvirt",
    "administrator",
    "ufw",
    "firewalld",
    "docker",
    "docker28",
)
FORWARDERS = (LIBVIRT, DOCKER, DOCKER_28)  # who turns forwarding on by themselves


class Setup(NamedTuple):
    """A host before and after its documents.

    ``forwarded``: it was a router before. ``company``: whose rules and bridges are there too; with ``company_last``
    they come after the documents, which are then applied once more. ``documents``: a key of networks.SETS, in that
    order or ``backwards``.
    """

    backend: str
    bridge_nf: int
    policy: str
    rp_filter: int
    forwarded: bool
    company: str
    company_last: bool
    documents: str
    backwards: bool

    def __str__(self) -> str:
        words = [
            self.documents + ("-backwards" if self.backwards else ""),
            self.company + ("-last" if self.company_last else ""),
            self.backend,
            f"nf{self.bridge_nf}",
            self.policy,
            f"rp{self.rp_filter}",
            "forwarded" if self.forwarded else "",
        ]
        return "-".join(word for word in words if word)


DIMENSIONS: Dict[str, Tuple[object, ...]] = {
    "backend": ("nft", "legacy"),
    "bridge_nf": (0, 1),
    "policy": ("ACCEPT", "DROP"),
    "rp_filter": (0, 1, 2),
    "forwarded": (False, True),
    "company": (NOBODY, LIBVIRT, ADMINISTRATOR, UFW, FIREWALLD, DOCKER, DOCKER_28),
    "company_last": (False, True),
    "documents": ("one", "two", "closed", "routed", "nat", "legs", "named", "everything", "forwarding"),
    "backwards": (False, True),
}
SINGLE = ("one", "forwarding")  # a set of one document has no order


def possible(setup: Setup) -> bool:
    """Whether there is such a host."""
    return (
        (setup.forwarded or setup.company not in FORWARDERS)
        and not (setup.company_last and setup.company == NOBODY)
        and not (setup.backwards and setup.documents in SINGLE)
    )


def every() -> List[Setup]:
    return [setup for setup in itertools.starmap(Setup, itertools.product(*DIMENSIONS.values())) if possible(setup)]


def sample(seed: int = 1) -> List[Setup]:
    """A few of them, so that each two values of two dimensions that can go together do so in one."""
    chance = random.Random(seed)
    candidates = every()
    chance.shuffle(candidates)
    missing: Set[Tuple[int, object, int, object]] = {pair for setup in candidates for pair in pairs(setup)}
    found = []
    while missing:
        best = max(candidates[:1500], key=lambda setup: sum(pair in missing for pair in pairs(setup)))
        gained = missing.intersection(pairs(best))
        if not gained:
            chance.shuffle(candidates)
            continue
        found.append(best)
        missing -= gained
    return found


def chosen() -> List[Setup]:
    """What HOSTWIRE_ATTACKS says: all, or so many of the sample; without it the whole sample."""
    words = os.environ.get("HOSTWIRE_ATTACKS", "")
    return every() if words == "all" else sample()[: int(words) if words else None]


def pairs(setup: Setup) -> Iterator[Tuple[int, object, int, object]]:
    """Each two of its values, with the places of their dimensions."""
    for one, other in itertools.combinations(range(len(setup)), 2):
        yield one, setup[one], other, setup[other]
