# SPDX-License-Identifier: GPL-3.0-or-later
"""Policy rules are read as they are, however many there are, and along with them what is read beside."""

from __future__ import annotations

import subprocess

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils.model import PolicyRule
from ansible_collections.hostwire.linux.plugins.module_utils.rtnetlink.addresses import read_addresses
from ansible_collections.hostwire.linux.plugins.module_utils.rtnetlink.channel import Channel
from ansible_collections.hostwire.linux.plugins.module_utils.rtnetlink.rules import Beside, read_beside

pytestmark = pytest.mark.usefixtures("private_host")


def beside() -> Beside:
    with Channel() as channel:
        found = read_beside(channel)
        assert found.addresses == read_addresses(channel)
    return found


def add(*rules: str) -> None:
    for family in ("-4", "-6"):
        text = "\n".join(f"rule add {rule}" for rule in rules if (":" in rule) == (family == "-6"))
        subprocess.run(["ip", family, "-batch", "-"], input=text, text=True, check=True)


def test_the_kernels_own_rules_are_nothing_to_tell_of() -> None:
    assert [beside().rules for _time in range(2)] == [None, None]
    assert beside().forwarding == (False, False)


def test_rules_are_read_with_all_that_is_judged_of_them() -> None:
    add(
        "pref 10 blackhole",
        "pref 11 from 10.5.0.0/24 to 10.6.0.0/16 iif lo lookup 300",
        "pref 12 not fwmark 0xca6c lookup 51820",
        "pref 13 lookup main suppress_prefixlength 0",
        "pref 14 from fd05::/64 prohibit",
        "pref 15 uidrange 1000-1000 lookup 7",
    )
    found = beside().rules
    assert found is not None
    assert [rule for rule in found if 10 <= rule.priority <= 15] == [
        PolicyRule(4, 10, 6),
        PolicyRule(4, 11, table=300, source="10.5.0.0/24", destination="10.6.0.0/16", iif="lo"),
        PolicyRule(4, 12, table=51820, mark=0xCA6C, inverted=True),
        PolicyRule(4, 13, table=254, suppressed=0),
        PolicyRule(4, 15, table=7, partly=True),
        PolicyRule(6, 14, 8, source="fd05::/64"),
    ]
    subprocess.run(["ip", "rule", "flush"], check=True)
    subprocess.run(["ip", "-6", "rule", "del", "pref", "14"], check=True)
    rules = beside().rules
    assert rules is not None
    assert [rule.table for rule in rules if rule.family == 4] == [255]


def test_more_rules_than_come_at_once_are_all_read() -> None:
    add(*(f"pref {number} to 203.0.113.{number % 250} blackhole" for number in range(1, 1001)))
    found = beside().rules
    assert found is not None
    assert len([rule for rule in found if rule.action == 6]) == 1000
    assert beside().forwarding == (False, False)
