# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run says was there before it: entry by entry what is there, whatever the document wants."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import engine
from ansible_collections.hostwire.linux.plugins.module_utils.ansible_adapter import difference
from ansible_collections.hostwire.linux.tests.in_process import call
from ansible_collections.hostwire.linux.tests.kernel import world
from ansible_collections.hostwire.linux.tests.kernel.steps import NOTHING, Document, apply

PORTS = [{"port": 9000 + number, "to": f"10.77.0.10:{8000 + number}"} for number in range(20)]
PORTS6 = [{"port": 9000 + number, "to": f"[fd77::10]:{8000 + number}", "address": "any"} for number in range(20)]


def foretold(document: Document, **options: Any) -> engine.Result:
    return engine.run(document, check=True, **options)


def shop(ports: list[dict[str, Any]], netns: str | None = None) -> Document:
    place = {"netns": netns} if netns else {}
    return {
        "namespaces": [{"name": "shop"}, *([{"name": netns, "forwarding": {"ipv4": True}}] if netns else [])],
        "bridges": [{"name": "sw0", "addresses": ["10.77.0.1/24", "fd77::1/64"], **place}],
        "masquerade": [{"source": "10.77.0.0/24", "except_to": "sw0", **place}],
        "published_ports": [{**port, **place} for port in ports],
    }


def changed_lines(result: engine.Result) -> tuple[str, str]:
    """What --diff shows as - and as +."""
    shown = difference(result.before, result.after, result.plan, (result.rules_before, result.rules_after))
    before, after = shown["before"].splitlines(), shown["after"].splitlines()
    return "\n".join(line for line in before if line not in after), "\n".join(
        line for line in after if line not in before
    )


@pytest.mark.parametrize(
    "wanted", [world.SECOND, NOTHING, {**world.FIRST, "routes": []}], ids=["other", "gone", "less"]
)
def test_before_is_the_document_that_was_made(private_host: Path, wanted: Document) -> None:
    world.build_surroundings()
    made = apply(world.FIRST)
    assert made.before == {"name": "main", **made.before}
    result = foretold(wanted)
    assert _without(result.before, "mac", "mtu") == _without(made.after, "mac", "mtu")
    if wanted is not world.SECOND:  # which says some of these for the first time: then it is told what they are
        assert result.before == made.after
    assert apply(wanted).before == result.before


def _without(value: Any, *names: str) -> Any:
    if isinstance(value, dict):
        return {name: _without(entry, *names) for name, entry in value.items() if name not in names}
    return [_without(entry, *names) for entry in value] if isinstance(value, list) else value


def test_what_was_there_before_the_first_run_isnt_ours(private_host: Path) -> None:
    world.build_surroundings()
    result = foretold(world.FIRST)
    assert set(result.before) == {"name", "interfaces", "forwarding", "sysctls"}
    assert result.before["forwarding"] == {"ipv4": False, "ipv6": False}
    assert result.before["interfaces"] == [{"name": "eth0", "mtu": 1500}]


@pytest.mark.parametrize(
    ("ports", "netns"), [(PORTS, None), (PORTS6, None), (PORTS, "room")], ids=["ipv4", "ipv6", "namespace"]
)
def test_of_twenty_ports_only_the_one_that_changes_is_shown(
    backend: str, ports: list[dict[str, Any]], netns: str | None
) -> None:
    made = apply(shop(ports, netns))
    other = [*ports[:7], {**ports[7], "port": 9999}, *ports[8:]]
    result = foretold(shop(other, netns))
    gone, new = changed_lines(result)
    assert ("9007" in gone, "9999" in new) == (True, True)
    assert not any(str(port["port"]) in gone + new for port in ports[:7] + ports[8:])
    assert "masquerade" not in gone + new
    family, table = ("ip6tables" if ports is PORTS6 else "iptables"), ["-t", "nat"]
    inside = ["ip", "netns", "exec", netns] if netns else []
    saved = subprocess.run([*inside, f"{family}-save", *table], check=True, capture_output=True, text=True).stdout
    kept = "".join(line for line in saved.splitlines(True) if "--dport 9003 " not in line)
    subprocess.run([*inside, f"{family}-restore", *(("-T", "nat"))], input=kept, check=True, text=True)
    for wanted in (shop(ports, netns), NOTHING):
        there = foretold(wanted).before
        assert [p["port"] for p in there["published_ports"]] == [n for n in range(9000, 9020) if n != 9003]
        assert there["masquerade"] == made.after["masquerade"]


def test_a_router_that_loses_its_guard_shows_that(backend: str) -> None:
    document = {"forwarding": {"ipv4": True, "ipv6": True}, "bridges": [{"name": "sw0", "addresses": ["10.77.0.1/24"]}]}
    apply(document)
    for family, program in ((4, "iptables"), (6, "ip6tables")):
        saved = subprocess.run([f"{program}-save", "-t", "filter"], check=True, capture_output=True, text=True).stdout
        guard = next(line for line in saved.splitlines() if line.startswith("-A HOSTWIRE-REST") and "-j DROP" in line)
        subprocess.run(
            [f"{program}-restore", "--noflush"], input=f"*filter\n-D{guard[2:]}\nCOMMIT\n", check=True, text=True
        )
        result = foretold(document)
        assert result.before == result.after
        gone, new = changed_lines(result)
        assert (gone, new) == (
            "",
            f"# packet filter: host: guard IPv{family} forwarding between interfaces that no document names",
        )
        apply(document)
    assert not foretold(document).changed


def test_whatever_changes_is_on_the_console_with_diff(private_host: Path) -> None:
    fields: dict[str, Any] = {"bridges": [{"name": "sw0", "mac": "02:00:00:00:00:07"}]}
    call("topology", **fields)
    subprocess.run(["ip", "link", "set", "sw0", "alias", "lost"], check=True)  # no field of the document
    answer = call("topology", check=True, **fields)
    assert answer["changed"]
    assert answer["before"] == answer["after"]
    assert answer["diff"] == {"prepared": "plan:\n  host: sw0: mark as ours\n"}
    call("topology", **fields)
    assert call("topology", **fields)["diff"] == {}


GUESTS: dict[str, Any] = {"to_host": False, "from_host": False, "among": False, "outside": False}


@pytest.mark.parametrize(
    ("old", "new"),
    [(GUESTS, {}), ({}, GUESTS), ({"services": ["dhcp"]}, {"from_others": True}), ({"from_others": True}, None)],
)
def test_what_guests_might_is_told_as_it_was(
    private_host: Path, old: dict[str, Any], new: dict[str, Any] | None
) -> None:
    def document(guests: dict[str, Any] | None) -> Document:
        bridge = {"name": "sw0", "addresses": ["10.77.0.1/24"], **({} if guests is None else {"guests": guests})}
        return {"bridges": [bridge], "taps": [{"name": "tap0", "bridge": "sw0"}]}

    made = apply(document(old))
    assert foretold(document(new)).before == made.after
    assert apply(document(new)).before == made.after


def test_a_lost_state_file_hides_no_link_that_goes(private_host: Path) -> None:
    made = apply(
        {
            "bridges": [{"name": "sw0", "addresses": ["10.77.0.1/24"], "stp": True}],
            "taps": [{"name": "tap0", "bridge": "sw0"}],
            "veths": [{"name": "a", "peer": {"name": "b"}}],
        }
    )
    Path("/var/lib/hostwire/main.state").unlink()
    assert foretold(NOTHING).before == made.after


@pytest.mark.parametrize("kept", ["a", "b"])
@pytest.mark.parametrize("netns", [None, "room"])
def test_what_somebody_removed_is_not_told_as_there_though_nothing_is_done_about_it(
    private_host: Path, netns: str | None, kept: str
) -> None:
    rooms = [{"name": name} for name in ("room", "a", "b")]
    cables = {
        name: {"name": f"v{name}", **({"netns": netns} if netns else {}), "peer": {"name": "eth0", "netns": name}}
        for name in ("a", "b")
    }
    apply({"namespaces": rooms, "veths": [*cables.values()]})
    gone = "a" if kept == "b" else "b"
    subprocess.run(["ip", "-n", gone, "link", "delete", "eth0"], check=True)
    result = foretold({"namespaces": rooms, "veths": [cables[kept]], "forwarding": {"ipv4": True}})
    assert [veth["name"] for veth in result.before["veths"]] == [f"v{kept}"]
    assert [namespace["name"] for namespace in result.before["namespaces"]] == ["a", "b", "room"]
