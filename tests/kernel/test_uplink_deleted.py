# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody deletes a bridge that does an uplink's work: what it had comes back, or what is missing is named."""

from __future__ import annotations

import re
import subprocess
from typing import Any, Dict, List, Optional

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import engine, recall, rehearsal, stopwatch, uplink
from ansible_collections.hostwire.linux.plugins.module_utils.errors import Conflict, HostwireError, KernelRefused
from ansible_collections.hostwire.linux.tests.kernel import lan, world
from ansible_collections.hostwire.linux.tests.kernel.test_uplink_failures import killed_at
from ansible_collections.hostwire.linux.tests.kernel.test_uplink_prefixes import both_ways, bridge, build, leads

pytestmark = pytest.mark.usefixtures("private_host")

OTHER: lan.Document = {"bridges": [{"name": "br1", "uplink": "eth0"}]}
ALONE: lan.Document = {"bridges": [{"name": "br0"}]}


def delete(name: str = "br0", netns: Optional[str] = None) -> None:
    inside = ["-n", netns] if netns else []
    subprocess.run(["ip", *inside, "link", "delete", name], check=True)


def run(document: lan.Document) -> engine.Result:
    """A run that does what it said beforehand, and after which nothing is left to do."""
    predicted = engine.run(document, check=True)
    done = engine.run(document)
    assert done.plan == predicted.plan
    assert engine.run(document).plan == ()
    return done


@pytest.mark.parametrize(
    ("following", "link"),
    [(lan.BRIDGED, "br0"), (OTHER, "br1"), (ALONE, "eth0"), (lan.NOTHING, "eth0")],
    ids=["same", "another", "without", "absent"],
)
def test_all_that_the_bridge_had_comes_back(following: lan.Document, link: str) -> None:
    lan.build()
    before, work = world.image(), lan.work_of("eth0")
    engine.run(lan.BRIDGED)
    delete()
    done = run(following)
    assert done.plan[0].startswith("host: eth0: gets back what br0 had, which is gone: 192.168.1.2/24, ")
    assert "route default via 192.168.1.1, " in done.plan[0]
    assert world.differences(work, lan.work_of(link)) == []
    assert lan.reached("192.168.1.20")
    assert lan.reached("2001:db8:1::2")
    engine.run(lan.NOTHING)
    assert world.differences(work, lan.work_of("eth0")) == []
    assert world.differences(before, world.image()) == []


def test_what_came_meanwhile_is_noted_by_each_run() -> None:
    lan.build()
    engine.run(lan.BRIDGED)
    lan.batch("""
        address change 192.168.9.5/24 dev br0 valid_lft 7200 preferred_lft 7200
        address del 192.168.1.20/24 dev br0
        address add 192.168.1.21/24 dev br0
        route add 203.0.113.0/24 via 192.168.1.1 dev br0 table 9
    """)
    assert engine.run(lan.BRIDGED).plan == ()
    work = lan.work_of("br0")
    delete()
    run(lan.BRIDGED)
    assert world.differences(work, lan.work_of("br0")) == []
    assert "valid_lft 7" in lan.ip("address", "show", "dev", "br0", "to", "192.168.9.5")


def test_a_run_that_finds_nothing_new_writes_nothing(private_host: Any) -> None:
    lan.build()
    engine.run(lan.BRIDGED)
    engine.run(lan.BRIDGED)
    files = world.image()["files"]
    assert engine.run(lan.BRIDGED).plan == ()
    assert world.image()["files"] == files


def test_what_the_document_gave_the_bridge_doesnt_come_to_the_nic() -> None:
    lan.build()
    before, work = world.image(), lan.work_of("eth0")
    document = {
        "bridges": [{"name": "br0", "uplink": "eth0", "addresses": ["10.5.0.1/24", "192.168.1.2/24"]}],
        "routes": [{"to": "203.0.113.0/24", "via": "192.168.1.3"}, {"to": "203.0.114.0/24", "via": "10.5.0.9"}],
    }
    engine.run(document)
    held = lan.work_of("br0")
    delete()
    run(document)
    assert world.differences(held, lan.work_of("br0")) == []
    delete()
    run(lan.NOTHING)
    assert world.differences(work, lan.work_of("eth0")) == []
    assert world.differences(before, world.image()) == []


def test_what_somebody_gave_back_by_hand_is_left_as_it_is() -> None:
    lan.build()
    engine.run(lan.BRIDGED)
    delete()
    lan.batch("""
        address add 192.168.1.2/24 dev eth0 valid_lft 500 preferred_lft 500
        route add default via 192.168.1.3
    """)
    run(lan.NOTHING)
    assert re.search(r"valid_lft (500|4\d\d)sec", lan.ip("address", "show", "dev", "eth0", "to", "192.168.1.2"))
    assert lan.ip("route", "show", "default").split()[:3] == ["default", "via", "192.168.1.3"]
    assert lan.reached("192.168.1.20")


def later(monkeypatch: pytest.MonkeyPatch, seconds: int) -> None:
    """From now on it is so much later."""
    real = stopwatch.seconds_since_boot
    for module in (recall, uplink):
        monkeypatch.setattr(module, "seconds_since_boot", lambda: real() + seconds)


def test_a_lease_that_has_ended_doesnt_come_back_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    lan.build()
    engine.run(lan.BRIDGED)
    delete()
    later(monkeypatch, 4000)
    (line, *_rest) = run(lan.BRIDGED).plan
    assert "; not 192.168.9.5/24, 2001:db8:1::3/64, route 2001:db8:8::/64 via fe80::1, whose time is over" in line
    assert "192.168.9.5" not in lan.ip("address", "show")
    assert lan.reached("192.168.1.2")


def test_a_host_with_nothing_but_a_lease_that_has_ended_is_told_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    lan.batch("netns add lan\nlink add eth0 type veth peer name eth0 netns lan\nlink set eth0 up")
    lan.batch("address add 192.168.1.2/24 dev eth0 valid_lft 600 preferred_lft 600\nroute add default via 192.168.1.1")
    lan.batch("link set eth0 up", "lan")
    engine.run(lan.BRIDGED)
    delete()
    later(monkeypatch, 700)
    for document in (lan.BRIDGED, lan.NOTHING):
        with pytest.raises(Conflict, match=r"192\.168\.1\.2/24, route default .*; have eth0 ask for a lease first"):
            engine.run(document)
    lan.batch("address add 192.168.1.7/24 dev eth0 valid_lft 600 preferred_lft 600")
    run(lan.BRIDGED)
    assert lan.ip("route", "show", "default").split()[:5] == ["default", "via", "192.168.1.1", "dev", "br0"]


@pytest.mark.parametrize("following", [lan.BRIDGED, lan.NOTHING], ids=["same", "absent"])
def test_where_nothing_remembers_it_a_sentence_says_so(following: lan.Document) -> None:
    lan.build()
    engine.run(lan.BRIDGED)
    subprocess.run(["rm", "/var/lib/hostwire/main.state"], check=True)
    delete()
    image = world.image()
    for check in (True, False):
        with pytest.raises(Conflict, match="eth0 was the uplink of br0, which is gone with its addresses and routes"):
            engine.run(following, check=check)
    assert world.differences(image, world.image()) == []
    lan.batch("address add 192.168.1.2/24 dev eth0")
    run(following)
    assert lan.reached("192.168.1.2")
    run(lan.NOTHING)
    assert "altname" not in lan.ip("link", "show", "dev", "eth0")


def test_memory_of_another_life_of_the_nic_is_not_believed() -> None:
    lan.build()
    engine.run(lan.BRIDGED)
    delete()
    lan.batch("link delete eth0\nlink add eth0 type veth peer name eth0 netns lan\nlink set eth0 up")
    lan.batch("link set eth0 up\naddress add 192.168.1.1/24 dev eth0", "lan")
    with pytest.raises(Conflict, match=r"doesn't bear the mark of br0 any more.* 192\.168\.1\.2/24"):
        engine.run(lan.BRIDGED)
    lan.batch("address add 192.168.1.66/24 dev eth0")
    run(lan.NOTHING)
    shown = lan.ip("-4", "-br", "address", "show", "dev", "eth0").split()
    assert shown[2:] == ["192.168.1.66/24"]


def test_another_document_doesnt_take_a_nic_whose_bridge_is_gone() -> None:
    lan.build()
    engine.run(lan.BRIDGED)
    delete()
    other = {**OTHER, "name": "other"}
    with pytest.raises(
        Conflict, match="it is the uplink of br0 of the document 'main'; that one has to let it go first"
    ):
        engine.run(other)
    engine.run({"name": "third", "bridges": [{"name": "br9"}]})
    assert "192.168.1.2" not in lan.ip("address", "show")
    assert run(lan.NOTHING).plan[0].startswith("host: eth0: gets back")
    run(other)
    assert lan.reached("192.168.1.2")


def test_several_documents_on_paper_first_come_to_the_same() -> None:
    lan.build()
    work = lan.work_of("eth0")
    engine.run(lan.BRIDGED)
    delete()
    documents: List[Dict[str, Any]] = [{"state": "absent"}, {**OTHER, "name": "other"}]
    predicted = rehearsal.run_all(documents, check=True)
    done = rehearsal.run_all(documents)
    assert [result.plan for result in done] == [result.plan for result in predicted]
    assert world.differences(work, lan.work_of("br1")) == []


def test_so_it_is_in_a_namespace() -> None:
    lan.build()
    before = world.image()
    document = {"bridges": [{"name": "br0", "netns": "lan", "uplink": "eth0", "addresses": ["192.168.1.44/24"]}]}
    for following in (document, lan.NOTHING):
        engine.run(document)
        delete("br0", "lan")
        done = run(following)
        assert done.plan[0].startswith(
            "lan: eth0: gets back what br0 had, which is gone: 192.168.1.1/24, 192.168.1.3/24"
        )
        for address in ("192.168.1.1", "2001:db8:1::1"):
            lan.until(lambda address=address: world_reaches(address))  # type: ignore[misc]
    assert world.differences(before, world.image()) == []


def world_reaches(address: str) -> bool:
    return subprocess.run(["ping", "-qc1", "-W2", address], capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("room", [None, "box"])
def test_what_a_router_advertised_comes_back(room: Optional[str]) -> None:
    build(room)
    document = bridge(room, uplink="eth0")
    engine.run(document)
    inside = ["-n", room] if room else []
    subprocess.run(["ip", *inside, "link", "set", "eth0", "nomaster"], check=True)
    subprocess.run(["ip", *inside, "link", "delete", "br0"], check=True)
    run(document)
    assert leads(room) == ["br0"]
    assert both_ways(room)
    (entry,) = [one for one in lan.addresses("br0", room) if one["scope"] == "global"]
    assert 1000 < entry["valid_life_time"] <= 1800
    engine.run(lan.NOTHING)
    assert leads(room) == ["eth0"]
    assert both_ways(room)


@pytest.mark.parametrize("following", [lan.BRIDGED, lan.NOTHING], ids=["same", "absent"])
def test_a_run_killed_while_it_gives_back_is_finished_by_the_next(following: lan.Document) -> None:
    lan.build()
    before, work, batch = world.image(), lan.work_of("eth0"), 0
    while True:
        engine.run(lan.BRIDGED)
        delete()
        killed = killed_at(following, batch)
        engine.run(following)
        assert engine.run(following).plan == ()
        link = "br0" if following is lan.BRIDGED else "eth0"
        lan.settle("eth0", "br0")
        assert world.differences(work, lan.work_of(link)) == [], f"batch {batch}"
        engine.run(lan.NOTHING)
        assert world.differences(before, world.image()) == [], f"batch {batch}"
        if not killed:
            break
        batch += 1
    assert batch > 2


@pytest.mark.parametrize("following", [lan.BRIDGED, lan.NOTHING], ids=["same", "absent"])
def test_a_run_that_fails_after_any_step_leaves_it_to_the_next(following: lan.Document) -> None:
    lan.build()
    work = lan.work_of("eth0")
    engine.run(lan.BRIDGED)
    delete()
    image, steps = world.image(), 0
    while (error := failing_after(following, steps)) is not None:
        assert error.problems[-1] == "everything was put back as it was"
        assert world.differences(image, world.image()) == [], f"step {steps}"
        steps += 1
    assert steps > 0
    assert world.differences(work, lan.work_of("br0" if following is lan.BRIDGED else "eth0")) == []


def failing_after(document: lan.Document, step: int) -> Optional[HostwireError]:
    def refuse(position: int, when: str) -> None:
        if (position, when) == (step, "after"):
            raise KernelRefused("a step", 1)

    try:
        engine.run(document, hook=refuse)
    except HostwireError as error:
        return error
    return None


def test_a_route_whose_way_is_gone_too_is_named() -> None:
    lan.build()
    lan.batch("""
        link add eth1 type veth peer name eth1 netns lan
        address add 192.168.2.2/24 dev eth1
        link set eth1 up
        route add 203.0.113.0/24 nexthop via 192.168.1.3 weight 2 nexthop via 192.168.2.3 dev eth1 onlink
        address add 192.168.9.6/24 dev eth1
    """)
    engine.run(lan.BRIDGED)
    delete()
    lan.batch("link delete eth1")
    (line, *_rest) = run(lan.BRIDGED).plan
    assert line.endswith("; not route 203.0.113.0/24, whose way or source isn't there any more")
    assert lan.reached("192.168.1.2")


@pytest.mark.parametrize("following", [lan.BRIDGED, lan.NOTHING], ids=["same", "absent"])
def test_a_route_from_or_by_a_lease_that_has_ended_doesnt_keep_the_rest_away(
    following: lan.Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    lan.build()
    lan.batch("""
        route add 203.0.113.0/24 via 192.168.1.3 src 192.168.9.5
        route add 203.0.114.0/24 via 192.168.9.1
    """)
    engine.run(lan.BRIDGED)
    delete()
    later(monkeypatch, 4000)
    (line, *_rest) = run(following).plan
    assert "not route 203.0.113.0/24 via 192.168.1.3, route 203.0.114.0/24 via 192.168.9.1, whose way or source" in line
    assert lan.reached("192.168.1.2")


def test_a_kernel_without_altnames_is_served_from_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    lan.build()
    before, work = world.image(), lan.work_of("eth0")
    monkeypatch.setattr(uplink, "mark_on", lambda alias, bridge: "")
    engine.run(lan.BRIDGED)
    assert "altname" not in lan.ip("link", "show", "dev", "eth0")
    for following, link in ((lan.BRIDGED, "br0"), (lan.NOTHING, "eth0")):
        delete()
        run(following)
        assert world.differences(work, lan.work_of(link)) == []
    assert world.differences(before, world.image()) == []


@pytest.mark.parametrize("absent", [False, True])
def test_a_task_for_the_bridge_alone_does_so_too(absent: bool) -> None:
    lan.build()
    work = lan.work_of("eth0")
    engine.run({"bridges": [{"name": "br5"}]})
    engine.run(lan.BRIDGED, fragment=True)
    delete()
    engine.run({"bridges": [{"name": "br6"}]}, fragment=True)
    assert "192.168.1.2" not in lan.ip("address", "show"), "nobody asked for it"
    document = {"bridges": [{"name": "br0"}], "state": "absent"} if absent else lan.BRIDGED
    done = engine.run(document, fragment=True)
    assert done.plan[0].startswith("host: eth0: gets back")
    assert world.differences(work, lan.work_of("eth0" if absent else "br0")) == []


@pytest.mark.parametrize("following", [lan.BRIDGED, lan.NOTHING], ids=["same", "absent"])
def test_an_address_without_a_subnet_comes_back_though_another_link_has_it_too(following: lan.Document) -> None:
    """As cloud machines have it: their own address alone, a gateway at its other end, and the address on lo."""
    lan.batch("""
        netns add lan
        link add eth0 type veth peer name eth0 netns lan
        address add 192.0.2.5 peer 10.10.10.1/32 dev eth0
        address add 192.0.2.5/32 dev lo
        address add 2001:db8:1::5/128 dev eth0 nodad
        address add 2001:db8:1::5/128 dev lo
        link set eth0 up
        route add default via 10.10.10.1
        route add ::/0 via fe80::1 dev eth0
    """)
    lan.batch("address add 10.10.10.1 peer 192.0.2.5/32 dev eth0\nlink set eth0 up", "lan")
    lan.settled("eth0")
    work = lan.work_of("eth0")
    engine.run(lan.BRIDGED)
    delete()
    run(following)
    assert world.differences(work, lan.work_of("br0" if following is lan.BRIDGED else "eth0")) == []
    assert lan.reached("192.0.2.5")
