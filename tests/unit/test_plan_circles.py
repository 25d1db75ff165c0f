# SPDX-License-Identifier: GPL-3.0-or-later
"""A document whose cables join switches in a circle is warned of, and no other."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import document
from ansible_collections.hostwire.linux.plugins.module_utils.plan.circles import circle_warnings


def warned(cables: list[tuple[str, str]], **bridges: Any) -> list[str]:
    """The names of the cables that are warned of; each leads from a bridge to a bridge, "" is none."""
    names = sorted({name for cable in cables for name in cable if name})
    found = document.read(
        {
            "bridges": [{"name": name, **bridges.get(name, {})} for name in names],
            "veths": [
                {
                    "name": f"v{number}",
                    **({"bridge": one} if one else {}),
                    "peer": {"name": f"w{number}", **({"bridge": other} if other else {})},
                }
                for number, (one, other) in enumerate(cables)
            ],
        }
    )
    assert not found.problems
    return [line.partition(":")[0] for line in circle_warnings(found.topology)]


@pytest.mark.parametrize(
    ("cables", "expected"),
    [
        ([("a", "b"), ("b", "c")], []),
        ([("a", ""), ("", "a"), ("", "")], []),
        ([("a", "a")], ["veth v0"]),
        ([("a", "b"), ("b", "a")], ["veth v1"]),
        ([("a", "b"), ("b", "c"), ("c", "a"), ("c", "d")], ["veth v2"]),
        ([("a", "b"), ("c", "d"), ("b", "c"), ("a", "d"), ("d", "b")], ["veth v3", "veth v4"]),
    ],
    ids=["line", "ends", "itself", "twice", "three", "two circles"],
)
def test_each_cable_that_closes_a_circle_is_named(cables: list[tuple[str, str]], expected: list[str]) -> None:
    assert warned(cables) == expected


def test_a_spanning_tree_or_a_switch_that_is_down_opens_a_circle() -> None:
    circle = [("a", "b"), ("b", "c"), ("c", "a")]
    for bridge in "abc":
        assert warned(circle, **{bridge: {"stp": True}}) == []
        assert warned(circle, **{bridge: {"up": False}}) == []
    assert warned([*circle, ("a", "b")], c={"stp": True}) == ["veth v3"]


def test_a_cable_that_is_down_closes_nothing() -> None:
    found = document.read(
        {
            "bridges": [{"name": "a"}],
            "veths": [{"name": "v", "bridge": "a", "up": False, "peer": {"name": "w", "bridge": "a"}}],
        }
    )
    assert circle_warnings(found.topology) == []
