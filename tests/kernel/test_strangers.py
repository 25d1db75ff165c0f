# SPDX-License-Identifier: GPL-3.0-or-later
"""What isn't ours and hangs on what is: nothing goes that others need, and they are named, in check mode alike."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils.errors import Conflict
from ansible_collections.hostwire.linux.tests.kernel.steps import NOTHING, Document, apply, inside, refused_alike

PLACES = pytest.mark.parametrize("netns", [None, "room"], ids=["host", "namespace"])


def ip(netns: str | None, *words: str) -> str:
    return subprocess.run(["ip", *inside(netns), *words], check=True, capture_output=True, text=True).stdout


def plug(netns: str | None, name: str) -> None:
    """Somebody's own interface."""
    ip(netns, "link", "add", name, "type", "veth", "peer", "name", f"{name}-far")


def made(netns: str | None, **more: Any) -> Document:
    """A document with a switch and a cable; the namespace, if any, isn't its own."""
    place = {"netns": netns} if netns else {}
    if netns:
        ip(None, "netns", "add", netns)
        ip(netns, "link", "set", "lo", "up")
    document = {
        "bridges": [{"name": "br0", "addresses": ["10.1.2.1/24", "fd01::1/64"], **place}, {"name": "br1", **place}],
        "veths": [{"name": "a", "addresses": ["10.1.3.1/24"], "peer": {"name": "b"}, **place}],
        **more,
    }
    apply(document)
    return document


def _everything() -> list[Any]:
    """The links of the host with their bridges and addresses, and its routes, but for what the kernel makes of them."""
    links = json.loads(ip(None, "-j", "address"))
    seen = [
        [link["ifname"], link.get("master"), [a["local"] for a in link["addr_info"] if a["scope"] != "link"]]
        for link in links
    ]
    routes = ip(None, "route", "show", "table", "all").replace("linkdown ", "").splitlines()
    return [seen, [line for line in routes if "proto kernel" not in line]]


def refusals(document: Document, **options: Any) -> list[str]:
    """What a run and check mode say alike, and nothing has changed by that."""
    before = _everything()
    told = refused_alike(Conflict, document, **options)
    assert _everything() == before
    return told


def ways_to_go(document: Document) -> list[tuple[Document, dict[str, Any]]]:
    """A document without its first bridge and its cable, no document, and tasks that say they be gone."""
    bridge, cable = document["bridges"][0], document["veths"][0]
    named = {key: bridge[key] for key in ("name", "netns") if key in bridge}
    end = {key: cable[key] for key in ("name", "netns") if key in cable}
    return [
        ({**document, "bridges": document["bridges"][1:], "veths": []}, {}),
        (NOTHING, {}),
        ({"state": "absent", "bridges": [named], "veths": [end]}, {"fragment": True}),
    ]


@PLACES
def test_ports_of_others_are_named(private_host: Path, netns: str | None) -> None:
    document = made(netns)
    plug(netns, "vnet0")
    ip(netns, "link", "set", "vnet0", "master", "br0")
    where = netns or "host"
    for wanted, options in ways_to_go(document):
        assert refusals(wanted, **options) == [
            (
                f"bridge br0 ({where}) can't be removed: ports that aren't ours are plugged into it: vnet0; "
                "unplug them first"
            )
        ]
    ip(netns, "link", "set", "vnet0", "nomaster")
    apply(NOTHING)
    assert "br0" not in ip(netns, "link")


@PLACES
@pytest.mark.parametrize("family", ["-4", "-6"])
@pytest.mark.parametrize("link", ["br0", "a"])
def test_routes_of_others_are_named(private_host: Path, netns: str | None, family: str, link: str) -> None:
    document = made(netns)
    to = "10.50.0.0/16" if family == "-4" else "fd50::/64"
    ip(netns, family, "route", "add", to, "dev", link, "metric", "77")
    for wanted, options in ways_to_go(document):
        (line,) = refusals(wanted, **options)
        assert f"{link} ({netns or 'host'}) can't be removed: routes that aren't ours lead through it: {to};" in line
    ip(netns, family, "route", "del", to)
    assert apply(NOTHING).changed


def test_a_way_of_several_and_one_by_another_table_are_routes_too(private_host: Path) -> None:
    document = made(None)
    plug(None, "eth9")
    ip(None, "link", "set", "eth9", "up")
    ip(None, "route", "add", "10.50.0.0/16", "nexthop", "via", "10.1.2.9", "nexthop", "dev", "eth9")
    ip(None, "route", "add", "10.51.0.0/16", "via", "10.1.2.9", "table", "100")
    for wanted, options in ways_to_go(document):
        (line,) = refusals(wanted, **options)
        assert "10.50.0.0/16" in line
        assert "10.51.0.0/16 via 10.1.2.9 (table 100)" in line


@PLACES
@pytest.mark.parametrize("address", ["10.1.9.9/24", "fd09::9/64"])
def test_addresses_of_others_are_named(private_host: Path, netns: str | None, address: str) -> None:
    document = made(netns)
    ip(netns, "address", "add", address, "dev", "br0")
    for wanted, options in ways_to_go(document):
        (line,) = refusals(wanted, **options)
        assert f"addresses that aren't ours are on it: {address};" in line
    apply(document)  # sets exactly its own, as ever
    assert apply(NOTHING).changed


@PLACES
@pytest.mark.parametrize(
    ("family", "fields", "words"),
    [
        ("-4", {"up": False}, "be taken down"),
        ("-6", {"up": False}, "be taken down"),
        ("-4", {"addresses": ["fd01::1/64"]}, "lose its last IPv4 address"),
    ],
)
def test_a_link_that_stays_loses_no_routes_of_others(
    private_host: Path, netns: str | None, family: str, fields: dict[str, Any], words: str
) -> None:
    document = made(netns)
    to = "10.50.0.0/16" if family == "-4" else "fd50::/64"
    ip(netns, family, "route", "add", to, "dev", "br0")
    bridge, *others = document["bridges"]
    (line,) = refusals({**document, "bridges": [{**bridge, **fields}, *others]})
    assert f"br0 ({netns or 'host'}) can't {words}: routes that aren't ours lead through it: {to};" in line
    apply({**document, "bridges": [{**bridge, "addresses": ["10.1.4.1/24"]}, *others]})  # another, but not none
    assert to in ip(netns, family, "route")


def test_a_leased_address_is_no_obstacle(private_host: Path) -> None:
    document = {
        "namespaces": [{"name": "red"}],
        "bridges": [{"name": "br0"}],
        "veths": [{"name": "a", "bridge": "br0", "peer": {"name": "b", "netns": "red", "leased": True}}],
    }
    apply(document)
    ip("red", "address", "add", "10.1.2.9/24", "dev", "b")
    ip("red", "route", "add", "default", "via", "10.1.2.1")
    ip(None, "address", "add", "10.1.2.8/24", "dev", "br0", "valid_lft", "600", "preferred_lft", "600")
    assert apply(NOTHING).changed


@pytest.mark.parametrize(
    ("family", "words"), [("-4", ["10.50.0.0/16"]), ("-6", ["fd50::/64"]), ("-4", ["blackhole", "10.51.0.0/16"])]
)
def test_a_namespace_with_routes_of_others_stays(private_host: Path, family: str, words: list[str]) -> None:
    document = {"namespaces": [{"name": "red"}], "bridges": [{"name": "br0", "netns": "red"}]}
    apply(document)
    ip("red", family, "route", "add", *words, *([] if len(words) > 1 else ["dev", "br0"]))
    for wanted, options in (
        ({"bridges": [{"name": "elsewhere"}]}, {}),
        (NOTHING, {}),
        ({"state": "absent", "namespaces": [{"name": "red"}]}, {"fragment": True}),
    ):
        assert any(words[-1] in line for line in refusals(wanted, **options))


def test_a_namespace_with_addresses_of_others_stays(private_host: Path) -> None:
    apply(
        {"namespaces": [{"name": "red"}], "interfaces": [{"name": "lo", "netns": "red", "addresses": ["10.9.9.8/32"]}]}
    )
    ip("red", "address", "add", "10.9.9.9/32", "dev", "lo")
    assert refusals(NOTHING) == [
        (
            "namespace red can't be removed: addresses that aren't ours are on its lo: 10.9.9.9/32; "
            "take them from it first"
        )
    ]


def test_what_other_documents_have_on_ours_is_not_ours_either(private_host: Path) -> None:
    net = {"name": "net", "namespaces": [{"name": "red"}], "bridges": [{"name": "br0", "addresses": ["10.1.2.1/24"]}]}
    guests = {
        "name": "guests",
        "taps": [{"name": "tap0", "bridge": "br0"}],
        "routes": [
            {"to": "10.50.0.0/16", "via": "10.1.2.9"},
            {"netns": "red", "to": "10.51.0.0/16", "type": "blackhole"},
        ],
    }
    apply(net)
    apply(guests)
    lines = refusals({"name": "net", "state": "absent"})
    assert any("tap0 (of the document 'guests')" in line for line in lines)
    assert any("10.50.0.0/16 via 10.1.2.9" in line for line in lines)
    assert any(line.startswith("namespace red can't be removed: the document 'guests'") for line in lines)
    apply({"name": "guests", "state": "absent"})
    assert apply({"name": "net", "state": "absent"}).changed


def test_what_the_document_itself_plugged_in_or_moves_is_no_strangers(private_host: Path) -> None:
    plug(None, "eth9")
    plug(None, "eth8")
    first = {"bridges": [{"name": "br0"}], "interfaces": [{"name": "eth9", "bridge": "br0"}]}
    apply(first)
    ip(None, "link", "set", "eth8", "master", "br0")
    moved = [{"name": name, "bridge": "br1"} for name in ("eth8", "eth9")]
    apply({"bridges": [{"name": "br1"}], "interfaces": moved})
    assert "master br1" in ip(None, "link", "show", "eth8")
    apply(NOTHING)
    assert "master" not in ip(None, "link", "show", "eth9")


def test_what_a_killed_run_left_is_no_strangers(private_host: Path) -> None:
    """What it gave isn't in the document that is remembered."""
    apply({"bridges": [{"name": "br0", "addresses": ["10.1.2.1/24"]}]})
    state = Path("/var/lib/hostwire/main.state")
    ip(None, "address", "add", "10.1.9.1/24", "dev", "br0")
    Path("/var/lib/hostwire/main.journal").write_text(
        state.read_text().replace('"document"', '"steps": [], "document"', 1)
    )
    assert apply(NOTHING).changed
    assert "br0" not in ip(None, "link")


@pytest.mark.parametrize("count", [5, 8])
def test_many_are_counted(private_host: Path, count: int) -> None:
    document = made(None)
    for number in range(count):
        plug(None, f"vnet{number}")
        ip(None, "link", "set", f"vnet{number}", "master", "br0")
    (line,) = refusals({**document, "bridges": []})
    assert ("and 3 more" in line) == (count == 8)


@PLACES
@pytest.mark.parametrize("family", ["-4", "-6"])
def test_a_source_of_others_routes_stays(private_host: Path, netns: str | None, family: str) -> None:
    """Such a route leads elsewhere, and goes, or loses its source, with the address all the same."""
    document = made(netns)
    plug(netns, "eth9")
    ip(netns, "link", "set", "eth9", "up")
    to, source = ("10.60.0.0/16", "10.1.2.1") if family == "-4" else ("fd60::/64", "fd01::1")
    ip(netns, family, "route", "add", to, "dev", "eth9", "src", source)
    bridge, *others = document["bridges"]
    another = {**bridge, "addresses": ["10.1.2.2/24", "fd01::2/64"]}
    changed: Document = {**document, "bridges": [another, *others]}
    for wanted, options in (*ways_to_go(document), (changed, {})):
        (line,) = refusals(wanted, **options)
        assert line.startswith(f"address {source} of br0 ({netns or 'host'}) can't be removed: it is the source of")
        assert to in line
    ip(netns, family, "route", "del", to)
    apply(changed)
    assert apply(NOTHING).changed


def test_a_source_that_another_link_has_first_may_go(private_host: Path) -> None:
    document = made(None)
    plug(None, "eth9")
    ip(None, "link", "set", "eth9", "up")
    ip(None, "route", "add", "10.60.0.0/16", "dev", "eth9", "src", "10.1.2.1")
    first, second = document["bridges"]
    moved = [{**first, "addresses": ["10.1.5.1/24"]}, {**second, "addresses": ["10.1.2.1/24"]}]
    apply({**document, "bridges": moved})
    assert "10.60.0.0/16 dev eth9 scope link src 10.1.2.1" in ip(None, "route").replace("linkdown ", "")


@pytest.mark.parametrize("family", ["iptables", "ip6tables"])
@pytest.mark.parametrize("netns", [None, "red"])
def test_a_chain_that_others_rules_lead_to_stays(backend: str, family: str, netns: str | None) -> None:
    """The kernel deletes none such: that is known beforehand."""
    place = {"netns": netns} if netns else {}
    document: Document = {
        "namespaces": [{"name": "red"}],
        "bridges": [{"name": "br0", "addresses": ["10.1.2.1/24", "fd01::1/64"], **place}],
        "published_ports": [
            {"port": 80, "to": to, "address": "any", **place} for to in ("10.1.2.2:80", "[fd01::2]:80")
        ],
    }
    apply(document)
    there = ["ip", "netns", "exec", netns] if netns else []

    def tables(*words: str) -> str:
        command = [*there, f"{family}-{backend}", "-t", "nat", *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    chain = next(line.split()[1] for line in tables("-S").splitlines() if line.startswith("-N HOSTWIRE-"))
    tables("-N", "mine")
    tables("-A", "mine", "-j", chain)
    without = {**document, "published_ports": []}
    (line,) = refusals(without)
    assert line.startswith(f"{netns or 'host'}: chain {chain} of {family} (table nat) can't be removed")
    assert f"-A mine -j {chain}" in line
    tables("-F", "mine")
    apply(without)
    assert apply(NOTHING).changed
