# SPDX-License-Identifier: GPL-3.0-or-later
"""Subnets by arithmetic: each host its own, the same when hosts come and go, and every overlap found."""

from __future__ import annotations

import ipaddress
import itertools
from typing import Any, Dict, List, Union

import pytest
from ansible.errors import AnsibleFilterError
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.hostwire.linux.plugins.filter.subnets import FilterModule

FILTERS = FilterModule().filters()
bridge_address = FILTERS["bridge_address"]
bridge_addresses = FILTERS["bridge_addresses"]
address_pools = FILTERS["address_pools"]
subnet_overlaps = FILTERS["subnet_overlaps"]

Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]
NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,11}", fullmatch=True)
IPV4 = st.builds(
    lambda address, length: str(ipaddress.ip_network((address, length), strict=False)),
    st.integers(0x0A000000, 0x0A0FFFFF),
    st.integers(12, 32),
)
IPV6 = st.builds(
    lambda address, length: str(ipaddress.ip_network((address, length), strict=False)),
    st.integers(0xFD << 120, (0xFD << 120) + (1 << 70)),
    st.integers(56, 128),
)


def network(address: str) -> Network:
    return ipaddress.ip_interface(address).network


@pytest.mark.parametrize(
    ("supernet", "prefix", "index", "avoid", "expected"),
    [
        ("10.200.0.0/16", 24, 0, [], "10.200.0.1/24"),
        ("10.200.0.0/16", 24, 3, [], "10.200.3.1/24"),
        ("10.200.0.0/16", 24, "255", [], "10.200.255.1/24"),
        ("10.200.0.0/16", 20, 1, [], "10.200.16.1/20"),
        ("10.200.0.0/16", 24, 0, ["10.200.0.0/20"], "10.200.16.1/24"),
        ("10.200.0.0/16", 24, 2, ["10.200.1.128/25", "10.0.0.0/24", "10.200.3.7"], "10.200.4.1/24"),
        ("10.200.0.0/24", 24, 0, [], "10.200.0.1/24"),
        ("fd00:d0c::/48", 64, 10, [], "fd00:d0c:0:a::1/64"),
        ("fd00::/8", 64, 2**56 - 1, [], "fdff:ffff:ffff:ffff::1/64"),
    ],
)
def test_the_nth_bridge_address(supernet: str, prefix: int, index: Any, avoid: List[str], expected: str) -> None:
    assert bridge_address(supernet, prefix, index, avoid) == expected


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("10.200.0.1/16", 24, 0), "supernet: '10.200.0.1/16' is no network; 10.200.0.0/16 would be"),
        (("10.200.0.0", 24, 0), "supernet: '10.200.0.0' is no network"),
        (("office", 24, 0), "supernet: 'office' is no address or subnet"),
        ((7, 24, 0), "supernet: 7 is no address or subnet"),
        (("10.200.0.0/16", 8, 0), "prefix: /8 can't be cut out of 10.200.0.0/16; from /16 to /30 can"),
        (("10.200.0.0/16", 31, 0), "prefix: /31 can't be cut"),
        (("10.200.0.0/32", 32, 0), "supernet: 10.200.0.0/32 is too small"),
        (("10.200.0.0/16", "wide", 0), "prefix: 'wide' is no whole number"),
        (("10.200.0.0/16", 24, 256), "index: 256 is past the end: 10.200.0.0/16 has 256 subnets of /24"),
        (("10.200.0.0/16", 24, -1), "index: -1 is no whole number"),
        (("10.200.0.0/16", 24, 0, ["here"]), "avoid[0]: 'here' is no address"),
        (("10.200.0.0/16", 24, 0, "10.200.0.0/24"), "avoid: '10.200.0.0/24' is no list"),
    ],
)
def test_an_error_names_the_argument_and_what_would_be_right(arguments: Any, words: str) -> None:
    with pytest.raises(AnsibleFilterError, match=r"^bridge_address: ") as caught:
        bridge_address(*arguments)
    assert words in str(caught.value)


@given(st.sets(NAMES, max_size=60), st.lists(IPV4, max_size=6))
def test_no_two_hosts_share_and_all_keep_clear(hosts: set[str], avoid: List[str]) -> None:
    given_out = bridge_addresses("10.0.0.0/8", 24, sorted(hosts), avoid=avoid)
    networks = {host: network(address) for host, address in given_out.items()}
    assert set(given_out) == hosts
    assert len(set(networks.values())) == len(hosts)
    for host, its in networks.items():
        assert its.subnet_of(ipaddress.ip_network("10.0.0.0/8"))  # type: ignore[arg-type]
        assert its.prefixlen == 24
        assert ipaddress.ip_interface(given_out[host]).ip == its.network_address + 1
        assert not any(its.overlaps(ipaddress.ip_network(other)) for other in avoid)


@given(st.sets(NAMES, min_size=1, max_size=80), st.data())
def test_hosts_that_come_and_go_change_nobody_elses_subnet(hosts: set[str], data: st.DataObject) -> None:
    before = bridge_addresses("10.200.0.0/16", 24, sorted(hosts))
    gone = data.draw(st.sets(st.sampled_from(sorted(hosts)), max_size=20))
    come = data.draw(st.sets(NAMES, max_size=20))
    after = bridge_addresses("10.200.0.0/16", 24, sorted((hosts - gone) | come), recorded=before)
    assert {host: after[host] for host in hosts - gone} == {host: before[host] for host in hosts - gone}
    assert len(set(after.values())) == len(after)
    back = bridge_addresses("10.200.0.0/16", 24, sorted(hosts), recorded={**before, **after})
    assert back == before


def test_the_order_of_the_list_does_not_matter() -> None:
    hosts = [f"web{number}" for number in range(200)]
    there = bridge_addresses("10.200.0.0/16", 24, hosts)
    assert there == bridge_addresses("10.200.0.0/16", 24, hosts[::-1])
    assert len(set(there.values())) == 200


def test_the_subnet_comes_from_the_name() -> None:
    # Spelt out, so that a change of the computation, which would move every fleet, doesn't pass unnoticed.
    assert bridge_addresses("10.200.0.0/16", 24, ["rack1", "rack2"]) == {
        "rack1": "10.200.221.1/24",
        "rack2": "10.200.63.1/24",
    }
    assert bridge_addresses("fd00::/48", 64, ["rack1"]) == {"rack1": "fd00:0:0:39dd::1/64"}


def test_the_last_subnet_is_given_too() -> None:
    hosts = [f"h{number}" for number in range(256)]
    assert len(set(bridge_addresses("10.200.0.0/16", 24, hosts).values())) == 256
    with pytest.raises(AnsibleFilterError, match=r"hosts: 257 still need a subnet, but .* has only 256 of /24 left"):
        bridge_addresses("10.200.0.0/16", 24, [*hosts, "more"])


@pytest.mark.parametrize(
    ("recorded", "kept"),
    [
        ({"a": "10.200.9.1/24"}, True),
        ({"a": "10.200.9.0/24"}, True),
        ({"a": "10.201.9.1/24"}, False),  # outside
        ({"a": "10.200.9.1/25"}, False),  # another size
        ({"a": "10.200.3.1/24"}, False),  # to be avoided
        ({"a": "fd00::1/64"}, False),
    ],
)
def test_a_record_is_kept_while_it_fits(recorded: Dict[str, str], kept: bool) -> None:
    address = bridge_addresses("10.200.0.0/16", 24, ["a"], recorded=recorded, avoid=["10.200.3.0/24"])["a"]
    assert (network(address) == network(recorded["a"])) is kept


def test_two_hosts_with_one_record_are_named() -> None:
    with pytest.raises(AnsibleFilterError, match=r"recorded: a and b both have 10.200.9.0/24"):
        bridge_addresses("10.200.0.0/16", 24, ["a"], recorded={"a": "10.200.9.1/24", "b": "10.200.9.1/24"})


def test_pools() -> None:
    hosts = ["a", "b", "c"]
    pools = address_pools("10.208.0.0/12", 20, hosts, 24)
    bases = {host: ipaddress.ip_network(pool[0]["base"]) for host, pool in pools.items()}
    assert len(set(bases.values())) == 3
    assert all(base.prefixlen == 20 for base in bases.values())
    assert all(pool[0]["size"] == 24 for pool in pools.values())
    assert address_pools("10.208.0.0/12", 20, [*hosts, "d"], 24, recorded=pools).items() >= pools.items()
    with pytest.raises(AnsibleFilterError, match=r"size: networks of /16 don't fit into a pool of /20"):
        address_pools("10.208.0.0/12", 20, hosts, 16)


@given(st.lists(st.tuples(NAMES, st.one_of(IPV4, IPV6)), max_size=25), st.booleans())
def test_every_overlap_is_found_and_nothing_else(entries: List[tuple[str, str]], two_lists: bool) -> None:
    listed = [{"name": name, "subnet": subnet} for name, subnet in entries]
    half = len(listed) // 2
    found = subnet_overlaps(listed[:half], listed[half:]) if two_lists else subnet_overlaps(listed)
    expected = []
    for (place, a), (other, b) in itertools.combinations(enumerate(listed), 2):
        nets = ipaddress.ip_network(a["subnet"]), ipaddress.ip_network(b["subnet"])
        across = place < half <= other or not two_lists
        if across and a["name"] != b["name"] and nets[0].version == nets[1].version and nets[0].overlaps(nets[1]):
            shared = max(nets, key=lambda net: net.prefixlen)
            expected.append((a["name"], b["name"], a["subnet"], b["subnet"], str(shared)))
    keys = ("a", "b", "subnet_a", "subnet_b", "subnet")
    assert [tuple(pair[key] for key in keys) for pair in found] == expected


def test_subnets_may_be_named_in_three_ways() -> None:
    pair = {"subnet_a": "172.17.0.0/16", "subnet_b": "172.16.0.0/12", "subnet": "172.17.0.0/16"}
    taken = [{"name": "office", "subnet": "172.16.0.0/12"}]
    assert subnet_overlaps({"web1": ["10.0.0.0/24", "172.17.0.0/16"]}, taken) == [{"a": "web1", "b": "office", **pair}]
    assert subnet_overlaps(["172.17.0.0/16"], {"office": "172.16.0.0/12"}) == [
        {"a": "172.17.0.0/16", "b": "office", **pair}
    ]
    for wrong, words in [
        ("10.0.0.0/8", "subnets: '10.0.0.0/8' is no list"),
        ([{"name": "x"}], "subnets[0]: {'name': 'x'} is neither"),
        ({"web1": ["x"]}, "subnet of web1: 'x' is no address"),
        ({"web1": None}, "subnets.web1: None is no list"),
    ]:
        with pytest.raises(AnsibleFilterError) as caught:
            subnet_overlaps(wrong)
        assert words in str(caught.value)
