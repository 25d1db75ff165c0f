# SPDX-License-Identifier: GPL-3.0-or-later
"""Every test here that asks for ``private_host`` runs on a host of its own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Iterator

import pytest

from ansible_collections.hostwire.linux.tests.kernel import firewall_world, private


@pytest.fixture
def private_host() -> Iterator[Path]:
    """A fresh network and mount namespace for one test; its value is a directory for files."""
    with private.private_host() as directory:
        yield directory


@pytest.fixture(params=["nft", "legacy"])
def backend(private_host: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """A private host on which the programs plainly called iptables and ip6tables are of this backend."""
    for family in ("iptables", "ip6tables"):
        for verb in ("", "-save", "-restore"):
            (tmp_path / f"{family}{verb}").symlink_to(f"/usr/sbin/{family}-{request.param}{verb}")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return str(request.param)


@pytest.fixture(params=[0, 1], ids=["routed", "bridge-nf"])
def each_world(backend: str, request: pytest.FixtureRequest) -> int:
    """The world of firewall_world.py; its value is bridge-nf-call-iptables."""
    firewall_world.build(request.param)
    return int(request.param)


@pytest.fixture
def world(backend: str) -> int:
    """The same in two variants that have each backend and each setting once."""
    firewall_world.build(bridge_nf=int(backend == "nft"))
    return int(backend == "nft")
