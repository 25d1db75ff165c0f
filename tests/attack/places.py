# SPDX-License-Identifier: GPL-3.0-or-later
"""A host between a LAN, a second uplink, its own networks and somebody else's, and a sensor and an attacker in each.

    guests of every network -- their bridges --+
    somebody else's machines -- their bridges -- the host -- eth0 192.168.1.2 -- lan .3, nas .50, internet 203.0.113.1
                                                      `----- eth9 10.9.0.1 ----- wan .2

lan, nas and the internet are one machine. Who lives where is written into every neighbour table, and no machine but
the host and the routers of mode nat does anything with what comes: what arrives is seen, and nobody answers.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import time
from typing import Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple

from ansible_collections.hostwire.linux.plugins.module_utils import engine
from ansible_collections.hostwire.linux.plugins.module_utils.netns import inside
from ansible_collections.hostwire.linux.tests.attack import company, networks
from ansible_collections.hostwire.linux.tests.attack.networks import LEG, NAT, SECOND, UNADDRESSED, Network
from ansible_collections.hostwire.linux.tests.attack.setups import NOBODY, Setup
from ansible_collections.hostwire.linux.tests.kernel.firewall_world import batch, sysctl

LAN = {4: "192.168.1.3", 6: "2001:db8:1::3"}
WAN = {4: "10.9.0.2", 6: "2001:db8:9::2"}
HOST_AT_WAN = {4: "10.9.0.1", 6: "2001:db8:9::1"}
INTERNET = {4: "203.0.113.1", 6: "2001:db8:ffff::1"}
CLOSED = {4: "203.0.113.66", 6: "2001:db8:ffff::66"}  # which the administrator lets nobody reach
PATIENCE = 20.0  # seconds for what must come

_HOST_SIDE = """
netns add lan
netns add wan
link add eth0 type veth peer name eth0 netns lan
link add eth9 type veth peer name eth0 netns wan
link add eth5 type veth peer name eth5 netns wan
address add 192.168.1.2/24 dev eth0
address add 2001:db8:1::2/64 dev eth0 nodad
address add 10.9.0.1/24 dev eth9
address add 2001:db8:9::1/64 dev eth9 nodad
link set eth0 up
link set eth9 up
link set eth5 up
route add default via 192.168.1.3
route add default via 2001:db8:1::3
"""
_LAN_SIDE = """
link set lo up
link set eth0 up
address add 192.168.1.3/24 dev eth0
address add 192.168.1.50/24 dev eth0
address add 2001:db8:1::3/64 dev eth0 nodad
address add 2001:db8:1::50/64 dev eth0 nodad
"""
_WAN_SIDE = """
link set lo up
link set eth0 up
address add 10.9.0.2/24 dev eth0
address add 2001:db8:9::2/64 dev eth0 nodad
"""
_SILENCE = "*raw\n-A PREROUTING -j DROP\nCOMMIT\n"  # the sensors see it all the same


class Place(NamedTuple):
    """An interface that packets come from and arrive at.

    ``kind``: that of its network, or lan, wan, company, router (of mode nat). ``mac`` is its own, ``gateway`` that of
    whom it sends to what isn't near: the host, or a router. ``link`` is the gateway's interface.
    """

    name: str
    netns: str
    interface: str
    kind: str
    network: Optional[Network]
    link: str
    addresses: Dict[int, str]
    mac: bytes = b""
    gateway: bytes = b""


def outside_world(setup: Setup) -> None:
    """The host and who is there whatever the documents say; the thread is on a private host."""
    sysctl("net/ipv6/conf/default/accept_dad", 0)
    _remember(None)
    for scope in ("all", "default"):
        sysctl(f"net/ipv4/conf/{scope}/rp_filter", setup.rp_filter)
    batch(_HOST_SIDE.strip().splitlines())
    batch(_LAN_SIDE.strip().splitlines(), "lan")
    batch(_WAN_SIDE.strip().splitlines(), "wan")
    for family in ("iptables", "ip6tables"):
        sysctl(f"net/bridge/bridge-nf-call-{family}", setup.bridge_nf)
        subprocess.run([family, "-w", "-P", "FORWARD", setup.policy], check=True)
    for interface in ("eth0", "eth9"):
        sysctl(f"net/ipv4/conf/{interface}/rp_filter", setup.rp_filter)
    if setup.forwarded:
        sysctl("net/ipv4/ip_forward", 1)
        sysctl("net/ipv6/conf/all/forwarding", 1)
    if setup.company != NOBODY and not setup.company_last:
        company.arrive(setup.company)
    for network in networks.SETS[setup.documents].networks:
        batch([f"netns add {guest}" for guest in network.guests])


def apply_documents(setup: Setup) -> None:
    """The documents, and once more where somebody else came after them."""
    documents = networks.documents(setup.documents, setup.backwards)
    for document in documents:
        engine.run(document, dad_seconds=0)
    if setup.company_last:
        company.arrive(setup.company)
        for document in documents:
            engine.run(document, dad_seconds=0)


def places(setup: Setup) -> List[Place]:
    """All of them, as the documents have made them."""
    found = [
        Place("lan", "lan", "eth0", "lan", None, "eth0", LAN),
        Place("wan", "wan", "eth0", "wan", None, "eth9", WAN),
    ]
    for machine in company.MACHINES[setup.company]:
        plain = {family: address.partition("/")[0] for family, address in machine.addresses.items()}
        found.append(Place(machine.name, machine.name, "eth0", "company", None, machine.bridge, plain))
    for network in networks.SETS[setup.documents].networks:
        for number, guest in enumerate(network.guests, 2):
            addresses = {family: network.address(family, number) for family in (4, 6)}
            if network.kind == NAT:
                router = f"{network.name}-{guest}"
                found.append(Place(f"router.{guest}", router, "outside", "router", network, network.name, addresses))
                found.append(Place(guest, guest, "eth0", NAT, network, "inside", networks.BEHIND_ROUTER))
            else:
                found.append(Place(guest, guest, "eth0", network.kind, network, network.name, addresses))
    if any(port.place == LEG for port in networks.SETS[setup.documents].ports):
        found.append(Place(LEG, "one.a", "eth1", SECOND.kind, SECOND, SECOND.name, networks.LEG_ADDRESSES))
    macs = {netns: _macs(netns) for netns in {None, *(place.netns for place in found)}}
    return [
        place._replace(mac=macs[place.netns][place.interface], gateway=macs[_gateway_netns(place)][place.link])
        for place in found
    ]


def _macs(netns: Optional[str]) -> Dict[str, bytes]:
    command = ["ip", *(["-n", netns] if netns else []), "-json", "link"]
    links = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return {link["ifname"]: bytes.fromhex(link["address"].replace(":", "")) for link in links}


def mac_of(netns: Optional[str], interface: str) -> str:
    """An interface's MAC address."""
    return _macs(netns)[interface].hex(":")


def _gateway_netns(place: Place) -> Optional[str]:
    return f"{place.network.name}-{place.name}" if place.kind == NAT and place.network else None


def acquaint(found: List[Place]) -> None:
    """Permanent neighbours for all, a host's way to the network it has no address in, and silence.

    And addresses that are no longer tentative: nothing is translated to one that is.
    """
    near: Dict[Optional[str], List[str]] = {None: []}
    for place in found:
        extra = [*networks.NAS.values()] if place.kind == "lan" else []
        lines = near.setdefault(_gateway_netns(place), [])
        lines += [_neighbour(address, place.mac, place.link) for address in [*place.addresses.values(), *extra]]
        if place.kind == "router" and place.network:
            lines = near.setdefault(place.netns, [])
            lines += [_neighbour(place.network.address(family, 1), place.gateway, "outside") for family in (4, 6)]
    unaddressed = {place.network for place in found if place.network and place.kind in UNADDRESSED}
    for network in unaddressed:
        near[None] += [
            f"-{family} route add {prefix} dev {network.name}" for family, prefix in network.prefixes.items()
        ]
    for netns, lines in near.items():
        _ip(netns, lines)
    for netns in {place.netns for place in found}:
        _await_addresses(netns)
    for place in found:
        if place.kind == "router":
            _remember(place.netns)
    for place in found:
        if place.kind != "router":
            with inside(place.netns):
                for program in ("iptables-restore", "ip6tables-restore"):
                    subprocess.run([program, "-w", "10"], input=_SILENCE, text=True, check=True)


def _remember(netns: Optional[str]) -> None:
    """Flows are known for longer than a pass over them takes."""
    with inside(netns):
        for name in ("udp_timeout", "tcp_timeout_syn_sent", "tcp_timeout_syn_recv", "tcp_timeout_close"):
            sysctl(f"net/netfilter/nf_conntrack_{name}", 900)


def _await_addresses(netns: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while subprocess.run(
        ["ip", "-n", netns, "-6", "-o", "address", "show", "tentative"], check=True, capture_output=True
    ).stdout:
        assert time.monotonic() < deadline, f"{netns}: addresses stay tentative"
        time.sleep(0.05)


def _ip(netns: Optional[str], lines: Iterable[str]) -> None:
    """As ``ip -batch``, with options before the object allowed."""
    by_family: Dict[str, List[str]] = {}
    for line in lines:
        option, rest = line.split(" ", 1) if line.startswith("-") else ("", line)
        by_family.setdefault(option, []).append(rest)
    for option, rest in by_family.items():
        command = ["ip", *([option] if option else []), *(["-n", netns] if netns else []), "-batch", "-"]
        subprocess.run(command, input="\n".join(rest), text=True, check=True)


def _neighbour(address: str, mac: bytes, device: str) -> str:
    return f"neighbour replace {address} lladdr {mac.hex(':')} dev {device} nud permanent"


def link_socket(netns: Optional[str], interface: Optional[str] = None) -> socket.socket:
    """A raw socket: for an interface, to send frames by; without one, to see what arrives at any."""
    with inside(netns):
        kind = 0 if interface else socket.htons(0x0003)  # ETH_P_ALL
        made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, kind)
        if interface:
            made.bind((interface, 0))
        else:
            made.setsockopt(263, 23, 1)  # SOL_PACKET, PACKET_IGNORE_OUTGOING: linux/if_packet.h
            _roomy(made)
        return made


def delivered_sockets(netns: Optional[str]) -> Iterator[Tuple[int, int, socket.socket]]:
    """Raw sockets that see what is delivered to a namespace itself, behind its filter: family, protocol, socket."""
    for family, domain in ((4, socket.AF_INET), (6, socket.AF_INET6)):
        for protocol in (socket.IPPROTO_UDP, socket.IPPROTO_TCP):
            with inside(netns):
                made = socket.socket(domain, socket.SOCK_RAW, protocol)
            _roomy(made)
            yield family, int(protocol), made


def sending_sockets(netns: Optional[str] = None) -> Dict[int, socket.socket]:
    """Sockets of a namespace itself that send whole packets, its own filter included."""
    with inside(netns):
        return {
            4: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW),
            6: socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW),
        }


def _roomy(made: socket.socket) -> None:
    made.setblocking(False)
    made.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE: asm-generic/socket.h


def dropped(made: socket.socket) -> int:
    """Packets that an AF_PACKET socket had no room for."""
    _seen, lost = struct.unpack("II", made.getsockopt(263, 6, 8))  # PACKET_STATISTICS
    return int(lost)


def unguard() -> None:
    """Nothing is kept away any more: no filter, no reverse path, and the host is a router. Translation stays."""
    for program in ("iptables", "ip6tables"):
        for table in ("raw", "mangle", "filter"):
            subprocess.run([program, "-w", "-t", table, "-F"], check=True)
        for chain in ("INPUT", "OUTPUT", "FORWARD"):
            subprocess.run([program, "-w", "-P", chain, "ACCEPT"], check=True)
    sysctl("net/ipv4/ip_forward", 1)
    sysctl("net/ipv6/conf/all/forwarding", 1)
    for interface in os.listdir("/proc/sys/net/ipv4/conf"):
        sysctl(f"net/ipv4/conf/{interface}/rp_filter", 0)


def guard_by_state(bridges: Iterable[str]) -> None:
    """What many take for enough: to guests passes what is established."""
    unguard()
    for program in ("iptables", "ip6tables"):
        for bridge in bridges:
            rule = f"-A FORWARD -o {bridge} -m conntrack ! --ctstate RELATED,ESTABLISHED -m conntrack ! --ctstate DNAT"
            subprocess.run([program, "-w", *rule.split(), "-j", "DROP"], check=True)
