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

import hashlib
import re
from typing import Dict, Iterable, List, NamedTuple, Tuple

from ..errors import InvalidValue
from ..model import Masquerade, PublishedPort
from .want import (
    ANY,
    FirewallWant,
    GuestNetwork,
    family_of,
    guest_of,
    is_hidden,
    localnet_interfaces,
    of_family,
    overlap,
    within,
)

FORWARD = "HOSTWIRE-FORWARD"
GUARD = "HOSTWIRE-GUARD"
SHARED = "-"  # stands where a mark names the owner; no document can be called so

_OWNER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}")  # xt_comment holds 255 characters
_LONGEST_TAG = 12  # "HW-PROTECT-" + 12 is well below the 28 characters of a chain name
_LOOKS_LIKE_DIGEST = re.compile(r"[0-9a-f]{12}")
_ESTABLISHED = "-m conntrack --ctstate RELATED,ESTABLISHED"
_DNATED = "-m conntrack --ctstate DNAT"
_TO_LOCAL = "-m addrtype --dst-type LOCAL"


class Rule(NamedTuple):
    """One rule: ``line`` makes it, ``mark`` ("owner:hash") tells it again.

    ``label`` says to a person what it is for; it is empty for a rule that only goes with others.
    """

    label: str
    mark: str
    line: str


class Jump(NamedTuple):
    """The only thing of ours in a built-in chain: a rule that leads to ``chain``, at the head or (``last``) the end."""

    table: str
    parent: str
    chain: str
    rule: Rule
    last: bool = False


class Rendered(NamedTuple):
    """The rules of one document in one family: (table, chain) -> rules, and the jumps that lead there.

    The shared chains hold only this document's part.
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


class _Writer:
    """Collects the rules of one document in one family."""

    def __init__(self, want: FirewallWant, family: int) -> None:
        self.want = want
        self.family = family
        self.tag = tag_of(want.owner)
        self.chains: Dict[Tuple[str, str], List[Rule]] = {}
        self.guests = tuple(sorted(want.guests))
        self.interfaces = tuple(sorted({guest.interface for guest in want.guests}))
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
        homes = {port.to_address: guest_of(want, port.to_address) for port in self.ports}
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


def render(want: FirewallWant, family: int, bridged: bool = False) -> Rendered:
    """Every rule that ``want`` means in one family. ``bridged``: bridged packets may pass through iptables here."""
    writer = _Writer(want, family)
    _raw_localnet(writer)
    if want.netns is None:
        _raw_hidden(writer)
        _protect(writer)
        _accept(writer)
        _guard(writer, bridged)
    _dnat(writer)
    _hairpin(writer)
    _masquerade(writer)
    chains = {key: tuple(rules) for key, rules in writer.chains.items()}
    return Rendered(_with_shared(want.owner, writer.tag, chains), _jumps(want.owner, writer.tag, chains))


# --- raw: before conntrack and nat, so that it sees who a packet was really sent to


def _raw_localnet(writer: _Writer) -> None:
    """127/8 comes from lo and from nowhere else where route_localnet is on (CVE-2020-8558)."""
    chain = f"HW-RAW-{writer.tag}"
    for interface in localnet_interfaces(writer.want) if writer.family == 4 else ():
        writer.add("raw", chain, "", f"-s 127.0.0.0/8 -i {interface}", "DROP")
        writer.add("raw", chain, "", f"-d 127.0.0.0/8 -i {interface}", "DROP")


def _raw_hidden(writer: _Writer) -> None:
    """Nobody outside sends packets to a masqueraded network: answers to its guests come to the host's own address.

    Let pass: lo and local destinations (the host's own address in that network), the network itself (bridged packets
    come by here when bridge-nf-call-iptables is 1, with the bridge as their interface), an interface towards which the
    document doesn't masquerade, since answers come from there, and what the document routes.
    """
    chain = f"HW-RAW-{writer.tag}"
    for guest in writer.guests:
        for prefix in of_family(guest.prefixes, writer.family):
            entries = writer.masqueraded(prefix)
            for hidden in sorted({entry.source if within(entry.source, prefix) else prefix for entry in entries}):
                pass_from = {guest.interface, "lo"}
                pass_from.update(entry.except_to for entry in entries if entry.except_to)
                if writer.routed:
                    pass_from.update(writer.interfaces)
                label = f"protect guests on {guest.interface}"
                for interface in sorted(pass_from):
                    writer.add("raw", chain, label, f"-d {hidden} -i {interface}", "RETURN")
                for source in writer.let_through if _any_within(hidden, writer.let_through) else ():
                    writer.add("raw", chain, label, f"-s {source} -d {hidden}", "RETURN")
                writer.add("raw", chain, label, f"-d {hidden} -m addrtype ! --dst-type LOCAL", "DROP")


def _any_within(prefix: str, outers: Iterable[str]) -> bool:
    return any(within(prefix, outer) for outer in outers)


# --- filter


def _protect(writer: _Writer) -> None:
    """Drop new connections from elsewhere into the guest networks; say nothing about the rest."""
    chain = f"HW-PROTECT-{writer.tag}"

    def leave(label: str, matches: str) -> None:
        writer.add("filter", chain, label, matches, "RETURN")

    if writer.guests:
        # DNAT: some rule of an administrator (the document's own, mostly) leads this connection here on purpose.
        leave("", f"{_ESTABLISHED},DNAT")
    for interface in writer.interfaces:
        neighbours = f"-i {interface}" if writer.routed else f"-i {interface} -o {interface}"
        leave(f"protect guests on {interface}", neighbours)
    for guest in writer.guests:
        label = f"protect guests on {guest.interface}"
        if writer.routed and not is_hidden(writer.want, guest):
            for uplink in writer.uplinks:
                leave(label, f"-i {uplink} -o {guest.interface}")
        for prefix in of_family(guest.prefixes, writer.family):
            if _any_within(prefix, writer.let_through):
                for source in writer.let_through:
                    leave(writer.through, f"-s {source} -d {prefix}")
    for interface in writer.interfaces:
        writer.add("filter", chain, f"protect guests on {interface}", f"-o {interface}", "DROP")


def _accept(writer: _Writer) -> None:
    """Let through what the document declares, though FORWARD's policy may be DROP (dockerd sets it)."""
    accept = writer.accept
    for guest in writer.guests:
        _accept_guest(writer, guest)
    prefixes = [prefix for guest in writer.guests for prefix in guest.prefixes]
    for entry in writer.masquerade:
        if not entry.source.endswith("/0") and not any(overlap(entry.source, prefix) for prefix in prefixes):
            accept("", f"-s {entry.source}")
            accept("", f"-d {entry.source} {_ESTABLISHED}")
    for target in writer.outside_targets:
        # The state DNAT holds in both directions of a connection (net/netfilter/xt_conntrack.c looks at its status).
        accept("", f"-d {target} {_DNATED}")
        accept("", f"-s {target} {_DNATED}")
    for source in writer.let_through:
        for destination in writer.let_through:
            accept(writer.through, f"-s {source} -d {destination}")
    if writer.routed:
        _accept_named(writer)


def _accept_guest(writer: _Writer, guest: GuestNetwork) -> None:
    accept = writer.accept
    interface = guest.interface
    accept("", f"-o {interface} {_ESTABLISHED},DNAT")
    if writer.routed or any(writer.masqueraded(prefix) for prefix in guest.prefixes):
        accept("", f"-i {interface}")
    else:
        accept("", f"-i {interface} -o {interface}")  # within one bridge, where FORWARD sees that (hazard 32)
        accept("", f"-i {interface} {_ESTABLISHED}")


def _accept_named(writer: _Writer) -> None:
    """From each named interface that leads to no guests to every named one: linear by way of a chain of their own."""
    chain = f"HW-NAMED-{writer.tag}"
    for uplink in writer.uplinks:
        label = f"route between {uplink} and the other interfaces of the document"
        writer.add("filter", f"HW-ACCEPT-{writer.tag}", label, f"-i {uplink}", chain)
    if writer.uplinks:
        for interface in sorted({*writer.uplinks, *writer.interfaces}):
            writer.add("filter", chain, "", f"-o {interface}", "ACCEPT")


def _guard(writer: _Writer, bridged: bool) -> None:
    """Drop what nobody decided about, because it was us who turned forwarding on."""
    if writer.family not in writer.want.guard:
        return
    label = f"guard IPv{writer.family} forwarding between interfaces that no document names"
    if bridged:
        # Frames within somebody else's bridge aren't routed (hazard 32). Only where br_netfilter is loaded already:
        # this match would load it, and with it change how every bridge of the host behaves.
        writer.add("filter", GUARD, label, "-m physdev --physdev-is-bridged", "RETURN")
    writer.add("filter", GUARD, label, "-m conntrack ! --ctstate RELATED,ESTABLISHED", "DROP")


# --- nat


def _dnat(writer: _Writer) -> None:
    for port in writer.ports:
        matches = f"-p {port.protocol} -m {port.protocol} --dport {_ports(port.port, port.port_last)}"
        if port.address != ANY:
            matches = f"-d {port.address} {matches}"
        target = f"DNAT --to-destination {_destination(port)}"
        for source in sorted(port.sources) or ("",):
            limited = f"-s {source} {matches}" if source else matches
            writer.add("nat", f"HW-DNAT-{writer.tag}", publish_label(port), limited, target)


def _ports(first: int, last: int, to: str = ":") -> str:
    return str(first) if first == last else f"{first}{to}{last}"


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _destination(port: PublishedPort) -> str:
    if port.port == port.to_port:
        return port.to_address  # the port stays as it is, range or not
    last = port.to_port + port.port_last - port.port
    # "first-last/base" maps one to one: the new port is first + (old port - base). Without base it would be any.
    base = f"/{port.port}" if last != port.to_port else ""
    return f"{_bracketed(port.to_address)}:{_ports(port.to_port, last, '-')}{base}"


def publish_label(port: PublishedPort) -> str:
    """``publish tcp any:8080 -> 192.168.15.2:80 from 10.0.0.0/8``."""
    last = port.to_port + port.port_last - port.port
    source = f"{_bracketed(port.address)}:{_ports(port.port, port.port_last, '-')}"
    admitted = f" from {', '.join(sorted(port.sources))}" if port.sources else ""
    target = f"{_bracketed(port.to_address)}:{_ports(port.to_port, last, '-')}"
    return f"publish {port.protocol} {source} -> {target}{admitted}"


def _hairpin(writer: _Writer) -> None:
    """Make answers of a published port come back through the host (hazard 40).

    A neighbour of the target, or the target itself, would else be answered directly, from an address that it never
    spoke to. And the host's own address may be one (127.0.0.1) that the target can't answer, or one it has no route to.
    """
    chain = f"HW-SNAT-{writer.tag}"
    for guest in writer.serving:
        writer.add("nat", chain, "", f"-o {guest.interface} -m addrtype --src-type LOCAL {_DNATED}", "MASQUERADE")
        for prefix in of_family(guest.prefixes, writer.family):
            writer.add("nat", chain, "", f"-s {prefix} -d {prefix} {_DNATED}", "MASQUERADE")
    for target in writer.outside_targets:
        writer.add("nat", chain, "", f"-d {target} -m addrtype --src-type LOCAL {_DNATED}", "MASQUERADE")
        neighbours = {entry.source for entry in writer.masquerade if within(target, entry.source)}
        for prefix in sorted(neighbours or {target}):
            writer.add("nat", chain, "", f"-s {prefix} -d {target} {_DNATED}", "MASQUERADE")


def _masquerade(writer: _Writer) -> None:
    chain = f"HW-SNAT-{writer.tag}"
    for guest in writer.guests:
        for prefix in of_family(guest.prefixes, writer.family):
            entries = writer.masqueraded(prefix)
            if any(entry.except_to != guest.interface for entry in entries):
                # Neighbours on one bridge see each other's own addresses (hazard 32).
                writer.add("nat", chain, "", f"-s {prefix} -o {guest.interface}", "RETURN")
    homes = [prefix for guest in writer.guests for prefix in guest.prefixes]
    for entry in writer.masquerade:
        matches = f"-s {entry.source}"
        if entry.except_to is not None:
            matches += f" ! -o {entry.except_to}"
        elif not entry.source.endswith("/0") and not any(overlap(entry.source, home) for home in homes):
            matches += f" ! -d {entry.source}"  # whichever interface it lives on: not between neighbours
        target = f"SNAT --to-source {entry.to_source}" if entry.to_source else "MASQUERADE"
        writer.add("nat", chain, masquerade_label(entry), matches, target)


def masquerade_label(entry: Masquerade) -> str:
    """``masquerade 192.168.15.0/24 except to v-net-0``."""
    exempt = f" except to {entry.except_to}" if entry.except_to else ""
    return f"masquerade {entry.source}{exempt}{f' as {entry.to_source}' if entry.to_source else ''}"


# --- the way into the chains


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
