# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of raw and filter: what keeps others out, and what lets through that which the document declares."""

from __future__ import annotations

from .rules import DNATED, ESTABLISHED, GUARD, Writer
from .want import GuestNetwork, any_within, is_hidden, localnet_interfaces, of_family, overlap, within

# --- raw: before conntrack and nat, so that it sees who a packet was really sent to


def raw_localnet(writer: Writer) -> None:
    """127/8 comes from lo and from nowhere else where route_localnet is on (CVE-2020-8558)."""
    chain = f"HW-RAW-{writer.tag}"
    for interface in localnet_interfaces(writer.want) if writer.family == 4 else ():
        writer.add("raw", chain, "", f"-s 127.0.0.0/8 -i {interface}", "DROP")
        writer.add("raw", chain, "", f"-d 127.0.0.0/8 -i {interface}", "DROP")


def raw_hidden(writer: Writer) -> None:
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
                for source in writer.let_through if any_within(hidden, writer.let_through) else ():
                    writer.add("raw", chain, label, f"-s {source} -d {hidden}", "RETURN")
                writer.add("raw", chain, label, f"-d {hidden} -m addrtype ! --dst-type LOCAL", "DROP")


# --- filter


def protect(writer: Writer) -> None:
    """Drop new connections from elsewhere into the guest networks; say nothing about the rest."""
    chain = f"HW-PROTECT-{writer.tag}"

    def leave(label: str, matches: str) -> None:
        writer.add("filter", chain, label, matches, "RETURN")

    if writer.guests:
        # DNAT: some rule of an administrator (the document's own, mostly) leads this connection here on purpose.
        leave("", f"{ESTABLISHED},DNAT")
    for interface in writer.interfaces:
        neighbours = f"-i {interface}" if writer.routed else f"-i {interface} -o {interface}"
        leave(f"protect guests on {interface}", neighbours)
    for guest in writer.guests:
        label = f"protect guests on {guest.interface}"
        if writer.routed and not is_hidden(writer.want, guest):
            for uplink in writer.uplinks:
                leave(label, f"-i {uplink} -o {guest.interface}")
        for prefix in of_family(guest.prefixes, writer.family):
            if any_within(prefix, writer.let_through):
                for source in writer.let_through:
                    leave(writer.through, f"-s {source} -d {prefix}")
    for interface in writer.interfaces:
        writer.add("filter", chain, f"protect guests on {interface}", f"-o {interface}", "DROP")


def accept(writer: Writer) -> None:
    """Let through what the document declares, though FORWARD's policy may be DROP (dockerd sets it)."""
    accept = writer.accept
    for guest in writer.guests:
        _accept_guest(writer, guest)
    prefixes = [prefix for guest in writer.guests for prefix in guest.prefixes]
    for entry in writer.masquerade:
        if not entry.source.endswith("/0") and not any(overlap(entry.source, prefix) for prefix in prefixes):
            accept("", f"-s {entry.source}")
            accept("", f"-d {entry.source} {ESTABLISHED}")
    for target in writer.outside_targets:
        accept("", f"-d {target} {DNATED}")
        accept("", f"-s {target} {DNATED}")
    for source in writer.let_through:
        for destination in writer.let_through:
            accept(writer.through, f"-s {source} -d {destination}")
    if writer.routed:
        _accept_named(writer)


def _accept_guest(writer: Writer, guest: GuestNetwork) -> None:
    accept = writer.accept
    interface = guest.interface
    accept("", f"-o {interface} {ESTABLISHED},DNAT")
    if writer.routed or any(writer.masqueraded(prefix) for prefix in guest.prefixes):
        accept("", f"-i {interface}")
    else:
        accept("", f"-i {interface} -o {interface}")  # within one bridge, where FORWARD sees that (hazard 32)
        accept("", f"-i {interface} {ESTABLISHED}")


def _accept_named(writer: Writer) -> None:
    """From each named interface that leads to no guests to every named one: linear by way of a chain of their own."""
    chain = f"HW-NAMED-{writer.tag}"
    for uplink in writer.uplinks:
        label = f"route between {uplink} and the other interfaces of the document"
        writer.add("filter", f"HW-ACCEPT-{writer.tag}", label, f"-i {uplink}", chain)
    if writer.uplinks:
        for interface in sorted({*writer.uplinks, *writer.interfaces}):
            writer.add("filter", chain, "", f"-o {interface}", "ACCEPT")


def guard(writer: Writer, bridged: bool) -> None:
    """Drop what nobody decided about, because it was us who turned forwarding on."""
    if writer.family not in writer.want.guard:
        return
    label = f"guard IPv{writer.family} forwarding between interfaces that no document names"
    if bridged:
        # Frames within somebody else's bridge aren't routed (hazard 32). Only where br_netfilter is loaded already:
        # this match would load it, and with it change how every bridge of the host behaves.
        writer.add("filter", GUARD, label, "-m physdev --physdev-is-bridged", "RETURN")
    writer.add("filter", GUARD, label, "-m conntrack ! --ctstate RELATED,ESTABLISHED", "DROP")
