# SPDX-License-Identifier: GPL-3.0-or-later
"""A document that keeps something in a namespace and no longer names that is refused before anything changes."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import engine
from ansible_collections.hostwire.linux.plugins.module_utils.errors import InvalidValue
from ansible_collections.hostwire.linux.tests.kernel.steps import Document, apply, refused_alike

WHOLE: Document = {
    "namespaces": [{"name": "shop"}, {"name": "other"}],
    "bridges": [{"name": "br0", "addresses": ["10.77.0.1/24"]}],
    "veths": [{"name": "v", "bridge": "br0", "peer": {"name": "eth0", "netns": "shop", "addresses": ["10.77.0.2/24"]}}],
}
ROOM = {"netns": "other"}


def problems(document: Document, **options: Any) -> list[str]:
    return refused_alike(InvalidValue, document, **options)


@pytest.mark.parametrize(
    ("path", "more"),
    [
        ("veths[1].netns", {"veths": [*WHOLE["veths"], {"name": "x", **ROOM, "peer": {"name": "y"}}]}),
        ("veths[1].peer.netns", {"veths": [*WHOLE["veths"], {"name": "x", "peer": {"name": "y", **ROOM}}]}),
        ("bridges[1].netns", {"bridges": [*WHOLE["bridges"], {"name": "br1", **ROOM}]}),
        ("taps[0].netns", {"taps": [{"name": "tap0", **ROOM}]}),
        ("interfaces[0].netns", {"interfaces": [{"name": "lo", **ROOM, "addresses": ["fd09::1/128"]}]}),
        ("routes[0].netns", {"routes": [{**ROOM, "to": "10.5.0.0/16", "type": "blackhole"}]}),
        ("routes[0].netns", {"routes": [{**ROOM, "to": "fd05::/64", "type": "blackhole"}]}),
        ("masquerade[0].netns", {"masquerade": [{**ROOM, "source": "10.5.0.0/16"}]}),
        ("published_ports[0].netns", {"published_ports": [{**ROOM, "port": 80, "to": "10.5.0.2:80"}]}),
        ("probes[0].from", {"probes": [{"from": "other", "to": "127.0.0.1"}]}),
    ],
)
def test_what_leans_on_a_namespace_that_goes_is_named(private_host: Path, path: str, more: dict[str, Any]) -> None:
    apply({**WHOLE, **more})
    kept = {**WHOLE, **more, "namespaces": [{"name": "shop"}]}
    assert problems(kept) == [
        f'{path}: the namespace "other" goes, for the document no longer names it; name it among namespaces'
    ]
    assert not engine.run({**WHOLE, **more}, check=True).changed  # nothing was touched


def test_all_of_them_are_named_and_nothing_else(private_host: Path) -> None:
    apply(WHOLE)
    lines = problems({**WHOLE, "namespaces": [], "routes": [{"netns": "shop", "to": "default", "via": "10.77.0.1"}]})
    assert [line.partition(":")[0] for line in lines] == ["veths[0].peer.netns", "routes[0].netns"]


def test_what_goes_along_is_no_obstacle(private_host: Path) -> None:
    apply(WHOLE)
    apply({**WHOLE, "namespaces": [{"name": "shop"}]})
    assert set(Path("/run/netns").iterdir()) == {Path("/run/netns/shop")}
    assert apply({"bridges": WHOLE["bridges"]}).changed


def test_a_namespace_that_somebody_else_made_anew_stays_and_may_be_named(private_host: Path) -> None:
    apply({"namespaces": [{"name": "other"}]})
    subprocess.run(["ip", "netns", "del", "other"], check=True)
    subprocess.run(["ip", "netns", "add", "other"], check=True)
    apply({"routes": [{**ROOM, "to": "10.5.0.0/16", "type": "blackhole"}]})
    assert Path("/run/netns/other").exists()


def test_tasks_for_single_objects_leave_the_others_namespaces(private_host: Path) -> None:
    apply({**WHOLE, "name": "tasks"})
    route = {"name": "tasks", "routes": [{**ROOM, "to": "10.5.0.0/16", "type": "blackhole"}]}
    assert engine.run(route, fragment=True).changed
    assert engine.run({"name": "tasks", "state": "absent", "namespaces": [{"name": "other"}]}, fragment=True).changed
    assert not engine.run({"name": "tasks", "namespaces": [{"name": "shop"}]}, fragment=True, check=True).changed
