# SPDX-License-Identifier: GPL-3.0-or-later
"""Several documents in check mode: what one of them would have made or emptied, the next one doesn't miss."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import engine
from ansible_collections.hostwire.linux.plugins.module_utils.errors import Conflict, InvalidValue
from ansible_collections.hostwire.linux.tests.kernel import world

ROOMS: dict[str, Any] = {"name": "rooms", "namespaces": [{"name": "red"}]}
CABLES: dict[str, Any] = {
    "name": "cables",
    "bridges": [{"name": "v-net-0", "addresses": ["192.168.15.5/24"]}],
    "veths": [
        {
            "name": "veth-red-br",
            "bridge": "v-net-0",
            "peer": {"name": "eth0", "netns": "red", "addresses": ["192.168.15.1/24"]},
        }
    ],
    "routes": [{"netns": "red", "to": "default", "via": "192.168.15.5"}],
}

pytestmark = pytest.mark.usefixtures("private_host")


def gone(document: dict[str, Any]) -> dict[str, Any]:
    return {"name": document["name"], "state": "absent"}


def test_a_plan_for_a_namespace_that_is_still_to_be_made_is_the_one_that_comes() -> None:
    before = world.image()
    predicted = engine.run(CABLES, check=True, expected=["red"])
    assert world.differences(before, world.image()) == []
    engine.run(ROOMS)
    assert engine.run(CABLES).plan == predicted.plan


def test_a_plan_that_names_an_interface_which_is_still_to_be_made_is_the_one_that_comes() -> None:
    switch = {"name": "switch", "bridges": [{"name": "home", "addresses": ["192.168.1.4/24"], "guests": {}}]}
    routed = {
        "name": "routed",
        "bridges": [{"name": "branch", "addresses": ["192.168.58.1/24"], "guests": {}}],
        "interfaces": [{"name": "home"}],
        "forwarding": {"ipv4": True},
    }
    with pytest.raises(InvalidValue, match='no interface named "home"'):
        engine.run(routed, check=True, expected_links=["hone"])
    predicted = engine.run(routed, check=True, expected_links=["home"])
    with pytest.raises(InvalidValue, match='no interface named "home"'):
        engine.run(routed, expected_links=["home"])
    engine.run(switch)
    assert engine.run(routed).plan == predicted.plan


def test_a_namespace_that_an_earlier_task_with_the_same_document_makes_is_no_change() -> None:
    more = {**ROOMS, "namespaces": [*ROOMS["namespaces"], {"name": "green", "nameservers": ["10.0.2.1"]}]}
    engine.run({**ROOMS, "namespaces": [*ROOMS["namespaces"], {"name": "yellow"}]})
    predicted = engine.run(more, check=True, expected=["green", "yellow"])
    assert predicted.plan == ("namespace yellow: remove",)
    engine.run({**more, "namespaces": [*more["namespaces"], {"name": "yellow"}]})
    assert engine.run(more).plan == predicted.plan


def test_only_check_mode_and_only_the_named_ones() -> None:
    with pytest.raises(InvalidValue, match='no namespace named "red"'):
        engine.run(CABLES, check=True, expected=["blue"])
    with pytest.raises(InvalidValue, match='no namespace named "red"'):
        engine.run(CABLES, expected=["red"])


def test_a_plan_to_remove_a_namespace_that_is_still_to_be_emptied_is_the_one_that_comes() -> None:
    engine.run(ROOMS)
    engine.run(CABLES)
    inside = ["nsenter", "--net=/run/netns/red", "sh", "-c", "echo here; exec sleep 600"]
    with subprocess.Popen(inside, stdout=subprocess.PIPE, text=True) as living:
        assert living.stdout is not None
        assert living.stdout.readline() == "here\n"
        try:
            with pytest.raises(Conflict, match="processes live in it"):
                engine.run(gone(ROOMS), check=True)
            predicted = engine.run(gone(ROOMS), check=True, expected=["red"])
            with pytest.raises(Conflict, match="processes live in it"):
                engine.run(gone(ROOMS), expected=["red"])
        finally:
            living.kill()
    with pytest.raises(Conflict, match="links that aren't ours"):
        engine.run(gone(ROOMS), check=True)
    engine.run(gone(CABLES))
    assert engine.run(gone(ROOMS)).plan == predicted.plan
