# SPDX-License-Identifier: GPL-3.0-or-later
"""Names in the files that real engines mount into containers."""

from __future__ import annotations

from typing import Any, Iterator

import pytest

from ansible_collections.hostwire.linux.tests.docker.machines import IDLE, Machine

ENTRIES = [{"address": "10.0.2.12", "names": ["localdb.lab.example", "localdb"]}]
BOTH: dict[str, Any] = {"containers": ["web"], "entries": ENTRIES, "nameservers": ["10.0.2.15"]}


@pytest.fixture(scope="session")
def fresh(machine: Machine) -> Machine:
    """A host on which Docker was just installed."""
    machine.reset()
    return machine


@pytest.fixture
def engine(fresh: Machine) -> Iterator[Machine]:
    """One with a container on docker0, and one on a network that a user made."""
    fresh.docker("network", "create", "private")
    fresh.docker("run", "--detach", "--name", "web", "busybox", *IDLE)
    fresh.docker("run", "--detach", "--name", "app", "--network", "private", "busybox", *IDLE)
    try:
        yield fresh
    finally:
        fresh.module("guest_names", state="absent")
        fresh.docker("rm", "--force", "web", "app")
        fresh.docker("network", "rm", "private")


def seen(machine: Machine, container: str) -> str:
    return machine.docker("exec", container, "cat", "/etc/hosts", "/etc/resolv.conf")


def test_a_container_sees_the_names_until_it_is_started_anew_and_then_again(engine: Machine) -> None:
    before = seen(engine, "web")
    predicted = engine.module("guest_names", check=True, **BOTH)
    assert seen(engine, "web") == before
    done = engine.done("guest_names", **BOTH)
    assert done["plan"] == predicted["plan"]
    assert "10.0.2.12 localdb.lab.example localdb" in seen(engine, "web")
    assert "\nnameserver 10.0.2.15\n" in seen(engine, "web")
    assert not engine.done("guest_names", **BOTH)["changed"]

    engine.docker("restart", "--time", "0", "web")
    assert "localdb" not in seen(engine, "web")
    made_anew = seen(engine, "web")
    assert engine.done("guest_names", **BOTH)["plan"] == done["plan"]
    assert "localdb" in seen(engine, "web")
    assert engine.done("guest_names", state="absent")["changed"]
    assert seen(engine, "web") == made_anew


def test_a_container_keeps_dockers_own_server(engine: Machine) -> None:
    before = seen(engine, "app")
    refused = engine.module("guest_names", containers=["web", "app"], nameservers=["10.0.2.15"])
    assert refused["kind"] == "conflict"
    assert "start it with --dns 10.0.2.15" in refused["msg"]
    assert (seen(engine, "app"), "10.0.2.15" in seen(engine, "web")) == (before, False)

    engine.docker("rm", "--force", "app")
    engine.docker("run", "--detach", "--name", "app", "--network", "private", "--dns", "10.0.2.15", "busybox", *IDLE)
    assert not engine.done("guest_names", containers=["app"], nameservers=["10.0.2.15"])["changed"]
    engine.done("guest_names", containers=["app"], entries=ENTRIES)
    assert "localdb" in seen(engine, "app")
