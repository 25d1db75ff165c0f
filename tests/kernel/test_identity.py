# SPDX-License-Identifier: GPL-3.0-or-later
"""Tasks for single objects: what identifies one takes it away, and another value of anything else changes it."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import engine
from ansible_collections.hostwire.linux.plugins.module_utils.info import info
from ansible_collections.hostwire.linux.tests.in_process import call

SWITCH: dict[str, Any] = {"name": "sw0", "addresses": ["192.168.15.5/24", "fd00:15::5/64"]}


def done(module: str, **fields: Any) -> dict[str, Any]:
    """A task as check mode foretells it, which it then does; once more it changes nothing."""
    predicted = call(module, check=True, **fields)
    answer = call(module, **fields)
    assert not answer.get("failed"), answer
    assert [predicted["plan"], predicted["before"], predicted["after"]] == [
        answer["plan"], answer["before"], answer["after"]
    ]  # fmt: skip
    assert not call(module, **fields)["changed"]
    return answer


@pytest.fixture(autouse=True)
def _without_waiting(private_host: Path) -> None:
    """New links find no address twice, so that nothing waits for that."""
    Path("/proc/sys/net/ipv6/conf/default/accept_dad").write_text("0")


def translated(what: str) -> list[dict[str, Any]]:
    return [entry for entry in info()["host"]["nat"][what] if entry["owner"] == "tasks"]


def links(room: dict[str, Any]) -> set[str]:
    return {link["name"] for link in room["links"]}


@pytest.mark.parametrize(
    ("target", "network", "beyond", "netns"),
    [
        ("192.168.15.2", "192.168.15.0/24", "10.9.0.0/16", None),
        ("fd00:15::2", "fd00:15::/64", "fd09::/64", "red"),
    ],
    ids=["ipv4-host", "ipv6-namespace"],
)
def test_what_was_made_with_more_goes_by_what_identifies_it(
    backend: str, target: str, network: str, beyond: str, netns: str | None
) -> None:
    place = {} if netns is None else {"netns": netns}
    if netns is not None:
        call("netns", name=netns, sysctls={"net.ipv6.conf.default.accept_dad": 0})
    call("bridge", **SWITCH, **place)
    to = f"[{target}]" if ":" in target else target
    call("published_port", port=8443, to=f"{to}:443", address="any", protocol="udp", **place)
    call("masquerade", source=network, except_to="sw0", **place)
    call("route", to=beyond, via=target, metric=50, **place)
    gone = [
        done("published_port", port=8443, state="absent", **place),
        done("masquerade", source=network, state="absent", **place),
        done("route", to=beyond, state="absent", **place),
    ]
    assert all(answer["changed"] for answer in gone)
    assert [list(answer["before"]) for answer in gone] == [["published_ports"], ["masquerade"], ["routes"]]
    assert [answer["after"] for answer in gone] == [{}, {}, {}]
    rules = subprocess.run(
        [*(["ip", "netns", "exec", netns] if netns else []), f"ip{'6' if ':' in to else ''}tables-save", "-t", "nat"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    assert "8443" not in rules
    assert "MASQUERADE" not in rules
    family = "-6" if ":" in target else "-4"
    room = ["-n", netns] if netns else []
    assert not subprocess.run(["ip", family, *room, "route", "show", beyond], check=True, capture_output=True).stdout


@pytest.mark.parametrize(
    ("first", "second"), [("any", "192.168.15.5"), ("127.0.0.1", "any"), ("any", "any"), ("127.0.0.1", "192.168.15.5")]
)
def test_a_port_moves_between_any_address_and_one(private_host: Path, first: str, second: str) -> None:
    call("bridge", **SWITCH)
    call("published_port", port=8443, to="192.168.15.2:443", address=first)
    answer = done("published_port", port=8443, to="192.168.15.3:444", address=second)
    assert [entry["to"] for entry in answer["after"]["published_ports"]] == ["192.168.15.3:444"]
    both_stand = first != second and "any" not in (first, second)
    assert len(translated("published_ports")) == 1 + both_stand
    assert len(answer["before"].get("published_ports", ())) == 1 - both_stand
    done("published_port", port=8443, state="absent")
    assert translated("published_ports") == []


def test_another_exception_changes_the_translation(private_host: Path) -> None:
    call("bridge", **SWITCH)
    for fields in ({"except_to": ["sw0"]}, {}, {"to_source": "192.168.15.5"}, {"except_to": ["sw0"]}):
        answer = done("masquerade", source="192.168.15.0/24", **fields)
        assert answer["changed"]
        assert len(translated("masquerade")) == 1


def test_a_cable_is_known_by_either_end(private_host: Path) -> None:
    call("netns", name="red")
    call("veth", name="a", peer={"name": "b", "netns": "red"})
    turned = done("veth", name="b", netns="red", peer={"name": "a"})
    assert not turned["changed"]
    other = done("veth", name="c", peer={"name": "b", "netns": "red"})
    assert other["before"] == {"veths": [{"name": "b", "netns": "red", "peer": {"name": "a"}}]}
    assert links(info()["namespaces"]["red"]) == {"lo", "b"}
    assert "a" not in links(info()["host"])
    gone = done("veth", name="b", netns="red", state="absent")
    assert gone["before"]["veths"][0]["name"] == "c"
    assert "c" not in links(info()["host"])


def test_a_default_route_of_either_family_goes_by_that_word(private_host: Path) -> None:
    call("bridge", **SWITCH)
    call("route", to="default", via="192.168.15.2", metric=7)
    call("route", to="default", via="fd00:15::2")
    assert len(done("route", to="default", via="fd00:15::2", state="absent")["plan"]) == 1
    assert len(done("route", to="default", state="absent")["plan"]) == 1


@pytest.mark.parametrize("kind", ["bridges", "veths", "taps"])
@pytest.mark.parametrize("name", ["sw0", "a", "b", "tap0"])
def test_what_is_of_another_kind_isnt_meant(private_host: Path, kind: str, name: str) -> None:
    document = {
        "bridges": [{"name": "sw0"}],
        "veths": [{"name": "a", "peer": {"name": "b"}}],
        "taps": [{"name": "tap0"}],
    }
    engine.run(document)
    kinds = {"sw0": "bridges", "a": "veths", "b": "veths", "tap0": "taps"}
    result = engine.run({"state": "absent", kind: [{"name": name}]}, fragment=True)
    assert result.changed == (kinds[name] == kind)
