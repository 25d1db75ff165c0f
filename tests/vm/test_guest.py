# SPDX-License-Identifier: GPL-3.0-or-later
"""A virtual machine plugs into a tap of the document as its owner, and is on the network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import engine, probe
from ansible_collections.hostwire.linux.plugins.module_utils.model import Probe
from ansible_collections.hostwire.linux.tests.vm.guest import PORT, GuestError, Nic, booted

MAC = "52:54:00:00:00:07"
SWITCH: dict[str, Any] = {
    "bridges": [{"name": "v-net-0", "addresses": ["192.168.15.5/24", "fd00:15::5/64"]}],
    "taps": [{"name": "tap0", "bridge": "v-net-0", "owner": "nobody"}],
}


def test_a_machine_of_the_taps_owner_is_on_the_switch(private_host: Path) -> None:
    engine.run(SWITCH)
    with booted("machine", [Nic("tap0", MAC)], private_host, owner="nobody") as guest:
        assert guest.said("cat /sys/class/net/eth0/address") == MAC
        guest.said("ip link set eth0 up; ip address add 192.168.15.9/24 dev eth0")
        guest.said("ip address add fd00:15::9/64 dev eth0")
        for address in ("fd00:15::5", "192.168.15.5"):
            assert guest.reaches(address, "icmp", seconds=10)  # at once, and with one packet
            assert not guest.reaches(address, "tcp")
            assert not guest.reaches(address, "udp")
        guest.serve()
        claims = [
            Probe(None, address, protocol, None if protocol == "icmp" else PORT)
            for address in ("192.168.15.9", "fd00:15::9")
            for protocol in ("icmp", "tcp", "udp")
        ]
        assert [result.detail for result in probe.run(claims, timeout=10.0) if not result.ok] == []
        assert guest.run("ls /nowhere").status == 1
        assert engine.run(SWITCH).plan == ()  # also while it runs


def test_nobody_else_may_run_a_machine_on_a_tap(private_host: Path) -> None:
    engine.run({**SWITCH, "taps": [{**SWITCH["taps"][0], "owner": "daemon"}]})
    refused = pytest.raises(GuestError, match=r"could not configure /dev/net/tun \(tap0\): Operation not permitted")
    with refused, booted("stranger", [Nic("tap0", MAC)], private_host, owner="nobody"):
        pass


def test_a_command_that_takes_too_long_is_given_up(private_host: Path) -> None:
    given_up = pytest.raises(GuestError, match=r"no end within 0\.5 s of: sleep 60")
    with given_up, booted("slow", [], private_host) as guest:
        guest.run("sleep 60", seconds=0.5)
