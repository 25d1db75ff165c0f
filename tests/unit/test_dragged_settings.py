# SPDX-License-Identifier: GPL-3.0-or-later
"""Which settings are a run's to put back: those that its steps write, and those that go along."""

from __future__ import annotations

from typing import Optional

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils.apply.dragged import moved_settings
from ansible_collections.hostwire.linux.plugins.module_utils.plan.actions import (
    Action,
    AddressAdd,
    LinkChange,
    LinkDelete,
    NetnsDelete,
    Step,
    SysctlSet,
    VethAdd,
)


def _set(path: str) -> SysctlSet:
    return SysctlSet(None, f"net/{path}", "1")


MOVED = [
    (_set("ipv4/conf/eth0/rp_filter"), "ipv4/conf/eth0/rp_filter"),
    (_set("ipv4/ip_forward"), "ipv4/conf/eth0/forwarding"),
    (_set("ipv4/ip_forward"), "ipv4/conf/default/forwarding"),
    (_set("ipv4/ip_forward"), "ipv4/conf/all/accept_redirects"),
    (_set("ipv4/conf/all/forwarding"), "ipv4/ip_forward"),
    (_set("ipv6/conf/all/forwarding"), "ipv6/conf/eth0/forwarding"),
    (_set("ipv6/conf/all/disable_ipv6"), "ipv6/conf/eth0/disable_ipv6"),
    (_set("ipv4/conf/default/rp_filter"), "ipv4/conf/eth0/rp_filter"),
    (LinkDelete(None, "eth0"), "ipv4/conf/eth0/rp_filter"),
    (VethAdd(None, "a", None, None, None, None, "eth0", None, None), "ipv6/conf/eth0/accept_ra"),
    (LinkChange(None, "eth0", mtu=1000), "ipv6/conf/eth0/accept_ra"),
]
UNMOVED = [
    (_set("ipv4/ip_forward"), "ipv4/conf/eth0/rp_filter"),
    (_set("ipv4/ip_forward"), "ipv6/conf/eth0/forwarding"),
    (_set("ipv6/conf/all/forwarding"), "ipv4/conf/eth0/forwarding"),
    (_set("ipv4/conf/eth0/rp_filter"), "ipv4/conf/eth1/rp_filter"),
    (LinkDelete(None, "eth0"), "ipv4/conf/eth1/rp_filter"),
    (LinkChange(None, "eth0", mtu=1000), "ipv4/conf/eth0/rp_filter"),
    (LinkChange(None, "eth0", up=False), "ipv4/conf/eth0/rp_filter"),
    (AddressAdd(None, "eth0", "10.0.0.1/24"), "ipv4/conf/eth0/promote_secondaries"),
]


@pytest.mark.parametrize("undone", [False, True], ids=["by the step", "by its way back"])
@pytest.mark.parametrize(("netns", "here"), [(None, True), ("g", False)])
@pytest.mark.parametrize(
    ("action", "path", "moved"), [(*one, True) for one in MOVED] + [(*one, False) for one in UNMOVED]
)
def test_a_setting_is_moved_by_what_writes_it_or_drags_it_along(
    action: Action, path: str, moved: bool, netns: Optional[str], here: bool, undone: bool
) -> None:
    other = LinkChange(None, "other", alias="")
    step = Step(0, other, (action,), 0) if undone else Step(0, action, (other,), 0)
    assert moved_settings([step], netns)(f"net/{path}") is (moved and here)


def test_all_settings_of_a_namespace_go_with_it() -> None:
    assert moved_settings([Step(0, NetnsDelete("g"), (), 0)], "g")("net/ipv4/conf/lo/rp_filter")
    assert not moved_settings([Step(0, NetnsDelete("g"), (), 0)], None)("net/ipv4/conf/lo/rp_filter")
