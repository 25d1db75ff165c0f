# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/guest_networks.md: its table is the one that the tests prove, and its examples are taken as they stand there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.hostwire.linux.plugins.module_utils import document
from ansible_collections.hostwire.linux.plugins.plugin_utils.guest_network.documents import documents
from ansible_collections.hostwire.linux.plugins.plugin_utils.guest_network.setup import read
from ansible_collections.hostwire.linux.tests import guest_modes

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = (REPOSITORY / "docs" / "guest_networks.md").read_text()
READMES = ("README.md", "roles/guest_network/README.md")


def blocks(text: str) -> list[Any]:
    return [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]


EXAMPLES = blocks(PAGE)


def composed(variables: dict[str, Any]) -> list[dict[str, Any]]:
    return documents(read(variables["guest_network_networks"], variables["guest_network_guests"]))


def test_the_table_is_the_one_that_the_tests_prove() -> None:
    assert guest_modes.TABLE.strip() in PAGE


def test_there_is_an_example_for_each_mode() -> None:
    shown = {network["mode"] for example in EXAMPLES for network in example["guest_network_networks"]}
    assert shown == set(guest_modes.table())


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["guest_network_networks"][0]["name"])
def test_an_example_makes_documents_that_are_right(example: dict[str, Any]) -> None:
    for made in composed(example):
        assert document.read(made).problems == ()


@pytest.mark.parametrize("readme", READMES)
def test_the_examples_of_the_readmes_do_too(readme: str) -> None:
    plays = [entry for block in blocks((REPOSITORY / readme).read_text()) for entry in block if "roles" in entry]
    roles = [role for play in plays for role in play["roles"] if role["role"] == "hostwire.linux.guest_network"]
    assert len(roles) == 1
    for made in composed(roles[0]["vars"]):
        assert document.read(made).problems == ()


def test_the_machines_command_lines_use_the_examples_tap_and_mac() -> None:
    (nic,) = EXAMPLES[-1]["guest_network_guests"][0]["nics"]
    taps = [made["taps"] for made in composed(EXAMPLES[-1]) if "taps" in made]
    assert [tap["name"] for tap in taps[0]] == [nic["tap"]]
    for line in (
        f"ifname={nic['tap']},script=no,downscript=no",
        f"mac={nic['mac']}",
        f"<mac address='{nic['mac']}'/>",
        f"<target dev='{nic['tap']}' managed='no'/>",
        f"--bridgeadapter1 {nic['tap']} --macaddress1 {nic['mac'].replace(':', '')}",
    ):
        assert line in PAGE
