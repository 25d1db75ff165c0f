# SPDX-License-Identifier: GPL-3.0-or-later
"""The page about what may pass shows every rule that there is, and no other."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Dict, List

import yaml

from ansible_collections.hostwire.linux.plugins.module_utils import engine
from ansible_collections.hostwire.linux.tests.kernel.firewall_world import batch

PAGE = Path(__file__).resolve().parents[2] / "docs" / "security.md"
TABLES = ("raw", "mangle", "filter", "nat")


def rules(text: str) -> List[str]:
    """The rules in a text, without the comments that mark them; those that need br_netfilter aren't on every host."""
    lines = [line for line in text.splitlines() if line.startswith("-A ") and "--physdev-is-bridged" not in line]
    return [re.sub(r'-m comment --comment "?hostwire:\S+ ', "", line) for line in lines]


def by_chain(lines: List[str]) -> Dict[str, List[str]]:
    """Each chain's rules in their order. FORWARD and INPUT are in two tables, where each has one rule."""
    found: Dict[str, List[str]] = {}
    for line in lines:
        found.setdefault(line.split()[1], []).append(line)
    return found


def test_the_page_shows_the_rules_of_its_document(private_host: Path) -> None:
    page = PAGE.read_text()
    found = re.search(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert found is not None
    batch(["link add eth0 type veth peer name cable", "link set eth0 up", "address add 192.168.1.10/24 dev eth0"])
    engine.run(yaml.safe_load(found[1]))
    there = []
    for table in TABLES:
        command = ["iptables", "-t", table, "-S"]
        there += rules(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert by_chain(rules(page)) == by_chain(there)
