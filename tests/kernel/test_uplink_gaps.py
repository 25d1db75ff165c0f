# SPDX-License-Identifier: GPL-3.0-or-later
"""A host whose NIC goes into a bridge, or comes back, is hardly away, also for whoever does it by ssh."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import engine
from ansible_collections.hostwire.linux.tests.kernel import lan
from ansible_collections.hostwire.linux.tests.kernel.ssh import ssh_server

pytestmark = pytest.mark.usefixtures("private_host")


@pytest.mark.parametrize("address", ["192.168.1.2", "192.168.1.20", "2001:db8:1::2"])
@pytest.mark.parametrize("strict", [False, True], ids=["rp_filter-0", "rp_filter-1"])
def test_03_04_the_host_is_never_away_for_more_than_a_second(address: str, strict: bool) -> None:
    for name in ("all", "default"):
        Path(f"/proc/sys/net/ipv4/conf/{name}/rp_filter").write_text(str(int(strict)))
    lan.build()
    for document in (lan.BRIDGED, lan.NOTHING):
        with lan.pinged(address) as gap:
            engine.run(document)
        print(f"{address}: {gap.answers} answers, the longest gap {gap.seconds * 1000:.0f} ms")
        assert gap.seconds <= lan.LONGEST_GAP
        lan.ip("-n", "lan", "neigh", "flush", "all")
        assert lan.reached(address), "also by those who have to ask for its MAC address again"


def test_04_a_run_over_ssh_through_the_nic_that_it_moves_comes_to_its_end(private_host: Path) -> None:
    lan.build()
    program = private_host / "run.py"
    path = [directory for directory in sys.path if directory]
    program.write_text(f"""
import sys, time
sys.path[:0] = {path!r}
from ansible_collections.hostwire.linux.plugins.module_utils import engine
there = {{"bridges": [{{"name": "br0", "uplink": "eth0"}}]}}
for line in engine.run(there if sys.argv[1] == "there" else {{"state": "absent"}}).plan:
    print(line)
time.sleep(1)
print("over")
""")
    with ssh_server(private_host, "192.168.1.2", client="lan") as client:
        for way in ("there", "back"):
            with lan.pinged("192.168.1.2") as gap:
                ran = subprocess.run(
                    [*client, f"{sys.executable} {program} {way}"],
                    capture_output=True,
                    text=True,
                    check=False,
                    timeout=60,
                )
            assert (ran.returncode, ran.stdout.splitlines()[-1:]) == (0, ["over"]), ran.stderr
            assert "uplink of br0" in ran.stdout
            assert gap.seconds <= lan.LONGEST_GAP
    assert lan.ip("-br", "address", "show", "dev", "eth0").split()[2] == "192.168.1.2/24"


@pytest.mark.parametrize("address", ["192.168.1.2", "2001:db8:1::2"])
def test_03_neighbours_are_told_of_another_mac_address(address: str) -> None:
    lan.build()
    document = {"bridges": [{"name": "br0", "uplink": "eth0", "mac": "02:00:00:00:00:42"}]}
    for wanted, link in ((document, "br0"), (lan.NOTHING, "eth0")):
        with lan.pinged(address) as gap:
            engine.run(wanted)
        assert gap.seconds <= lan.LONGEST_GAP
        assert lan.mac(link) in lan.ip("-n", "lan", "neigh", "show", address)
    assert lan.mac("eth0") != "02:00:00:00:00:42"
