# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of guest networks' modes with real virtual machines: who reaches whom by icmp, tcp and udp, IPv4 and IPv6.

Two machines are on the network of each mode, on taps that belong to a user without privileges, who runs them. They get
their IPv4 addresses from a real dnsmasq: the network's own, and of the LAN where the network is bridged.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Sequence

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import engine, probe
from ansible_collections.hostwire.linux.plugins.module_utils.model import Probe
from ansible_collections.hostwire.linux.plugins.plugin_utils.guest_network.documents import documents
from ansible_collections.hostwire.linux.plugins.plugin_utils.guest_network.servers import servers
from ansible_collections.hostwire.linux.plugins.plugin_utils.guest_network.setup import read
from ansible_collections.hostwire.linux.tests import guest_modes
from ansible_collections.hostwire.linux.tests.guest_modes import GUEST, INTERNET, LAN, OTHER, PORT, Attempt
from ansible_collections.hostwire.linux.tests.vm import world
from ansible_collections.hostwire.linux.tests.vm.guest import PORT as SERVED
from ansible_collections.hostwire.linux.tests.vm.guest import SERVE, Call, Guest, Nic, started

MACS = {GUEST: "52:54:00:00:00:04", OTHER: "52:54:00:00:00:0c"}
PORTS = {GUEST: 1234, OTHER: 8989}  # of the host, where a port leads to the guest
OWNER = "nobody"
FAMILIES = (4, 6)
SECONDS = 2  # for an answer


class Plan(NamedTuple):
    """A network to try: what is asked for, the guests' addresses in it, and its host's or router's, by family."""

    network: Dict[str, Any]
    guest: Dict[int, str]
    other: Dict[int, str]
    gateway: Dict[int, str]


def subnet(text: str, text6: str, **fields: Any) -> Plan:
    """A network with guests at .4 and .12, the host at .1."""
    network = {"name": "net", "subnet": f"{text}.0/24", "subnet6": f"{text6}/64", "dhcp": {"enabled": True}, **fields}
    addresses = [{4: f"{text}.{host}", 6: f"{text6}{host}"} for host in (4, 12, 1)]
    return Plan(network, *addresses)


BEHIND_ROUTER = {4: "10.0.2.15", 6: "fd00:2::15"}
NAT = Plan(
    {"name": "net", "mode": "nat", "subnet6": "fd00:2::/64", "dhcp": {"enabled": True}},
    BEHIND_ROUTER,
    BEHIND_ROUTER,
    {4: "10.0.2.2", 6: "fd00:2::2"},
)
BRIDGED = Plan(
    {"name": "net", "mode": "bridged", "uplink": "eth0"},
    {6: "2001:db8::4"},
    {6: "2001:db8::c"},
    world.ROUTER,
)
PLANS = {
    "nat": NAT,
    "nat_network": subnet("10.0.2", "fd00:2::", mode="nat_network"),
    "bridged": BRIDGED,
    "internal": subnet("192.168.57", "fd00:57::", mode="internal"),
    "host_only": subnet("192.168.56", "fd00:56::", mode="host_only"),
    "routed": subnet("10.30.0", "fd00:30::", mode="routed", uplink="eth0"),
}
# Where the host and the other guest's router are, as guests in mode nat see them: addresses of `transfer`.
NAT_HOST = {4: "100.64.0.1", 6: "fd64::1"}
NAT_ROUTERS = {GUEST: {4: "100.64.0.2", 6: "fd64::2"}, OTHER: {4: "100.64.0.3", 6: "fd64::3"}}


def guests(plan: Plan) -> list[dict[str, Any]]:
    """The role's variable: both machines, with ports that lead to them where the mode has such."""
    found = []
    for name, addresses in ((GUEST, plan.guest), (OTHER, plan.other)):
        nic: dict[str, Any] = {"network": "net", "mac": MACS[name]}
        if plan is not BRIDGED:
            nic.update(address=f"{addresses[4]}/24", address6=f"{addresses[6]}/64")
        if PORT in guest_modes.table()[plan.network["mode"]].values():
            nic["published_ports"] = [
                {"protocol": protocol, "port": PORTS[name], "to_port": SERVED, "address": "any"}
                for protocol in ("tcp", "udp")
            ]
        found.append({"name": name, "kind": "vm", "owner": OWNER, "nics": [nic]})
    return found


class Tried(NamedTuple):
    """A network with both machines on it, and who is where: addresses by name and family."""

    plan: Plan
    machines: Dict[str, Guest]
    addresses: Dict[str, Dict[int, str]]

    def attempts(self, attempts: Sequence[Attempt]) -> Dict[Attempt, bool]:
        """Attempts with real packets, all at once: whether each got through."""
        calls = {one: self._call(one) for one in attempts}
        asked = []
        for source, machine in self.machines.items():
            mine = [attempt for attempt in attempts if attempt.source == source]
            if mine:
                asked.append((mine, machine.asks([calls[one] for one in mine], SECONDS)))
        others = [attempt for attempt in attempts if attempt.source not in self.machines]
        results = probe.run([_probe(one, calls[one]) for one in others], timeout=float(SECONDS), attempts=1)
        found = {one: result.reachable for one, result in zip(others, results)}
        for mine, answered in asked:
            found.update(zip(mine, answered()))
        return found

    def _call(self, attempt: Attempt) -> Call:
        return Call(self._address(attempt), attempt.protocol, PORTS[attempt.target] if attempt.published else SERVED)

    def _address(self, attempt: Attempt) -> str:
        if attempt.published:
            return world.HOST[attempt.family]
        if self.plan is NAT and attempt.source in MACS and attempt.target in MACS:
            return NAT_ROUTERS[attempt.target][attempt.family]
        return self.addresses[attempt.target][attempt.family]

    def wrong_cells(self) -> List[str]:
        """What comes out otherwise than the table says.

        What must get through is tried first, again and again for a while: a young network loses packets. What must not
        is tried when what is known to work has worked.
        """
        mode = self.plan.network["mode"]
        attempts = [(attempt, wanted) for dummy, attempt, wanted in guest_modes.expected(mode, FAMILIES)]
        found = dict.fromkeys((attempt for attempt, wanted in attempts if wanted), False)
        end = time.monotonic() + world.PATIENCE
        while not all(found.values()) and time.monotonic() < end:
            found.update(self.attempts([attempt for attempt, through in found.items() if not through]))
        found.update(self.attempts([attempt for attempt, wanted in attempts if not wanted]))
        return guest_modes.wrong_cells(mode, found.__getitem__, FAMILIES, patience=0)


def _probe(attempt: Attempt, call: Call) -> Probe:
    """The same call, made from the host or from the LAN."""
    place = world.LAN if attempt.source == LAN else None
    return Probe(place, call.address, call.protocol, None if call.protocol == "icmp" else call.port)


@contextlib.contextmanager
def running(plan: Plan, directory: Path) -> Iterator[Tried]:
    """The network, its servers and both machines."""
    routed = [plan.network[key] for key in ("subnet", "subnet6") if key in plan.network]
    world.filter_bridged(1)
    world.build(["10.0.2.0/24", "100.64.0.0/24", "fd00:2::/64", "fd64::/64"] if plan is NAT else routed)
    setup = read([plan.network], guests(plan))
    composed = documents(setup)
    for document in composed:
        engine.run(document)
    taps = [tap["name"] for document in composed for tap in document.get("taps", ())]
    with contextlib.ExitStack() as stack:
        for place in (None, world.LAN, world.OUTSIDE):
            stack.enter_context(world.serving(place))
        stack.enter_context(world.lan_dhcp(directory) if plan is BRIDGED else nothing())
        stack.enter_context(world.dhcp_servers(servers(setup), directory))
        machines = {
            name: stack.enter_context(started(name, [Nic(tap, MACS[name])], directory, OWNER))
            for name, tap in zip((GUEST, OTHER), taps)
        }
        assert not {mac(tap) for tap in taps} & set(MACS.values())
        moving = [moving_in(plan, name, machine) for name, machine in machines.items()]
        leases = {name: moved_in() for name, moved_in in zip(machines, moving)}
        own = {"host_only": plan.gateway, "nat_network": plan.gateway, "routed": plan.gateway, "nat": NAT_HOST}
        host = own.get(plan.network["mode"], world.HOST)
        around = {guest_modes.HOST: host, LAN: world.ROUTER, INTERNET: world.INTERNET}
        yield Tried(plan, machines, {**leases, **around})
        for document in composed:
            assert engine.run(document).plan == ()  # also while machines run


@contextlib.contextmanager
def nothing() -> Iterator[None]:
    yield


def mac(tap: str) -> str:
    shown = json.loads(subprocess.check_output(["ip", "-j", "link", "show", "dev", tap]))
    return str(shown[0]["address"])


def moving_in(plan: Plan, name: str, machine: Guest) -> Callable[[], Dict[int, str]]:
    """The machine begins to ask for an IPv4 address, to set an IPv6 one and to serve; what is returned waits for both.

    Where the mode leads nowhere it insists on a way out all the same.
    """
    address6 = (plan.guest if name == GUEST else plan.other)[6]
    mode = plan.network["mode"]
    lines = ["set -e", f"udhcpc -i eth0 -n -q -t 20 -T 3 -x hostname:{name}", f"ip address add {address6}/64 dev eth0"]
    if mode in ("internal", "host_only"):
        lines.append("if ip route | grep default; then exit 1; fi")
    if mode == "internal":
        lines += ["ip route add default dev eth0", "ip -6 route add default dev eth0"]
    else:
        if mode == "host_only":
            lines.append(f"ip route add default via {plan.gateway[4]}")
        lines.append(f"ip -6 route add default via {plan.gateway[6]}")
    machine.wait_until_ready()
    end = machine.begin("\n".join([*lines, SERVE, "ip -4 -o address show dev eth0"]))

    def moved_in() -> Dict[int, str]:
        ran = end()
        assert ran.status == 0, ran.output
        return {4: ran.output.splitlines()[-1].split()[3].split("/")[0], 6: address6}

    return moved_in


@pytest.fixture
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The program plainly called iptables is of this backend."""
    for family in ("iptables", "ip6tables"):
        for verb in ("", "-save", "-restore"):
            (tmp_path / f"{family}{verb}").symlink_to(f"/usr/sbin/{family}-{request.param}{verb}")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")


@pytest.mark.parametrize("backend", ["nft", "legacy"], indirect=True)
@pytest.mark.parametrize("mode", list(PLANS))
def test_machines_reach_whom_their_mode_says_and_nobody_else(mode: str, backend: None, private_host: Path) -> None:
    plan = PLANS[mode]
    with running(plan, private_host) as tried:
        if plan is BRIDGED:
            assert {tried.addresses[name][4].rpartition(".")[0] for name in MACS} == {"192.168.0"}
            assert not {tried.addresses[name][4] for name in MACS} & {world.HOST[4], world.ROUTER[4]}
        else:
            assert [tried.addresses[name][4] for name in (GUEST, OTHER)] == [plan.guest[4], plan.other[4]]
        for setting in (1, 0):
            world.filter_bridged(setting)
            assert tried.wrong_cells() == [], f"bridge-nf-call-iptables {setting}"
