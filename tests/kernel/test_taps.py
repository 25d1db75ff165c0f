# SPDX-License-Identifier: GPL-3.0-or-later
"""Taps, as virtual machines use them: made before the machine starts, its user's, and carrying what it says."""

from __future__ import annotations

import fcntl
import json
import os
import select
import struct
import subprocess
from io import FileIO
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import engine
from ansible_collections.hostwire.linux.plugins.module_utils.errors import Conflict, InvalidValue
from ansible_collections.hostwire.linux.tests.kernel import world

NOTHING = {"state": "absent"}
SWITCH: dict[str, Any] = {
    "bridges": [{"name": "v-net-0", "addresses": ["192.168.15.5/24"]}],
    "taps": [{"name": "tap0", "bridge": "v-net-0", "owner": "nobody", "mac": "02:00:00:00:00:07"}],
}
REQUEST = "0001080006040001020000000009c0a80f09000000000000c0a80f05"  # who has .5? tell .9 (RFC 826)

pytestmark = pytest.mark.usefixtures("private_host")


def link(name: str) -> dict[str, Any]:
    shown: dict[str, Any] = json.loads(subprocess.check_output(["ip", "-j", "-d", "link", "show", "dev", name]))[0]
    return shown


def opened_by(user: int, name: str) -> int:
    """How the attempt of a user's program to open a tap ends, as qemu does it: 0, or the error number."""
    child = os.fork()
    if child == 0:
        status = 99
        try:
            device = os.open("/dev/net/tun", os.O_RDWR)
            os.setresuid(user, user, user)
            fcntl.ioctl(device, 0x400454CA, struct.pack("16sH22x", name.encode(), 0x5002))  # TUNSETIFF, a tap
            status = 0
        except OSError as error:
            status = error.errno or 98
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_tap_is_there_for_its_user_and_nobody_else() -> None:
    before = world.image()
    predicted = engine.run(SWITCH, check=True)
    assert world.differences(before, world.image()) == []
    done = engine.run(SWITCH)
    assert done.plan == predicted.plan
    assert "host: tap tap0: create, for nobody" in done.plan
    shown = link("tap0")
    assert (shown["master"], shown["address"]) == ("v-net-0", "02:00:00:00:00:07")
    assert (shown["linkinfo"]["info_kind"], shown["linkinfo"]["info_data"]["type"]) == ("tun", "tap")
    assert shown["linkinfo"]["info_data"]["persist"] is True
    assert engine.run(SWITCH).plan == ()
    assert opened_by(65534, "tap0") == 0
    assert opened_by(65533, "tap0") == 1  # EPERM
    engine.run(NOTHING)
    assert world.differences(before, world.image()) == []


def test_what_a_machine_sends_arrives_at_the_switch() -> None:
    engine.run(SWITCH)
    with open("/dev/net/tun", "r+b", buffering=0) as device:
        fcntl.ioctl(device, 0x400454CA, struct.pack("16sH22x", b"tap0", 0x1002))  # IFF_TAP | IFF_NO_PI
        assert answer_to(device, bytes.fromhex("ffffffffffff" + "020000000009" + "0806" + REQUEST)) == "192.168.15.5"
        assert engine.run(SWITCH).plan == ()  # also while a machine runs


def answer_to(device: FileIO, request: bytes) -> str:
    """Who answers an ARP request, asked every 0.2 s for 10 s: a switch hears nothing on a port just plugged in."""
    for _attempt in range(50):
        device.write(request)
        while select.select([device], [], [], 0.2)[0]:
            frame = device.read(2048)
            if frame[12:14] == b"\x08\x06" and frame[20:22] == b"\x00\x02":
                return ".".join(map(str, frame[28:32]))
    return "nobody"


def test_a_tap_of_another_user_is_made_anew() -> None:
    engine.run(SWITCH)
    other = {**SWITCH, "taps": [{**SWITCH["taps"][0], "owner": "1"}]}
    done = engine.run(other)
    assert done.plan[0] == "host: tap tap0: remove (it belongs to user 65534)"
    assert opened_by(1, "tap0") == 0
    assert engine.run(other).plan == ()
    assert engine.run({"name": "main", "state": "absent"}).plan[-1] == "tap host/tap0: remove"


def test_a_tap_may_be_that_of_the_highest_user_there_can_be() -> None:
    """Directory services number users up there."""
    high = {**SWITCH, "taps": [{**SWITCH["taps"][0], "owner": 2**32 - 2}]}
    engine.run(high)
    assert opened_by(2**32 - 2, "tap0") == 0
    assert opened_by(65534, "tap0") == 1
    assert engine.run(high).plan == ()


def test_an_unknown_user_is_told_before_anything_changes() -> None:
    before = world.image()
    with pytest.raises(InvalidValue, match=r'^taps\[0\].owner: this host has no user "qemuu"; name one that it has'):
        engine.run({**SWITCH, "taps": [{"name": "tap0", "owner": "qemuu"}]})
    assert world.differences(before, world.image()) == []
    assert not Path("/var/lib/hostwire/main.state").exists()


def test_somebody_elses_tap_is_a_conflict() -> None:
    subprocess.run(["ip", "tuntap", "add", "tap0", "mode", "tap"], check=True)
    with pytest.raises(Conflict, match=r"tap tap0: host has a link of this name already \(tap\), and it isn't ours"):
        engine.run(SWITCH)
