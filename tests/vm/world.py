# SPDX-License-Identifier: GPL-3.0-or-later
"""What is around a host with guest networks: a LAN whose router serves DHCP, and an internet behind that.

    the host, eth0 192.168.0.2, 2001:db8::2 -- lan 192.168.0.1, 2001:db8::1 -- internet 203.0.113.9, 2001:db8:9::9

``lan`` and ``internet`` are namespaces. ``lan`` has a route to every guest network through the host, as an unfriendly
neighbour would.
"""

from __future__ import annotations

import contextlib
import subprocess
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Sequence

from ansible_collections.hostwire.linux.plugins.module_utils.netns import inside

from .guest import PORT

LAN, OUTSIDE = "lan", "internet"
HOST = {4: "192.168.0.2", 6: "2001:db8::2"}
ROUTER = {4: "192.168.0.1", 6: "2001:db8::1"}
INTERNET = {4: "203.0.113.9", 6: "2001:db8:9::9"}
LEASES = ("192.168.0.100", "192.168.0.199")
PATIENCE = 30.0  # seconds

_HERE = Path(__file__).parent


def build(routed: Sequence[str]) -> None:
    """Make the LAN and the host's card. ``routed``: networks that the LAN sends to the host."""
    _batch([
        "netns add lan",
        "netns add internet",
        "link add eth0 type veth peer name eth0 netns lan",
        "link add eth1 netns lan type veth peer name eth0 netns internet",
    ])  # fmt: skip
    for family in ("iptables", "ip6tables"):  # as on a host of Docker's: what no rule accepts isn't forwarded
        subprocess.run([family, "-P", "FORWARD", "DROP"], check=True)
    _batch([
        "address add 192.168.0.1/24 dev eth0",
        "address add 2001:db8::1/64 dev eth0 nodad",
        "address add 203.0.113.1/24 dev eth1",
        "address add 2001:db8:9::1/64 dev eth1 nodad",
        "link set lo up",
        "link set eth0 up",
        "link set eth1 up",
        *(f"route add {subnet} via {HOST[6 if ':' in subnet else 4]}" for subnet in routed),
    ], LAN)  # fmt: skip
    _batch([
        "address add 203.0.113.9/24 dev eth0",
        "address add 2001:db8:9::9/64 dev eth0 nodad",
        "link set lo up",
        "link set eth0 up",
        "route add default via 203.0.113.1",
        "route add default via 2001:db8:9::1",
    ], OUTSIDE)  # fmt: skip
    with inside(LAN):
        for setting in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
            Path(f"/proc/sys/net/{setting}").write_text("1")
    _batch([
        "address add 192.168.0.2/24 dev eth0",
        "address add 2001:db8::2/64 dev eth0 nodad",
        "link set eth0 up",
        "route add default via 192.168.0.1",
        "route add default via 2001:db8::1",
    ])  # fmt: skip


def filter_bridged(setting: int) -> None:
    """Whether packets within a switch meet the host's packet filter (bridge-nf-call-iptables 1) or not (0)."""
    for family in ("iptables", "ip6tables"):
        Path(f"/proc/sys/net/bridge/bridge-nf-call-{family}").write_text(str(setting))


def _batch(lines: Sequence[str], netns: Optional[str] = None) -> None:
    command = ["ip", *(["-n", netns] if netns else []), "-batch", "-"]
    subprocess.run(command, input="\n".join(lines), text=True, check=True)


@contextlib.contextmanager
def serving(place: Optional[str]) -> Iterator[None]:
    """Somebody answers TCP and UDP on PORT, at every address of a namespace or of the host."""
    with _running(place, ["perl", "-w", str(_HERE / "peer.pl"), "serve", str(PORT)]):
        with inside(place):
            _until_listening(f":{PORT}", 2)
        yield


@contextlib.contextmanager
def dhcp_servers(services: Sequence[Dict[str, Any]], directory: Path) -> Iterator[None]:
    """A real dnsmasq for each entry that is to be present, as the filter guest_services makes them."""
    with contextlib.ExitStack() as servers:
        for service in services:
            if service["state"] == "present":
                servers.enter_context(_dnsmasq(service["name"], service["netns"], service["lines"], directory))
        yield


@contextlib.contextmanager
def lan_dhcp(directory: Path) -> Iterator[None]:
    """The LAN's own DHCP server."""
    lines = [
        "port=0",
        "interface=eth0",
        "bind-interfaces",
        "dhcp-authoritative",
        f"dhcp-range={','.join(LEASES)},255.255.255.0,1h",
        f"dhcp-option=option:router,{ROUTER[4]}",
    ]
    with _dnsmasq(LAN, LAN, lines, directory):
        yield


@contextlib.contextmanager
def _dnsmasq(name: str, place: Optional[str], lines: List[str], directory: Path) -> Iterator[None]:
    configuration = directory / f"{name}.conf"
    configuration.write_text("\n".join([*lines, f"dhcp-leasefile={directory}/{name}.leases", "user=root", "pid-file"]))
    with _running(place, ["dnsmasq", "--keep-in-foreground", f"--conf-file={configuration}"]):
        with inside(place):
            _until_listening(":67", 1)
        yield


@contextlib.contextmanager
def _running(place: Optional[str], command: Sequence[str]) -> Iterator[None]:
    """A program that runs in a namespace, and is gone afterwards."""
    with inside(place):
        process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *command], stdin=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _until_listening(port: str, sockets: int) -> None:
    """Wait until there are that many sockets with this port in the namespace that the thread is in."""
    deadline = time.monotonic() + PATIENCE
    while True:
        printed = subprocess.check_output(["ss", "-Hltun", f"sport = {port}"], text=True)
        if len(printed.splitlines()) >= sockets:
            return
        assert time.monotonic() < deadline, f"nobody listens on {port}: {printed}"
        time.sleep(0.05)
