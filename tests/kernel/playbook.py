# SPDX-License-Identifier: GPL-3.0-or-later
"""Tasks as a user runs them: by ansible-playbook, over the local connection, each module as its own program."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from ansible_collections.hostwire.linux.tests.conftest import BUILD

CALLBACKS = Path(__file__).parent / "callback"

Result = dict[str, Any]
Tasks = list[dict[str, Any]]


def play(tasks: Tasks, directory: Path, *options: str, may_fail: bool = False) -> list[Result]:
    """What each task returned, in order. ``directory`` takes the files; ``options`` are ansible-playbook's.

    With ``may_fail`` a task that fails is a result like any other, and the next one runs.
    """
    playbook = directory / "playbook.json"
    playbook.write_text(
        json.dumps([{"hosts": "localhost", "gather_facts": False, "ignore_errors": may_fail, "tasks": tasks}])
    )
    return run_playbook(str(playbook), "localhost,", directory, *options, may_fail=may_fail)


def run_playbook(playbook: str, inventory: str, directory: Path, *options: str, may_fail: bool = False) -> list[Result]:
    """What each task of a playbook returned, in order; a playbook of the collection has its full name."""
    results = directory / "results"
    results.write_text("")
    (directory / "ansible.cfg").write_text("")  # nobody's settings but those below
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(directory / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(BUILD),
        "ANSIBLE_CALLBACK_PLUGINS": str(CALLBACKS),
        "ANSIBLE_STDOUT_CALLBACK": "results_file",
        "ANSIBLE_HOME": str(directory / "ansible"),
        "ANSIBLE_REMOTE_TEMP": str(directory / "remote"),
        "ANSIBLE_PIPELINING": "1",
        "RESULTS_FILE": str(results),
    }
    interpreter = f"ansible_python_interpreter={sys.executable}"
    command = [sys.executable, "-m", "ansible", "playbook", "-i", inventory, "-c", "local", "-e", interpreter]
    ran = subprocess.run(
        [*command, *options, playbook], env=environment, cwd=directory, check=False, capture_output=True, text=True
    )
    returned: list[Result] = [json.loads(line) for line in results.read_text().splitlines()]
    assert "Traceback" not in ran.stdout + ran.stderr, ran.stdout + ran.stderr
    assert may_fail or ran.returncode == 0, failures(returned) or ran.stdout + ran.stderr
    return returned


def failures(results: list[Result]) -> str:
    """What the tasks that failed say."""
    return "\n".join(f"{result['task']}: {result['msg']}" for result in results if result["failed"])
