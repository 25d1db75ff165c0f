# SPDX-License-Identifier: GPL-3.0-or-later
"""A document's rules in filter: what it lets through though FORWARD's or INPUT's policy may be DROP, and the guard.

They stand at the end of FORWARD: what others close stays closed. Only servers of ours on the host are opened at the
head of INPUT, each to its own network: nobody else has a say about that.
"""

from __future__ import annotations

import itertools
from typing import Tuple

from .groups import led_out
from .rules import DNATED, ESTABLISHED, NEW, Writer
from .services import NEIGHBOURS, asked
from .shared import OPEN, OTHERS, OUTWARDS, REST, SERVE
from .want import overlaps_any

_FEW = 2  # named interfaces that need no chain of their own


def open_ways(writer: Writer) -> None:
    """All of it."""
    _serve(writer)
    for name in writer.open_to_others():
        label = f"let guests of other networks call those on {name}"
        if writer.by_group:
            writer.share("filter", OPEN, 22, label, f"-o {name} -m devgroup {led_out('src', writer.family)}", "ACCEPT")
        else:
            writer.share("filter", OPEN, 22, label, f"-o {name}", OTHERS)
    for name in writer.want.passages:
        for link in writer.links:
            writer.share("filter", OUTWARDS, 10, "", f"-i {link} -o {name}", "ACCEPT")
    if _ways(writer):
        writer.hang("filter", OPEN, 30, writer.chain("filter", "OPEN"))
    _guard(writer)


def _serve(writer: Writer) -> None:
    for switch in writer.switches:
        label = f"let guests on {switch.interface} use {' and '.join(switch.services)} of the host"
        neighbours = NEIGHBOURS if writer.family == 6 and switch.services else ()
        for matches in (*asked(switch.services, writer.family), *neighbours):
            writer.share("filter", SERVE, 10, label, f"-i {switch.interface} {matches}", "ACCEPT")


def _ways(writer: Writer) -> bool:
    """What new connections may do; whether there is any way at all."""
    chain = f"HW-OPEN-{writer.tag}"

    def accept(label: str, matches: str, target: str = "ACCEPT") -> None:
        writer.add("filter", chain, label, matches, target)

    if not writer.by_group:
        _dispatch(writer)
    lans = tuple(switch.interface for switch in writer.lans)
    for name in (*(_of_several_prefixes(writer) if writer.by_group else writer.links), *lans):
        accept("", f"-i {name} -o {name}")
    for target in writer.outside_targets:
        accept("", f"-d {target} {DNATED}")
        accept("", f"-s {target} {DNATED}")
    homes = tuple(prefix for guest in writer.guests for prefix in guest.prefixes)
    for entry in writer.masquerade:
        if not entry.source.endswith("/0") and not overlaps_any(entry.source, homes):
            accept("", f"-s {entry.source} {ESTABLISHED}")
            accept("", f"-d {entry.source} {ESTABLISHED}")
            accept("", f"-s {entry.source}", OUTWARDS)
    if writer.let_through:
        through = writer.chain("filter", "THROUGH")
        for prefix in writer.let_through:
            accept(writer.through, f"-s {prefix}", through)
            writer.add("filter", through, "", f"-d {prefix}", "ACCEPT")
    if writer.routed and writer.want.netns is None:
        _named(writer)
    return ("filter", chain) in writer.chains


def _of_several_prefixes(writer: Writer) -> Tuple[str, ...]:
    """The links on which guests reach each other by way of the host: no frame goes from one prefix to another."""
    several = {guest.interface for guest in writer.guests if len(writer.prefixes(guest)) > 1}
    return tuple(name for name in writer.links if name in several)


def _named(writer: Writer) -> None:
    """Between the named interfaces, and from them to the routed networks: linear by way of a chain of their own."""
    open_links = set(writer.open_links())
    names = sorted({*writer.uplinks, *open_links})
    if len(names) <= _FEW:
        for by, to in itertools.permutations(names, 2):
            if by not in open_links or to in open_links:  # from networks of ours it leads out anyway
                label = f"route between {by} and the other interfaces of the document" if by not in open_links else ""
                writer.add("filter", f"HW-OPEN-{writer.tag}", label, f"-i {by} -o {to}", "ACCEPT")
        return
    named = writer.chain("filter", "NAMED")
    for name in writer.uplinks:  # not back to where it came from: that is nobody's way through this host
        writer.add("filter", f"HW-OPEN-{writer.tag}", "", f"-i {name} -o {name}", "RETURN")
    for name in names:
        label = f"route between {name} and the other interfaces of the document" if name in writer.uplinks else ""
        writer.add("filter", f"HW-OPEN-{writer.tag}", label, f"-o {name}", named)
        writer.add("filter", named, "", f"-i {name}", "ACCEPT")


def _dispatch(writer: Writer) -> None:
    """Where the kernel can't be asked for the group of a link: link by link."""
    outwards = set(writer.led_out())
    for name in writer.links:
        writer.share("filter", OPEN, 10, "", f"-i {name} {ESTABLISHED}", "ACCEPT")
        writer.share("filter", OPEN, 11, "", f"-o {name} {ESTABLISHED},DNAT", "ACCEPT")
        writer.share("filter", OUTWARDS, 20, "", f"-o {name}", "RETURN")
        if name in outwards:
            writer.share("filter", OPEN, 20, "", f"-i {name}", OUTWARDS)
            writer.share("filter", OTHERS, 10, "", f"-i {name}", "ACCEPT")
    for name in writer.open_to_others():
        writer.share("filter", OTHERS, 90, "", f"-o {name}", "RETURN")


def _guard(writer: Writer) -> None:
    """Drop what nobody decided about, because it was us who turned forwarding on."""
    if writer.family in writer.want.guard:
        label = f"guard IPv{writer.family} forwarding between interfaces that no document names"
        writer.share("filter", REST, 20, label, NEW, "DROP")
