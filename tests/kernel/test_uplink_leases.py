# SPDX-License-Identifier: GPL-3.0-or-later
"""A host whose addresses are a router's doing, by DHCP or by advertisements, is bridged to the LAN and back."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import engine
from ansible_collections.hostwire.linux.tests.kernel import lan, world

GUESTS = ("g1", "g2")
BRIDGED: Dict[str, Any] = {
    "namespaces": [{"name": name} for name in GUESTS],
    "bridges": [{"name": "br0", "uplink": "eth0"}],
    "veths": [{"name": name, "bridge": "br0", "peer": {"name": "eth0", "netns": name}} for name in GUESTS],
}
NOTHING = {"state": "absent"}
LONGEST_GAP = 1.0  # seconds

# As a host's own client does it: what it has stays until the next lease is there.
HOOK = """#!/bin/sh
case $1 in bound | renew)
    ip address replace "$ip/$mask" dev "$interface" valid_lft "$lease" preferred_lft "$lease"
    ip route replace default via "$router" dev "$interface"
esac
"""

pytestmark = pytest.mark.usefixtures("private_host")


@contextlib.contextmanager
def router(*options: str) -> Iterator[None]:
    """The LAN with its router, which serves addresses, and the host's NIC on it, without any."""
    lan.batch("netns add lan\nlink add eth0 type veth peer name eth0 netns lan\nlink set eth0 up")
    lan.batch("address add 192.168.0.1/24 dev eth0\nlink set lo up\nlink set eth0 up", "lan")
    command = "dnsmasq --keep-in-foreground --user=root --conf-file=/dev/null --pid-file= --port=0 --interface=eth0"
    with subprocess.Popen(["ip", "netns", "exec", "lan", *command.split(), "--bind-dynamic", *options]) as server:
        try:
            yield
        finally:
            server.terminate()


@pytest.fixture
def hook(private_host: Path) -> Path:
    path = private_host / "hook"
    path.write_text(HOOK)
    path.chmod(0o755)
    return path


def lease(hook: Path, link: str, *options: str, netns: str = "") -> str:
    """Ask for a lease once; the address that came."""
    inside = ["ip", "netns", "exec", netns] if netns else []
    once = ["busybox", "udhcpc", "-f", "-q", "-n", "-i", link, "-s", str(hook), *options]
    said = subprocess.run([*inside, *once], capture_output=True, text=True, check=True).stderr
    found = re.search(r"lease of (\S+) obtained", said)
    assert found, said
    return found[1]


def seconds_left(address: str, link: str) -> int:
    found: List[int] = [entry["valid_life_time"] for entry in lan.addresses(link) if entry["local"] == address]
    assert len(found) == 1, found
    return found[0]


def test_guests_get_leases_of_the_lans_router_and_the_host_keeps_its_own(hook: Path, private_host: Path) -> None:
    leases = private_host / "leases"
    with router("--dhcp-range=192.168.0.50,192.168.0.150,10m", f"--dhcp-leasefile={leases}"):
        own = lease(hook, "eth0")
        before = world.image()
        its_mac = before["rooms"]["None"]["links"]["eth0"]["address"]
        with lan.pinged(own) as gap:
            done = engine.run(BRIDGED)
        assert gap.seconds <= LONGEST_GAP
        assert f"eth0 has {own}/24 by DHCP; it moves, but from now on the DHCP client has to renew it on br0" in str(
            done.warnings
        )
        assert 500 < seconds_left(own, "br0") <= 600
        assert before_as(before, "br0") in world.image()["rooms"]["None"]["routes"]

        given = {name: lease(hook, "eth0", netns=name) for name in GUESTS}
        assert len({own, *given.values()}) == 3
        for name, address in given.items():
            assert lan.reached(address, "lan")
            assert lan.reached("192.168.0.1", name)
            assert lan.reached(own, name)

        lan.batch(f"address change {own}/24 dev br0 valid_lft 60 preferred_lft 60")
        with lan.pinged(own) as gap:
            assert lease(hook, "br0", "-r", own) == own  # the bridge has the NIC's MAC address, and so its lease
        assert gap.seconds <= LONGEST_GAP
        assert 500 < seconds_left(own, "br0") <= 600
        assert engine.run(BRIDGED).plan == ()

        with lan.pinged(own) as gap:
            engine.run(NOTHING)
        assert gap.seconds <= LONGEST_GAP
        assert 500 < seconds_left(own, "eth0") <= 600
        assert world.differences(before, world.image()) == []
        assert lease(hook, "eth0", "-r", own) == own
        assert [line.split()[2] for line in leases.read_text().splitlines() if its_mac in line] == [own]


def before_as(image: Dict[str, Any], link: str) -> str:
    """The default route of an image, as it is through another link."""
    routes: List[str] = image["rooms"]["None"]["routes"]
    (default,) = [json.loads(route) for route in routes if json.loads(route)["dst"] == "default"]
    return json.dumps({**default, "dev": link}, sort_keys=True)


@pytest.mark.parametrize("forwarding", [False, True])
def test_29_what_a_router_advertises_is_heard_on_the_bridge_from_the_first_moment_on(forwarding: bool) -> None:
    with router("--enable-ra", "--dhcp-range=2001:db8:5::,ra-only", "--ra-param=eth0,60,1800"):
        lan.batch("address add 2001:db8:5::1/64 dev eth0 nodad\naddress add 2001:db8:ff::1/128 dev lo", "lan")
        subprocess.run(["ip", "netns", "exec", "lan", "sysctl", "-qw", "net.ipv6.conf.all.forwarding=1"], check=True)
        lan.until(lambda: defaults("eth0") == [1024] and advertised("eth0"))
        lan.settled("eth0")
        (own,) = advertised("eth0")
        bridged = {**BRIDGED, "forwarding": {"ipv6": forwarding or None}}
        for document, link, heeds in ((bridged, "br0", "2" if forwarding else "1"), (NOTHING, "eth0", "1")):
            with lan.pinged(own, source="2001:db8:ff::1") as gap:  # the answer goes by the default route
                engine.run(document)
                lan.until(lambda link=link: 1024 in defaults(link))  # type: ignore[misc]
            assert gap.seconds <= LONGEST_GAP
            assert advertised(link) == [own]
            assert engine.run(document).plan == ()
            assert Path(f"/proc/sys/net/ipv6/conf/{link}/accept_ra").read_text().strip() == heeds


def defaults(link: str) -> List[int]:
    """The metrics of the default routes that a router advertised."""
    shown = subprocess.check_output(["ip", "-6", "-j", "route", "show", "default", "dev", link, "proto", "ra"])
    return [route["metric"] for route in json.loads(shown)]


def advertised(link: str) -> List[str]:
    return [entry["local"] for entry in lan.addresses(link) if entry["local"].startswith("2001:db8:5:")]
