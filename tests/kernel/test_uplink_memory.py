# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of a document is lost, or is of another time: the addresses on its uplink's bridge stay the host's."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, Callable, Dict, Tuple

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import engine
from ansible_collections.hostwire.linux.plugins.module_utils.errors import Conflict
from ansible_collections.hostwire.linux.tests.kernel import lan, world
from ansible_collections.hostwire.linux.tests.kernel.test_uplink_failures import killed_at

pytestmark = pytest.mark.usefixtures("private_host")

STATE = Path("/var/lib/hostwire/main.state")
GUEST = {"name": "v", "bridge": "br0", "peer": {"name": "e", "netns": "g", "addresses": ["192.168.1.9/24"]}}
BRIDGED: lan.Document = {**lan.BRIDGED, "namespaces": [{"name": "g"}], "veths": [GUEST]}
WITHOUT: lan.Document = {**BRIDGED, "bridges": [{"name": "br0"}]}
OTHERWISE: lan.Document = {**BRIDGED, "bridges": [{"name": "br0", "addresses": ["10.5.0.1/24"]}]}
FOREIGN: lan.Document = {"name": "foreign", "namespaces": [{"name": "h"}], "bridges": [{"name": "br7"}]}


def lose(_older: str) -> None:
    STATE.unlink()


def restore_older(older: str) -> None:
    STATE.write_text(older)


def cut_short(_older: str) -> None:
    STATE.write_text(STATE.read_text()[:200])


Loss = Callable[[str], None]
LOSSES: Tuple[Loss, ...] = (lose, restore_older, cut_short)


def settled_run(document: lan.Document) -> None:
    """A run after which nothing is to be done."""
    engine.run(document)
    assert engine.run(document).plan == ()


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    ("following", "link"),
    [(BRIDGED, "br0"), (WITHOUT, "eth0"), (OTHERWISE, "eth0"), (lan.NOTHING, "eth0"), (FOREIGN, "br0")],
    ids=["same", "without", "otherwise", "absent", "foreign"],
)
def test_the_hosts_addresses_are_never_taken_away(loss: Loss, following: lan.Document, link: str) -> None:
    lan.build()
    before, work = world.image(), lan.work_of("eth0")
    engine.run({"namespaces": [{"name": "old"}]})
    older = STATE.read_text()
    engine.run(BRIDGED)
    loss(older)
    settled_run(following)
    assert world.differences(work, lan.work_of(link)) == []
    assert lan.reached("192.168.1.2")
    for document in (lan.NOTHING, {**lan.NOTHING, "name": "foreign"}):
        settled_run(document)
    assert world.differences(work, lan.work_of("eth0")) == []
    assert world.differences(before, world.image()) == []


@pytest.mark.parametrize("following", ["same", "absent"])
def test_so_it_is_in_a_namespace_that_nothing_remembers(following: str) -> None:
    lan.build()
    before = world.image()
    document: Dict[str, Any] = {"bridges": [{"name": "br0", "netns": "lan", "uplink": "eth0"}]}
    engine.run(document)
    STATE.unlink()
    settled_run(document if following == "same" else lan.NOTHING)
    settled_run(lan.NOTHING)
    assert subprocess.run(["ping", "-qc1", "-W2", "192.168.1.1"], capture_output=True, check=False).returncode == 0
    assert world.differences(before, world.image()) == []


def test_a_task_for_one_object_leaves_the_uplink_alone() -> None:
    lan.build()
    work = lan.work_of("eth0")
    engine.run(BRIDGED)
    STATE.unlink()
    engine.run({"bridges": [{"name": "br5"}]}, fragment=True)
    assert world.differences(work, lan.work_of("br0")) == []
    engine.run({"bridges": [{"name": "br0"}], "state": "absent"}, fragment=True)
    assert world.differences(work, lan.work_of("eth0")) == []


def test_an_older_memory_of_another_bridge_is_corrected() -> None:
    lan.build()
    before, work = world.image(), lan.work_of("eth0")
    engine.run({"bridges": [{"name": "br1", "uplink": "eth0"}]})
    older = STATE.read_text()
    engine.run(lan.NOTHING)
    engine.run(lan.BRIDGED)
    restore_older(older)
    settled_run(lan.BRIDGED)
    restore_older(older)
    settled_run(lan.NOTHING)
    assert world.differences(work, lan.work_of("eth0")) == []
    assert world.differences(before, world.image()) == []


def unmark() -> None:
    """As on a kernel that has no altnames."""
    subprocess.run(["ip", "link", "property", "del", "dev", "eth0", "altname", "hostwire:main:br0"], check=True)


def test_without_a_mark_the_document_tells_what_it_is() -> None:
    lan.build()
    before, work = world.image(), lan.work_of("eth0")
    engine.run(BRIDGED)
    unmark()
    STATE.unlink()
    settled_run(BRIDGED)
    assert world.differences(work, lan.work_of("br0")) == []
    engine.run(lan.NOTHING)
    assert world.differences(before, world.image()) == []


@pytest.mark.parametrize("following", [WITHOUT, OTHERWISE, lan.NOTHING], ids=["without", "otherwise", "absent"])
def test_where_nothing_tells_it_is_refused_in_words(following: lan.Document) -> None:
    lan.build()
    engine.run(BRIDGED)
    unmark()
    STATE.unlink()
    image = world.image()
    with pytest.raises(
        Conflict, match=r"(may be the host's: nothing is remembered.*say uplink: eth0)|ports that aren't"
    ):
        engine.run(following)
    assert world.differences(image, world.image()) == []
    assert lan.reached("192.168.1.2")


def test_addresses_of_the_document_cant_be_told_from_the_hosts_any_more_and_none_is_lost() -> None:
    lan.build()
    document = {"bridges": [{"name": "br0", "uplink": "eth0", "addresses": ["192.168.1.2/24", "10.5.0.1/24"]}]}
    engine.run(document)
    STATE.unlink()
    settled_run(document)
    settled_run(lan.NOTHING)
    shown = lan.ip("-4", "-br", "address", "show", "dev", "eth0").split()[2:]
    assert {"192.168.1.2/24", "192.168.1.20/24", "10.5.0.1/24"} <= set(shown)
    assert lan.reached("192.168.1.2")


@pytest.mark.parametrize("following", [lan.BRIDGED, lan.NOTHING], ids=["bridged", "absent"])
@pytest.mark.parametrize("going", [lan.BRIDGED, lan.NOTHING], ids=["there", "back"])
def test_a_run_that_is_killed_and_its_journal_lost_loses_nothing(going: lan.Document, following: lan.Document) -> None:
    lan.build()
    before, work, batch = world.image(), lan.work_of("eth0"), 0
    while True:
        if going is lan.NOTHING:
            engine.run(lan.BRIDGED)
        killed = killed_at(going, batch)
        for path in STATE.parent.glob("main.*"):
            path.unlink()
        bare = "br0" in lan.ip("-br", "link") and "hostwire:main" not in lan.ip("link", "show", "dev", "br0")
        if bare:  # just made, and not marked yet: nothing tells whose it is
            lan.ip("link", "delete", "br0")
        engine.run(following)
        lan.settle("eth0", "br0")
        link = "br0" if following is lan.BRIDGED else "eth0"
        assert world.differences(work, lan.work_of(link)) == [], f"batch {batch}"
        engine.run(lan.NOTHING)
        assert world.differences(before, world.image()) == [], f"batch {batch}"
        if not killed:
            break
        batch += 1
    assert batch > 4


@pytest.mark.parametrize("lost", [False, True], ids=["remembered", "lost"])
def test_a_bridge_that_somebody_gave_another_name_gives_all_back(lost: bool) -> None:
    lan.build()
    work = lan.work_of("eth0")
    engine.run(lan.BRIDGED)
    lan.ip("link", "set", "dev", "br0", "name", "br1")
    if lost:
        STATE.unlink()
    with pytest.raises(Conflict, match="it is a port of br1 already"):
        engine.run(lan.BRIDGED)
    settled_run(lan.NOTHING)
    assert same_work(work, lan.work_of("eth0"))
    assert "br1" not in lan.ip("-br", "link")


@pytest.mark.parametrize("deleted", [False, True], ids=["standing", "deleted"])
def test_a_nic_that_somebody_gave_another_name_gets_all_back(deleted: bool) -> None:
    lan.build()
    work = lan.work_of("eth0")
    engine.run(lan.BRIDGED)
    lan.ip("link", "set", "dev", "eth0", "name", "wan0")
    if deleted:
        lan.ip("link", "delete", "br0")
    settled_run(lan.NOTHING)
    assert same_work(work, lan.work_of("wan0"))


def same_work(work: Dict[str, Any], other: Dict[str, Any]) -> bool:
    """But for labels, which the kernel changes along with a link's name."""
    addresses = [[(entry["local"], entry["valid_life_time"]) for entry in one["addresses"]] for one in (work, other)]
    return addresses[0] == addresses[1] and all(work[part] == other[part] for part in work if part != "addresses")


@pytest.mark.parametrize("lost", [False, True], ids=["remembered", "lost"])
@pytest.mark.parametrize("following", [BRIDGED, WITHOUT, OTHERWISE, lan.NOTHING])
def test_a_mark_that_came_to_another_link_gives_that_nothing(following: lan.Document, lost: bool) -> None:
    lan.build()
    lan.batch("link add eth7 type veth peer name eth7 netns lan\nlink set eth7 up")
    work = lan.work_of("eth0")
    engine.run(BRIDGED)
    mark = "hostwire:main:br0"
    lan.batch(f"""
        link property del dev eth0 altname {mark}
        link property add dev eth7 altname {mark}
    """)
    if lost:
        lose("")
    link = "eth0" if not lost and following is not BRIDGED else "br0"
    if lost and following is not BRIDGED:
        with pytest.raises(Conflict, match="eth0"):
            engine.run(following)
    else:
        settled_run(following)
        assert mark not in lan.ip("link", "show", "dev", "eth7")
    assert world.differences(work, lan.work_of(link)) == []
    assert [one["local"] for one in lan.addresses("eth7") if one["scope"] != "link"] == []
    assert lan.reached("192.168.1.2")


def test_addresses_that_others_routes_lean_on_stay_when_nothing_tells_whose_they_are() -> None:
    """The interface is gone from the host, so not even a port tells that it was one's uplink."""
    lan.build()
    engine.run(lan.BRIDGED)
    lose("")
    lan.batch("netns add elsewhere\nlink set eth0 netns elsewhere")
    work = lan.work_of("br0")
    for check in (True, False):
        with pytest.raises(Conflict, match=r"192\.168\.1\.2/24, .* may be the host's: .* routes that aren't ours lead"):
            engine.run({"bridges": [{"name": "br0"}]}, check=check)
    assert world.differences(work, lan.work_of("br0")) == []
