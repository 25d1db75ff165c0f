# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody sets a bridge down that does an uplink's work: what the kernel forgot of it comes back with the next run."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import engine
from ansible_collections.hostwire.linux.plugins.module_utils.errors import Conflict
from ansible_collections.hostwire.linux.tests.kernel import lan, world
from ansible_collections.hostwire.linux.tests.kernel.test_uplink_deleted import failing_after, run
from ansible_collections.hostwire.linux.tests.kernel.test_uplink_failures import killed_at

pytestmark = pytest.mark.usefixtures("private_host")

ALONE: lan.Document = {"bridges": [{"name": "br0"}]}
FOLLOWING = pytest.mark.parametrize(
    ("following", "link"),
    [(lan.BRIDGED, "br0"), (ALONE, "eth0"), (lan.NOTHING, "eth0")],
    ids=["same", "without", "absent"],
)


def set_down(link: str = "br0") -> None:
    lan.batch(f"link set {link} down")


@FOLLOWING
def test_what_went_with_it_comes_back(following: lan.Document, link: str) -> None:
    lan.build()
    before, work = world.image(), lan.work_of("eth0")
    engine.run(lan.BRIDGED)
    set_down()
    assert lan.ip("route", "show", "default") == ""
    done = run(following)
    (line,) = [line for line in done.plan if "when it was set down" in line]
    assert line.startswith(f"host: {link}: gets back what br0 lost when it was set down: 2001:db8:1::2/64, ")
    assert "route default via 192.168.1.1, " in line
    assert world.differences(work, lan.work_of(link)) == []
    assert lan.reached("192.168.1.20")
    assert lan.reached("2001:db8:1::2")
    engine.run(lan.NOTHING)
    assert world.differences(work, lan.work_of("eth0")) == []
    assert world.differences(before, world.image()) == []


def test_a_task_for_another_object_doesnt_forget_it() -> None:
    lan.build()
    work = lan.work_of("eth0")
    engine.run({"bridges": [{"name": "br5"}]})
    engine.run(lan.BRIDGED, fragment=True)
    set_down()
    engine.run({"bridges": [{"name": "br6"}]}, fragment=True)
    engine.run(lan.BRIDGED, fragment=True)
    assert world.differences(work, lan.work_of("br0")) == []


def test_a_bridge_that_the_document_wants_down_gets_nothing() -> None:
    lan.build()
    work = lan.work_of("eth0")
    engine.run(lan.BRIDGED)
    set_down()
    document = {"bridges": [{"name": "br0", "uplink": "eth0", "up": False}]}
    assert run(document).plan == ()
    run(lan.NOTHING)
    assert world.differences(work, lan.work_of("eth0")) == []


@FOLLOWING
def test_a_run_killed_meanwhile_is_finished_by_the_next(following: lan.Document, link: str) -> None:
    lan.build()
    before, work, batch = world.image(), lan.work_of("eth0"), 0
    while True:
        engine.run(lan.BRIDGED)
        set_down()
        killed = killed_at(following, batch)
        engine.run(following)
        assert engine.run(following).plan == ()
        lan.settle("eth0", "br0")
        assert world.differences(work, lan.work_of(link)) == [], f"batch {batch}"
        engine.run(lan.NOTHING)
        assert world.differences(before, world.image()) == [], f"batch {batch}"
        if not killed:
            break
        batch += 1
    assert batch > 2


@FOLLOWING
def test_a_run_that_fails_after_any_step_leaves_it_to_the_next(following: lan.Document, link: str) -> None:
    lan.build()
    work = lan.work_of("eth0")
    engine.run(lan.BRIDGED)
    set_down()
    image, steps = world.image(), 0
    while (error := failing_after(following, steps)) is not None:
        assert error.problems[-1] == "everything was put back as it was"
        assert world.differences(image, world.image()) == [], f"step {steps}"
        steps += 1
    assert steps > 0
    assert world.differences(work, lan.work_of(link)) == []


PLUGGED: lan.Document = {"bridges": [{"name": "br0"}], "interfaces": [{"name": "eth0", "bridge": "br0"}]}
APART: lan.Document = {"bridges": [{"name": "br0", "uplink": "eth0", "guests": {"among": False}}]}


@pytest.mark.parametrize("document", [lan.BRIDGED, PLUGGED], ids=["uplink", "plugged in"])
@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("state 0", "let the bridge pass what comes through it"),
        ("state 2", "let the bridge pass what comes through it"),
        ("learning off flood off", "learning on, flood on"),
        ("locked on", "locked off"),
    ],
)
def test_the_interface_is_of_use_to_its_bridge_again(document: lan.Document, flags: str, words: str) -> None:
    lan.build()
    engine.run(document)
    before = _port()
    subprocess.run(["bridge", "link", "set", "dev", "eth0", *flags.split()], check=True)
    assert run(document).plan == (f"host: eth0: {words}",)
    assert world.differences(before, _port()) == []


def test_guests_that_are_kept_apart_reach_the_lan_through_it_again() -> None:
    lan.build()
    engine.run(APART)
    subprocess.run(["bridge", "link", "set", "dev", "eth0", "isolated", "on"], check=True)
    assert run(APART).plan == ("host: eth0: not isolated",)


def _port() -> Any:
    ((link,),) = world.ip(None, "link show eth0")
    return {key: value for key, value in link["linkinfo"]["info_slave_data"].items() if "timer" not in key}


@pytest.mark.parametrize("following", [ALONE, lan.NOTHING], ids=["without", "absent"])
def test_an_interface_that_is_down_cant_take_its_work_back(following: lan.Document) -> None:
    lan.build()
    work = lan.work_of("eth0")
    engine.run(lan.BRIDGED)
    set_down("eth0")
    for check in (True, False):
        with pytest.raises(Conflict, match="eth0 is down, and has to be up to take back what br0 does for it; set it"):
            engine.run(following, check=check)
    lan.batch("link set eth0 up")
    engine.run(following)
    assert world.differences(work, lan.work_of("eth0")) == []


def test_what_is_lost_while_it_stands_is_said_once() -> None:
    lan.build()
    engine.run(lan.BRIDGED)
    lan.batch("""
        address del 192.168.1.20/24 dev br0
        address del 192.168.9.5/24 dev br0
        route del default
    """)
    gone = "192.168.1.20/24, route default via 192.168.1.1, route 198.51.100.0/24 via 192.168.1.3"
    end = "which it had for eth0 at the last run; if nobody meant that, add it again"
    said = (f"host: br0 no longer has {gone}, {end}",)
    assert engine.run(lan.BRIDGED, check=True).warnings == said
    assert engine.run(lan.BRIDGED).warnings == said
    assert engine.run(lan.BRIDGED).warnings == ()
