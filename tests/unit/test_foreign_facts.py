# SPDX-License-Identifier: GPL-3.0-or-later
"""A broken or lying host: named with its field, and neither on the terminal nor at anybody's door."""

from __future__ import annotations

import copy
import itertools
import json
from typing import Any, Dict, Iterator, List, Tuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.hostwire.linux.plugins.plugin_utils import columns, docker_fleet_ports
from ansible_collections.hostwire.linux.plugins.plugin_utils.docker_fleet import Host, Plan, make_plan
from ansible_collections.hostwire.linux.plugins.plugin_utils.docker_fleet_report import (
    Outcome,
    conclusion,
    found_on,
    outcome_of,
    outcome_table,
    plan_conclusion,
    plan_table,
)
from ansible_collections.hostwire.linux.plugins.plugin_utils.guest_modes_report import measured
from ansible_collections.hostwire.linux.plugins.plugin_utils.reachability_report import host_probes, table

STEERING = "w\nrack9  10.9.9.9/24\x1b[2J\r\x9b31m\u202e"
LAN = {"to": "192.168.1.0/24", "via": None, "dev": "eth0", "table": 254}
GOOD: Dict[str, Any] = {
    "installed": True,
    "running": True,
    "reason": None,
    "broken_off": None,
    "live_restore": False,
    "twice": [],
    "docker0": {"present": True, "addresses": ["172.17.0.1/16", "fd00::1/64"]},
    "networks": [{"name": "shop", "subnets": [{"subnet": "172.18.0.0/16", "gateway": None}, {"subnet": None}]}],
    "containers": [
        {
            "name": "web",
            "policy": "always",
            "ports": [{"protocol": "tcp", "port": 80, "address": None, "host_port": 8080}],
        }
    ],
    "addresses": ["192.168.1.9", "fd00:1::9"],
    "routes": [LAN, {"to": "10.8.0.0/16", "via": "192.168.1.1", "dev": "tun0", "table": 77}],
}
ROW = {
    "from": None,
    "to": "10.0.0.1",
    "protocol": "tcp",
    "port": 80,
    "expect": "reachable",
    "got": "unreachable",
    "ok": False,
    "milliseconds": None,
    "detail": "port closed",
}


def places(value: Any, path: Tuple[Any, ...] = ()) -> Iterator[Tuple[Any, ...]]:
    """The way to each value in it, the containers of values too."""
    if path:
        yield path
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from places(value[key], (*path, key))


def spoilt(value: Any, path: Tuple[Any, ...], junk: Any) -> Any:
    """A copy with something else at that place; ... leaves it out."""
    found = copy.deepcopy(value)
    inside = found
    for key in path[:-1]:
        inside = inside[key]
    if junk is ...:
        del inside[path[-1]]
    else:
        inside[path[-1]] = junk
    return found


JUNK = st.one_of(
    st.sampled_from(
        [..., None, True, -1, 1 << 70, 1.5, "", STEERING, "10.0.0.1/33", "::1%\n", [], {}, [None], [STEERING]]
    ),
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5), lambda each: st.lists(each, max_size=2), max_leaves=4
    ),
)


def plain(text: str, colour: str) -> str:
    return text


def shown(plan: Plan) -> str:
    """All that is printed of a plan."""
    return "\n".join([plan_table(plan, 100, plain), plan_conclusion(plan), *plan.problems])


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(list(places(GOOD))), JUNK)
def test_whatever_a_host_tells_it_is_planned_for_or_named(path: Tuple[Any, ...], junk: Any) -> None:
    wish = {"supernet": "10.200.0.0/16"}
    plan = make_plan([Host("good", GOOD, wish=wish), Host("bad", spoilt(GOOD, path, junk), wish=wish)], {})
    assert all(problem.startswith(("bad: ", "good: docker0 would have ")) for problem in plan.problems)
    assert plan.problems or {entry.host for entry in plan.entries} == {"good", "bad"}
    printed = shown(plan)
    assert all(line.isprintable() for line in printed.splitlines())
    assert not any(line.startswith("rack9") for line in printed.splitlines())


@pytest.mark.parametrize(
    ("path", "junk", "told"),
    [
        (("docker0",), None, "docker0: null is not a mapping"),
        (("routes", 0, "to"), ..., "routes[0].to: is missing"),
        (("networks", 0, "subnets"), ..., "networks[0].subnets: is missing"),
        (
            ("docker0", "addresses", 0),
            "172.17.0.1/16\x1b[2J",
            'docker0.addresses[0]: "172.17.0.1/16\\x1b[2J" is not an',
        ),
        (("addresses", 1), "fe80::1%\x1b[2J", "addresses[1]: "),
        (("containers", 0, "ports", 0, "host_port"), 65536, "containers[0].ports[0].host_port: 65536 is not a whole"),
        (("containers", 0, "name"), "w" * 1001, "containers[0].name: "),
        (("running",), "yes", 'running: "yes" is neither true nor false'),
    ],
)
def test_the_field_is_named_and_everybody_elses_problems_too(path: Tuple[Any, ...], junk: Any, told: str) -> None:
    hosts = [Host("bad", spoilt(GOOD, path, junk)), Host("other", GOOD)]
    problems = make_plan(hosts, {}).problems
    assert [problem.split(":")[0] for problem in problems] == ["bad", "other"]
    assert problems[0].startswith("bad: what it tells of its Docker can't be so: ")
    assert told in problems[0]


def test_of_a_lot_of_nonsense_a_little_is_told() -> None:
    (problem,) = make_plan([Host("bad", {**GOOD, "routes": [{}] * 5000})], {}).problems
    assert problem.endswith("; and 9997 more")
    assert len(problem) < 300


@pytest.mark.parametrize("result", ["text", ["list"], 7])
def test_what_is_no_result_at_all_is_told(result: Any) -> None:
    facts, trouble, unreachable = found_on(result)
    assert (facts, unreachable) == ({}, False)
    assert trouble == "what it tells of its Docker is nothing that docker_info returns"


@pytest.mark.parametrize(
    "result",
    [
        {"failed": True, "problems": [STEERING]},
        {"failed": True, "msg": STEERING},
        {"failed": True, "problems": STEERING},
        {"unreachable": True, "msg": STEERING},
        {"changed": True, "after": {"address": STEERING}},
        {"changed": True, "after": [STEERING]},
    ],
)
def test_the_summary_prints_no_control_characters(result: Dict[str, Any]) -> None:
    outcome = outcome_of("bad", result)
    printed = f"{outcome_table([outcome], 100, plain)}\n{conclusion([outcome])}"
    assert all(line.isprintable() for line in printed.split("\n"))


def test_a_reason_without_end_is_cut_in_the_sentence() -> None:
    assert len(conclusion([Outcome("bad", "broken", why="x" * 100_000)])) < 1000


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(list(places([ROW]))), JUNK)
def test_rows_of_probes_that_cant_be_so_prove_nothing(path: Tuple[Any, ...], junk: Any) -> None:
    known = host_probes("bad", {"matrix": spoilt([ROW], path, junk)})
    assert known.unproved is None or known.unproved.startswith("what it tells of its probes can't be so: matrix")
    assert all(line.isprintable() for line in table([known], 100, plain).splitlines())
    modes = measured("bad", {"results": [{"matrix": spoilt([ROW], path, junk), "item": {"trials": TRIALS}}]})
    assert modes.unproved is None or modes.unproved.isprintable()


TRIALS = [{"network": "n", "mode": "nat", "cell": "c", "way": "direct", "place": "host", "promise": "yes"}]


def test_rows_that_nobody_asked_for_prove_nothing() -> None:
    known = measured("bad", {"results": [{"matrix": [ROW, ROW], "item": {"trials": TRIALS}}]})
    assert known.unproved == "it tells of 2 probes, and 1 were asked for"


def lying(addresses: List[str], **more: Any) -> Dict[str, Any]:
    return {**GOOD, "addresses": addresses, "routes": [], **more}


def asked(host: Host, *others: Host) -> List[str]:
    """At which addresses a witness would be sent to ask for the host's ports."""
    entry = make_plan([host, *others], {}).entries[0]
    return [address for address, dummy in entry.ports]


VICTIMS = [
    "203.0.113.80",
    "2001:db8::80",
    "127.0.0.1",
    "::1",
    "169.254.169.254",
    "224.0.0.1",
    "10.9.9.9",
    "192.168.1.77",
]


def test_a_host_sends_no_witness_to_where_only_it_says_it_is() -> None:
    """Its own routes say nothing either: who lies of addresses lies of networks."""
    routes = [{"to": "0.0.0.0/2", "via": None, "dev": "eth0"}, {"to": "10.9.9.0/24", "via": None, "dev": "eth0"}]
    assert asked(Host("bad", lying(VICTIMS, routes=routes))) == []
    assert asked(Host("bad", lying(VICTIMS)), Host("good", {**GOOD, "routes": [LAN]})) == ["192.168.1.77"]
    beyond = {**GOOD, "routes": [{"to": "10.9.9.0/24", "via": "192.168.1.1", "dev": "eth0"}]}
    assert asked(Host("bad", lying(VICTIMS)), Host("good", beyond)) == []
    (entry,) = make_plan([Host("bad", lying(["2001:db8::80"]), known=("2001:DB8:0::80",))], {}).entries
    assert entry.ports == (("2001:db8::80", 8080),)


def test_who_cant_be_asked_from_outside_is_told() -> None:
    wish = {"supernet": "10.200.0.0/16"}
    alone = make_plan([Host("a", lying(["10.1.1.1"]), wish=wish)], {})
    assert alone.unasked == ("a",)
    assert make_plan([Host("a", lying(["10.1.1.1"]), wish=wish, known=("10.1.1.1",))], {}).unasked == ()
    inner = spoilt(GOOD, ("containers", 0, "ports", 0, "address"), "127.0.0.1")
    assert make_plan([Host("a", inner, wish=wish)], {}).unasked == ()


def test_a_witness_has_no_endless_work() -> None:
    port = {"protocol": "tcp", "port": 80, "address": None}
    containers = [{"name": "c", "policy": "no", "ports": [{**port, "host_port": number}]} for number in range(1, 3001)]
    addresses = [f"192.168.1.{number}" for number in range(1, 200)]
    facts = {**GOOD, "containers": containers, "addresses": addresses}
    (entry, dummy) = make_plan([Host("a", facts), Host("b", GOOD)], {}).entries
    assert len(entry.ports) == docker_fleet_ports.MOST
    assert {address for address, dummy in entry.ports} == {"192.168.1.1"}, "each port once before any twice"


def test_what_is_cut_off_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: List[int] = []
    real = columns.get_text_width
    monkeypatch.setattr(columns, "get_text_width", lambda text: looked_at.append(len(text)) or real(text))
    assert columns.cut("w" * 1_000_000, 20) == "w" * 19 + "…"
    assert sum(looked_at) < 100


@given(st.text(alphabet="ab\u00e9\u4e2d\u0301 ", max_size=30), st.integers(1, 20))
def test_text_is_cut_to_its_width_and_to_no_less(text: str, width: int) -> None:
    kept = columns.cut(text, width)
    assert columns.columns(kept) <= width
    if columns.columns(text) <= width:
        assert kept == text
    else:
        longest = max(
            (part for part in itertools.accumulate(text) if columns.columns(part) < width), key=len, default=""
        )
        assert kept == longest + "…"
    assert columns.columns(columns.fit(text, width)) == width


def test_the_good_facts_are_good() -> None:
    """Else nothing here would prove anything."""
    assert not make_plan([Host("a", json.loads(json.dumps(GOOD)), wish={"supernet": "10.200.0.0/16"})], {}).problems
