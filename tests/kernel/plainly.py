# SPDX-License-Identifier: GPL-3.0-or-later
"""What is on a host, as plain commands show it."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import engine
from ansible_collections.hostwire.linux.tests.kernel import world

Document = Dict[str, Any]
NOTHING: Document = {"state": "absent"}
BUILD = Path(__file__).resolve().parents[2] / "build"


def run(document: Document) -> engine.Result:
    return engine.run(document, dad_seconds=0)


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def link(name: str, netns: Optional[str] = None) -> Dict[str, Any]:
    """How iproute2 shows a link, its addresses included."""
    shown: Dict[str, Any] = next(entry for entry in world.ip(netns, "address show")[0] if entry["ifname"] == name)
    return shown


def addresses(name: str, netns: Optional[str] = None) -> List[str]:
    entries = link(name, netns)["addr_info"]
    return sorted(f"{entry['local']}/{entry['prefixlen']}" for entry in entries if entry["scope"] != "link")


def routes(netns: Optional[str] = None, protocol: str = "72") -> List[str]:
    """The destinations of a namespace's routes of this protocol, by default of those that are ours."""
    return sorted(route["dst"] for route in world.ip(netns, "route show table all")[0] if route["protocol"] == protocol)


def setting(path: str) -> str:
    return Path("/proc/sys", path).read_text().strip()


def cable(*there: str, netns: str = "red", **here: Any) -> Document:
    """A room with a cable into it: ``there`` are the addresses of its end in the room."""
    end = {"name": "eth0", "netns": netns, "addresses": list(there)}
    return {"namespaces": [{"name": netns}], "veths": [{"name": f"to-{netns}", **here, "peer": end}]}


@contextlib.contextmanager
def refused(kind: type[Exception], *words: str) -> Iterator[None]:
    """The engine refuses, in these words among others, and nothing at all has changed."""
    before = world.image()
    with pytest.raises(kind) as raised:
        yield
    for word in words:
        assert word in str(raised.value)
    assert world.differences(before, world.image()) == []
