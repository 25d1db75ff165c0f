# SPDX-License-Identifier: GPL-3.0-or-later
"""What breaks naive automation of namespaces and links, and doesn't break this.

Each test is named after its number in the project's list of hazards.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import List

import pytest
import yaml

from ansible_collections.hostwire.linux.plugins.module_utils import engine
from ansible_collections.hostwire.linux.plugins.module_utils import netns as namespaces
from ansible_collections.hostwire.linux.plugins.module_utils.errors import Conflict, InvalidValue
from ansible_collections.hostwire.linux.tests.kernel import world
from ansible_collections.hostwire.linux.tests.kernel.plainly import (
    BUILD,
    NOTHING,
    Document,
    addresses,
    cable,
    ip,
    link,
    refused,
    routes,
    run,
)

pytestmark = pytest.mark.usefixtures("private_host")


# What isn't ours


def test_other_peoples_things_in_the_way_are_conflicts_all_named_at_once() -> None:
    world.build_surroundings()
    ip("link", "add", "v-net-0", "type", "bridge")
    Path("/etc/netns/red").mkdir(parents=True)
    Path("/etc/netns/red/hosts").write_text("127.0.0.1 mine\n")
    with refused(
        Conflict,
        'namespace "lan" exists and isn\'t ours',
        "bridge v-net-0: host has a link of this name already (bridge), and it isn't ours",
        "file /etc/netns/red/hosts exists and isn't ours",
        "route 198.51.100.0/24 via 192.168.1.3 (host): there is one with the same prefix and metric already",
    ):
        run(
            {
                "namespaces": [{"name": "lan"}, {"name": "red", "hosts": {"db": "10.0.0.1"}}],
                "bridges": [{"name": "v-net-0"}],
                "routes": [{"to": "198.51.100.0/24", "via": "192.168.1.3"}],
            }
        )


def test_two_documents_side_by_side_touch_only_their_own() -> None:
    world.build_surroundings()
    bare = world.image()["rooms"]
    run(world.FIRST)
    with_first = world.image()
    other = {"name": "other", **cable("10.50.0.2/24", netns="grey", addresses=["10.50.0.1/24"])}
    other["routes"] = [{"to": "10.51.0.0/16", "via": "10.50.0.2"}]
    run(other)
    assert run(world.FIRST).plan == ()
    with refused(Conflict, "belongs to the document 'other'"):
        run({**world.FIRST, "bridges": [*world.FIRST["bridges"], {"name": "to-grey"}]})
    with refused(Conflict, "namespace \"red\" belongs to the document 'main': take it off"):
        run({"name": "third", "namespaces": [{"name": "red"}]})
    run({"name": "other", **NOTHING})
    assert world.differences(with_first, world.image()) == []
    run(other)
    run(NOTHING)
    assert run(other).plan == ()
    run({"name": "other", **NOTHING})
    assert world.differences(bare, world.image()["rooms"]) == []


def test_a_port_that_another_document_publishes_is_a_conflict() -> None:
    run({"published_ports": [{"port": "8000-8080", "to": "10.50.0.2:8000-8080", "address": "any"}]})
    other = {"name": "other", "published_ports": [{"port": 8080, "to": "10.51.0.2:80"}]}
    with refused(Conflict, "published port tcp 127.0.0.1:8080: the document 'main' publishes any:8080 already"):
        run(other)
    run({"published_ports": [{"port": 8080, "to": "10.50.0.2:80", "address": "192.0.2.1"}]})
    run(other)  # another address
    run({"published_ports": [{"protocol": "udp", "port": 8080, "to": "10.50.0.2:80", "address": "any"}]})
    assert run(other).plan == ()


def test_without_a_state_file_links_and_rooms_are_known_by_their_marks() -> None:
    world.build_surroundings()
    bare = world.image()["rooms"]
    document = cable("10.50.0.2/24", addresses=["10.50.0.1/24"])
    run(document)
    os.unlink("/var/lib/hostwire/main.state")
    assert run(document).plan == ()
    os.unlink("/var/lib/hostwire/main.state")
    run(cable("10.50.0.3/24", addresses=["10.50.0.1/24"]))
    assert addresses("eth0", "red") == ["10.50.0.3/24"]
    run(NOTHING)
    assert world.differences(bare, world.image()["rooms"]) == []


def test_after_a_reboot_everything_is_made_again() -> None:
    run(document := cable("10.50.0.2/24", addresses=["10.50.0.1/24"]))
    ip("link", "delete", "to-red")
    ip("netns", "delete", "red")
    state = Path("/var/lib/hostwire/main.state")
    state.write_text(json.dumps({**json.loads(state.read_text()), "boot": "another"}))
    ip("link", "add", "to-red", "type", "bridge")  # the new kernel's numbers mean nothing: this one isn't ours
    with refused(Conflict, "to-red", "it isn't ours"):
        run(document)
    ip("link", "delete", "to-red")
    assert run(document).changed
    assert addresses("eth0", "red") == ["10.50.0.2/24"]


def test_13_a_name_that_is_another_links_altname_is_a_conflict() -> None:
    world.build_surroundings()
    ip("link", "property", "add", "dev", "eth0", "altname", "v-net-0")
    with refused(Conflict, 'bridge v-net-0: host has a link "eth0" with this altname already'):
        run({"bridges": [{"name": "v-net-0"}]})


# Namespaces and links


def test_16_a_plain_file_that_a_crash_left_is_made_a_namespace() -> None:
    Path("/run/netns/red").touch(0)
    run({"namespaces": [{"name": "red"}]})
    assert subprocess.run(["ip", "netns", "exec", "red", "true"], check=False).returncode == 0
    run(NOTHING)
    assert os.listdir("/run/netns") == []


IN_A_PRIVATE_MOUNT_NAMESPACE = f"""
mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /var/lib && mkdir /run/netns || exit 9
unshare --mount --propagation private {sys.executable} -c '
import sys
sys.path.insert(0, "{BUILD}")
from ansible_collections.hostwire.linux.plugins.module_utils import engine
try:
    engine.run({{"namespaces": [{{"name": "red"}}]}})
except Exception as error:
    print(type(error).__name__, error)
'
ls /run/netns
"""


def test_17_a_namespace_that_nobody_else_would_see_is_refused() -> None:
    command = [
        "unshare",
        "--net",
        "--mount",
        "--pid",
        "--fork",
        "--mount-proc",
        "sh",
        "-c",
        IN_A_PRIVATE_MOUNT_NAMESPACE,
    ]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.startswith("Conflict namespace red: this process is in a private mount namespace")
    assert done.stdout.endswith("everything was put back as it was\n")


def test_18_a_namespace_in_which_a_process_lives_is_not_taken_away() -> None:
    run({"namespaces": [{"name": "red"}]})
    with subprocess.Popen(["ip", "netns", "exec", "red", "sleep", "600"]) as process:
        try:
            while Path(f"/proc/{process.pid}/comm").read_text() != "sleep\n":
                time.sleep(0.005)
            with refused(Conflict, "namespace red can't be removed", f"{process.pid} (sleep 600)"):
                run(NOTHING)
        finally:
            process.kill()
    run(NOTHING)
    assert namespaces.names() == []


def test_19_an_end_that_moves_to_another_room_keeps_its_addresses_mtu_and_state() -> None:
    rooms: Document = {"namespaces": [{"name": "red"}, {"name": "blue"}]}
    for netns in ("red", "blue"):
        veth = cable("10.50.0.2/24", netns=netns)["veths"][0]
        run({**rooms, "veths": [{**veth, "name": "to-room", "peer": {**veth["peer"], "mtu": 1400}}]})
        there = link("eth0", netns)
        assert (there["mtu"], "UP" in there["flags"]) == (1400, True)
        assert addresses("eth0", netns) == ["10.50.0.2/24"]
    assert [entry["ifname"] for entry in world.ip("red", "address show")[0]] == ["lo"]


@pytest.mark.parametrize("words", [["-n", "red", "link", "delete", "eth0"], ["netns", "delete", "red"]])
def test_20_a_cable_that_went_with_one_of_its_ends_is_made_again_whole(words: List[str]) -> None:
    document = cable("10.50.0.2/24", addresses=["10.50.0.1/24"])
    run(document)
    ip(*words)
    assert run(document).changed
    assert (addresses("eth0", "red"), addresses("to-red")) == (["10.50.0.2/24"], ["10.50.0.1/24"])


def test_21_a_bridge_keeps_its_mac_and_mtu_whatever_its_ports_are() -> None:
    document: Document = {**cable("10.50.0.2/24", bridge="v-net-0", mac="02:00:00:00:00:01")}
    document["bridges"] = [{"name": "v-net-0", "mtu": 9000}]
    run({"bridges": document["bridges"]})
    mac = link("v-net-0")["address"]
    run(document)
    assert (link("v-net-0")["address"], link("v-net-0")["mtu"]) == (mac, 9000)
    run({"bridges": document["bridges"]})
    assert (link("v-net-0")["address"], link("v-net-0")["mtu"]) == (mac, 9000)
    run(NOTHING)
    run(document)
    assert link("v-net-0")["address"] == mac


def test_22_an_mtu_too_small_for_ipv6_is_refused_where_there_is_ipv6() -> None:
    with refused(InvalidValue, "veths[0].mtu", "1280"):
        run(cable(addresses=["fd00::1/64"], mtu=1200))
    run(cable("10.50.0.2/24", addresses=["10.50.0.1/24"], mtu=1200))
    assert link("to-red")["mtu"] == 1200


def test_23_what_a_link_lost_while_it_was_down_comes_back() -> None:
    document = cable("10.50.0.2/24", "fd00::2/64", addresses=["10.50.0.1/24", "fd00::1/64"])
    document["routes"] = [
        {"to": "10.51.0.0/16", "via": "10.50.0.2"},
        {"to": "fd51::/64", "via": "fd00::2"},
        {"netns": "red", "to": "default", "via": "10.50.0.1"},
    ]
    run(document)
    ip("link", "set", "to-red", "down")
    ip("-n", "red", "link", "set", "eth0", "down")
    assert run(document).changed
    assert (routes(), routes("red")) == (["10.51.0.0/16", "fd51::/64"], ["default"])
    assert addresses("to-red") == ["10.50.0.1/24", "fd00::1/64"]
    assert run(document).plan == ()


def test_24_spanning_tree_is_off_unless_it_is_asked_for() -> None:
    for stp, asked in ((0, {}), (1, {"stp": True}), (0, {})):
        run({"bridges": [{"name": "v-net-0", **asked}]})
        assert link("v-net-0")["linkinfo"]["info_data"]["stp_state"] == stp


@pytest.mark.slow
def test_24_a_spanning_tree_that_is_asked_for_is_waited_for() -> None:
    switch = {"name": "v-net-0", "stp": True, "addresses": ["10.50.0.1/24", "fd00::1/64"]}
    run({"bridges": [switch]})
    ip("link", "set", "v-net-0", "type", "bridge", "forward_delay", "200")  # 2 s, the least that the kernel takes
    document = cable("10.50.0.2/24", "fd00::2/64", bridge="v-net-0")
    probes = [{"from": "red", "to": "10.50.0.1"}, {"to": "fd00::2"}]
    engine.run({**document, "bridges": [switch], "probes": probes})
    assert not subprocess.check_output(["ip", "-6", "address", "show", "tentative", "scope", "global"])


def test_a_setting_that_two_documents_want_stays_until_neither_does(private_host: Path) -> None:
    first = {"name": "first", "forwarding": {"ipv4": True}}
    second = {"name": "second", "forwarding": {"ipv4": True}}
    switch = Path("/proc/sys/net/ipv4/ip_forward")
    for document in (first, second):
        engine.run(document)
    engine.run({"name": "first", "state": "absent"})
    assert switch.read_text() == "1\n"
    assert engine.run(second).plan == ()
    engine.run({"name": "second", "state": "absent"})
    assert switch.read_text() == "0\n"


def test_security_of_two_documents_that_forward_the_one_that_stays_keeps_the_host_no_open_router() -> None:
    for number, name in enumerate(("first", "second")):
        bridge = {"name": name, "addresses": [f"10.{number}.0.1/24"]}
        run({"name": name, "bridges": [bridge], "forwarding": {"ipv4": True}})
    run({"name": "first", **NOTHING})
    guard = [line for line in world.rules().splitlines() if line.startswith("-A HOSTWIRE-REST")]
    assert guard[-1].endswith(" DROP")
    assert run({"name": "second", "bridges": [bridge], "forwarding": {"ipv4": True}}).plan == ()
    run({"name": "second", **NOTHING})
    assert "HOSTWIRE" not in world.rules()


def test_a_task_that_removes_a_namespace_forgets_what_went_with_it(private_host: Path) -> None:
    cable = {"name": "veth-red", "netns": "red", "addresses": ["192.168.15.1/24"]}
    whole = {
        "name": "tasks",
        "namespaces": [{"name": "red"}, {"name": "blue"}],
        "veths": [{**cable, "peer": {"name": "veth-blue", "netns": "blue"}}],
        "routes": [{"netns": "red", "to": "default", "via": "192.168.15.9"}],
    }
    engine.run(whole, fragment=True)
    gone = engine.run({"name": "tasks", "state": "absent", "namespaces": [{"name": "red"}]}, fragment=True)
    assert gone.after == {"name": "tasks", "namespaces": [{"name": "blue"}]}
    assert not engine.run(gone.after).changed


@pytest.mark.parametrize(
    ("address", "gateway", "default"),
    [("192.168.1.10/24", "172.31.1.1/32", "0.0.0.0/0"), ("fd00:1::10/64", "fd00:ffff::1/128", "::/0")],
)
def test_a_gateway_outside_every_subnet_works_the_way_that_its_refusal_says(
    private_host: Path, address: str, gateway: str, default: str
) -> None:
    assert private_host
    via = gateway.partition("/")[0]
    far = {"netns": "red", "to": default, "via": via}
    document = {
        "namespaces": [{"name": "red"}],
        "veths": [{"name": "v", "peer": {"name": "eth0", "netns": "red", "addresses": [address]}}],
        "routes": [far],
    }
    with pytest.raises(InvalidValue) as refusal:
        engine.run(document, check=True)
    (problem,) = refusal.value.problems
    told = yaml.safe_load(problem.partition("add the route ")[2])
    assert told == {"to": gateway, "dev": "eth0"}
    engine.run({**document, "routes": [far, {"netns": "red", **told}]})
    assert not engine.run({**document, "routes": [{"netns": "red", **told}, far]}).changed
