# SPDX-License-Identifier: GPL-3.0-or-later
"""Who else uses the host's packet filter: bridges with a machine each, and rules written as their owners write them."""

from __future__ import annotations

import subprocess
from typing import Dict, List, NamedTuple, Tuple

from ansible_collections.hostwire.linux.tests.attack.setups import (
    ADMINISTRATOR,
    DOCKER,
    DOCKER_28,
    FIREWALLD,
    LIBVIRT,
    NOBODY,
    UFW,
)
from ansible_collections.hostwire.linux.tests.kernel.firewall_world import batch, sysctl


class Machine(NamedTuple):
    """One on somebody else's bridge; of a family without an address it has none."""

    name: str
    bridge: str
    addresses: Dict[int, str]
    gateways: Dict[int, str]


_DOCKER0 = {4: "172.17.0.1/16"}
MACHINES: Dict[str, Tuple[Machine, ...]] = {
    NOBODY: (),
    UFW: (),
    FIREWALLD: (),
    LIBVIRT: (
        Machine(
            "vm", "virbr0", {4: "192.168.122.10/24", 6: "fd00:122::10/64"}, {4: "192.168.122.1/24", 6: "fd00:122::1/64"}
        ),
    ),
    ADMINISTRATOR: (
        Machine("adm", "adm0", {4: "10.77.0.10/24", 6: "fd00:77::10/64"}, {4: "10.77.0.1/24", 6: "fd00:77::1/64"}),
    ),
    DOCKER: (
        Machine("web", "docker0", {4: "172.17.0.2/16"}, _DOCKER0),
        Machine("hidden", "docker0", {4: "172.17.0.3/16"}, _DOCKER0),
    ),
}
MACHINES[DOCKER_28] = MACHINES[DOCKER]
CONTAINER_PORT = 8080  # of the host, leading to port 80 of web

_LIBVIRT = """
*nat
:LIBVIRT_PRT - [0:0]
-A POSTROUTING -j LIBVIRT_PRT
-A LIBVIRT_PRT -s {subnet} -d {multicast} -j RETURN
-A LIBVIRT_PRT -s {subnet} ! -d {subnet} -p tcp -j MASQUERADE --to-ports 1024-65535
-A LIBVIRT_PRT -s {subnet} ! -d {subnet} -p udp -j MASQUERADE --to-ports 1024-65535
-A LIBVIRT_PRT -s {subnet} ! -d {subnet} -j MASQUERADE
COMMIT
*filter
:LIBVIRT_FWI - [0:0]
:LIBVIRT_FWO - [0:0]
:LIBVIRT_FWX - [0:0]
:LIBVIRT_INP - [0:0]
:LIBVIRT_OUT - [0:0]
-I INPUT -j LIBVIRT_INP
-I OUTPUT -j LIBVIRT_OUT
-I FORWARD -j LIBVIRT_FWO
-I FORWARD -j LIBVIRT_FWI
-I FORWARD -j LIBVIRT_FWX
-A LIBVIRT_FWI -d {subnet} -o virbr0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A LIBVIRT_FWI -o virbr0 -j REJECT
-A LIBVIRT_FWO -s {subnet} -i virbr0 -j ACCEPT
-A LIBVIRT_FWO -i virbr0 -j REJECT
-A LIBVIRT_FWX -i virbr0 -o virbr0 -j ACCEPT
-A LIBVIRT_INP -i virbr0 -p udp -m udp --dport 53 -j ACCEPT
-A LIBVIRT_INP -i virbr0 -p tcp -m tcp --dport 53 -j ACCEPT
-A LIBVIRT_INP -i virbr0 -p udp -m udp --dport 67 -j ACCEPT
-A LIBVIRT_OUT -o virbr0 -p udp -m udp --dport 68 -j ACCEPT
COMMIT
"""

# A network of the administrator's own that leads to the LAN and takes nobody in, and a server nobody is to reach.
_ADMINISTRATOR = """
*filter
-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -d {closed} -j REJECT
-A FORWARD -i adm0 -o eth0 -j ACCEPT
-A FORWARD -o adm0 -j REJECT
COMMIT
"""

_UFW = """
*filter
:INPUT DROP [0:0]
:ufw{n}-before-input - [0:0]
:ufw{n}-user-input - [0:0]
:ufw{n}-before-forward - [0:0]
:ufw{n}-user-forward - [0:0]
-A INPUT -j ufw{n}-before-input
-A FORWARD -j ufw{n}-before-forward
-A ufw{n}-before-input -i lo -j ACCEPT
-A ufw{n}-before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A ufw{n}-before-input -m conntrack --ctstate INVALID -j DROP
-A ufw{n}-before-input -p {icmp} -j ACCEPT
-A ufw{n}-before-input -j ufw{n}-user-input
-A ufw{n}-before-forward -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A ufw{n}-before-forward -p {icmp} -j ACCEPT
-A ufw{n}-before-forward -j ufw{n}-user-forward
-A ufw{n}-user-input -p tcp -m tcp --dport 22 -j ACCEPT
COMMIT
"""

# A zone that takes in ssh and forwards nothing but what is established or translated; behind all of iptables.
_FIREWALLD_CHAIN = """
table inet firewalld {
  chain filter_%s {
    type filter hook %s priority filter + 10; policy accept;
    ct state { established, related } accept
    ct status dnat accept
    iifname "lo" accept
    ct state invalid drop
    meta l4proto { 1, 58 } accept
    %s
    reject with icmpx type admin-prohibited
  }
}
"""
_FIREWALLD = _FIREWALLD_CHAIN % ("INPUT", "input", "tcp dport 22 accept") + _FIREWALLD_CHAIN % (
    "FORWARD",
    "forward",
    "",
)

_DOCKER_NAT = """
*nat
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A POSTROUTING -s 172.17.0.2/32 -d 172.17.0.2/32 -p tcp -m tcp --dport 80 -j MASQUERADE
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
-A DOCKER ! -i docker0 -p udp -m udp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
COMMIT
"""
_DOCKER = (
    _DOCKER_NAT
    + """
*filter
:DOCKER - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
:DOCKER-ISOLATION-STAGE-2 - [0:0]
:DOCKER-USER - [0:0]
-I FORWARD -i docker0 -o docker0 -j ACCEPT
-I FORWARD -i docker0 ! -o docker0 -j ACCEPT
-I FORWARD -o docker0 -j DOCKER
-I FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-I FORWARD -j DOCKER-ISOLATION-STAGE-1
-I FORWARD -j DOCKER-USER
-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT
-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p udp -m udp --dport 80 -j ACCEPT
-A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-1 -j RETURN
-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
-A DOCKER-ISOLATION-STAGE-2 -j RETURN
-A DOCKER-USER -j RETURN
COMMIT
"""
)
_DOCKER_28 = (
    _DOCKER_NAT
    + """
*raw
-A PREROUTING -d 172.17.0.2/32 ! -i docker0 -j DROP
-A PREROUTING -d 172.17.0.3/32 ! -i docker0 -j DROP
COMMIT
*filter
:DOCKER - [0:0]
:DOCKER-BRIDGE - [0:0]
:DOCKER-CT - [0:0]
:DOCKER-FORWARD - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
:DOCKER-ISOLATION-STAGE-2 - [0:0]
:DOCKER-USER - [0:0]
-I FORWARD -j DOCKER-FORWARD
-I FORWARD -j DOCKER-USER
-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT
-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p udp -m udp --dport 80 -j ACCEPT
-A DOCKER ! -i docker0 -o docker0 -j DROP
-A DOCKER-BRIDGE -o docker0 -j DOCKER
-A DOCKER-CT -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A DOCKER-FORWARD -j DOCKER-CT
-A DOCKER-FORWARD -j DOCKER-ISOLATION-STAGE-1
-A DOCKER-FORWARD -j DOCKER-BRIDGE
-A DOCKER-FORWARD -i docker0 -j ACCEPT
-A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
COMMIT
"""
)


def rules(company: str) -> Dict[int, str]:
    """What iptables-restore --noflush takes, by family."""
    libvirt = {4: ("192.168.122.0/24", "224.0.0.0/24"), 6: ("fd00:122::/64", "ff02::/16")}
    return {
        NOBODY: {},
        FIREWALLD: {},
        LIBVIRT: {family: _LIBVIRT.format(subnet=it, multicast=many) for family, (it, many) in libvirt.items()},
        ADMINISTRATOR: {
            4: _ADMINISTRATOR.format(closed="203.0.113.66"),
            6: _ADMINISTRATOR.format(closed="2001:db8:ffff::66"),
        },
        UFW: {4: _UFW.format(n="", icmp="icmp"), 6: _UFW.format(n="6", icmp="ipv6-icmp")},
        DOCKER: {4: _DOCKER},
        DOCKER_28: {4: _DOCKER_28},
    }[company]


def arrive(company: str) -> None:
    """Bridges, machines and rules."""
    lines: List[str] = []
    machines = MACHINES[company]
    for bridge in {machine.bridge: machine for machine in machines}.values():
        lines += [f"link add {bridge.bridge} type bridge", f"link set {bridge.bridge} up"]
        for address in bridge.gateways.values():
            lines.append(f"address add {address} dev {bridge.bridge}{' nodad' if ':' in address else ''}")
    for machine in machines:
        port = f"p-{machine.name}"
        lines += [
            f"netns add {machine.name}",
            f"link add {port} type veth peer name eth0 netns {machine.name}",
            f"link set {port} master {machine.bridge} up",
        ]
    batch(lines)
    for machine in machines:
        inside = ["link set lo up", "link set eth0 up"]
        for family, address in machine.addresses.items():
            inside += [
                f"address add {address} dev eth0{' nodad' if family == 6 else ''}",
                f"route add default via {machine.gateways[family].partition('/')[0]}",
            ]
        batch(inside, machine.name)
    if company in (LIBVIRT, DOCKER, DOCKER_28):
        sysctl("net/ipv4/ip_forward", 1)
    for family, text in rules(company).items():
        restore(family, text)
    if company == FIREWALLD:
        subprocess.run(["nft", "-f", "-"], input=_FIREWALLD, text=True, check=True)


def restore(family: int, text: str) -> None:
    program = "ip6tables-restore" if family == 6 else "iptables-restore"
    subprocess.run([program, "--noflush", "-w", "10"], input=text.lstrip(), text=True, check=True)
