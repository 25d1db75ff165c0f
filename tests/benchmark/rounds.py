# SPDX-License-Identifier: GPL-3.0-or-later
"""The measurements: rounds in which each peer has its turn once, so that what slows the machine down meets all of them.

Each returns a list of times per peer, in which equal places are of the same round.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from functools import partial
from typing import Any, Callable, Dict, List, Optional, Sequence

import guests as guests_network
import peers
from measure import Time, run, run_until_no_cable
from network import BRIDGE, GATEWAY, GUEST, address, document, namespace
from private_host import await_quiet, on_private_host
from ssh_host import served

Times = Dict[str, List[Time]]
PORTS = 1000


def build(count: int, turns: Sequence[peers.Peer], repeats: int) -> Times:
    """Build the network, each time on a fresh host."""
    times: Times = defaultdict(list)
    for _turn in range(repeats):
        for peer in turns:
            times[peer.name].append(build_once(peer, count))
    return times


def build_once(peer: peers.Peer, count: int, limit: Optional[float] = None) -> Time:
    def work(folder: str) -> Time:
        took = run(peer.prepare(count, folder), limit)
        if took.finished:
            _assert_built(count)
        return took

    return Time(*_with_folder(work))


def read(count: int, repeats: int) -> Times:
    """The engine with nothing to do, a bare dump, and ``ip -j -batch``, all on one host that the engine built."""

    def work(folder: str) -> Times:
        run(peers.engine(folder, count))
        await_quiet(BRIDGE)
        times: Times = defaultdict(list)
        for _turn in range(repeats):
            times["dump"].append(run(peers.floor("dump", count)))
            times["nothing"].append(_unchanged(peers.engine(folder, count)))
            times["ip-batch"].append(run(peers.ip_batch_read(count, folder)))
        return times

    return _times(_with_folder(work))


def change(count: int, repeats: int) -> Times:
    """Another address in one of the namespaces: by the engine, which has to find out which, and by others, told."""

    def by_engine(folder: str) -> Dict[str, Time]:
        run(peers.engine(folder, count))
        await_quiet(BRIDGE)
        nothing = _unchanged(peers.engine(folder, count))
        return {"nothing": nothing, "engine": _changed(peers.engine(folder, count, moved=True))}

    def by_floor(folder: str) -> Dict[str, Time]:
        run(peers.floor("build", count))
        await_quiet(BRIDGE)
        return {"floor": run(peers.floor("change", count))}

    def by_shell(folder: str) -> Dict[str, Time]:
        run(peers.floor("build", count))
        await_quiet(BRIDGE)
        return {"shell": run(peers.shell_change(count, folder))}

    return _in_turns((by_engine, by_floor, by_shell), repeats)


def removal(count: int, repeats: int) -> Times:
    """Take it all away; the time ends when the last cable has left the host."""

    def by_engine(folder: str) -> Dict[str, Time]:
        run(peers.engine(folder, count))
        return {"engine": run_until_no_cable(peers.engine(folder, count, absent=True))}

    def by_floor(folder: str) -> Dict[str, Time]:
        run(peers.floor("build", count))
        return {"floor": run_until_no_cable(peers.floor("remove", count))}

    def by_shell(folder: str) -> Dict[str, Time]:
        run(peers.floor("build", count))
        return {"shell": run_until_no_cable(peers.shell_remove(count, folder))}

    return _in_turns((by_engine, by_floor, by_shell), repeats)


def published_ports(backend: str, repeats: int) -> Times:
    """Publish a thousand ports of one guest, against bare iptables-restore of the very rules that the engine makes.

    ``backend`` is nft or legacy.
    """

    def by_engine(folder: str) -> Dict[str, Any]:
        _choose(backend)
        run(peers.engine(folder, 1, ports=0))
        took = _changed(peers.engine(folder, 1, ports=PORTS))
        families = [f"{program}-{backend}" for program in ("iptables", "ip6tables")]
        saved = [subprocess.run([f"{name}-save"], check=True, stdout=subprocess.PIPE, text=True) for name in families]
        rules = {name: answer.stdout for name, answer in zip(families, saved) if "\n-A" in answer.stdout}
        if sum(text.count(f"--to-destination {GUEST}:") for text in rules.values()) < PORTS:
            raise RuntimeError("the ports are not published")
        return {"engine": took, "rules": rules}

    def by_restore(rules: Dict[str, str], folder: str) -> Dict[str, Time]:
        _choose(backend)
        run(peers.engine(folder, 1, ports=0))
        commands = [f"{name}-restore -w < {peers.write(folder, name, text)}" for name, text in rules.items()]
        return {"restore": run(["sh", peers.write(folder, "restore.sh", peers.newlines(["set -e", *commands]))])}

    times: Times = defaultdict(list)
    for _turn in range(repeats):
        ours = _with_folder(by_engine)
        rules = ours.pop("rules")
        theirs = _with_folder(partial(by_restore, rules))
        for name, took in {**ours, **theirs}.items():
            times[name].append(Time(*took))
    return times


def guests(mode: str, counts: Sequence[int], repeats: int) -> Dict[int, List[Time]]:
    """So many guests on one network of the role guest_network, by the engine; by number of guests."""

    def work(count: int, folder: str) -> Time:
        took = _changed(peers.engine_on(folder, guests_network.documents(mode, count)))
        last = f"g{count - 1}"
        if f"default via {guests_network.gateway(mode)}" not in _output(["ip", "-n", last, "route"]):
            raise RuntimeError(f"{last} has no default route")
        _output(["ip", "netns", "exec", last, "ping", "-c1", "-w20", "-q", guests_network.host(mode)])
        return took

    times: Dict[int, List[Time]] = defaultdict(list)
    for _turn in range(repeats):
        for count in counts:
            times[count].append(Time(*_with_folder(partial(work, count))))
    return times


def role(mode: str, count: int, repeats: int) -> Dict[str, List[float]]:
    """Seconds of the role's whole run for so many guests, by the local connection: "first", and "nothing" to do."""
    given = guests_network.variables(mode, count)
    include = {"ansible.builtin.include_role": {"name": "hostwire.linux.guest_network"}, "vars": given}
    seconds: Dict[str, List[float]] = defaultdict(list)

    def work(folder: str) -> List[Time]:
        return [run(peers.playbook(folder, [{"name": "role", **include}])) for _run in ("first", "nothing")]

    for _turn in range(repeats):
        for name, took in zip(("first", "nothing"), _with_folder(work)):
            seconds[name].append(sum(Time(*took).said["tasks"].values()))
    return seconds


def tasks(count: int, repeats: int, by_ssh: bool) -> Dict[str, List[float]]:
    """Seconds of whole tasks in a playbook, on the controller's clock, over ssh or on the host itself.

    "first" is a module's first use in a play, which packs it for the managed host; "later" is any after that.
    """
    ping: Dict[str, Any] = {"ansible.builtin.ping": {}}
    here = os.path.dirname(os.path.abspath(__file__))
    wait = [sys.executable, "-c", "import private_host; private_host.await_cleanup()"]
    play: List[Dict[str, Any]] = [
        {"name": "first ping", **ping},
        {"name": "first topology", "hostwire.linux.topology": document(count)},
        {"name": "topology away", "hostwire.linux.topology": {"name": document(count)["name"], "state": "absent"}},
        {"name": "wait", "ansible.builtin.command": {"argv": wait, "chdir": here}},
        {"name": "later ping", **ping},
        {"name": "later topology", "hostwire.linux.topology": document(count)},
        {"name": "ping again", **ping},
        {"name": "topology with nothing to do", "hostwire.linux.topology": document(count)},
    ]

    def work(folder: str) -> Time:
        with served(folder) if by_ssh else contextlib.nullcontext() as reached_by:
            took = run(peers.playbook(folder, play, reached_by))
        _assert_built(count)
        return took

    seconds: Dict[str, List[float]] = defaultdict(list)
    for _turn in range(repeats):
        for name, took in Time(*_with_folder(work)).said["tasks"].items():
            seconds[name].append(took)
    return seconds


def _choose(backend: str) -> None:
    """Make the host one that uses this backend already: by a rule, which is what tells them apart."""
    if backend == "legacy":
        for program in ("iptables-legacy", "ip6tables-legacy"):
            subprocess.run([program, "-w", "-A", "INPUT", "-i", "lo", "-j", "ACCEPT"], check=True)


def _changed(command: List[str]) -> Time:
    took = run(command)
    if not took.said["changed"]:
        raise RuntimeError("the engine changed nothing")
    return took


def _unchanged(command: List[str]) -> Time:
    took = run(command)
    if took.said["changed"]:
        raise RuntimeError("the engine changed something")
    return took


def _in_turns(works: Sequence[Callable[[str], Dict[str, Time]]], repeats: int) -> Times:
    times: Times = defaultdict(list)
    for _turn in range(repeats):
        for work in works:
            for name, took in _with_folder(work).items():
                times[name].append(Time(*took))
    return times


def _with_folder(work: Callable[[str], Any]) -> Any:
    """Do ``work`` on a fresh private host, with a folder (in memory) for its input."""

    def work_there() -> Any:
        with tempfile.TemporaryDirectory(dir="/run") as folder:
            return work(folder)

    return on_private_host(work_there)


def _times(lists: Dict[str, List[List[Any]]]) -> Times:
    return {name: [Time(*took) for took in values] for name, values in lists.items()}


def _assert_built(count: int) -> None:
    """Every cable is there; the last namespace has its default route and reaches the first one."""
    listed = _output(["ip", "-j", "link", "show", "type", "veth"])
    found = len(json.loads(listed))
    last = namespace(count - 1)
    route = _output(["ip", "-n", last, "route", "show", "default"])
    if found != count or f"via {GATEWAY}" not in route:
        raise RuntimeError(f"not built: {found} cables instead of {count}; default route of {last}: {route!r}")
    _output(["ip", "netns", "exec", last, "ping", "-c1", "-w20", "-q", address(0)])


def _output(command: List[str]) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
