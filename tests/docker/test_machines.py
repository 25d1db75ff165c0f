# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's own words, read as values, on real engines."""

from __future__ import annotations

from ansible_collections.hostwire.linux.tests.docker.machines import ENGINES, IDLE, Machine, serving

FACTS = """
import sys, json
sys.path.insert(0, "/opt/hostwire")
from ansible_collections.hostwire.linux.plugins.module_utils.docker_api import Api
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.facts import read_engine
engine = read_engine(Api())
print(json.dumps({
    "version": engine.version, "release": engine.release, "live_restore": engine.live_restore,
    "bridge": engine.network("bridge"), "office": engine.network("office"),
    "containers": {container.name: container._asdict() for container in engine.containers},
}))
"""


def test_an_engine_is_read_as_it_is(machine: Machine) -> None:
    import json

    machine.reset()
    machine.docker("network", "create", "--subnet", "10.44.0.0/24", "office")
    machine.docker("run", "-d", "--name", "web", "-p", "8080:80", "--restart", "always", "busybox", *serving("web"))
    machine.docker("run", "-d", "--name", "still", "--network", "office", "--ip", "10.44.0.9", "busybox", *IDLE)
    machine.docker("stop", "still")
    facts = json.loads(machine.run("python3", "-c", FACTS))
    assert facts["version"].startswith(ENGINES[machine.release])
    assert facts["release"][:2] == [int(number) for number in ENGINES[machine.release].split(".")]
    assert facts["live_restore"] is False
    assert facts["bridge"][3] == "docker0"
    assert facts["office"][6][0][0] == "10.44.0.0/24"
    web, still = facts["containers"]["web"], facts["containers"]["still"]
    assert (web["running"], web["policy"], web["mode"]) == (True, "always", "bridge")
    assert web["ports"] == [["tcp", 80, "", 8080]]
    assert web["endpoints"][0][1].startswith("172.17.0.")
    assert not still["running"]
    assert still["endpoints"][0][4] == "10.44.0.9"
    assert machine.outside_asks(8080) == "web"
    assert machine.asks("127.0.0.1", 8080) == "web"
