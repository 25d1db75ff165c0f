# SPDX-License-Identifier: GPL-3.0-or-later
"""A resolv.conf of ours: what stood there before comes back to the byte, and nothing but addresses goes in."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ansible_collections.hostwire.linux.plugins.module_utils.guest_names.resolver import (
    Resolver,
    put_together,
    read_resolver,
    taken_apart,
)

ASKS = Resolver(("10.0.2.15", "fe80::1%eth0"), ("lab.example",))
BEFORE = st.lists(
    st.sampled_from([b"nameserver 192.0.2.1", b"# was: x", b"\xff", b"\n", b"\r\n", b"\r", b"\x0c", b" "])
)


@given(before=BEFORE.map(b"".join))
@example(before=b"nameserver 192.0.2.1")
@example(before=b"# caf\xe9\x85\n\xe2\x80\xa8\n")
@example(before=b"")
def test_what_stood_there_before_comes_back(before: bytes) -> None:
    again = taken_apart(put_together("names", ASKS, before))
    assert (again.owner, again.asks, again.before) == ("names", ASKS, before)


def test_a_file_that_we_made_held_nothing_before() -> None:
    assert taken_apart(put_together("names", ASKS, None)).before is None


@pytest.mark.parametrize(
    "address", ["10.0.2.0/24", "dns.example", "10.0.2.15%eth0", "fe80::1%", "fe80::1%a b", "fe80::1%x\noptions rotate"]
)
def test_what_is_no_address_is_refused(address: str) -> None:
    assert read_resolver(["10.0.2.15", address], ())[1] == [
        f'nameservers[1]: "{address}" is no IPv4 or IPv6 address; 10.0.2.15 would be one'
    ]
    assert read_resolver(["fe80::1%eth0"], ())[1] == []
