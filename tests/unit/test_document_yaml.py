# SPDX-License-Identifier: GPL-3.0-or-later
"""The YAML that we write is read by PyYAML as the very values that went in."""

# ruff: noqa: E501 - a case reads best on one line

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.hostwire.linux.plugins.module_utils.document import to_yaml

# Text that some YAML reader takes for something else.
TREACHEROUS = [
    "", " ", "yes", "No", "ON", "off", "y", "N", "null", "Null", "~", "true", "FALSE", "1", "-1", "1.5", "1e3", "0x1f", "0o17",
    "017", "1_000", "1:30", "52:54:00:12:34:56", "2026-01-01", ".inf", ".nan", "=", "<<", "-", "- a", "a: b", "a:", ":a", "#a",
    "a #b", "&a", "*a", "!a", "|", ">", "'", '"', "%a", "@a", "`a", "{", "}", "[", "]", ",", "?", "a\nb", "a\tb", "\x7f", "\x85",
    "\u2028", "\ufeff", "é", "😀", "a ", " a", "\\", "fd00::1/64", "::1", "10.0.0.1/24", "10.0.0.1:80", "[fd00::2]:80", "0b1",
    "12e03", "1.", "8000-8010", "a/b.c_d-e", "...", "---",
]  # fmt: skip

text = st.one_of(st.sampled_from(TREACHEROUS), st.text(max_size=12))
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), text),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
)


def exact(value: Any) -> Any:
    """A value with its types, for 1 == True."""
    if isinstance(value, dict):
        return {key: exact(item) for key, item in value.items()}
    if isinstance(value, list):
        return [exact(item) for item in value]
    return type(value).__name__, value


@given(values)
def test_pyyaml_reads_the_values_that_went_in(value: Any) -> None:
    written = to_yaml(value)
    read = yaml.safe_load(written)
    assert exact(read) == exact(value)
    if isinstance(value, dict):
        assert list(read) == list(value)


@pytest.mark.parametrize("word", TREACHEROUS)
def test_text_that_looks_like_something_else_stays_text(word: str) -> None:
    assert yaml.safe_load(to_yaml({word: [word, {word: word}]})) == {word: [word, {word: word}]}


def test_what_is_plain_stays_plain() -> None:
    assert to_yaml({"name": "v-net-0", "addresses": ["192.168.15.5/24"], "mtu": 1400, "up": False, "hosts": {}}) == (
        "name: v-net-0\naddresses:\n  - 192.168.15.5/24\nmtu: 1400\nup: false\nhosts: {}\n"
    )


def test_a_value_without_yaml_is_refused() -> None:
    with pytest.raises(TypeError, match="no YAML for a value of type object"):
        to_yaml({"a": [object()]})
