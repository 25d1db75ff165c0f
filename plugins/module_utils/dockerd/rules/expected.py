# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules that an engine of a given version writes for what it runs: pure.

Each line is as iptables-save prints it, in an order in which the rules are right. Compared with real engines of 20.10,
26.1 and 28.5; the rest from moby's sources and its generated documentation of the rules.
"""

from __future__ import annotations

from typing import Dict, List, Mapping, NamedTuple, Optional

from ...firewall.tables import Ruleset
from ..model import Engine
from .layout import Layout, of_version
from .places import Bridge, Places, Port, exact, places

_ESTABLISHED = "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
_LOCAL = "-m addrtype --dst-type LOCAL -j DOCKER"
_LOOPBACK = {4: "127.0.0.0/8", 6: "::1/128"}
_ICMP = {4: "icmp", 6: "ipv6-icmp"}
_SETS = {4: "docker-ext-bridges-v4", 6: "docker-ext-bridges-v6"}


class Options(NamedTuple):
    """The engine's options that decide over rules and that its API doesn't tell. ip6tables None: the version's own."""

    userland_proxy: bool = True
    iptables: bool = True
    ip6tables: Optional[bool] = None
    direct_routing: bool = False


class _Book:
    """Rules as they are collected: each once, as the engine does it."""

    def __init__(self, layout: Layout) -> None:
        self.rules: Ruleset = {
            table: {name: [] for name in names} for table, names in layout.chains.items() if table in ("filter", "nat")
        }

    def add(self, table: str, chain: str, *rules: str) -> None:
        lines = self.rules.setdefault(table, {}).setdefault(chain, [])
        lines += [line for line in dict.fromkeys(f"-A {chain} {rule}" for rule in rules) if line not in lines]


def families(engine: Engine, options: Options) -> List[int]:
    """The families that this engine writes rules for."""
    six = engine.release >= (27, 0, 0) if options.ip6tables is None else options.ip6tables
    return [family for family, wanted in ((4, options.iptables), (6, six)) if wanted]


def expected(
    engine: Engine, options: Options, carriers: Optional[Mapping[str, str]] = None, layout: Optional[Layout] = None
) -> Dict[int, Ruleset]:
    """By family: all rules of the engine with iptables, in tables filter, nat and raw. ``carriers``: see places."""
    chosen = layout or of_version(engine.release)
    return {family: _family(engine, options, family, carriers, chosen) for family in families(engine, options)}


def _family(
    engine: Engine, options: Options, family: int, carriers: Optional[Mapping[str, str]], layout: Layout
) -> Ruleset:
    found = places(engine, family, carriers)
    book = _Book(layout)
    if layout.forwards:
        _forward_modern(book, found, layout)
    elif layout.name == "28.0.0":
        _forward_sets(book, found)
    else:
        _forward_classic(book, found, engine)
    _docker(book, found, layout)
    _isolation(book, found, layout, engine)
    _user(book, layout, family, engine)
    _nat(book, found, layout, options, engine)
    _raw(book, found, layout, options)
    return book.rules


def _inside(bridge: Bridge) -> str:
    """What happens to packets from a bridge to itself."""
    return f"-i {bridge.name} -o {bridge.name} -j {'ACCEPT' if bridge.icc else 'DROP'}"


def _outwards(bridge: Bridge) -> List[str]:
    """From a bridge, as the versions from 28 on write it."""
    if bridge.internal:
        return [_inside(bridge)]
    if bridge.icc:
        return [f"-i {bridge.name} -j ACCEPT"]
    return [_inside(bridge), f"-i {bridge.name} ! -o {bridge.name} -j ACCEPT"]


def _forward_classic(book: _Book, found: Places, engine: Engine) -> None:
    if found.family == 4 or engine.release >= (26, 0, 0):
        book.add("filter", "FORWARD", "-j DOCKER-USER")
    book.add("filter", "FORWARD", "-j DOCKER-ISOLATION-STAGE-1")
    for bridge in found.bridges:
        if bridge.internal:
            continue
        book.add("filter", "FORWARD", f"-o {bridge.name} {_ESTABLISHED}", f"-o {bridge.name} -j DOCKER")
        book.add("filter", "FORWARD", f"-i {bridge.name} ! -o {bridge.name} -j ACCEPT")
    book.add("filter", "FORWARD", *(_inside(bridge) for bridge in found.bridges if bridge.icc))
    book.add("filter", "FORWARD", *(_inside(bridge) for bridge in found.bridges if not bridge.icc))


def _forward_sets(book: _Book, found: Places) -> None:
    match = f"-m set --match-set {_SETS[found.family]} dst"
    book.add("filter", "FORWARD", "-j DOCKER-USER", f"{match} {_ESTABLISHED}", "-j DOCKER-ISOLATION-STAGE-1")
    book.add("filter", "FORWARD", f"{match} -j DOCKER")
    for bridge in found.bridges:
        book.add("filter", "FORWARD", *_outwards(bridge))


def _forward_modern(book: _Book, found: Places, layout: Layout) -> None:
    book.add("filter", "FORWARD", "-j DOCKER-USER", "-j DOCKER-FORWARD")
    second = "DOCKER-INTERNAL" if "DOCKER-INTERNAL" in layout.chains["filter"] else "DOCKER-ISOLATION-STAGE-1"
    book.add("filter", "DOCKER-FORWARD", "-j DOCKER-CT", f"-j {second}", "-j DOCKER-BRIDGE")
    for bridge in found.bridges:
        book.add("filter", "DOCKER-FORWARD", *_outwards(bridge))
        if not bridge.internal:
            book.add("filter", "DOCKER-BRIDGE", f"-o {bridge.name} -j DOCKER")
            book.add("filter", "DOCKER-CT", f"-o {bridge.name} {_ESTABLISHED}")


def _docker(book: _Book, found: Places, layout: Layout) -> None:
    """The filter chain DOCKER: a rule per published port, then (from 28 on) one that refuses the others."""
    modern = layout.first >= (28, 0, 0)
    for port in found.ports:
        if not (modern and port.bridge.mode == "nat-unprotected"):
            name, address = port.bridge.name, exact(port.address, found.family)
            book.add("filter", "DOCKER", f"-d {address} ! -i {name} -o {name} {_to_port(port, port.port)} -j ACCEPT")
    for bridge in found.bridges if modern else ():
        if bridge.internal:
            continue
        if bridge.mode == "routed":
            book.add("filter", "DOCKER", f"-o {bridge.name} -p {_ICMP[found.family]} -j ACCEPT")
        verdict = "ACCEPT" if bridge.mode == "nat-unprotected" else "DROP"
        book.add("filter", "DOCKER", f"! -i {bridge.name} -o {bridge.name} -j {verdict}")


def _to_port(port: Port, number: int) -> str:
    return f"-p {port.protocol} -m {port.protocol} --dport {number}"


def _isolation(book: _Book, found: Places, layout: Layout, engine: Engine) -> None:
    if "DOCKER-INTERNAL" in layout.chains["filter"]:
        for bridge in found.bridges:
            if bridge.internal:
                book.add("filter", "DOCKER-INTERNAL", *_internal(bridge, found.family, engine))
        return
    first, second = "DOCKER-ISOLATION-STAGE-1", "DOCKER-ISOLATION-STAGE-2"
    for bridge in found.bridges if layout.first >= (28, 0, 0) else ():
        if bridge.mode == "routed" and not bridge.internal:
            book.add("filter", first, f"-i {bridge.name} {_ESTABLISHED}", f"-o {bridge.name} -j RETURN")
    for bridge in found.bridges:
        if bridge.internal:
            book.add("filter", first, *_internal(bridge, found.family, engine))
    # Before 28 all bridges are kept apart in IPv6 too, whether they have it or not.
    isolated = found.bridges if layout.first >= (28, 0, 0) else places(engine, 4).bridges + found.bridges
    for bridge in isolated:
        if not bridge.internal:
            book.add("filter", first, f"-i {bridge.name} ! -o {bridge.name} -j {second}")
            book.add("filter", second, f"-o {bridge.name} -j DROP")
    if layout.first < (28, 0, 0):
        book.add("filter", first, "-j RETURN")
        book.add("filter", second, "-j RETURN")


def _internal(bridge: Bridge, family: int, engine: Engine) -> List[str]:
    """An internal network speaks with nobody outside."""
    if family == 6 and engine.release >= (23, 0, 0):
        return [
            f"! -s {bridge.subnet} ! -i {bridge.name} -o {bridge.name} -j DROP",
            f"! -d {bridge.subnet} -i {bridge.name} ! -o {bridge.name} -j DROP",
        ]
    return [f"! -s {bridge.subnet} -o {bridge.name} -j DROP", f"! -d {bridge.subnet} -i {bridge.name} -j DROP"]


def _user(book: _Book, layout: Layout, family: int, engine: Engine) -> None:
    if family == 6 and engine.release < (26, 0, 0):
        del book.rules["filter"]["DOCKER-USER"]
    elif layout.user_returns:
        book.add("filter", "DOCKER-USER", "-j RETURN")


def _nat(book: _Book, found: Places, layout: Layout, options: Options, engine: Engine) -> None:
    hairpin = not options.userland_proxy
    modern = layout.first >= (28, 0, 0)
    book.add("nat", "PREROUTING", _LOCAL)
    book.add("nat", "OUTPUT", _LOCAL if hairpin else f"! -d {_LOOPBACK[found.family]} {_LOCAL}")
    for bridge in found.bridges:
        if bridge.internal:
            continue
        target = f"SNAT --to-source {bridge.source}" if bridge.source else "MASQUERADE"
        if hairpin:
            book.add("nat", "POSTROUTING", f"-o {bridge.name} -m addrtype --src-type LOCAL -j {target}")
        if bridge.masquerade and bridge.mode != "routed":
            book.add("nat", "POSTROUTING", f"-s {bridge.subnet} ! -o {bridge.name} -j {target}")
        if bridge.masquerade and layout.nat_returns and not hairpin:
            book.add("nat", "DOCKER", f"-i {bridge.name} -j RETURN")
    for port in found.ports:
        if port.host_port:
            book.add("nat", "DOCKER", _translation(port, found.family, hairpin, engine))
            if hairpin or not modern:
                itself = exact(port.address, found.family)
                book.add("nat", "POSTROUTING", f"-s {itself} -d {itself} {_to_port(port, port.port)} -j MASQUERADE")


def _translation(port: Port, family: int, hairpin: bool, engine: Engine) -> str:
    """The rule that gives a published port to its container."""
    parts = ["! -s fe80::/10"] if family == 6 and engine.release >= (27, 0, 0) else []
    if port.host_address:
        parts.append(f"-d {exact(port.host_address, family)}")
    if not hairpin:
        parts.append(f"! -i {port.bridge.name}")
    address = port.address if family == 4 else f"[{port.address}]"
    return " ".join([*parts, _to_port(port, port.host_port), f"-j DNAT --to-destination {address}:{port.port}"])


def _raw(book: _Book, found: Places, layout: Layout, options: Options) -> None:
    """What keeps neighbours from reaching containers, and ports published on loopback, by routes of their own."""
    if not layout.raw:
        return
    rules: List[str] = []
    if layout.raw == "container" and not options.direct_routing:
        for bridge, address in found.addresses:
            if not bridge.internal and bridge.mode == "nat":
                to = f"-d {exact(address, found.family)}"
                rules += [f"{to} -i {trusted} -j ACCEPT" for trusted in bridge.trusted]
                rules.append(f"{to} ! -i {bridge.name} -j DROP")
    for port in found.ports:
        if layout.raw == "port" and port.bridge.mode == "nat":
            to = exact(port.address, found.family)
            rules.append(f"-d {to} ! -i {port.bridge.name} {_to_port(port, port.port)} -j DROP")
        if found.family == 4 and port.host_address.startswith("127.") and port.host_port:
            rules.append(f"-d {exact(port.host_address, 4)} ! -i lo {_to_port(port, port.host_port)} -j DROP")
    if rules:
        book.add("raw", "PREROUTING", *rules)
