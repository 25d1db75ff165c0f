# SPDX-License-Identifier: GPL-3.0-or-later
"""topology_info on a host that doesn't hold still, and for somebody who may not see everything."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, Callable

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import info, netns
from ansible_collections.hostwire.linux.plugins.module_utils.firewall import programs  # noqa: F401  see as_nobody
from ansible_collections.hostwire.linux.plugins.modules import topology_info  # noqa: F401  see as_nobody
from ansible_collections.hostwire.linux.tests.in_process import call
from ansible_collections.hostwire.linux.tests.kernel.nobody import as_nobody

pytestmark = pytest.mark.usefixtures("private_host")


@pytest.fixture
def rooms(private_host: Path) -> None:
    for name in ("red", "blue"):
        subprocess.run(["ip", "netns", "add", name], check=True)


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param((netns, "lent_inodes"), id="listed, not yet read"),
        pytest.param((netns, "processes"), id="read, its neighbours not yet"),
    ],
)
@pytest.mark.usefixtures("rooms")
def test_a_namespace_that_somebody_removes_meanwhile_is_left_out(moment: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    module, name = moment
    real: Callable[[], Any] = getattr(module, name)

    def after_somebody_removed_it() -> Any:
        subprocess.run(["ip", "netns", "delete", "red"], check=True)
        return real()

    monkeypatch.setattr(module, name, after_somebody_removed_it)
    assert list(info.info()["namespaces"]) == ["blue"]


@pytest.mark.usefixtures("rooms")
def test_without_the_privilege_to_enter_namespaces_it_is_named() -> None:
    answer = as_nobody(lambda: call("topology_info"))
    assert answer["msg"] == "this process hasn't got CAP_NET_ADMIN and CAP_SYS_ADMIN: run it as root (become: true)"


def test_where_there_is_no_namespace_anybody_may_look() -> None:
    answer = as_nobody(lambda: call("topology_info"))
    assert [link["name"] for link in answer["host"]["links"]] == ["lo"]
    assert "CAP_NET_ADMIN" in answer["host"]["nat"]["problem"]


def test_without_iptables_nothing_is_translated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(info.firewall, "installed", lambda: False)
    assert call("topology_info")["host"]["nat"] == {"backend": None, "masquerade": [], "published_ports": []}
