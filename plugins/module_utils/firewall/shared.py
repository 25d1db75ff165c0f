# SPDX-License-Identifier: GPL-3.0-or-later
"""The chains that all documents share, and the rules in them that are the same on every host.

They are few, and no packet of a flow that stands passes more of them where there are more networks. Four tables, four
questions:

- raw: can the packet come from there? Loopback comes from lo; what isn't on its way back's interface and claims to be
  of a network of ours is forged, and so is all from a link of ours that isn't of its network;
- mangle: what is closed. It is asked before filter, so that nobody's ACCEPT there comes before it, and whoever flushes
  or reorders filter (``iptables -F``, a restart of dockerd) leaves it alone;
- filter: what is opened, at the end of FORWARD, behind what others close; then the guard;
- nat: published ports and masquerading.

The flow's state is asked first; what has to be asked for each network is asked of a flow's first packet.
"""

from __future__ import annotations

import socket
from typing import Dict, FrozenSet, Iterator, NamedTuple, Tuple

from . import groups
from .rules import DNATED, ESTABLISHED, NEW, SHARED, Jump, Rule, make_rule
from .tables import DEVGROUP, RPFILTER
from .want import GUESTS_BRIDGES

SOURCE = "HOSTWIRE-SOURCE"
STRANGE = "HOSTWIRE-STRANGE"
UNROUTED = "HOSTWIRE-UNROUTED"
WITHIN = "HOSTWIRE-WITHIN"
CLOSE = "HOSTWIRE-CLOSE"
SHUT = "HOSTWIRE-SHUT"
FROM = "HOSTWIRE-FROM"
TO = "HOSTWIRE-TO"
FOREIGN = "HOSTWIRE-FOREIGN"
STRANGERS = "HOSTWIRE-STRANGERS"
HOST = "HOSTWIRE-HOST"
UNADDRESSED = "HOSTWIRE-UNADDRESSED"
LINK = "HOSTWIRE-LINK"
OTHERS = "HOSTWIRE-OTHERS"
AWAY = "HOSTWIRE-AWAY"
SERVE = "HOSTWIRE-SERVE"
OPEN = "HOSTWIRE-OPEN"
OUTWARDS = "HOSTWIRE-OUTWARDS"
REST = "HOSTWIRE-REST"
PORTS = "HOSTWIRE-PORTS"
LEAVE = "HOSTWIRE-LEAVE"
LEAVES = tuple(f"{LEAVE}-{number}" for number in range(8))  # by the last bits of small networks
HAIRPIN = "HOSTWIRE-HAIRPIN"

# Those that stand as long as a document has a rule in their table, then those that stand only for rules in themselves.
USUAL: Dict[str, Tuple[str, ...]] = {
    "raw": (SOURCE, STRANGE),
    "mangle": (CLOSE, SHUT, WITHIN, FROM, TO, FOREIGN, STRANGERS, LINK, HOST, UNADDRESSED),
    "filter": (OPEN, OUTWARDS, REST),
    "nat": (PORTS, LEAVE, HAIRPIN),
}
OPTIONAL: Dict[str, Tuple[str, ...]] = {
    "raw": (),
    "mangle": (UNROUTED, AWAY, OTHERS),
    "filter": (SERVE, OTHERS),
    "nat": LEAVES,
}
# One that stands where another has rules of documents in it, too.
STANDS_WITH = {UNROUTED: WITHIN}

_LOOPBACK = {4: "127.0.0.0/8", 6: "::1/128"}
_UNSPECIFIED = {4: "0.0.0.0/32", 6: "::/128"}
_LINK_LOCAL = {4: "169.254.0.0/16", 6: "fe80::/10"}
_MULTICAST = {4: "224.0.0.0/4", 6: "ff00::/8"}
# Neighbour discovery, router advertisements and multicast listeners: conntrack doesn't follow exactly these types
# (noct_valid_new in net/netfilter/nf_conntrack_proto_icmpv6.c), and IPv6 is dead without them.
_DISCOVERY = "-p ipv6-icmp -m conntrack --ctstate UNTRACKED"
# What a DHCP server sends goes to somebody who has no address yet, or whom it answers at another one than it was asked.
_SERVES_DHCP = {4: "-p udp -m udp --sport 67 --dport 68", 6: "-p udp -m udp --sport 547 --dport 546"}
_TO_LOCAL = "-m addrtype --dst-type LOCAL"
_BRIDGED = "-m physdev --physdev-is-bridged"


def _jump(table: str, parent: str, chain: str, matches: str = "", last: bool = False) -> Jump:
    return Jump(table, parent, chain, make_rule(SHARED, table, parent, "", matches, chain), last)


JUMPS = (
    _jump("raw", "PREROUTING", SOURCE),
    _jump("mangle", "FORWARD", CLOSE, NEW),  # of a flow that stands nothing is asked any more
    _jump("mangle", "FORWARD", UNROUTED),
    _jump("mangle", "INPUT", HOST),
    _jump("mangle", "OUTPUT", AWAY),
    _jump("filter", "INPUT", SERVE),
    _jump("filter", "FORWARD", OPEN, last=True),
    _jump("nat", "PREROUTING", PORTS, _TO_LOCAL),  # only packets to a local address are led on (hazard 41)
    _jump("nat", "OUTPUT", PORTS, _TO_LOCAL),
    _jump("nat", "POSTROUTING", LEAVE),
)


_BITS = {4: (24, "0.0.{}.0/0.0.7.0"), 6: (64, "0:0:0:{}::/0:0:0:7::")}


def leave_of(prefix: str, family: int) -> str:
    """The chain for what a network's guests send out: its packets pass it, and few others.

    A network of the usual size or smaller is in one of eight, by the last three bits that it has in common with its
    neighbours; the dispatcher's rules: :func:`dispatch`. A larger one is in LEAVE itself.
    """
    length, _mask = _BITS[family]
    address, _slash, said = prefix.partition("/")
    if not said or int(said) < length:
        return LEAVE
    packed = socket.inet_pton(socket.AF_INET6 if family == 6 else socket.AF_INET, address)
    return LEAVES[packed[length // 8 - 1] & 7]


def dispatch(chain: str, family: int) -> Rule:
    """The rule that leads to one of LEAVES, as long as that stands."""
    matches = f"-s {_BITS[family][1].format(LEAVES.index(chain))}"
    return make_rule(SHARED, "nat", LEAVE, "", matches, chain, 30)


class _Place(NamedTuple):
    """A rule of a shared chain that is no document's."""

    table: str
    chain: str
    rank: int
    matches: str
    target: str


def skeleton(
    family: int, bridged: bool, lacking: FrozenSet[str], foreign: Tuple[str, ...], everywhere: bool
) -> Dict[Tuple[str, str], Tuple[Rule, ...]]:
    """The rules of the shared chains that are nobody's, by table and chain; see :data:`USUAL`.

    ``bridged``: bridged packets may pass through iptables here. ``foreign``: bridges with somebody else's guests.
    ``everywhere``: bridges that programs are known to make are closed before they are there; not in a namespace.
    """
    found: Dict[Tuple[str, str], Tuple[Rule, ...]] = {
        (table, chain): () for kinds in (USUAL, OPTIONAL) for table, chains in kinds.items() for chain in chains
    }
    places = [*_sources(family, lacking), *_closing(family, bridged, lacking), *_opening(family, bridged, lacking)]
    for place, name in enumerate((*foreign, *(f"{name}+" for name in GUESTS_BRIDGES if everywhere))):
        rank = min(30 + place, 89)
        places.append(_Place("mangle", STRANGERS, rank, f"-o {name}", "DROP"))
        places.append(_Place("filter", OUTWARDS, rank, f"-o {name}", "RETURN"))
    for table, chain, rank, matches, target in places:
        rule = make_rule(SHARED, table, chain, "", matches, target, rank)
        found[table, chain] = (*found[table, chain], rule)
    return found


def _devgroup(*conditions: str) -> str:
    return f"-m devgroup {' '.join(conditions)}"


def _sources(family: int, lacking: FrozenSet[str]) -> Iterator[_Place]:
    """Where a packet can come from; before conntrack holds a flow of it (hazards 46 and 47)."""
    yield _Place("raw", SOURCE, 10, "-i lo", "RETURN")
    for rank, side in ((20, "-s"), (21, "-d")):
        yield _Place("raw", SOURCE, rank, f"{side} {_LOOPBACK[family]}", "DROP")
    if RPFILTER not in lacking:
        yield _Place("raw", SOURCE, 30, "-m rpfilter", "RETURN")
        if DEVGROUP not in lacking:
            yield _Place("raw", SOURCE, 40, _devgroup(groups.with_sources("src", family)), f"goto {STRANGE}")
    if DEVGROUP not in lacking:
        # On a switch without addresses of the host anybody may have any address; nothing of it is routed.
        yield _Place("raw", SOURCE, 45, _devgroup(groups.without_sources("src", family)), "RETURN")
    yield _Place("raw", STRANGE, 10, f"-s {_UNSPECIFIED[family]}", "RETURN")
    broadcast = ((13, "255.255.255.255/32"),) if family == 4 else ()
    for rank, scope in ((11, _LINK_LOCAL[family]), (12, _MULTICAST[family]), *broadcast):
        yield _Place("raw", STRANGE, rank, f"-s {_LINK_LOCAL[family]} -d {scope}", "RETURN")
    yield _Place("raw", STRANGE, 90, "", "DROP")


def _closing(family: int, bridged: bool, lacking: FrozenSet[str]) -> Iterator[_Place]:
    """What isn't forwarded, and what doesn't come to the host."""
    by_group = DEVGROUP not in lacking
    if by_group:
        # UNROUTED doesn't stand on every host, and links on which nothing is forwarded any more look the same.
        for chain in (UNROUTED, CLOSE):
            for rank, side in ((10, "src"), (11, "dst")):
                yield _Place("mangle", chain, rank, _devgroup(groups.without_sources(side, family)), f"goto {WITHIN}")
        yield _Place("mangle", CLOSE, 30, _devgroup(groups.ours("src", family)), f"goto {FROM}")
        yield _Place("mangle", CLOSE, 40, _devgroup(groups.ours("dst", family)), f"goto {TO}")
        yield _Place("mangle", FROM, 10, _devgroup(groups.closed("src", family)), f"goto {SHUT}")
        yield _Place("mangle", FROM, 11, _devgroup(groups.closed("dst", family)), f"goto {SHUT}")
        yield _Place("mangle", FROM, 30, _devgroup(groups.ours("dst", family)), f"goto {TO}")
        yield _Place("mangle", TO, 10, _devgroup(groups.closed("dst", family)), f"goto {SHUT}")
        yield _Place("mangle", HOST, 15, _devgroup(groups.without_sources("src", family)), UNADDRESSED)
    for chain in (WITHIN if by_group else UNROUTED, SHUT, TO) if bridged else ():
        # Frames within a switch: what the bridge itself lets through is meant to pass (hazard 32).
        yield _Place("mangle", chain, 17, _BRIDGED, "RETURN")
    yield _Place("mangle", SHUT, 90, "", "DROP")
    yield _Place("mangle", WITHIN, 90, "", "DROP")
    yield _Place("mangle", FROM, 20, DNATED, "RETURN")
    # What conntrack makes nothing of isn't masqueraded either.
    hidden = f"{_devgroup(groups.hidden('src'))} " if by_group else ""
    yield _Place("mangle", FROM, 40, f"{hidden}-m conntrack --ctstate INVALID", "DROP")
    # What is of one link stays on it. The kernel sees to that, but not on the way back to the same link (ip6_forward).
    for rank, source in ((12, _LINK_LOCAL[family]), (13, _UNSPECIFIED[family])):
        yield _Place("mangle", FROM, rank, f"-s {source} -m conntrack --ctstate NEW", LINK)
    if bridged:
        yield _Place("mangle", LINK, 10, _BRIDGED, "RETURN")
    yield _Place("mangle", LINK, 90, "", "DROP")
    yield _Place("mangle", FROM, 50, "", FOREIGN)
    yield _Place("mangle", FOREIGN, 90, "", STRANGERS)
    # DNAT: some rule of an administrator (a document's published port, mostly) leads this connection here on purpose.
    yield _Place("mangle", TO, 12, DNATED, "RETURN")
    yield _Place("mangle", TO, 90, "", "DROP")
    yield _Place("mangle", HOST, 10, "-i lo", "RETURN")
    yield _Place("mangle", HOST, 20, ESTABLISHED, "RETURN")
    # Who asks for the address of the interface by which he comes asks for no other network's.
    yield _Place("mangle", HOST, 39, "-m addrtype --dst-type LOCAL --limit-iface-in", "RETURN")
    yield _Place("mangle", UNADDRESSED, 10, f"-s {_UNSPECIFIED[family]}", "RETURN")
    yield _Place("mangle", UNADDRESSED, 11, f"-s {_LINK_LOCAL[family]}", "RETURN")
    yield _Place("mangle", UNADDRESSED, 90, "", "DROP")
    yield _Place("mangle", AWAY, 10, ESTABLISHED, "RETURN")
    yield _Place("mangle", AWAY, 12, _SERVES_DHCP[family], "RETURN")
    if family == 6:
        yield _Place("mangle", HOST, 21, _DISCOVERY, "RETURN")
        yield _Place("mangle", AWAY, 11, _DISCOVERY, "RETURN")


def _opening(family: int, bridged: bool, lacking: FrozenSet[str]) -> Iterator[_Place]:
    """What is let through, and what is left of that for nat."""
    if DEVGROUP not in lacking:
        yield _Place("filter", OPEN, 10, f"{_devgroup(groups.ours('src', family))} {ESTABLISHED}", "ACCEPT")
        yield _Place("filter", OPEN, 11, f"{_devgroup(groups.ours('dst', family))} {ESTABLISHED}", "ACCEPT")
        yield _Place("filter", OPEN, 20, _devgroup(groups.led_out("src", family)), OUTWARDS)
        yield _Place("filter", OPEN, 21, f"{_devgroup(groups.ours('dst', family))} {DNATED}", "ACCEPT")
        if bridged:
            # Frames within a switch, where FORWARD sees those at all (hazard 32).
            within = _devgroup(groups.ours("src", family), groups.ours("dst", family))
            yield _Place("filter", OPEN, 23, f"{within} {_BRIDGED}", "ACCEPT")
        yield _Place("filter", OUTWARDS, 20, _devgroup(groups.ours("dst", family)), "RETURN")
    yield _Place("filter", OUTWARDS, 90, "", "ACCEPT")
    yield _Place("filter", OPEN, 90, "", REST)
    yield _Place("nat", LEAVE, 10, DNATED, HAIRPIN)
    if bridged:
        # Frames within a bridge keep their addresses (hazard 32). Only where br_netfilter is loaded already: this match
        # would load it, and with it change how every bridge of the host behaves.
        yield _Place("nat", LEAVE, 20, _BRIDGED, "RETURN")
        yield _Place("filter", REST, 10, _BRIDGED, "RETURN")
