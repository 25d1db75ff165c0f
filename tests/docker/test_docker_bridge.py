# SPDX-License-Identifier: GPL-3.0-or-later
"""docker0 gets another address on a host with running containers, and everything else is as it was."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from ansible_collections.hostwire.linux.plugins.modules import docker_bridge
from ansible_collections.hostwire.linux.tests.docker.machines import DRIVER, IDLE, Machine, eventually, serving

FOREIGN = '{\r\n\t"debug" : false,\r\n\t"labels":["rack=1",  "row=2"]\r\n}\r\n'
EXACTLY = "import json, sys; print(json.dumps(open(sys.argv[1], newline='').read()))"
DAEMON_JSON = "/etc/docker/daemon.json"


def populate(machine: Machine) -> None:
    """Containers of every kind that a restart treats differently."""
    machine.docker("run", "-d", "--name", "web", "--restart", "always", "-p", "8080:80", "busybox", *serving("web"))
    machine.docker("run", "-d", "--name", "plain", "-p", "8081:80", "busybox", *serving("plain"))
    machine.docker("run", "-d", "--name", "resting", "--restart", "always", "busybox", *IDLE)
    machine.docker("create", "--name", "never", "busybox", *IDLE)
    machine.docker("network", "create", "--subnet", "10.44.0.0/24", "office")
    machine.docker("run", "-d", "--name", "desk", "--network", "office", "--ip", "10.44.0.9", "busybox", *IDLE)
    machine.docker("stop", "resting")


def docker0(machine: Machine) -> list[str]:
    """docker0's IPv4 addresses."""
    (link,) = json.loads(machine.run("ip", "-json", "-4", "address", "show", "docker0"))
    return [f"{entry['local']}/{entry['prefixlen']}" for entry in link["addr_info"]]


def running(machine: Machine) -> set[str]:
    return set(machine.docker("ps", "--format", "{{.Names}}").split())


def exactly(machine: Machine, path: str) -> str:
    """A file's text with the line ends that it has."""
    return str(json.loads(machine.run("python3", "-c", EXACTLY, path)))


def check_everything(machine: Machine, address: str) -> None:
    """All that has to be right once docker0 has this address."""
    import ipaddress

    subnet = ipaddress.ip_interface(address).network
    assert docker0(machine) == [address]
    network = machine.inspect("bridge", "network")
    assert [config["Subnet"] for config in network["IPAM"]["Config"]] == [str(subnet)]
    assert [config["Subnet"] for config in machine.inspect("office", "network")["IPAM"]["Config"]] == ["10.44.0.0/24"]
    assert eventually(lambda: running(machine), lambda names: names == {"web", "plain", "desk"}) == {
        "web",
        "plain",
        "desk",
    }
    for name, port in (("web", 8080), ("plain", 8081)):
        own = machine.inspect(name)["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
        assert ipaddress.ip_address(own) in subnet
        assert machine.outside_asks(port) == name
        nat = machine.run("sh", "-c", "iptables-save -t nat")
        assert f"--to-destination {own}:80\n" in nat
    assert f"-A POSTROUTING -s {subnet} ! -o docker0 -j MASQUERADE\n" in nat
    assert nat.count("! -o docker0 -j MASQUERADE") == 1
    assert machine.inspect("desk")["NetworkSettings"]["Networks"]["office"]["IPAddress"] == "10.44.0.9"


def change(machine: Machine, **parameters: Any) -> dict[str, Any]:
    """Check mode, the run, and a second run that changes nothing and doesn't restart."""

    def state() -> tuple[str, Any, list[str]]:
        return (
            machine.run("systemctl", "show", "docker", "--property=MainPID"),
            machine.read(DAEMON_JSON),
            docker0(machine),
        )

    before = state()
    planned = machine.done("docker_bridge", check=True, **parameters)
    assert state() == before
    answer = machine.done("docker_bridge", **parameters)
    assert answer["changed"]
    assert answer["plan"] == planned["plan"]
    assert answer["diff"] == planned["diff"]
    daemon = machine.run("systemctl", "show", "docker", "--property=MainPID,ExecMainStartTimestampMonotonic")
    again = machine.done("docker_bridge", **parameters)
    assert not again["changed"]
    assert again["plan"] == []
    assert machine.run("systemctl", "show", "docker", "--property=MainPID,ExecMainStartTimestampMonotonic") == daemon
    return answer


def check_after_reboot(machine: Machine, address: str) -> None:
    """All of it still holds once the host was restarted."""
    machine.reboot()
    assert machine.docker("start", "plain", "desk").split() == ["plain", "desk"]  # a reboot doesn't, nor do we
    machine.docker("stop", "resting")  # as always, Docker started it
    check_everything(machine, address)


def test_docker0_moves_and_comes_home(machine: Machine) -> None:
    machine.reset()
    machine.write(DAEMON_JSON, FOREIGN)
    populate(machine)

    change(machine, bip="192.168.225.1/24")
    check_everything(machine, "192.168.225.1/24")
    assert exactly(machine, DAEMON_JSON) == FOREIGN.replace('"]\r\n}', '"],\r\n\t"bip":"192.168.225.1/24"\r\n}')

    check_after_reboot(machine, "192.168.225.1/24")

    change(machine, bip="10.77.0.1/24", mtu=1400)
    check_everything(machine, "10.77.0.1/24")
    check_after_reboot(machine, "10.77.0.1/24")

    change(machine, state="absent")
    check_everything(machine, "172.17.0.1/16")
    assert exactly(machine, DAEMON_JSON) == FOREIGN
    check_after_reboot(machine, "172.17.0.1/16")


@pytest.mark.releases("bookworm")
def test_options_move_out_of_the_shell_file_and_the_drop_in(machine: Machine) -> None:
    machine.reset()
    defaults = machine.read("/etc/default/docker") or ""
    drop_in = "/etc/systemd/system/docker.service.d/net.conf"
    command = "/usr/sbin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock"
    machine.write("/etc/default/docker", defaults + 'DOCKER_OPTS="--bip=10.71.0.1/24 --dns 192.0.2.53"\n')
    machine.write(drop_in, f"[Service]\nExecStart=\nExecStart={command} --mtu 1450 $DOCKER_OPTS\n")
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "restart", "docker")
    assert docker0(machine) == ["10.71.0.1/24"]
    try:
        change(machine, bip="10.72.0.1/24", mtu=1400)
        assert docker0(machine) == ["10.72.0.1/24"]
        assert machine.read("/etc/default/docker") == defaults + 'DOCKER_OPTS="--dns 192.0.2.53"\n'
        assert machine.read(drop_in) == f"[Service]\nExecStart=\nExecStart={command} $DOCKER_OPTS\n"
        assert json.loads(machine.read(DAEMON_JSON) or "") == {"bip": "10.72.0.1/24", "mtu": 1400}
        change(machine, state="restored")
        assert docker0(machine) == ["10.71.0.1/24"]
        assert "--bip=10.71.0.1/24 --dns" in (machine.read("/etc/default/docker") or "")
        assert "--mtu 1450" in (machine.read(drop_in) or "")
        assert machine.read(DAEMON_JSON) is None
    finally:
        machine.write("/etc/default/docker", defaults)


# Runs a program where systemd can't be seen, so that ``service`` uses the scripts of /etc/init.d.
WITHOUT_SYSTEMD = """#!/bin/sh
hide='mount --make-private /run && mount -t tmpfs tmpfs /run/systemd && exec "$@"'
exec unshare --mount --propagation unchanged sh -c "$hide" without-systemd "$@"
"""


@pytest.mark.releases("bookworm")
def test_a_host_without_systemd(machine: Machine) -> None:
    def module(**parameters: Any) -> dict[str, Any]:
        asked = json.dumps(["docker_bridge", parameters])
        done = machine.completed("without-systemd", "python3", "-c", DRIVER, stdin=asked)
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    machine.reset()
    defaults = machine.read("/etc/default/docker") or ""
    machine.run("systemctl", "stop", "docker.socket", "docker.service")
    machine.write("/usr/local/bin/without-systemd", WITHOUT_SYSTEMD)
    # What a container may not: mounting control groups, and raising limits.
    machine.run("sh", "-c", "chmod +x /usr/local/bin/without-systemd; cp /etc/init.d/docker /var/tmp/docker.init")
    edits = ("-e", "s/^\t*cgroupfs_mount$/:/", "-e", "s/ulimit -[nup] .*/:/")
    machine.run("sed", "-i", *edits, "/etc/init.d/docker")
    machine.run("mount", "--make-shared", "/var/lib/docker")  # containerd has to see what dockerd mounts there
    machine.write("/etc/default/docker", defaults + 'DOCKER_OPTS="--bip=10.71.0.1/24 --debug=false"\n')
    try:
        machine.run("without-systemd", "service", "docker", "start")
        eventually(lambda: machine.completed("docker", "info").returncode, lambda code: code == 0)
        machine.docker("run", "-d", "--name", "plain", "-p", "8081:80", "busybox", *serving("plain"))
        answer = module(bip="10.72.0.1/24")
        assert answer.get("changed"), answer
        assert docker0(machine) == ["10.72.0.1/24"]
        assert machine.outside_asks(8081) == "plain"
        assert machine.read("/etc/default/docker") == defaults + 'DOCKER_OPTS="--debug=false"\n'
        assert not module(bip="10.72.0.1/24")["changed"]
        machine.write(DAEMON_JSON, '{"bip": "10.72.0.1/24", "bib": 1}')
        assert "doesn't know the key bib" in module(bip="10.73.0.1/24")["msg"]
        machine.write(DAEMON_JSON, '{\n  "bip": "10.72.0.1/24"\n}\n')
        assert module(state="restored")["changed"]
        assert docker0(machine) == ["10.71.0.1/24"]
        assert machine.outside_asks(8081) == "plain"
    finally:
        machine.run("without-systemd", "service", "docker", "stop")
        machine.run("mv", "/var/tmp/docker.init", "/etc/init.d/docker")
        machine.write("/etc/default/docker", defaults)


@pytest.mark.releases("trixie", "forky")
def test_ipv6_comes_and_goes(machine: Machine) -> None:
    machine.reset()
    machine.docker("run", "-d", "--name", "web", "--restart", "always", "-p", "8080:80", "busybox", *serving("web"))
    change(machine, bip="10.78.0.1/24", ipv6=True, fixed_cidr_v6="fd00:78::/64")
    addresses = machine.run("ip", "-6", "address", "show", "docker0")
    assert "fd00:78::1/64" in addresses
    change(machine, fixed_cidr_v6="fd00:79::/64")
    addresses = machine.run("ip", "-6", "address", "show", "docker0")
    assert "fd00:79::1/64" in addresses
    assert "fd00:78::1/64" not in addresses
    narrower = machine.module("docker_bridge", fixed_cidr_v6="fd00:79::/80")
    assert narrower["msg"].startswith("fixed_cidr_v6: fd00:79::/80 would leave docker0 its address fd00:79::1/64")
    change(machine, fixed_cidr_v6="fd00:7a::/80")
    assert "fd00:7a::1/80" in machine.run("ip", "-6", "address", "show", "docker0")
    change(machine, state="restored")
    assert "fd00:" not in machine.run("ip", "-6", "address", "show", "docker0")
    assert docker0(machine) == ["172.17.0.1/16"]
    assert machine.outside_asks(8080) == "web"


@pytest.mark.releases("forky")
def test_units_that_stop_with_docker_are_started_again(machine: Machine) -> None:
    machine.reset()
    idle = "Type=simple\nExecStart=/bin/sleep infinity\n"
    machine.write("/run/systemd/system/app.service", f"[Unit]\nRequires=docker.service\n[Service]\n{idle}")
    machine.write("/run/systemd/system/more.service", f"[Unit]\nBindsTo=app.service\n[Service]\n{idle}")
    machine.write("/run/systemd/system/off.service", f"[Unit]\nRequires=docker.service\n[Service]\n{idle}")
    machine.run("sh", "-c", "systemctl daemon-reload; systemctl start app more")
    # Docker starts it again though it is stopped; and chooses another port on the host for the other one.
    machine.docker("run", "--name", "failed", "--restart", "on-failure:1", "busybox", "false", check=False)
    machine.docker("run", "-d", "--name", "web", "--restart", "always", "-p", "80", "busybox", *serving("web"))
    answer = change(machine, bip="10.77.0.1/24")
    assert "unit app.service: stops with Docker; is started again" in answer["plan"]
    assert machine.run("systemctl", "is-active", "app", "more").split() == ["active", "active"]
    assert machine.completed("systemctl", "is-active", "off").stdout.strip() == "inactive"
    port = int(machine.docker("port", "web", "80").splitlines()[0].rpartition(":")[2])
    assert machine.outside_asks(port) == "web"
    machine.run("systemctl", "stop", "app", "more")
    machine.run("sh", "-c", "rm /run/systemd/system/*.service; systemctl daemon-reload")


@pytest.mark.releases("trixie")
def test_every_example_of_the_documentation_works(machine: Machine) -> None:
    machine.reset()
    tasks = yaml.safe_load(docker_bridge.EXAMPLES)
    for task, address in zip(tasks, ("192.168.225.1/24", "172.17.0.1/16", "172.17.0.1/16")):
        machine.done("docker_bridge", **task["hostwire.linux.docker_bridge"])
        assert docker0(machine) == [address]
    assert len(tasks) == 3
