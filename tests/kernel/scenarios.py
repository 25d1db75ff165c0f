# SPDX-License-Identifier: GPL-3.0-or-later
"""The five scenarios: built by plain commands or by a document, looked at and probed by independent programs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict

import yaml

DIRECTORY = Path(__file__).resolve().parents[1] / "scenarios"
NAMES = ["1-two-rooms", "2-switch", "3-out-to-the-lan", "4-two-lans-one-router", "5-host-as-router"]

# The tail of scenario 3: a neighbour on a LAN that the document doesn't own.
LAN = """
netns add lan
link add eth0 type veth peer name eth0 netns lan
addr add 192.168.1.2/24 dev eth0
link set eth0 up
"""
LAN_INSIDE = """
addr add 192.168.1.3/24 dev eth0
link set lo up
link set eth0 up
"""


def document(name: str) -> Dict[str, Any]:
    loaded: Dict[str, Any] = yaml.safe_load((DIRECTORY / f"{name}.yml").read_text())
    return loaded


def build_by_commands(name: str) -> None:
    subprocess.run([DIRECTORY / f"{name}.sh"], check=True)


def build_surroundings(name: str) -> None:
    """What the document of a scenario takes for granted."""
    if name.startswith("3-"):
        subprocess.run(["ip", "-batch", "-"], input=LAN, text=True, check=True)
        subprocess.run(["ip", "-n", "lan", "-batch", "-"], input=LAN_INSIDE, text=True, check=True)


def snapshot() -> Dict[str, Any]:
    done = subprocess.run([sys.executable, DIRECTORY / "snapshot.py"], check=True, capture_output=True, text=True)
    taken: Dict[str, Any] = json.loads(done.stdout)
    return taken


def probe(name: str) -> str:
    """What the independent prober found; fails the test if a probe is not as expected."""
    listener = None
    if name.startswith("3-"):
        command = [sys.executable, DIRECTORY / "listen.py", "blue", "0.0.0.0", "80"]
        listener = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert listener.stdout is not None
        assert listener.stdout.readline() == "listening\n"
    try:
        done = subprocess.run(
            [sys.executable, DIRECTORY / "probe.py", DIRECTORY / f"{name}.probes.yml"],
            check=False,
            capture_output=True,
            text=True,
        )
    finally:
        if listener is not None:
            listener.terminate()
            listener.wait()
            if listener.stdout is not None:
                listener.stdout.close()
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
