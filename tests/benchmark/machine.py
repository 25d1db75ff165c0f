# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine that the figures are from, in words that say nothing about its owner."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import time
from typing import List

from private_host import WORK


def describe() -> str:
    """Markdown lines: processor, memory, kernel, programs, the file system under the journal, the load just before."""
    lines = [
        f"- {os.cpu_count()} processors, {_processor()}, {_memory_gib():.0f} GiB of memory",
        f"- Linux {platform.release().split('-')[0]}, {_first_line(['ip', '-V'])}",
        f"- {_first_line(['iptables', '--version'])}",
        f"- Python {platform.python_version()}, {_first_line(['ansible', '--version'])}",
        f"- state and journal on {_file_system()}",
        f"- load average before: {os.getloadavg()[0]:.1f}",
    ]
    return "\n".join(lines)


def today() -> str:
    return time.strftime("%Y-%m-%d", time.gmtime())


def backends() -> List[str]:
    """The iptables backends whose programs are here."""
    return [backend for backend in ("nft", "legacy") if shutil.which(f"iptables-{backend}-restore")]


def _processor() -> str:
    with open("/proc/cpuinfo") as file:
        names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _first_line(command: List[str]) -> str:
    beside = os.path.join(os.path.dirname(sys.executable), command[0])
    found = beside if os.path.exists(beside) else command[0]
    output = subprocess.run([found, *command[1:]], check=True, stdout=subprocess.PIPE, text=True).stdout
    return output.splitlines()[0]


def _file_system() -> str:
    ask = ["findmnt", "--noheadings", "--output", "FSTYPE", "--target", WORK]
    return subprocess.run(ask, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
