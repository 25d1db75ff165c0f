# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of nat: published ports and masquerading."""

from __future__ import annotations

from ..model import Masquerade, PublishedPort
from .rules import DNATED, Writer
from .want import ANY, of_family, overlap, within


def destinations(writer: Writer) -> None:
    """Lead published ports to their targets. The chain is only reached by packets to a local address (hazard 41)."""
    chain = f"HW-DNAT-{writer.tag}"
    for port in writer.ports:
        first, last, protocol = port.port, port.port_last, port.protocol
        ports = first if first == last else f"{first}:{last}"
        matches = f"-p {protocol} -m {protocol} --dport {ports}"
        if port.address != ANY:
            matches = f"-d {port.address} {matches}"
        elif writer.family == 6:
            matches = f"! -d ::1/128 {matches}"  # what comes from ::1 can't leave the host: there is no route_localnet
        label, target = publish_label(port), f"DNAT --to-destination {_destination(port)}"
        for source in sorted(port.sources) or ("",):
            writer.add("nat", chain, label, f"-s {source} {matches}" if source else matches, target)


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _destination(port: PublishedPort) -> str:
    if port.port == port.to_port:
        return port.to_address  # the port stays as it is, range or not
    to = f"{_bracketed(port.to_address)}:{port.to_port}"
    if port.port == port.port_last:
        return to
    # "first-last/base" maps one to one: the new port is first + (old port - base). Without base it would be any.
    return f"{to}-{port.to_port + port.port_last - port.port}/{port.port}"


def publish_label(port: PublishedPort) -> str:
    """``publish tcp any:8080 -> 192.168.15.2:80 from 10.0.0.0/8``."""
    more = port.port_last - port.port
    source = f"{_bracketed(port.address)}:{port.port}"
    target = f"{_bracketed(port.to_address)}:{port.to_port}"
    admitted = f" from {', '.join(sorted(port.sources))}" if port.sources else ""
    if more:
        return f"publish {port.protocol} {source}-{port.port_last} -> {target}-{port.to_port + more}{admitted}"
    return f"publish {port.protocol} {source} -> {target}{admitted}"


def hairpin(writer: Writer) -> None:
    """Make answers of a published port come back through the host (hazard 40).

    A neighbour of the target, or the target itself, would else be answered directly, from an address that it never
    spoke to. And the host's own address may be one (127.0.0.1) that the target can't answer, or one it has no route to.
    """
    chain = f"HW-SNAT-{writer.tag}"
    for guest in writer.serving:
        writer.add("nat", chain, "", f"-o {guest.interface} -m addrtype --src-type LOCAL {DNATED}", "MASQUERADE")
        for prefix in of_family(guest.prefixes, writer.family):
            writer.add("nat", chain, "", f"-s {prefix} -d {prefix} {DNATED}", "MASQUERADE")
    for target in writer.outside_targets:
        writer.add("nat", chain, "", f"-d {target} -m addrtype --src-type LOCAL {DNATED}", "MASQUERADE")
        neighbours = {entry.source for entry in writer.masquerade if within(target, entry.source)}
        for prefix in sorted(neighbours or {target}):
            writer.add("nat", chain, "", f"-s {prefix} -d {target} {DNATED}", "MASQUERADE")


def masquerade(writer: Writer, bridged: bool) -> None:
    """Give packets from the named networks an address of the host, save between neighbours on one bridge."""
    chain = f"HW-SNAT-{writer.tag}"
    if bridged and writer.switches and writer.masquerade:
        # What the host sent to a guest's router comes by again on the switch between that and the guest, from the same
        # address (hazard 32). Only where br_netfilter is loaded already: this match would load it.
        writer.add("nat", chain, "", "-m physdev --physdev-is-bridged", "RETURN")
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
