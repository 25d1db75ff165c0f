# SPDX-License-Identifier: GPL-3.0-or-later
"""An end of a cable to which somebody else gives addresses: those stay, and ours are exactly the document's."""

from __future__ import annotations

from typing import Any, Dict, List

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import netns as namespaces
from ansible_collections.hostwire.linux.tests.kernel import world
from ansible_collections.hostwire.linux.tests.kernel.plainly import NOTHING, addresses, cable, ip, run, setting

pytestmark = pytest.mark.usefixtures("private_host")


def document(*given: str, leased: bool = True) -> Dict[str, Any]:
    found = cable(*given)
    found["veths"][0]["peer"]["leased"] = leased
    return found


def accept_ra() -> str:
    with namespaces.inside("red"):
        return setting("net/ipv6/conf/eth0/accept_ra")


def test_what_a_dhcp_client_gave_stays() -> None:
    before = world.image()
    run(document("10.7.0.2/24"))
    ip("-n", "red", "address", "add", "10.9.0.7/24", "dev", "eth0")
    ip("-n", "red", "address", "add", "fd00:9::7/64", "dev", "eth0")
    again = run(document("10.7.0.2/24"))
    assert again.plan == ()
    assert again.after["veths"][0]["peer"]["addresses"] == ["10.7.0.2/24"]
    assert addresses("eth0", "red") == ["10.7.0.2/24", "10.9.0.7/24", "fd00:9::7/64"]
    run(NOTHING)
    assert world.differences(before, world.image()) == []


def test_an_address_of_ours_goes_when_the_document_leaves_it_to_somebody_else() -> None:
    run(document("10.7.0.2/24", "10.7.0.3/24", leased=False))
    ip("-n", "red", "address", "add", "10.9.0.7/24", "dev", "eth0")
    predicted = plan_of(document("10.7.0.3/24"))
    assert predicted == ["red: eth0: accept_ra 0 -> 2", "red: eth0: address 10.7.0.2/24: remove"]
    assert addresses("eth0", "red") == ["10.7.0.3/24", "10.9.0.7/24"]
    run(document("10.7.0.3/24", leased=False))
    assert addresses("eth0", "red") == ["10.7.0.3/24"]


def plan_of(wanted: Dict[str, Any]) -> List[str]:
    return sorted(run(wanted).plan)


def test_routers_are_heard_where_addresses_come_from_elsewhere_and_only_there() -> None:
    run(document())
    assert accept_ra() == "2"
    run(document(leased=False))
    assert accept_ra() == "0"
    run(document())
    assert accept_ra() == "2"
    here = {"name": "to-red", "leased": True, "peer": {"name": "eth0", "netns": "red"}}
    run({"namespaces": [{"name": "red"}], "veths": [here]})
    assert setting("net/ipv6/conf/to-red/accept_ra") == "0"  # never on the host: CVE-2020-10749
