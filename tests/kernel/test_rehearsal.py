# SPDX-License-Identifier: GPL-3.0-or-later
"""Several documents in one run: check mode says of each just what the run does, and one that is refused stops all."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import time
from typing import Any, Dict, Iterable, List, Optional, Tuple

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ansible_collections.hostwire.linux.plugins.module_utils import rehearsal
from ansible_collections.hostwire.linux.plugins.module_utils.errors import (
    Conflict,
    HostwireError,
    InvalidValue,
    VerificationFailed,
)
from ansible_collections.hostwire.linux.plugins.module_utils.info import info
from ansible_collections.hostwire.linux.tests.in_process import call
from ansible_collections.hostwire.linux.tests.kernel import guest_world, networks, private, scenarios, world
from ansible_collections.hostwire.linux.tests.kernel.docker_stand_in import docker_engine
from ansible_collections.hostwire.linux.tests.kernel.test_convergence import build_foreign

Item = Dict[str, Any]
Setup = Tuple[List[Item], List[Item]]

CHAINS = int(os.environ.get("HOSTWIRE_CHAINS", "15"))
PHASES = [Phase.explicit, Phase.reuse, Phase.generate] + ([Phase.shrink] if os.environ.get("HOSTWIRE_SHRINK") else [])
NUMBERS = {"home": 1, "office": 2, "desk": 3, "lab": 4, "branch": 5, "shop": 7}
MODES = {
    "office": ("nat_network", "host_only"),
    "shop": ("nat_network", "nat"),
    "home": ("nat",),
    "wire": ("bridged",),
    "lab": ("internal",),
    "desk": ("host_only", "nat_network"),
    "branch": ("routed",),
}


@st.composite
def setups(draw: st.DrawFn) -> Setup:
    """Some of these networks, and guests that are plugged into some of them."""
    names = draw(st.lists(st.sampled_from(sorted(MODES)), min_size=0, max_size=3, unique=True))
    entries = [_network(draw, name, names) for name in names]
    guests = [
        {"name": guest, "kind": draw(st.sampled_from(("namespace", "vm"))), "nics": nics}
        for number, guest in enumerate(draw(st.lists(st.sampled_from("abc"), unique=True)), 20)
        if (nics := [_nic(draw, entry, number) for entry in entries if draw(st.booleans())])
    ]
    return entries, guests


def _network(draw: st.DrawFn, name: str, names: List[str]) -> Item:
    mode = draw(st.sampled_from(MODES[name]))
    entry: Item = {"name": name, "mode": mode}
    if mode in ("bridged", "routed"):
        entry["uplink"] = "wire" if mode == "routed" and "wire" in names else "eth0"
    if mode != "bridged":
        number = NUMBERS[name]
        entry["subnet"] = f"10.0.{number}.0/24"
        entry.update({"subnet6": f"fd00:{number}::/64"} if draw(st.booleans()) else {})
        entry.update({"dhcp": {"enabled": True}, "dns": {"enabled": True}} if draw(st.booleans()) else {})
        if mode == "nat":
            entry["transfer"] = f"100.65.{number}.0/24"
            entry.update({"transfer6": f"fd65:{number}::/64"} if "subnet6" in entry else {})
    entry.update({"mtu": 1400} if draw(st.booleans()) else {})
    return entry


def _nic(draw: st.DrawFn, entry: Item, number: int) -> Item:
    nic: Item = {"network": entry["name"]}
    if entry["mode"] != "nat" and draw(st.integers(0, 3)) == 0:  # it asks DHCP
        return nic
    if entry["mode"] == "bridged":
        nic["address"] = f"192.168.1.{number}/24"
    elif entry["mode"] != "nat":
        nic["address"] = f"10.0.{NUMBERS[entry['name']]}.{number}/24"
        if "subnet6" in entry:
            nic["address6"] = f"fd00:{NUMBERS[entry['name']]}::{number}/64"
    if entry["mode"] in ("nat", "nat_network") and draw(st.booleans()):
        port = 1000 * number + NUMBERS.get(entry["name"], 1)
        nic["published_ports"] = [{"port": port, "to_port": 80, "address": draw(st.sampled_from(("any", "127.0.0.1")))}]
    return nic


def documents(setup: Setup, earlier: List[Item]) -> List[Item]:
    """What the role would apply: what is left out of the networks goes."""
    entries, guests = setup
    names = {entry["name"] for entry in entries}
    gone = [{"name": entry["name"], "state": "absent"} for entry in earlier if entry["name"] not in names]
    found: List[Item] = guest_world.FILTERS["guest_documents"]([*entries, *gone], guests, info()["documents"])
    return found


def without_chance(plan: Iterable[str]) -> List[str]:
    """A plan's lines without the MAC address that the kernel gives to a link that gets none: nobody can foretell it."""
    return [re.sub(r"\bmac \S* ?-> ", "mac -> ", line) for line in plan]


def with_said_macs(result: Any, said: str) -> List[Item]:
    """What was and what is, of MAC addresses only those that a document says: others show where one is said next."""
    shown: List[Item] = [json.loads(json.dumps(one)) for one in (result.before, result.after)]
    for document in shown:
        for entry in [*document.get("bridges", []), *document.get("veths", []), *document.get("taps", [])]:
            for end in (entry, entry.get("peer", {})):
                if end.get("mac", "") not in said:
                    end.pop("mac", None)
    return shown


def foretold_and_done(found: List[Item]) -> bool:
    """Whether anything was changed: just what check mode says."""
    before = world.image()
    said_macs = json.dumps(found)
    predicted = rehearsal.run_all(found, check=True)
    assert world.differences(before, world.image()) == []
    done = rehearsal.run_all(found, dad_seconds=0)
    for document, said, came in zip(found, predicted, done):
        assert without_chance(came.plan) == without_chance(said.plan), document.get("name")
        assert with_said_macs(came, said_macs) == with_said_macs(said, said_macs), document.get("name")
        assert (came.changed, came.warnings) == (said.changed, said.warnings), document.get("name")
    return any(result.changed for result in done)


@pytest.mark.slow
@settings(
    max_examples=CHAINS,
    deadline=None,
    phases=PHASES,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
@given(chain=st.lists(setups(), min_size=1, max_size=3))
def test_networks_and_guests_come_and_go_as_foretold_document_by_document(chain: List[Setup]) -> None:
    with private.private_host():
        guest_world.build()
        before = scenarios.snapshot()
        earlier: List[Item] = []
        for setup in chain:
            foretold_and_done(documents(setup, earlier))
            assert not foretold_and_done(documents(setup, []))
            earlier = setup[0]
        foretold_and_done(documents(([], []), earlier))
        assert scenarios.snapshot() == before


@pytest.mark.slow
@settings(
    max_examples=2 * CHAINS,
    deadline=None,
    phases=PHASES,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
@given(first=networks.documents(), second=networks.documents())
def test_what_any_document_becomes_is_foretold_before_what_it_is_first_is_there(first: Item, second: Item) -> None:
    for namespace in [*first["namespaces"], *second["namespaces"]]:
        namespace.pop("sysctls", None)  # what they are in a new namespace is the kernel's to say
    with private.private_host():
        build_foreign()
        before = scenarios.snapshot()
        foretold_and_done([first, second, {"state": "absent"}])
        assert scenarios.snapshot() == before


ROOMS: Item = {"name": "rooms", "namespaces": [{"name": "red"}]}


def network(name: str, number: int, room: str = "red") -> Item:
    """A switch with one guest that leads out."""
    end = {"name": name, "netns": room, "addresses": [f"10.0.{number}.4/24"]}
    return {
        "name": name,
        "bridges": [{"name": name, "addresses": [f"10.0.{number}.1/24"]}],
        "veths": [{"name": f"{name}_{room}"[:15], "bridge": name, "peer": end}],
        "forwarding": {"ipv4": True},
        "masquerade": [{"source": f"10.0.{number}.0/24", "except_to": name}],
    }


def gone(*found: Item) -> List[Item]:
    return [{"name": document["name"], "state": "absent"} for document in found]


def lines(results: List[rehearsal.Result], word: str) -> List[Tuple[int, str]]:
    """The lines of the plans with this word, each with the place of its document."""
    return [(number, line) for number, result in enumerate(results) for line in result.plan if word in line]


def test_what_networks_share_is_told_of_the_one_that_does_it(private_host: object) -> None:
    office, lab = network("office", 2), network("lab", 3)
    coming = rehearsal.run_all([ROOMS, office, lab], check=True)
    assert lines(coming, "IPv4 forwarding:") == [(1, "host: IPv4 forwarding: 0 -> 1")]
    assert foretold_and_done([ROOMS, office, lab])
    going = rehearsal.run_all(gone(office, lab, ROOMS), check=True)
    assert lines(going, "IPv4 forwarding:") == [(1, "host: IPv4 forwarding: 1 -> 0")]
    assert foretold_and_done(gone(office, lab, ROOMS))


def test_one_document_may_bring_what_another_took_away(private_host: object) -> None:
    guest_world.build()
    wire, cable = ({"name": name, "bridges": [{"name": name, "uplink": "eth0"}]} for name in ("wire", "cable"))
    routed = {**network("branch", 5), "interfaces": [{"name": "wire", "mtu": 1500}]}
    assert foretold_and_done([ROOMS, wire, routed])
    assert foretold_and_done([*gone(routed, wire), cable, network("wire", 6)])
    assert foretold_and_done(gone(cable, network("wire", 6), ROOMS))


def test_a_container_gets_cables_of_several_documents_as_foretold(private_host: object) -> None:
    with docker_engine() as docker:
        docker.start("web")
        found = [
            {
                "name": name,
                "bridges": [{"name": name, "addresses": [f"10.0.{number}.1/24"]}],
                "containers": [
                    {"container": "web", "name": name, "bridge": name, "addresses": [f"10.0.{number}.4/24"]}
                ],
            }
            for number, name in enumerate(("office", "lab"), 2)
        ]
        assert foretold_and_done(found)
        assert not foretold_and_done(found)
        docker.restart("web")
        _await_no_cable()
        assert foretold_and_done(found)
        docker.stop("web")
        _await_no_cable()
        with pytest.raises(InvalidValue, match=r"office: containers.*start it first"):
            rehearsal.run_all(found)
        assert foretold_and_done(gone(*found))


def _await_no_cable() -> None:
    """The kernel takes a while to end a container's namespace."""
    deadline = time.monotonic() + 30
    while any(link["ifname"].startswith("ct-") for link in world.ip(None, "link show")[0]):
        assert time.monotonic() < deadline
        time.sleep(0.02)


UPLINK = {"name": "wire", "bridges": [{"name": "wire", "uplink": "eth9"}]}
CONFLICT = {"name": "other", "bridges": [{"name": "office"}]}
UNKNOWN = {"name": "other", "routes": [{"netns": "green", "to": "default", "via": "10.0.2.1"}]}


@pytest.mark.parametrize(
    ("refused", "kind", "message"),
    [
        (UPLINK, InvalidValue, 'wire: bridges.0..uplink: no interface named "eth9"'),
        (CONFLICT, Conflict, "other: bridge office: .* it belongs to the document 'office'"),
        (UNKNOWN, InvalidValue, 'other: routes.0..netns: no namespace named "green"'),
    ],
    ids=["uplink", "conflict", "namespace"],
)
@pytest.mark.parametrize("check", [True, False], ids=["check mode", "run"])
def test_nothing_is_changed_if_a_later_document_is_refused(
    private_host: object, refused: Item, kind: type[HostwireError], message: str, check: bool
) -> None:
    before = world.image()
    with pytest.raises(kind, match=message):
        rehearsal.run_all([ROOMS, network("office", 2), refused], check=check)
    assert world.differences(before, world.image()) == []


def test_whoever_lives_in_a_namespace_that_is_to_go_keeps_its_networks(private_host: object) -> None:
    found = [ROOMS, network("office", 2)]
    rehearsal.run_all(found)
    before = world.image()
    inside = ["nsenter", "--net=/run/netns/red", "sh", "-c", "echo here; exec sleep 600"]
    with subprocess.Popen(inside, stdout=subprocess.PIPE, text=True) as living:
        assert living.stdout is not None
        assert living.stdout.readline() == "here\n"
        try:
            for emptied in ((), ("red",)):
                with pytest.raises(Conflict, match="rooms: namespace red can't be removed: processes live in it"):
                    rehearsal.run_all(gone(*found[::-1]), emptied=emptied)
            assert world.differences(before, world.image()) == []
            predicted = rehearsal.run_all(gone(*found[::-1]), check=True, emptied=["red"])
        finally:
            living.kill()
    assert [result.plan for result in rehearsal.run_all(gone(*found[::-1]))] == [result.plan for result in predicted]


def test_a_document_that_fails_is_undone_and_the_message_names_those_before_it(private_host: object) -> None:
    rehearsal.run_all([ROOMS])
    unreachable = {**network("lab", 3), "probes": [{"from": "red", "to": "10.0.99.1"}]}
    with pytest.raises(VerificationFailed) as failed:
        rehearsal.run_all([ROOMS, network("office", 2), unreachable, network("desk", 4)])
    assert failed.value.problems[0].startswith("lab: probe: 10.0.99.1 (icmp) from red should be reachable")
    assert failed.value.problems[-1] == "what was carried out before stays: rooms, office"
    assert sorted(info()["documents"]) == ["office", "rooms"]


def test_the_module_tells_of_each_document_and_shows_what_changes(private_host: object) -> None:
    found = [ROOMS, network("office", 2), {"name": "nothing"}]
    predicted, done, again = (call("topologies", documents=found, check=check) for check in (True, False, False))
    assert [each["name"] for each in done["documents"]] == ["rooms", "office", "nothing"]
    assert [each["changed"] for each in done["documents"]] == [True, True, False]
    for field in ("name", "changed", "plan", "before", "after", "reachability"):
        assert [each[field] for each in predicted["documents"]] == [each[field] for each in done["documents"]]
    assert predicted["diff"] == done["diff"]
    assert [each["after_header"] for each in done["diff"]] == ["rooms as it will be", "office as it will be"]
    assert (predicted["changed"], done["changed"], again["changed"], again["diff"]) == (True, True, False, [])


def test_what_is_wrong_with_documents_is_said_at_once_with_their_places(private_host: object) -> None:
    answer = call("topologies", documents=[{"nmae": "rooms"}, "red", {"bridges": [{"name": "-x"}]}], emptied=["red"])
    assert (answer["failed"], answer["kind"]) == (True, "invalid")
    for path in ("emptied:", "documents[0].nmae:", 'documents[1]: "red" is not', "documents[2].bridges[0].name:"):
        assert any(problem.startswith(path) for problem in answer["problems"]), (path, answer["problems"])


def test_a_guest_behind_a_router_and_in_another_network_is_as_it_was_the_second_time(private_host: object) -> None:
    guest_world.build()
    ports = [{"port": port, "to_port": 80, "address": "any"} for port in (20007, 20002)]
    shop = {"network": "shop", "published_ports": ports[:1]}
    office = {"network": "office", "address": "10.0.2.20/24", "published_ports": ports[1:]}
    setup = (
        [
            {"name": "shop", "mode": "nat", "subnet": "10.0.7.0/24", "transfer": "100.65.7.0/24"},
            {"name": "office", "mode": "nat_network", "subnet": "10.0.2.0/24"},
        ],
        [{"name": "c", "kind": "namespace", "nics": [shop, office]}],
    )
    assert foretold_and_done(documents(setup, []))
    assert not foretold_and_done(documents(setup, []))


def test_a_setting_that_is_asked_for_only_since_a_document_before_is_on_paper_is_foretold(private_host: object) -> None:
    guest_world.build()
    office = {
        "network": "office",
        "address": "10.0.2.20/24",
        "published_ports": [{"port": 20002, "to_port": 80, "address": "any"}],
    }
    setup = (
        [{"name": name, "mode": "nat_network", "subnet": f"10.0.{NUMBERS[name]}.0/24"} for name in ("shop", "office")],
        [{"name": "c", "kind": "namespace", "nics": [{"network": "shop", "address": "10.0.7.20/24"}, office]}],
    )
    assert foretold_and_done(documents(setup, []))
    assert not foretold_and_done(documents(setup, []))


WORDS = (None, True, False)


@pytest.mark.parametrize("room", [None, "n0"])
@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
@pytest.mark.parametrize(("first", "second"), list(itertools.product(WORDS, WORDS)))
def test_a_switch_takes_the_links_along_on_paper_too(
    private_host: object, family: str, first: Optional[bool], second: Optional[bool], room: Optional[str]
) -> None:
    build_foreign()
    bridges = [
        {"name": f"b{number}", "netns": room, "addresses": [f"10.{number}.0.1/24", f"fd00:{number}::1/64"]}
        for number in (0, 1)
    ]
    documents: List[Item] = []
    for number, word in enumerate((first, second), 1):
        said = {"forwarding": {family: word}}
        where = said if room is None else {"namespaces": [{"name": room, **said}]}
        documents.append({"bridges": bridges[:number], **where})
    foretold_and_done([*documents, {"state": "absent"}])


@pytest.mark.usefixtures("private_host")
def test_two_documents_without_a_name_would_take_each_others_objects() -> None:
    documents = [{"bridges": [{"name": "b0"}]}, {"name": "c"}, {"bridges": [{"name": "b1"}]}]
    before = world.image()
    for check in (True, False):
        (line,) = call("topologies", documents=documents, check=check)["problems"]
        assert line.startswith("documents[2].name: is missing, as it is in documents[0]")
    assert world.differences(before, world.image()) == []
    for first, second in (({"name": "main"}, {"name": "main"}), ({"state": "absent"}, {})):
        documents = [{**first, "bridges": [{"name": "b0"}]}, {**second, "bridges": [{"name": "b1"}]}]
        assert call("topologies", documents=documents)["changed"]  # that is said
