# SPDX-License-Identifier: GPL-3.0-or-later
"""A host with something of everything on it, documents that do something of every kind, and an exact look at it all."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple

from ansible_collections.hostwire.linux.plugins.module_utils import netns as namespaces

# Somebody else's: a LAN with one neighbour, a namespace, and routes.
SURROUNDINGS = """
netns add lan
link add eth0 type veth peer name eth0 netns lan
address add 192.168.1.2/24 dev eth0
address add 192.168.1.20/24 dev eth0
link set eth0 up
route add 198.51.100.0/24 via 192.168.1.3
route add 198.51.101.0/24 via 192.168.1.3 table 77
"""
LAN = """
address add 192.168.1.3/24 dev eth0
link set lo up
link set eth0 up
"""

FIRST: Dict[str, Any] = {
    "namespaces": [
        {
            "name": "red",
            "sysctls": {"net.ipv4.conf.all.rp_filter": 1},
            "nameservers": ["192.168.15.5"],
            "hosts": {"localdb": "10.0.2.12"},
        },
        {"name": "blue", "forwarding": {"ipv4": True}, "hosts": {"localdb": "10.0.2.12"}},
    ],
    "bridges": [
        {"name": "v-net-0", "addresses": ["192.168.15.5/24", "fd00:15::5/64"], "guests": {"among": False}},
        {"name": "old-net", "netns": "blue", "addresses": ["10.9.0.1/24", "10.9.0.2/24"]},
    ],
    "veths": [
        {
            "name": "veth-red-br",
            "bridge": "v-net-0",
            "peer": {"name": "veth-red", "netns": "red", "addresses": ["192.168.15.1/24", "fd00:15::1/64"]},
        },
        {
            "name": "veth-blue-br",
            "bridge": "v-net-0",
            "peer": {
                "name": "veth-blue",
                "netns": "blue",
                "mtu": 1400,
                "addresses": ["192.168.15.2/24", "192.168.15.20/24", "fd00:15::2/64"],
            },
        },
        {
            "name": "direct",
            "addresses": ["10.8.0.1/30"],
            "peer": {"name": "direct", "netns": "red", "addresses": ["10.8.0.2/30"]},
        },
    ],
    "interfaces": [{"name": "eth0", "addresses": ["192.168.1.10/24", "10.77.0.1/24", "10.77.0.2/24"], "mtu": 1450}],
    "taps": [
        {"name": "tap0", "bridge": "v-net-0", "owner": "65534"},
        {"name": "tap1", "netns": "blue", "mtu": 1400},
    ],
    "routes": [
        {"netns": "red", "to": "default", "via": "192.168.15.5"},
        {"netns": "red", "to": "::/0", "via": "fd00:15::5"},
        {"netns": "blue", "to": "default", "via": "192.168.15.5"},
        {"to": "203.0.113.0/24", "via": "192.168.1.3"},
        {"to": "203.0.114.0/24", "via": "10.77.0.9", "metric": 7},
        {"to": "10.66.0.0/16", "type": "blackhole", "table": 100},
    ],
    "forwarding": {"ipv4": True, "ipv6": True},
    "masquerade": [{"source": "192.168.15.0/24", "except_to": "v-net-0"}],
    "published_ports": [
        {"protocol": "tcp", "port": 8080, "to": "192.168.15.2:80"},
        {"protocol": "udp", "port": 5353, "to": "192.168.15.1:53", "address": "any"},
    ],
    "sysctls": {"net.ipv4.conf.all.log_martians": 1, "net.ipv4.conf.all.accept_redirects": 0},
}

# The same host later: something of each kind is new, other than before, or gone.
SECOND: Dict[str, Any] = {
    "namespaces": [
        {"name": "red", "sysctls": {"net.ipv4.conf.all.rp_filter": 2}, "nameservers": ["192.168.15.6"]},
        {"name": "green", "forwarding": {"ipv4": True}, "hosts": {"localdb": "10.0.2.13"}},
    ],
    "bridges": [
        {"name": "v-net-0", "stp": True, "addresses": ["192.168.15.6/24", "fd00:15::6/64"]},
        {"name": "new-net", "addresses": ["10.7.0.1/24"], "guests": {"from_host": False, "among": False}},
    ],
    "veths": [
        {
            "name": "veth-red-br",
            "bridge": "new-net",
            "peer": {"name": "veth-red", "netns": "red", "mtu": 1400, "addresses": ["10.7.0.2/24"]},
        },
        {
            "name": "veth-green-br",
            "bridge": "v-net-0",
            "peer": {"name": "veth-green", "netns": "green", "addresses": ["192.168.15.3/24", "fd00:15::3/64"]},
        },
        {
            "name": "direct",
            "addresses": ["10.8.0.2/30"],
            "peer": {"name": "direct", "netns": "red", "addresses": ["10.8.0.1/30"]},
        },
    ],
    "interfaces": [{"name": "eth0", "addresses": ["10.77.0.2/24", "192.168.1.11/24"], "mtu": 1480}],
    "taps": [{"name": "tap0", "bridge": "new-net", "owner": "1", "mac": "02:00:00:00:00:07"}],
    "routes": [
        {"netns": "red", "to": "default", "via": "10.7.0.1"},
        {"netns": "green", "to": "default", "via": "192.168.15.6"},
        {"netns": "green", "to": "::/0", "via": "fd00:15::6"},
        {"to": "203.0.113.0/24", "via": "10.7.0.9"},
        {"to": "203.0.115.0/24", "nexthops": [{"via": "10.7.0.8"}, {"via": "10.7.0.9", "weight": 2}]},
        {"to": "10.66.0.0/16", "type": "prohibit", "table": 100},
    ],
    "forwarding": {"ipv4": True},
    "masquerade": [{"source": "192.168.15.0/24", "except_to": "v-net-0", "to_source": "192.168.1.11"}],
    "published_ports": [{"protocol": "tcp", "port": 8080, "to": "192.168.15.3:80", "address": "any"}],
    "sysctls": {"net.ipv4.conf.all.accept_redirects": 0},
}


# Those that the engine, the documents or the kernel along with them could change.
SETTINGS = (
    *("forwarding", "accept_ra", "accept_redirects", "secure_redirects", "send_redirects", "rp_filter"),
    *("promote_secondaries", "route_localnet", "log_martians", "proxy_arp", "disable_ipv6", "arp_ignore", "autoconf"),
)


def build_surroundings() -> None:
    subprocess.run(["ip", "-batch", "-"], input=SURROUNDINGS, text=True, check=True)
    subprocess.run(["ip", "-n", "lan", "-batch", "-"], input=LAN, text=True, check=True)


def ip(netns: Optional[str], *looks: str) -> List[Any]:
    """What iproute2 sees, as it prints it in JSON: one answer to each command."""
    command = ["ip", *(["-n", netns] if netns else []), "-j", "-d", "-batch", "-"]
    out = subprocess.run(command, input="\n".join(looks), check=True, capture_output=True, text=True).stdout
    decode, answers, position = json.JSONDecoder().raw_decode, [], 0
    while position < len(out.rstrip()):
        answer, position = decode(out, position)
        position += len(out[position:]) - len(out[position:].lstrip())
        answers.append(answer)
    return answers


def image() -> Dict[str, Any]:
    """The whole host but for what time alone changes: two images of one state are equal."""
    files = {
        str(path): path.read_text()
        for top in ("/etc/netns", "/var/lib/hostwire")
        for path in Path(top).rglob("*")
        if path.is_file() and path.name != "lock"
    }
    directories = sorted(str(path) for path in Path("/etc/netns").glob("*"))
    names = namespaces.names()
    return {
        "rooms": {str(name): _room(name) for name in (None, *names)},
        "plain": sorted({*os.listdir("/run/netns")} - {*names}),
        "files": files,
        "directories": directories,
    }


def comparable(image: Dict[str, Any]) -> Dict[str, Any]:
    """An image without what differs between two builds of one network."""
    state = "/var/lib/hostwire/main.state"
    rooms = {
        name: {**room, "links": {n: {**link, "address": None} for n, link in room["links"].items()}}
        for name, room in image["rooms"].items()
    }
    return {**image, "rooms": rooms, "files": {path: text for path, text in image["files"].items() if path != state}}


def rules() -> str:
    """Every rule and chain of the packet filters here, without what the programs say of themselves."""
    texts = [
        subprocess.run([f"{family}-save"], check=True, capture_output=True, text=True).stdout
        for family in ("iptables", "ip6tables")
    ]
    lines = [line.split(" [")[0] for text in texts for line in text.splitlines()]
    return "\n".join(line for line in lines if line.startswith("-A") or (line.startswith(":") and line.endswith(" -")))


def _room(netns: Optional[str]) -> Dict[str, Any]:
    shown, routes = ip(netns, "address show", "route show table all")
    links = {
        link["ifname"]: {
            **{field: link.get(field) for field in ("mtu", "master", "address", "ifalias", "altnames")},
            "kind": link.get("linkinfo", {}).get("info_kind"),
            "stp": link.get("linkinfo", {}).get("info_data", {}).get("stp_state"),
            **{mode: link.get("linkinfo", {}).get("info_slave_data", {}).get(mode) for mode in ("isolated", "hairpin")},
            "up": "UP" in link["flags"],
            "addresses": sorted(_address(a) for a in link["addr_info"] if a["scope"] != "link"),
        }
        for link in shown
    }
    # The kernel's own IPv6 routes come and go with a link's carrier; a lo that goes down keeps its 127.0.0.0/8.
    passing = [
        route["protocol"] in ("kernel", "ra") and (":" in route["dst"] or route["dst"] == "127.0.0.0/8")
        for route in routes
    ]
    lasting = [_route(route) for route, passes in zip(routes, passing) if not passes]
    with namespaces.inside(netns):
        return {
            "links": links,
            "routes": sorted(json.dumps(route, sort_keys=True) for route in lasting),
            "sysctls": dict(_sysctls()),
            "rules": rules(),
        }


def _address(address: Dict[str, Any]) -> str:
    peer = f" peer {address['address']}" if "address" in address else ""
    marks = [mark for mark in ("secondary", "noprefixroute") if address.get(mark)]
    return " ".join([f"{address['local']}/{address['prefixlen']}{peer}", *marks])


def _route(route: Dict[str, Any]) -> Dict[str, Any]:
    fields = ("type", "dst", "gateway", "dev", "protocol", "scope", "metric", "prefsrc", "table", "metrics", "pref")
    kept = {field: route[field] for field in fields if field in route}
    hops = [{key: value for key, value in hop.items() if key != "flags"} for hop in route.get("nexthops", ())]
    return {**kept, "nexthops": hops}


def _sysctls() -> Iterator[Tuple[str, str]]:
    yield "ip_forward", _read("/proc/sys/net/ipv4/ip_forward")
    for family in ("ipv4", "ipv6"):
        top = f"/proc/sys/net/{family}/conf"
        for link in sorted(os.listdir(top)):
            for name in SETTINGS:
                path = f"{top}/{link}/{name}"
                if os.path.exists(path):
                    yield path, _read(path)


def _read(path: str) -> str:
    with open(path, encoding="ascii") as file:
        return file.read()


def differences(before: Any, after: Any, path: str = "") -> List[str]:
    """Where two images differ, and how."""
    if isinstance(before, dict) and isinstance(after, dict):
        keys = [*before, *(key for key in after if key not in before)]
        return [line for key in keys for line in differences(before.get(key), after.get(key), f"{path}/{key}")]
    if isinstance(before, list) and isinstance(after, list):
        gone, new = ([e for e in one if e not in other] for one, other in ((before, after), (after, before)))
        if gone or new:
            return [f"{path}: {gone} -> {new}"]
    return [] if before == after else [f"{path}: {before!r} -> {after!r}"]
