# SPDX-License-Identifier: GPL-3.0-or-later
"""Every test here that asks for ``private_host`` runs on a host of its own."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path
from typing import Iterator

import pytest

from ansible_collections.hostwire.linux.tests.kernel import private
from ansible_collections.hostwire.linux.tests.vm.kernel import kernel


@pytest.fixture(scope="session", autouse=True)
def _kernel_at_hand() -> None:
    """Fetched while this process still is on the machine: a private host has no network."""
    kernel()


@pytest.fixture
def private_host() -> Iterator[Path]:
    """A fresh network and mount namespace for one test; its value is a directory for files.

    /dev/net/tun is there for every user, as udev makes it: who may have which tap is for the tap to say.
    """
    with private.private_host() as directory:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/dev/net"], check=True)
        os.mknod("/dev/net/tun", stat.S_IFCHR | 0o666, os.makedev(10, 200))
        os.chmod("/dev/net/tun", 0o666)
        yield directory
