# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that stands against a plan, found before anything is changed and said in one message."""

from __future__ import annotations

import ipaddress
from typing import List, NamedTuple, Optional

from ...errors import Conflict, HostwireError, InvalidValue, MissingOnHost
from ...firewall.programs import default_backend, saved
from ..configuration import DAEMON_JSON
from ..model import DEFAULT_NETWORK, Container
from ..options import BY_KEY
from ..routes import overlapping
from .agreement import bad_values, differences, same_option
from .plan import Plan, given
from .replaceable import why_not_replaceable
from .since import outdated
from .situation import Situation
from .validation import objections
from .verify import is_masqueraded
from .wish import ABSENT, PRESENT, RESTORED, Wish, outside, overlap

_PACKAGES = ("/lib/", "/usr/")
_IPV6_BY_ITSELF = (27, 0)  # ipv6 without a subnet takes a unique local one from then on


class _Found(NamedTuple):
    """Problems by their kind."""

    invalid: List[str]
    conflict: List[str]
    missing: List[str]


def check_values(now: Situation) -> None:
    """Raises InvalidValue where a file holds what dockerd can't take: nothing can be planned with that."""
    problems = bad_values(now.configuration)
    if problems:
        raise InvalidValue(problems)


def check(wish: Wish, now: Situation, plan: Plan) -> None:
    """Raises InvalidValue, Conflict or MissingOnHost with all that was found; writes nothing."""
    found = _Found([], list(now.configuration.twice), [])
    _check_values(wish, now, plan, found)
    _check_overlaps(wish, now, plan, found)
    _check_places(now, plan, found)
    if plan.lines:
        found.conflict.extend(now.hindrances)
        unlike = differences(now)
        found.conflict.extend(unlike)
        found.conflict.extend(plan.leaning.conflicts)
        _check_containers(now, plan, found)
        _check_masquerade(now, plan, found)
        _check_disk(plan, found)
        if not (found.invalid or found.conflict or found.missing):
            found.invalid.extend(objections(now, plan))
        if not found.invalid:  # of an option that dockerd doesn't know this is said
            found.conflict.extend(line for line in outdated(now) if not same_option(line, unlike))
    _raise(found)


def _raise(found: _Found) -> None:
    kinds = ((InvalidValue, found.invalid), (Conflict, found.conflict), (MissingOnHost, found.missing))
    error: Optional[HostwireError] = None
    for kind, problems in kinds:
        if problems and error is None:
            error = kind(problems)
        elif error is not None:
            for line in problems:
                error.append(line)
    if error is not None:
        raise error


def _check_values(wish: Wish, now: Situation, plan: Plan, found: _Found) -> None:
    """What can be judged only with the engine's version and the options that stand already."""
    release = now.engine.release
    for key in wish.options:
        option = BY_KEY[key]
        if wish.value(key) is not None and release[:2] < option.since:
            since = ".".join(str(number) for number in option.since)
            found.missing.append(f"{option.parameter}: Docker knows it from {since} on; here is {now.engine.version}")
    if wish.state != PRESENT:
        return
    options = plan.options
    for cidr, bip, family in (
        (options.get("fixed-cidr"), plan.forward.expected.address, 4),
        (options.get("fixed-cidr-v6"), options.get("bip6"), 6),
    ):
        if cidr and bip and not (wish.value("fixed-cidr") and wish.value("bip") and family == 4):
            found.invalid.extend(outside(str(cidr), str(bip), family))
    for key in ("bip6", "fixed-cidr-v6"):
        if now.address6 and wish.value(key) and _other_length(now.address6, str(wish.value(key))):
            found.conflict.append(
                f"{BY_KEY[key].parameter}: {wish.value(key)} would leave docker0 its address {now.address6} but for the"
                " prefix length, which Docker doesn't change; take a subnet with another first address"
            )
    if wish.value("ipv6") and not options.get("fixed-cidr-v6") and release < _IPV6_BY_ITSELF:
        found.invalid.append(
            f"ipv6: Docker {now.engine.version} needs a subnet for it: give fixed_cidr_v6, like fd00:225::/64"
        )


def _other_length(address6: str, wished: str) -> bool:
    """Whether an address or subnet that is wished for has this address, with another prefix length."""
    old, new = ipaddress.ip_interface(address6), ipaddress.ip_interface(wished)
    same = old.ip == new.ip or (new.ip == new.network.network_address and old.ip in new.network)
    return same and old.network.prefixlen != new.network.prefixlen


def _check_overlaps(wish: Wish, now: Situation, plan: Plan, found: _Found) -> None:
    expected = plan.forward.expected
    moves = expected.address != now.address
    if moves and not expected.address and wish.state == ABSENT:
        found.conflict.append("docker0: every range that Docker would take for it is in use here; give a bip instead")
    for name, text, new in (
        ("bip", expected.address, moves),
        ("bip6", wish.value("bip6"), wish.value("bip6") != now.address6),
        ("fixed_cidr_v6", wish.value("fixed-cidr-v6"), True),
    ):
        if text and new:
            _check_overlap(name, str(text), wish, now, found)
    for number, pool in enumerate(wish.value("default-address-pools") or ()):
        base = ipaddress.ip_network(pool["base"])
        for taken, subnet in wish.taken:
            if overlap(base, ipaddress.ip_network(subnet)):
                found.conflict.append(f"default_address_pools[{number}].base: {base} overlaps {_named(taken, subnet)}")


def _check_overlap(name: str, text: str, wish: Wish, now: Situation, found: _Found) -> None:
    network = ipaddress.ip_interface(text).network
    going_home = wish.state == RESTORED  # it was like that before
    for route in () if going_home else overlapping(text, now.routes):
        found.conflict.append(f"{name}: {network} overlaps the host's route {route.words()}")
    for other in now.engine.networks:
        for own in other.subnets if other.name != DEFAULT_NETWORK else ():
            if overlap(network, ipaddress.ip_network(own.subnet, strict=False)):
                found.conflict.append(f"{name}: {network} overlaps Docker's network {other.name}, {own.subnet}")
    for pool in () if going_home else now.engine.swarm_pools:
        if overlap(network, ipaddress.ip_network(pool, strict=False)):
            found.conflict.append(f"{name}: {network} overlaps {pool}, out of which Swarm takes its networks' subnets")
    for taken, subnet in wish.taken:
        if overlap(network, ipaddress.ip_network(subnet)):
            found.conflict.append(f"{name}: {network} overlaps {_named(taken, subnet)}")


def _named(name: str, subnet: str) -> str:
    return f"{subnet}, which is declared as taken" + (f" ({name})" if name else "")


def _check_places(now: Situation, plan: Plan, found: _Found) -> None:
    """Flags in files of packages and of other programs can't be taken out."""
    old = given(now.configuration)
    for key, setting in now.configuration.settings.items():
        if not setting.option.parameter or plan.options.get(key) == old.get(key):
            continue
        for place in setting.places:
            if place.kind != DAEMON_JSON and not place.editable:
                found.conflict.append(f"{key}: stands as a flag in {place.words}, which {_whose(place.file)}")


def _whose(path: str) -> str:
    drop_in = "a drop-in (systemctl edit docker)"
    if path.startswith(_PACKAGES):
        return f"belongs to a package; take it out by {drop_in}"
    return f"another program writes; set it there, or start dockerd without that file's words by {drop_in}"


def _check_containers(now: Situation, plan: Plan, found: _Found) -> None:
    running = now.engine.running()
    if now.engine.live_restore and running:
        names = ", ".join(one.name for one in running)
        found.conflict.append(
            "live-restore: it is on and containers run; Docker then leaves docker0 as it is and says nothing. Turn"
            f" it off (live-restore: false, systemctl reload docker) or stop {names}"
        )
    for one in running:
        if one.paused:
            found.conflict.append(f"container {one.name}: it is paused, which a restart can't keep; unpause or stop it")
        if one.auto_remove:
            found.conflict.append(
                f"container {one.name}: it was started with --rm, so it would be gone once it stops; stop it yourself"
            )
    expected = plan.forward.expected
    _check_room(now, plan, found)
    if expected.address != now.address:
        for one in now.engine.containers:
            found.conflict.extend(_misfits(one, now, expected.address))


def _check_room(now: Situation, plan: Plan, found: _Found) -> None:
    expected = plan.forward.expected
    range_ = expected.fixed_cidr or expected.address
    if not range_:
        return
    network = ipaddress.ip_interface(range_).network
    room = network.num_addresses - (1 if expected.fixed_cidr else 3)  # network, broadcast, bridge
    inside = sum(1 for one in now.engine.running() if one.endpoint(DEFAULT_NETWORK) is not None)
    if inside > room:
        found.conflict.append(f"docker0: {inside} containers run on it, and {network} has room for {max(room, 0)}")


def _misfits(one: Container, now: Situation, address: str) -> List[str]:
    """Why this container can't be started again with docker0's new address."""
    lines = []
    old = now.address.partition("/")[0]
    for port in one.ports if one.running else ():
        if old and port.address == old:
            lines.append(
                f"container {one.name}: publishes port {port.host_port}/{port.protocol} on {old}, docker0's old"
                " address, which will be gone; publish it on another address"
            )
    endpoint = one.endpoint(DEFAULT_NETWORK)
    static = endpoint.static_ipv4 if endpoint is not None else ""
    if static and address and ipaddress.ip_address(static) not in ipaddress.ip_interface(address).network:
        network = ipaddress.ip_interface(address).network
        lines.append(f"container {one.name}: its static address {static} isn't in {network}; make it anew without it")
    return lines


def _check_masquerade(now: Situation, plan: Plan, found: _Found) -> None:
    """A rule of an earlier Docker, of which this one knows nothing: masquerading can't be off where it stays."""
    expected = plan.forward.expected
    known = expected.address == now.address and now.configuration.value("ip-masq")
    if expected.masquerade is not False or known or not expected.address or now.engine.firewall == "nftables":
        return
    network = str(ipaddress.ip_interface(expected.address).network)
    if is_masqueraded(saved(default_backend(), 4, "-t", "nat"), network):
        found.conflict.append(
            f"nat POSTROUTING: {network} is masqueraded by a rule that Docker without ip-masq leaves alone; delete it"
        )


def _check_disk(plan: Plan, found: _Found) -> None:
    """Whether the files can be written at all; that they fit is shown by writing them beside, before the stop."""
    for path in sorted({*plan.forward.start, *plan.forward.final, *plan.back.start}):
        problem = why_not_replaceable(path)
        if problem:
            found.conflict.append(f"file {path}: can't be written: {problem}")
