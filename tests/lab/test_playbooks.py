# SPDX-License-Identifier: GPL-3.0-or-later
"""site.yml, report.yml and teardown.yml on three lab hosts, with the router role on the one in the middle, and on one
with guest networks."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Iterator

import pytest

from ansible_collections.hostwire.linux.plugins.plugin_utils.lab import state

REPOSITORY = Path(__file__).resolve().parents[2]
RECAP = re.compile(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)", re.MULTILINE)
ROUTER_FILE = "/etc/sysctl.d/zz-hostwire-router.conf"


class Lab:
    """A lab of its own, in a directory of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def run(self, program: str, *words: str) -> subprocess.CompletedProcess[str]:
        binaries = Path(sys.executable).parent
        return subprocess.run(
            [str(binaries / program), *words, "--extra-vars", json.dumps({"lab_directory": str(self.directory)})],
            cwd=REPOSITORY,
            env={**os.environ, "PATH": f"{binaries}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8"},
            capture_output=True,
            text=True,
            check=False,
        )

    def play(self, name: str, *words: str) -> dict[str, int]:
        """Run a playbook of the collection; returns how much it changed on each host."""
        done = self.run("ansible-playbook", f"hostwire.linux.{name}", *words)
        assert done.returncode == 0, done.stdout + done.stderr
        return {host: int(changed) for host, changed in RECAP.findall(done.stdout)}

    def on_b(self, command: str) -> str:
        """What a shell on host b prints."""
        return self.on("b", command)

    def on(self, host: str, command: str) -> str:
        """What a shell on a host prints."""
        found = state.read(self.directory)
        assert found is not None
        namespaces = ["--user", "--mount", "--net", "--uts", "--ipc", "--pid", "--preserve-credentials"]
        enter = ["nsenter", "--target", str(found.holders[host].pid), *namespaces]
        return subprocess.run(
            [*enter, "--", "/bin/sh", "-c", command], capture_output=True, text=True, check=True
        ).stdout.strip()


THREE = ("--limit", "a,b,c")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    made = Lab(tmp_path_factory.mktemp("lab") / "state")
    made.play("lab")
    yield made
    made.play("lab", "--extra-vars", "lab_state=absent")


def variables(**values: Any) -> tuple[str, str]:
    return ("--extra-vars", json.dumps(values))


def test_check_mode_predicts_and_changes_nothing(lab: Lab) -> None:
    before = lab.on_b("iptables-save; ls /etc/sysctl.d; cat /proc/sys/net/ipv4/ip_forward")
    predicted = lab.play("site", *THREE, "--check", "--diff")
    assert lab.on_b("iptables-save; ls /etc/sysctl.d; cat /proc/sys/net/ipv4/ip_forward") == before
    assert lab.play("site", *THREE) == predicted == {"a": 1, "b": 2, "c": 1}


def test_the_second_run_changes_nothing_and_proves_it_again(lab: Lab) -> None:
    done = lab.run("ansible-playbook", "hostwire.linux.site", *THREE)
    assert {changed for dummy, changed in RECAP.findall(done.stdout)} == {"0"}
    assert "All 2 probes on 2 hosts answered as declared: 2 ways are open and none is closed." in done.stdout


def test_the_router_forwards_now_and_after_a_reboot(lab: Lab) -> None:
    assert lab.on_b("cat /proc/sys/net/ipv4/ip_forward") == "1"
    assert "\nnet/ipv4/ip_forward = 1" in lab.on_b(f"cat {ROUTER_FILE}")
    assert "net/ipv6" not in lab.on_b(f"cat {ROUTER_FILE}")


def test_what_somebody_undid_is_done_again(lab: Lab) -> None:
    lab.on_b(f"echo 0 > /proc/sys/net/ipv4/ip_forward; rm {ROUTER_FILE}; iptables -F HW-OPEN-router")
    assert lab.play("site", *THREE) == {"a": 0, "b": 2, "c": 0}


def test_between_other_networks_nothing_passes_and_the_report_says_so(lab: Lab) -> None:
    one_side = variables(router_networks=["192.168.1.0/24"])
    done = lab.run("ansible-playbook", "hostwire.linux.site", *THREE, *one_side)
    assert done.returncode == 2
    assert re.search(r"✘  the host  → 192\.168\.2\.5 +icmp +reachable +unreachable", done.stdout)
    said = done.stdout + done.stderr
    assert "2 of 2 probes came out otherwise than declared: a: the host → 192.168.2.5 by icmp is unreachable" in said


def test_routes_by_destination_and_metric(lab: Lab) -> None:
    routes = [
        {"to": "198.51.100.0/24", "via": "192.168.1.5", "metric": 200},
        {"to": "198.51.100.0/24", "via": "192.168.2.5", "metric": 100},
        {"to": "203.0.113.0/24", "via": "192.168.1.5"},
    ]
    assert lab.play("site", "--limit", "b", *variables(router_routes=routes))["b"] > 0
    assert "via 192.168.2.5 " in lab.on_b("ip route get 198.51.100.1")
    assert "via 192.168.1.5 " in lab.on_b("ip route get 203.0.113.1")


def test_the_truth_about_a_host_is_shown_without_changing_anything(lab: Lab) -> None:
    done = lab.run("ansible-playbook", "hostwire.linux.report", "--limit", "b,guests")
    assert RECAP.findall(done.stdout) == [("b", "0"), ("guests", "0")]
    assert "192.168.2.6/24" in done.stdout
    assert "192.168.1.4/24" in done.stdout


def test_a_document_that_is_absent_proves_nothing_any_more(lab: Lab) -> None:
    rooms = ("--limit", "tworooms")
    assert lab.play("site", *rooms) == {"tworooms": 1}
    assert lab.play("site", *rooms, *variables(topology_state="absent")) == {"tworooms": 1}
    whole = variables(topology_document={"state": "absent", "probes": [{"from": "red", "to": "192.168.15.2"}]})
    assert lab.play("site", *rooms, *variables(topology_state="absent"), *whole) == {"tworooms": 0}


def test_teardown_takes_everything_away(lab: Lab) -> None:
    predicted = lab.play("teardown", *THREE, "--check")
    assert lab.play("teardown", *THREE) == predicted == {"a": 1, "b": 2, "c": 1}
    assert lab.on_b("cat /proc/sys/net/ipv4/ip_forward") == "0"
    assert lab.on_b(f"iptables-save; ip route; ls {os.path.dirname(ROUTER_FILE)}").count("hostwire") == 0


GUESTS = ("--limit", "guests,neighbour,patchbay")
LOOK = "ip -brief link | grep -v '^lo' | cut -c 1-15; ip -brief address; ip route; ip netns; sysctl net.ipv4.ip_forward"


def test_the_table_of_modes_shows_a_way_that_is_otherwise_and_teardown_leaves_no_guest(lab: Lab) -> None:
    before = lab.on("guests", LOOK)
    assert lab.play("site", *GUESTS, "--check")["guests"] == 1
    assert lab.on("guests", LOOK) == before
    assert lab.play("site", *GUESTS)["guests"] == 1
    lab.on("guests", "iptables -A INPUT -i desk -j DROP")
    done = lab.run("ansible-playbook", "hostwire.linux.site", *GUESTS)
    lab.on("guests", "iptables -D INPUT -i desk -j DROP")
    assert done.returncode == 2
    assert re.search(r"^desk +host_only +no ✘ +no ✘ +yes +no +no$", done.stdout, re.MULTILINE), done.stdout
    said = done.stdout + done.stderr
    assert "2 of 30 cells are otherwise than their modes say: guests, network desk: guest → host is no" in said

    predicted = lab.play("teardown", *GUESTS, "--check")
    assert lab.play("teardown", *GUESTS) == predicted
    assert lab.on("guests", LOOK) == before
    assert "hostwire" not in lab.on("guests", "iptables-save; ip6tables-save")
