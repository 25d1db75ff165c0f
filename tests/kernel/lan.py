# SPDX-License-Identifier: GPL-3.0-or-later
"""A host with one NIC on a LAN, and everything about it that a bridge has to take over; pings that count every gap."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import time
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

HOST = """
netns add lan
link add eth0 mtu 1450 type veth peer name eth0 mtu 1450 netns lan
address add 192.168.1.2/24 brd + dev eth0
address add 192.168.1.20/24 dev eth0
address add 192.168.9.5/24 dev eth0 valid_lft 3600 preferred_lft 1800
address add 10.44.0.1/24 dev eth0 noprefixroute metric 77
address add 2001:db8:1::2/64 dev eth0 nodad
address add 2001:db8:1::3/64 dev eth0 valid_lft 3600 preferred_lft 1800
link set eth0 up
route add default via 192.168.1.1
route add 198.51.100.0/24 via 192.168.1.3 proto static metric 5 src 192.168.1.20 mtu 1400
route add 198.51.101.0/24 via 192.168.1.3 table 77
route add 198.51.102.0/24 dev eth0 proto 99
route add 198.51.103.0/24 nexthop via 192.168.1.3 weight 2 nexthop via 192.168.1.1
route add ::/0 via 2001:db8:1::1
route add 2001:db8:7::/64 dev eth0 metric 50
route add 2001:db8:8::/64 via fe80::1 dev eth0 expires 3600
route add 2001:db8:9::/64 nexthop via 2001:db8:1::1 weight 2 nexthop via 2001:db8:1::7
neigh add 192.168.1.77 lladdr 02:00:00:00:00:77 dev eth0 nud permanent
neigh add proxy 192.168.1.78 dev eth0
"""
LAN = """
address add 192.168.1.1/24 dev eth0
address add 192.168.1.3/24 dev eth0
address add 2001:db8:1::1/64 dev eth0 nodad
link set lo up
link set eth0 up
"""


Document = Dict[str, Any]
BRIDGED: Document = {"bridges": [{"name": "br0", "uplink": "eth0"}]}
NOTHING: Document = {"state": "absent"}
LONGEST_GAP = 1.0  # seconds that the host may be away


def build() -> None:
    """The host of this file, its addresses checked and its LAN reachable."""
    batch(HOST)
    batch(LAN, "lan")
    settled("eth0")
    until(
        lambda: subprocess.run(["ping", "-qc1", "-W1", "192.168.1.1"], capture_output=True, check=False).returncode == 0
    )


def batch(commands: str, netns: Optional[str] = None) -> None:
    """Commands for ip, a line each."""
    inside = ["-n", netns] if netns else []
    subprocess.run(["ip", *inside, "-batch", "-"], input=commands, text=True, check=True)


def until(done: Callable[[], object], seconds: float = 30) -> None:
    """Wait for something that must come."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)


def settled(link: str, netns: Optional[str] = None) -> None:
    """Wait until every IPv6 address of a link is checked, and there is a link-local one."""

    def done() -> bool:
        entries = [entry for entry in addresses(link, netns) if entry["family"] == "inet6"]
        return bool(entries) and not any(entry.get("tentative") for entry in entries)

    until(done)


def connected(*ends: Tuple[Optional[str], str]) -> None:
    """Wait until the kernel has taken note that these links, each in its namespace, have a carrier.

    It does so up to 1 s late if it was busy with other links, of any namespace (net/core/link_watch.c), and sends
    nothing over them until then.
    """

    def up(netns: Optional[str], link: str) -> bool:
        inside = ["-n", netns] if netns else []
        return ip(*inside, "-br", "link", "show", "dev", link).split()[1] == "UP"

    until(lambda: all(up(*end) for end in ends))


def settle(*links: str) -> None:
    """The kernel has done all that follows from these links' carriers, where there are such links.

    It does so up to a second late (a bridge without a carrier forgets for whom the host answers there), but at once
    where it is asked for the link.
    """
    for link in links:
        subprocess.run(["ip", "link", "show", "dev", link], capture_output=True, check=False)


def ip(*words: str) -> str:
    """What iproute2 says."""
    return subprocess.check_output(["ip", *words], text=True)


def mac(link: str) -> str:
    """A link's MAC address."""
    return ip("-br", "link", "show", "dev", link).split()[2]


def reached(address: str, netns: str = "lan") -> bool:
    """Whether who is asked from a namespace answers."""
    command = ["ip", "netns", "exec", netns, "ping", "-qc1", "-W2", address]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def addresses(link: str, netns: Optional[str] = None) -> List[Dict[str, Any]]:
    """A link's addresses as iproute2 shows them."""
    inside = ["-n", netns] if netns else []
    shown = json.loads(subprocess.check_output(["ip", *inside, "-j", "address", "show", "dev", link]))
    found: List[Dict[str, Any]] = shown[0]["addr_info"]
    return found


def work_of(link: str) -> Dict[str, Any]:
    """All that a link does for its host, as it would read if it were called eth0; lifetimes to the minute."""

    def said(command: str) -> List[str]:
        text = subprocess.check_output(["ip", *command.split()], text=True)
        text = re.sub(rf"\b{link}\b", "eth0", text)
        text = re.sub(r"expires (\d+)sec", lambda found: f"expires {round(int(found[1]), -2)}", text)
        return sorted(line.strip() for line in text.splitlines())

    held = [
        {**entry, **{life: round(entry[life], -2) for life in ("valid_life_time", "preferred_life_time")}}
        for entry in addresses(link)
        if entry["scope"] != "link"  # of which each link has its own
    ]
    routes = said(f"route show table all dev {link}") + said(f"-6 route show table all dev {link}")
    several = [line for line in said("route show") + said("-6 route show") if line.startswith("nexthop")]
    return {
        "addresses": [{**entry, "label": entry.get("label", link).replace(link, "eth0")} for entry in held],
        "routes": sorted({line for line in routes if not _of_every_link(line)}),
        "nexthops": several,
        "neighbours": said(f"neighbour show dev {link} nud permanent") + said(f"neighbour show proxy dev {link}"),
    }


def _of_every_link(route: str) -> bool:
    return route.startswith(("fe80::/64", "multicast", "broadcast", "anycast", "local"))


class Gap:
    """The longest time without an answer, in seconds, while the block ran; how many answers there were."""

    seconds: float
    answers: int


@contextlib.contextmanager
def pinged(address: str, source: Optional[str] = None) -> Iterator[Gap]:
    """From the LAN, every 10 ms, from before the block until it has been over for half a second."""
    own = ["-I", source] if source else []
    command = ["ip", "netns", "exec", "lan", "ping", "-D", "-i", "0.01", "-W", "1", *own, address]
    found = Gap()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as ping:
        try:
            assert ping.stdout is not None
            assert "PING" in ping.stdout.readline()
            assert "bytes from" in ping.stdout.readline()
            began = time.time()
            yield found
            time.sleep(0.5)
            ended = time.time()
        finally:
            ping.terminate()
        lines = ping.stdout.read().splitlines()
    times = [float(line[1 : line.index("]")]) for line in lines if "bytes from" in line]
    times = [began, *(moment for moment in times if began < moment < ended), ended]
    found.seconds = max(later - earlier for earlier, later in zip(times, times[1:]))
    found.answers = len(times) - 2
