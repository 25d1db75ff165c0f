# SPDX-License-Identifier: GPL-3.0-or-later
"""The peers: ways to build the same network. Each writes its input to a folder and says the command that runs it."""

from __future__ import annotations

import json
import os
import sys
from typing import Callable, Dict, List, NamedTuple, Optional

from network import BRIDGE, GATEWAY, PREFIX_LENGTH, address, cable, document, moved_address, namespace
from private_host import WORK

HERE = os.path.dirname(os.path.abspath(__file__))
PEERS_BIN = os.path.join(WORK, "venv", "bin")


class Peer(NamedTuple):
    """One way to build the network.

    ``prepare(count, folder)`` writes its input to the folder and gives the command to run.
    """

    name: str
    label: str
    prepare: Callable[[int, str], List[str]]


def write(folder: str, name: str, text: str) -> str:
    path = os.path.join(folder, name)
    with open(path, "w") as file:
        file.write(text)
    return path


def floor(work: str, count: int) -> List[str]:
    return [sys.executable, os.path.join(HERE, "floor.py"), work, str(count)]


def engine(
    folder: str, count: int, moved: bool = False, ports: Optional[int] = None, absent: bool = False
) -> List[str]:
    wanted = document(count, moved, ports)
    if absent:
        wanted = {"name": wanted["name"], "state": "absent"}
    return engine_on(folder, wanted, f"document-{count}-{int(moved)}-{ports}-{int(absent)}.json")


def engine_on(folder: str, wanted: object, name: str = "documents.json") -> List[str]:
    """The engine on a document, or on a list of them one after another."""
    return [sys.executable, os.path.join(HERE, "engine_run.py"), write(folder, name, json.dumps(wanted))]


def ip_batch(count: int, folder: str) -> List[str]:
    """One ``ip -batch`` for the host and one per namespace: a batch can't go from one namespace to the next."""
    host = [f"link add {BRIDGE} up type bridge", f"address add {GATEWAY}/{PREFIX_LENGTH} dev {BRIDGE}"]
    script = ["set -e", f"ip -batch {folder}/host.batch"]
    for number in range(count):
        name = namespace(number)
        host.append(f"netns add {name}")
        host.append(f"link add {cable(number)} up master {BRIDGE} type veth peer name eth0 netns {name}")
        inside = [
            "link set lo up",
            "link set eth0 up",
            f"address add {address(number)}/{PREFIX_LENGTH} dev eth0",
            f"route add default via {GATEWAY}",
        ]
        script.append(f"ip -n {name} -batch {write(folder, name + '.batch', newlines(inside))}")
    write(folder, "host.batch", newlines(host))
    return ["sh", write(folder, "batch.sh", newlines(script))]


def shell_commands(count: int) -> List[str]:
    """The commands as people write them into a script."""
    commands = [
        f"ip link add {BRIDGE} type bridge",
        f"ip link set {BRIDGE} up",
        f"ip addr add {GATEWAY}/{PREFIX_LENGTH} dev {BRIDGE}",
    ]
    for number in range(count):
        name = namespace(number)
        commands += [
            f"ip netns add {name}",
            f"ip link add {cable(number)} type veth peer name eth0 netns {name}",
            f"ip link set {cable(number)} master {BRIDGE}",
            f"ip link set {cable(number)} up",
            f"ip -n {name} link set lo up",
            f"ip -n {name} link set eth0 up",
            f"ip -n {name} addr add {address(number)}/{PREFIX_LENGTH} dev eth0",
            f"ip -n {name} route add default via {GATEWAY}",
        ]
    return commands


def shell(count: int, folder: str) -> List[str]:
    return ["sh", write(folder, "build.sh", newlines(["set -e", *shell_commands(count)]))]


def shell_remove(count: int, folder: str) -> List[str]:
    commands = [f"ip netns del {namespace(number)}" for number in range(count)]
    return ["sh", write(folder, "remove.sh", newlines(["set -e", *commands, f"ip link del {BRIDGE}"]))]


def shell_change(count: int, folder: str) -> List[str]:
    """What somebody types who knows which one address it is (the route goes with the last address)."""
    name, last = namespace(count - 1), count - 1
    commands = [
        f"ip -n {name} addr del {address(last)}/{PREFIX_LENGTH} dev eth0",
        f"ip -n {name} addr add {moved_address(last)}/{PREFIX_LENGTH} dev eth0",
        f"ip -n {name} route add default via {GATEWAY}",
    ]
    return ["sh", write(folder, "change.sh", newlines(["set -e", *commands]))]


def ip_batch_read(count: int, folder: str) -> List[str]:
    """One ``ip -j -batch`` for the host and one per namespace that shows links, addresses and routes."""
    batch = write(folder, "show.batch", "link show\naddress show\nroute show table all\n")
    commands = [f"ip -j -batch {batch}"] + [f"ip -j -n {namespace(i)} -batch {batch}" for i in range(count)]
    return ["sh", write(folder, "show.sh", newlines(["set -e", "exec >/dev/null", *commands]))]


def command_tasks(count: int, folder: str) -> List[str]:
    """The shell script's commands, each an item of one ansible.builtin.command task."""
    task = {"ansible.builtin.command": "{{ item }}", "loop": shell_commands(count), "changed_when": True}
    return playbook(folder, [task])


def playbook(folder: str, tasks: List[Dict[str, object]], reached_by: Optional[Dict[str, str]] = None) -> List[str]:
    """``reached_by``: the variables that tell Ansible the way to the host; by default it is on the host already."""
    play = {"hosts": "target", "gather_facts": False, "tasks": tasks}
    program = os.path.join(os.path.dirname(sys.executable), "ansible-playbook")
    path = write(folder, "playbook.yml", json.dumps([play]))
    known = {"ansible_python_interpreter": sys.executable, **(reached_by or {"ansible_connection": "local"})}
    return [program, "-i", "target,", "-e", json.dumps(known), path]


def ifstate(count: int, folder: str) -> List[str]:
    cables: Dict[str, object] = {
        BRIDGE: {"link": {"kind": "bridge", "state": "up"}, "addresses": [f"{GATEWAY}/{PREFIX_LENGTH}"]}
    }
    namespaces: Dict[str, object] = {}
    for number in range(count):
        link = {"kind": "veth", "peer": "eth0", "peer_netns": namespace(number), "master": BRIDGE, "state": "up"}
        cables[cable(number)] = {"link": link, "addresses": []}
        end = {"kind": "veth", "peer": cable(number), "peer_netns": None, "state": "up"}
        namespaces[namespace(number)] = {
            "interfaces": {"eth0": {"link": end, "addresses": [f"{address(number)}/{PREFIX_LENGTH}"]}},
            "routing": {"routes": [{"to": "0.0.0.0/0", "via": GATEWAY}]},
        }
    config = write(folder, "ifstate.yml", json.dumps({"interfaces": cables, "namespaces": namespaces}))
    return [os.path.join(PEERS_BIN, "ifstatecli"), "--quiet", "--config", config, "apply"]


def pyroute2(count: int, folder: str) -> List[str]:
    return [os.path.join(PEERS_BIN, "python"), os.path.join(HERE, "pyroute2_build.py"), str(count)]


def newlines(lines: List[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


FLOOR = Peer("floor", "bare rtnetlink messages (the floor)", lambda count, folder: floor("build", count))
ENGINE = Peer("engine", "**hostwire's engine**", lambda count, folder: engine(folder, count))
IP_BATCH = Peer("ip-batch", "`ip -batch`, one per namespace", ip_batch)
SHELL = Peer("shell", "shell script of `ip` calls", shell)
PYROUTE2 = Peer("pyroute2", "pyroute2", pyroute2)
IFSTATE = Peer("ifstate", "ifstate", ifstate)
COMMANDS = Peer("commands", "ansible.builtin.command tasks", command_tasks)
SLOW_LARGEST = 200  # pyroute2 and ifstate: beyond, one of them takes many minutes
