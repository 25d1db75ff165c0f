# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest's own published port leads back to it where the frames of bridges pass iptables (hazard 40)."""

from __future__ import annotations

import errno
import json
import subprocess
from typing import Any

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import engine
from ansible_collections.hostwire.linux.plugins.module_utils.errors import KernelRefused
from ansible_collections.hostwire.linux.tests.kernel import world
from ansible_collections.hostwire.linux.tests.kernel.firewall_world import call, listening, sysctl
from ansible_collections.hostwire.linux.tests.kernel.plainly import setting

NOTHING = {"state": "absent"}
WEB = {"port": 8080, "to": "192.168.15.2:80", "address": "any"}

pytestmark = pytest.mark.usefixtures("private_host")


def document(*ports: dict[str, Any]) -> dict[str, Any]:
    """Two rooms, one whose address somebody else gives, and a tap on a switch."""
    cables = [
        {"name": f"veth-{room}", "bridge": "v-net-0", "peer": {"name": "eth0", "netns": room, **end}}
        for room, end in (
            ("red", {"addresses": ["192.168.15.1/24"]}),
            ("blue", {"addresses": ["192.168.15.2/24", "fd00:15::2/64"]}),
            ("green", {"leased": True}),
        )
    ]
    return {
        "namespaces": [{"name": room} for room in ("red", "blue", "green")],
        "bridges": [{"name": "v-net-0", "addresses": ["192.168.15.5/24", "fd00:15::5/64"]}],
        "veths": cables,
        "taps": [{"name": "tap0", "bridge": "v-net-0"}],
        "routes": [{"netns": "blue", "to": "default", "via": "192.168.15.5"}],
        "forwarding": {"ipv4": True},
        "published_ports": list(ports),
    }


def hairpins() -> set[str]:
    """The ports of bridges that are given back their own frames, as iproute2 sees them."""
    links = json.loads(subprocess.check_output(["ip", "-j", "-d", "link", "show"]))
    return {
        link["ifname"] for link in links if link.get("linkinfo", {}).get("info_slave_data", {}).get("hairpin", False)
    }


def ip(words: str) -> None:
    subprocess.run(["ip", *words.split()], check=True)


@pytest.mark.parametrize("to", ["192.168.15.2:80", "[fd00:15::2]:80"])
def test_the_port_of_the_target_and_no_other_is_in_hairpin_mode_while_it_is_published(to: str) -> None:
    published = document({**WEB, "to": to})
    before = world.image()
    predicted = engine.run(published, check=True)
    assert engine.run(published).plan == predicted.plan
    assert hairpins() == {"veth-blue"}
    assert engine.run(published).plan == ()
    assert "host: veth-blue: no hairpin" in engine.run(document()).plan
    assert hairpins() == set()
    assert "host: veth-blue: hairpin" in engine.run(published).plan
    engine.run(NOTHING)
    assert world.differences(before, world.image()) == []


def test_where_nobody_is_known_to_have_the_address_it_is_each_port_whose_guest_may_have_it() -> None:
    engine.run(document({**WEB, "to": "192.168.15.80:80"}))
    assert hairpins() == {"veth-green", "tap0"}
    engine.run(document({**WEB, "to": "198.51.100.7:80"}))
    assert hairpins() == set()


def test_what_others_make_of_it_is_mended() -> None:
    engine.run(document(WEB))
    ip("link set veth-blue type bridge_slave hairpin off")
    ip("link set veth-red type bridge_slave hairpin on")
    assert engine.run(document(WEB)).plan == ("host: veth-red: no hairpin", "host: veth-blue: hairpin")
    ip("link set veth-blue nomaster")
    assert engine.run(document(WEB)).plan == ("host: veth-blue: onto bridge v-net-0, hairpin",)
    ip("link delete v-net-0")
    engine.run(document(WEB))
    assert hairpins() == {"veth-blue"}
    assert engine.run(document(WEB)).plan == ()


def test_single_objects_bring_it_and_take_it_away() -> None:
    def owned(state: str = "present", **objects: Any) -> tuple[str, ...]:
        return engine.run({"name": "tasks", "state": state, **objects}, fragment=True).plan

    whole = document()
    owned(**{name: whole[name] for name in ("namespaces", "bridges", "veths")})
    port = {**WEB, "to": "192.168.15.2:80"}
    assert "host: veth-blue: hairpin" in owned(published_ports=[port])
    assert hairpins() == {"veth-blue"}
    assert owned(published_ports=[port]) == ()
    owned("absent", published_ports=[port])
    assert hairpins() == set()
    local = {**port, "address": "127.0.0.1"}
    owned(published_ports=[local])
    assert setting("net/ipv4/conf/v-net-0/route_localnet") == "1"
    owned("absent", published_ports=[local])
    assert setting("net/ipv4/conf/v-net-0/route_localnet") == "0"


def test_a_failure_leaves_it_as_it_was() -> None:
    engine.run(document(WEB))
    before = world.image()

    def refuse(position: int, when: str) -> None:
        if when == "after":
            raise KernelRefused("a step", errno.EPERM)

    with pytest.raises(KernelRefused) as raised:
        engine.run(document({**WEB, "to": "192.168.15.1:80"}), hook=refuse)
    assert raised.value.problems[-1] == "everything was put back as it was"
    assert world.differences(before, world.image()) == []


@pytest.mark.parametrize("bridge_nf", [0, 1])
def test_a_guest_reaches_its_own_published_port(bridge_nf: int) -> None:
    sysctl("net/bridge/bridge-nf-call-iptables", bridge_nf)
    engine.run(document(WEB))
    with listening("blue", 80) as blue:
        assert call("blue", "192.168.15.5", 8080, blue) == "192.168.15.5"
        assert call("red", "192.168.15.5", 8080, blue) == "192.168.15.5"
