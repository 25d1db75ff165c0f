# SPDX-License-Identifier: GPL-3.0-or-later
"""A document that says nothing removes nothing: who wants that says so."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import document
from ansible_collections.hostwire.linux.plugins.module_utils.plan.emptied import asks_something, emptied
from ansible_collections.hostwire.linux.plugins.module_utils.plan.owned import nothing

SOMETHING: list[dict[str, Any]] = [
    {"namespaces": [{"name": "red"}]},
    {"bridges": [{"name": "b"}]},
    {"interfaces": [{"name": "eth0", "addresses": ["fd00::1/64"]}]},
    {"routes": [{"to": "10.0.0.0/8", "type": "blackhole"}]},
    {"masquerade": [{"source": "10.0.0.0/8"}]},
    {"published_ports": [{"port": 80, "to": "10.0.0.1:80"}]},
    {"sysctls": {"net.ipv4.conf.all.rp_filter": 1}},
    {"forwarding": {"ipv6": True}},
    {"forwarding": {"networks": ["10.0.0.0/8"]}},
]
NOTHING: list[dict[str, Any]] = [
    {},
    {"namespaces": [], "sysctls": {}, "forwarding": {"ipv4": None}},
    {"probes": [{"to": "192.0.2.1"}]},
]


def canonical(values: dict[str, Any]) -> dict[str, Any]:
    return document.dump(document.read(values).topology)


@pytest.mark.parametrize("empty", NOTHING, ids=str)
@pytest.mark.parametrize("last", SOMETHING, ids=lambda values: next(iter(values)))
def test_what_says_nothing_is_refused_where_something_was_made(empty: dict[str, Any], last: dict[str, Any]) -> None:
    (problem,) = emptied(canonical(empty), canonical(last), nothing("main"))
    assert problem.startswith('state: the document "main" says nothing any more')
    assert next(iter(last)) in problem
    assert "state: absent" in problem


@pytest.mark.parametrize("wanted", SOMETHING, ids=lambda values: next(iter(values)))
def test_what_says_anything_may_drop_all_the_rest(wanted: dict[str, Any]) -> None:
    assert asks_something(canonical(wanted))
    for last in SOMETHING:
        assert emptied(canonical(wanted), canonical(last), nothing("main")) == []


@pytest.mark.parametrize("last", [None, *NOTHING], ids=str)
def test_where_nothing_was_made_nothing_may_be_said(last: dict[str, Any] | None) -> None:
    known = None if last is None else canonical(last)
    assert emptied(canonical({}), known, nothing("main")) == []


def test_what_a_run_left_that_was_broken_off_counts() -> None:
    (problem,) = emptied(canonical({}), None, nothing("main")._replace(namespaces={"red": 0}))
    assert "what a run left that was broken off" in problem


def test_of_many_names_a_few_are_told() -> None:
    rooms = [{"name": f"room{number}"} for number in range(300)]
    (problem,) = emptied(canonical({}), canonical({"namespaces": rooms}), nothing("main"))
    assert "namespaces (room0, room1, room10 and 297 more)" in problem or "and 297 more" in problem
    assert len(problem) < 250
