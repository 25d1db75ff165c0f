# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One plan for docker0 on a whole fleet: who gets which address, and everything that speaks against it."""

from __future__ import annotations

import contextlib
import math
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ansible_collections.hostwire.linux.plugins.module_utils.visible import visible

from .docker_fleet_facts import checked
from .docker_fleet_ports import Lans, any_published, askable, published
from .foreign import told
from .subnets import Named, Slots, SubnetError, allocate, named, overlaps, parse, slots

# The check that every plugin can be imported has no jmespath; the action plugin says so where it is missing.
with contextlib.suppress(ImportError):
    import jmespath

DEFAULT_PREFIX = {"bip": 24, "bip6": 64}
SUPERNET = {"bip": "supernet", "bip6": "supernet_v6"}
PREFIX = {"bip": "prefix", "bip6": "prefix_v6"}
DEFAULT_NETWORK = "bridge"
# Seconds: a restart of the engine, that of each container, and how long the engine waits for one that ignores SIGTERM.
RESTART = 2.0
CONTAINER = 0.4
STOP_TIMEOUT = 10
# Questions to what docker_info found (jmespath.org). A container without one of these two restart policies doesn't come
# back by the engine's own start.
STOPPING = "containers[].name"
STARTED_BY_US = "containers[?policy != 'always' && policy != 'unless-stopped'].name"


class Host(NamedTuple):
    """A host of the fleet: what docker_info found there, or why nothing is known, and the role's variables for it.

    ``known``: the addresses by which the inventory knows it.
    """

    name: str
    found: Mapping[str, Any]
    trouble: Optional[str] = None
    unreachable: bool = False
    wish: Mapping[str, Any] = {}
    known: Tuple[str, ...] = ()


class Entry(NamedTuple):
    """What is to happen on one host. ``stops``: containers that stop; ``ours``: those of them that we start again.

    ``ports``: addresses and TCP ports at which its containers can be asked for from outside. ``broken_off``: a run of
    docker_bridge was, and is taken back first.
    """

    host: str
    before: Tuple[str, ...]
    bip: Optional[str]
    bip6: Optional[str]
    stops: Tuple[str, ...] = ()
    ours: Tuple[str, ...] = ()
    changes: bool = True
    ports: Tuple[Tuple[str, int], ...] = ()
    broken_off: bool = False

    @property
    def downtime(self) -> int:
        """The longest time in seconds that its containers may be away."""
        slow = STOP_TIMEOUT if self.stops else 0
        return math.ceil(RESTART + CONTAINER * len(self.stops) + slow) if self.changes else 0

    @property
    def after(self) -> Tuple[str, ...]:
        """Its new addresses."""
        return tuple(address for address in (self.bip, self.bip6) if address)


class Plan(NamedTuple):
    """Entries in the fleet's order. Nobody is to act on a plan with ``problems``; ``left_out`` can't be reached.

    ``unasked`` are hosts with published ports that nobody can ask for from outside.
    """

    entries: Tuple[Entry, ...]
    problems: Tuple[str, ...]
    left_out: Tuple[str, ...] = ()
    unasked: Tuple[str, ...] = ()


def make_plan(
    hosts: Sequence[Host],
    recorded: Mapping[str, Mapping[str, Any]],
    leave_out_unreachable: bool = False,
    shared: bool = False,
) -> Plan:
    """Allocate and judge. ``recorded``: the entries of the last plan; ``shared``: hosts may have the same subnet."""
    hosts = [_checked(host) for host in hosts]
    problems = _troubles(hosts, leave_out_unreachable)
    able = [host for host in hosts if host.trouble is None]
    addresses: Dict[str, Dict[str, str]] = {host.name: {} for host in able}
    for option in ("bip", "bip6"):
        try:
            for name, address in _addresses(able, recorded, option, problems).items():
                addresses[name][option] = address
        except SubnetError as error:
            problems.append(str(error))
    entries: Tuple[Entry, ...] = ()
    lans = Lans((host.name, host.found.get("routes", ())) for host in able)
    try:
        entries = tuple(_entry(host, addresses[host.name], lans) for host in able)
        problems += _judged(able, entries, shared)
    except SubnetError as error:
        problems.append(str(error))
    left_out = tuple(host.name for host in hosts if host.unreachable) if leave_out_unreachable else ()
    unasked = tuple(
        host.name
        for host, entry in zip(able, entries)
        if entry.changes and not entry.ports and any_published(host.found.get("containers", ()))
    )
    return Plan(entries, tuple(dict.fromkeys(map(visible, problems))), left_out, unasked)


def _checked(host: Host) -> Host:
    """The host with its facts in the right form, or with what is wrong with them as its trouble."""
    if host.trouble is not None:
        return host
    facts, problems = checked(host.found)
    return host._replace(found=facts, trouble=told("its Docker", problems) if problems else None)


def _troubles(hosts: Sequence[Host], leave_out_unreachable: bool) -> List[str]:
    found = []
    for host in hosts:
        if host.trouble is None:
            if not host.found.get("installed"):
                found.append(f"{host.name}: Docker is not installed")
            elif not _fit(host):
                found.append(f"{host.name}: {host.found.get('reason') or 'Docker does not run'}")
        elif not host.unreachable:
            found.append(f"{host.name}: {host.trouble}")
        elif not leave_out_unreachable:
            found.append(
                f"{host.name}: can't be reached: {host.trouble}"
                " (docker_readdress_leave_out_unreachable: true leaves it out)"
            )
    return found


def _fit(host: Host) -> bool:
    """Whether its engine runs, or stopped in a run of docker_bridge that was broken off: the next one takes it back."""
    return bool(host.found.get("running") or host.found.get("broken_off"))


def _addresses(
    hosts: Sequence[Host], recorded: Mapping[str, Mapping[str, Any]], option: str, problems: List[str]
) -> Dict[str, str]:
    """The address of each host: its own wish, else what the last plan says, else what it has, else a new one.

    A network out of which its hosts can't all have a subnet is one line in ``problems``, however many they are.
    """
    given: Dict[str, str] = {}
    for host in hosts:
        if host.wish.get(option):
            try:
                parse(host.wish[option], f"{host.name}: docker_bridge_{option}")
                given[host.name] = host.wish[option]
            except SubnetError as error:
                problems.append(str(error))
    groups: Dict[Tuple[str, str], List[Host]] = {}
    for host in hosts:
        supernet = host.wish.get(SUPERNET[option])
        if supernet and not host.wish.get(option):
            prefix = host.wish.get(PREFIX[option]) or DEFAULT_PREFIX[option]
            groups.setdefault((str(supernet), str(prefix)), []).append(host)
    avoid = _in_use(hosts)
    for (supernet, prefix), members in groups.items():
        try:
            given.update(_allocated(slots(supernet, prefix), members, recorded, option, (given, avoid)))
        except SubnetError as error:
            problems.append(f"docker_bridge_{SUPERNET[option]}: {error}")
    return given


def _allocated(
    cut: Slots,
    members: Sequence[Host],
    recorded: Mapping[str, Mapping[str, Any]],
    option: str,
    others: Tuple[Mapping[str, str], Sequence[str]],
) -> Dict[str, str]:
    """The addresses of one network's hosts; ``others`` are those of other hosts, and the subnets that are in use."""
    given, avoid = others
    kept = _kept(cut, members, recorded, option)
    found = {host.name: kept[host.name] for host in members if host.name in kept}
    fresh = [host.name for host in members if host.name not in kept]
    inside = [
        subnet for subnet in avoid if parse(subnet, "route").prefixlen > cut.supernet.prefixlen
    ]  # what contains the whole supernet is told of each host, in words that help
    # Other hosts' wishes and records are theirs, though they aren't allocated here.
    reserved = [address for name, address in given.items() if name not in kept]
    free = slots(str(cut.supernet), cut.prefix, [*inside, *reserved])
    found.update({name: free.bridge(slot) for name, slot in allocate(free, fresh, kept).items()})
    return found


def _kept(
    cut: Slots, members: Sequence[Host], recorded: Mapping[str, Mapping[str, Any]], option: str
) -> Dict[str, str]:
    """Addresses of this supernet that stay: of every host in the record, and of those that have one already."""
    names = {host.name for host in members}
    owners: Dict[int, str] = {}
    kept: Dict[str, str] = {}
    for name in sorted(recorded):
        address = recorded[name].get(option)
        slot = cut.slot_of(address, f"{name}: {option} in the plan file") if address else None
        # A member that was given another's subnet by hand is a mistake to be told; what left the fleet only reserves.
        if slot is not None and (name in names or slot not in owners):
            kept[name] = str(address)
            owners.setdefault(slot, name)
    for host in members:
        for address in host.found.get("docker0", {}).get("addresses", ()):
            slot = cut.slot_of(address, f"{host.name}: docker0")
            if slot is not None and host.name not in kept and slot not in owners:
                kept[host.name] = address
                owners[slot] = host.name
    return _without_doubles(cut, kept, names)


def _without_doubles(cut: Slots, kept: Dict[str, str], names: Iterable[str]) -> Dict[str, str]:
    """Leave out what hosts outside this group hold doubly; doubles inside it stay, and are told later."""
    mine = {cut.slot_of(kept[name], name) for name in names if name in kept}
    return {name: address for name, address in kept.items() if name in names or cut.slot_of(address, name) not in mine}


def _in_use(hosts: Sequence[Host]) -> List[str]:
    """Every subnet that a new address had better keep clear of."""
    found = {route["to"]: None for host in hosts for route in host.found.get("routes", ())}
    for host in hosts:
        found.update({subnet: None for dummy, subnet in _other_networks(host)})
        found.update({entry.subnet: None for entry in named(host.wish.get("taken") or [], "docker_bridge_taken")})
    return list(found)


def _other_networks(host: Host) -> List[Tuple[str, str]]:
    """Name and subnet of the engine's networks save the one of docker0."""
    return [
        (network["name"], its["subnet"])
        for network in host.found.get("networks", ())
        if network["name"] != DEFAULT_NETWORK
        for its in network["subnets"]
        if its["subnet"]
    ]


def _entry(host: Host, addresses: Mapping[str, str], lans: Lans) -> Entry:
    before = tuple(host.found.get("docker0", {}).get("addresses", ()))
    own = askable(host.name, host.found.get("addresses", ()), host.known, lans)
    bip, bip6 = addresses.get("bip"), addresses.get("bip6")
    changes = any(address not in before for address in (bip, bip6) if address) or bool(host.found.get("broken_off"))
    return Entry(
        host.name,
        before,
        bip,
        bip6,
        _asked(STOPPING, host) if changes else (),
        _asked(STARTED_BY_US, host) if changes else (),
        changes,
        tuple(published(host.found.get("containers", ()), own)),
        bool(host.found.get("broken_off")),
    )


def _asked(question: str, host: Host) -> Tuple[str, ...]:
    """The answer of what was found on a host, a list of text, to a question; none where nothing was found."""
    try:
        return tuple(jmespath.search(question, host.found) or ())  # type: ignore[no-untyped-call]
    except NameError:
        raise SubnetError("jmespath: this Python package is missing on the controller (pip install jmespath)") from None


def _judged(hosts: Sequence[Host], entries: Sequence[Entry], shared: bool) -> List[str]:
    """Everything that speaks against the plan, each line with its host's name."""
    problems = []
    lans = _connected(hosts)
    for host, entry in zip(hosts, entries):
        if not _fit(host):
            continue
        if not entry.after and not any(host.wish.get(key) for key in (*SUPERNET, *SUPERNET.values())):
            problems.append(f"{host.name}: nothing says which address docker0 gets: set docker_bridge_supernet or _bip")
        if entry.changes and host.found.get("live_restore") and host.found.get("containers"):
            problems.append(
                f"{host.name}: live-restore is on and containers run, so a new address wouldn't come into force"
            )
        problems += [f"{host.name}: {words}" for words in host.found.get("twice", ())]
        for address in entry.after:
            problems += _collisions(host, "docker0", address, lans)
        for place, pool in enumerate(host.wish.get("default_address_pools") or ()):
            problems += _collisions(host, f"default_address_pools[{place}]", str(pool.get("base")), lans)
    return problems + ([] if shared else _between(entries))


def _collisions(host: Host, what: str, subnet: str, lans: Sequence[Named]) -> List[str]:
    """What one subnet of a host overlaps: routes there, the engine's networks, declared networks, others' LANs."""
    mine = [Named("", subnet)]
    routes = [Named(_route(route), route["to"]) for route in host.found.get("routes", ())]
    near = {route["to"] for route in host.found.get("routes", ())}
    # A pool may hold networks that the engine made out of it.
    networks = [Named(f'the Docker network "{name}"', its) for name, its in _other_networks(host)]
    others = [*routes, *(networks if what == "docker0" else ())]
    others += [
        Named(f'"{entry.name}"' if entry.name != entry.subnet else "a network", entry.subnet)
        for entry in named(host.wish.get("taken") or [], "docker_bridge_taken")
    ]
    others += [lan for lan in lans if lan.subnet not in near]
    return [
        f"{host.name}: {what} would have {subnet}, which overlaps {other.name}"
        + (f" ({other.subnet})" if other.subnet not in other.name else "")
        for dummy, other in overlaps(mine, others)
    ]


def _route(route: Mapping[str, Any]) -> str:
    way = f" via {route['via']}" if route.get("via") else ""
    table = f" (table {route['table']})" if route.get("table") not in (254, 255) else ""
    return f"the route {route['to']}{way} dev {route['dev']}{table}"


def _connected(hosts: Sequence[Host]) -> List[Named]:
    """The networks to which any host is connected, each once, with one host that is."""
    found: Dict[str, str] = {}
    for host in hosts:
        for route in host.found.get("routes", ()):
            if not route.get("via"):
                found.setdefault(route["to"], f"the network of {host.name} on {route['dev']}")
    return [Named(words, subnet) for subnet, words in found.items()]


def _between(entries: Sequence[Entry]) -> List[str]:
    """Hosts that would share a subnet."""
    wanted = [Named(entry.host, address) for entry in entries for address in entry.after]
    return [f"{a.name} and {b.name}: both would have {_shared(a.subnet, b.subnet)}" for a, b in overlaps(wanted)]


def _shared(one: str, other: str) -> str:
    networks = sorted({str(parse(one, "bip").cidr), str(parse(other, "bip").cidr)})
    return " and ".join(networks)
