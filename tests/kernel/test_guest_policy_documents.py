# SPDX-License-Identifier: GPL-3.0-or-later
"""Documents with ``bridges[].guests``: what a run makes of them, mends, takes back, and refuses."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
from pathlib import Path
from typing import Any, Iterator

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import engine
from ansible_collections.hostwire.linux.plugins.module_utils.errors import MissingOnHost, VerificationFailed
from ansible_collections.hostwire.linux.plugins.module_utils.info import info
from ansible_collections.hostwire.linux.tests.kernel import world
from ansible_collections.hostwire.linux.tests.kernel.firewall_world import (
    PATIENCE,
    blocked,
    call,
    iptables,
    listening,
    ping,
    sysctl,
)

CLOSED = {"to_host": False, "from_host": False, "among": False, "outside": False}
NOTHING = {"state": "absent"}

pytestmark = pytest.mark.usefixtures("private_host")


def switch(guests: object, name: str = "v-net-0") -> dict[str, Any]:
    """Two rooms and a tap on a switch, with a document's other fields left out."""
    cables = [
        {
            "name": f"veth-{room}",
            "bridge": name,
            "peer": {"name": "eth0", "netns": room, "addresses": [f"192.168.15.{number}/24"]},
        }
        for number, room in ((1, "red"), (2, "blue"))
    ]
    return {
        "namespaces": [{"name": "red"}, {"name": "blue"}],
        "bridges": [{"name": name, "addresses": ["192.168.15.5/24"], "guests": guests}],
        "veths": cables,
        "taps": [{"name": "tap0", "bridge": name}],
    }


def isolated() -> dict[str, bool]:
    """The ports of the host's bridges, and whether each is isolated, as iproute2 sees it."""
    links = json.loads(subprocess.check_output(["ip", "-j", "-d", "link", "show"]))
    return {
        link["ifname"]: link["linkinfo"]["info_slave_data"]["isolated"]
        for link in links
        if link.get("linkinfo", {}).get("info_slave_kind") == "bridge"
    }


def ip(words: str) -> None:
    subprocess.run(["ip", *words.split()], check=True)


@pytest.mark.parametrize("guests", [{}, CLOSED, *({flag: False} for flag in CLOSED)], ids=str)
def test_one_run_makes_it_so_as_predicted_a_second_has_nothing_to_do_and_absent_leaves_nothing(guests: object) -> None:
    document = switch(guests)
    before = world.image()
    predicted = engine.run(document, check=True)
    assert world.differences(before, world.image()) == []
    done = engine.run(document)
    assert (done.plan, done.before, done.after) == (predicted.plan, predicted.before, predicted.after)
    assert done.after["bridges"][0]["guests"] == guests
    assert engine.run(document).plan == ()
    assert isolated() == dict.fromkeys(("veth-red", "veth-blue", "tap0"), guests in (CLOSED, {"among": False}))
    engine.run(NOTHING)
    assert world.differences(before, world.image()) == []


def test_ports_of_isolated_guests_and_no_others_are_isolated() -> None:
    ip("link add eth1 type veth peer name elsewhere")
    document = switch({"among": False})
    document["bridges"].append({"name": "v-net-1", "guests": {}})
    document["veths"].append({"name": "plain0", "bridge": "v-net-1", "peer": {"name": "plain1", "bridge": "v-net-0"}})
    document["interfaces"] = [{"name": "eth1", "bridge": "v-net-0"}]
    engine.run(document)
    assert isolated() == {
        **dict.fromkeys(("veth-red", "veth-blue", "tap0", "plain1"), True),
        **dict.fromkeys(("plain0", "eth1"), False),  # a way out of the switch isn't a guest
    }


def test_what_is_told_of_a_host_says_which_ports_are_isolated() -> None:
    engine.run(switch({"among": False}))
    told = {link["name"]: link["isolated"] for link in info()["host"]["links"]}
    assert told == {"lo": None, "v-net-0": None, **isolated()}
    assert told["tap0"] is True


def test_guests_that_are_isolated_reach_the_host_and_not_each_other() -> None:
    engine.run(switch({"among": False}))
    with listening(None, 80) as host, listening("blue", 80) as blue:
        assert call("red", "192.168.15.5", 80, host) == "192.168.15.1"
        assert call(None, "192.168.15.2", 80, blue) == "192.168.15.5"
        assert blocked("red", "192.168.15.2", 80, blue)
        engine.run(switch({}))
        assert call("red", "192.168.15.2", 80, blue) == "192.168.15.1"


def test_what_others_undo_is_mended_and_told() -> None:
    engine.run(switch(CLOSED))
    before = world.image()
    iptables("-F")
    iptables("-F", "ip6tables")
    ip("link set veth-red type bridge_slave isolated off")
    ip("link set veth-blue nomaster")
    mended = engine.run(switch(CLOSED))
    assert mended.plan == (
        "host: veth-red: isolated",
        "host: veth-blue: onto bridge v-net-0, isolated",
        "host: firewall chains of main: put right",  # what closes is not in filter
    )
    assert mended.after["bridges"][0]["guests"] == CLOSED
    assert world.differences(before, world.image()) == []
    for family in ("iptables", "ip6tables"):
        iptables("-t mangle -F", family)
        iptables("-t raw -F", family)
    mended = engine.run(switch(CLOSED))
    assert sorted(mended.plan) == [
        "host: keep guests on v-net-0 from each other: add",
        "host: keep guests on v-net-0 from other networks: add",
        "host: keep guests on v-net-0 from the host: add",
        "host: keep the host from guests on v-net-0: add",
        "host: protect guests on v-net-0: add",
    ]
    assert mended.before["bridges"][0]["guests"] == {}  # nothing was closed any more
    assert mended.after["bridges"][0]["guests"] == CLOSED
    assert world.differences(before, world.image()) == []
    ip("link set tap0 type bridge_slave isolated off")
    again = engine.run(switch(CLOSED))
    assert again.plan == ("host: tap0: isolated",)
    assert again.before["bridges"][0]["guests"] == {flag: False for flag in CLOSED if flag != "among"}


def test_a_switch_that_is_made_again_has_isolated_ports_again() -> None:
    engine.run(switch({"among": False}))
    ip("link delete v-net-0")
    engine.run(switch({"among": False}))
    assert set(isolated().values()) == {True}
    assert len(isolated()) == 3


def test_ports_are_free_again_once_the_document_asks_no_longer() -> None:
    for later in ({}, None):
        engine.run(switch({"among": False}))
        done = engine.run(switch(later))
        assert {"host: veth-red: not isolated", "host: tap0: not isolated"} <= set(done.plan)
        assert set(isolated().values()) == {False}
        assert engine.run(switch(later)).plan == ()


def test_a_document_that_never_asked_leaves_isolation_to_others() -> None:
    engine.run(switch(None))
    assert "HOSTWIRE" not in world.rules()
    ip("link set tap0 type bridge_slave isolated on")
    assert engine.run(switch(None)).plan == ()


def test_single_objects_join_and_leave_isolated_guests() -> None:
    def owned(state: str = "present", **objects: Any) -> tuple[str, ...]:
        return engine.run({"name": "tasks", "state": state, **objects}, fragment=True).plan

    bridge = {"name": "v-net-0", "addresses": ["192.168.15.5/24"]}
    owned(bridges=[bridge], taps=[{"name": "tap0", "bridge": "v-net-0"}])
    owned(bridges=[{**bridge, "guests": {"among": False}}])
    assert isolated() == {"tap0": True}
    owned(taps=[{"name": "tap1", "bridge": "v-net-0"}])
    owned(veths=[{"name": "veth0", "peer": {"name": "veth1", "bridge": "v-net-0"}}])
    assert isolated() == dict.fromkeys(("tap0", "tap1", "veth1"), True)
    assert owned(bridges=[{**bridge, "guests": {"among": False}}]) == ()
    owned(bridges=[bridge])
    assert isolated() == dict.fromkeys(("tap0", "tap1", "veth1"), False)


def arp_ignore(link: str = "v-net-0") -> str:
    return Path(f"/proc/sys/net/ipv4/conf/{link}/arp_ignore").read_text().strip()


def answers(room: str, address: str) -> bool:
    """Whether anybody answers a room that asks by ARP who has an address."""
    command = ["ip", "netns", "exec", room, "busybox", "arping", "-f", "-c", "3", "-w", "2", "-I", "eth0", address]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def test_security_guests_dont_learn_by_arp_what_other_addresses_the_host_has() -> None:
    ip("address add 203.0.113.1/24 dev lo")
    engine.run(switch(None))
    assert (arp_ignore(), answers("red", "203.0.113.1")) == ("0", True)
    engine.run(switch({}))
    assert (arp_ignore(), answers("red", "203.0.113.1"), answers("red", "192.168.15.5")) == ("1", False, True)
    closed = switch(CLOSED)
    closed["bridges"][0]["addresses"] = []
    assert "host: net/ipv4/conf/v-net-0/arp_ignore: 1 -> 8" in engine.run(closed).plan
    assert (arp_ignore(), answers("red", "203.0.113.1"), answers("red", "192.168.15.2")) == ("8", False, False)
    assert engine.run(closed).plan == ()
    assert "host: net/ipv4/conf/v-net-0/arp_ignore: 8 -> 0" in engine.run(switch(None)).plan
    assert (arp_ignore(), answers("red", "203.0.113.1")) == ("0", True)


def test_what_a_document_says_of_arp_itself_is_so() -> None:
    document = {**switch({}), "sysctls": {"net/ipv4/conf/v-net-0/arp_ignore": 2}}
    for dummy in range(2):
        done = engine.run(document)
        assert arp_ignore() == "2"
    assert done.plan == ()


def test_a_single_switch_is_deaf_for_as_long_as_guests_live_on_it() -> None:
    for guests, expected in (({}, "1"), (None, "0")):
        bridge = {"name": "v-net-0", "addresses": ["192.168.15.5/24"], "guests": guests}
        engine.run({"name": "tasks", "bridges": [bridge]}, fragment=True)
        assert arp_ignore() == expected
        assert engine.run({"name": "tasks", "bridges": [bridge]}, fragment=True).plan == ()


def test_a_failure_leaves_ports_and_rules_as_they_were() -> None:
    engine.run(switch({"among": False, "outside": False}))
    before = world.image()
    wrong = {**switch({"to_host": False}), "probes": [{"from": "red", "to": "192.168.15.5"}]}
    with pytest.raises(VerificationFailed, match="should be reachable and is unreachable"):
        engine.run(wrong)
    assert world.differences(before, world.image()) == []


def test_a_host_without_iptables_is_told_so_before_anything_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    before = world.image()
    monkeypatch.setattr("shutil.which", lambda *_arguments, **_options: None)
    with pytest.raises(MissingOnHost, match=r"iptables: no such program on this host; .* guests"):
        engine.run(switch({}))
    monkeypatch.undo()
    assert world.differences(before, world.image()) == []


def test_a_host_only_network_stays_alone_beside_one_that_is_masqueraded() -> None:
    """The second document turns forwarding on, and FORWARD lets everything pass."""
    world.build_surroundings()
    ip("-n lan route add default via 192.168.1.2")
    alone = {**switch({"outside": False}), "name": "alone", "taps": []}
    alone["routes"] = [{"netns": room, "to": "default", "via": "192.168.15.5"} for room in ("red", "blue")]
    nat = {
        "name": "nat",
        "namespaces": [{"name": "green"}],
        "bridges": [{"name": "v-net-1", "addresses": ["10.0.2.1/24"], "guests": {"from_host": False}}],
        "veths": [
            {
                "name": "veth-green",
                "bridge": "v-net-1",
                "peer": {"name": "eth0", "netns": "green", "addresses": ["10.0.2.4/24"]},
            }
        ],
        "routes": [{"netns": "green", "to": "default", "via": "10.0.2.1"}],
        "forwarding": {"ipv4": True},
        "masquerade": [{"source": "10.0.2.0/24", "except_to": "v-net-1"}],
        "published_ports": [{"port": 1234, "to": "10.0.2.4:22", "address": "any"}],
    }
    for documents in ((alone, nat), (nat, alone)):
        before = world.image()
        for document in documents:
            engine.run(document)
        assert [engine.run(document).plan for document in documents] == [(), ()]
        with listening("red", 22) as red, listening("green", 22) as green, listening("lan", 22) as lan:
            assert call(None, "192.168.15.1", 22, red) == "192.168.15.5"
            assert call("blue", "192.168.15.1", 22, red) == "192.168.15.2"
            assert call("green", "192.168.1.3", 22, lan) == "192.168.1.2"
            assert call("lan", "192.168.1.2", 1234, green) == "192.168.1.3"
            assert blocked(None, "10.0.2.4", 22, green)
            assert call(None, "192.168.1.2", 1234, green) is not None
            for room, address, server in (
                ("red", "192.168.1.3", lan),
                ("red", "10.0.2.4", green),
                ("lan", "192.168.15.1", red),
                ("green", "192.168.15.1", red),
            ):
                assert blocked(room, address, 22, server), (room, address)
        for document in documents:
            engine.run({"name": document["name"], "state": "absent"})
        assert world.differences(before, world.image()) == []


@pytest.mark.parametrize("bridge_nf", [0, 1])
def test_guests_on_the_lan_are_kept_from_each_other_and_not_from_the_lan(bridge_nf: int) -> None:
    world.build_surroundings()
    sysctl("net/bridge/bridge-nf-call-iptables", bridge_nf)
    iptables("-P FORWARD DROP")
    before = world.image()
    document = switch({"among": False})
    document["bridges"][0] = {"name": "v-net-0", "uplink": "eth0", "guests": {"among": False}}
    for number, cable in enumerate(document["veths"], 101):
        cable["peer"]["addresses"] = [f"192.168.1.{number}/24"]
    engine.run(document)
    assert engine.run(document).plan == ()
    assert isolated() == {**dict.fromkeys(("veth-red", "veth-blue", "tap0"), True), "eth0": False}
    with listening("red", 80) as red, listening("lan", 80) as lan, listening(None, 80) as host:
        assert call("lan", "192.168.1.101", 80, red) == "192.168.1.3"
        assert call("red", "192.168.1.3", 80, lan) == "192.168.1.101"
        assert call("red", "192.168.1.2", 80, host) == "192.168.1.101"
        assert blocked("blue", "192.168.1.101", 80, red)
    engine.run(NOTHING)
    assert world.differences(before, world.image()) == []


@contextlib.contextmanager
def dnsmasq(directory: Path) -> Iterator[None]:
    """A DHCP server of the host for v-net-0."""
    words = "--keep-in-foreground --user=root --conf-file=/dev/null --port=0 --interface=v-net-0 --bind-dynamic"
    leases = f"--dhcp-leasefile={directory}/leases --pid-file={directory}/pid --log-facility={directory}/log"
    server = subprocess.Popen(["dnsmasq", *f"{words} {leases} --dhcp-range=192.168.15.100,192.168.15.150".split()])
    try:
        yield
    finally:
        server.terminate()
        server.wait(PATIENCE)


def test_a_dhcp_server_on_the_host_serves_guests_whom_the_host_does_not_reach(private_host: Path) -> None:
    document = switch({"from_host": False})
    del document["veths"][0]["peer"]["addresses"]  # red asks
    engine.run(document)
    script = private_host / "bound"
    script.write_text('#!/bin/sh\n[ "$1" = bound ] && ip address add "$ip/24" dev "$interface"\nexit 0\n')
    script.chmod(0o755)
    with dnsmasq(private_host):
        client = f"busybox udhcpc -i eth0 -n -q -f -t 20 -T 1 -s {script}"
        subprocess.run(["ip", "netns", "exec", "red", *client.split()], check=True, capture_output=True)
    (address,) = (entry["local"] for entry in ipv4_addresses("red"))
    assert address.startswith("192.168.15.1")
    assert ping("red", "192.168.15.5")
    assert not ping(None, address, 0.5)


def ipv4_addresses(netns: str) -> list[dict[str, Any]]:
    shown = json.loads(subprocess.check_output(["ip", "-n", netns, "-j", "-4", "address", "show", "dev", "eth0"]))
    return [entry for link in shown for entry in link.get("addr_info", [])]


def test_a_dhcpv6_server_may_answer_and_nobody_else_of_the_host() -> None:
    document = switch({"from_host": False})
    document["bridges"][0]["addresses"].append("fd00:15::5/64")
    document["veths"][0]["peer"]["addresses"].append("fd00:15::1/64")
    engine.run(document)
    with listening("red", 546, "udp", 6) as client:
        client.settimeout(0.3)
        for number, arrives in ((547, True), (548, False)):
            with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as server:
                server.bind(("fd00:15::5", number))
                with contextlib.suppress(PermissionError):  # what OUTPUT drops, its sender is told of
                    server.sendto(b"advertise", ("fd00:15::1", 546))
            assert received(client) == arrives


def received(server: socket.socket) -> bool:
    try:
        return bool(server.recv(16))
    except TimeoutError:
        return False
