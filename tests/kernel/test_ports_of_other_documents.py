# SPDX-License-Identifier: GPL-3.0-or-later
"""What a published port needs doesn't depend on the document that it stands in, nor on the order of documents."""

from __future__ import annotations

import itertools
import subprocess
from typing import Any

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import engine, rehearsal
from ansible_collections.hostwire.linux.tests.kernel import world
from ansible_collections.hostwire.linux.tests.kernel.firewall_world import call, listening, sysctl
from ansible_collections.hostwire.linux.tests.kernel.plainly import setting
from ansible_collections.hostwire.linux.tests.kernel.test_hairpin import hairpins

Item = dict[str, Any]
LOCALNET = "net/ipv4/conf/v-net-0/route_localnet"
ORDERS = pytest.mark.parametrize("order", [("net", "ports"), ("ports", "net")], ids="-then-".join)
RETURNS = pytest.mark.parametrize("going", [("net", "ports"), ("ports", "net")], ids="-goes-before-".join)

pytestmark = pytest.mark.usefixtures("private_host")


def net(**more: Any) -> Item:
    """Two rooms on a switch."""
    return {
        "name": "net",
        "namespaces": [{"name": "red"}, {"name": "blue"}],
        "bridges": [{"name": "v-net-0", "addresses": ["192.168.15.5/24", "fd00:15::5/64"]}],
        "veths": [
            {
                "name": f"veth-{room}",
                "bridge": "v-net-0",
                "peer": {
                    "name": "eth0",
                    "netns": room,
                    "addresses": [f"192.168.15.{number}/24", f"fd00:15::{number}/64"],
                },
            }
            for number, room in ((1, "red"), (2, "blue"))
        ],
        "routes": [
            {"netns": room, "to": to, "via": via}
            for room in ("red", "blue")
            for to, via in (("default", "192.168.15.5"), ("::/0", "fd00:15::5"))
        ],
        **more,
    }


def ports(*addresses: str, name: str = "ports", first: int = 8080, to: str = "192.168.15.2") -> Item:
    """Ports that lead to blue, by TCP and UDP: 8080 at the first address, 8081 at the second."""
    entries = [
        {"port": number, "to": f"{to}:80", "address": address, "protocol": protocol}
        for number, address in enumerate(addresses, first)
        for protocol in ("tcp", "udp")
    ]
    return {"name": name, "published_ports": entries}


def absent(name: str) -> Item:
    return {"name": name, "state": "absent"}


def foretold(document: Item) -> tuple[str, ...]:
    """The plan of a run, which is that of check mode."""
    predicted = engine.run(document, check=True)
    done = engine.run(document)
    assert (done.plan, done.before, done.after) == (predicted.plan, predicted.before, predicted.after)
    assert done.warnings == predicted.warnings
    return done.plan


def settled(*documents: Item) -> bool:
    return all(engine.run(document).plan == () for document in documents)


@ORDERS
@RETURNS
@pytest.mark.parametrize("address", ["127.0.0.1", "any"])
def test_the_host_reaches_a_port_at_its_loopback_whichever_document_came_first(
    order: tuple[str, str], going: tuple[str, str], address: str
) -> None:
    before = world.image()
    documents = {"net": net(), "ports": ports(address)}
    for name in order:
        foretold(documents[name])
    assert setting(LOCALNET) == "1"
    assert settled(*documents.values(), *documents.values())
    for protocol in ("tcp", "udp"):
        with listening("blue", 80, protocol) as blue:
            assert call(None, "127.0.0.1", 8080, blue) == "192.168.15.5"
    first, second = going
    plan = foretold(absent(first))
    if first == "ports":
        assert f"host: {LOCALNET}: 1 -> 0" in plan
        assert setting(LOCALNET) == "0"
        assert settled(documents["net"])
    else:
        assert settled(documents["ports"])
    foretold(absent(second))
    assert world.differences(before, world.image()) == []


def test_a_switch_that_is_made_again_leads_the_loopback_again() -> None:
    for document in (ports("127.0.0.1"), net()):
        engine.run(document)
    engine.run(absent("net"))
    assert f"host: {LOCALNET}: (new) -> 1" in foretold(net())
    sysctl(LOCALNET, 0)
    assert foretold(net()) == (f"host: {LOCALNET}: 0 -> 1",)
    assert settled(net(), ports("127.0.0.1"))


def test_of_several_documents_with_ports_the_last_one_puts_it_back() -> None:
    other = ports("127.0.0.1", name="other", first=9000)
    for document in (other, ports("127.0.0.1"), net()):
        engine.run(document)
    assert settled(other, ports("127.0.0.1"), net())
    engine.run(absent("other"))
    assert setting(LOCALNET) == "1"
    assert settled(net(), ports("127.0.0.1"))
    engine.run(absent("ports"))
    assert setting(LOCALNET) == "0"
    assert settled(net())


def test_a_port_of_the_own_document_that_goes_leaves_what_another_documents_port_needs() -> None:
    own = [{"port": 9000, "to": "192.168.15.2:80"}]
    for document in (net(published_ports=own), ports("127.0.0.1"), net()):
        engine.run(document)
    assert setting(LOCALNET) == "1"
    assert settled(net(), ports("127.0.0.1"))
    foretold(absent("ports"))
    assert setting(LOCALNET) == "0"
    assert settled(net())


def test_a_port_that_leads_no_loopback_there_changes_nothing() -> None:
    engine.run(ports("192.168.15.5"))
    engine.run(net())
    assert setting(LOCALNET) == "0"


@pytest.mark.parametrize("bridge_nf", [0, 1])
@ORDERS
@RETURNS
def test_a_guest_reaches_its_own_port_of_another_document(
    bridge_nf: int, order: tuple[str, str], going: tuple[str, str]
) -> None:
    for family in ("iptables", "ip6tables"):
        sysctl(f"net/bridge/bridge-nf-call-{family}", bridge_nf)
    before = world.image()
    both = ports("any")
    both["published_ports"] += ports("any", first=8090, to="[fd00:15::2]")["published_ports"]
    documents = {"net": net(forwarding={"ipv4": True, "ipv6": True}), "ports": both}
    for name in order:
        foretold(documents[name])
    assert hairpins() == {"veth-blue"}
    assert settled(*documents.values(), *documents.values())
    for protocol in ("tcp", "udp"):
        with listening("blue", 80, protocol) as blue:
            assert call("blue", "192.168.15.5", 8080, blue) == "192.168.15.5"
        with listening("blue", 80, protocol, 6) as blue:
            assert call("blue", "fd00:15::5", 8090, blue) == "fd00:15::5"
    first, second = going
    plan = foretold(absent(first))
    if first == "ports":
        assert "host: veth-blue (of document net): no hairpin" in plan
        assert hairpins() == set()
        assert settled(documents["net"])
    else:
        assert settled(documents["ports"])
    foretold(absent(second))
    assert world.differences(before, world.image()) == []


def test_it_is_the_guest_that_is_known_whichever_document_it_is_of() -> None:
    """A tap of one document on another one's switch, and a port that leads to whom nobody knows, then somebody does."""
    taps = {"name": "taps", "taps": [{"name": "tap0", "bridge": "v-net-0"}]}
    unknown = ports("any", to="192.168.15.80")
    for document in (net(), taps, unknown):
        foretold(document)
    assert hairpins() == {"tap0"}
    assert settled(net(), taps, unknown)
    known = {
        "name": "known",
        "namespaces": [{"name": "green"}],
        "veths": [
            {
                "name": "veth-green",
                "bridge": "v-net-0",
                "peer": {"name": "eth0", "netns": "green", "addresses": ["192.168.15.80/24"]},
            }
        ],
    }
    foretold(known)
    foretold(taps)
    assert hairpins() == {"veth-green"}
    assert settled(known, taps, unknown, net())
    foretold(ports("any"))
    assert hairpins() == {"veth-blue"}
    assert settled(known, taps, ports("any"), net())


def test_single_objects_bring_it_and_take_it_away() -> None:
    def owned(state: str = "present") -> tuple[str, ...]:
        return engine.run({**ports("any"), "state": state}, fragment=True).plan

    engine.run(net())
    assert "host: veth-blue (of document net): hairpin" in owned()
    assert (hairpins(), setting(LOCALNET)) == ({"veth-blue"}, "1")
    assert owned() == ()
    assert settled(net())
    owned("absent")
    assert (hairpins(), setting(LOCALNET)) == (set(), "0")
    assert settled(net())


@pytest.mark.parametrize("names", list(itertools.permutations(("net", "ports", "other"))), ids="-".join)
def test_several_documents_in_one_run_are_foretold(names: tuple[str, ...]) -> None:
    documents = {"net": net(), "ports": ports("any"), "other": ports("127.0.0.1", name="other", first=9000)}
    before = world.image()
    for again in ([documents[name] for name in names], [absent(name) for name in names]):
        predicted = rehearsal.run_all(again, check=True)
        done = rehearsal.run_all(again)
        assert [(one.plan, one.before, one.after) for one in done] == [
            (one.plan, one.before, one.after) for one in predicted
        ]
        if again[0].get("state") is None:
            assert (hairpins(), setting(LOCALNET)) == ({"veth-blue"}, "1")
            assert not any(one.changed for one in rehearsal.run_all(again))
    assert world.differences(before, world.image()) == []


def test_a_port_to_whom_no_route_leads_is_told_of() -> None:
    predicted = engine.run(ports("127.0.0.1"), check=True)
    done = engine.run(ports("127.0.0.1"))
    assert done.warnings == predicted.warnings
    assert done.warnings[0] == (
        "published port tcp 127.0.0.1:8080 -> 192.168.15.2:80 leads nowhere yet: there is no route to 192.168.15.2"
    )
    engine.run(net())
    assert engine.run(ports("127.0.0.1")).warnings == ()
    subprocess.run(["ip", "route", "add", "unreachable", "192.168.15.2"], check=True)
    assert "leads nowhere" in engine.run(ports("127.0.0.1")).warnings[0]
