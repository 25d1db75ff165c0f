# SPDX-License-Identifier: GPL-3.0-or-later
"""One plan for docker0 on a fleet: each host its own subnet, every collision named, nobody moved without need."""

from __future__ import annotations

import ipaddress
import itertools
from typing import Any, Dict, List, Optional

import pytest

from ansible_collections.hostwire.linux.plugins.action import docker_readdress_plan
from ansible_collections.hostwire.linux.plugins.plugin_utils.docker_fleet import Host, Plan, make_plan
from ansible_collections.hostwire.linux.plugins.plugin_utils.docker_fleet_report import (
    Outcome,
    conclusion,
    ended_well,
    found_on,
    outcome_of,
    outcome_table,
    plan_conclusion,
    plan_record,
    plan_table,
)

SUPERNET = "10.200.0.0/16"
AGAIN = " Mend what is wrong and start the playbook again: it goes on from here."
LAN = {"to": "192.168.1.0/24", "via": None, "dev": "eth0", "table": 254}


def route(to: str, via: Optional[str] = "192.168.1.1", dev: str = "tun0", table: int = 254) -> Dict[str, Any]:
    return {"to": to, "via": via, "dev": dev, "table": table}


def container(name: str, policy: str = "always", ports: Optional[List[Dict[str, Any]]] = None) -> Dict[str, Any]:
    return {"name": name, "policy": policy, "ports": ports or []}


def host(name: str, docker0: str = "172.17.0.1/16", wish: Optional[Dict[str, Any]] = None, **found: Any) -> Host:
    facts = {
        "installed": True,
        "running": True,
        "reason": None,
        "live_restore": False,
        "docker0": {"present": True, "addresses": [docker0]},
        "addresses": ["192.168.1.9"],
        "networks": [{"name": "bridge", "subnets": [{"subnet": "172.17.0.0/16"}]}],
        "containers": [],
        "routes": [LAN],
        "twice": [],
        **found,
    }
    return Host(name, facts, wish={"supernet": SUPERNET, **(wish or {})})


def addresses(plan: Plan) -> Dict[str, Optional[str]]:
    return {entry.host: entry.bip for entry in plan.entries}


def record(plan: Plan) -> Dict[str, Dict[str, Any]]:
    return plan_record(plan, {})


def test_each_host_gets_a_subnet_of_its_own() -> None:
    plan = make_plan([host(f"web{number}") for number in range(200)], {})
    assert not plan.problems
    networks = [ipaddress.ip_interface(entry.bip or "").network for entry in plan.entries]
    assert len(set(networks)) == 200
    assert all(entry.changes for entry in plan.entries)


@pytest.mark.parametrize("by_file", [True, False])
def test_twenty_that_come_and_twenty_that_go_change_nobody_else(by_file: bool) -> None:
    """The record is the plan file; where that is lost, the addresses that the hosts have."""
    before = make_plan([host(f"web{number}") for number in range(200)], {})
    has = addresses(before)
    names = [f"web{number}" for number in range(20, 200)] + [f"new{number}" for number in range(20)]
    now = [host(name, docker0="172.17.0.1/16" if by_file else has.get(name) or "172.17.0.1/16") for name in names]
    after = make_plan(now, record(before) if by_file else {})
    assert not after.problems
    assert {name: addresses(after)[name] for name in names[:180]} == {name: has[name] for name in names[:180]}
    assert len(set(addresses(after).values())) == 200
    if by_file:
        assert not set(addresses(after).values()) & {has[f"web{number}"] for number in range(20)}, "theirs for good"


@pytest.mark.parametrize(
    ("wish", "told"),
    [
        ({"supernet": "10.200.0.0/24", "prefix": 28}, "docker_bridge_supernet: hosts: 300 still need a subnet"),
        ({"supernet_v6": "fd00::/64", "prefix_v6": 48, "supernet": None}, "docker_bridge_supernet_v6: prefix: /48"),
        ({"supernet": "everything"}, "docker_bridge_supernet: supernet: 'everything' is no address or subnet"),
        ({"supernet": "10.0.0.0/8", "prefix": "long"}, "docker_bridge_supernet: prefix: 'long' is no whole number"),
        ({"supernet": "10.0.0.0/8", "prefix": [24]}, "docker_bridge_supernet: prefix: '[24]' is no whole number"),
    ],
)
def test_a_network_that_is_too_small_is_one_line_for_all_hosts(wish: Dict[str, Any], told: str) -> None:
    own = host("own", wish={"bip": "192.168.225.1/24"})
    plan = make_plan([*(host(f"web{number}", wish=wish) for number in range(300)), own], {})
    (problem,) = plan.problems
    assert problem.startswith(told)
    assert addresses(plan)["own"] == "192.168.225.1/24"


def test_each_network_that_is_too_small_is_told() -> None:
    small = [{"supernet": "10.200.0.0/24", "prefix": 26}, {"supernet": "10.201.0.0/24", "prefix": 26}]
    hosts = [host(f"web{number}-{place}", wish=wish) for place, wish in enumerate(small) for number in range(5)]
    problems = make_plan(hosts, {}).problems
    assert [network in problem for network, problem in zip(("10.200.0.0/24", "10.201.0.0/24"), problems)] == [True] * 2
    assert len(problems) == 2


def test_a_host_that_has_an_address_of_the_network_keeps_it() -> None:
    (entry,) = make_plan([host("web1", docker0="10.200.7.1/24")], {}).entries
    assert (entry.bip, entry.changes, entry.downtime) == ("10.200.7.1/24", False, 0)


def test_what_the_file_says_comes_before_what_the_host_has_and_the_wish_before_both() -> None:
    file = {"web1": {"bip": "10.200.9.1/24"}, "web2": {"bip": "10.200.8.254/24"}}
    hosts = [host("web1", docker0="10.200.7.1/24"), host("web2"), host("web3", wish={"bip": "192.168.225.1/24"})]
    given = addresses(make_plan(hosts, file))
    assert given == {"web1": "10.200.9.1/24", "web2": "10.200.8.254/24", "web3": "192.168.225.1/24"}


def test_two_hosts_with_one_address_today_are_told_apart() -> None:
    plan = make_plan([host("web1", docker0="10.200.7.1/24"), host("web2", docker0="10.200.7.1/24")], {})
    assert not plan.problems
    assert [entry.changes for entry in plan.entries] == [False, True]


def test_new_addresses_keep_clear_of_what_any_host_knows() -> None:
    hosts = [
        host("web1", routes=[LAN, route("10.200.0.0/18"), route("10.200.64.0/19", table=77)]),
        host("web2", wish={"taken": {"lab": "10.200.96.0/19"}}),
        host("web3", networks=[{"name": "shop", "subnets": [{"subnet": "10.200.128.0/17"}]}]),
    ]
    for plan in (make_plan(hosts[:2], {}), make_plan(hosts[:2] + [host("web4")], {})):
        assert not plan.problems
        assert all(
            ipaddress.ip_interface(entry.bip or "") in ipaddress.ip_network("10.200.128.0/17") for entry in plan.entries
        )
    assert make_plan(hosts, {}).problems == (
        (
            "docker_bridge_supernet: hosts: 3 still need a subnet, but 10.200.0.0/16 has only 0 of /24 left;"
            " take a larger supernet or a longer prefix"
        ),
    )


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        (
            [host("a", wish={"bip": "10.8.3.1/24"}, routes=[route("10.8.0.0/16")])],
            "a: docker0 would have 10.8.3.1/24, which overlaps the route 10.8.0.0/16 via 192.168.1.1 dev tun0",
        ),
        (
            [host("a", wish={"bip": "10.8.3.1/24"}, routes=[route("10.8.0.0/16", table=77)])],
            "which overlaps the route 10.8.0.0/16 via 192.168.1.1 dev tun0 (table 77)",
        ),
        (
            [host("a", docker0="10.200.7.1/24", routes=[route("10.0.0.0/8")])],
            "a: docker0 would have 10.200.7.1/24, which overlaps the route 10.0.0.0/8 via 192.168.1.1 dev tun0",
        ),
        (
            [
                host(
                    "a",
                    wish={"bip": "172.18.5.1/24"},
                    networks=[{"name": "shop", "subnets": [{"subnet": "172.18.0.0/16"}]}],
                )
            ],
            'a: docker0 would have 172.18.5.1/24, which overlaps the Docker network "shop" (172.18.0.0/16)',
        ),
        (
            [host("a", wish={"bip": "172.20.5.1/24", "taken": [{"name": "office", "subnet": "172.16.0.0/12"}]})],
            'a: docker0 would have 172.20.5.1/24, which overlaps "office" (172.16.0.0/12)',
        ),
        (
            [host("a", wish={"bip": "172.20.5.1/24", "taken": ["172.16.0.0/12"]})],
            "a: docker0 would have 172.20.5.1/24, which overlaps a network (172.16.0.0/12)",
        ),
        (
            [host("a", wish={"bip": "10.5.0.1/24"}), host("b", routes=[route("10.5.0.0/16", via=None, dev="eth1")])],
            "a: docker0 would have 10.5.0.1/24, which overlaps the network of b on eth1 (10.5.0.0/16)",
        ),
        (
            [host("a", wish={"bip": "10.5.0.1/24"}), host("b", wish={"bip": "10.5.0.1/16"})],
            "a and b: both would have 10.5.0.0/16 and 10.5.0.0/24",
        ),
        (
            [host("a", wish={"default_address_pools": [{"base": "192.168.0.0/16", "size": 24}]})],
            "a: default_address_pools[0] would have 192.168.0.0/16, which overlaps the route 192.168.1.0/24 dev eth0",
        ),
        (
            [host("a", live_restore=True, containers=[container("web")])],
            "a: live-restore is on and containers run, so a new address wouldn't come into force",
        ),
        ([host("a", twice=["bip: set twice"])], "a: bip: set twice"),
        ([host("a", running=False, reason="Docker is stopped")], "a: Docker is stopped"),
        ([host("a", running=False, installed=False)], "a: Docker is not installed"),
        ([host("a", wish={"supernet": "10.0.0.1/8"})], "docker_bridge_supernet: supernet: '10.0.0.1/8' is no network"),
        ([host("a", wish={"bip": "docker0"})], "'docker0' is no address"),
        ([Host("a", {}, "No route to host", True)], "a: can't be reached: No route to host"),
        ([Host("a", {}, "no python3")], "a: no python3"),
    ],
)
def test_what_speaks_against_a_plan_is_named_with_its_host(hosts: List[Host], expected: str) -> None:
    plan = make_plan([*hosts, host("z")], {})
    assert len([problem for problem in plan.problems if expected in problem]) == 1, plan.problems


def test_all_problems_of_all_hosts_are_told_at_once() -> None:
    hosts = [host(f"web{number}") for number in range(200)]
    hosts[17] = host("web17", wish={"bip": "10.8.3.1/24"}, routes=[LAN, route("10.8.0.0/16")])
    hosts[40], hosts[41] = (host(f"web{number}", wish={"bip": "192.168.225.1/24"}) for number in (40, 41))
    hosts[77] = host("web77", wish={"bip": "172.20.0.1/24", "taken": {"office": "172.16.0.0/12"}})
    problems = make_plan(hosts, {}).problems
    assert [problem.split(":")[0] for problem in problems] == ["web17", "web77", "web40 and web41"]


def test_subnets_may_be_shared_where_the_user_says_so() -> None:
    hosts = [host(name, wish={"bip": "192.168.225.1/24"}) for name in ("a", "b")]
    assert make_plan(hosts, {}).problems
    assert not make_plan(hosts, {}, shared=True).problems


def test_two_families() -> None:
    wish = {"supernet_v6": "fd00:d0c::/48"}
    plan = make_plan([host("a", wish=wish), host("b", wish=wish)], {})
    assert not plan.problems
    assert len({entry.bip6 for entry in plan.entries}) == 2
    assert all((entry.bip6 or "").endswith("::1/64") for entry in plan.entries)
    assert make_plan([host("b", wish=wish)], record(plan)).entries[0].bip6 == plan.entries[1].bip6


def test_a_host_that_cannot_be_reached_is_left_out_only_if_the_user_says_so() -> None:
    hosts = [host("a"), Host("b", {}, "No route to host", unreachable=True)]
    assert [problem[:2] for problem in make_plan(hosts, {}).problems] == ["b:"]
    plan = make_plan(hosts, {}, leave_out_unreachable=True)
    assert (plan.problems, plan.left_out, [entry.host for entry in plan.entries]) == ((), ("b",), ["a"])


def test_ports_to_look_at_from_outside() -> None:
    def port(number: int, host_port: int, address: Optional[str] = None, protocol: str = "tcp") -> Dict[str, Any]:
        return {"protocol": protocol, "port": number, "address": address, "host_port": host_port}

    ports = [
        port(80, 8080),
        port(81, 8081, "192.168.1.9"),
        port(82, 8082, "127.0.0.1"),
        port(53, 53, protocol="udp"),
        port(90, 0),
        port(90, 32768),
    ]
    (entry, dummy) = make_plan([host("a", containers=[container("web", ports=ports)]), host("b")], {}).entries
    assert entry.ports == (("192.168.1.9", 8080), ("192.168.1.9", 8081))


def plain(text: str, _colour: str) -> str:
    return text


def test_the_plan_as_a_table() -> None:
    hosts = [
        host("rack1", containers=[container("web"), container("job", "no")]),
        host("rack2", docker0="10.200.7.1/24", containers=[container("web")]),
        Host("rack3", {}, "No route to host", unreachable=True),
    ]
    plan = make_plan(hosts, {}, leave_out_unreachable=True)
    assert plan_table(plan, 79, plain).splitlines() == [
        "HOST   FROM           TO               AWAY    CONTAINERS THAT STOP",
        "rack1  172.17.0.1/16  10.200.221.1/24  ≤ 13 s  2: web, job*",
        "rack2  10.200.7.1/24  stays",
        "rack3  ?              left out                 can't be reached",
    ]
    assert plan_conclusion(plan) == (
        "1 host of 2 to change, 2 containers to stop and come back."
        " * has no restart policy: the playbook starts it again."
    )
    assert plan_conclusion(make_plan([host("rack2", docker0="10.200.7.1/24")], {})).startswith("Nothing to do")


@pytest.mark.parametrize("width", [20, 60, 79, 200])
def test_a_table_keeps_to_its_width(width: int) -> None:
    plan = make_plan([host("a", containers=[container(f"container{number}") for number in range(40)])], {})
    longest = max(len(line) for line in plan_table(plan, width, plain).splitlines())
    assert longest <= max(width, 60)


@pytest.mark.parametrize(
    ("result", "checked", "trouble", "expected"),
    [
        (None, None, None, "untouched"),
        (None, None, "drain failed", "refused"),
        ({"changed": True}, None, None, "changed"),
        ({"changed": False}, None, None, "unchanged"),
        ({"changed": True}, None, "undrain failed", "unfinished"),
        ({"changed": True}, {"unreachable": True, "msg": "no witness"}, None, "unfinished"),
        ({"unreachable": True, "msg": "gone"}, None, None, "unreachable"),
        ({"failed": True, "kind": "conflict", "problems": ["x"]}, None, None, "refused"),
        ({"failed": True, "kind": "verify", "problems": ["x"]}, None, None, "put back"),
        ({"failed": True, "kind": "refused", "msg": "x"}, None, None, "put back"),
        ({"failed": True, "kind": "undo", "msg": "x"}, None, None, "broken"),
        ({"failed": True, "kind": "unexpected", "msg": "x"}, None, None, "broken"),
        ({"changed": True}, {"failed": True, "msg": "silent", "put_back": True}, None, "put back"),
        ({"changed": True}, {"failed": True, "msg": "silent", "put_back": False}, None, "broken"),
    ],
)
def test_what_came_of_a_host(
    result: Optional[Dict[str, Any]], checked: Optional[Dict[str, Any]], trouble: Optional[str], expected: str
) -> None:
    outcome = outcome_of("a", result, checked, trouble)
    assert outcome.outcome == expected
    assert expected in outcome_table([outcome], 79, plain)
    assert ended_well([outcome]) == (expected in ("changed", "unchanged"))


@pytest.mark.parametrize(
    ("outcomes", "options", "expected"),
    [
        ("changed changed", {}, "All 2 hosts have their new address."),
        ("changed unchanged", {}, "All 2 hosts have their new address (1 had it before)."),
        (
            "changed put_back untouched untouched",
            {},
            "h0 has its new address; h1 was put back as before (why); h2 and h3 were not touched." + AGAIN,
        ),
        (
            "changed untouched untouched",
            {"paused": True},
            "Paused: h0 has its new address; h1 and h2 were not touched. Take the pause away" + AGAIN[19:],
        ),
        ("changed unchanged", {"check_mode": True}, "h0 would get its new address; h1 would stay as it is."),
        ("changed left_out", {"goal": "old"}, "h0 has its old address; h1 was left out, not to be reached."),
        ("", {}, "There was no host to change."),
    ],
)
def test_the_sentence_at_the_end(outcomes: str, options: Dict[str, Any], expected: str) -> None:
    listed = [
        Outcome(f"h{place}", word.replace("_", " "), why="why" if word == "put_back" else "")
        for place, word in enumerate(outcomes.split())
    ]
    assert conclusion(listed, **options) == expected


def test_what_docker_info_registered() -> None:
    assert found_on({"installed": True})[1:] == (None, False)
    assert found_on({"unreachable": True, "msg": "No route to host"}) == ({}, "No route to host", True)
    assert found_on({"msg": "no python3", "rc": 127}) == ({}, "no python3", False)
    assert found_on(None)[1]


def test_a_plan_is_the_same_in_every_order() -> None:
    hosts = [host(name) for name in ("a", "b", "c")]
    plans = [addresses(make_plan(order, {})) for order in itertools.permutations(hosts)]
    assert all(plan == plans[0] for plan in plans)


def test_a_host_on_which_a_run_was_broken_off_is_taken_up_again() -> None:
    plan = make_plan([host("a", docker0="10.200.7.1/24", running=False, containers=[], broken_off="stopped")], {})
    assert not plan.problems
    assert (plan.entries[0].bip, plan.entries[0].changes) == ("10.200.7.1/24", True)
    assert "a run was broken off; it is taken back first" in plan_table(plan, 100, plain)


def test_of_many_reasons_the_first_is_told() -> None:
    outcome = outcome_of("a", {"failed": True, "kind": "conflict", "problems": ["one", "two", "three"]})
    assert "(one (and 2 more))" in conclusion([outcome])
    assert "two" not in outcome_table([outcome], 79, plain)


@pytest.mark.parametrize(
    ("tags", "told"), [(["all"], False), (["plan"], True), (["apply"], False), (["plan", "apply"], False)]
)
def test_who_asks_for_the_plan_by_its_tag_is_told_why_the_other_plays_are_empty(tags: List[str], told: bool) -> None:
    assert ("only the plan was asked for" in docker_readdress_plan.what_follows({"ansible_run_tags": tags})) == told
