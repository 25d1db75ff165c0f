# SPDX-License-Identifier: GPL-3.0-or-later
"""However a host's Docker is set up, docker_bridge never leaves it without one: no failure is of the kind ``undo``.

All ways are gone on forky, some on the other engines; on all of them with HOSTWIRE_WAYS=all.
"""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from ansible_collections.hostwire.linux.tests.docker.machines import DRIVER, Machine
from ansible_collections.hostwire.linux.tests.docker.ways import SAMPLE, WAYS, clean_up, set_up, state

# As a task, but a container needn't stay up as long: none here falls soon.
QUICK = """
import sys
sys.path.insert(0, "/opt/hostwire")
from ansible_collections.hostwire.linux.plugins.module_utils.errors import VerificationFailed
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.readdress import preflight, verify
verify.SETTLED = 0.2
"""
# Nothing is looked at beforehand, and whatever comes out is found wrong: the whole way back is gone.
BLIND = (
    QUICK
    + """
preflight.check_values = preflight.check = lambda *_arguments: None
def await_right(api, expected, before, seconds):
    if before.ran:
        raise VerificationFailed("found wrong by the test")
    right(api, expected, before, seconds)
right, verify.await_right = verify.await_right, await_right
"""
)
ALL = os.environ.get("HOSTWIRE_WAYS") == "all"


def answer(machine: Machine, preface: str, check: bool = False, **parameters: Any) -> dict[str, Any]:
    asked = {"start_timeout": 40, "verify_timeout": 20, "_ansible_check_mode": check, **parameters}
    done = machine.completed("python3", "-c", preface + DRIVER, stdin=json.dumps(["docker_bridge", asked]))
    assert done.stdout, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.pairs(
    [
        (release, name)
        for release in ("forky", "trixie", "bookworm")
        for name, way in WAYS.items()
        if release in way.releases and (ALL or release == "forky" or name in SAMPLE)
    ]
)
def test_no_host_is_left_without_docker(machine: Machine, name: str) -> None:
    way = WAYS[name]
    set_up(machine, way)
    try:
        before = state(machine)
        running = tuple(sorted(("web", *way.others)))
        assert before.running == running
        if way.blind:
            failed = answer(machine, BLIND, **way.parameters)
            assert failed["kind"] == "verify", failed
            assert failed["problems"][-1] == "everything was put back as it was"
            assert state(machine) == before
        planned = answer(machine, QUICK, check=True, **way.parameters)
        assert state(machine) == before
        done = answer(machine, QUICK, **way.parameters)
        if way.refused:
            assert way.refused in done["msg"]
            assert done["kind"] in ("conflict", "invalid")
            assert planned["msg"] == done["msg"]
            assert state(machine) == before
            return
        assert done.get("changed"), done
        assert done["plan"] == planned["plan"]
        assert way.warned in str(done.get("warnings"))
        after = state(machine)
        assert (after.active, after.running, after.left) == ("active", running, "")
        assert after.web == before.web
        assert sorted(after.docker0) == sorted((way.parameters.get("bip", "172.17.0.1/16"), *way.kept))
        again = answer(machine, QUICK, **way.parameters)
        assert again.get("changed") is False, again
        home = answer(machine, QUICK, state="restored")
        assert home.get("changed"), home
        assert state(machine) == before
    finally:
        clean_up(machine)
