# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs are made of in the sweeps: something of each kind is made, changed and removed."""

from __future__ import annotations

from typing import Any, Dict, NamedTuple, Optional

from ansible_collections.hostwire.linux.tests.kernel import lan, world
from ansible_collections.hostwire.linux.tests.kernel.steps import NOTHING, Document


class Transition(NamedTuple):
    """A run for ``wanted`` where ``there`` was applied before; ``beside`` is another document, which stays."""

    there: Optional[Document]
    wanted: Document
    fragment: bool = False  # ``wanted`` holds single objects to be merged
    beside: Optional[Document] = None
    backend: str = "nft"
    docker: bool = False  # with a container, web


ROUTER: Document = {
    "namespaces": [{"name": "g", "hosts": {"db": "10.5.0.9"}}, {"name": "r", "forwarding": {"ipv4": True}}],
    "bridges": [{"name": "sw0", "addresses": ["10.5.0.1/24", "fd05::1/64"]}],
    "veths": [
        {"name": "v-g", "bridge": "sw0", "peer": {"name": "eth0", "netns": "g", "addresses": ["10.5.0.2/24"]}},
        {
            "name": "v-r",
            "netns": "r",
            "addresses": ["10.6.0.1/30"],
            "peer": {"name": "v-h", "addresses": ["10.6.0.2/30"]},
        },
    ],
    "taps": [{"name": "t0", "bridge": "sw0"}],
    "routes": [{"netns": "g", "to": "default", "via": "10.5.0.1"}],
    "masquerade": [{"source": "10.5.0.0/24", "except_to": "sw0"}],
    "published_ports": [{"port": 8080, "to": "10.5.0.2:80", "address": "any"}],
}
OTHER: Document = {
    **ROUTER,
    "namespaces": [{"name": "g"}],
    "veths": [{"name": "v-g", "peer": {"name": "eth1", "netns": "g", "addresses": ["10.7.0.2/24"]}}],
    "routes": [],
    "published_ports": [{"port": 8081, "to": "10.5.0.3:80", "address": "any"}],
}
# What comes next on whichever host: names and addresses that most of the others use, too.
FOLLOWING: Document = {
    "namespaces": [{"name": "g", "sysctls": {"net.ipv4.conf.all.rp_filter": 1}}],
    "bridges": [{"name": "sw0", "addresses": ["10.5.0.7/24"], "mtu": 1500}],  # without a word it may keep another one
    "taps": [{"name": "t0"}],
    "published_ports": [{"port": 8082, "to": "10.5.0.4:80", "address": "any"}],
}
UPLINK: Document = {"bridges": [*lan.BRIDGED["bridges"], {"name": "sw0"}], "taps": ROUTER["taps"]}
UPLINK_AND_MORE: Document = {
    "bridges": [{"name": "br0", "uplink": "eth0", "addresses": ["10.55.0.1/24", "fd55::1/64"]}],
    "veths": [{"name": "v-g", "bridge": "br0", "peer": {"name": "eth0", "netns": "g"}}],
    "namespaces": [{"name": "g"}],
    "published_ports": [{"port": 8080, "to": "10.55.0.2:80", "address": "any"}],
}
GUESTS: Document = {
    "bridges": [
        {"name": "sw0", "addresses": ["10.5.0.1/24", "fd05::1/64"], "guests": {"among": False, "to_host": False}},
        {"name": "sw1", "addresses": ["10.6.0.1/24"], "guests": {"outside": False}},
    ],
    "taps": [{"name": "t0", "bridge": "sw0"}, {"name": "t1", "bridge": "sw1", "owner": "1"}],
    "masquerade": [
        {"source": "10.5.0.0/24", "except_to": "sw0"},
        {"source": "fd05::/64", "except_to": "sw0"},
    ],
    "published_ports": [
        {"port": 8080, "to": "10.5.0.2:80", "address": "any"},
        {"port": 8080, "to": "[fd05::2]:80", "address": "any"},
        {"protocol": "udp", "port": "9000-9003", "to": "10.5.0.3:9000-9003", "address": "192.168.1.2"},
    ],
}
OTHER_GUESTS: Document = {
    "bridges": [
        {"name": "sw0", "addresses": ["10.5.0.1/24", "fd05::1/64"], "guests": {"from_host": False}},
        {"name": "sw1", "addresses": ["10.6.0.1/24"], "guests": {"among": False}},
    ],
    "taps": [{"name": "t0", "bridge": "sw1"}],
    "masquerade": [{"source": "10.6.0.0/24", "except_to": "sw1", "to_source": "192.168.1.2"}],
    "published_ports": [{"port": 8080, "to": "[fd05::3]:80", "address": "any", "sources": ["2001:db8:1::/64"]}],
}
SPACES: Document = {
    "namespaces": [
        {
            "name": "g",
            "sysctls": {"net.ipv4.conf.all.rp_filter": 1, "net.ipv4.ip_local_port_range": "20000 30000"},
            "hosts": {"db": "10.0.0.9"},
            "nameservers": ["192.0.2.53"],
        },
        {"name": "h", "forwarding": {"ipv4": True, "ipv6": True}, "hosts": {"db": "10.0.0.9", "web": "10.0.0.8"}},
        {"name": "i"},
    ],
    "sysctls": {"net.ipv4.conf.all.log_martians": 1},
}
OTHER_SPACES: Document = {
    "namespaces": [
        {"name": "g", "sysctls": {"net.ipv4.conf.all.rp_filter": 2}, "hosts": {"db": "10.0.0.7"}},
        {"name": "i", "forwarding": {"ipv6": True}, "nameservers": ["192.0.2.54"]},
        {"name": "j"},
    ],
    "sysctls": {"net.ipv4.conf.all.log_martians": 0, "net.ipv4.conf.all.accept_redirects": 0},
}
TAPS: Document = {
    "bridges": [{"name": "sw0"}, {"name": "sw1"}],
    "namespaces": [{"name": "g"}],
    "taps": [
        {"name": "t0", "bridge": "sw0", "owner": "65534"},
        {"name": "t1", "bridge": "sw1", "mac": "02:00:00:00:00:07"},
        {"name": "t2", "netns": "g", "mtu": 1400},
        {"name": "t3", "up": False},
    ],
}
OTHER_TAPS: Document = {
    "bridges": TAPS["bridges"],
    "taps": [
        {"name": "t0", "bridge": "sw1", "owner": "1"},
        {"name": "t1", "bridge": "sw0", "mtu": 1300},
        {"name": "t4", "bridge": "sw0"},
    ],
}


def _cable(name: str, first: str, second: str, number: int, **more: Any) -> Document:
    ends = [{"addresses": [f"10.{number}.0.{host}/30", f"fd{number}::{host}/64"]} for host in (1, 2)]
    return {"name": name, "netns": first, **ends[0], **more, "peer": {"name": name, "netns": second, **ends[1]}}


VETHS: Document = {
    "namespaces": [{"name": "g"}, {"name": "h"}, {"name": "i"}],
    "veths": [_cable("a", "g", "h", 20), _cable("b", "h", "i", 21), _cable("c", "i", "g", 22, mtu=1400)],
    "routes": [{"netns": "g", "to": "10.21.0.0/30", "via": "10.20.0.2"}],
}
OTHER_VETHS: Document = {
    "namespaces": [{"name": "g"}, {"name": "i"}],
    "veths": [_cable("a", "i", "g", 20, up=False), _cable("c", "i", "g", 23)],
    "routes": [{"netns": "g", "to": "default", "via": "10.23.0.1"}],
}
CABLES: Document = {
    "bridges": [{"name": "sw0", "addresses": ["10.5.0.1/24", "fd05::1/64"]}],
    "containers": [
        {"container": "web", "name": "lan0", "bridge": "sw0", "addresses": ["10.5.0.2/24"], "mac": "02:00:00:00:00:07"},
        {"container": "web", "name": "lan1", "bridge": "sw0", "mtu": 1400},
    ],
    "routes": [{"netns": "container:web", "to": "default", "via": "10.5.0.1"}],
}
OTHER_CABLES: Document = {
    "bridges": [{"name": "sw0", "addresses": ["10.5.0.1/24"]}, {"name": "sw1"}],
    "containers": [
        {"container": "web", "name": "lan0", "bridge": "sw1", "addresses": ["10.5.0.3/24"]},
    ],
}
TREES: Document = {
    "bridges": [{"name": "sw0", "stp": True, "mtu": 1450, "addresses": ["10.5.0.1/24"]}, {"name": "sw1", "stp": True}]
}
OTHER_TREES: Document = {"bridges": [{"name": "sw0", "mtu": 1400}, {"name": "sw1", "stp": True, "up": False}]}
ROUTES: Document = {
    "bridges": [{"name": "sw0", "addresses": ["10.5.0.1/24", "fd05::1/64"]}],
    "routes": [
        {"to": "203.0.113.0/24", "via": "192.168.1.3"},
        {"to": "203.0.114.0/24", "via": "10.5.0.9", "metric": 7},
        {"to": "203.0.115.0/24", "nexthops": [{"via": "10.5.0.8"}, {"via": "10.5.0.9", "weight": 2}]},
        {"to": "10.66.0.0/16", "type": "blackhole", "table": 100},
        {"to": "2001:db8:77::/64", "via": "fd05::9"},
        {"to": "2001:db8:78::/64", "type": "unreachable"},
    ],
}
OTHER_ROUTES: Document = {
    "bridges": [{"name": "sw0", "addresses": ["10.5.0.2/24", "fd05::2/64"]}],
    "routes": [
        {"to": "203.0.113.0/24", "via": "10.5.0.9"},
        {"to": "203.0.114.0/24", "via": "10.5.0.9", "metric": 8},
        {"to": "203.0.115.0/24", "nexthops": [{"via": "10.5.0.8"}, {"via": "10.5.0.7", "weight": 3}]},
        {"to": "10.66.0.0/16", "type": "prohibit", "table": 100},
        {"to": "2001:db8:77::/64", "via": "fd05::8"},
    ],
}
FORWARDING: Document = {"forwarding": {"ipv4": True, "ipv6": True}, "masquerade": [{"source": "10.5.0.0/24"}]}
NO_FORWARDING: Document = {"forwarding": {"ipv4": False, "ipv6": False}}
NIC: Document = {"interfaces": [{"name": "eth0", "addresses": ["192.168.1.77/24", "fd77::1/64"], "mtu": 1440}]}
ANOTHER_NIC: Document = {
    "interfaces": [{"name": "eth1", "addresses": ["192.168.7.99/24", "10.48.0.1/24", "fd48::1/64"]}],
}
OTHER_ADDRESSES: Document = {"interfaces": [{"name": "eth1", "addresses": ["10.49.0.1/24", "fd48::2/64"]}]}
BRIDGE: Document = {"bridges": [{"name": "br0", "addresses": ["10.55.0.1/24", "fd55::1/64"]}]}
BRIDGE_WITH_UPLINK: Document = {"bridges": [{**BRIDGE["bridges"][0], "uplink": "eth0"}]}
BESIDE: Document = {
    "name": "beside",
    "bridges": [{"name": "sw9", "addresses": ["10.90.0.1/24"], "guests": {"among": False}}],
    "taps": [{"name": "t9", "bridge": "sw9"}],
    "masquerade": [{"source": "10.90.0.0/24", "except_to": "sw9"}],
    "published_ports": [{"port": 8090, "to": "10.90.0.2:80", "address": "any"}],
    "sysctls": {"net.ipv4.conf.all.log_martians": 1},
}

TRANSITIONS: Dict[str, Transition] = {
    "everything made": Transition(None, world.FIRST),
    "everything changed": Transition(world.FIRST, world.SECOND),
    "everything removed": Transition(world.FIRST, NOTHING),
    "router made": Transition(None, ROUTER),
    "router changed": Transition(ROUTER, OTHER),
    "router removed": Transition(ROUTER, NOTHING),
    "uplink": Transition(None, UPLINK),
    "uplink back": Transition(UPLINK, NOTHING),
    "uplink and more": Transition(ROUTER, UPLINK_AND_MORE),
    "uplink and more back": Transition(UPLINK_AND_MORE, ROUTER),
    "a bridge gets an uplink": Transition(BRIDGE, BRIDGE_WITH_UPLINK),
    "a bridge loses its uplink": Transition(BRIDGE_WITH_UPLINK, BRIDGE),
    "another NIC's addresses": Transition(None, ANOTHER_NIC),
    "another NIC's other addresses": Transition(ANOTHER_NIC, OTHER_ADDRESSES),
    "guests made": Transition(None, GUESTS),
    "guests changed": Transition(GUESTS, OTHER_GUESTS),
    "guests removed": Transition(OTHER_GUESTS, NOTHING),
    "legacy guests made": Transition(None, GUESTS, backend="legacy"),
    "legacy guests changed": Transition(GUESTS, OTHER_GUESTS, backend="legacy"),
    "legacy guests removed": Transition(GUESTS, NOTHING, backend="legacy"),
    "namespaces made": Transition(None, SPACES),
    "namespaces changed": Transition(SPACES, OTHER_SPACES),
    "namespaces removed": Transition(OTHER_SPACES, NOTHING),
    "taps made": Transition(None, TAPS),
    "taps moved": Transition(TAPS, OTHER_TAPS),
    "veths made": Transition(None, VETHS),
    "veths moved": Transition(VETHS, OTHER_VETHS),
    "cables plugged": Transition(None, CABLES, docker=True),
    "cables changed": Transition(CABLES, OTHER_CABLES, docker=True),
    "cables unplugged": Transition(CABLES, NOTHING, docker=True),
    "spanning trees": Transition(None, TREES),
    "spanning trees changed": Transition(TREES, OTHER_TREES),
    "routes made": Transition(None, ROUTES),
    "routes changed": Transition(ROUTES, OTHER_ROUTES),
    "forwarding": Transition(None, FORWARDING),
    "forwarding off": Transition(FORWARDING, NO_FORWARDING),
    "a NIC's addresses": Transition(ROUTER, NIC, fragment=True),
    "a namespace less": Transition(ROUTER, {"state": "absent", "namespaces": [{"name": "g"}]}, fragment=True),
    "a port more": Transition(
        ROUTER, {"published_ports": [{"port": 8099, "to": "10.5.0.2:99", "address": "any"}]}, fragment=True
    ),
    "beside another": Transition(None, {**ROUTER, **FORWARDING, "sysctls": BESIDE["sysctls"]}, beside=BESIDE),
    "away from beside another": Transition({**GUESTS, "sysctls": BESIDE["sysctls"]}, NOTHING, beside=BESIDE),
}
