# SPDX-License-Identifier: GPL-3.0-or-later
"""An IPv6 address can be used as soon as the run ends, also where nobody is plugged in yet (hazard 28)."""

from __future__ import annotations

import socket
import subprocess
import time
from typing import Any, Dict, List, Optional

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import engine
from ansible_collections.hostwire.linux.plugins.module_utils.errors import VerificationFailed
from ansible_collections.hostwire.linux.plugins.module_utils.netns import inside

ADDRESSES = ["10.33.0.1/24", "fd00:33::1/64", "fd00:34::1/64"]
SWITCH: Dict[str, Any] = {"name": "br0", "addresses": ADDRESSES}
QUICK = 1.0  # seconds; a check for duplicates takes 2


def assert_usable(room: Optional[str] = None) -> None:
    with inside(room):
        for address in ADDRESSES[1:]:
            with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as service:
                service.bind((address.partition("/")[0], 53))


def flags(link: str) -> List[str]:
    """The words behind the scope of each address of the LAN."""
    shown = subprocess.check_output(["ip", "-6", "-o", "address", "show", "dev", link, "scope", "global"], text=True)
    return [line.partition("global")[2].split("\\")[0].strip() for line in shown.splitlines()]


@pytest.mark.parametrize(
    "document",
    [
        {"bridges": [SWITCH]},
        {"bridges": [SWITCH], "taps": [{"name": "tap0", "bridge": "br0"}]},
        {
            "namespaces": [{"name": "g"}],
            "bridges": [SWITCH],
            "veths": [{"name": "v", "bridge": "br0", "peer": {"name": "eth0", "netns": "g", "up": False}}],
        },
        {"namespaces": [{"name": "hub"}], "bridges": [{**SWITCH, "netns": "hub"}]},
        {
            "namespaces": [{"name": "g"}],
            "veths": [{"name": "v", "addresses": ADDRESSES, "peer": {"name": "eth0", "netns": "g", "up": False}}],
        },
    ],
    ids=["empty switch", "tap without a machine", "guest that is down", "in a namespace", "cable"],
)
def test_an_address_where_nobody_is_yet(private_host: object, document: Dict[str, Any]) -> None:
    began = time.monotonic()
    engine.run(document)
    assert time.monotonic() - began < QUICK
    assert_usable(document.get("bridges", [{}])[0].get("netns"))
    assert engine.run(document).plan == ()


def test_an_address_on_an_empty_bridge_of_somebody_elses(private_host: object) -> None:
    subprocess.run(["ip", "link", "add", "br9", "up", "type", "bridge"], check=True)
    engine.run({"interfaces": [{"name": "br9", "addresses": ADDRESSES}]})
    assert_usable()


def test_it_carries_no_mark_of_that(private_host: object) -> None:
    engine.run({"bridges": [SWITCH]})
    assert flags("br0") == ["", ""]


def test_one_that_waits_for_a_carrier_is_made_usable(private_host: object) -> None:
    """As earlier versions left it, or as whoever gave the switch back its addresses."""
    engine.run({"bridges": [SWITCH]})
    for address in ADDRESSES[1:]:
        subprocess.run(["ip", "address", "delete", address, "dev", "br0"], check=True)
        subprocess.run(["ip", "address", "add", address, "dev", "br0"], check=True)
    found = [f"host: br0: address {address}: usable at once" for address in ADDRESSES[1:]]
    assert list(engine.run({"bridges": [SWITCH]}, check=True).plan) == found
    assert list(engine.run({"bridges": [SWITCH]}).plan) == found
    assert_usable()
    assert engine.run({"bridges": [SWITCH]}).plan == ()


def test_one_that_is_being_checked_although_the_carrier_is_lost_is_left_to_that(private_host: object) -> None:
    """The kernel ends a check that it has begun; a run that says "usable at once" would be at work for nothing."""
    engine.run({"bridges": [SWITCH]})
    for command in (
        "link add v0 type veth peer name v1",
        "link set v0 master br0 up",
        "link set v1 up",
    ):
        subprocess.run(["ip", *command.split()], check=True)
    await_state("br0", "UP")
    subprocess.run(["ip", "link", "delete", "v0"], check=True)
    await_state("br0", "DOWN")
    for address in ADDRESSES[1:]:
        subprocess.run(["ip", "address", "delete", address, "dev", "br0"], check=True)
        subprocess.run(["ip", "address", "add", address, "dev", "br0"], check=True)
    assert flags("br0") == ["tentative", "tentative"]
    began = time.monotonic()
    assert engine.run({"bridges": [SWITCH]}, check=True).plan == ()
    while flags("br0") != ["", ""]:
        assert time.monotonic() - began < 20
        time.sleep(0.05)


def await_state(link: str, state: str) -> None:
    """Await the operational state of a link, which follows its carrier up to a second later."""
    with subprocess.Popen(["ip", "monitor", "link", "dev", link], stdout=subprocess.PIPE) as monitor:
        assert monitor.stdout is not None
        while f"state {state} " not in subprocess.check_output(["ip", "link", "show", link], text=True):
            assert monitor.stdout.readline()
        monitor.terminate()


@pytest.mark.parametrize("there", [True, False])
def test_where_somebody_else_is_plugged_in_it_is_checked(private_host: object, there: bool) -> None:
    """Who has the address already is found, and all is undone: see hazard 28 for a cable."""
    for command in (
        "netns add lan",
        "link add eth0 type veth peer name eth0 netns lan",
        "link set eth0 up",
        "-n lan link set eth0 up",
        "-n lan address add fd00:33::1/64 dev eth0 nodad",
    ):
        subprocess.run(["ip", *command.split()], check=True)
    if there:
        engine.run({"bridges": [{"name": "br0"}], "interfaces": [{"name": "eth0", "bridge": "br0"}]})
    with pytest.raises(VerificationFailed, match="somebody else on this network has it"):
        engine.run({"bridges": [SWITCH], "interfaces": [{"name": "eth0", "bridge": "br0"}]})


@pytest.mark.parametrize("hub", [None, "room"], ids=["host", "namespace"])
def test_a_carrier_that_came_and_went_with_a_run_is_nothing_left_of_it(private_host: object, hub: str | None) -> None:
    place = {"netns": hub} if hub else {}
    rooms = [{"name": name} for name in ("guest", hub) if name]
    switch = {"name": "br0", "addresses": ["fd00:9::1/64"], **place}
    alone = {"namespaces": rooms, "bridges": [switch]}
    engine.run(alone)
    plugged = {
        "namespaces": rooms,
        "bridges": [{**switch, "addresses": ["fd00:9::1/64", "fd00:9::2/64"]}],
        "veths": [{"name": "v", "bridge": "br0", **place, "peer": {"name": "eth0", "netns": "guest"}}],
        "probes": [{"from": "guest", "to": "192.0.2.1"}],
    }
    with pytest.raises(VerificationFailed, match="everything was put back as it was"):
        engine.run(plugged)
    assert not engine.run(alone).changed
