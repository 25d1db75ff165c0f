# SPDX-License-Identifier: GPL-3.0-or-later
"""docker_info on real engines: what it says is what the engine, the kernel and the files say."""

from __future__ import annotations

from ansible_collections.hostwire.linux.tests.docker.machines import ENGINES, IDLE, Machine, serving

LAYOUTS = {"bookworm": "20.10-27.5", "trixie": "20.10-27.5", "forky": "28.3-28.5"}
VPN = """
link add tun0 type veth peer name tun1
address add 10.9.0.2/24 dev tun0
link set tun0 up
link set tun1 up
route add 172.18.0.0/15 via 10.9.0.1 table 51820
"""


def test_it_tells_what_is_there(machine: Machine) -> None:
    machine.reset()
    machine.write("/etc/docker/daemon.json", '{\n  "mtu": 1400,\n  "bip": "192.168.225.1/24"\n}\n')
    machine.run("sh", "-c", "systemctl restart docker")
    machine.docker("network", "create", "--subnet", "172.18.0.0/16", "shop")
    machine.docker("run", "--detach", "--name=web", "--restart=always", "-p", "8080:80", "busybox", *serving("web"))
    static = ("--network=shop", "--ip=172.18.0.9")
    machine.docker("run", "--detach", "--name=db", *static, "busybox", *IDLE)
    machine.docker("create", "--name=old", "busybox", *IDLE)
    machine.run("ip", "-batch", "-", stdin=VPN)
    try:
        found = machine.done("docker_info")
    finally:
        machine.run("ip", "link", "delete", "tun0")
    assert found["changed"] is False
    assert (found["installed"], found["running"], found["reason"], found["unread"]) == (True, True, None, [])
    assert found["version"].startswith(ENGINES[machine.release])
    assert (found["backend"], found["damage"], found["live_restore"]) == ("iptables-nft", [], False)
    assert found["layout"] == LAYOUTS[machine.release]
    assert found["docker0"]["addresses"] == ["192.168.225.1/24"]
    assert machine.address in found["addresses"]
    assert not {"192.168.225.1", "172.18.0.1"} & set(found["addresses"])
    bip = found["options"]["bip"]
    assert bip["value"] == "192.168.225.1/24"
    assert [(place["kind"], place["line"]) for place in bip["places"]] == [("daemon.json", 3)]
    networks = {network["name"]: [its["subnet"] for its in network["subnets"]] for network in found["networks"]}
    assert networks == {"bridge": ["192.168.225.0/24"], "shop": ["172.18.0.0/16"], "host": [], "none": []}
    containers = {container["name"]: container for container in found["containers"]}
    assert {name: container["policy"] for name, container in containers.items()} == {"web": "always", "db": "no"}
    assert {"protocol": "tcp", "port": 80, "address": None, "host_port": 8080} in containers["web"]["ports"]
    (place,) = containers["db"]["addresses"]
    assert (place["network"], place["ipv4"], place["static"]) == ("shop", "172.18.0.9", True)
    (overlap,) = found["overlaps"]
    assert (overlap["network"], overlap["words"]) == ("shop", "172.18.0.0/15 via 10.9.0.1 dev tun0 (table 51820)")


def test_a_stopped_engine_stays_stopped(machine: Machine) -> None:
    machine.reset()
    machine.write("/etc/docker/daemon.json", '{"mtu": 1400}\n')
    machine.run("sh", "-c", "systemctl stop docker.service")  # its socket goes on listening, and would start it
    found = machine.done("docker_info")
    assert (found["installed"], found["running"], found["reason"]) == (True, False, "Docker is stopped")
    assert found["options"]["mtu"]["value"] == 1400
    assert machine.run("systemctl", "is-active", "docker.service", check=False).strip() == "inactive"
    assert found["networks"] == []
    machine.start_docker()
