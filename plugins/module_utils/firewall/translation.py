# SPDX-License-Identifier: GPL-3.0-or-later
"""A document's rules in nat: published ports and masquerading. Only a flow's first packet comes by here."""

from __future__ import annotations

import socket
from typing import Dict, Iterator, List, Tuple

from ..model import Masquerade, PublishedPort
from .labels import bracketed, masquerade_label, publish_label
from .rules import Writer
from .shared import HAIRPIN, LEAVE, LEAVES, PORTS, leave_of
from .tree import Leaf, grow
from .want import ANY, overlap, span, within

_LETTERS = dict(zip((LEAVE, *LEAVES), ("", *"ABCDEFGH")))  # a chain of a document's has no digit before its name


def translate(writer: Writer) -> None:
    """All of it."""
    _destinations(writer)
    _hairpin(writer)
    _masquerade(writer)


def _destinations(writer: Writer) -> None:
    """Lead published ports to their targets, each protocol by a tree of its own."""
    protocols: Dict[str, List[PublishedPort]] = {}
    for port in writer.ports:
        protocols.setdefault(port.protocol, []).append(port)
    for protocol, ports in sorted(protocols.items()):
        chain = writer.chain("nat", f"{protocol.upper()}")

        def cover(first: int, last: int, protocol: str = protocol) -> str:
            return f"-p {protocol} -m {protocol} --dport {first}:{last}"

        first, last = min(port.port for port in ports), max(port.port_last for port in ports)
        leaves = [Leaf(port.port, port.port_last, tuple(_destination_rules(port))) for port in ports]
        grow(lambda branch, *rule: writer.add("nat", branch, *rule), chain, leaves, cover)
        writer.hang("nat", PORTS, 10, chain, cover(first, last))


def _destination_rules(port: PublishedPort) -> Iterator[Tuple[str, str, str]]:
    first, last, protocol = port.port, port.port_last, port.protocol
    ports = first if first == last else f"{first}:{last}"
    matches = f"-p {protocol} -m {protocol} --dport {ports}"
    if port.address != ANY:
        matches = f"-d {port.address} {matches}"
    elif ":" in port.to_address:
        matches = f"! -d ::1/128 {matches}"  # what comes from ::1 can't leave the host: there is no route_localnet
    for source in sorted(port.sources) or ("",):
        admitted = f"-s {source} {matches}" if source else matches
        yield publish_label(port), admitted, f"DNAT --to-destination {_destination(port)}"


def _destination(port: PublishedPort) -> str:
    if port.port == port.to_port:
        return port.to_address  # the port stays as it is, range or not
    to = f"{bracketed(port.to_address)}:{port.to_port}"
    if port.port == port.port_last:
        return to
    # "first-last/base" maps one to one: the new port is first + (old port - base). Without base it would be any.
    return f"{to}-{port.to_port + port.port_last - port.port}/{port.port}"


def _hairpin(writer: Writer) -> None:
    """Make answers of a published port come back through the host (hazard 40).

    A neighbour of the target, or the target itself, would else be answered directly, from an address that it never
    spoke to. And the host's own address may be one (127.0.0.1) that the target can't answer, or one it has no route to.
    """
    if not writer.ports:
        return
    chain = writer.chain("nat", "HAIRPIN")
    for guest in writer.serving:
        writer.add("nat", chain, "", f"-o {guest.interface} -m addrtype --src-type LOCAL", "MASQUERADE")
        for prefix in writer.prefixes(guest):
            writer.add("nat", chain, "", f"-s {prefix} -d {prefix}", "MASQUERADE")
    for target in writer.outside_targets:
        if target in writer.want.borrowed:
            writer.add("nat", chain, "", f"-d {target}", "MASQUERADE")
            continue
        writer.add("nat", chain, "", f"-d {target} -m addrtype --src-type LOCAL", "MASQUERADE")
        neighbours = {entry.source for entry in writer.masquerade if within(target, entry.source)}
        for prefix in sorted(neighbours or {target}):
            writer.add("nat", chain, "", f"-s {prefix} -d {target}", "MASQUERADE")
    writer.hang("nat", HAIRPIN, 10, chain)


def _masquerade(writer: Writer) -> None:
    """Give packets from the named networks an address of the host, save between neighbours on one bridge."""
    numbers = socket.AF_INET6 if writer.family == 6 else socket.AF_INET
    bits = 128 if writer.family == 6 else 32

    def cover(first: int, last: int) -> str:
        """The smallest prefix that holds both."""
        free = (first ^ last).bit_length()
        text = socket.inet_ntop(numbers, (first >> free << free).to_bytes(bits // 8, "big"))
        return f"-s {text}/{bits - free}"

    homes = {prefix: guest.interface for guest in writer.guests for prefix in writer.prefixes(guest)}
    entries: Dict[str, List[Masquerade]] = {}
    for entry in writer.masquerade:
        entries.setdefault(leave_of(entry.source, writer.family), []).append(entry)
    for parent, some in sorted(entries.items()):
        chain = writer.chain("nat", f"SNAT{_LETTERS[parent]}")
        leaves = [Leaf(*span(entry.source), tuple(_masquerade_rules(entry, homes))) for entry in some]
        whole = cover(min(leaf.first for leaf in leaves), max(leaf.last for leaf in leaves))
        # Of the documents whose sources overlap the narrower one decides, by the widest of each.
        rank = 30 + bits - min(int(entry.source.partition("/")[2]) for entry in some)
        grow(lambda branch, *rule: writer.add("nat", branch, *rule), chain, leaves, cover)
        writer.hang("nat", parent, rank, chain, whole if not whole.endswith("/0") else "")


def _masquerade_rules(entry: Masquerade, homes: Dict[str, str]) -> Iterator[Tuple[str, str, str]]:
    """``homes``: the interface by each prefix that guests live in."""
    target = f"SNAT --to-source {entry.to_source}" if entry.to_source else "MASQUERADE"
    label = masquerade_label(entry)
    # Guests' prefixes don't overlap: one that is the source itself is the only one.
    near = [entry.source] if entry.source in homes else [home for home in homes if overlap(home, entry.source)]
    # Neighbours on one bridge see each other's own addresses, whether that is said or not (hazard 32). What isn't said
    # has a rule of its own: so the rules tell which of the two stands there.
    exempt = {(entry.source, interface) for interface in entry.except_to}
    exempt.update(
        (prefix if within(prefix, entry.source) else entry.source, homes[prefix])
        for prefix in near
        if homes[prefix] not in entry.except_to
    )
    only = min(exempt) if len(exempt) == 1 else None
    if only is not None and only == (entry.source, *entry.except_to):
        yield label, f"-s {entry.source} ! -o {only[1]}", target
        return
    for source, interface in sorted(exempt):
        yield "", f"-s {source} -o {interface}", "RETURN"
    away = ""
    if not exempt and not entry.source.endswith("/0"):
        away = f" ! -d {entry.source}"  # whichever interface it lives on: not between neighbours
    yield label, f"-s {entry.source}{away}", target
