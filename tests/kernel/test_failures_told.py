# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that fails says why as far as it was seen, and whether anything is changed."""

from __future__ import annotations

import subprocess
from typing import Any, Dict, List

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils.errors import PUT_BACK, VerificationFailed
from ansible_collections.hostwire.linux.tests.kernel.steps import apply

ADDRESSES = {"ipv4": ("10.5.0.1/24", "10.5.0.2"), "ipv6": ("fd05::1/64", "fd05::2")}


def document(family: str, probed: str = "") -> Dict[str, Any]:
    own, guest = ADDRESSES[family]
    length = own.partition("/")[2]
    found: Dict[str, Any] = {
        "name": "main",
        "namespaces": [{"name": "guest"}],
        "bridges": [{"name": "sw0", "addresses": [own]}],
        "veths": [
            {
                "name": "v0",
                "bridge": "sw0",
                "peer": {"name": "e0", "netns": "guest", "addresses": [f"{guest}/{length}"]},
            }
        ],
        "forwarding": {family: True},
        "published_ports": [{"port": 8080, "to": f"[{guest}]:80" if ":" in guest else f"{guest}:80", "address": "any"}],
    }
    return {**found, "probes": [{"to": probed}]} if probed else found


def said(doc: Dict[str, Any]) -> List[str]:
    with pytest.raises(VerificationFailed) as failed:
        apply(doc)
    return list(failed.value.problems)


@pytest.mark.parametrize("tool", ["iptables", "ip6tables"])
@pytest.mark.usefixtures("private_host")
def test_what_may_be_why_a_probe_fails_is_told_with_it(tool: str) -> None:
    family = "ipv4" if tool == "iptables" else "ipv6"
    subprocess.run([tool, "-I", "FORWARD", "-j", "DROP"], check=True)
    nobody = "10.5.0.9" if family == "ipv4" else "fd05::9"
    first = said(document(family, nobody))
    assert first[0].startswith("probe: ")
    assert first[1] == PUT_BACK
    assert any(line.startswith("warning: ") and "FORWARD" in line for line in first[2:])
    apply(document(family))
    again = said(document(family, nobody))
    assert again[0].startswith("probe: ")
    assert again[1] == "nothing was changed: the network is as the document says"
    assert again[2:] == first[2:]
    subprocess.run([tool, "-D", "FORWARD", "-j", "DROP"], check=True)
    assert len(said(document(family, nobody))) == 2
