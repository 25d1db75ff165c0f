# SPDX-License-Identifier: GPL-3.0-or-later
"""Each test host is a container, so its /etc/hosts is a mount point that Docker made."""

from __future__ import annotations

import pytest

from ansible_collections.hostwire.linux.tests.docker.machines import Machine

ENTRIES = [{"address": "10.0.2.12", "names": ["localdb"]}]


@pytest.mark.releases("bookworm")
def test_43_the_hosts_file_that_docker_mounts_takes_a_block(machine: Machine) -> None:
    before = machine.read("/etc/hosts")
    assert machine.run("findmnt", "--noheadings", "--output", "TARGET", "/etc/hosts").strip() == "/etc/hosts"
    assert machine.done("hosts_file", entries=ENTRIES)["changed"]
    assert machine.run("getent", "hosts", "localdb").split() == ["10.0.2.12", "localdb"]
    assert not machine.done("hosts_file", entries=ENTRIES)["changed"]
    assert machine.done("hosts_file", state="absent")["changed"]
    assert machine.read("/etc/hosts") == before
