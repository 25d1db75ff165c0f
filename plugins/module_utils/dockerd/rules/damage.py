# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with the rules that stand there, measured by what the engine would write: pure."""

from __future__ import annotations

import re
from ipaddress import ip_interface, ip_network
from typing import Iterator, List, Mapping, NamedTuple, Optional, Set, Tuple

from ...firewall.tables import Ruleset, target_of
from ..model import Engine
from .layout import Layout, Rulesets
from .order import misplaced

_TOOL = {4: "iptables", 6: "ip6tables"}
_FLOATING = re.compile(
    r"-A POSTROUTING -s (?P<source>\S+) (?:! -o (?P<bridge>docker\S*|br-[0-9a-f]{12})|-d (?P=source) -p \S+ .*)"
    r" -j (?:MASQUERADE|SNAT --to-source \S+)"
)
_PORT = re.compile(r" --dport (\d+)")


class Damage(NamedTuple):
    """One thing that is wrong.

    ``kind``: missing-chain, missing-jump, missing-rule, missing-port, missing-masquerade, stale-masquerade,
    wrong-order, duplicate or unreadable. ``rule`` is the line as iptables-save prints it, "" where it is about a chain.
    ``text`` says it for a person. ``repairable``: it can be put right without a restart of the engine.
    """

    kind: str
    family: int
    table: str
    chain: str
    rule: str
    text: str
    repairable: bool = True


def damage(
    expected: Mapping[int, Ruleset], actual: Rulesets, layout: Layout, engine: Optional[Engine] = None
) -> Tuple[Damage, ...]:
    """Everything that is wrong in the families of ``expected``, family by family, filter before nat.

    With ``engine``, masquerading for sources that belong to no network of its is found, too.
    """
    found: List[Damage] = []
    for family, wanted in expected.items():
        present = actual.get(family, {})
        for table, chains in wanted.items():
            for chain, lines in chains.items():
                found += _of_chain(family, table, chain, lines, present.get(table, {}).get(chain), layout.known)
        if engine is not None:
            found += _stale(engine, family, present, wanted)
    return tuple(found)


def _of_chain(
    family: int, table: str, chain: str, wanted: List[str], present: Optional[List[str]], known: bool
) -> Iterator[Damage]:
    where = f"{_TOOL[family]} {table}"
    if present is None and chain.startswith("DOCKER"):
        yield Damage("missing-chain", family, table, chain, "", f"{where}: chain {chain} is missing", known)
    standing = present or []
    there = set(standing)
    for line in wanted:
        if line not in there:
            kind = _kind(table, line)
            yield Damage(kind, family, table, chain, line, f"{where}: {_words(kind, line)}: {line}", known)
    late = misplaced(table, standing, wanted)
    for line in dict.fromkeys(late):
        text = f"{where}: a rule stands too late in chain {chain} to have its effect: {line}"
        yield Damage("wrong-order", family, table, chain, line, text, known)
    for line in wanted:
        if standing.count(line) > 1:
            text = f"{where}: a rule stands {standing.count(line)} times in chain {chain}: {line}"
            yield Damage("duplicate", family, table, chain, line, text, known)


def _kind(table: str, line: str) -> str:
    chain, target = line.split(" ", 2)[1], target_of(line)
    if target.startswith("DOCKER"):
        return "missing-jump"
    if chain == "POSTROUTING":
        return "missing-masquerade"
    if chain == "DOCKER" and _PORT.search(line):
        return "missing-port"
    return "missing-rule"


def _words(kind: str, line: str) -> str:
    chain, target = line.split(" ", 2)[1], target_of(line)
    port = _PORT.search(line)
    if kind == "missing-jump":
        return f"the jump from {chain} to {target} is missing"
    if kind == "missing-masquerade":
        return "masquerading is missing"
    if kind == "missing-port" and port:
        what = f"published port {port.group(1)}" if target == "DNAT" else f"a container's port {port.group(1)}"
        return f"the rule for {what} is missing"
    return f"a rule of {chain} is missing"


def _stale(engine: Engine, family: int, present: Ruleset, wanted: Ruleset) -> Iterator[Damage]:
    """Masquerading that an engine left behind: for a network or a container that is no more."""
    expected: Set[str] = set(wanted.get("nat", {}).get("POSTROUTING", ()))
    subnets = {
        str(ip_interface(subnet.subnet).network)
        for network in engine.networks
        for subnet in network.subnets
        if subnet.subnet
    }
    addresses = {
        address
        for container in engine.running()
        for endpoint in container.endpoints
        for address in (endpoint.ipv4, endpoint.ipv6)
    }
    for line in dict.fromkeys(present.get("nat", {}).get("POSTROUTING", ())):
        match = _FLOATING.fullmatch(line)
        if match is None or line in expected:
            continue
        source = match.group("source")
        bare = source.partition("/")[0]
        if source in subnets or bare in addresses:
            continue
        if not match.group("bridge") and ip_network(source, strict=False).num_addresses != 1:
            continue
        text = f"{_TOOL[family]} nat: masquerading for {source}, which belongs to no network of Docker: {line}"
        yield Damage("stale-masquerade", family, "nat", "POSTROUTING", line, text)
