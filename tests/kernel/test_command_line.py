# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine as a program: its status says what was done, also where nobody can read what is said of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Dict, List

import pytest

BUILD = Path(__file__).resolve().parents[2] / "build"
ENGINE = f"{sys.executable} -m ansible_collections.hostwire.linux.plugins.module_utils.cli"
DOCUMENT = {"bridges": [{"name": "b", "addresses": ["10.5.0.1/24"]}]}

# What a shell does with the streams of a command.
UNREAD: Dict[str, str] = {
    "closed output": ">&-",
    "closed errors": "2>&-",
    "everything closed": "<&- >&- 2>&-",
    "a full disk": ">/dev/full",
    "errors on a full disk": "2>/dev/full",
    "everything on a full disk": ">/dev/full 2>&1",
    "a reader that has gone": "| true; exit ${PIPESTATUS[0]}",
    "both, to a reader that has gone": "2>&1 | true; exit ${PIPESTATUS[0]}",
}

pytestmark = pytest.mark.usefixtures("private_host")


def engine(words: str, streams: str = "") -> subprocess.CompletedProcess[str]:
    command = ["/bin/bash", "-c", f"{ENGINE} {words} {streams}"]
    done = subprocess.run(command, cwd=BUILD, check=False, capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    return done


def bridges() -> List[str]:
    listed = subprocess.run(["ip", "-j", "link", "show", "type", "bridge"], check=True, capture_output=True, text=True)
    return [link["ifname"] for link in json.loads(listed.stdout) if link]


@pytest.mark.parametrize("streams", UNREAD.values(), ids=UNREAD)
def test_what_was_done_is_a_success_whoever_hears_of_it(private_host: Path, streams: str) -> None:
    (private_host / "document").write_text(json.dumps(DOCUMENT))
    assert engine(f"apply {private_host}/document", streams).returncode == 0
    assert bridges() == ["b"]
    assert engine("absent main", streams).returncode == 0
    assert bridges() == []


@pytest.mark.parametrize("streams", UNREAD.values(), ids=UNREAD)
def test_an_error_is_one_whoever_hears_of_it(private_host: Path, streams: str) -> None:
    (private_host / "document").write_text('{"bridges": [{"name": ""}]}')
    assert engine(f"apply {private_host}/document", streams).returncode == 1
    assert engine("no-such-command", streams).returncode == 2


def test_a_command_that_only_tells_has_failed_where_it_could_not(private_host: Path) -> None:
    (private_host / "document").write_text(json.dumps(DOCUMENT))
    for words in ("info", f"apply --check {private_host}/document"):
        assert engine(words).returncode == 0
        assert engine(words, ">&-").returncode == 1
        full = engine(words, ">/dev/full")
        assert (full.returncode, full.stderr) == (1, "hostwire: standard output: No space left on device\n")
