# SPDX-License-Identifier: GPL-3.0-or-later
"""The same address with another prefix length: a link has no IPv6 address twice."""

from __future__ import annotations

from typing import Any, Callable, Dict, List

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import engine
from ansible_collections.hostwire.linux.plugins.module_utils.errors import VerificationFailed
from ansible_collections.hostwire.linux.tests.kernel.plainly import addresses, cable, ip, run

Document = Dict[str, Any]
pytestmark = pytest.mark.usefixtures("private_host")


def _bridge(address: str) -> Document:
    return {"bridges": [{"name": "eth0", "addresses": [address]}]}


def _interface(address: str) -> Document:
    return {"interfaces": [{"name": "eth0", "addresses": [address]}]}


KINDS = [
    pytest.param(_bridge, None, id="bridge"),
    pytest.param(cable, "red", id="cable"),
    pytest.param(_interface, None, id="interface"),
]


@pytest.mark.parametrize(("document", "netns"), KINDS)
@pytest.mark.parametrize(
    ("old", "new"), [("fd00::1/64", "fd00::1/80"), ("fd00::1/64", "fd00::1/48"), ("10.0.0.1/24", "10.0.0.1/25")]
)
def test_an_address_gets_another_prefix_length(
    document: Callable[[str], Document], netns: str | None, old: str, new: str
) -> None:
    if document is _interface:
        ip("link", "add", "eth0", "type", "veth", "peer", "name", "far")
        ip("link", "set", "eth0", "up")
    for address in (old, new):
        predicted = engine.run(document(address), check=True)
        assert run(document(address)).plan == predicted.plan
        assert addresses("eth0", netns) == [address]
        assert run(document(address)).plan == ()
    with pytest.raises(VerificationFailed, match="put back"):
        run({**document(old), "probes": [{"to": "198.51.100.1"}]})
    assert addresses("eth0", netns) == [new]


def test_so_where_it_moves_to_another_link() -> None:
    def switches(first: List[str], second: List[str]) -> Document:
        return {"bridges": [{"name": "b0", "addresses": first}, {"name": "b1", "addresses": second}]}

    run(switches(["fd00::1/64"], []))
    run(switches([], ["fd00::1/80"]))
    assert (addresses("b0"), addresses("b1")) == ([], ["fd00::1/80"])
