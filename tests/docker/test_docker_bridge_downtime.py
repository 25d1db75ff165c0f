# SPDX-License-Identifier: GPL-3.0-or-later
"""Another address for docker0 costs hardly more downtime than any restart of Docker."""

from __future__ import annotations

import json
from contextlib import contextmanager
from statistics import median
from typing import Any, Iterator

from ansible_collections.hostwire.linux.tests.docker.machines import IDLE, Machine, serving

MARGIN = 1.5  # seconds
# Asks a published port without a pause; the longest time between two answers, in seconds, once the file is gone.
WATCH = """
import os, socket, sys, time
longest, last = 0.0, time.monotonic()
while True:
    stop = not os.path.exists("/run/watching")
    try:
        with socket.create_connection((sys.argv[1], 8080), timeout=0.5) as connection:
            connection.settimeout(0.5)
            if connection.recv(10):
                now = time.monotonic()
                longest, last = max(longest, now - last), now
                if stop:
                    break
    except OSError:
        pass
    time.sleep(0.02)
open("/run/watched", "w").write(str(longest))
"""


@contextmanager
def watched(machine: Machine) -> Iterator[dict[str, Any]]:
    """Fills in ``seconds``: how long the published port of a container didn't answer meanwhile."""
    seen: dict[str, Any] = {}
    machine.run("sh", "-c", "rm -f /run/watched; touch /run/watching")
    machine.run("systemd-run", "--quiet", "--unit=watch", "python3", "-c", WATCH, machine.address)
    yield seen
    machine.run("sh", "-c", "rm /run/watching; n=0; until [ -s /run/watched ]; do sleep 0.1; done")
    seen["seconds"] = float(machine.run("cat", "/run/watched"))


def test_downtime_is_that_of_a_bare_restart(machine: Machine) -> None:
    machine.reset()
    machine.docker("run", "-d", "--name", "web", "--restart", "always", "-p", "8080:80", "busybox", *serving("web"))
    machine.docker("run", "-d", "--name", "other", "--restart", "always", "busybox", *IDLE)
    assert machine.outside_asks(8080) == "web"
    rounds = []
    for bip in ("192.168.225.1/24", "10.77.0.1/24", "10.78.0.1/24"):
        with watched(machine) as bare:
            machine.run("systemctl", "restart", "docker")
        with watched(machine) as moved:
            answer = machine.done("docker_bridge", bip=bip)
        assert answer["changed"]
        assert answer["downtime"] > 0
        assert bare["seconds"] > 0.1
        rounds.append((bare["seconds"], moved["seconds"]))
    print(json.dumps({"release": machine.release, "restart and docker_bridge": rounds}))
    assert median(moved - bare for bare, moved in rounds) <= MARGIN
