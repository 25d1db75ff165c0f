# SPDX-License-Identifier: GPL-3.0-or-later
"""Good documents: the five scenarios, and one that says everything that can be said."""

# ruff: noqa: E501 - an object reads best on one line

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

SCENARIOS = Path(__file__).parent / "scenarios"

EVERYTHING = """
name: office
state: present
namespaces:
  - name: red
    forwarding: {ipv4: true, ipv6: "yes"}
    sysctls: {net.ipv4.conf.all.rp_filter: 1, net/ipv4/conf/eth0.100/rp_filter: "2", net.ipv4.tcp_ecn: true}
    nameservers: [192.168.15.5, "fd00:15::5"]
    hosts: {localdb: 10.0.2.12, db.example.com: "fd00:15::6"}
  - name: blue
  - name: r1.lab_x-y
bridges:
  - name: v-net-0
    netns: null
    addresses: [192.168.15.5/24, "FD00:15:0::5/64"]
    uplink: null
    mac: 02:00:00:AA:bb:01
    mtu: "1400"
    stp: "no"
    vlan_filtering: true
  - {name: v-net-1, up: false, guests: {to_host: "no", among: true, outside: false, services: []}}
  - {name: v-net-3, guests: {services: [dns, dhcp]}}
  - {name: v-net-2, uplink: eth2}
  - {name: v-net-0, netns: red}
veths:
  - name: veth-red-br
    netns: null
    bridge: v-net-0
    addresses: []
    mac: null
    mtu: null
    up: true
    peer: {name: veth-red, netns: red, bridge: null, addresses: [192.168.15.1/24, "fd00:15::1/64"], mac: null, mtu: 1400, up: on}
  - {name: trunk0, bridge: v-net-0, peer: {name: trunk1, bridge: v-net-1}}
  - {name: p2p, netns: blue, addresses: [10.9.0.0/31, fe80::1/64], peer: {name: p2p, netns: r1.lab_x-y, addresses: [10.9.0.1/31, fe80::2/64]}}
interfaces:
  - {name: eth0, addresses: [192.168.1.10/24], mtu: 9000, up: true}
  - {name: eth1, bridge: v-net-0}
  - {name: lo, netns: blue, addresses: [10.9.0.1/32, 127.0.0.53/8]}
taps:
  - {name: tap0, bridge: v-net-0, owner: qemu, mac: "02:00:00:aa:bb:02", mtu: 1400, up: true}
  - {name: tap0, netns: red, owner: 1000, up: false}
containers:
  - {container: web, name: lan0, bridge: v-net-0, addresses: [192.168.15.8/24, "FD00:15:0::8/64"], mac: 02:00:00:AA:bb:03, mtu: "1400"}
  - {container: 0b5e.db_1, name: lan0, bridge: v-net-1, addresses: [], mac: null, mtu: null}
routes:
  - {netns: red, to: default, via: 192.168.15.5, metric: 100}
  - {netns: red, to: default, via: "fd00:15::5"}
  - {netns: red, to: 10.20.0.0/16, nexthops: [{via: 192.168.15.6, weight: 2}, {via: 192.168.15.7, dev: veth-red}]}
  - {netns: red, to: 10.21.0.0/16, nexthops: [{via: 192.168.15.6}]}
  - {netns: red, to: 10.22.0.0/16, type: blackhole, table: 100}
  - {netns: "container:web", to: 10.9.0.0/16, via: 192.168.15.5}
  - {netns: blue, to: "fd01::/64", via: "fe80::2", dev: p2p, table: main}
  - {netns: blue, to: 198.51.100.1/32, dev: p2p}
  - {netns: blue, to: default, via: 198.51.100.1, dev: p2p, metric: "5"}
  - {to: 203.0.113.0/24, via: 192.168.1.1, dev: eth0, table: default, metric: 0}
forwarding: {ipv4: true, ipv6: null, networks: [10.1.0.0/16, 10.0.0.0/16, 10.1.0.0/16]}
masquerade:
  - {source: 192.168.15.0/24, except_to: v-net-0, netns: null, to_source: null}
  - {source: "fd00:15::/64", to_source: "2001:db8::1", except_to: lo}
  - {source: 192.168.16.0/24, except_to: [v-net-0, lo]}
  - {source: 192.168.17.0/24, except_to: [v-net-0]}
  - {source: 192.168.18.0/24, except_to: []}
published_ports:
  - {protocol: tcp, port: 8080, to: "192.168.15.2:80", address: 127.0.0.1, netns: null, sources: []}
  - {protocol: tcp, port: "8080", to: "192.168.15.2:80", address: 192.168.1.10}
  - {protocol: udp, port: 8000-8010, to: "192.168.15.2:9000-9010", address: any, sources: [10.0.0.0/8, 192.0.2.7/32]}
  - {protocol: tcp, port: 8080, to: "[fd00:15::2]:80", address: any}
sysctls: {net.core.somaxconn: 1024, net.ipv4.tcp_rmem: "4096  131072 6291456"}
probes:
  - {from: blue, to: 192.168.1.3, protocol: icmp, port: null, expect: reachable}
  - {from: null, to: 192.168.15.2, protocol: tcp, port: 80}
  - {from: "container:web", to: "fd00:15::2", protocol: dns, expect: unreachable}
  - {from: blue, to: "fe80::2%p2p", protocol: udp, port: "53"}
"""

GOOD_DOCUMENTS: dict[str, Any] = {
    path.stem: yaml.safe_load(path.read_text(encoding="utf-8"))
    for path in sorted(SCENARIOS.glob("*.yml"))
    if not path.name.endswith(".probes.yml")
}
GOOD_DOCUMENTS["everything"] = yaml.safe_load(EVERYTHING)
GOOD_DOCUMENTS["nothing"] = {}
GOOD_DOCUMENTS["gone"] = {
    "name": "office",
    "state": "absent",
    "veths": [{"name": "a0"}],
    "published_ports": [{"port": 80}],
}


def probes_of(scenario: str) -> list[dict[str, Any]]:
    """The probes of a scenario, as a document's ``probes``."""
    probes: list[dict[str, Any]] = yaml.safe_load((SCENARIOS / f"{scenario}.probes.yml").read_text(encoding="utf-8"))
    return probes
