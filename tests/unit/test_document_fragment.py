# SPDX-License-Identifier: GPL-3.0-or-later
"""A few objects beside those that their document holds already."""

from __future__ import annotations

from typing import Any

import yaml

from ansible_collections.hostwire.linux.plugins.module_utils import document
from ansible_collections.hostwire.linux.plugins.module_utils.model import Topology
from ansible_collections.hostwire.linux.plugins.module_utils.plan import preflight
from ansible_collections.hostwire.linux.plugins.module_utils.rtnetlink.constants import ROUTE_PROTOCOL
from ansible_collections.hostwire.linux.plugins.module_utils.task import cut, merged
from ansible_collections.hostwire.linux.tests.host_views import Device, Path, host, view

EARLIER = """
namespaces: [{name: red}, {name: blue}]
bridges: [{name: br0, addresses: [10.0.0.1/24]}]
veths: [{name: a0, bridge: br0, peer: {name: b0, netns: red, addresses: [10.0.0.2/24]}}]
published_ports: [{port: 8080, to: "10.0.0.2:80"}]
"""


def together(text: str) -> list[str]:
    """The problems that a fragment has with the document above."""
    whole = document.read(yaml.safe_load(EARLIER))
    reading = document.read(yaml.safe_load(text))
    assert not whole.problems
    merged: dict[str, Any] = {
        section: (*getattr(whole.topology, section), *getattr(reading.topology, section))
        for section in ("namespaces", "bridges", "veths", "routes", "published_ports")
    }
    return document.problems_with_earlier(reading, whole.topology._replace(**merged))


def test_a_fragment_that_fits_has_no_problems() -> None:
    assert together("veths: [{name: a1, bridge: br0, peer: {name: b1, netns: blue, addresses: [10.0.0.3/24]}}]") == []
    assert together("routes: [{netns: red, to: default, via: 10.0.0.1}]") == []
    assert together("published_ports: [{port: 8081, to: '10.0.0.2:80'}]") == []


def test_a_fragment_is_held_against_what_is_there_already() -> None:
    assert together("veths: [{name: a1, bridge: br0, peer: {name: b1, netns: blue, addresses: [10.0.0.2/24]}}]") == [
        (
            "veths[0].peer.addresses[0]: 10.0.0.2 is there already on the same switch br0, "
            "in the earlier veths[0].peer.addresses[0]"
        )
    ]
    assert together("published_ports: [{port: 8000-8100, to: '10.0.0.2:8000-8100'}]") == [
        "the earlier published_ports[0].port: tcp 8080 on 127.0.0.1 is published already, in published_ports[0]"
    ]
    assert together("routes: [{netns: red, to: default, via: 10.0.1.1}]") == [
        (
            "routes[0].via: no connected subnet of namespace red has the gateway 10.0.1.1; there are 10.0.0.0/24 "
            "on b0; where it is on the wire of b0 all the same, add the route {to: 10.0.1.1/32, dev: b0}"
        )
    ]


def test_what_only_concerns_the_others_is_not_said() -> None:
    reading = document.read({"namespaces": [{"name": "red"}]})
    twice = document.read(
        yaml.safe_load("bridges: [{name: a, addresses: [10.0.0.1/24]}, {name: b, addresses: [10.0.0.2/24]}]")
    )
    assert len(twice.problems) == 1
    merged = twice.topology._replace(namespaces=reading.topology.namespaces)
    assert document.problems_with_earlier(reading, merged) == []


def test_what_is_wrong_within_the_fragment_is_said_once() -> None:
    reading = document.read({"namespaces": [{"name": "red"}, {"name": "red"}]})
    assert len(reading.problems) == 1
    assert document.problems_with_earlier(reading, reading.topology) == []


def test_a_fragment_stands_on_what_its_document_made_before() -> None:
    there = host(
        Device("br0", ("10.0.0.1/24",), "bridge"),
        rooms=(
            view("red", (Device("b0", ("10.0.0.2/24",), "veth"),), (Path("10.7.0.1/32", None, "b0", ROUTE_PROTOCOL),)),
        ),
    )
    owned = {(None, "br0"), ("red", "b0")}
    reading = document.read(
        yaml.safe_load("""
        veths: [{name: a1, bridge: br0, peer: {name: b1}}]
        routes:
          - {netns: red, to: 10.1.0.0/16, via: 10.0.0.1, dev: b0}
          - {netns: red, to: 10.2.0.0/16, via: 10.7.0.1}
        masquerade: [{source: 10.0.0.0/24, except_to: br0}]
        """)
    )
    assert reading.problems == ()
    assert preflight.problems(reading.topology, there, owned, reading.where, fragment=True) == []
    bridge = document.read({"bridges": [{"name": "br1", "addresses": ["10.0.0.9/24"]}]})
    assert preflight.problems(bridge.topology, there, owned, bridge.where, fragment=True) == [
        "bridges[0].addresses[0]: 10.0.0.9/24 overlaps 10.0.0.1/24, which br0 has on the host already"
    ]


def test_another_exception_is_a_change_of_the_same_translation() -> None:
    def told(exceptions: object) -> Topology:
        return document.read({"masquerade": [{"source": "10.0.0.0/24", "except_to": exceptions}]}).topology

    whole = merged(told("br0"), told(["br1", "br0"]))
    assert [entry.except_to for entry in whole.masquerade] == [("br0", "br1")]
    assert cut(whole, told(None)).masquerade == ()
