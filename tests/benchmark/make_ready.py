# SPDX-License-Identifier: GPL-3.0-or-later
"""What the benchmark needs first: the peers from PyPI in a venv of their own, and the collection's link."""

from __future__ import annotations

import filecmp
import os
import shutil
import subprocess
import sys

from private_host import ROOT, WORK

HERE = os.path.dirname(os.path.abspath(__file__))


def make_ready() -> None:
    """Make the peers' venv, anew when the requirements have changed, and build/ansible_collections/hostwire/linux."""
    os.makedirs(WORK, exist_ok=True)
    venv = os.path.join(WORK, "venv")
    requirements = os.path.join(HERE, "requirements.txt")
    installed = os.path.join(venv, "requirements.txt")
    if not os.path.exists(installed) or not filecmp.cmp(installed, requirements, shallow=False):
        subprocess.run([sys.executable, "-m", "venv", "--clear", venv], check=True)
        pip = [os.path.join(venv, "bin", "python"), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
        subprocess.run([*pip, "--requirement", requirements], check=True)
        shutil.copyfile(requirements, installed)
    link = os.path.join(ROOT, "build", "ansible_collections", "hostwire", "linux")
    if not os.path.exists(link):
        os.makedirs(os.path.dirname(link), exist_ok=True)
        os.symlink(os.path.relpath(ROOT, os.path.dirname(link)), link)
