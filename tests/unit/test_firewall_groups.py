# SPDX-License-Identifier: GPL-3.0-or-later
"""What the groups of links say, and that no way between two of them opens anything ahead of time."""

from __future__ import annotations

from typing import Any, Dict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.hostwire.linux.plugins.module_utils.firewall import (
    FirewallWant,
    GuestNetwork,
    SwitchPolicy,
    link_groups,
)
from ansible_collections.hostwire.linux.plugins.module_utils.firewall.groups import (
    BASE,
    closed,
    doomed,
    is_ours,
    led_out,
    narrower,
    ours,
    with_sources,
    without_sources,
)
from ansible_collections.hostwire.linux.plugins.module_utils.model import Masquerade

BOTH = GuestNetwork("br0", ("10.0.2.0/24", "fd00:2::/64"))
HIDDEN = Masquerade(None, "10.0.2.0/24")


def meets(group: int, condition: str) -> bool:
    """Whether a link of a group meets a condition, as xt_devgroup compares them."""
    value, _slash, mask = condition.rsplit(maxsplit=1)[-1].partition("/")
    return group & int(mask, 16) == int(value, 16)


def told(group: int, family: int) -> Dict[str, bool]:
    """What rules make of a group."""
    conditions = {
        "ours": ours,
        "shut": without_sources,
        "closed": closed,
        "led out": led_out,
        "sources": with_sources,
    }
    return {word: meets(group, condition("src", family)) for word, condition in conditions.items()}


@pytest.mark.parametrize(
    ("fields", "four", "six"),
    [
        ({}, {"ours", "sources"}, {"ours", "sources"}),
        ({"masquerade": (HIDDEN,)}, {"ours", "sources", "led out"}, {"ours", "sources"}),
        ({"forwarding": (6,)}, {"ours", "sources"}, {"ours", "sources", "led out"}),
        ({"guests": (GuestNetwork("br0"),), "switches": (SwitchPolicy("br0"),)}, {"ours", "shut"}, {"ours", "shut"}),
        (
            {"switches": (SwitchPolicy("br0", outside=False),), "masquerade": (HIDDEN,)},
            {"ours", "sources", "closed"},
            {"ours", "sources", "closed"},
        ),
        ({"netns": "red"}, {"sources"}, {"sources"}),
        ({"netns": "red", "masquerade": (HIDDEN,)}, {"ours", "sources", "led out"}, {"ours", "sources"}),
    ],
)
def test_a_group_answers_what_rules_ask(fields: Any, four: Any, six: Any) -> None:
    want = FirewallWant("main", **{"guests": (BOTH,), **fields})
    group = link_groups(want)["br0"]
    assert is_ours(group)
    for family, expected in ((4, four), (6, six)):
        assert {word for word, true in told(group, family).items() if true} == expected


def test_security_a_network_of_one_family_is_shut_in_the_other() -> None:
    """Where the host forwards both: what has no prefixes of IPv6 has no business with it."""
    want = FirewallWant("main", guests=(GuestNetwork("br0", ("10.0.2.0/24",)),), forwards=(4, 6))
    assert told(link_groups(want)["br0"], 6)["shut"]


def test_a_bridge_that_leads_to_a_lan_is_in_no_group() -> None:
    assert link_groups(FirewallWant("main", switches=(SwitchPolicy("br0", among=False, leads_out=True),))) == {}


@pytest.mark.parametrize("group", [0, 1, 0x67000001, 0x69000001, 0xFFFFFFFF])
def test_a_group_of_somebody_elses_is_none_of_ours(group: int) -> None:
    assert not is_ours(group)
    assert not any(any(told(group, family).values()) for family in (4, 6))


_BITS = st.integers(0, 0x7F)


@pytest.mark.parametrize("chance", [b"\0\0", b"\xff\xff", b"\x12\x34"])
def test_links_that_stay_are_in_no_group_that_is_deleted(monkeypatch: pytest.MonkeyPatch, chance: bytes) -> None:
    """The kernel deletes all that is in it."""
    monkeypatch.setattr("os.urandom", lambda _length: chance)
    assert is_ours(doomed())
    assert doomed() not in {BASE | bits for bits in range(0x100)}


@given(_BITS, _BITS)
def test_security_nothing_is_open_between_two_groups_that_isnt_in_both(one: int, other: int) -> None:
    before, after = BASE | one, BASE | other
    between = narrower(before, after)
    assert is_ours(between)
    for family in (4, 6):
        then, now, later = told(before, family), told(between, family), told(after, family)
        for closes in ("ours", "shut", "closed"):
            assert now[closes] >= max(then[closes], later[closes])
        assert now["led out"] <= min(then["led out"], later["led out"])
        assert now["shut"] or now["sources"] >= max(then["sources"], later["sources"])


@given(_BITS)
def test_a_link_that_is_in_its_group_stays_there(bits: int) -> None:
    assert narrower(BASE | bits, BASE | bits) == BASE | bits
