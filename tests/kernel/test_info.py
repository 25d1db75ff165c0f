# SPDX-License-Identifier: GPL-3.0-or-later
"""topology_info on a host that doesn't hold still, and for somebody who may not see everything."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, Callable

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import info, netns
from ansible_collections.hostwire.linux.tests.in_process import call
from ansible_collections.hostwire.linux.tests.kernel.nobody import call_as_nobody
from ansible_collections.hostwire.linux.tests.kernel.playbook import play

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
    answer = call_as_nobody("topology_info")
    assert answer["msg"] == "this process hasn't got CAP_NET_ADMIN and CAP_SYS_ADMIN: run it as root (become: true)"


def test_where_there_is_no_namespace_anybody_may_look() -> None:
    answer = call_as_nobody("topology_info")
    assert [link["name"] for link in answer["host"]["links"]] == ["lo"]
    assert "CAP_NET_ADMIN" in answer["host"]["nat"]["problem"]


def test_names_that_are_no_text_are_told_and_trouble_nobody(private_host: Path) -> None:
    """The kernel and other programs take any bytes (hazard 12); Ansible refuses an answer that isn't UTF-8."""
    subprocess.run([b"ip", b"link", b"add", b"eth\xff0", b"type", b"bridge"], check=True)
    subprocess.run([b"ip", b"link", b"set", b"eth\xff0", b"alias", b"caf\xe9"], check=True)
    subprocess.run([b"ip", b"netns", b"add", b"r\xe9d"], check=True)
    seen, typo, typed = play(
        [
            {"hostwire.linux.topology_info": {}},
            {"hostwire.linux.topology": {"interfaces": [{"name": "eth0"}]}},
            {"hostwire.linux.topology": {"interfaces": [{"name": "lo", "netns": "rd"}]}},
        ],
        private_host,
        may_fail=True,
    )
    assert [link["name"] for link in seen["host"]["links"]] == ["lo", r"eth\xff0"]
    assert list(seen["namespaces"]) == [r"r\udce9d"]
    assert typo["msg"] == r'interfaces[0].name: no interface named "eth0" on the host; did you mean "eth\xff0"?'
    assert typed["msg"] == r'interfaces[0].netns: no namespace named "rd"; did you mean "r\udce9d"?'


def test_without_iptables_nothing_is_translated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(info.firewall, "installed", lambda: False)
    assert call("topology_info")["host"]["nat"] == {"backend": None, "masquerade": [], "published_ports": []}
