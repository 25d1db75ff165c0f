# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules that are killed on a host at a chosen point of their run."""

from __future__ import annotations

import json
from typing import Any

from ansible_collections.hostwire.linux.tests.docker.machines import DRIVER, Machine

# Kills the module with SIGKILL at a point: before or after a deed, after a file, or once a phase is in the journal.
KILLED = """
import os, signal, sys
sys.path.insert(0, "/opt/hostwire")
from ansible_collections.hostwire.linux.plugins.module_utils.apply import file_edits, journals
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.readdress import deeds
def reach(point):
    if point == os.environ["POINT"]:
        os.kill(os.getpid(), signal.SIGKILL)
do, bring, write = deeds.Docker.do, file_edits.bring, journals.Journals.write
def do_or_die(self, deed, tolerant):
    back = "back: " * tolerant
    reach(back + "before " + deed.kind)
    do(self, deed, tolerant)
    reach(back + "after " + deed.kind)
def bring_and_die(edit, mends, begun):
    bring(edit, mends, begun)
    reach("back: " * mends + os.path.basename(edit.path))
def write_and_die(self, job, phase):
    write(self, job, phase)
    reach(phase)
deeds.Docker.do, file_edits.bring, journals.Journals.write = do_or_die, bring_and_die, write_and_die
"""


def killed(machine: Machine, module: str, point: str, preface: str = "", **parameters: Any) -> None:
    """Run a module, in a process that ``preface`` is told first, until it is killed at this point."""
    asked = json.dumps([module, parameters])
    done = machine.completed("env", f"POINT={point}", "python3", "-c", KILLED + preface + DRIVER, stdin=asked)
    assert done.returncode == 137, done.stdout + done.stderr
