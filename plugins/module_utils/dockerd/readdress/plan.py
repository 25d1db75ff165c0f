# SPDX-License-Identifier: GPL-3.0-or-later
"""From wish and situation to a plan: what every file will say, which addresses go, who stops and comes back. Pure."""

from __future__ import annotations

import ipaddress
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ..configuration import Configuration, change
from ..daemon_json import DELETE, merge
from ..model import DEFAULT_NETWORK, Container, Engine
from ..options import BY_PARAMETER, plain, words
from .agreement import OPTIONS_OF_NETWORK
from .leaning import Leaning, leaning
from .memory import Expected, Origin, Switch, Texts
from .situation import Situation
from .wish import PRESENT, RESTORED, Wish, outside

# What dockerd takes where nothing is said (libnetwork's ipamutils): these, in this order.
_BUILT_IN = tuple(f"172.{second}.0.0/16" for second in range(17, 32)) + tuple(
    f"192.168.{third}.0/20" for third in range(0, 256, 16)
)
_BY_ENGINE = ("always", "unless-stopped")
_SECONDS_OF_RESTART = 2.0  # dockerd alone, as measured on 20.10 to 28.5
_SECONDS_PER_CONTAINER = 0.4


class Plan(NamedTuple):
    """What will be done. ``options`` are ours with their values afterwards, by daemon.json key.

    ``engines`` come back by their restart policy, ``ours`` are started by us, in this order; ``resting`` are stopped,
    but started by Docker's own start, and stopped again. ``downtime`` in seconds. ``leaning`` is what is written
    elsewhere of the address that goes; its warnings are among the lines.
    """

    lines: Tuple[str, ...]
    forward: Switch
    back: Switch
    before: Texts
    options: Dict[str, Any]
    engines: Tuple[Container, ...] = ()
    ours: Tuple[Container, ...] = ()
    resting: Tuple[Container, ...] = ()
    downtime: float = 0.0
    leaning: Leaning = Leaning()


def make_plan(wish: Wish, now: Situation) -> Plan:
    """The plan; without lines if all is as wished already. Raises InvalidValue for a daemon.json that is no JSON."""
    configuration = now.configuration
    wanted = _wanted(wish, now)
    changed = _files(wish, now, wanted)
    before = {path: text for path, (text, dummy) in changed.items()}
    after = {path: text for path, (dummy, text) in changed.items()}
    options = _options_after(configuration, wanted)
    address, address6 = _address_after(wish, now, options), options.get("bip6") or ""
    was = given(configuration)
    say = address != now.address or "bip" in was
    forward = _switch(now, options, after, Expected(address, address6), say, _gone(now, options, address))
    back = _switch(now, was, before, Expected(now.address, now.address6), True, (address, address6))
    others, lost = _others(wish, now, address)
    forward = forward._replace(put=_put(address), kept=others)
    back = back._replace(put=_put(now.address, *now.addresses), kept=_foreign(now))
    lines = _lines(now, options, changed, address)
    if not lines:
        return Plan((), forward, back, before, options)
    running = now.in_order()
    engines = tuple(one for one in running if one.policy in _BY_ENGINE)
    ours = tuple(one for one in running if one.policy not in _BY_ENGINE)
    resting = resting_in(now.engine)
    downtime = round(_SECONDS_OF_RESTART + _SECONDS_PER_CONTAINER * len(running), 1)
    lines += _container_lines(engines, ours, resting, downtime)
    lines[-1:-1] = [f"unit {name}: stops with Docker; is started again" for name in now.dependents]
    leans = leaning(now, forward)
    leans = leans._replace(warnings=(*leans.warnings, *lost))
    lines += [f"warning: {line}" for line in leans.warnings]
    return Plan(tuple(lines), forward, back, before, options, engines, ours, resting, downtime, leans)


def resting_in(engine: Engine) -> Tuple[Container, ...]:
    """The containers that were stopped, and that Docker starts all the same with each start of its own."""
    found = (one for one in engine.containers if not one.running and one.policy == "always")
    return tuple(one for one in found if one.status != "created")


def given(configuration: Configuration) -> Dict[str, Any]:
    """Our options that stand anywhere, with their values."""
    keys = [option.key for option in BY_PARAMETER.values()]
    return {key: plain(configuration.value(key)) for key in keys if configuration.settings[key].given}


def _wanted(wish: Wish, now: Situation) -> Dict[str, Any]:
    """Only what isn't so already: a default that is asked for needs no writing down."""
    options: Mapping[str, Any] = wish.options
    if wish.state == RESTORED:
        options = {} if now.origin is None else {key: now.origin.options.get(key, DELETE) for key in wish.options}
    found = {}
    for key, value in options.items():
        setting = now.configuration.settings[key]
        if value is DELETE:
            if setting.given:
                found[key] = value
        elif setting.twice or plain(setting.value) != plain(value):
            found[key] = value
    return found


def _files(wish: Wish, now: Situation, wanted: Mapping[str, Any]) -> Dict[str, Tuple[Optional[str], Optional[str]]]:
    """(before, after) of every file that changes; None after: the file goes, as it wasn't there before us."""
    texts = now.configuration.texts
    origin = now.origin
    if (
        wish.state == RESTORED
        and origin is not None
        and all(texts.get(path) == text for path, text in origin.written.items())
    ):  # nobody else wrote since: the old bytes
        return {path: (texts.get(path), text) for path, text in origin.texts.items() if texts.get(path) != text}
    found: Dict[str, Tuple[Optional[str], Optional[str]]] = {}
    for path, (before, after) in change(now.configuration, wanted).items():
        ours_alone = (
            path == now.configuration.daemon_json
            and origin is not None
            and path in origin.texts
            and origin.texts[path] is None
            and after.strip() == "{}"
        )
        found[path] = (before, None if ours_alone else after)
    return found


def _options_after(configuration: Configuration, wanted: Mapping[str, Any]) -> Dict[str, Any]:
    options = {**given(configuration), **wanted}
    return {key: plain(value) for key, value in options.items() if value is not DELETE}


def _address_after(wish: Wish, now: Situation, options: Mapping[str, Any]) -> str:
    """docker0's IPv4 address with prefix length in the end."""
    if options.get("bip"):
        return str(options["bip"])
    if wish.state == PRESENT:
        return now.address
    old = now.origin.address if now.origin is not None and "bip" not in now.origin.options else ""
    if wish.state == RESTORED:
        return old or now.address
    if now.origin is not None and _said(now.origin.options, old):
        old = ""  # not Docker's own choice
    if not _said(given(now.configuration), now.address) and not (now.origin and old and old != now.address):
        return now.address  # dockerd chose it itself
    return old if old and _free(old, now) else first_free(options.get("default-address-pools"), now)


def _said(options: Mapping[str, Any], address: str) -> bool:
    """Whether docker0 has its address by one of these options: bip, or the range out of which dockerd then took one."""
    if options.get("bip") or not address:
        return bool(options.get("bip"))
    network = ipaddress.ip_interface(address).network
    if options.get("fixed-cidr") and ipaddress.ip_network(str(options["fixed-cidr"]), strict=False) == network:
        return True
    bases = [ipaddress.ip_network(str(pool["base"])) for pool in options.get("default-address-pools") or ()]
    return any(base.version == 4 and network.subnet_of(base) for base in bases)  # type: ignore[arg-type]


def first_free(pools: Optional[Sequence[Mapping[str, Any]]], now: Situation) -> str:
    """The first address that dockerd would take of its pools, routed networks counted in; "" if none is free."""
    for base in _pieces(pools):
        network = ipaddress.ip_network(base)
        address = f"{network.network_address + 1}/{network.prefixlen}"
        if network.version == 4 and _free(address, now):
            return address
    return ""


def _pieces(pools: Optional[Sequence[Mapping[str, Any]]]) -> Sequence[str]:
    if not pools:
        return _BUILT_IN
    found: List[str] = []
    for pool in pools:
        network = ipaddress.ip_network(str(pool["base"]))
        for number, piece in enumerate(network.subnets(new_prefix=int(pool["size"]))):
            if number >= 256:
                break
            found.append(str(piece))
    return found


def _free(address: str, now: Situation) -> bool:
    network = ipaddress.ip_interface(address).network
    others = [route.to for route in now.routes]
    others += [subnet.subnet for one in now.engine.networks if one.name != DEFAULT_NETWORK for subnet in one.subnets]
    return not any(
        other.version == network.version and other.overlaps(network)
        for other in (ipaddress.ip_network(text, strict=False) for text in others)
    )


def _gone(now: Situation, options: Mapping[str, Any], address: str) -> Tuple[str, ...]:
    gone = [now.address] if now.address != address else []
    if now.address6 and not _keeps6(now.address6, options):
        gone.append(now.address6)
    return tuple(gone)


def _keeps6(address6: str, options: Mapping[str, Any]) -> bool:
    """Whether docker0's IPv6 address is one that these options lead to."""
    interface = ipaddress.ip_interface(address6)
    if options.get("bip6"):
        return interface == ipaddress.ip_interface(str(options["bip6"]))
    if options.get("fixed-cidr-v6"):
        return interface.ip in ipaddress.ip_network(str(options["fixed-cidr-v6"]), strict=False)
    return bool(options.get("ipv6"))


def _switch(
    now: Situation,
    options: Mapping[str, Any],
    texts: Texts,
    addresses: Expected,
    say: bool,
    gone: Sequence[str],
) -> Switch:
    """The way to these options, files and addresses.

    ``say``: docker0's address has to be said at the start even where it is a default one, as dockerd, left to itself,
    keeps the last one that it had.
    """
    configuration = now.configuration
    path = configuration.daemon_json
    start = dict(texts)
    if say and addresses.address and not options.get("bip"):
        start[path] = merge(texts.get(path, configuration.texts.get(path)), {"bip": addresses.address}, path)
    final = {name: texts.get(name, configuration.texts.get(name)) for name in start}
    iptables = bool(configuration.value("iptables"))
    expected = addresses._replace(
        fixed_cidr=_range(str(options.get("fixed-cidr") or ""), addresses.address),
        subnet6=_subnet6(now, options),
        options={name: words(options[key]) for key, name in OPTIONS_OF_NETWORK.items() if key in options},
        masquerade=bool(options.get("ip-masq", True)) if iptables else None,
        subnets={
            one.name: tuple(subnet.subnet for subnet in one.subnets)
            for one in now.engine.networks
            if one.name != DEFAULT_NETWORK
        },
    )
    kept = ("", addresses.address, addresses.address6)
    return Switch(start, final, tuple(one for one in gone if one not in kept), (), expected)


def _subnet6(now: Situation, options: Mapping[str, Any]) -> str:
    """docker0's IPv6 subnet, where it is known: an address that fits is kept with the prefix length that it has."""
    cidr = str(options.get("fixed-cidr-v6") or "")
    if not cidr or not options.get("ipv6") or options.get("bip6"):
        return ""
    return "" if now.address6 and _keeps6(now.address6, options) else cidr


def _range(cidr: str, address: str) -> str:
    """The range of containers; an engine before 28 passes one by that isn't in docker0's subnet."""
    return "" if cidr and address and outside(cidr, address, 4) else cidr


def _others(wish: Wish, now: Situation, address: str) -> Tuple[Tuple[str, ...], List[str]]:
    """The IPv4 addresses that somebody else gave docker0, which stay, and a line for each that can't.

    In Docker's old subnet one would lead there all that is to go elsewhere from now on.
    """
    others = _foreign(now)
    if address == now.address:
        return others, []
    used = [ipaddress.ip_interface(one).network for one in (now.address, address) if one]
    stay = [one for one in others if not any(ipaddress.ip_interface(one).network.overlaps(net) for net in used)]
    back = [] if wish.state != RESTORED or now.origin is None else now.origin.addresses
    lost = [f"docker0: {one}, which isn't Docker's, goes with its old subnet" for one in others if one not in stay]
    return tuple(one for one in _put(*stay, *back) if one != address), lost


def _foreign(now: Situation) -> Tuple[str, ...]:
    return tuple(one for one in _put(*now.addresses) if one != now.address)


def _put(*addresses: str) -> Tuple[str, ...]:
    """The IPv4 addresses that docker0 is given by us; dockerd makes the IPv6 ones that it needs."""
    return tuple(dict.fromkeys(one for one in addresses if one and ":" not in one))


def _lines(
    now: Situation,
    options: Mapping[str, Any],
    changed: Mapping[str, Tuple[Optional[str], Optional[str]]],
    address: str,
) -> List[str]:
    lines = []
    was = given(now.configuration)
    for key in sorted({*was, *options}):
        old, new = was.get(key), options.get(key)
        if old != new:
            before = "" if old is None else f" (was {words(old)})"
            lines.append(f"option {key}: {'back to the default' if new is None else words(new)}{before}")
    for path, (text, after) in sorted(changed.items()):
        lines.append(f"file {path}: {'remove' if after is None else 'make' if text is None else 'change'}")
    if address != now.address:
        lines.append(f"docker0: {address or 'no address'} (was {now.address or 'without address'})")
        lines += _rule_lines(now, address)
    return lines


def _rule_lines(now: Situation, address: str) -> List[str]:
    if not now.configuration.value("iptables") or not address:
        return []
    new = ipaddress.ip_interface(address).network
    lines = []
    if now.configuration.value("ip-masq"):
        lines.append(f"rule nat POSTROUTING -s {new} ! -o docker0 -j MASQUERADE: Docker writes it")
    for one in now.engine.running():
        if one.endpoint(DEFAULT_NETWORK) is not None:
            for port in one.ports:
                where = f"{port.address or '*'}:{port.host_port}/{port.protocol}"
                lines.append(f"rule nat DOCKER {where}: Docker writes it with the new address of {one.name}")
    return lines


def _container_lines(
    engines: Sequence[Container], ours: Sequence[Container], resting: Sequence[Container], downtime: float
) -> List[str]:
    lines = ["docker: stop and start"]
    lines += [f"container {one.name}: stops; Docker starts it again ({one.policy})" for one in engines]
    lines += [f"container {one.name}: stops; is started again ({one.policy})" for one in ours]
    lines += [f"container {one.name}: Docker starts it, as always; is stopped again" for one in resting]
    slow = ", up to 10 s more if a container ignores SIGTERM" if engines or ours else ""
    return [*lines, f"expected downtime: about {downtime:g} s{slow}"]


def origin_of(now: Situation, plan: Plan) -> Origin:
    """What is to be remembered of the state before our first change; a file that is touched later only joins it."""
    old = now.origin or Origin({}, now.addresses, now.address, {}, given(now.configuration))
    written = {**old.written, **{path: plan.forward.final.get(path) for path in plan.before}}
    return old._replace(texts={**plan.before, **old.texts}, written=written)
