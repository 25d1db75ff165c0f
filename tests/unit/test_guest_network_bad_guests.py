# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad guests, their NICs and their published ports get exactly the right message, all at once."""

from __future__ import annotations

from typing import Any, List

import pytest

from ansible_collections.hostwire.linux.tests.unit.guest_networks import (
    ALL,
    DESK,
    NAT,
    OFFICE,
    guest_documents,
    nics,
    problems,
)

NO_ADDRESS = "is not an IPv4 or IPv6 address, like 192.168.15.2 or fd00:15::2; or say any"

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


@pytest.mark.parametrize(("nic", "words"), [bad[1:] for bad in BAD_NICS], ids=[bad[0] for bad in BAD_NICS])
def test_bad_nics(nic: Any, words: List[str]) -> None:
    found = problems(ALL, [{"name": "linux", "nics": [nic]}])
    assert found == [f"guests[0].nics[0].{line}" for line in words]


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
