# SPDX-License-Identifier: GPL-3.0-or-later
"""Masquerading and published ports for engines that run with ``iptables: false``: in chains of our own. Pure."""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from ...firewall.rules import ESTABLISHED, Jump, Rule, make_rule
from ...firewall.tables import owned_marks
from ..model import DEFAULT_NETWORK, Engine
from .access import CHAIN as USER
from .access import OWNER
from .places import Places, Port, exact, places

CHAIN = "HOSTWIRE-DOCKER"
MASQUERADES = "HOSTWIRE-DOCKER-MASQ"
# Every chain of this module's, by table.
CHAINS = (("filter", USER), ("filter", CHAIN), ("nat", CHAIN), ("nat", MASQUERADES))
_LOOPBACK = {4: "127.0.0.0/8", 6: "::1/128"}


class OwnRules(NamedTuple):
    """What is to stand in chains of ours, by table and chain, and the jumps that lead there."""

    chains: Dict[Tuple[str, str], Tuple[Rule, ...]]
    jumps: Tuple[Jump, ...]


def user_rendered(rules: Sequence[Rule], parent: str = "DOCKER-USER") -> OwnRules:
    """The user's rules and the jump to them. Nothing where there are none."""
    if not rules:
        return OwnRules({}, ())
    return OwnRules({("filter", USER): tuple(rules)}, (user_jump(parent),))


def user_jump(parent: str = "DOCKER-USER") -> Jump:
    """What leads to the chain of the user's rules."""
    return Jump("filter", parent, USER, make_rule(OWNER, "filter", parent, "", "", USER))


def standing(lines: Sequence[str], jump: Jump) -> Optional[str]:
    """The line of a chain that is this jump; None where it is missing, or stands behind the chain's end."""
    ends = tuple(f"-A {jump.parent} -j {target} " for target in ("RETURN", "ACCEPT", "DROP", "REJECT"))
    for line in lines:
        if jump.rule.mark in owned_marks([line]):
            return line
        if f"{line} ".startswith(ends):
            return None
    return None


def unmanaged(engine: Engine, family: int, rules: Sequence[Rule], kept: bool = False, ip_masq: bool = True) -> OwnRules:
    """What gives containers their way out and their published ports in one family, with the user's rules first.

    ``kept``: those that stand there already stay. ``ip_masq``: the engine's option; an engine without iptables says of
    its default network that it isn't masqueraded, whatever the option is.
    """
    found = places(engine, family)
    default = engine.network(DEFAULT_NETWORK)
    if ip_masq and default is not None:
        bridges = [b._replace(masquerade=True) if b.name == default.bridge else b for b in found.bridges]
        found = found._replace(bridges=tuple(bridges))
    chains: Dict[Tuple[str, str], Tuple[Rule, ...]] = {
        ("filter", CHAIN): _forwarding(found, kept or bool(rules)),
        ("nat", CHAIN): tuple(_translation(port, family) for port in found.ports if port.host_port),
        ("nat", MASQUERADES): _masquerading(found),
    }
    if rules:
        chains["filter", USER] = tuple(rules)
    local = f"! -d {_LOOPBACK[family]} -m addrtype --dst-type LOCAL"
    jumps = [
        _jump("filter", "FORWARD", CHAIN, ""),
        _jump("nat", "PREROUTING", CHAIN, "-m addrtype --dst-type LOCAL"),
        _jump("nat", "OUTPUT", CHAIN, local),
        _jump("nat", "POSTROUTING", MASQUERADES, ""),
    ]
    filled = {place: lines for place, lines in chains.items() if lines}
    return OwnRules(filled, tuple(jump for jump in jumps if (jump.table, jump.chain) in filled))


def _jump(table: str, parent: str, chain: str, matches: str) -> Jump:
    return Jump(table, parent, chain, make_rule(OWNER, table, parent, "", matches, chain))


def _forwarding(found: Places, user: bool) -> Tuple[Rule, ...]:
    rules: List[Tuple[str, str, str]] = [("", "", USER)] if user else []
    for bridge in found.bridges:
        name, label = bridge.name, f"network on {bridge.name}"
        if bridge.internal:
            rules.append((label, f"! -s {bridge.subnet} -o {name}", "DROP"))
            rules.append((label, f"! -d {bridge.subnet} -i {name}", "DROP"))
        else:
            rules.append((label, f"-o {name} {ESTABLISHED}", "ACCEPT"))
        rules.append((label, f"-i {name} -o {name}", "ACCEPT" if bridge.icc else "DROP"))
    for port in found.ports:
        to = f"-d {exact(port.address, found.family)} ! -i {port.bridge.name} -o {port.bridge.name}"
        rules.append((_words(port), f"{to} -p {port.protocol} -m {port.protocol} --dport {port.port}", "ACCEPT"))
    for bridge in found.bridges:
        if not bridge.internal:
            rules.append((f"network on {bridge.name}", f"-i {bridge.name} ! -o {bridge.name}", "ACCEPT"))
    made = [make_rule(OWNER, "filter", CHAIN, label, matches, target) for label, matches, target in rules]
    return tuple({rule.mark: rule for rule in made}.values())  # one port of a container may be published twice


def _masquerading(found: Places) -> Tuple[Rule, ...]:
    return tuple(
        make_rule(
            OWNER,
            "nat",
            MASQUERADES,
            f"masquerade {bridge.subnet}",
            f"-s {bridge.subnet} ! -o {bridge.name}",
            f"SNAT --to-source {bridge.source}" if bridge.source else "MASQUERADE",
        )
        for bridge in found.bridges
        if bridge.masquerade and bridge.mode != "routed"
    )


def _words(port: Port) -> str:
    return f"published port {port.host_port}/{port.protocol}"


def _translation(port: Port, family: int) -> Rule:
    to = [f"-d {exact(port.host_address, family)}"] if port.host_address else []
    matches = [*to, f"! -i {port.bridge.name}", f"-p {port.protocol} -m {port.protocol} --dport {port.host_port}"]
    address = port.address if family == 4 else f"[{port.address}]"
    target = f"DNAT --to-destination {address}:{port.port}"
    return make_rule(OWNER, "nat", CHAIN, _words(port), " ".join(matches), target)
