# SPDX-License-Identifier: GPL-3.0-or-later
"""What identifies an object stands in one table: fragments, readers and the modules' pages agree with it."""

from __future__ import annotations

import importlib
import re
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.hostwire.linux.plugins.doc_fragments.objects import ModuleDocFragment
from ansible_collections.hostwire.linux.plugins.module_utils import document
from ansible_collections.hostwire.linux.plugins.module_utils.document import identity
from ansible_collections.hostwire.linux.plugins.module_utils.document.published import still_published
from ansible_collections.hostwire.linux.plugins.module_utils.document.reader import SECTIONS
from ansible_collections.hostwire.linux.plugins.module_utils.model import Topology
from ansible_collections.hostwire.linux.plugins.module_utils.plan.owned import nothing
from ansible_collections.hostwire.linux.plugins.module_utils.task import cut, merged, named_by

PAGES = {
    "namespaces": "netns",
    "bridges": "bridge",
    "veths": "veth",
    "interfaces": "interface",
    "routes": "route",
    "masquerade": "masquerade",
    "published_ports": "published_port",
}


def topology(text: str) -> Topology:
    reading = document.read(yaml.safe_load(text))
    assert reading.problems == ()
    return reading.topology


def left(whole: str, absent: str) -> dict[str, Any]:
    """What is left of a document when these entries go."""
    part = topology(f"{{state: absent, {absent}}}")
    found = document.dump(cut(topology(f"{{{whole}}}"), part))
    found.pop("name")
    return found


def together(whole: str, part: str) -> dict[str, Any]:
    found = document.dump(merged(topology(f"{{{whole}}}"), topology(f"{{{part}}}")))
    found.pop("name")
    return found


WEB = 'published_ports: [{port: 8443, to: "192.168.15.2:443", address: any}]'
WEB6 = 'published_ports: [{port: 8443, to: "[fd00::2]:443", address: any}]'
NAT = "masquerade: [{source: 192.168.15.0/24, except_to: sw0}]"


@pytest.mark.parametrize(
    ("whole", "absent"),
    [
        (WEB, "published_ports: [{port: 8443}]"),
        (WEB, "published_ports: [{port: 8443, address: any, protocol: tcp}]"),
        (WEB6, "published_ports: [{port: 8443}]"),
        ('published_ports: [{port: 53, protocol: udp, to: "192.168.15.2:53"}]', "published_ports: [{port: 53}]"),
        (
            'published_ports: [{port: 53, protocol: udp, to: "192.168.15.2:53"}, {port: 53, to: "192.168.15.2:53"}]',
            "published_ports: [{port: 53}]",
        ),
        ('published_ports: [{port: 80-89, to: "192.168.15.2:80-89"}]', "published_ports: [{port: 80-89}]"),
        (NAT, "masquerade: [{source: 192.168.15.0/24}]"),
        (
            "masquerade: [{netns: red, source: fd00::/64, to_source: fd01::1}]",
            "masquerade: [{netns: red, source: fd00::/64}]",
        ),
        ("routes: [{to: 10.9.0.0/16, via: 192.168.15.2, metric: 50}]", "routes: [{to: 10.9.0.0/16}]"),
        ("routes: [{to: fd09::/64, via: fd00::2, metric: 50, table: 7}]", "routes: [{to: fd09::/64}]"),
        ("routes: [{to: 10.9.0.0/16, type: blackhole}]", "routes: [{to: 10.9.0.0/16, metric: 0}]"),
        ("routes: [{to: fd09::/64, type: blackhole}]", "routes: [{to: fd09::/64, metric: 1024}]"),
        ("routes: [{to: default, via: fd00::2}]", "routes: [{to: default}]"),
        ("routes: [{netns: red, to: default, via: 10.0.0.1}]", "routes: [{netns: red, to: default}]"),
        ("veths: [{name: a, peer: {name: b, netns: red}}]", "veths: [{name: a}]"),
        ("veths: [{name: a, peer: {name: b, netns: red}}]", "veths: [{name: b, netns: red}]"),
        ("veths: [{name: a, peer: {name: b, netns: red}}]", "veths: [{name: b, netns: red, peer: {name: a}}]"),
        ("bridges: [{name: br0, netns: red, stp: true}]", "bridges: [{name: br0, netns: red}]"),
        ("taps: [{name: tap0, owner: root}]", "taps: [{name: tap0}]"),
        ("interfaces: [{name: eth0, mtu: 1400}]", "interfaces: [{name: eth0}]"),
        (
            "containers: [{container: web, name: eth1, bridge: br0, mtu: 1400}]",
            "containers: [{container: web, name: eth1}]",
        ),
        ("namespaces: [{name: red, nameservers: [192.168.15.5]}]", "namespaces: [{name: red}]"),
    ],
)
def test_absent_by_what_identifies_an_object_leaves_nothing(whole: str, absent: str) -> None:
    assert left(whole, absent) == {}


@pytest.mark.parametrize(
    ("whole", "absent"),
    [
        (WEB, "published_ports: [{port: 8443, address: 127.0.0.1}]"),
        (WEB, "published_ports: [{port: 8443, protocol: udp}]"),
        (WEB, "published_ports: [{port: 8443, netns: red}]"),
        (WEB, "published_ports: [{port: 8443, address: any, to: '[fd00::2]:443'}]"),
        (NAT, "masquerade: [{source: 192.168.15.0/24, netns: red}]"),
        ("routes: [{to: 10.9.0.0/16, via: 192.168.15.2, metric: 50}]", "routes: [{to: 10.9.0.0/16, metric: 0}]"),
        ("routes: [{to: 10.9.0.0/16, via: 192.168.15.2}]", "routes: [{to: 10.9.0.0/16, table: 7}]"),
        ("routes: [{to: default, via: fd00::2}]", "routes: [{to: default, via: 10.0.0.1}]"),
        ("routes: [{to: 10.9.0.0/16, via: 192.168.15.2}]", "routes: [{to: default}]"),
        ("bridges: [{name: br0, netns: red}]", "bridges: [{name: br0}]"),
        ("veths: [{name: a, peer: {name: b, netns: red}}]", "veths: [{name: b}]"),
    ],
)
def test_absent_takes_nothing_that_differs_in_what_is_said(whole: str, absent: str) -> None:
    found = document.dump(topology(f"{{{whole}}}"))
    found.pop("name")
    assert left(whole, absent) == found


@pytest.mark.parametrize(
    ("whole", "part"),
    [
        (WEB, 'published_ports: [{port: 8443, to: "192.168.15.2:443"}]'),
        (WEB, 'published_ports: [{port: 8443, to: "192.168.15.3:444", address: 192.168.1.10}]'),
        ('published_ports: [{port: 8443, to: "192.168.15.2:443"}]', WEB),
        (WEB6, 'published_ports: [{port: 8443, to: "[fd00::2]:443", address: "fd01::1"}]'),
        (WEB, 'published_ports: [{port: 8443, to: "192.168.15.2:443", address: any, sources: [10.0.0.0/8]}]'),
        (
            'published_ports: [{port: 80-85, to: "10.0.0.2:80-85"}]',
            'published_ports: [{port: 80-89, to: "10.0.0.2:80-89"}]',
        ),
        (NAT, "masquerade: [{source: 192.168.15.0/24}]"),
        (NAT, "masquerade: [{source: 192.168.15.0/24, to_source: 192.168.1.10}]"),
        ("routes: [{to: fd09::/64, via: fd00::2}]", "routes: [{to: fd09::/64, via: fd00::3, metric: 1024}]"),
        ("veths: [{name: a, peer: {name: b, netns: red}}]", "veths: [{name: a, peer: {name: c, netns: red}}]"),
        ("veths: [{name: a, peer: {name: b, netns: red}}]", "veths: [{name: b, netns: red, peer: {name: a}}]"),
        ("veths: [{name: a, peer: {name: b, netns: red}}]", "veths: [{name: c, peer: {name: b, netns: red}}]"),
        ("bridges: [{name: br0, stp: true}]", "bridges: [{name: br0, mtu: 1400}]"),
        (
            "containers: [{container: web, name: eth1, bridge: br0}]",
            "containers: [{container: web, name: eth1, bridge: br1}]",
        ),
    ],
)
def test_present_with_another_value_changes_the_object_that_is_there(whole: str, part: str) -> None:
    after = document.dump(topology(f"{{{part}}}"))
    after.pop("name")
    assert together(whole, part) == after


@pytest.mark.parametrize(
    ("whole", "part"),
    [
        (WEB, WEB6),  # both families' local addresses: two ports that don't meet
        (WEB, 'published_ports: [{port: 8443, protocol: udp, to: "192.168.15.2:443"}]'),
        (WEB, 'published_ports: [{port: 8443, netns: red, to: "192.168.15.2:443"}]'),
        (
            'published_ports: [{port: 80, to: "10.0.0.2:80", address: 192.168.1.10}]',
            'published_ports: [{port: 80, to: "10.0.0.2:80"}]',
        ),
        ("routes: [{to: 10.9.0.0/16, type: blackhole}]", "routes: [{to: 10.9.0.0/16, type: blackhole, metric: 5}]"),
        ("bridges: [{name: br0}]", "bridges: [{name: br0, netns: red}]"),
        # The first end names the cable that is meant; that the other one is taken is an error of its own.
        (
            "veths: [{name: a, peer: {name: b}}, {name: c, peer: {name: d}}]",
            "veths: [{name: e, peer: {name: f}}]",
        ),
    ],
)
def test_present_leaves_what_is_another_object(whole: str, part: str) -> None:
    before, added = topology(f"{{{whole}}}"), topology(f"{{{part}}}")
    found = merged(before, added)
    for section in identity.IDENTITY:
        assert len(getattr(found, section)) == len(getattr(before, section)) + len(getattr(added, section))


def test_of_two_cables_the_one_with_the_first_name_is_meant() -> None:
    whole = topology("{veths: [{name: a, peer: {name: b}}, {name: c, peer: {name: d}}]}")
    found = merged(whole, topology("{veths: [{name: a, peer: {name: d}}]}"))
    assert [(veth.a.name, veth.b.name) for veth in found.veths] == [("a", "d"), ("c", "d")]


def test_a_port_of_both_families_survives_a_change_of_something_else() -> None:
    ports = [f'{{port: 80, to: "{target}:80", address: any}}' for target in ("10.0.0.2", "[fd00::2]")]
    both = f"published_ports: [{', '.join(ports)}]"
    found = together(both, 'published_ports: [{port: 81, to: "10.0.0.2:81"}]')["published_ports"]
    assert [port["to"] for port in found] == ["10.0.0.2:80", "[fd00::2]:80", "10.0.0.2:81"]


def test_what_is_owned_and_in_no_document_is_meant_too() -> None:
    owned = nothing("tasks")
    owned.routes.update({(None, "10.9.0.0/16", 254, 50): None, (None, "10.8.0.0/16", 254, 0): None})
    part = topology("{name: tasks, state: absent, routes: [{to: 10.9.0.0/16}], bridges: [{name: br0}]}")
    named = named_by(part, Topology("tasks"), owned)
    assert [identity.route_key(route) for route in named.routes] == [(None, "10.9.0.0/16", 254, 50)]
    assert [bridge.name for bridge in named.bridges] == ["br0"]


def test_a_port_that_stays_open_as_part_of_a_range_is_said() -> None:
    stored = topology('{published_ports: [{port: 80-89, to: "10.0.0.2:80-89"}]}').published_ports
    part = topology("{state: absent, published_ports: [{port: 80}, {port: 85}, {port: 90}]}").published_ports
    assert list(still_published(part, stored)) == [(1, "85 stays published, as part of tcp 80-89; say that range")]


@settings(deadline=None, max_examples=60)
@given(st.permutations(["10.0.0.1", "10.0.0.2", "any"]), st.permutations([4, 6]))
def test_in_whatever_order_tasks_come_the_last_one_stands(addresses: list[str], families: list[int]) -> None:
    whole = Topology("tasks")
    for family in families:
        for address in addresses:
            told = address if family == 4 or address == "any" else f"fd00::{address[-1]}"
            to = "192.168.15.2:80" if family == 4 else "[fd15::2]:80"
            whole = merged(whole, topology(f'{{published_ports: [{{port: 80, to: "{to}", address: "{told}"}}]}}'))
    assert document.read(document.dump(whole)).problems == ()  # none that meet another
    assert len({port.to_address for port in whole.published_ports}) == 2
    assert {port.address for port in whole.published_ports if ":" not in port.to_address} >= {addresses[-1]}
    assert cut(whole, topology("{state: absent, published_ports: [{port: 80}]}")).published_ports == ()


def test_the_readers_know_each_field_and_every_list_has_an_identity() -> None:
    assert set(identity.IDENTITY) == set(SECTIONS) - {"probes"}
    for section, kind in identity.IDENTITY.items():
        assert SECTIONS[section].keys >= set(kind.fields)


@pytest.mark.parametrize("section", PAGES)
def test_a_modules_page_says_what_identifies_its_object(section: str) -> None:
    page = importlib.import_module(f"ansible_collections.hostwire.linux.plugins.modules.{PAGES[section]}")
    fragment = f"hostwire.linux.objects.{PAGES[section]}"
    assert fragment in yaml.safe_load(page.DOCUMENTATION)["extends_documentation_fragment"]
    notes = yaml.safe_load(getattr(ModuleDocFragment, PAGES[section].upper()))["notes"]
    said = notes[0].partition("With O(state=absent)")[0]
    assert tuple(re.findall(r"O\((\w+)\)", said)) == identity.IDENTITY[section].fields
