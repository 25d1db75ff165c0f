# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of filter that keep to what is said of the guests on a switch: whom they may reach, and who them.

Each closes a direction for new connections, told by the interface and not by addresses: a guest can give itself any
address, and can route any address of the host onto its link (Linux answers for all of them on each interface).
"""

from __future__ import annotations

from .rules import BRIDGED, Writer

# Neighbour discovery, router advertisements and multicast listeners: conntrack doesn't follow exactly these types
# (noct_valid_new in net/netfilter/nf_conntrack_proto_icmpv6.c), and IPv6 is dead without them.
_DISCOVERY = "-p ipv6-icmp -m conntrack --ctstate UNTRACKED"
# What a DHCP server sends goes to somebody who has no address yet, or whom it answers at another one than it was asked.
_SERVES_DHCP = {4: "-p udp -m udp --sport 67 --dport 68", 6: "-p udp -m udp --sport 547 --dport 546"}
_NEW = "-m conntrack ! --ctstate RELATED,ESTABLISHED"


def leave_bridged(writer: Writer, bridged: bool) -> None:
    """Keep what other documents hide from the frames within a switch that is closed to all sides (hazard 32).

    Guests there may have addresses that another network of the host has, too: every guest of mode nat has the same.
    """
    for switch in writer.switches if bridged else ():
        closed = not (switch.to_host or switch.from_host or switch.outside)
        if closed and switch.interface not in writer.interfaces:
            writer.add("raw", BRIDGED, "", f"-i {switch.interface}", "ACCEPT")


def close_host(writer: Writer) -> None:
    """The ways between guests and the host itself."""
    for switch in writer.switches:
        name = switch.interface
        if not switch.to_host:
            label, chain = f"keep guests on {name} from the host", f"HW-INPUT-{writer.tag}"
            if writer.family == 6:
                writer.add("filter", chain, label, f"-i {name} {_DISCOVERY}", "RETURN")
            writer.add("filter", chain, label, f"-i {name} {_NEW}", "DROP")
        if not switch.from_host:
            label, chain = f"keep the host from guests on {name}", f"HW-OUTPUT-{writer.tag}"
            if writer.family == 6:
                writer.add("filter", chain, label, f"-o {name} {_DISCOVERY}", "RETURN")
            writer.add("filter", chain, label, f"-o {name} {_SERVES_DHCP[writer.family]}", "RETURN")
            writer.add("filter", chain, label, f"-o {name} {_NEW},DNAT", "DROP")


def close_forwarding(writer: Writer, bridged: bool) -> None:
    """What isn't forwarded from or to a switch.

    ``bridged``: bridged packets may pass by here, and then come in and go out by the bridge.
    """
    chain = f"HW-CLOSED-{writer.tag}"
    for switch in writer.switches:
        name = switch.interface
        if not switch.outside:
            label = f"keep guests on {name} from other networks"
            writer.add("filter", chain, label, f"-i {name} ! -o {name} {_NEW}", "DROP")
            writer.add("filter", chain, label, f"! -i {name} -o {name} {_NEW}", "DROP")
        if not switch.among:
            label = f"keep guests on {name} from each other"
            if bridged:
                # The bridge itself keeps isolated ports apart; what it lets through, to an uplink, is meant to pass.
                # Only where br_netfilter is loaded already: this match would load it.
                matches = f"-i {name} -o {name} -m physdev --physdev-is-bridged"
                writer.add("filter", chain, label, matches, "RETURN")
            writer.add("filter", chain, label, f"-i {name} -o {name} {_NEW},DNAT", "DROP")


def open_within(writer: Writer) -> None:
    """Traffic within a switch, where FORWARD sees that at all (hazard 32); close_forwarding comes before it."""
    for switch in writer.switches:
        if switch.interface not in writer.interfaces:  # a network with addresses of the host has that already
            name = switch.interface
            writer.accept(f"let guests on {name} reach each other", f"-i {name} -o {name}")
