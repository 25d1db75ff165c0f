# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad networks get exactly the right message, all at once, and nothing in them raises anything else."""

from __future__ import annotations

import contextlib
from typing import Any, List

import pytest
from ansible.errors import AnsibleFilterError
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.hostwire.linux.tests.unit.guest_networks import (
    DESK,
    FILTERS,
    ISO,
    LAN,
    NAT,
    OFFICE,
    OWN,
    guest_documents,
    nics,
    problems,
)

MODES = "nat, nat_network, bridged, internal, host_only, routed"
OTHER = "give one of them another subnet"
NAMES = "use at most 10 lower-case letters, digits and -, beginning with a letter or digit"


BAD_NETWORKS = [
    ("not a list", {"name": "x"}, ["networks: a mapping is not a list; say one entry per line, each with a dash"]),
    ("no name", [{"mode": "nat"}], ["networks[0].name: is missing; say the network's name, like office"]),
    (
        "long name",
        [{**OFFICE, "name": "development"}],
        [f'networks[0].name: "development" is no name for a network; {NAMES}'],
    ),
    ("capitals", [{**OFFICE, "name": "Office"}], [f'networks[0].name: "Office" is no name for a network; {NAMES}']),
    ("lo", [{**OFFICE, "name": "lo"}], ['networks[0].name: "lo" is reserved; choose another name']),
    (
        "the document of namespaces",
        [{**OFFICE, "name": "namespaces"}],
        ['networks[0].name: "namespaces" is reserved; choose another name'],
    ),
    (
        "no mode",
        [{"name": "x"}],
        [f"networks[0].mode: is missing; say one of {MODES}"],
    ),
    (
        "mode mistyped",
        [{"name": "x", "mode": "natt"}],
        [f'networks[0].mode: "natt" is none of {MODES}; did you mean "nat"?'],
    ),
    ("unknown key", [{**OFFICE, "subnets": 1}], ['networks[0].subnets: unknown key; did you mean "subnet"?']),
    (
        "twice",
        [OFFICE, {**DESK, "name": "office"}],
        ['networks[1].name: network "office" is there already, in networks[0].name'],
    ),
    (
        "host bits",
        [{**OFFICE, "subnet": "10.0.2.1/24"}],
        ['networks[0].subnet: "10.0.2.1/24" has host bits set; say 10.0.2.0/24, or 10.0.2.1/32 for one host'],
    ),
    (
        "too small",
        [{**OFFICE, "subnet": "10.0.2.0/31"}],
        ["networks[0].subnet: 10.0.2.0/31 is too small; /30 is the smallest that has room for what is in it"],
    ),
    (
        "too small for .15",
        [{**NAT, "subnet": "10.0.2.0/28"}],
        ["networks[0].subnet: 10.0.2.0/28 is too small; /27 is the smallest that has room for what is in it"],
    ),
    (
        "other family",
        [{**OFFICE, "subnet": "fd00::/64"}],
        ["networks[0].subnet: fd00::/64 is not IPv4; that is subnet6"],
    ),
    (
        "overlap",
        [OFFICE, {**DESK, "subnet": "10.0.0.0/16"}],
        [f"networks[1].subnet: 10.0.0.0/16 overlaps 10.0.2.0/24, in networks[0].subnet; {OTHER}"],
    ),
    (
        "two nat networks with the same addresses between routers",
        [NAT, {**NAT, "name": "nat2"}],
        [f"networks[1].transfer: 100.64.0.0/24 overlaps 100.64.0.0/24, in networks[0].transfer; {OTHER}"],
    ),
    (
        "transfer is the guests' own",
        [{**NAT, "transfer": "10.0.9.0/25"}],
        ["networks[0].transfer: 10.0.9.0/25 overlaps 10.0.9.0/24, the subnet of the guests"],
    ),
    (
        "transfer elsewhere",
        [{**OFFICE, "transfer": "100.64.0.0/24"}],
        ["networks[0].transfer: only mode nat has routers, and this is nat_network; leave it out"],
    ),
    (
        "no uplink",
        [{"name": "lan", "mode": "bridged"}, {"name": "own", "mode": "routed"}],
        [
            "networks[0].uplink: is missing; say the host's network card that goes into the switch, like eth0",
            "networks[1].uplink: is missing; say the interface towards the LAN, like eth0",
            "networks[1].subnet: is missing; say the network that the LAN routes to this host, like 10.30.0.0/24",
        ],
    ),
    (
        "uplink elsewhere",
        [{**DESK, "uplink": "eth0"}],
        ["networks[0].uplink: a network in mode host_only has none; leave it out, or say mode: bridged or routed"],
    ),
    (
        "uplink of two",
        [LAN, {**LAN, "name": "lan2"}],
        ["networks[1].uplink: eth0 is in network lan already, in networks[0].uplink"],
    ),
    (
        "uplink bridged and routed",
        [{**OWN, "uplink": "eth0"}, LAN],
        ["networks[0].uplink: eth0 goes into network lan; say uplink: lan"],
    ),
    (
        "host_access elsewhere",
        [{**OFFICE, "host_access": False}],
        ["networks[0].host_access: only mode nat has it, and this is nat_network; leave it out"],
    ),
    (
        "bridged has the LAN's",
        [{**LAN, "subnet": "192.168.1.0/24", "dhcp": {"enabled": True}, "dns": {"enabled": "yes"}}],
        [
            "networks[0].subnet: a bridged network has the LAN's; leave it out",
            "networks[0].dhcp.enabled: a bridged network has the LAN's DHCP server; leave it out",
            "networks[0].dns.enabled: a bridged network has the LAN's DNS server; leave it out",
        ],
    ),
    (
        "range",
        [
            {**DESK, "name": f"n{place}", "subnet": f"10.1.{place}.0/24", "dhcp": {"enabled": True, "range": text}}
            for place, text in enumerate(
                ("10.1.0.9", "10.1.9.3-10.1.9.9", "10.1.2.9-10.1.2.3", "10.1.3.1-10.1.3.9", "10.1.4.3-10.1.4.255")
            )
        ],
        [
            'networks[0].dhcp.range: "10.1.0.9" is no range; say it like 10.0.2.100-10.0.2.200',
            "networks[1].dhcp.range: 10.1.9.3 is not in 10.1.1.0/24",
            'networks[2].dhcp.range: "10.1.2.9-10.1.2.3" runs backwards; say 10.1.2.3-10.1.2.9',
            "networks[3].dhcp.range: 10.1.3.1 in it is the server's own; begin with 10.1.3.2",
            "networks[4].dhcp.range: the first and the last address of 10.1.4.0/24 are no guest's",
        ],
    ),
    (
        "slaac",
        [{**OFFICE, "subnet6": "fd00:2::/80", "dhcp": {"enabled": True, "range6": "slaac"}}],
        ["networks[0].dhcp.range6: slaac needs a /64 (RFC 4862), and subnet6 is fd00:2::/80"],
    ),
    (
        "lease time",
        [{**OFFICE, "dhcp": {"lease_time": "an hour"}}],
        ['networks[0].dhcp.lease_time: "an hour" is no time; say it like 1h, 30m, 3600 (seconds) or infinite'],
    ),
    (
        "mtu",
        [{**OFFICE, "subnet6": "fd00:2::/64", "mtu": 1200}],
        ["networks[0].mtu: 1200 is under 1280, the least that IPv6 works with"],
    ),
    (
        "domain",
        [{**OFFICE, "dns": {"domain": "office..test"}}],
        ['networks[0].dns.domain: "office..test" is no domain; say one like office.test'],
    ),
    (
        "rebind_ok",
        [{**OFFICE, "dns": {"rebind_ok": ["lan", "a/b", "lan", 7]}}],
        [
            'networks[0].dns.rebind_ok[1]: "a/b" is no domain; say one like corp.example.com',
            "networks[0].dns.rebind_ok[2]: lan is there twice",
            "networks[0].dns.rebind_ok[3]: 7 is not text; say it like [corp.example.com]",
        ],
    ),
    (
        "internal upstream",
        [{**ISO, "dns": {"enabled": True, "upstream": ["192.168.1.1"]}}],
        ["networks[0].dns.upstream: an internal network leads to no other server; leave it out"],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("networks", "words"), [bad[1:] for bad in BAD_NETWORKS], ids=[bad[0] for bad in BAD_NETWORKS])
def test_bad_networks(networks: Any, words: List[str]) -> None:
    assert problems(networks) == words


def test_a_network_of_routers_has_room_for_each() -> None:
    small = [{**NAT, "transfer": "100.64.0.0/30"}]
    assert guest_documents(small, nics([{"network": "nat"}]))
    assert problems(small, nics([{"network": "nat"}], [{"network": "nat"}])) == [
        "networks[0].transfer: 100.64.0.0/30 has no room for the host and 2 routers; make it larger"
    ]


def test_everything_wrong_is_said_at_once() -> None:
    found = problems([{**OFFICE, "subnet": "10.0.2.0"}, {**DESK, "mtu": 5}], None)
    assert [line.split(":")[0] for line in found] == ["networks[0].subnet", "networks[1].mtu"]


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=8), st.binary(max_size=3),
    st.sampled_from(["10.0.2.0/24", "10.0.2.4/24", "fd00::/64", "nat", "office", "any", "slaac", "absent", "1-2"]),
)  # fmt: skip
KEYS = st.text(max_size=4) | st.sampled_from(
    ["enabled", "range", "range6", "port", "to_port", "upstream", "domain", "rebind_ok"]
)
GARBAGE = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=4
)
NETWORK_KEYS = [
    "state", "subnet", "subnet6", "uplink", "transfer", "transfer6", "dhcp", "dns", "mtu", "host_access",
]  # fmt: skip
NIC_KEYS = [
    "network", "address", "address6", "mac", "name", "default_route", "gateway", "gateway6", "tap", "published_ports",
]  # fmt: skip
MODE = st.sampled_from(["nat", "nat_network", "bridged", "internal", "host_only", "routed"])


@given(
    st.dictionaries(st.sampled_from(NETWORK_KEYS), GARBAGE), MODE, st.dictionaries(st.sampled_from(NIC_KEYS), GARBAGE)
)
def test_whatever_is_given_the_answer_is_documents_or_one_error(network: Any, mode: str, nic: Any) -> None:
    networks = [{**network, "name": "office", "mode": mode}, network]
    for which in (networks[:1], networks):
        for guests in (None, nic, [{"name": "linux", "nics": [{**nic, "network": "office"}, nic]}]):
            for work in FILTERS.values():
                with contextlib.suppress(AnsibleFilterError):
                    assert isinstance(work(which, guests), list)


def test_documents_of_the_host_that_are_no_dictionary_are_told() -> None:
    with pytest.raises(AnsibleFilterError, match="there: is not a dictionary of documents by name"):
        guest_documents([], [], ["one"])
