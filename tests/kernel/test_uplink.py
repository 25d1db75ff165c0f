# SPDX-License-Identifier: GPL-3.0-or-later
"""A bridge takes over its host's NIC, and gives it back: nothing is lost, and hardly anybody notices."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, Optional, Type

import pytest
import yaml

from ansible_collections.hostwire.linux.plugins.module_utils import engine, uplink
from ansible_collections.hostwire.linux.plugins.module_utils.errors import (
    Conflict,
    HostwireError,
    InvalidValue,
    KernelRefused,
    VerificationFailed,
)
from ansible_collections.hostwire.linux.plugins.module_utils.rtnetlink.channel import Channel
from ansible_collections.hostwire.linux.tests.kernel import lan, world
from ansible_collections.hostwire.linux.tests.kernel.ssh import ssh_server

Document = Dict[str, Any]
BRIDGED: Document = {"bridges": [{"name": "br0", "uplink": "eth0"}]}
NOTHING: Document = {"state": "absent"}
PAGE = Path(__file__).resolve().parents[2] / "docs" / "bridged.md"
LONGEST_GAP = 1.0  # seconds

pytestmark = pytest.mark.usefixtures("private_host")


def ip(*words: str) -> str:
    return subprocess.check_output(["ip", *words], text=True)


def mac(link: str) -> str:
    return ip("-br", "link", "show", "dev", link).split()[2]


def reached(address: str, netns: str = "lan") -> bool:
    command = ["ip", "netns", "exec", netns, "ping", "-qc1", "-W2", address]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_a_bridge_takes_over_all_that_its_uplink_does_and_gives_it_back() -> None:
    lan.build()
    before, work, its_mac = world.image(), lan.work_of("eth0"), mac("eth0")
    assert work["neighbours"], work
    predicted = engine.run(BRIDGED, check=True)
    assert world.differences(before, world.image()) == []

    done = engine.run(BRIDGED)
    assert done.plan == predicted.plan
    assert done.after == {"name": "main", **BRIDGED}
    assert world.differences(work, lan.work_of("br0")) == []
    assert [entry["scope"] for entry in lan.addresses("eth0")] == ["link"]  # each link keeps a link-local one
    assert mac("br0") == its_mac
    assert "mtu 1450" in ip("link", "show", "dev", "br0")
    assert engine.run(BRIDGED).plan == ()

    predicted = engine.run(NOTHING, check=True)
    done = engine.run(NOTHING)
    assert done.plan == predicted.plan
    assert world.differences(work, lan.work_of("eth0")) == []
    assert world.differences(before, world.image()) == []
    assert engine.run(NOTHING).plan == ()


def test_the_pages_example_puts_a_guest_on_the_lan() -> None:
    lan.build()
    found = re.search(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found is not None
    [play] = yaml.safe_load(found[1])
    engine.run(play["tasks"][0]["hostwire.linux.topology"])
    lan.until(lambda: reached("192.168.1.30"))
    assert reached("192.168.1.1", "guest")


@pytest.mark.parametrize("address", ["192.168.1.2", "192.168.1.20", "2001:db8:1::2"])
@pytest.mark.parametrize("strict", [False, True], ids=["rp_filter-0", "rp_filter-1"])
def test_03_04_the_host_is_never_away_for_more_than_a_second(address: str, strict: bool) -> None:
    for name in ("all", "default"):
        Path(f"/proc/sys/net/ipv4/conf/{name}/rp_filter").write_text(str(int(strict)))
    lan.build()
    for document in (BRIDGED, NOTHING):
        with lan.pinged(address) as gap:
            engine.run(document)
        print(f"{address}: {gap.answers} answers, the longest gap {gap.seconds * 1000:.0f} ms")
        assert gap.seconds <= LONGEST_GAP
        ip("-n", "lan", "neigh", "flush", "all")
        assert reached(address), "also by those who have to ask for its MAC address again"


def test_a_route_by_two_ways_keeps_the_other_one() -> None:
    lan.build()
    lan.batch("""
        link add eth1 type veth peer name eth1 netns lan
        address add 192.168.2.2/24 dev eth1
        address add 2001:db8:2::2/64 dev eth1 nodad
        link set eth1 up
        route add 203.0.113.0/24 nexthop via 192.168.1.3 weight 2 nexthop via 192.168.2.3 weight 3
        route add 2001:db8:a::/64 nexthop via 2001:db8:1::1 weight 2 nexthop via 2001:db8:2::1 weight 3
    """)
    before = world.image()
    engine.run(BRIDGED)
    for to in ("203.0.113.0/24", "2001:db8:a::/64"):
        (route,) = json.loads(ip("-6" if ":" in to else "-4", "-j", "route", "show", to))
        assert {(hop["dev"], hop["weight"]) for hop in route["nexthops"]} == {("br0", 2), ("eth1", 3)}
    assert engine.run(BRIDGED).plan == ()
    engine.run(NOTHING)
    assert world.differences(before, world.image()) == []


def test_what_came_meanwhile_goes_back_too() -> None:
    lan.build()
    engine.run(BRIDGED)
    lan.batch("""
        address change 192.168.9.5/24 dev br0 valid_lft 7200 preferred_lft 7200
        address add 192.168.1.99/24 dev br0 valid_lft 600 preferred_lft 600
        address del 192.168.1.20/24 dev br0
        route replace default via 192.168.1.3
        route add 203.0.113.0/24 via 192.168.1.1 dev br0 table 9
    """)
    assert engine.run(BRIDGED).plan == ()
    work = lan.work_of("br0")
    engine.run(NOTHING)
    assert world.differences(work, lan.work_of("eth0")) == []
    assert "valid_lft 7" in ip("address", "show", "dev", "eth0", "to", "192.168.9.5")
    assert ip("route", "show", "table", "9").startswith("203.0.113.0/24 via 192.168.1.1 dev eth0")


def test_without_its_uplink_a_bridge_keeps_what_the_document_gave_it() -> None:
    lan.build()
    work = lan.work_of("eth0")
    inner = {
        "namespaces": [{"name": "red"}],
        "veths": [
            {"name": "r", "bridge": "br0", "peer": {"name": "eth0", "netns": "red", "addresses": ["10.5.0.2/24"]}}
        ],
        "routes": [{"to": "10.6.0.0/16", "via": "10.5.0.2"}],
    }
    alone = {**inner, "bridges": [{"name": "br0", "addresses": ["10.5.0.1/24"]}]}
    bridged = {**inner, "bridges": [{"name": "br0", "addresses": ["10.5.0.1/24"], "uplink": "eth0"}]}
    engine.run(alone)
    first = world.image()
    for dummy in range(2):
        engine.run(bridged)
        assert engine.run(bridged).plan == ()
        assert reached("10.5.0.1", "red")
        assert ip("route", "get", "10.6.0.1").startswith("10.6.0.1 via 10.5.0.2 dev br0")
        assert ip("route", "get", "203.0.113.1").startswith("203.0.113.1 via 192.168.1.1 dev br0")
        engine.run(alone)
        assert engine.run(alone).plan == ()
        assert world.differences(work, lan.work_of("eth0")) == []
        assert world.differences(first["rooms"], world.image()["rooms"]) == []


def test_an_address_that_the_document_says_and_the_uplink_has_goes_back_with_it() -> None:
    lan.build()
    before = world.image()
    document = {"bridges": [{"name": "br0", "uplink": "eth0", "addresses": ["192.168.1.2/24", "192.168.1.50/24"]}]}
    engine.run(document)
    assert engine.run(document).plan == ()
    assert reached("192.168.1.50")
    engine.run(BRIDGED)
    assert not reached("192.168.1.50")
    assert reached("192.168.1.2")
    engine.run(NOTHING)
    assert world.differences(before, world.image()) == []


def test_routes_of_the_document_lead_by_what_the_uplink_brings() -> None:
    lan.build()
    before = world.image()
    routes = [
        {"to": "203.0.113.0/24", "via": "192.168.1.3"},
        {"to": "203.0.114.0/24", "via": "192.168.1.3", "dev": "br0"},
    ]
    engine.run({"routes": routes[:1]})
    document = {**BRIDGED, "routes": routes}
    engine.run(document)
    assert engine.run(document).plan == ()
    engine.run({"routes": routes[:1]})
    assert ip("route", "get", "203.0.113.1").startswith("203.0.113.1 via 192.168.1.3 dev eth0")
    assert engine.run({"routes": routes[:1]}).plan == ()
    engine.run(document)
    engine.run(NOTHING)
    assert world.differences(before, world.image()) == []


def test_guests_on_the_bridge_are_on_the_lan() -> None:
    lan.build()
    before = world.image()
    document = {
        **BRIDGED,
        "namespaces": [{"name": "guest"}],
        "veths": [
            {"name": "g", "bridge": "br0", "peer": {"name": "eth0", "netns": "guest", "addresses": ["192.168.1.30/24"]}}
        ],
        "routes": [{"netns": "guest", "to": "default", "via": "192.168.1.1"}],
    }
    engine.run(document)
    lan.until(lambda: reached("192.168.1.30"))
    assert reached("192.168.1.1", "guest")
    assert reached("192.168.1.2", "guest")
    assert engine.run(document).plan == ()
    engine.run(NOTHING)
    assert world.differences(before, world.image()) == []


def killed_at(document: Document, batch: int) -> bool:
    """Whether a run was killed before its n-th batch of messages: it has fewer of them otherwise."""
    child = os.fork()
    if child == 0:
        try:
            transact, count = Channel.transact, [0]

            def counted(channel: Channel, messages: Any) -> Any:
                count[0] += 1
                if count[0] > batch:
                    os.kill(os.getpid(), signal.SIGKILL)
                return transact(channel, messages)

            Channel.transact = counted  # type: ignore[method-assign]
            engine.run(document, hook=lambda position, when: None)  # with a hook each step is a batch
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


@pytest.mark.parametrize("following", [BRIDGED, NOTHING], ids=["bridged", "absent"])
@pytest.mark.parametrize("going", [BRIDGED, NOTHING], ids=["there", "back"])
def test_a_run_killed_at_any_moment_loses_nothing(going: Document, following: Document) -> None:
    lan.build()
    before, work = world.image(), lan.work_of("eth0")
    batches = 0
    while True:
        if going is NOTHING:
            engine.run(BRIDGED)
        if not killed_at(going, batches):
            break
        assert reached("192.168.1.1", "lan")
        predicted = engine.run(following, check=True)
        assert engine.run(following).plan == predicted.plan, f"batch {batches}"
        assert engine.run(following).plan == (), f"batch {batches}"
        assert world.differences(work, lan.work_of("br0" if following is BRIDGED else "eth0")) == [], f"batch {batches}"
        assert reached("192.168.1.2")
        engine.run(NOTHING)
        assert world.differences(before, world.image()) == [], f"batch {batches}"
        batches += 1
    assert batches > 4


@pytest.mark.parametrize("going", [BRIDGED, NOTHING], ids=["there", "back"])
def test_a_run_that_fails_at_any_step_puts_everything_back(going: Document) -> None:
    lan.build()
    if going is NOTHING:
        engine.run(BRIDGED)
    before, work = world.image(), lan.work_of("eth0" if going is BRIDGED else "br0")
    step = 0
    while (refusal := _refused_at(going, step)) is not None:
        assert refusal.problems[-1] == "everything was put back as it was"
        assert world.differences(before, world.image()) == [], f"step {step}"
        assert world.differences(work, lan.work_of("eth0" if going is BRIDGED else "br0")) == [], f"step {step}"
        step += 1
    assert step > 1


@pytest.mark.parametrize("going", [BRIDGED, NOTHING], ids=["there", "back"])
@pytest.mark.parametrize("batch", range(4))
@pytest.mark.parametrize("sent", [False, True], ids=["before", "after"])
def test_a_move_that_the_kernel_refuses_half_way_is_taken_back(
    going: Document, batch: int, sent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    lan.build()
    if going is NOTHING:
        engine.run(BRIDGED)
    before, work = world.image(), lan.work_of("eth0" if going is BRIDGED else "br0")
    transact, count = uplink._transact, [0]

    def refused(channel: Channel, messages: Any, harmless: Any = ()) -> None:
        count[0] += 1
        if sent or count[0] != batch + 1:
            transact(channel, messages, harmless)
        if count[0] == batch + 1:
            raise KernelRefused("a message", 12)

    monkeypatch.setattr(uplink, "_transact", refused)
    with pytest.raises(KernelRefused, match="a message"):
        engine.run(going)
    assert world.differences(before, world.image()) == []
    assert world.differences(work, lan.work_of("eth0" if going is BRIDGED else "br0")) == []
    assert reached("192.168.1.2")


def _refused_at(document: Document, step: int) -> Optional[HostwireError]:
    """The error of a run that fails right after this step; None if it has fewer and comes through."""

    def refuse(position: int, when: str) -> None:
        if (position, when) == (step, "after"):
            raise KernelRefused("a step", 1)

    try:
        engine.run(document, hook=refuse)
    except HostwireError as error:
        return error
    return None


def test_what_refuses_to_be_a_port_leaves_everything_as_it_was() -> None:
    lan.build()
    lan.batch("link add mv0 link eth0 type macvlan")
    before, work = world.image(), lan.work_of("eth0")
    with pytest.raises(KernelRefused, match=r"br0: bridge: the kernel refused: .*EBUSY"):
        engine.run(BRIDGED)
    assert world.differences(before, world.image()) == []
    assert world.differences(work, lan.work_of("eth0")) == []


@pytest.mark.parametrize(
    ("deed", "kind", "message"),
    [
        (
            "link set eth0 down",
            InvalidValue,
            r"uplink: eth0 is down; say interfaces: \[\{name: eth0, up: true",
        ),
        (
            "link set eth0 name eth1",
            InvalidValue,
            r'uplink: no interface named "eth0" .*; did you mean "eth1"',
        ),
        ("link add br9 type bridge\nlink set eth0 master br9", Conflict, r"uplink eth0: it is a port of br9 already"),
        ("rule add iif eth0 table 77 priority 99", Conflict, r"the work of eth0 can't move: policy rule 99 names it"),
        (
            "nexthop add id 7 via 192.168.1.3 dev eth0\nroute add 203.0.113.0/24 nhid 7",
            Conflict,
            r"the work of eth0 can't move: route 203.0.113.0/24 leads through a nexthop object",
        ),
        ("link add br0 type bridge", Conflict, r"bridge br0: host has a link of this name already"),
    ],
)
def test_what_is_in_the_way_is_told_before_anything_changes(deed: str, kind: Type[HostwireError], message: str) -> None:
    lan.build()
    lan.batch(deed)
    before = world.image()
    with pytest.raises(kind, match=message):
        engine.run(BRIDGED)
    assert world.differences(before, world.image()) == []


def test_one_nic_is_the_uplink_of_one_bridge() -> None:
    lan.build()
    lan.batch("link add eth1 type veth peer name eth1 netns lan\nlink set eth1 up")
    engine.run(BRIDGED)
    before = world.image()
    with pytest.raises(Conflict, match="uplink eth0: it is a port of br0 already"):
        engine.run({"name": "other", "bridges": [{"name": "br1", "uplink": "eth0"}]})
    with pytest.raises(Conflict, match="eth0 is its uplink: leave uplink out first, then say eth1"):
        engine.run({"bridges": [{"name": "br0", "uplink": "eth1"}]})
    assert world.differences(before, world.image()) == []


def test_04_a_run_over_ssh_through_the_nic_that_it_moves_comes_to_its_end(private_host: Path) -> None:
    lan.build()
    program = private_host / "run.py"
    path = [directory for directory in sys.path if directory]
    program.write_text(f"""
import sys, time
sys.path[:0] = {path!r}
from ansible_collections.hostwire.linux.plugins.module_utils import engine
for line in engine.run({{"bridges": [{{"name": "br0", "uplink": "eth0"}}] if sys.argv[1] == "there" else []}}).plan:
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
            assert gap.seconds <= LONGEST_GAP
    assert ip("-br", "address", "show", "dev", "eth0").split()[2] == "192.168.1.2/24"


@pytest.mark.parametrize("address", ["192.168.1.2", "2001:db8:1::2"])
def test_03_neighbours_are_told_of_another_mac_address(address: str) -> None:
    lan.build()
    document = {"bridges": [{"name": "br0", "uplink": "eth0", "mac": "02:00:00:00:00:42"}]}
    for wanted, link in ((document, "br0"), (NOTHING, "eth0")):
        with lan.pinged(address) as gap:
            engine.run(wanted)
        assert gap.seconds <= LONGEST_GAP
        assert mac(link) in ip("-n", "lan", "neigh", "show", address)
    assert mac("eth0") != "02:00:00:00:00:42"


def test_another_documents_addresses_on_the_uplink_are_in_the_way() -> None:
    lan.build()
    engine.run({"name": "first", "interfaces": [{"name": "eth0", "addresses": ["192.168.1.40/24"]}]})
    with pytest.raises(Conflict, match="uplink eth0: the document 'first' gives it addresses; take that out"):
        engine.run(BRIDGED)
    engine.run({"name": "first", "interfaces": [{"name": "eth0", "mtu": 1400}]})
    engine.run(BRIDGED)
    assert reached("192.168.1.2")


def test_a_task_for_the_bridge_alone_takes_over_and_gives_back() -> None:
    lan.build()
    before = world.image()
    engine.run(BRIDGED, fragment=True)
    assert reached("192.168.1.2")
    assert engine.run(BRIDGED, fragment=True).plan == ()
    engine.run({**BRIDGED, "bridges": [{"name": "br1"}]}, fragment=True)
    assert "192.168.1.2/24" in ip("-br", "address", "show", "dev", "br0")
    engine.run({"bridges": [{"name": "br1"}], "state": "absent"}, fragment=True)
    engine.run({"bridges": [{"name": "br0"}], "state": "absent"}, fragment=True)
    assert world.differences(before, world.image()) == []


def test_a_probe_that_comes_out_wrong_takes_the_move_back() -> None:
    lan.build()
    before, work = world.image(), lan.work_of("eth0")
    with lan.pinged("192.168.1.2") as gap, pytest.raises(VerificationFailed, match="everything was put back as it was"):
        engine.run({**BRIDGED, "probes": [{"to": "192.168.1.222"}]})
    assert gap.seconds <= LONGEST_GAP
    assert world.differences(before, world.image()) == []
    assert world.differences(work, lan.work_of("eth0")) == []
    assert engine.run({**BRIDGED, "probes": [{"to": "192.168.1.1"}]}).reachability[0].ok


def test_a_nic_in_a_namespace_is_bridged_there() -> None:
    lan.build()
    before = world.image()
    document = {"bridges": [{"name": "br0", "netns": "lan", "uplink": "eth0", "addresses": ["192.168.1.44/24"]}]}
    done = engine.run(document)
    assert "lan: eth0: uplink of br0, which takes over 192.168.1.1/24, 192.168.1.3/24, 2001:db8:1::1/64" in done.plan
    assert engine.run(document).plan == ()
    for address in ("192.168.1.1", "192.168.1.44", "2001:db8:1::1"):
        assert subprocess.run(["ping", "-qc1", "-W2", address], capture_output=True, check=False).returncode == 0
    engine.run(NOTHING)
    assert world.differences(before, world.image()) == []
