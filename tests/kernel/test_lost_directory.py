# SPDX-License-Identifier: GPL-3.0-or-later
"""All records are lost while several documents stand: what one takes away is its own, and the last leaves nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List

import pytest

from ansible_collections.hostwire.linux.tests.kernel import world
from ansible_collections.hostwire.linux.tests.kernel.steps import Document, apply

DIRECTORY = Path("/var/lib/hostwire")
ALONG = "/accept_redirects"  # changes along with forwarding; how it was before is only in the record


def document(kind: str, number: int) -> Document:
    """The document of a kind; ``number`` keeps two of them apart."""
    name = f"{kind.replace(' ', '-')}{number}"
    bridge = {"name": f"sw{number}", "addresses": [f"10.{number}.0.1/24", f"fd00:{number}::1/64"]}
    masquerade = {4: {"source": f"10.{number}.0.0/24"}, 6: {"source": f"fd00:{number}::/64"}}
    away = {"to": f"203.0.{number}.0/24", "via": "192.168.1.3"}
    port = {"port": 8080 + number, "to": f"10.{number}.0.2:80", "address": "any"}
    kinds: Dict[str, Document] = {
        "bridge": {"bridges": [bridge]},
        "router 4": {"bridges": [bridge], "forwarding": {"ipv4": True}, "masquerade": [masquerade[4]]},
        "router 6": {"bridges": [bridge], "forwarding": {"ipv6": True}, "masquerade": [masquerade[6]]},
        "router": {"bridges": [bridge], "forwarding": {"ipv4": True, "ipv6": True},
                   "masquerade": list(masquerade.values())},
        "forwarding": {"forwarding": {"ipv4": True, "ipv6": True}},
        "port": {"bridges": [bridge], "published_ports": [port]},
        "rules": {"masquerade": [masquerade[4]], "routes": [away]},
        "namespace": {
            "namespaces": [{"name": f"room{number}", "forwarding": {"ipv4": True}, "hosts": {"db": "10.9.9.9"}}],
            "masquerade": [{**masquerade[4], "netns": f"room{number}"}],
        },
    }  # fmt: skip
    return {"name": name, **kinds[kind]}


def absent(its: Document) -> Document:
    return {"name": its["name"], "state": "absent"}


def lose(*names: str) -> None:
    for path in DIRECTORY.glob("*.state"):
        if not names or path.stem in names:
            path.unlink()


def image() -> Dict[str, Any]:
    found = world.image()
    found["files"] = {path: text for path, text in found["files"].items() if path.startswith("/etc")}
    return found


def differences(before: Any, after: Any) -> List[str]:
    return [line for line in world.differences(before, after) if ALONG not in line]


@pytest.fixture
def bare(backend: str) -> Dict[str, Any]:
    """A host on which rules have stood before; its value is an image of it."""
    world.build_surroundings()
    for its in (document("router", 9), document("namespace", 9)):
        apply(its)
        apply(absent(its))
    return image()


PAIRS = pytest.mark.parametrize(
    ("one", "two"),
    [
        ("router", "bridge"),
        ("router 4", "router 6"),
        ("router", "router"),
        ("router 4", "forwarding"),
        ("forwarding", "rules"),
        ("router", "port"),
        ("namespace", "router"),
        ("port", "rules"),
        ("bridge", "namespace"),
    ],
)
BACKWARDS = pytest.mark.parametrize("backwards", [False, True], ids=["", "backwards"])


def both(one: str, two: str, backwards: bool) -> List[Document]:
    pair = [document(one, 1), document(two, 2)]
    return pair[::-1] if backwards else pair


@PAIRS
@BACKWARDS
@pytest.mark.parametrize("later", [False, True], ids=["the-first-goes", "the-second-goes"])
def test_what_is_taken_away_is_of_one_document_only(
    bare: Dict[str, Any], one: str, two: str, backwards: bool, later: bool
) -> None:
    pair = both(one, two, backwards)
    going, staying = pair[::-1] if later else pair
    for its in pair:
        apply(its)
    whole = image()
    apply(absent(going))
    goal = image()
    for its in (staying, going):
        apply(absent(its))
    assert differences(bare, image()) == []
    for its in pair:
        apply(its)
    assert differences(whole, image()) == []

    lose()
    apply(absent(going))
    left = image()
    routes, those = left["rooms"]["None"].pop("routes"), goal["rooms"]["None"].pop("routes")
    assert differences(goal, left) == []
    assert set(those) <= set(routes)  # one that leads through nothing of ours may be the other one's
    apply(absent(staying))
    assert differences(bare, image()) == []
    assert sorted(path.name for path in DIRECTORY.iterdir()) == ["lock"]


@PAIRS
@BACKWARDS
@pytest.mark.parametrize("lost", [0, 1], ids=["the-first-lost", "the-second-lost"])
def test_one_record_is_enough_for_what_is_its_own(
    bare: Dict[str, Any], one: str, two: str, backwards: bool, lost: int
) -> None:
    pair = both(one, two, False)
    for its in pair:
        apply(its)
    lose(pair[lost]["name"])
    for its in pair[::-1] if backwards else pair:
        apply(absent(its))
    assert differences(bare, image()) == []
    assert sorted(path.name for path in DIRECTORY.iterdir()) == ["lock"]


@PAIRS
@BACKWARDS
def test_what_is_applied_again_stays_as_it_is(bare: Dict[str, Any], one: str, two: str, backwards: bool) -> None:
    pair = both(one, two, backwards)
    for its in (*pair, *pair):  # with forwarding on, an earlier one protects its guests, too
        apply(its)
    whole = image()
    lose()
    for its in (*pair[::-1], *pair):
        assert apply(its).plan == ()
    assert differences(whole, image()) == []
    for its in pair:
        apply(absent(its))
    assert differences(bare, image()) == []


def test_the_switch_that_stays_is_said(bare: Dict[str, Any]) -> None:
    pair = both("router", "router", False)
    for its in pair:
        apply(its)
    lose()
    told = apply(absent(pair[0])).warnings
    for word in ("IPv4", "IPv6"):
        line = f"host: {word} forwarding stays 1, for the document 'router2' has rules here that go with it"
        assert [warning.startswith(line) for warning in told].count(True) == 1
