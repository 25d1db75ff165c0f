# SPDX-License-Identifier: GPL-3.0-or-later
"""Attributes are read alike whether their message's shape is new, known, or other than one of the same length."""

from __future__ import annotations

from typing import Dict, Optional

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.hostwire.linux.plugins.module_utils.rtnetlink.shapes import Shapes
from ansible_collections.hostwire.linux.plugins.module_utils.rtnetlink.wire import attribute, u32

# Numbers within others are numbers outside as well.
WANTED = {1: "s", 2: {1: "I", 3: {2: "s"}}, 3: "I"}
Values = Dict[str, Optional[object]]

payloads = st.binary(max_size=9)
numbers = st.integers(0, 2**32 - 1)
messages = st.fixed_dictionaries(
    {},
    optional={"outer": payloads, "number": numbers, "deep": payloads, "counter": numbers, "other": payloads},
)


def packed(values: Values) -> bytes:
    within = u32(1, values["number"]) if "number" in values else b""  # type: ignore[arg-type]
    within += attribute(3, attribute(2, values["deep"])) if "deep" in values else b""  # type: ignore[arg-type]
    found = attribute(9, values["other"]) if "other" in values else b""  # type: ignore[arg-type]
    found += attribute(1, values["outer"]) if "outer" in values else b""  # type: ignore[arg-type]
    found += attribute(2, within) if within else b""
    return found + (u32(3, values["counter"]) if "counter" in values else b"")  # type: ignore[arg-type]


@given(st.lists(messages, min_size=1, max_size=12))
def test_each_message_is_read_by_itself(several: list[Values]) -> None:
    shapes = Shapes(WANTED)
    for values in [*several, *several]:
        buffer = bytearray(b"head" + packed(values) + b"tail of another")
        found = shapes.read(buffer, 4, len(buffer) - len(b"tail of another"))
        assert found == tuple(values.get(name) for name in ("outer", "number", "deep", "counter"))


def test_a_header_that_claims_more_than_there_is_ends_the_attributes() -> None:
    shapes = Shapes(WANTED)
    whole = attribute(1, b"name")
    broken = attribute(2, b"\x40\0\1\0" + b"....")
    assert shapes.read(whole + broken, 0, len(whole + broken)) == (b"name", None, None, None)
    assert shapes.read(whole + b"\xff\0\3\0", 0, len(whole) + 4) == (b"name", None, None, None)
