# SPDX-License-Identifier: GPL-3.0-or-later
"""A document that promises something of most kinds, calls that show whether it holds, and an exact look at its objects.

    g .2, h .3, t (tap0) -- sw0 10.5.0.1 fd05::1 --+
                      k, l -- sw1 10.9.0.1 --------+-- the router -- eth0 192.168.1.2 2001:db8:1::2 -- lan .3
           p .2, 10.7.0.9 -- v-p 10.6.0.1 fd06::1 -+

The router is the host, or the namespace ``room``; the cable to ``lan`` is somebody else's. On sw1, which only a host
has, guests don't reach each other.
"""

from __future__ import annotations

import contextlib
import errno
import select
import socket
import subprocess
import time
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ansible_collections.hostwire.linux.plugins.module_utils import engine
from ansible_collections.hostwire.linux.plugins.module_utils import netns as namespaces
from ansible_collections.hostwire.linux.tests.kernel import world
from ansible_collections.hostwire.linux.tests.kernel.steps import Document

PATIENCE = 0.3  # seconds after which an answer that takes microseconds won't come any more
_ROUTER = ("192.168.1.2/24", "2001:db8:1::2/64")
_MACS = {"g": "02:00:00:05:00:02", "h": "02:00:00:05:00:03"}


def document(netns: Optional[str]) -> Document:
    here: Dict[str, Any] = {"netns": netns} if netns else {}
    both = {"forwarding": {"ipv4": True, "ipv6": True}}
    guests = {"g": 2, "h": 3}
    far = [] if netns else ["k", "l"]
    return {
        "namespaces": [
            {"name": "g", "hosts": {"db": "10.5.0.3"}, "nameservers": ["10.5.0.1"]},
            *({"name": name} for name in ("h", "p", *far)),
            *([{"name": netns, **both}] if netns else []),
        ],
        "bridges": [
            {"name": "sw0", "addresses": ["10.5.0.1/24", "fd05::1/64"], **here},
            *([{"name": "sw1", "addresses": ["10.9.0.1/24"], "guests": {"among": False}}] if far else []),
        ],
        "veths": [
            *(
                {
                    "name": f"v-{name}",
                    "bridge": "sw0",
                    **here,
                    "peer": {
                        "name": "e0",
                        "netns": name,
                        "mac": _MACS[name],
                        "addresses": [f"10.5.0.{number}/24", f"fd05::{number}/64"],
                    },
                }
                for name, number in guests.items()
            ),
            *(
                {
                    "name": f"v-{name}",
                    "bridge": "sw1",
                    "peer": {"name": "e0", "netns": name, "addresses": [f"10.9.0.{number}/24"]},
                }
                for number, name in enumerate(far, 2)
            ),
            {
                "name": "v-p",
                "addresses": ["10.6.0.1/30", "fd06::1/64"],
                **here,
                "peer": {"name": "e1", "netns": "p", "addresses": ["10.6.0.2/30", "fd06::2/64", "10.7.0.9/32"]},
            },
        ],
        **({"interfaces": [{"name": "eth0", "addresses": list(_ROUTER), **here}]} if netns else {}),
        "taps": [{"name": "tap0", "bridge": "sw0", "owner": "65534", **here}],
        "routes": [
            *({"netns": name, "to": "default", "via": "10.5.0.1"} for name in guests),
            *({"netns": name, "to": "::/0", "via": "fd05::1"} for name in guests),
            {"netns": "p", "to": "default", "via": "10.6.0.1"},
            {"to": "10.7.0.0/24", "via": "10.6.0.2", **here},
            *([{"to": "default", "via": "192.168.1.3", **here}] if netns else []),
        ],
        "masquerade": [{"source": "10.5.0.0/24", "except_to": "sw0", **here}],
        "published_ports": [
            {"port": 8080, "to": "10.5.0.2:80", "address": "any", **here},
            {"port": 8080, "to": "[fd05::2]:80", "address": "any", **here},
        ],
        **({} if netns else both),
    }


def run(netns: Optional[str], check: bool = False) -> engine.Result:
    return engine.run(document(netns), check=check)


def enter(netns: Optional[str]) -> List[str]:
    return ["ip", "netns", "exec", netns] if netns else []


def shell(netns: Optional[str], script: str) -> None:
    """Somebody's commands on the router."""
    done = subprocess.run([*enter(netns), "sh", "-ec", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, (script, done.stdout, done.stderr)


def build(netns: Optional[str]) -> None:
    """The host with the document applied."""
    if netns:
        engine.run({"namespaces": [{"name": netns, "forwarding": {"ipv4": True, "ipv6": True}}]}, dad_seconds=0)
    where = f"netns {netns}" if netns else ""
    shell(
        None,
        f"""
        ip netns add lan
        ip link add eth0 {where} type veth peer name eth0 netns lan
        ip -n lan addr add 192.168.1.3/24 dev eth0
        ip -n lan addr add 2001:db8:1::3/64 dev eth0 nodad
        ip -n lan link set eth0 up; ip -n lan link set lo up
        ip -n lan route add 10.5.0.0/16 via 192.168.1.2
        """,
    )
    shell(
        netns,
        """
        ip addr add 192.168.1.2/24 dev eth0
        ip addr add 2001:db8:1::2/64 dev eth0 nodad
        ip link set eth0 up
        """
        + ("" if netns else "ip route add default via 192.168.1.3"),
    )
    shell(None, "ip -n lan route add fd05::/64 via 2001:db8:1::2")
    engine.run(document(netns))


class Call(NamedTuple):
    """Who calls whom, and who is to answer, seeing which caller. ``answer`` "": nobody."""

    caller: Optional[str]  # "" is the router
    to: str
    port: int
    answer: str
    seen: str = ""


_BOTH = (
    Call("g", "192.168.1.3", 7000, "lan", "192.168.1.2"),
    Call("g", "2001:db8:1::3", 7000, "lan", "fd05::2"),
    Call("lan", "192.168.1.2", 8080, "g", "192.168.1.3"),
    Call("lan", "2001:db8:1::2", 8080, "g", "2001:db8:1::3"),
    Call("g", "10.5.0.3", 80, "h", "10.5.0.2"),
    Call("g", "fd05::3", 80, "h", "fd05::2"),
    Call("h", "192.168.1.2", 8080, "g"),
    Call("g", "10.5.0.1", 9000, "", "10.5.0.2"),
    Call("", "10.5.0.2", 80, "g", "10.5.0.1"),
    Call("", "fd05::3", 80, "h", "fd05::1"),
    Call("", "127.0.0.1", 8080, "g"),
    Call("", "10.6.0.2", 80, "p", "10.6.0.1"),
    Call("", "fd06::2", 80, "p", "fd06::1"),
    Call("", "10.7.0.9", 80, "p", "10.6.0.1"),
    Call("p", "10.6.0.1", 9000, "", "10.6.0.2"),
    Call("g", "127.0.0.1", 80, "g", "127.0.0.1"),
)
_NEVER = "nobody"
_HOST_ONLY = (
    Call("k", "10.9.0.1", 9000, "", "10.9.0.2"),
    Call("k", "10.9.0.3", 80, _NEVER),
    Call("lan", "10.5.0.2", 80, _NEVER),
    Call("lan", "fd05::2", 80, _NEVER),
)


class Traffic:
    """Listeners in each room, and calls to them."""

    def __init__(self, netns: Optional[str]) -> None:
        self._netns = netns
        self.calls = _BOTH if netns else (*_BOTH, *_HOST_ONLY)

    def wrong(self) -> List[str]:
        """The calls that don't end as they are to, and how they do; nothing is known of neighbours beforehand."""
        rooms = sorted({call.caller for call in self.calls if call.caller} | {"p", "l"} & set(_rooms()))
        for room in (None, *rooms):
            netns = self._netns if room is None else room
            enter_ = ["ip", *(["-n", netns] if netns else []), "-batch", "-"]
            subprocess.run(
                enter_, input="neigh flush all\n-6 neigh flush all\n", text=True, capture_output=True, check=False
            )
        listeners = self._listen()
        try:
            return self._call(listeners)
        finally:
            for listener in listeners:
                listener.close()

    def _listen(self) -> Dict[socket.socket, str]:
        found: Dict[socket.socket, str] = {}
        ports = {("lan", 7000), ("g", 80), ("h", 80), ("p", 80), ("l", 80), ("", 9000)}
        for room, port in sorted(ports):
            if room and room not in _rooms():
                continue
            with namespaces.inside(room or self._netns):
                for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
                    listener = socket.socket(family)
                    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    if family == socket.AF_INET6:
                        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                    listener.bind((address, port))
                    listener.listen()
                    listener.setblocking(False)
                    found[listener] = room
        return found

    def _call(self, listeners: Dict[socket.socket, str]) -> List[str]:
        callers: Dict[Tuple[str, int], Call] = {}
        open_: List[socket.socket] = []
        said = dict.fromkeys(self.calls, _NEVER)
        for call in self.calls:
            room = call.caller or self._netns
            if room and room not in _rooms():
                continue
            with namespaces.inside(room):
                caller = socket.socket(socket.AF_INET6 if ":" in call.to else socket.AF_INET)
            open_.append(caller)
            caller.setblocking(False)
            if caller.connect_ex((call.to, call.port)) not in (0, errno.EINPROGRESS):
                continue
            callers[call.caller or "", caller.fileno()] = call
        end = time.monotonic() + PATIENCE
        known = {caller.fileno(): caller for caller in open_}
        waiting = {descriptor: (room, known[descriptor]) for room, descriptor in callers}
        while waiting and time.monotonic() < end:
            lasting = {d for d, (room, _c) in waiting.items() if callers[room, d].answer != _NEVER}
            if not lasting and time.monotonic() > end - PATIENCE / 2:
                break
            _r, ready, _x = select.select([], list(waiting), [], 0.02)
            for descriptor in ready:
                room, caller = waiting.pop(descriptor)
                with contextlib.suppress(OSError):  # refused, or no way
                    caller.send(bytes([self.calls.index(callers[room, descriptor])]))
        time.sleep(0.01)
        for listener, room in listeners.items():
            while True:
                try:
                    served, peer = listener.accept()
                except BlockingIOError:
                    break
                served.settimeout(PATIENCE)
                try:
                    which = served.recv(1)
                except OSError:
                    which = b""
                served.close()
                if which:
                    call = self.calls[which[0]]
                    seen = f" seeing {peer[0]}" if call.seen and peer[0] != call.seen else ""
                    said[call] = (room or "the router") + seen
        for caller in open_:
            caller.close()
        wanted = {call: call.answer or "the router" for call in self.calls}
        return [
            f"{call.caller or 'the router'} to {call.to}:{call.port}: {said[call]}"
            for call in self.calls
            if said[call] != wanted[call]
        ]


def _rooms() -> List[str]:
    return [*namespaces.inodes()]


_BY_TIME = ("timer", "_id", "_age", "gc_", "mcast_query_use_ifaddr", "root_", "no", "fdb_n_learned", "topology_change")


def image() -> Dict[str, Any]:
    """As world.image, with all that iproute2 knows of bridges and their ports, and the policy rules."""
    found = world.image()
    found["files"] = {path: text for path, text in found["files"].items() if path.startswith("/etc/")}
    for name in (None, *sorted(_rooms())):
        links, rules4 = world.ip(name, "link show", "rule show")
        room = found["rooms"][str(name)]
        room["policy"] = sorted(str(rule) for rule in rules4)
        for link in links:
            entry = room["links"][link["ifname"]]
            entry["flags"] = sorted(flag for flag in link["flags"] if flag in ("NOARP", "UP"))
            info = link.get("linkinfo", {})
            for part in ("info_data", "info_slave_data"):
                values = info.get(part, {}) if isinstance(info.get(part), dict) else {}
                entry[part] = {key: value for key, value in values.items() if not any(w in key for w in _BY_TIME)}
    return found
