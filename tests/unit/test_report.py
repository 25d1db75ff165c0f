# SPDX-License-Identifier: GPL-3.0-or-later
"""The table that ends a run, and the sentence below it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.hostwire.linux.plugins.plugin_utils.reachability_report import (
    HostProbes,
    conclusion,
    host_probes,
    table,
)

REACHABLE = "reachable"
REPOSITORY = Path(__file__).resolve().parents[2]


def row(
    source: Optional[str], to: str, expect: str = "reachable", got: str = "reachable", **more: Any
) -> Dict[str, Any]:
    fields = {"protocol": "icmp", "port": None, "milliseconds": 0.52, "detail": ""}
    return {"from": source, "to": to, "expect": expect, "got": got, "ok": expect == got, **fields, **more}


REACHED = row("blue", "192.168.1.3")
SHUT = row(None, "192.168.15.2", "unreachable", "unreachable", protocol="tcp", port=8080)
MISSED = row("red", "fd00:15::2", "reachable", "unreachable", detail="port closed, says fd00:15::2")
LEAKED = row("red", "192.168.15.9", "unreachable", "reachable", detail="echo reply")


def plain(text: str, colour: str) -> str:
    return text


def lines(hosts: List[HostProbes], width: int = 100) -> List[str]:
    return table(hosts, width, plain).splitlines()


def test_the_table_says_from_to_probe_expected_got_and_time() -> None:
    assert lines([HostProbes("office", (REACHED, SHUT)), HostProbes("lab", (MISSED,))]) == [
        "   FROM      TO              PROBE     EXPECTED     GOT            TIME",
        "office: 2 of 2 as declared",
        "✔  blue      → 192.168.1.3   icmp      reachable    reachable    0.5 ms",
        "✔  the host  → 192.168.15.2  tcp 8080  unreachable  unreachable",
        "lab: 0 of 1 as declared",
        "✘  red       → fd00:15::2    icmp      reachable    unreachable",
        "    declared reachable, but: port closed, says fd00:15::2",
    ]


def test_a_narrow_table_tells_the_expectation_only_where_it_was_wrong() -> None:
    assert lines([HostProbes("office", (REACHED, MISSED, LEAKED))], width=60) == [
        "   FROM  TO              PROBE  GOT            TIME",
        "office: 1 of 3 as declared",
        "✔  blue  → 192.168.1.3   icmp   reachable    0.5 ms",
        "✘  red   → fd00:15::2    icmp   unreachable",
        "    declared reachable, but: port closed, says fd00:15::2",
        "✘  red   → 192.168.15.9  icmp   reachable    0.5 ms",
        "    declared unreachable, but: echo reply",
    ]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["red", "container:" + "w" * 60, None, "名前"]),
            st.sampled_from(["::1", "2001:db8:1:2:3:4:5:6"]),
        )
    ),
    st.integers(66, 200),
)
def test_no_line_is_wider_than_the_terminal_and_no_address_is_cut(ways: List[Any], width: int) -> None:
    rows = tuple(row(source, to) for source, to in ways)
    printed = lines([HostProbes("h", rows)], width)
    assert all(len(line) <= width for line in printed)
    assert all(f"→ {to} " in line for (dummy, to), line in zip(ways, printed[2:]))


def test_colours_mark_the_verdict_and_nothing_else_changes() -> None:
    hosts = [HostProbes("office", (REACHED, MISSED))]
    painted = table(hosts, 100, lambda text, colour: f"<{colour}>{text}</>")
    assert "<green>✔</>  blue" in painted
    assert "<red>✘  red" in painted


def test_the_conclusion_says_what_was_proved() -> None:
    hosts = [HostProbes("office", (REACHED, SHUT)), HostProbes("lab", (REACHED,)), HostProbes("idle")]
    expected = "All 3 probes on 2 hosts answered as declared: 2 ways are open and 1 way is closed."
    assert conclusion(hosts, check_mode=False) == expected
    one = conclusion([HostProbes("lab", (REACHED,))], check_mode=False)
    assert one == "The one probe on 1 host answered as declared: 1 way is open and none is closed."


def test_the_conclusion_names_each_surprise_and_each_host_without_proof() -> None:
    hosts = [HostProbes("office", (REACHED, MISSED, LEAKED)), HostProbes("gone", unproved="no connection")]
    assert conclusion(hosts, check_mode=False) == (
        "2 of 3 probes came out otherwise than declared: "
        "office: red → fd00:15::2 by icmp is unreachable (port closed, says fd00:15::2); "
        "office: red → 192.168.15.9 by icmp is reachable. "
        "Nothing was proved for 1 host: gone."
    )


def test_without_probes_the_conclusion_claims_nothing() -> None:
    assert conclusion([HostProbes("idle")], check_mode=False) == "Nothing was proved: no probes are declared."
    assert conclusion([HostProbes("idle")], check_mode=True) == "Nothing was proved: check mode sends no probes."


def test_a_registered_result_is_understood_whichever_module_it_came_from() -> None:
    assert host_probes("h", {"matrix": [REACHED]}) == HostProbes("h", (REACHED,))
    assert host_probes("h", {"reachability": [REACHED]}) == HostProbes("h", (REACHED,))
    assert host_probes("h", {"skipped": True}) == HostProbes("h")
    assert host_probes("h", {"failed": False, "msg": "no namespace"}) == HostProbes("h", unproved="no namespace")
    assert host_probes("h", None).unproved


PLAY: List[Dict[str, Any]] = [
    {
        "hosts": "all",
        "gather_facts": False,
        "tasks": [
            {"ansible.builtin.set_fact": {"reachability_result": "{{ result }}"}, "when": "result is defined"},
            {"hostwire.linux.report": {}},
        ],
    }
]


def report(tmp_path: Path, callback: str, **results: Optional[Dict[str, Any]]) -> subprocess.CompletedProcess[str]:
    """Run the action in a real play over hosts with these results; None is a host that has none."""
    hosts = {name: {} if result is None else {"result": result} for name, result in results.items()}
    (tmp_path / "hosts.json").write_text(json.dumps({"all": {"hosts": hosts, "vars": {"ansible_connection": "local"}}}))
    (tmp_path / "play.json").write_text(json.dumps(PLAY))
    return subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), "-i", "hosts.json", "play.json"],
        cwd=tmp_path,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_COLLECTIONS_PATH": str(REPOSITORY / "build"),
            "ANSIBLE_STDOUT_CALLBACK": callback,
        },
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("callback", ["default", "minimal"])
def test_the_action_prints_one_table_for_all_hosts_of_the_play(tmp_path: Path, callback: str) -> None:
    done = report(tmp_path, callback, office={"matrix": [REACHED]}, lab={"matrix": [SHUT]})
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("FROM") == 1
    assert "✔  blue      → 192.168.1.3" in done.stdout
    assert "All 2 probes on 2 hosts answered as declared: 1 way is open and 1 way is closed." in done.stdout
    assert "\x1b[" not in done.stdout  # no terminal, no colours


def test_the_action_fails_on_a_surprise_and_on_a_host_without_a_result(tmp_path: Path) -> None:
    done = report(tmp_path, "default", office={"matrix": [MISSED]}, lab=None)
    assert done.returncode == 2
    assert "✘  red  " in done.stdout
    assert "1 of 1 probe came out otherwise than declared: office: red → fd00:15::2" in done.stdout + done.stderr
    assert "Nothing was proved for 1 host: lab." in done.stdout + done.stderr
