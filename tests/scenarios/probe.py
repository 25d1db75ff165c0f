# SPDX-License-Identifier: GPL-3.0-or-later
"""probe.py FILE: try every probe of a *.probes.yml file with ping and plain sockets; exit 1 if one is not as expected.

An independent check of what the collection's own probes say. Needs PyYAML, iproute2, iputils-ping. For a TCP probe
whose address is published to another port, start the listener yourself: see listen.py.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

TCP = "import socket,sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 2).close()"


def reachable(probe: dict[str, Any]) -> bool:
    inside = ["ip", "netns", "exec", probe["from"]] if probe["from"] else []
    if probe.get("protocol", "icmp") == "icmp":
        command = ["ping", "-c1", "-W1", probe["to"]]
    else:
        command = [sys.executable, "-c", TCP, probe["to"], str(probe["port"])]
    return subprocess.run(inside + command, check=False, capture_output=True).returncode == 0


def main(path: str) -> int:
    wrong = 0
    for probe in yaml.safe_load(Path(path).read_text(encoding="utf-8")):
        got = "reachable" if reachable(probe) else "unreachable"
        wrong += got != probe["expect"]
        mark = "ok   " if got == probe["expect"] else "WRONG"
        print(mark, probe["from"] or "the host", "->", probe["to"], probe.get("port", ""), got)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
