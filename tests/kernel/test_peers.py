# SPDX-License-Identifier: GPL-3.0-or-later
"""Cables whose ends all have the same indexes: each is told from the others, whatever the ends look like."""

from __future__ import annotations

import subprocess
from typing import Dict, List, Optional

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import peers
from ansible_collections.hostwire.linux.plugins.module_utils.model import LinkKey
from ansible_collections.hostwire.linux.plugins.module_utils.observe import Question, observe

pytestmark = pytest.mark.usefixtures("private_host")
PAIRS = 12


def build(mac: Optional[str]) -> None:
    """Namespaces a0, a1, … and b0, b1, …; the only cable of each a leads to the b at the other end of the row."""
    address = f"address {mac}" if mac else ""
    lines = [f"netns add {side}{number}" for number in range(PAIRS) for side in "ab"]
    for number in range(PAIRS):
        peer = f"peer name eth0 netns b{PAIRS - 1 - number} {address}"
        lines.append(f"link add eth0 netns a{number} {address} type veth {peer}")
    subprocess.run(["ip", "-batch", "-"], input="\n".join(lines), text=True, check=True)


def look() -> Dict[LinkKey, LinkKey]:
    names = [f"{side}{number}" for number in range(PAIRS) for side in "ab"]
    view = observe({name: Question() for name in names})
    indexes = {(room.links["eth0"].index, room.links["eth0"].peer_index) for room in view.views.values() if room.netns}
    assert len(indexes) == 1, "the indexes tell the ends apart: this tries nothing"
    return view.peers


@pytest.mark.parametrize("mac", [None, "02:00:00:00:00:07"], ids=["macs differ", "macs are the same"])
def test_ends_with_equal_indexes_find_their_peers(mac: Optional[str]) -> None:
    build(mac)
    wanted = {(f"a{number}", "eth0"): (f"b{PAIRS - 1 - number}", "eth0") for number in range(PAIRS)}
    assert look() == {**wanted, **{b: a for a, b in wanted.items()}}


def test_an_end_asks_about_those_only_that_look_like_its_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand guests with a router each would otherwise be a million questions."""
    asked: List[int] = []
    read_ids = peers.read_ids
    monkeypatch.setattr(peers, "read_ids", lambda channel, fds: asked.append(len(fds)) or read_ids(channel, fds))
    build(None)
    look()
    assert asked == [1] * (2 * PAIRS)
