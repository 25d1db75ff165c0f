# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad documents get exactly the right message, and nothing in one raises."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.hostwire.linux.plugins.module_utils import document
from ansible_collections.hostwire.linux.plugins.module_utils.plan import preflight
from ansible_collections.hostwire.linux.tests.bad_documents import BAD_DOCUMENTS, BadDocument
from ansible_collections.hostwire.linux.tests.good_documents import GOOD_DOCUMENTS
from ansible_collections.hostwire.linux.tests.host_views import host


@pytest.mark.parametrize("bad", BAD_DOCUMENTS, ids=lambda bad: bad.id)
def test_bad_document_gets_exactly_its_message(bad: BadDocument) -> None:
    reading = document.read(bad.document)
    found = reading.problems
    if bad.empty_host:
        assert not found
        found = tuple(preflight.problems(reading.topology, host(), (), reading.where))
    assert found == bad.problems


def test_the_table_is_large_and_names_each_case_once() -> None:
    assert len(BAD_DOCUMENTS) >= 300
    assert len({bad.id for bad in BAD_DOCUMENTS}) == len(BAD_DOCUMENTS)
    for bad in BAD_DOCUMENTS:
        json.dumps(bad.document)


# Anything that a caller could put where a value belongs.
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=10**300, max_value=10**301),
    st.floats(),
    st.text(max_size=20),
    st.binary(max_size=8),
    st.sampled_from(
        [
            "10.0.0.1/24",
            "10.0.0.1",
            "fd00::1/64",
            "default",
            "any",
            "red",
            "br0",
            "lo",
            "absent",
            "80-90",
            "a\x00b",
            "\ud800",
        ]
    ),
    st.builds(object),
)
garbage = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=3),
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every container in a document with each of its keys."""
    found: list[tuple[Any, Any]] = []
    keys = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    for key in keys:
        found.append((value, key))
        found += places(value[key])
    return found


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    """A good document with one to four places replaced, taken away, doubled or given to another."""
    broken = copy.deepcopy(draw(st.sampled_from(list(GOOD_DOCUMENTS.values()))))
    for _round in range(draw(st.integers(1, 4))):
        choices = places(broken)
        if not choices:
            break
        container, key = draw(st.sampled_from(choices))
        deed = draw(st.sampled_from(["replace", "take", "double", "borrow"]))
        if deed == "replace":
            container[key] = draw(garbage)
        elif deed == "take":
            del container[key]
        elif deed == "double" and isinstance(container, list):
            container.append(copy.deepcopy(container[key]))
        else:
            other, other_key = draw(st.sampled_from(choices))
            if other is not container or other_key != key:
                container[key] = copy.deepcopy(other[other_key]) if other_key in _keys(other) else None
    return broken


def _keys(container: Any) -> Any:
    return container if isinstance(container, dict) else range(len(container))


@given(mutated())
def test_a_broken_document_is_refused_in_words_or_means_something(broken: Any) -> None:
    reading = document.read(broken)
    for problem in reading.problems:
        path, colon, reason = problem.partition(": ")
        assert path, problem
        assert colon, problem
        assert reason, problem
        assert problem.isprintable(), problem
        assert len(problem) < 500, problem
    found = preflight.problems(reading.topology, host(), (), reading.where)
    assert all(problem.isprintable() for problem in found)
    if not reading.problems:
        # What is taken for good can be said in full, and read again to mean the same.
        plain = document.dump(reading.topology)
        again = document.read(json.loads(json.dumps(plain)))
        assert not again.problems
        assert again.topology == document.canonical(reading.topology)


@given(garbage)
def test_garbage_is_no_document(value: Any) -> None:
    reading = document.read(value)
    assert reading.problems or value == {}


def deep(levels: int) -> Any:
    value: Any = []
    for _round in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("key", ["namespaces", "bridges", "routes", "forwarding", "sysctls", "taps", "name", "state"])
def test_nesting_without_end_is_refused_in_words(key: str) -> None:
    assert document.read({key: deep(100_000)}).problems


def test_a_value_that_json_does_not_know_is_refused_in_words() -> None:
    assert document.read({"name": b"main"}).problems == (
        "name: a value of type bytes is not text; say a name for the document",
    )
    nan = document.read({"bridges": [{"name": "br0", "mtu": float("nan")}]})
    assert nan.problems == ("bridges[0].mtu: nan is not a whole number; say one from 68 to 65535",)
