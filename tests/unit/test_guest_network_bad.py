# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad networks and guests get exactly the right message, all at once, and nothing in them raises anything else."""

from __future__ import annotations

import contextlib
from typing import Any, List

import pytest
from ansible.errors import AnsibleFilterError
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.hostwire.linux.plugins.filter.guests import FilterModule

FILTERS = FilterModule().filters()
guest_documents = FILTERS["guest_documents"]

OFFICE = {"name": "office", "mode": "nat_network"}
NAT = {"name": "nat", "mode": "nat", "subnet": "10.0.9.0/24"}
DESK = {"name": "desk", "mode": "host_only"}
ISO = {"name": "iso", "mode": "internal"}
LAN = {"name": "lan", "mode": "bridged", "uplink": "eth0"}
OWN = {"name": "own", "mode": "routed", "uplink": "eth1", "subnet": "10.30.0.0/24"}
ALL = [OFFICE, NAT, DESK, ISO, LAN, OWN]
MODES = "nat, nat_network, bridged, internal, host_only, routed"
OTHER = "give one of them another subnet"
NO_ADDRESS = "is not an IPv4 or IPv6 address, like 192.168.15.2 or fd00:15::2; or say any"
NAMES = "use at most 10 lower-case letters, digits and -, beginning with a letter or digit"


def problems(networks: Any, guests: Any = None) -> List[str]:
    with pytest.raises(AnsibleFilterError) as raised:
        guest_documents(networks, guests)
    return str(raised.value).removeprefix("guest_documents: ").split("\n")


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

BAD_NICS = [
    ("network mistyped", {"network": "ofice"}, ['network: no network named "ofice"; did you mean "office"?']),
    ("no network", {}, ["network: is missing; say the name of one of the networks"]),
    ("unknown key", {"network": "desk", "adress": 1}, ['adress: unknown key; did you mean "address"?']),
    (
        "outside the subnet",
        {"network": "office", "address": "10.0.3.4/24"},
        ["address: 10.0.3.4 is not in 10.0.2.0/24, the subnet of network office"],
    ),
    (
        "no prefix length",
        {"network": "office", "address": "10.0.2.4"},
        ['address: "10.0.2.4" has no prefix length; say 10.0.2.4/24'],
    ),
    (
        "other prefix length",
        {"network": "office", "address": "10.0.2.4/16"},
        ["address: 10.0.2.4/16 has another prefix length than 10.0.2.0/24; say 10.0.2.4/24"],
    ),
    (
        "the gateway's",
        {"network": "office", "address": "10.0.2.1/24"},
        ["address: 10.0.2.1 is the address of the host's side of network office"],
    ),
    (
        "broadcast",
        {"network": "office", "address": "10.0.2.255/24"},
        ['address: "10.0.2.255/24" is the broadcast address of 10.0.2.0/24, not a host\'s'],
    ),
    (
        "the network's",
        {"network": "office", "address": "10.0.2.0/24"},
        ['address: "10.0.2.0/24" is the address of the network itself, not a host\'s'],
    ),
    (
        "no subnet6",
        {"network": "office", "address6": "fd00:2::4/64"},
        ["address6: network office has no subnet6; give it one"],
    ),
    (
        "nat",
        {"network": "nat", "address": "10.0.9.4/24"},
        ["address: in mode nat every guest has 10.0.9.15/24, behind a router of its own; leave it out"],
    ),
    (
        "nowhere to",
        {"network": "iso", "default_route": True},
        ["default_route: network iso leads nowhere (mode internal); leave it out"],
    ),
    ("gateway known", {"network": "own", "gateway": "10.3.0.1"}, ["gateway: in mode routed it is known; leave it out"]),
    (
        "gateway alone",
        {"network": "lan", "gateway": "192.168.1.1"},
        ["gateway: needs an address beside it; a guest without one asks DHCP, also for its gateway"],
    ),
    (
        "tap",
        {"network": "desk", "tap": "tap0"},
        ["tap: only a vm has a tap, and this is a namespace; leave it out"],
    ),
    *(
        (
            f"ports in {network}",
            {"network": network, "published_ports": [{"port": 80}]},
            [f"published_ports: network {network} is {mode}; only nat and nat_network publish ports"],
        )
        for network, mode in (("desk", "host_only"), ("iso", "internal"), ("lan", "bridged"), ("own", "routed"))
    ),
    (
        "port without address",
        {"network": "office", "published_ports": [{"port": 80}]},
        ["published_ports: lead to an address that stays the same; say the NIC's address"],
    ),
    (
        "bad ports",
        {
            "network": "nat",
            "published_ports": [
                {"port": 0},
                {"port": "80-90", "to_port": "1-3"},
                {"port": "80-90", "to_port": 65530},
                {"port": 80, "address": "everywhere"},
                {},
            ],
        },
        [
            'published_ports[0].port: "0" is out of range; ports go from 1 to 65535',
            "published_ports[1].to_port: is not as many ports as port; say the first one alone",
            "published_ports[2].to_port: 65530 and as many more as port has is past 65535",
            'published_ports[3].address: "everywhere" ' + NO_ADDRESS,
            "published_ports[4].port: is missing; say which port of the host leads to the guest, like 8080",
        ],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("networks", "words"), [bad[1:] for bad in BAD_NETWORKS], ids=[bad[0] for bad in BAD_NETWORKS])
def test_bad_networks(networks: Any, words: List[str]) -> None:
    assert problems(networks) == words


@pytest.mark.parametrize(("nic", "words"), [bad[1:] for bad in BAD_NICS], ids=[bad[0] for bad in BAD_NICS])
def test_bad_nics(nic: Any, words: List[str]) -> None:
    found = problems(ALL, [{"name": "linux", "nics": [nic]}])
    assert found == [f"guests[0].nics[0].{line}" for line in words]


def nics(*found: Any) -> Any:
    return [{"name": f"g{place}", "nics": entries} for place, entries in enumerate(found)]


def test_rules_between_guests() -> None:
    four = {"network": "office", "address": "10.0.2.4/24", "mac": "02:00:00:00:00:01"}
    assert problems(ALL, nics([four], [four])) == [
        "guests[1].nics[0].address: 10.0.2.4 is there already, in guests[0].nics[0].address",
        "guests[1].nics[0].mac: 02:00:00:00:00:01 is there already, in guests[0].nics[0].mac",
    ]
    assert problems(ALL, [*nics([]), *nics([])]) == ['guests[1].name: guest "g0" is there already, in guests[0].name']
    assert problems(ALL, nics([{"network": "desk"}, {"network": "desk"}])) == [
        "guests[0].nics[1].network: g0 is in network desk already, in guests[0].nics[0]"
    ]
    both = [{"network": "nat", "default_route": True}, {"network": "office", "default_route": True}]
    assert problems(ALL, nics(both)) == [
        "guests[0].nics[1].default_route: g0 has a default route already, in guests[0].nics[0]"
    ]
    assert problems(ALL, nics([{"network": "desk", "name": "x"}, {"network": "iso", "name": "x"}])) == [
        'guests[0].nics[1].name: interface "x" is there already, in guests[0].nics[0]'
    ]
    same = [OFFICE, {"name": "nat", "mode": "nat"}]  # both 10.0.2.0/24, which only a guest in both has to choose
    assert guest_documents(same, nics([{"network": "office"}], [{"network": "nat"}]))
    assert problems(same, nics([{"network": "office"}, {"network": "nat"}])) == [
        "guests[0].nics[1].network: 10.0.2.0/24 overlaps 10.0.2.0/24, which g0 has already, in guests[0].nics[0]"
    ]


def test_a_port_of_the_host_leads_to_one_guest() -> None:
    def guests(*ports: Any) -> Any:
        return nics(*([{"network": "nat", "published_ports": [port]}] for port in ports))

    any_range = {"port": "8000-8010", "address": "any"}
    words = "guests[1].nics[0].published_ports[0].port: tcp 8005 is published already, in "
    inside = {"port": 8005, "address": "192.168.1.2"}
    assert problems(ALL, guests(any_range, inside)) == [words + "guests[0].nics[0].published_ports[0].port"]
    assert guest_documents(ALL, guests(any_range, {**inside, "protocol": "udp"}))
    assert guest_documents(ALL, guests(inside, {**inside, "address": "192.168.1.9"}))


@pytest.mark.parametrize(
    ("nic", "port", "words"),
    [
        (
            {"address": "10.0.2.4/24"},
            {"address": "2001:db8::1"},
            "address: IPv6 leads to no IPv4; give the NIC an address6",
        ),
        (
            {"address": "10.0.2.4/24"},
            {"sources": ["fd00::/8"]},
            "sources: IPv6 leads to no IPv4; give the NIC an address6",
        ),
        ({"address6": "fd00:2::4/64"}, {}, "address: IPv4 leads to no IPv6; give the NIC an address"),
        (
            {"address": "10.0.2.4/24", "address6": "fd00:2::4/64"},
            {"address": "192.0.2.1", "sources": ["fd00::/8"]},
            "sources: none of them is of the family of 192.0.2.1, so nobody could use it",
        ),
        ({"address": "10.0.2.4/24"}, {"address": "0.0.0.0"}, "say any for every local address"),
        ({"address6": "fd00:2::4/64"}, {"address": "::1"}, "IPv6 leads nothing away from its loopback"),
    ],
)
def test_a_port_that_would_lead_nowhere_is_told(nic: Any, port: Any, words: str) -> None:
    port = {"port": 80, **({"address": "any"} if "sources" in port else {}), **port}
    office = {**OFFICE, "subnet6": "fd00:2::/64"}
    said = problems([office], nics([{"network": "office", **nic, "published_ports": [port]}]))
    assert len(said) == 1
    assert said[0].startswith("guests[0].nics[0].published_ports[0].")
    assert words in said[0]


def test_names_of_namespaces_and_taps_are_nobody_elses() -> None:
    rooms = [{"name": "one", "nics": [{"network": "nat"}]}, {"name": "nat-one", "nics": [{"network": "desk"}]}]
    assert problems(ALL, rooms) == [
        'guests[0].nics[0]: the namespace of its router would be "nat-one", which is there already, in guests[1].name'
    ]
    taps = [{"name": "one", "kind": "vm", "nics": [{"network": "desk", "tap": "office"}]}]
    assert problems(ALL, taps) == ['guests[0].nics[0].tap: interface "office" is there already, in networks[0].name']


def test_a_server_can_know_its_guests_by_their_names() -> None:
    served = [{**DESK, "dhcp": {"enabled": True}, "dns": {"enabled": True}}]
    named = [{"name": name, "nics": [{"network": "desk"}]} for name in ("web.one", "1h", "Infinite", "web-", "web_1")]
    assert guest_documents([DESK], named)
    assert problems(served, named) == [
        'guests[0].name: "web.one" has a dot, and a guest asks the DHCP server of network desk without one',
        'guests[1].name: "1h" means something else to the DHCP server of network desk',
        'guests[2].name: "Infinite" means something else to the DHCP server of network desk',
        'guests[3].name: "web-" is no name of a host, as the server of network desk needs it',
    ]


def test_to_a_server_capital_letters_are_small_ones() -> None:
    twins = [{"name": name, "nics": [{"network": network} for network in ("nat", "desk")]} for name in ("db", "DB")]
    served = [{**DESK, "dns": {"enabled": True}}, {**NAT, "dns": {"enabled": True}}]  # nat: to each guest a server
    assert guest_documents([DESK, NAT], twins)
    assert problems(served, twins) == ['guests[1].name: "DB" is "db", in guests[0].name, to the server of network desk']


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
        FilterModule().filters()["guest_documents"]([], [], ["one"])
