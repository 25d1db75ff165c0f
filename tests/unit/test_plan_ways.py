# SPDX-License-Identifier: GPL-3.0-or-later
"""The link towards an address: the longest prefix, and no link where none leads there."""

from __future__ import annotations

from typing import Optional

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils.model import (
    TABLE_MAIN,
    Address,
    KernelRoute,
    Link,
    NamespaceView,
)
from ansible_collections.hostwire.linux.plugins.module_utils.plan.ways import way_to, ways_out

UNICAST, BLACKHOLE = 1, 6  # linux/rtnetlink.h


def link(index: int, name: str, up: bool = True) -> Link:
    return Link(index, name, None, up, up, 1500, "", None, "", (), None, None, None)


def route(to: str, dev: Optional[int], metric: int = 0, kind: int = UNICAST, table: int = TABLE_MAIN) -> KernelRoute:
    return KernelRoute(to, None, dev, metric, table, kind, 3)


VIEW = NamespaceView(
    None,
    1,
    {one.name: one for one in (link(1, "lo"), link(2, "eth0"), link(3, "br0"), link(4, "eth1"), link(5, "off", False))},
    {
        2: (Address(2, "192.168.1.2/24", 0, 0),),
        3: (Address(3, "192.168.15.5/24", 0, 0), Address(3, "fd00:15::5/64", 0, 0)),
        4: (Address(4, "10.9.0.1/32", 0, 0, "10.9.0.2"),),
        5: (Address(5, "10.8.0.1/24", 0, 0),),
    },
    (
        route("0.0.0.0/0", 2, 100),
        route("0.0.0.0/0", 4, 50),
        route("10.1.0.0/16", 4),
        route("10.1.2.0/24", None, kind=BLACKHOLE),
        route("10.2.0.0/16", 4, table=77),
        KernelRoute("10.3.0.0/16", None, None, 0, TABLE_MAIN, UNICAST, 3, (("192.168.1.9", 2, 1), (None, 4, 1))),
    ),
    True,
    True,
    {},
)


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("192.168.15.2", "br0"),
        ("192.168.15.5", "lo"),
        ("fd00:15::2", "br0"),
        ("fd00:16::2", None),
        ("10.9.0.2", "eth1"),
        ("10.8.0.2", "eth1"),
        ("10.1.9.9", "eth1"),
        ("10.1.2.3", None),
        ("10.2.0.1", "eth1"),
        ("10.3.0.1", "eth0"),
        ("203.0.113.1", "eth1"),
    ],
)
def test_the_way_to_an_address(address: str, name: Optional[str]) -> None:
    assert way_to(VIEW, address) == name


def test_the_ways_out() -> None:
    assert ways_out(VIEW, 4) == ("eth0", "eth1")
    assert ways_out(VIEW, 6) == ()
