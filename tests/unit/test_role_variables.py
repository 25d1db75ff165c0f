# SPDX-License-Identifier: GPL-3.0-or-later
"""A role's variables: a mistyped one is named, and all that the values say wrong is told at once, with its path."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.hostwire.linux.plugins.plugin_utils.role.unknown import unknown_variables
from ansible_collections.hostwire.linux.plugins.plugin_utils.role.values import ROLES, judged

DIRECTORY = Path(__file__).resolve().parents[2] / "roles"
COMPUTED = {"docker_bridge_taken_subnets": [], "name_service_namespaces": [], "name_service_containers": []}


def options(role: str) -> dict[str, dict[str, Any]]:
    spec = yaml.safe_load((DIRECTORY / role / "meta" / "argument_specs.yml").read_text())
    found: dict[str, dict[str, Any]] = spec["argument_specs"]["main"]["options"]
    return found


def problems(role: str, **variables: Any) -> list[str]:
    """What is wrong with these variables, all others as they are by default."""
    defaults = {name: option.get("default") for name, option in options(role).items()}
    values = {**copy.deepcopy(defaults), **COMPUTED, "groups": {"all": []}, **variables}
    return judged(role, values.get)


def test_every_role_is_known() -> None:
    assert sorted(ROLES) == sorted(path.name for path in DIRECTORY.iterdir())


@pytest.mark.parametrize("role", ROLES)
def test_the_role_judges_before_anything_else_and_ansible_lets_everything_pass(role: str) -> None:
    first = yaml.safe_load((DIRECTORY / role / "tasks" / "main.yml").read_text())[0]
    assert first["hostwire.linux.role_variables"] == {"role": role}
    assert {option["type"] for option in options(role).values()} == {"raw"}
    assert not any({"choices", "elements"} & set(option) for option in options(role).values())


@pytest.mark.parametrize("role", ROLES)
def test_the_default_values_are_right(role: str) -> None:
    needed = {"dnsmasq_name": "office"} if role == "dnsmasq" else {}
    assert problems(role, **needed) == []


MISTYPED = {
    "topology_publishd_ports": "topology_published_ports",
    "router_network": "router_networks",
    "guest_network_guest": "guest_network_guests",
    "name_service_recrods": "name_service_records",
    "docker_bridge_takn": "docker_bridge_taken",
    "dnsmasq_line": "dnsmasq_lines",
}


@pytest.mark.parametrize(("slip", "meant"), MISTYPED.items())
def test_a_mistyped_variable_is_named_with_the_one_that_is_meant(slip: str, meant: str) -> None:
    role = next(role for role in ROLES if slip.startswith(f"{role}_"))
    (line,) = unknown_variables(role, {slip: [], meant: [], "inventory_hostname": "web1"})
    assert line.startswith(f'{slip}: the role {role} has no such variable; did you mean "{meant}"?')
    for other in set(ROLES) - {role}:
        assert unknown_variables(other, {slip: []}) == []


@pytest.mark.parametrize("role", ROLES)
def test_what_the_role_has_itself_is_known(role: str) -> None:
    given = dict.fromkeys([*options(role), f"{role}_result"])
    unknown = unknown_variables(role, given)
    assert [line for line in unknown if f"{role}_result" not in line] == []


def test_of_a_stranger_nobody_is_like_all_are_told() -> None:
    (line,) = unknown_variables("router", {"router_zzzzzz": 1})
    assert all(option in line for option in options("router"))
    assert "hostwire_other_variables" in line


def test_the_result_of_a_module_and_what_is_somebody_elses_may_have_such_names() -> None:
    given = {"topology_info": {}, "router_id": "192.0.2.1"}
    assert unknown_variables("topology", given) == []
    assert unknown_variables("router", given, ["router_id"]) == []
    assert len(unknown_variables("router", given)) == 1


@pytest.mark.parametrize(
    ("listed", "told"),
    [
        (5, "hostwire_other_variables: "),
        ("router_id", "hostwire_other_variables: "),
        ({"router_id": 1}, "hostwire_other_variables: "),
        (["router_zone", ["router_id"]], "hostwire_other_variables[1]: "),
    ],
)
def test_a_list_of_somebody_elses_variables_that_is_none_is_told(listed: Any, told: str) -> None:
    lines = unknown_variables("router", {"router_id": "192.0.2.1"}, listed)
    assert [line.startswith(begin) for line, begin in zip(lines, (told, "router_id: "))] == [True, True]


def test_what_another_variable_is_made_of_is_no_slip() -> None:
    template = "{{ topology_site_routes + topology_rack_routes }}"
    parts: dict[str, Any] = {"topology_site_routes": [], "topology_rack_routes": []}
    assert unknown_variables("topology", {**parts, "topology_routes": template}) == []
    assert unknown_variables("topology", {**parts, "topology_document": {"routes": [template]}}) == []
    assert len(unknown_variables("topology", {**parts, "topology_routes": "{{ topology_site_routes_v6 }}"})) == 2
    assert len(unknown_variables("topology", {**parts, "note": "about topology_site_routes"})) == 2


DESK = "192.168.56.0/24"
TOLD: list[tuple[str, dict[str, Any], list[str]]] = [
    ("topology", {"topology_document": "x"}, ['topology_document: "x" is not a mapping of fields']),
    (
        "topology",
        {"topology_document": {"bridgs": []}, "topology_namespaces": ["shop"]},
        ['topology_document.bridgs: unknown key; did you mean "bridges"?', 'namespaces[0]: "shop" is not a mapping'],
    ),
    (
        "router",
        {"router_ipv4": "perhaps", "router_networks": ["10.0.0.1/24"], "router_routes": [{"too": "default"}]},
        [
            'router_ipv4: "perhaps" is neither true nor false',
            'router_routes[0].too: unknown key; did you mean "to"?',
            "router_routes[0].to: is missing",
            'router_networks[0]: "10.0.0.1/24" has host bits set',
        ],
    ),
    ("router", {"router_state": "gone"}, ['router_state: "gone" is none of present, absent']),
    ("router", {"router_masquerade": {"source": "10.0.0.0/8"}}, ["router_masquerade: a mapping is not a list"]),
    (
        "guest_network",
        {
            "guest_network_networks": [
                {"name": "lan", "mode": "nat_network", "dhcp": True},
                {"name": "b", "mode": "hostonly"},
            ]
        },
        [
            "guest_network_networks[0].dhcp: true is not a mapping of fields (enabled,",
            'guest_network_networks[1].mode: "hostonly" is none of',
        ],
    ),
    ("guest_network", {"guest_network_networks": {"name": "x"}}, ["guest_network_networks: a mapping is not a list"]),
    (
        "guest_network",
        {"guest_network_guests": [{"name": "a", "nics": [{"network": "x"}]}]},
        ["guest_network_guests[0].nics[0].network: no network"],
    ),
    (
        "guest_network",
        {"guest_network_networks": [{"name": "a", "mode": "host_only"}, {"name": "b", "mode": "host_only"}]},
        [f"guest_network_networks[1].subnet: {DESK} overlaps {DESK}, in guest_network_networks[0].subnet;"],
    ),
    (
        "router",
        {"router_published_ports": [{"port": 80, "to": "10.0.0.2:80"}, {"port": 80, "to": "10.0.0.3:80"}]},
        ["router_published_ports[1].port: tcp 80 on 127.0.0.1 is published already, in router_published_ports[0]"],
    ),
    (
        "name_service",
        {
            "name_service_mode": "file",
            "name_service_host": "perhaps",
            "name_service_namespaces": "red",
            "name_service_records": [{"name": "a"}],
            "name_service_from_guests": ["x"],
            "name_service_document": [],
        },
        [
            'name_service_mode: "file" is none of hosts, dns',
            'name_service_host: "perhaps" is neither true nor false',
            'name_service_namespaces: "red" is not a list',
            "name_service_records[0].addresses: needs at least one address",
            "name_service_from_guests[0]: has to be a mapping",
            "name_service_document: has to be a mapping",
        ],
    ),
    (
        "name_service",
        {"name_service_records": [{"name": "a", "address": "10.0.0.1"}, {"name": "a", "address": "10.0.0.2"}]},
        ['name_service_records[1]: "a" is 10.0.0.2 here and 10.0.0.1 in name_service_records[0]; keep one of them'],
    ),
    ("name_service", {"name_service_mode": "dns"}, ["name_service_listen: needs at least one address"]),
    ("docker_bridge", {"docker_bridge_state": "gone"}, ['docker_bridge_state: "gone" is none of']),
    ("docker_bridge", {"docker_bridge_taken": 5}, ["docker_bridge_taken: 5 is no list of subnets"]),
    (
        "docker_bridge",
        {"docker_bridge_supernet": "10.0.0.0/24", "docker_bridge_prefix": 26, "docker_bridge_hosts": list("abcde")},
        ["docker_bridge_supernet: 5 still need a subnet, but 10.0.0.0/24 has only 4 of /26 left"],
    ),
    (
        "docker_bridge",
        {"docker_bridge_supernet_v6": "fd00::/64", "docker_bridge_prefix_v6": 48, "docker_bridge_hosts": ["a"]},
        ["docker_bridge_prefix_v6: /48 can't be cut out of fd00::/64"],
    ),
    ("docker_bridge", {"docker_bridge_icc": "perhaps"}, ['docker_bridge_icc: "perhaps" is neither true nor false']),
    ("dnsmasq", {}, ["dnsmasq_name: is missing"]),
    (
        "dnsmasq",
        {"dnsmasq_name": 5, "dnsmasq_lines": "port=0", "dnsmasq_state": True},
        ["dnsmasq_name: 5 is not text", "dnsmasq_state: true is none of", 'dnsmasq_lines: "port=0" is not a list'],
    ),
]


@pytest.mark.parametrize(("role", "variables", "told"), TOLD, ids=[f"{case[0]}-{case[2][0][:40]}" for case in TOLD])
def test_all_that_is_wrong_is_told_at_once(role: str, variables: dict[str, Any], told: list[str]) -> None:
    found = problems(role, **variables)
    assert len(found) == len(told)
    for line, beginning in zip(found, told):
        assert line.startswith(beginning)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    "odd", [None, True, 5, 1.5, "x", [], {}, [None], [[]], [{}], {"a": None}, "\x1b[31m"], ids=repr
)
def test_no_value_makes_the_judge_stumble(role: str, odd: Any) -> None:
    for name in options(role):
        for line in problems(role, **{name: odd}):
            assert ": " in line
            assert "\x1b" not in line
