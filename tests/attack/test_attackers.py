# SPDX-License-Identifier: GPL-3.0-or-later
"""Attackers that can do harm, sensors that see it, and an oracle that says what the promises say."""

from __future__ import annotations

import itertools
from typing import Callable, Dict, List, Set, Tuple

import pytest

from ansible_collections.hostwire.linux.tests.attack import kinds, networks, setups
from ansible_collections.hostwire.linux.tests.attack.frames import Packet
from ansible_collections.hostwire.linux.tests.attack.kinds import plain_kind_of
from ansible_collections.hostwire.linux.tests.attack.oracle import EITHER, NO, YES, may_arrive
from ansible_collections.hostwire.linux.tests.attack.passes import Passes
from ansible_collections.hostwire.linux.tests.attack.places import LAN, WAN, Place
from ansible_collections.hostwire.linux.tests.attack.setups import Setup
from ansible_collections.hostwire.linux.tests.attack.ways import HOST_ADDRESS, Scene, Target, Way

OPEN = Setup("nft", 0, "ACCEPT", 0, True, setups.DOCKER, False, "everything", False)
BOTH = {(protocol, family) for protocol in ("udp", "tcp") for family in (4, 6)}
OVER_IPV4 = {("udp", 4), ("tcp", 4)}  # nothing is published at ::1, and Docker's network here has no IPv6
HARM: Dict[str, Set[Tuple[str, int]]] = {
    kinds.LOOPBACK_PORT: OVER_IPV4,
    kinds.FORGED_NETWORK: BOTH,
    kinds.FORGED_BY_GUEST: BOTH,
    kinds.HIDDEN_GUEST: BOTH,
    kinds.BETWEEN: BOTH,
    kinds.FOREIGN_GUEST: OVER_IPV4,
    kinds.FOREIGN_TO_GUEST: OVER_IPV4,
    kinds.ALLOWED_SOURCES: BOTH,
    kinds.WAY_OUT: BOTH,
    kinds.HOSTS_INNER_ADDRESS: BOTH,
}


@pytest.mark.parametrize("backend", setups.DIMENSIONS["backend"])
def test_where_nothing_is_kept_away_each_kind_of_attack_arrives(
    backend: str, unguarded: Callable[[Setup], Passes]
) -> None:
    """Else an attacker is broken, and what he doesn't achieve says nothing of a filter."""
    passes = unguarded(OPEN._replace(backend=backend))
    dummy, tried = passes.all_ways()
    arrived: Dict[str, Set[Tuple[str, int]]] = {}
    for each in tried:
        for arrival in each.arrivals:
            if may_arrive(passes.scene, each.way, arrival.place) == NO:
                kind = plain_kind_of(passes.scene, each.way, arrival.place)
                family = 6 if ":" in each.way.target.address else 4
                arrived.setdefault(kind, set()).add((each.way.protocol, family))
    assert {kind: HARM[kind] - arrived.get(kind, set()) for kind in HARM} == {kind: set() for kind in HARM}


def test_where_nothing_is_kept_away_who_passes_the_host_by_passes(unguarded: Callable[[Setup], Passes]) -> None:
    passes = unguarded(OPEN._replace(documents="forwarding", company=setups.NOBODY, forwarded=False))
    dummy, tried = passes.all_ways()
    ways = [each.way for each in tried if any(arrival.place != each.way.sender for arrival in each.arrivals)]
    found = {
        (way.protocol, 6 if ":" in way.source else 4)
        for way in ways
        if plain_kind_of(passes.scene, way, way.target.place) == kinds.TRANSIT
        and may_arrive(passes.scene, way, way.target.place) == NO
    }
    assert found == BOTH


def test_where_nothing_is_kept_away_an_attack_in_two_steps_arrives(two_steps_only: Callable[[Setup], Passes]) -> None:
    """By a filter that lets in nothing but what is established."""
    passes = two_steps_only(OPEN)
    outcome = passes.two_steps()
    words = {(finding.way.split(" by ")[1][:3], ":" in finding.way.split()[2]) for finding in outcome.unwanted}
    assert words == set(itertools.product(("udp", "tcp"), (False, True)))


def test_a_sensor_that_sees_nothing_is_noticed(unguarded: Callable[[Setup], Passes]) -> None:
    passes = unguarded(OPEN._replace(documents="one", company=setups.NOBODY))
    passes.blind("one.a")
    with pytest.raises(AssertionError, match=r"blind sensors: \['one.a'\]"):
        passes.go([])


def test_every_two_values_that_can_go_together_do_so_in_the_sample() -> None:
    pairs = [set(setups.pairs(setup)) for setup in setups.every()]
    assert set().union(*(set(setups.pairs(setup)) for setup in setups.sample())) == set().union(*pairs)
    assert setups.sample() == setups.sample()


def _scene(**values: object) -> Scene:
    setup = OPEN._replace(company=setups.NOBODY, **values)
    found = {
        "lan": Place("lan", "lan", "eth0", "lan", None, "eth0", LAN),
        "wan": Place("wan", "wan", "eth0", "wan", None, "eth9", WAN),
    }
    for network in networks.ALL:
        for number, guest in enumerate(network.guests, 2):
            addresses = {family: network.address(family, number) for family in (4, 6)}
            found[guest] = Place(guest, guest, "eth0", network.kind, network, network.name, addresses)
    return Scene(setup, networks.ALL, found)


ANY = networks.PORTS[1]
ONE, TWO = "10.1.0.2", "10.2.0.2"
SAID: List[Tuple[str, str, str, int, str, str]] = [  # sender, source, to, port, arrives at, verdict
    ("lan", LAN[4], "127.0.0.1", 5001, "one.a", NO),
    ("lan", "127.0.0.1", HOST_ADDRESS[4], 7001, "host", NO),
    ("lan", ONE, HOST_ADDRESS[4], 7001, "host", NO),
    ("one.a", TWO, LAN[4], 7777, "lan", NO),
    ("one.a", "198.51.100.7", LAN[4], 7777, "lan", NO),
    ("one.a", ONE, LAN[4], 7777, "lan", YES),
    ("one.a", ONE, "10.1.0.1", 7001, "host", YES),
    ("one.a", ONE, TWO, 7777, "two.a", NO),
    ("two.a", TWO, HOST_ADDRESS[4], 5002, "one.a", YES),
    ("lan", LAN[4], ONE, 7777, "one.a", NO),
    ("lan", LAN[4], ONE, 81, "one.a", NO),
    ("lan", LAN[4], HOST_ADDRESS[4], 5002, "one.a", YES),
    ("lan", LAN[4], HOST_ADDRESS[4], 5003, "one.a", YES),
    ("wan", LAN[4], HOST_ADDRESS[4], 5003, "one.a", NO),
    ("lan", LAN[4], "10.5.0.2", 7777, "branch.a", YES),
    ("wan", WAN[4], "10.5.0.2", 7777, "branch.a", NO),
    ("branch.a", "10.5.0.2", ONE, 7777, "one.a", NO),
    ("branch.a", "10.5.0.2", LAN[4], 7777, "lan", YES),
    ("desk.a", "10.3.0.2", LAN[4], 7777, "lan", NO),
    ("desk.a", "10.3.0.2", "10.3.0.1", 7001, "host", YES),
    ("lab.a", "10.4.0.2", HOST_ADDRESS[4], 7001, "host", NO),
    ("host", "127.0.0.1", "127.0.0.1", 5001, "one.a", YES),
    ("host", "10.1.0.1", ONE, 7777, "one.a", YES),
    ("host", "10.2.0.1", TWO, 7777, "two.a", NO),
    ("lan", "198.51.100.7", HOST_ADDRESS[4], 7001, "host", EITHER),
]


@pytest.mark.parametrize("said", SAID, ids=lambda said: f"{said[0]}-{said[1]}-{said[2]}-{said[3]}")
def test_the_oracle_says(said: Tuple[str, str, str, int, str, str]) -> None:
    sender, source, to, number, at, verdict = said
    port = next((port for port in networks.PORTS if port.number == number), None)
    way = Way(sender, source, Target(to, number, at, port), "udp")
    assert may_arrive(_scene(), way, at) == verdict


def test_who_forwards_already_goes_on_and_who_is_made_to_forward_lets_nobody_through() -> None:
    way = Way("wan", WAN[4], Target(LAN[4], 7777, "lan"), "udp")
    assert may_arrive(_scene(forwarded=True), way, "lan") == YES
    assert may_arrive(_scene(forwarded=True, policy="DROP"), way, "lan") == NO
    assert may_arrive(_scene(forwarded=False), way, "lan") == NO


def test_a_packet_is_read_as_it_was_written() -> None:
    from ansible_collections.hostwire.linux.tests.attack import frames

    for source, to in (("10.1.0.2", "10.2.0.2"), ("fd00:1::2", "fd00:2::2")):
        for protocol in ("udp", "tcp"):
            packet = Packet(source, to, 1024, 80, protocol, 12345)
            assert frames.parsed(frames.datagram(packet)) == packet
            assert frames.parsed(b"\x45" + bytes(27) + frames.datagram(packet)) is None
