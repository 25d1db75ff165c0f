# SPDX-License-Identifier: GPL-3.0-or-later
"""A document's rules in mangle: who may call its guests, and whom they may not.

New connections are told by the interface and not by addresses: a guest can give itself any address, and can route any
address of the host onto its link (Linux answers for all of them on each interface). Whoever is let in here is let
through by filter (:mod:`.opening`); whether others close it is theirs to say.
"""

from __future__ import annotations

from typing import Iterator, Tuple

from . import shared
from .groups import led_out
from .rules import ESTABLISHED, Writer
from .services import asked
from .want import SwitchPolicy, family_of, overlap


def close(writer: Writer) -> None:
    """All of it."""
    if writer.links:
        if not writer.by_group:
            _dispatch(writer)
        _within(writer)
        _inwards(writer)
    for switch in writer.lans:
        _lan(writer, switch)
    _masqueraded(writer)
    _answering(writer)
    if not (writer.links or writer.lans):
        return
    _host(writer)
    _servers(writer)
    _strangers(writer)


def _dispatch(writer: Writer) -> None:
    """Where the kernel can't be asked for the group of a link: link by link."""
    closed = {switch.interface for switch in writer.switches if not switch.outside}
    addressed = {guest.interface for guest in writer.guests if writer.prefixes(guest)}
    for name in writer.links:
        if name not in addressed:
            writer.share("mangle", shared.UNROUTED, 50, "", f"-i {name}", "DROP")
            writer.share("mangle", shared.UNROUTED, 51, "", f"-o {name}", "DROP")
            writer.share("mangle", shared.CLOSE, 10, "", f"-i {name}", "RETURN")
            writer.share("mangle", shared.HOST, 15, "", f"-i {name}", shared.UNADDRESSED)
        writer.share("mangle", shared.CLOSE, 30, "", f"-i {name}", f"goto {shared.FROM}")
        writer.share("mangle", shared.CLOSE, 40, "", f"-o {name}", f"goto {shared.TO}")
        writer.share("mangle", shared.FROM, 30, "", f"-o {name}", f"goto {shared.TO}")
        if name in closed:
            writer.share("mangle", shared.FROM, 10, "", f"-i {name}", f"goto {shared.SHUT}")
            writer.share("mangle", shared.FROM, 11, "", f"-o {name}", f"goto {shared.SHUT}")
            writer.share("mangle", shared.TO, 10, "", f"-o {name}", f"goto {shared.SHUT}")


def _within(writer: Writer) -> None:
    """From one guest on a link to another: where FORWARD sees that, since bridged frames may pass by (hazard 32)."""
    policies = {switch.interface: switch for switch in writer.switches}
    addressed = {guest.interface for guest in writer.guests if writer.prefixes(guest)}
    interfaces = {guest.interface for guest in writer.guests if guest.prefixes}
    unrouted = shared.WITHIN if writer.by_group else shared.UNROUTED
    for name in writer.links:
        policy = policies.get(name, SwitchPolicy(name))
        chain = unrouted if name not in addressed else shared.TO if policy.outside else shared.SHUT
        matches = f"-i {name} -o {name}"
        label = f"let guests on {name} reach each other" if name not in interfaces and policy.among else ""
        if not policy.outside:
            label = f"keep guests on {name} from other networks"
        if policy.among:
            writer.share("mangle", chain, 18, label, matches, "RETURN")
            continue
        _apart(writer, chain, 18, f"{label}\nkeep guests on {name} from each other".strip(), name)


def _apart(writer: Writer, chain: str, rank: int, label: str, name: str) -> None:
    """No guest on a link reaches another by way of the host."""
    matches = f"-i {name} -o {name}"
    if writer.bridged and chain == shared.CLOSE:  # elsewhere that stands for all
        # The bridge itself keeps isolated ports apart; what it lets through, to an uplink, is meant to pass. Only
        # where br_netfilter is loaded already: this match would load it.
        writer.share("mangle", chain, rank, label, f"{matches} -m physdev --physdev-is-bridged", "RETURN")
    writer.share("mangle", chain, rank, label, f"{matches} {ESTABLISHED},DNAT", "RETURN")
    writer.share("mangle", chain, rank + 1, label, matches, "DROP")


def _lan(writer: Writer, switch: SwitchPolicy) -> None:
    """Guests on a LAN: others live there too, so nothing but what is said of them is closed."""
    name = switch.interface
    if not switch.outside:
        label = f"keep guests on {name} from other networks"
        writer.share("mangle", shared.CLOSE, 26, label, f"-i {name} ! -o {name}", "DROP")
        writer.share("mangle", shared.CLOSE, 26, label, f"! -i {name} -o {name}", "DROP")
    if not switch.among:
        _apart(writer, shared.CLOSE, 27, f"keep guests on {name} from each other", name)


def _inwards(writer: Writer) -> None:
    """Who else may call guests: the document's routed networks each other and its named interfaces them; prefixes."""
    open_links = tuple(writer.open_links())
    if len(open_links) == 1 and not writer.let_through:
        for name in writer.uplinks:
            writer.share("mangle", shared.TO, 30, "", f"-i {name} -o {open_links[0]}", "RETURN")
        open_links = ()
    callers = (*writer.uplinks, *open_links)
    if open_links:
        into = writer.chain("mangle", "INTO")
        for name in callers:
            writer.add("mangle", into, "", f"-i {name}", "RETURN")
    let_in = bool(writer.let_through)
    if let_in:
        through = writer.chain("mangle", "THROUGH")
        hidden = writer.chain("mangle", "HIDDEN") if set(writer.interfaces) - set(open_links) else ""
        for chain in filter(None, (hidden, into if open_links else "")):
            for source in writer.let_through:
                writer.add("mangle", chain, writer.through, f"-s {source}", f"goto {through}")
        for destination in writer.let_through:
            writer.add("mangle", through, "", f"-d {destination}", "RETURN")
        writer.add("mangle", through, "", "", "DROP")
        if hidden:
            writer.add("mangle", hidden, "", "", "DROP")
    if open_links:
        writer.add("mangle", into, "", "", "DROP")
    _from_others(writer)
    for guest in writer.guests:
        if guest.interface in open_links:
            writer.share("mangle", shared.TO, 30, "", f"-o {guest.interface}", f"goto {into}")
        elif let_in:
            writer.share("mangle", shared.TO, 30, "", f"-o {guest.interface}", f"goto {hidden}")


def _answering(writer: Writer) -> None:
    """A guest of two networks answers with the address that was asked, and calls with that of its way."""
    for answer in writer.want.answers:
        if family_of(answer.address) == writer.family:
            # Ahead of what somebody published a port for: that may be open to the guest's own network alone.
            for chain, rank in ((shared.CLOSE, 25), (shared.HOST, 29)):
                writer.share("mangle", chain, rank, "", f"-i {answer.interface} -s {answer.address}", "DROP", once=True)


def _masqueraded(writer: Writer) -> None:
    """A masqueraded network behind an interface that isn't ours is as hidden as our own, unless more is said of it."""
    for source, interface in writer.homes_elsewhere():
        if not any(overlap(source, prefix) for prefix in writer.let_through):
            matches = f"-d {source} ! -i {interface} -m conntrack ! --ctstate DNAT"
            writer.share("mangle", shared.CLOSE, 26, f"protect {source} on {interface}", matches, "DROP")


def _strangers(writer: Writer) -> None:
    """Which bridges with somebody else's guests are no strangers': what the document says of them is for its guests."""
    for name in writer.want.passages:
        for link in writer.links:
            writer.share("mangle", shared.FOREIGN, 10, "", f"-i {link} -o {name}", "RETURN")
    if writer.let_through:
        led = writer.chain("mangle", "LED")
        for prefix in writer.let_through:
            writer.share("mangle", shared.FOREIGN, 20, "", f"-s {prefix}", f"goto {led}")
            writer.add("mangle", led, "", f"-d {prefix}", "RETURN")
        writer.add("mangle", led, "", "", shared.STRANGERS)


def _from_others(writer: Writer) -> None:
    """Guests of the host's other networks that lead out, where a network is open to them."""
    for name in writer.open_to_others():
        if writer.by_group:
            writer.share(
                "mangle", shared.TO, 25, "", f"-o {name} -m devgroup {led_out('src', writer.family)}", "RETURN"
            )
        else:
            writer.share("mangle", shared.TO, 25, "", f"-o {name}", shared.OTHERS)
            writer.share("mangle", shared.OTHERS, 90, "", f"-o {name}", "RETURN")
    for name in () if writer.by_group else writer.led_out():
        writer.share("mangle", shared.OTHERS, 10, "", f"-i {name}", "ACCEPT")


def _host(writer: Writer) -> None:
    """The ways between guests and the host itself."""
    for prefix, name in _hidden_addresses(writer):
        # Nobody but the network itself has business with the host's address in a network that is masqueraded.
        writer.share("mangle", shared.HOST, 40, "", f"-d {prefix} ! -i {name}", "DROP")
    for switch in writer.switches:
        name = switch.interface
        if not switch.to_host:
            label = f"keep guests on {name} from the host"
            writer.share("mangle", shared.HOST, 31, label, f"-i {name}", "DROP")
        if not switch.from_host:
            label = f"keep the host from guests on {name}"
            writer.share("mangle", shared.AWAY, 31, label, f"-o {name}", "DROP")


def _servers(writer: Writer) -> None:
    """Servers of ours are there for their own network, whoever else may reach the host's address in it."""
    services = {switch.interface: switch.services for switch in writer.switches if switch.services}
    for guest in writer.guests:
        for prefix in writer.prefixes(guest) if guest.interface in services else ():
            for matches in () if writer.hidden(prefix) else asked(services[guest.interface], writer.family):
                writer.share("mangle", shared.HOST, 41, "", f"-d {prefix} ! -i {guest.interface} {matches}", "DROP")


def _hidden_addresses(writer: Writer) -> Iterator[Tuple[str, str]]:
    for guest in writer.guests:
        for prefix in writer.prefixes(guest):
            if writer.hidden(prefix):
                yield prefix, guest.interface
