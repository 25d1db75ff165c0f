# SPDX-License-Identifier: GPL-3.0-or-later
"""Large packets pass where an MTU is said for them; where they can't, the run says so."""

from __future__ import annotations

import copy
import subprocess
from typing import Any, Dict, List

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import engine
from ansible_collections.hostwire.linux.plugins.module_utils.errors import Conflict, InvalidValue, VerificationFailed
from ansible_collections.hostwire.linux.tests.kernel import lan, world
from ansible_collections.hostwire.linux.tests.kernel.plainly import ip, setting

Document = Dict[str, Any]
HOST, GUEST = ["172.17.0.1/24", "fd00:17::1/64"], ["172.17.0.2/24", "fd00:17::2/64"]
CABLE: Document = {
    "namespaces": [{"name": "g"}],
    "veths": [{"name": "v", "addresses": HOST[:1], "peer": {"name": "eth0", "netns": "g", "addresses": GUEST[:1]}}],
}
SWITCHED: Document = {
    "namespaces": [{"name": "g"}],
    "bridges": [{"name": "br0", "addresses": HOST}],
    "veths": [{"name": "v", "bridge": "br0", "peer": {"name": "eth0", "netns": "g", "addresses": GUEST}}],
}


def passes(address: str, size: int = 8000) -> bool:
    command = ["ping", "-q", "-n", "-c", "1", "-W", "1", "-M", "do", "-s", str(size), address]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def with_mtus(document: Document, **mtus: int) -> Document:
    """``here`` and ``there``: of the ends of the cable; ``bridge``."""
    made = copy.deepcopy(document)
    for name, entry in (
        ("here", made["veths"][0]),
        ("there", made["veths"][0]["peer"]),
        ("bridge", made.get("bridges", [{}])[0]),
    ):
        if name in mtus:
            entry["mtu"] = mtus[name]
    return made


@pytest.mark.parametrize("end", ["here", "there"])
@pytest.mark.parametrize("document", [CABLE, SWITCHED], ids=["cable", "switch"])
@pytest.mark.parametrize("later", [False, True])
def test_an_mtu_said_at_one_end_holds_at_both(private_host: object, document: Document, end: str, later: bool) -> None:
    wanted = with_mtus(document, **{end: 9000}, bridge=9000)
    if later:
        engine.run(with_mtus(document), dad_seconds=0)
    predicted = engine.run(wanted, check=True)
    done = engine.run(wanted)
    assert (done.plan, done.warnings) == (predicted.plan, ())
    given = wanted["veths"][0]["peer"]["addresses"]
    for address in given:  # the kernel takes note of a new cable up to a second late
        lan.until(lambda address=address: passes(address.partition("/")[0]), 5)  # type: ignore[misc]
    again = engine.run(wanted)
    assert (again.plan, again.warnings) == ((), ())
    if end == "there":
        engine.run(with_mtus(document), dad_seconds=0)
        assert not passes("172.17.0.2")  # and refused at home, not lost


def test_the_diff_of_something_else_says_nothing_of_it(private_host: object) -> None:
    engine.run(with_mtus(CABLE, here=9000), dad_seconds=0)
    wanted = with_mtus(CABLE, here=9000)
    wanted["veths"][0]["addresses"] = []
    done = engine.run(wanted, dad_seconds=0)
    before, after = done.before["veths"][0], done.after["veths"][0]
    assert (before.pop("addresses"), after.pop("addresses", [])) == (HOST[:1], [])
    assert before == after


def guests(*mtus: int) -> Document:
    """A switch with a guest for each of these MTUs; 0: nothing is said."""
    names = [f"g{number}" for number, _mtu in enumerate(mtus)]
    return {
        "namespaces": [{"name": name} for name in names],
        "bridges": [{"name": "br0"}],
        "veths": [
            {
                "name": f"v-{name}",
                "bridge": "br0",
                **({"mtu": mtu} if mtu else {}),
                "peer": {"name": "eth0", "netns": name},
            }
            for name, mtu in zip(names, mtus)
        ],
    }


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (with_mtus(CABLE, here=9000, there=1500), ["v", "9000", "1500"]),
        (with_mtus(SWITCHED, bridge=9000), ["bridge br0", "9000", "v 1500"]),
        (with_mtus(SWITCHED, bridge=1400), ["bridge br0", "v has mtu 1500", "br0 1400"]),
        (guests(9000, 0), ["bridge br0", "v-g0 has mtu 9000", "v-g1 1500"]),
        ({**guests(9000), "taps": [{"name": "tap0", "bridge": "br0"}]}, ["v-g0 has mtu 9000", "tap0 1500"]),
        (guests(9000, 9000), []),
        (guests(0, 1500), []),
    ],
)
def test_what_is_lost_on_the_way_is_said(private_host: object, document: Document, words: List[str]) -> None:
    warnings = engine.run(document, check=True).warnings
    assert engine.run(document, dad_seconds=0).warnings == warnings
    assert len(warnings) == (1 if words else 0)
    assert all(word in warning for warning in warnings for word in words)
    assert engine.run(document).warnings == warnings


@pytest.mark.parametrize("how", ["uplink", "interface"])
def test_guests_beside_a_wire_with_another_mtu(private_host: object, how: str) -> None:
    for command in ("netns add lan", "link add eth9 mtu 1450 up type veth peer name eth0 netns lan"):
        subprocess.run(["ip", *command.split()], check=True)
    document = guests(0)
    if how == "uplink":
        document["bridges"][0]["uplink"] = "eth9"
    else:
        document["interfaces"] = [{"name": "eth9", "bridge": "br0"}]
    (line,) = engine.run(document, dad_seconds=0).warnings
    assert "v-g0 has mtu 1500 and eth9 1450" in line
    assert engine.run({"namespaces": [{"name": "g0"}], "state": "present"}, fragment=True).warnings == ()


def test_one_end_too_small_for_the_ipv6_of_the_other_is_refused(private_host: object) -> None:
    with pytest.raises(InvalidValue, match=r"veths\[0\]\.peer\.mtu: 1000 is under 1280"):
        engine.run({**CABLE, "veths": [{"name": "v", "mtu": 1000, "peer": {"name": "eth0", "addresses": GUEST}}]})


SIX, FOUR = "fd00::1/64", "10.0.0.1/24"


def shrinking(kind: str, mtu: int, *held: str) -> Document:
    peer = {"peer": {"name": "y"}} if kind == "veths" else {}
    return {kind: [{"name": "x", "mtu": mtu, "addresses": [*held], **peer}]}


@pytest.mark.parametrize("kind", ["bridges", "veths", "interfaces"])
def test_an_ipv6_address_leaves_a_link_that_becomes_too_small_for_it(private_host: object, kind: str) -> None:
    if kind == "interfaces":
        ip("link", "add", "x", "mtu", "1000", "type", "veth", "peer", "name", "far")
        ip("link", "set", "x", "up")
    before = world.image()
    for wanted in (shrinking(kind, 1400, SIX, FOUR), shrinking(kind, 1000, FOUR), shrinking(kind, 1400, SIX)):
        predicted = engine.run(wanted, check=True)
        done = engine.run(wanted, dad_seconds=0)
        assert done.plan == predicted.plan
        assert engine.run(wanted, dad_seconds=0).plan == ()
    there = world.image()
    with pytest.raises(VerificationFailed, match="put back"):
        engine.run({**shrinking(kind, 1000, FOUR), "probes": [{"to": "198.51.100.1"}]}, dad_seconds=0)
    assert world.differences(there, world.image()) == []
    engine.run({"state": "absent"}, dad_seconds=0)
    assert world.differences(before, world.image()) == []


def test_an_interface_that_is_too_small_for_ipv6_gets_no_address_of_it(private_host: object) -> None:
    ip("link", "add", "x", "mtu", "1000", "type", "veth", "peer", "name", "far")
    for check in (True, False):
        with pytest.raises(Conflict, match="x: its mtu is 1000, and 1280 is the least that IPv6 works with"):
            engine.run({"interfaces": [{"name": "x", "addresses": [SIX]}]}, check=check)
    engine.run({"interfaces": [{"name": "x", "mtu": 1280, "addresses": [SIX]}]}, dad_seconds=0)


@pytest.mark.parametrize("whose", ["ours", "another's"])
def test_a_switch_with_a_small_port(private_host: object, whose: str) -> None:
    switch = {"bridges": [{"name": "b"}]}
    port = {"name": "p", "bridge": "b", "peer": {"name": "q"}}
    if whose == "ours":
        engine.run({**switch, "veths": [{**port, "mtu": 1000}]}, dad_seconds=0)
    else:
        engine.run(switch, dad_seconds=0)
        ip("link", "add", "p", "mtu", "1000", "type", "veth", "peer", "name", "q")
        ip("link", "set", "dev", "p", "master", "b")
    wanted = {"bridges": [{"name": "b", "addresses": [SIX]}], "veths": [port] if whose == "ours" else []}
    if whose == "ours":
        engine.run(wanted, dad_seconds=0)
    else:
        with pytest.raises(Conflict, match="b: its mtu is 1000, its port p's"):
            engine.run(wanted, check=True)


@pytest.mark.parametrize("netns", [None, "g"])
@pytest.mark.parametrize("port", ["veths", "taps"])
def test_a_switch_with_an_mtu_of_its_own_has_ipv6_beside_a_small_port(
    private_host: object, netns: str | None, port: str
) -> None:
    place = {"netns": netns} if netns else {}
    small: Document = {"name": "p", "bridge": "b", "mtu": 1000, **place}
    if port == "veths":
        small["peer"] = {"name": "q", **place}
    document = {
        "namespaces": [{"name": "g"}],
        "bridges": [{"name": "b", "mtu": 1500, "addresses": [SIX], **place}],
        port: [small],
    }
    predicted = engine.run(document, check=True)
    assert engine.run(document, dad_seconds=0).plan == predicted.plan
    assert engine.run(document, dad_seconds=0).plan == ()
    if netns is None:
        assert setting("net/ipv6/conf/b/accept_ra") == "0"


def test_a_switch_onto_which_a_small_interface_is_plugged(private_host: object) -> None:
    ip("link", "add", "p", "mtu", "1000", "type", "veth", "peer", "name", "q")
    switch: Document = {"name": "b", "addresses": [SIX]}
    for check in (True, False):
        with pytest.raises(Conflict, match="b: it gets the mtu of its port p"):
            engine.run({"bridges": [switch], "interfaces": [{"name": "p", "bridge": "b"}]}, check=check)
    wide = {"bridges": [{**switch, "mtu": 1500}], "interfaces": [{"name": "p", "bridge": "b"}]}
    engine.run(wide, dad_seconds=0)
    assert engine.run(wide, dad_seconds=0).plan == ()
