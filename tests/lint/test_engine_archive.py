# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine as one file, which a host runs at boot without Ansible."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def test_the_archive_runs_alone_and_holds_no_ansible(tmp_path: Path) -> None:
    subprocess.run(["make", "--silent", "engine"], cwd=REPOSITORY, check=True)
    archive = tmp_path / "engine.pyz"
    archive.write_bytes((REPOSITORY / "build" / "engine.pyz").read_bytes())
    assert not [name for name in zipfile.ZipFile(archive).namelist() if "ansible" in name]

    # -I -S: neither the directory it is called in nor installed packages can lend it anything.
    command = [sys.executable, "-I", "-S", str(archive)]
    shown = subprocess.run([*command, "--help"], cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    assert "apply" in shown

    bad = tmp_path / "bad.json"
    bad.write_text('{"namespaces": [{"name": "a/b"}]}')
    refused = subprocess.run(
        [*command, "--state-dir", str(tmp_path / "state"), "apply", "--check", str(bad)],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
    )
    assert refused.returncode == 1
    assert "namespaces[0].name" in refused.stderr
    assert "Traceback" not in refused.stderr
