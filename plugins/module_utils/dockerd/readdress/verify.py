# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the new state is there: asked again until it is, or until the time is up."""

from __future__ import annotations

import calendar
import ipaddress
import re
import socket
import time
from typing import Dict, List, NamedTuple, Sequence, Tuple

from ...docker_api import Api
from ...errors import HostwireError, VerificationFailed
from ...firewall.programs import default_backend, saved
from ..facts import read_engine
from ..model import DEFAULT_NETWORK, Container, Engine, PublishedPort
from .memory import Expected
from .situation import docker0_addresses
from .wish import Network

_INTERVAL = 0.1  # seconds between two looks
SETTLED = 3.0  # seconds that a container has to stay up to have come back
_RECENT = 60.0  # seconds: the engine waits that long at most before it restarts a container that fails
_CONNECT = 0.5  # seconds: everything is on this host


class Before(NamedTuple):
    """What is compared with: containers that ran (ids), were healthy, and (id, port) that took connections.

    ``steady`` are those of them that stayed up once they were started.
    """

    ran: Tuple[str, ...] = ()
    healthy: Tuple[str, ...] = ()
    answered: Tuple[Tuple[str, PublishedPort], ...] = ()
    steady: Tuple[str, ...] = ()


class Watch:
    """Since when each container has been up without a new start: one that ends soon after it hasn't come back."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._seen: Dict[str, Tuple[str, float]] = {}

    def unsettled(self, engine: Engine, now: float) -> List[str]:
        """A line for each that isn't up, or not for SETTLED seconds yet; ``now`` in seconds of time.monotonic()."""
        by_id = {one.id: one for one in engine.containers}
        lines = []
        for name in self._names:
            one = by_id.get(name)
            if one is None or one.status != "running":
                self._seen.pop(name, None)
                status = one.status if one else "is gone"
                lines.append(f"container {one.name if one else name[:12]}: ran, and {status} now")
                continue
            started, since = self._seen.setdefault(name, (one.started, now))
            if started != one.started:
                since = now
                self._seen[name] = (one.started, now)
            if now - since < SETTLED:
                lines.append(f"container {one.name}: doesn't stay up for {SETTLED:g} s")
        return lines


def steady(ran: Sequence[Container]) -> Tuple[str, ...]:
    """Those, by id, that the engine hasn't had to restart, or not for a while: they are expected to stay up."""
    return tuple(one.id for one in ran if one.status == "running" and not (one.restarts and _is_recent(one.started)))


def awaited(ran: Sequence[Container], seconds: float) -> Tuple[str, ...]:
    """Those, by id, that are healthy and can have shown it again so many seconds after their start."""
    return tuple(one.id for one in ran if one.health == "healthy" and one.first_check < seconds - SETTLED)


def _is_recent(started: str) -> bool:
    """Whether an RFC 3339 time of the engine's lies less than a minute back, by the clock that both have."""
    try:
        began = calendar.timegm(time.strptime(started[:19], "%Y-%m-%dT%H:%M:%S"))
    except ValueError:
        return False
    return time.time() - began < _RECENT


def answering(ran: Sequence[Container], address: str) -> Tuple[Tuple[str, PublishedPort], ...]:
    """The published TCP ports, with their container's id, that take a connection now."""
    return tuple(
        (one.id, port) for one in ran for port in one.ports if port.protocol == "tcp" and _reach(one, port, address)
    )


def await_right(api: Api, expected: Expected, before: Before, seconds: float) -> None:
    """Return once everything is as expected, and what was steady has stayed up for SETTLED seconds.

    Raises VerificationFailed with what is not after ``seconds``.
    """
    watch = Watch(before.steady)
    deadline = time.monotonic() + max(seconds, SETTLED + _INTERVAL)
    while True:
        try:
            engine = read_engine(api)
            problems = [*watch.unsettled(engine, time.monotonic()), *look(engine, expected, before)]
            problems = list(dict.fromkeys(problems))
        except HostwireError as error:
            problems = [str(error)]
        if not problems:
            return
        if time.monotonic() > deadline:
            raise VerificationFailed(problems)
        time.sleep(_INTERVAL)


def look(engine: Engine, expected: Expected, before: Before) -> List[str]:
    """What isn't as expected, a line each. The cheap questions first; the others only once those are right."""
    problems = bridge_problems(engine, expected, docker0_addresses())
    problems += container_problems(engine, expected, before)
    if not problems and expected.masquerade is not None and engine.firewall != "nftables":
        problems += rule_problems(engine, expected, saved(default_backend(), 4, "-t", "nat"))
    if not problems:
        by_id = {one.id: one for one in engine.containers}
        for name, port in before.answered:
            if not _reach(by_id[name], port, expected.address):
                problems.append(
                    f"port {port.host_port}/tcp of container {by_id[name].name}: takes no connection any more"
                )
    return problems


def bridge_problems(engine: Engine, expected: Expected, addresses: Sequence[str]) -> List[str]:
    """docker0's addresses, the network's subnet and options, and the subnets of the other networks."""
    problems = []
    network = engine.network(DEFAULT_NETWORK)
    subnets = [subnet.subnet for subnet in network.subnets] if network else []
    for address in (expected.address, expected.address6):
        if not address:
            continue
        if address not in addresses:
            problems.append(f"docker0: has {', '.join(addresses) or 'no address'}, not {address}")
        wanted = str(ipaddress.ip_interface(address).network)
        if wanted not in subnets:
            problems.append(f"network bridge: has {', '.join(subnets) or 'no subnet'}, not {wanted}")
    if expected.subnet6 and ipaddress.ip_network(expected.subnet6) not in _networks(addresses, 6):
        six = ", ".join(address for address in addresses if ":" in address)
        problems.append(f"docker0: has {six or 'no IPv6 address'}, not one in {expected.subnet6}")
    for option, value in expected.options.items():
        found = network.options.get(option) if network else None
        if found is not None and found != value:
            problems.append(f"network bridge: {option} is {found}, not {value}")
    for name, before in expected.subnets.items():
        other = engine.network(name)
        now = tuple(subnet.subnet for subnet in other.subnets) if other else ()
        if now != before:
            problems.append(f"network {name}: has {', '.join(now) or 'no subnet'}, not {', '.join(before)}")
    return problems


def _networks(addresses: Sequence[str], family: int) -> List[Network]:
    interfaces = [ipaddress.ip_interface(address) for address in addresses]
    return [interface.network for interface in interfaces if interface.version == family]


def container_problems(engine: Engine, expected: Expected, before: Before) -> List[str]:
    """Whether those that ran run, with addresses that fit, and are as healthy as they were."""
    problems = []
    by_id = {one.id: one for one in engine.containers}
    for name in before.ran:
        one = by_id.get(name)
        if one is None or not one.running:
            problems.append(
                f"container {one.name if one else name[:12]}: ran, and {one.status if one else 'is gone'} now"
            )
            continue
        endpoint = one.endpoint(DEFAULT_NETWORK)
        inside = expected.fixed_cidr or expected.address
        if endpoint is not None and inside and one.mode == DEFAULT_NETWORK:
            network = ipaddress.ip_interface(inside).network
            if not endpoint.ipv4 or ipaddress.ip_address(endpoint.ipv4) not in network:
                problems.append(
                    f"container {one.name}: has the address {endpoint.ipv4 or 'none'}, which isn't in {network}"
                )
        if name in before.healthy and one.health != "healthy":
            problems.append(f"container {one.name}: was healthy, is {one.health or 'without a check'}")
    return problems


def is_masqueraded(nat: str, subnet: str) -> bool:
    """Whether a rule as Docker writes it is among those of the table."""
    return re.search(rf"^-A POSTROUTING -s {re.escape(subnet)} .*-j MASQUERADE", nat, re.MULTILINE) is not None


def rule_problems(engine: Engine, expected: Expected, nat: str) -> List[str]:
    """Whether Docker's own NAT rules are there: masquerading, and a DNAT for each published port."""
    problems = []
    if expected.address:
        network = ipaddress.ip_interface(expected.address).network
        there = is_masqueraded(nat, str(network))
        if expected.masquerade and not there:
            problems.append(f"nat POSTROUTING: no MASQUERADE for {network}")
        if not expected.masquerade and there:
            problems.append(f"nat POSTROUTING: {network} is masqueraded though ip_masq is off")
    bridged = {network.name for network in engine.networks if network.driver == "bridge" and not network.internal}
    for one in engine.running():
        for port in one.ports:
            addresses = [endpoint.ipv4 for endpoint in one.endpoints if endpoint.ipv4 and endpoint.network in bridged]
            if not addresses or ":" in port.address or not port.host_port:
                continue
            targets = "|".join(re.escape(f"{address}:{port.port}") for address in addresses)
            rule = rf"-p {port.protocol} .*--dport {port.host_port} .*-j DNAT --to-destination (?:{targets})$"
            if re.search(rule, nat, re.MULTILINE) is None:
                problems.append(
                    f"nat DOCKER: no DNAT for port {port.host_port}/{port.protocol} of container {one.name}"
                )
    return problems


def _reach(one: Container, port: PublishedPort, address: str) -> bool:
    """Whether the container's own port, and where it is published on the host, take a connection.

    The host's side is asked at docker0's address where it is published on all: that goes through Docker's rules, which
    127.0.0.1 with a proxy in front wouldn't.
    """
    own = next((endpoint.ipv4 for endpoint in one.endpoints if endpoint.ipv4), "")
    published = port.address or address.partition("/")[0]
    if not own or not published or not port.host_port:
        return False
    return _connects(own, port.port) and _connects(published, port.host_port)


def _connects(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), timeout=_CONNECT):
            return True
    except OSError:
        return False
