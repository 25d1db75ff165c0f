# SPDX-License-Identifier: GPL-3.0-or-later
"""A prefix that the LAN's router advertises leads to the LAN by the link that hears it, and by no other."""

from __future__ import annotations

import json
import subprocess
from typing import Any, Dict, List, Optional

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import engine
from ansible_collections.hostwire.linux.plugins.module_utils.errors import VerificationFailed
from ansible_collections.hostwire.linux.tests.kernel import lan
from ansible_collections.hostwire.linux.tests.kernel.advertising import advertise
from ansible_collections.hostwire.linux.tests.kernel.guest_world import ping

PREFIX, PEER = "2001:db8:5::/64", "2001:db8:5::77"
Document = Dict[str, Any]
pytestmark = pytest.mark.usefixtures("private_host")


def build(room: Optional[str], autonomous: bool = True) -> None:
    """A NIC, the host's or a namespace's, on a LAN with a neighbour and a router's advertisements."""
    inside = ["-n", room] if room else []
    if room:
        lan.batch(f"netns add {room}")
    lan.batch(f"netns add lan\nlink add eth0 {f'netns {room}' if room else ''} type veth peer name eth0 netns lan")
    lan.batch(f"link set eth0 up\naddress add {PEER}/64 dev eth0 nodad", "lan")
    subprocess.run(["ip", *inside, "link", "set", "eth0", "up"], check=True)
    lan.settled("eth0", "lan")
    advertise("lan", "eth0", lambda: leads(room) == ["eth0"], PREFIX, autonomous)
    lan.settled("eth0", room)


def leads(room: Optional[str]) -> List[str]:
    """The links by which a room has a route to the prefix."""
    inside = ["-n", room] if room else []
    return [route["dev"] for route in json.loads(lan.ip(*inside, "-6", "-j", "route", "show", PREFIX))]


def both_ways(room: Optional[str]) -> bool:
    for command in ([], ["-n", "lan"]):
        subprocess.run(["ip", *command, "-6", "neighbour", "flush", "all"], check=True, capture_output=True)
    return ping(room, PEER)


def bridge(room: Optional[str], **more: Any) -> Document:
    return {"bridges": [{"name": "br0", "netns": room, **more}]}


@pytest.mark.parametrize("room", [None, "box"])
@pytest.mark.parametrize("autonomous", [True, False])
def test_the_route_moves_with_the_work_and_goes_back(room: Optional[str], autonomous: bool) -> None:
    build(room, autonomous)
    own = ["2001:db8:5::5/64"] if autonomous else []  # the document's, in the same prefix
    for document, link in (
        (bridge(room, uplink="eth0"), "br0"),
        (bridge(room), "eth0"),
        (bridge(room, uplink="eth0", addresses=own), "br0"),
        (lan.NOTHING, "eth0"),
    ):
        predicted = engine.run(document, check=True).plan
        assert engine.run(document).plan == predicted
        assert leads(room) == [link]
        if autonomous:
            assert both_ways(room)
        assert engine.run(document).plan == ()


def test_a_route_that_was_left_behind_is_taken_away() -> None:
    """As earlier versions did."""
    build(None)
    document = bridge(None, uplink="eth0")
    engine.run(document)
    lan.ip("-6", "route", "append", PREFIX, *["dev", "eth0", "proto", "kernel", "metric", "256", "expires", "1000"])
    assert engine.run(document).plan == ("host: eth0: uplink of br0, which takes over 1 route",)
    assert leads(None) == ["br0"]
    assert engine.run(document).plan == ()


def test_a_move_that_is_undone_leaves_one_route() -> None:
    build(None)
    with pytest.raises(VerificationFailed):
        engine.run({**bridge(None, uplink="eth0"), "probes": [{"to": "2001:db8:5::78"}]})
    assert leads(None) == ["eth0"]
    assert both_ways(None)


def test_an_own_address_of_the_bridge_keeps_its_route_on_the_way_back() -> None:
    build(None)
    document = bridge(None, uplink="eth0", addresses=["2001:db8:6::1/64"])
    engine.run(document)
    engine.run(bridge(None, addresses=["2001:db8:6::1/64"]))
    assert leads(None) == ["eth0"]
    assert json.loads(lan.ip("-6", "-j", "route", "show", "2001:db8:6::/64"))[0]["dev"] == "br0"
