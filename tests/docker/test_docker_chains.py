# SPDX-License-Identifier: GPL-3.0-or-later
"""Docker's rules after a flush, the user's rules for published ports, and engines that write no rules."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.hostwire.linux.tests.docker.kills import killed
from ansible_collections.hostwire.linux.tests.docker.machines import IDLE, Machine, serving

FLUSH = "iptables -F; iptables -t nat -F"
DELETE = "for program in iptables ip6tables; do for table in raw filter nat; do $program -t $table -F;"
DELETE += " $program -t $table -X; done; done"
Chains = dict[tuple[str, str, str], set[str]]


def engine(machine: Machine, *, legacy: bool = False, **options: Any) -> None:
    """An engine as new, with these options in daemon.json."""
    machine.reset(legacy=legacy)
    if options:
        machine.write(
            "/etc/docker/daemon.json", json.dumps({name.replace("_", "-"): options[name] for name in options})
        )
        machine.run("sh", "-c", f"systemctl stop docker.socket docker; {DELETE}")
        machine.start_docker()


def populate(machine: Machine) -> None:
    """Networks and containers of every kind that makes a difference in the rules."""
    machine.docker("network", "create", "--subnet", "10.44.0.0/24", "office")
    machine.docker("network", "create", "--subnet", "10.45.0.0/24", "--internal", "inner")
    icc = "com.docker.network.bridge.enable_icc=false"
    machine.docker(
        "network", "create", "--subnet", "10.46.0.0/24", "--opt", icc, "--ipv6", "--subnet", "fd00:46::/64", "quiet"
    )
    web = ("-p", "8080:80", "-p", "127.0.0.1:8089:80", "-p", "5353:53/udp")
    machine.docker("run", "-d", "--name", "web", *web, "busybox", *serving("web"))
    machine.docker("run", "-d", "--name", "desk", "--network", "office", "-p", "8081:80", "busybox", *serving("desk"))
    machine.docker("run", "-d", "--name", "quiet", "--network", "quiet", "-p", "8082:80", "busybox", *serving("quiet"))
    only = ("--network", "quiet", "-p", "0.0.0.0:8083:81")  # not by IPv6, that its network has
    machine.docker("run", "-d", "--name", "only", *only, "busybox", *IDLE)
    machine.docker("run", "-d", "--name", "inner", "--network", "inner", "busybox", *IDLE)


def rules(machine: Machine) -> Chains:
    """All rules as sets, and which chains there are."""
    found: Chains = {}
    for program in ("iptables", "ip6tables"):
        table = ""
        for line in machine.run(f"{program}-save").splitlines():
            if line.startswith("*"):
                table = line[1:]
            elif line.startswith(":") and not line.endswith("ACCEPT [0:0]") and " - " in line:
                found[program, table, line[1:].split(" ")[0]] = set()
            elif line.startswith("-A "):
                found.setdefault((program, table, line.split(" ")[1]), set()).add(line)
    return found


def change(machine: Machine, **parameters: Any) -> dict[str, Any]:
    """Check mode, the run, and a second run that has nothing to do."""
    before = rules(machine)
    planned = machine.done("docker_chains", check=True, **parameters)
    assert rules(machine) == before
    answer = machine.done("docker_chains", **parameters)
    for part in ("changed", "plan", "diff", "before", "after", "needs_restart"):
        assert answer[part] == planned[part]
    again = machine.done("docker_chains", **parameters)
    assert (again["changed"], again["plan"]) == (False, [])
    return answer


@pytest.mark.parametrize(
    ("legacy", "proxy", "flush"),
    [(False, False, FLUSH), (True, False, FLUSH), (False, True, DELETE)],
    ids=["nft", "legacy", "chains"],
)
def test_what_a_flush_took_comes_back(machine: Machine, legacy: bool, proxy: bool, flush: str) -> None:
    engine(machine, legacy=legacy, userland_proxy=proxy)
    populate(machine)
    before = rules(machine)
    assert machine.done("docker_info")["damage"] == []
    assert not machine.done("docker_chains")["changed"]
    machine.run("sh", "-c", flush)
    if not proxy:  # a proxy would answer in place of the rules
        assert machine.outside_asks(8080, 1.0) == ""
    kinds = {one["kind"] for one in machine.done("docker_info")["damage"]}
    assert {"missing-jump", "missing-port", "missing-masquerade"} <= kinds
    assert change(machine)["changed"]
    assert rules(machine) == before
    assert machine.done("docker_info")["damage"] == []
    assert [machine.outside_asks(port) for port in (8080, 8081, 8082)] == ["web", "desk", "quiet"]
    # The engine still knows its own rules: it takes them away with the container.
    machine.docker("rm", "-f", "desk", "web", "quiet", "inner", "only")
    assert not [line for lines in rules(machine).values() for line in lines if "--dport" in line]
    assert not machine.done("docker_chains")["changed"]


def test_small_damage_is_named_and_made_good(machine: Machine) -> None:
    engine(machine)
    populate(machine)
    before = rules(machine)
    machine.run("sh", "-c", "iptables -I FORWARD -s 203.0.113.7 -j DROP; iptables -A FORWARD -s 203.0.113.8 -j DROP")
    machine.run(
        "iptables",
        "-t",
        "nat",
        "-A",
        "POSTROUTING",
        "-s",
        "10.99.0.0/24",
        "!",
        "-o",
        "br-0123456789ab",
        "-j",
        "MASQUERADE",
    )
    machine.run(
        "iptables", "-t", "nat", "-A", "POSTROUTING", "-s", "172.17.0.0/16", "!", "-o", "docker0", "-j", "MASQUERADE"
    )
    machine.run("sh", "-c", "iptables -D FORWARD -j DOCKER-USER; iptables -A FORWARD -j DOCKER-USER")
    machine.run("iptables", "-t", "nat", "-D", "PREROUTING", "-m", "addrtype", "--dst-type", "LOCAL", "-j", "DOCKER")
    found = machine.done("docker_info")["damage"]
    assert sorted(one["kind"] for one in found) == ["duplicate", "missing-jump", "stale-masquerade", "wrong-order"]
    assert change(machine)["changed"]
    after = rules(machine)
    foreign = {"-A FORWARD -s 203.0.113.7/32 -j DROP", "-A FORWARD -s 203.0.113.8/32 -j DROP"}
    assert after["iptables", "filter", "FORWARD"] - before["iptables", "filter", "FORWARD"] == foreign
    after["iptables", "filter", "FORWARD"] -= foreign
    assert after == before
    assert machine.outside_asks(8080) == "web"


def test_rules_of_the_users_decide_who_may_come_in(machine: Machine) -> None:
    engine(machine, userland_proxy=False)
    populate(machine)
    before = rules(machine)
    deny = {"action": "deny", "port": "8080"}
    answer = change(machine, rules=[deny])
    assert "iptables filter: HOSTWIRE-USER: deny tcp port 8080: add" in answer["plan"]
    assert [machine.outside_asks(8080, 1.5), machine.outside_asks(8081)] == ["", "desk"]
    assert machine.asks("127.0.0.1", 8080) == "web"
    near = machine.run("ip", "route", "show", "default").split()[2]
    allow = {"action": "allow", "port": "8000-8080", "sources": [f"{near}/32"], "interface": "eth0"}
    change(machine, rules=[{**allow, "destination": machine.address}, deny])
    assert machine.outside_asks(8080) == "web"
    machine.done("docker_chains", rules=[deny, allow])
    assert machine.outside_asks(8080, 1.5) == ""
    machine.done("docker_chains", rules=[{**allow, "sources": ["192.0.2.0/24"]}, deny])
    assert machine.outside_asks(8080, 1.5) == ""
    # A restart of the engine touches neither, a flush of everything is made good.
    stands = rules(machine)
    jumps = [line for line in stands["iptables", "filter", "DOCKER-USER"] if "HOSTWIRE-USER" in line]
    assert len(jumps) == 1
    machine.run("sh", "-c", "systemctl reset-failed docker; systemctl restart docker")
    machine.docker("start", "web", "desk", "quiet", "only", "inner")
    assert not machine.done("docker_chains", rules=[{**allow, "sources": ["192.0.2.0/24"]}, deny])["changed"]
    assert not machine.done("docker_chains")["changed"]
    machine.run("sh", "-c", FLUSH)
    machine.done("docker_chains", rules=[deny])
    assert [machine.outside_asks(8080, 1.5), machine.outside_asks(8081)] == ["", "desk"]
    change(machine, state="absent")
    assert machine.outside_asks(8080) == "web"
    assert {place: lines for place, lines in rules(machine).items() if "HOSTWIRE-USER" in place} == {}
    assert rules(machine).keys() == before.keys()


# What ufw's after.rules does at each reload where people keep rules for Docker in it.
UFW_RELOADS = """
for program in iptables ip6tables; do
    $program -n -L DOCKER-USER >/dev/null 2>&1 || continue
    rules='-A DOCKER-USER -i nothing0 -j DROP\\n-A DOCKER-USER -j RETURN'
    printf "*filter\\n:DOCKER-USER - [0:0]\\n$rules\\nCOMMIT\\n" | $program-restore --noflush
done
"""


def test_a_jump_that_somebody_else_took_away_is_damage(machine: Machine) -> None:
    machine.reset(legacy=machine.release == "trixie")
    machine.docker("run", "-d", "--name", "web", "-p", "8080:80", "busybox", *serving("web"))
    machine.done("docker_chains", rules=[{"action": "deny", "port": "8080"}])
    assert machine.outside_asks(8080, 1.5) == ""
    machine.run("sh", "-c", UFW_RELOADS)
    assert machine.outside_asks(8080) == "web"
    (damage,) = [one for one in machine.done("docker_info")["damage"] if one["rule"].startswith("-A DOCKER-USER ")][:1]
    assert (damage["kind"], damage["repairable"]) == ("missing-jump", True)
    answer = change(machine)
    assert "iptables filter: DOCKER-USER: add a jump to HOSTWIRE-USER" in answer["plan"]
    assert machine.outside_asks(8080, 1.5) == ""
    assert machine.done("docker_info")["damage"] == []


def test_mistakes_are_named_and_nothing_changes(machine: Machine) -> None:
    engine(machine)
    before = rules(machine)
    wrong = [
        {"action": "deny"},
        {"action": "deny", "port": "70000"},
        {"action": "deny", "sources": ["192.0.2.1/24", "2001:db8::/32"]},
        {"action": "allow", "port": "80", "sources": ["192.0.2.0/24"], "destination": "2001:db8::1"},
    ]
    answer = machine.module("docker_chains", rules=wrong)
    assert answer["failed"]
    assert answer["kind"] == "invalid"
    assert [problem.split(":")[0] for problem in answer["problems"]] == [
        "rules[0]",
        "rules[1].port",
        "rules[2].sources[0]",
        "rules[3]",
    ]
    assert rules(machine) == before
    machine.run("systemctl", "stop", "docker.socket", "docker")
    stopped = machine.module("docker_chains")
    assert (stopped["failed"], stopped["kind"]) == (True, "missing")


def test_an_engine_without_iptables_is_served(machine: Machine) -> None:
    engine(machine, iptables=False, ip6tables=False, userland_proxy=False)
    populate(machine)
    before = rules(machine)
    near = machine.run("ip", "route", "show", "default").split()[2]
    out = ("exec", "web", "ping", "-c", "1", "-W", "2", near)
    assert machine.outside_asks(8080, 1.0) == ""
    assert "1 packets received" not in machine.docker(*out, check=False)
    change(machine)
    assert [machine.outside_asks(port) for port in (8080, 8081, 8082)] == ["web", "desk", "quiet"]
    assert "1 packets received" in machine.docker(*out)
    machine.done("docker_chains", rules=[{"action": "deny", "port": "8080"}])
    assert [machine.outside_asks(8080, 1.5), machine.outside_asks(8081)] == ["", "desk"]
    machine.docker("rm", "-f", "desk")
    assert any("--dport 8081" in line for line in machine.done("docker_chains")["plan"])
    assert [machine.outside_asks(8080, 1.5), machine.outside_asks(8082)] == ["", "quiet"]
    change(machine, state="absent")
    assert {place: lines for place, lines in rules(machine).items() if lines} == {
        place: lines for place, lines in before.items() if lines
    }


def test_what_only_a_restart_brings_back(machine: Machine) -> None:
    engine(machine)
    populate(machine)
    for program in ("iptables", "ip6tables"):
        machine.run("update-alternatives", "--quiet", "--set", program, f"/usr/sbin/{program}-legacy")
    machine.run("iptables", "-A", "FORWARD", "-s", "203.0.113.7", "-j", "DROP")
    before = rules(machine)
    answer = machine.done("docker_chains")
    assert not answer["changed"]
    assert "Docker's rules stand in iptables-nft" in answer["needs_restart"][0]
    assert machine.done("docker_info")["damage"][0]["repairable"] is False
    planned = machine.done("docker_chains", check=True, restart=True)
    assert rules(machine) == before
    machine.run("systemctl", "reset-failed", "docker", check=False)
    answer = machine.done("docker_chains", restart=True)
    assert answer["plan"] == planned["plan"] == ["Docker: restart"]
    assert (answer["restarted"], answer["needs_restart"]) == (True, [])
    assert machine.done("docker_info")["damage"] == []
    # None of them has a restart policy.
    assert set(machine.docker("ps", "--format", "{{.Names}}").split()) == {"web", "desk", "quiet", "inner", "only"}
    assert [machine.outside_asks(port) for port in (8080, 8081)] == ["web", "desk"]
    assert not machine.done("docker_chains", restart=True)["changed"]


@pytest.mark.releases("forky")
@pytest.mark.parametrize("point", ["before Stop", "after Stop", "after Start", "done"])
def test_a_restart_that_was_killed_is_made_good_by_the_next_run(machine: Machine, point: str) -> None:
    engine(machine)
    populate(machine)
    for program in ("iptables", "ip6tables"):
        machine.run("update-alternatives", "--quiet", "--set", program, f"/usr/sbin/{program}-legacy")
    machine.run("systemctl", "reset-failed", "docker", check=False)
    daemon = machine.run("systemctl", "show", "docker", "--property=MainPID")
    killed(machine, "docker_chains", point, restart=True)
    planned = machine.done("docker_chains", check=True)["plan"]
    assert planned
    assert all("broken off" in line for line in planned)
    assert machine.done("docker_chains")["plan"] == planned
    if point == "before Stop":
        assert machine.run("systemctl", "show", "docker", "--property=MainPID") == daemon
        machine.done("docker_chains", restart=True)
    assert set(machine.docker("ps", "--format", "{{.Names}}").split()) == {"web", "desk", "quiet", "inner", "only"}
    assert machine.done("docker_info")["damage"] == []
    assert machine.outside_asks(8080) == "web"
    assert machine.run("sh", "-c", "ls /var/lib/hostwire/*.steps", check=False) == ""
