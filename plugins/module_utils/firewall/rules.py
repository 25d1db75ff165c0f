# SPDX-License-Identifier: GPL-3.0-or-later
"""One rule, where it stands, how it is told again; and what the rules of one document are written with."""

from __future__ import annotations

import hashlib
import re
from typing import Dict, FrozenSet, Iterable, List, NamedTuple, Tuple

from ..errors import InvalidValue
from ..model import Masquerade
from .tables import DEVGROUP, RPFILTER
from .want import (
    ANY,
    FirewallWant,
    GuestNetwork,
    Homes,
    family_of,
    is_hidden,
    is_led_out,
    is_member,
    masqueraded,
    of_family,
    overlaps_any,
)

SHARED = "-"  # stands where a mark names the owner; no document can be called so
_OWNER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}")  # xt_comment holds 255 characters
_LONGEST_TAG = 12  # "HW-HIDDEN-" + 12 + a branch's name is below the 28 characters of a chain name
_LOOKS_LIKE_DIGEST = re.compile(r"[0-9a-f]{12}")
ESTABLISHED = "-m conntrack --ctstate RELATED,ESTABLISHED"
NEW = "-m conntrack ! --ctstate RELATED,ESTABLISHED"
# The state DNAT holds in both directions of a connection (net/netfilter/xt_conntrack.c looks at its status).
DNATED = "-m conntrack --ctstate DNAT"


class Rule(NamedTuple):
    """One rule: ``line`` makes it, ``mark`` ("owner:hash") tells it again.

    ``label`` says to a person what it is for; it is empty for a rule that only goes with others. ``rank``: where it
    stands among the rules of a chain that several documents share; the lower ones come first. ``once``: where another
    document has the same rule there, this one needs none.
    """

    label: str
    mark: str
    line: str
    rank: int = 0
    once: bool = False


class Jump(NamedTuple):
    """The only thing of ours in a built-in chain: a rule that leads to ``chain``, at the head or (``last``) the end."""

    table: str
    parent: str
    chain: str
    rule: Rule
    last: bool = False


def tag_of(owner: str) -> str:
    """What stands for a document in names of chains: its name, or a digest of one that is long or looks like a digest.

    Raises InvalidValue for a name that could not stand in a comment.
    """
    if not _OWNER.fullmatch(owner):
        raise InvalidValue(f'name: "{owner}" can\'t mark rules: letters, digits, "_", "." and "-", 200 at most')
    if len(owner) <= _LONGEST_TAG and not _LOOKS_LIKE_DIGEST.fullmatch(owner):
        return owner
    return hashlib.sha256(owner.encode()).hexdigest()[:_LONGEST_TAG]


def make_rule(owner: str, table: str, chain: str, label: str, matches: str, target: str, rank: int = 0) -> Rule:
    """Write one rule with its mark, whose hash is taken over table, chain, matches and target.

    ``target``: with "goto " before a chain's name, the way back leads past the chain that the rule stands in. A rule of
    a shared chain has its rank behind the mark, so that whoever reads it knows where it belongs.
    """
    text = f"{matches} " if matches else ""
    digest = hashlib.sha256(f"{table} {chain} {f'{rank} ' if rank else ''}{text}{target}".encode()).hexdigest()[:10]
    mark = f"{owner}:{digest}"
    place = f":{rank}" if rank else ""
    verb = f"-g {target[5:]}" if target.startswith("goto ") else f"-j {target}"
    return Rule(label, mark, f'-A {chain} {text}-m comment --comment "hostwire:{mark}{place}" {verb}', rank)


_Spoken = Tuple[str, str, str]  # label, matches, target


class Writer:
    """Collects the rules of one document in one family.

    ``chains`` are the document's own, ``parts`` its rules in chains that documents share. ``lacking``: matches that the
    kernel hasn't got. ``bridged``: bridged packets may pass through iptables here.
    """

    def __init__(self, want: FirewallWant, family: int, bridged: bool, lacking: FrozenSet[str]) -> None:
        self.want = want
        self.family = family
        self.bridged = bridged
        self.by_group = DEVGROUP not in lacking
        self.by_route = RPFILTER not in lacking
        self.tag = tag_of(want.owner)
        self.chains: Dict[Tuple[str, str], List[_Spoken]] = {}
        self.parts: Dict[Tuple[str, str], List[Rule]] = {}
        self.guests = tuple(sorted(want.guests))
        self.interfaces = tuple(sorted({guest.interface for guest in want.guests}))
        self.switches = tuple(sorted(want.switches))
        # Every link of ours that guests live behind, also where the host has no address.
        members = (guest.interface for guest in want.guests if is_member(want, guest, masqueraded(want)))
        switches = (switch.interface for switch in want.switches if not switch.leads_out)
        self.links = tuple(sorted({*members, *switches}))
        self.lans = tuple(switch for switch in self.switches if switch.leads_out)
        self.uplinks = tuple(sorted(set(want.named).difference(self.links, self.interfaces)))
        self.routed = family in want.forwarding
        self.let_through = of_family(want.let_through, family)
        self.through = f"let through between {', '.join(self.let_through)}"
        self.sources = masqueraded(want)
        self.masquerade = sorted(
            (entry for entry in want.masquerade if family_of(entry.source) == family), key=_most_specific_first
        )
        self.ports = sorted(
            (port for port in want.published_ports if family_of(port.to_address) == family),
            key=lambda port: (port.address == ANY, not port.sources, port),
        )
        # A target that lives in no guest network gets rules of its own; the others share their network's.
        found = Homes(want.guests)
        homes = {target: found.of(target) for target in {port.to_address for port in self.ports}}
        self.serving = tuple(sorted({guest for guest in homes.values() if guest is not None}))
        self.outside_targets = tuple(sorted(address for address, guest in homes.items() if guest is None))

    def chain(self, table: str, kind: str) -> str:
        """A chain of the document's own, there from now on though it be empty."""
        name = f"HW-{kind}-{self.tag}"
        self.chains.setdefault((table, name), [])
        return name

    def add(self, table: str, chain: str, label: str, matches: str, target: str) -> None:
        """A rule at the end of a chain of the document's own."""
        self.chains.setdefault((table, chain), []).append((label, matches, target))

    def hang(self, table: str, chain: str, rank: int, own: str, matches: str = "") -> None:
        """Hang a chain of the document's own, when all its rules are there, in one that documents share.

        A single rule is put there itself: that is less to pass, and to read.
        """
        rules = self.chains[table, own]
        if len(rules) == 1:
            del self.chains[table, own]
            self.share(table, chain, rank, *rules[0])
        else:
            self.share(table, chain, rank, "", matches, own)

    def own_chains(self) -> Dict[Tuple[str, str], Tuple[Rule, ...]]:
        """The document's own chains, written."""
        return {
            (table, chain): tuple(make_rule(self.want.owner, table, chain, *rule) for rule in rules)
            for (table, chain), rules in self.chains.items()
        }

    def share(
        self, table: str, chain: str, rank: int, label: str, matches: str, target: str, once: bool = False
    ) -> None:
        """A rule in a chain that documents share."""
        rule = make_rule(self.want.owner, table, chain, label, matches, target, rank)
        self.parts.setdefault((table, chain), []).append(rule._replace(once=once))

    def prefixes(self, guest: GuestNetwork) -> Tuple[str, ...]:
        """The prefixes of this family that live on a link."""
        return of_family(guest.prefixes, self.family)

    def hidden(self, prefix: str) -> bool:
        """Whether the document masquerades a prefix."""
        return overlaps_any(prefix, self.sources)

    def homes_elsewhere(self) -> Iterable[Tuple[str, str]]:
        """Masqueraded networks that are on no link of the document's, each with the one interface that it lives on."""
        homes = tuple(prefix for guest in self.guests for prefix in guest.prefixes)
        for entry in self.masquerade:
            if len(entry.except_to) == 1 and not entry.source.endswith("/0") and not overlaps_any(entry.source, homes):
                yield entry.source, entry.except_to[0]

    def open_to_others(self) -> Iterable[str]:
        """The links whose guests those of other networks of the host may call: where the host routes to them."""
        routed = {guest.interface for guest in self.guests if self.prefixes(guest)}
        return (switch.interface for switch in self.switches if switch.from_others and switch.interface in routed)

    def led_out(self) -> Iterable[str]:
        """The links whose guests may call whom the host reaches."""
        closed = {switch.interface for switch in self.switches if not switch.outside}
        for guest in self.guests:
            if guest.interface not in closed and is_led_out(self.want, guest, self.family, self.sources):
                yield guest.interface

    def open_links(self) -> Iterable[str]:
        """The links whose guests others may call: routed by the document, and neither masqueraded, in either family,
        nor closed."""
        closed = {switch.interface for switch in self.switches if not switch.outside}
        for guest in self.guests if self.routed and self.want.netns is None else ():
            if guest.interface not in closed and not is_hidden(guest, self.sources) and self.prefixes(guest):
                yield guest.interface


def _most_specific_first(entry: Masquerade) -> Tuple[int, str, Tuple[str, ...], str]:
    return -int(entry.source.partition("/")[2]), entry.source, entry.except_to, entry.to_source or ""
