# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing is removed by a slip: a mistyped or renamed variable is an error, and what was made stays."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import engine, rehearsal
from ansible_collections.hostwire.linux.plugins.module_utils.errors import Conflict, InvalidValue
from ansible_collections.hostwire.linux.tests.in_process import call
from ansible_collections.hostwire.linux.tests.kernel import scenarios
from ansible_collections.hostwire.linux.tests.kernel.playbook import play

SHOP = {
    "namespaces": [{"name": "shop"}],
    "bridges": [{"name": "sw0", "addresses": ["10.77.0.1/24"]}],
    "published_ports": [{"port": 8443, "to": "10.77.0.2:443", "address": "any"}],
}
MADE: dict[str, dict[str, Any]] = {
    "topology": {f"topology_{field}": value for field, value in SHOP.items()},
    "guest_network": {
        "guest_network_networks": [{"name": "lab", "mode": "internal"}],
        "guest_network_guests": [{"name": "mint", "nics": [{"network": "lab", "address": "192.168.57.5/24"}]}],
    },
    "router": {"router_networks": ["10.1.0.0/24", "fd00:1::/64"]},
    "name_service": {
        "name_service_namespaces": ["shop"],
        "name_service_records": [{"name": "db", "address": "10.77.0.9"}],
    },
}
ABSENT: dict[str, dict[str, Any]] = {
    "name_service": {"name_service_state": "absent"},
    "router": {"router_state": "absent"},
    "guest_network": {"guest_network_networks": [{"name": "lab", "state": "absent"}]},
    "topology": {"topology_state": "absent"},
}
LAB = {"guest_network_networks": MADE["guest_network"]["guest_network_networks"]}


def including(role: str, variables: dict[str, Any]) -> dict[str, Any]:
    return {"include_role": {"name": f"hostwire.linux.{role}"}, "vars": variables}


def mistyped(variables: dict[str, Any]) -> dict[str, Any]:
    """The last of the variables without its last letter."""
    *kept, last = variables
    return {**{name: variables[name] for name in kept}, last[:-1]: variables[last]}


@pytest.mark.slow
def test_a_variable_that_was_mistyped_or_renamed_removes_nothing(private_host: Path) -> None:
    untouched = scenarios.snapshot()
    play([including(role, variables) for role, variables in MADE.items()], private_host)
    before, names = scenarios.snapshot(), Path("/etc/netns/shop/hosts").read_bytes()
    assert before != untouched

    slips = [(role, mistyped(variables), [*mistyped(variables)][-1]) for role, variables in MADE.items()]
    slips += [
        ("topology", {}, "state: absent"),
        ("topology", {"topology_probes": [{"to": "10.77.0.1"}]}, "state: absent"),
        ("guest_network", {}, "guest networks lab"),
        ("guest_network", LAB, "guests mint"),
        ("router", {}, "router_state: absent"),
        ("router", {"router_ipv6": True}, "router_state: absent"),
        ("name_service", {}, "state: absent"),
        ("name_service", {"name_service_namespaces": ["shop"]}, "state: absent"),
    ]
    tasks = [{"block": [including(role, given)], "rescue": [{"debug": {"msg": "x"}}]} for role, given, dummy in slips]
    refused = [result["msg"] for result in play(tasks, private_host) if result["failed"]]
    assert len(refused) == len(slips)
    for (role, dummy, words), message in zip(slips, refused):
        assert words in message, role
    assert (scenarios.snapshot(), Path("/etc/netns/shop/hosts").read_bytes()) == (before, names)

    unplugged = including("guest_network", {**LAB, "guest_network_guests": []})
    play([unplugged, *(including(role, variables) for role, variables in ABSENT.items())], private_host)
    assert scenarios.snapshot() == untouched


@pytest.mark.usefixtures("private_host")
@pytest.mark.parametrize(
    "nothing", [{}, {"bridges": [], "forwarding": {"ipv4": None}}, {"probes": [{"to": "10.77.0.1"}]}]
)
def test_a_document_that_says_nothing_any_more_is_refused_in_check_mode_too(nothing: dict[str, Any]) -> None:
    engine.run(SHOP)
    before = scenarios.snapshot()
    for check in (True, False):
        with pytest.raises(InvalidValue, match=r"namespaces \(shop\), bridges \(sw0\).*say state: absent"):
            engine.run(nothing, check=check)
        with pytest.raises(InvalidValue, match=r"main: state: the document"):
            rehearsal.run_all(
                [{"name": "other", "bridges": [{"name": "sw1"}]}, {"name": "main", **nothing}], check=check
            )
        refused = call("topology", check=check, **nothing)
        assert (refused["kind"], refused["failed"]) == ("invalid", True)
    assert scenarios.snapshot() == before
    engine.run({"name": "another", **nothing})  # of which there is nothing
    assert engine.run({"forwarding": {"ipv6": True}}).changed  # it says something


@pytest.mark.usefixtures("private_host")
def test_the_last_of_single_tasks_objects_may_go() -> None:
    call("bridge", name="sw0")
    assert call("bridge", name="sw0", state="absent")["changed"]
    assert not call("bridge", name="sw0", state="absent")["changed"]


@pytest.mark.usefixtures("private_host")
def test_names_stay_where_no_names_or_no_guests_are_given() -> None:
    engine.run({"namespaces": [{"name": "shop"}]})
    names = [{"address": "fd00::9", "names": ["db"]}]
    call("guest_names", namespaces=["shop"], entries=names)
    for given, words in (({}, "names"), ({"namespaces": ["shop"]}, "names"), ({"entries": names}, "guests")):
        for check in (True, False):
            refused = call("guest_names", check=check, **given)
            assert refused["problems"] == [
                (
                    f'state: no {words} are given, and names of "names" stand in /etc/netns/shop/hosts; '
                    "say state: absent to take them away"
                )
            ]
    assert not call("guest_names", owner="another")["changed"]
    assert call("guest_names", state="absent")["changed"]


@pytest.mark.usefixtures("private_host")
@pytest.mark.parametrize(
    "document",
    [
        {"interfaces": [{"name": "enp1s0", "mtu": 1400}]},
        {"bridges": [{"name": "br0", "uplink": "enp1s0"}]},
        {"routes": [{"to": "10.9.0.0/16", "dev": "enp1s0"}]},
    ],
)
def test_another_name_of_an_interface_leads_to_the_one_it_goes_by(document: dict[str, Any]) -> None:
    for command in ("link add eth0 type veth peer name far", "link property add dev eth0 altname enp1s0"):
        subprocess.run(["ip", *command.split()], check=True)
    with pytest.raises(InvalidValue, match=r'no interface named "enp1s0".*another name of "eth0": say that'):
        engine.run(document, check=True)


@pytest.mark.usefixtures("private_host")
def test_what_has_a_namespaces_name_and_is_none_is_named_beforehand() -> None:
    directory = Path("/run/netns")
    (directory / "full").write_text("x")
    (directory / "link").symlink_to("/nowhere")
    (directory / "left").touch()  # a crash's leftover, which is made good
    for check in (True, False):
        with pytest.raises(Conflict) as refused:
            engine.run({"namespaces": [{"name": name} for name in ("full", "link", "left")]}, check=check)
        assert sorted(line.split(" is there")[0] for line in refused.value.problems) == [
            "namespace full: /run/netns/full",
            "namespace link: /run/netns/link",
        ]
    engine.run({"namespaces": [{"name": "left"}]})
