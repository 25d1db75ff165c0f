# SPDX-License-Identifier: GPL-3.0-or-later
"""One rule, where it stands, how it is told again; and what the rules of one document are written with."""

from __future__ import annotations

import hashlib
import re
from typing import Dict, List, NamedTuple, Tuple

from ..errors import InvalidValue
from ..model import Masquerade, PublishedPort
from .want import ANY, FirewallWant, family_of, guest_of, of_family, overlap

BRIDGED = "HOSTWIRE-BRIDGED"
CLOSED = "HOSTWIRE-CLOSED"
FORWARD = "HOSTWIRE-FORWARD"
GUARD = "HOSTWIRE-GUARD"
INPUT = "HOSTWIRE-INPUT"
OUTPUT = "HOSTWIRE-OUTPUT"
SHARED = "-"  # stands where a mark names the owner; no document can be called so

_OWNER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}")  # xt_comment holds 255 characters
_LONGEST_TAG = 12  # "HW-PROTECT-" + 12 is well below the 28 characters of a chain name
_LOOKS_LIKE_DIGEST = re.compile(r"[0-9a-f]{12}")
ESTABLISHED = "-m conntrack --ctstate RELATED,ESTABLISHED"
# The state DNAT holds in both directions of a connection (net/netfilter/xt_conntrack.c looks at its status).
DNATED = "-m conntrack --ctstate DNAT"


class Rule(NamedTuple):
    """One rule: ``line`` makes it, ``mark`` ("owner:hash") tells it again.

    ``label`` says to a person what it is for; it is empty for a rule that only goes with others.
    """

    label: str
    mark: str
    line: str


class Jump(NamedTuple):
    """The only thing of ours in a built-in chain: a rule that leads to ``chain``, at the head or (``last``) the end.

    ``ahead``: it stays ahead of what others put there later. Only for chains that drop and open nothing.
    """

    table: str
    parent: str
    chain: str
    rule: Rule
    last: bool = False
    ahead: bool = False


class Rendered(NamedTuple):
    """The rules of one document in one family: (table, chain) -> rules, and the jumps that lead there.

    The shared chains hold only this document's part. Not to be changed: it is kept and handed out again.
    """

    chains: Dict[Tuple[str, str], Tuple[Rule, ...]]
    jumps: Tuple[Jump, ...]


def tag_of(owner: str) -> str:
    """What stands for a document in names of chains: its name, or a digest of one that is long or looks like a digest.

    Raises InvalidValue for a name that could not stand in a comment.
    """
    if not _OWNER.fullmatch(owner):
        raise InvalidValue(f'name: "{owner}" can\'t mark rules: letters, digits, "_", "." and "-", 200 at most')
    if len(owner) <= _LONGEST_TAG and not _LOOKS_LIKE_DIGEST.fullmatch(owner):
        return owner
    return hashlib.sha256(owner.encode()).hexdigest()[:_LONGEST_TAG]


def make_rule(owner: str, table: str, chain: str, label: str, matches: str, target: str) -> Rule:
    """Write one rule with its mark, whose hash is taken over table, chain, matches and target."""
    text = f"{matches} " if matches else ""
    digest = hashlib.sha256(f"{table} {chain} {text}{target}".encode()).hexdigest()[:10]
    mark = f"{owner}:{digest}"
    return Rule(label, mark, f'-A {chain} {text}-m comment --comment "hostwire:{mark}" -j {target}')


class Writer:
    """Collects the rules of one document in one family."""

    def __init__(self, want: FirewallWant, family: int) -> None:
        self.want = want
        self.family = family
        self.tag = tag_of(want.owner)
        self.chains: Dict[Tuple[str, str], List[Rule]] = {}
        self.guests = tuple(sorted(want.guests))
        self.interfaces = tuple(sorted({guest.interface for guest in want.guests}))
        self.switches = tuple(sorted(want.switches))
        self.uplinks = tuple(sorted(set(want.named).difference(self.interfaces)))
        self.routed = family in want.forwarding
        self.let_through = of_family(want.let_through, family)
        self.through = f"let through between {', '.join(self.let_through)}"
        self.masquerade = sorted(
            (entry for entry in want.masquerade if family_of(entry.source) == family), key=_most_specific_first
        )
        self.ports = sorted(
            (port for port in want.published_ports if family_of(port.to_address) == family), key=_narrow_first
        )
        # A target that lives in no guest network gets rules of its own; the others share their network's.
        homes = {target: guest_of(want, target) for target in {port.to_address for port in self.ports}}
        self.serving = tuple(sorted({guest for guest in homes.values() if guest is not None}))
        self.outside_targets = tuple(sorted(address for address, guest in homes.items() if guest is None))

    def add(self, table: str, chain: str, label: str, matches: str, target: str) -> None:
        rule = make_rule(self.want.owner, table, chain, label, matches, target)
        self.chains.setdefault((table, chain), []).append(rule)

    def accept(self, label: str, matches: str) -> None:
        self.add("filter", f"HW-ACCEPT-{self.tag}", label, matches, "ACCEPT")

    def masqueraded(self, prefix: str) -> List[Masquerade]:
        return [entry for entry in self.masquerade if overlap(entry.source, prefix)]


def _most_specific_first(entry: Masquerade) -> Tuple[int, str, str, str]:
    return -int(entry.source.partition("/")[2]), entry.source, entry.except_to or "", entry.to_source or ""


def _narrow_first(port: PublishedPort) -> Tuple[bool, bool, PublishedPort]:
    return port.address == ANY, not port.sources, port
