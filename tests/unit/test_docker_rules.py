# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of Docker engines: recognised, foretold, and their damage named."""

from __future__ import annotations

import copy

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.rules import Asked, read
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.rules.damage import damage
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.rules.expected import Options, expected
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.rules.layout import of_version, recognise
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.rules.listing import Listing
from ansible_collections.hostwire.linux.plugins.module_utils.firewall.tables import Ruleset
from ansible_collections.hostwire.linux.tests.unit.docker_recordings import (
    RECORDINGS,
    one_container,
    recording,
    written,
)

BY_HAND = {
    "27.5": ("27.5.1", "20.10-27.5"),
    "28.0.0": ("28.0.0", "28.0.0"),
    "28.1": ("28.1.1", "28.0.1-28.1"),
    "28.2": ("28.2.2", "28.2"),
    "28.3": ("28.3.0", "28.3-28.5"),
    "29": ("29.0.0", "29"),
}
LIVE = {"20.10": "20.10-27.5", "26.1": "20.10-27.5", "28.5": "28.3-28.5"}


def as_sets(ruleset: Ruleset) -> dict[tuple[str, str], set[str]]:
    return {(table, chain): set(lines) for table, chains in ruleset.items() for chain, lines in chains.items()}


@pytest.mark.parametrize("name", RECORDINGS)
def test_what_is_expected_is_what_the_engine_wrote(name: str) -> None:
    engine, options, listing = recording(name)
    for family, ruleset in expected(engine, options).items():
        wanted, standing = as_sets(ruleset), as_sets(listing.rulesets[family])
        assert sum(map(len, wanted.values())) > 20
        assert wanted.items() <= standing.items()
        assert not {place: lines for place, lines in standing.items() if lines and place not in wanted}


@pytest.mark.parametrize("name", RECORDINGS)
def test_nothing_is_wrong_with_what_the_engine_wrote(name: str) -> None:
    engine, options, listing = recording(name)
    reading = read(engine, Asked(options.userland_proxy, ip6tables=options.ip6tables), listing)
    assert reading.damage == ()
    assert reading.layout.name == recognise(listing.rulesets).name == LIVE[name.partition("-")[0]]
    # What the options are can be told by the rules, too.
    assert read(engine, listing=listing).expected == reading.expected


@pytest.mark.parametrize(("name", "version", "layout"), [(name, *told) for name, told in BY_HAND.items()])
def test_layouts_by_their_listings(name: str, version: str, layout: str) -> None:
    ruleset = written(name)
    assert recognise({4: ruleset, 6: {}}).name == of_version(one_container(version).release).name == layout
    engine = one_container(version)
    reading = read(engine, Asked(ip6tables=False), Listing("nft", {4: ruleset, 6: {}}))
    assert (reading.layout.name, reading.layout.families, reading.damage) == (layout, (4,), ())
    assert as_sets(reading.expected[4]).items() <= as_sets(ruleset).items()


def test_native_nftables_and_nothing_at_all() -> None:
    engine = one_container("29.0.0")._replace(firewall="nftables")
    found = read(engine, listing=Listing("nft", {4: {}, 6: {}}, ("ip docker-bridges", "ip6 docker-bridges")))
    assert (found.layout.name, found.backend, found.layout.families, found.damage) == (
        "29-nftables",
        "nftables",
        (4, 6),
        (),
    )
    gone = read(engine, listing=Listing("nft", {4: {}, 6: {}}))
    assert [(one.kind, one.repairable) for one in gone.damage] == [("missing-chain", False)]
    assert recognise({4: {}, 6: {}}).name == "none"


def flushed(ruleset: Ruleset) -> Ruleset:
    return {table: {chain: [] for chain in chains} for table, chains in ruleset.items()}


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_flush_takes_everything(name: str) -> None:
    engine, options, listing = recording(name)
    empty = listing._replace(rulesets={family: flushed(rules) for family, rules in listing.rulesets.items()})
    found = read(engine, Asked(options.userland_proxy, ip6tables=options.ip6tables), empty).damage
    wanted = expected(engine, options)
    lines = sum(len(chain) for ruleset in wanted.values() for chains in ruleset.values() for chain in chains.values())
    assert len(found) == lines
    assert {"missing-jump", "missing-port", "missing-masquerade"} <= {one.kind for one in found}
    assert all(one.repairable for one in found)
    assert read(engine, Asked(False), Listing("nft", {4: {}, 6: {}})).damage[0].kind == "missing-chain"


def kinds(version: str, change: str, place: int, *, remove: str = "") -> list[tuple[str, str]]:
    """What is wrong once a line is added to its chain in the listing by hand (or another is removed)."""
    ruleset = copy.deepcopy(written(version))
    table = "nat" if "MASQUERADE" in change else "filter"
    if remove:
        for chains in ruleset.values():
            for lines in chains.values():
                lines[:] = [line for line in lines if remove not in line]
    if change:
        ruleset[table][change.split(" ")[1]].insert(place, change)
    engine = one_container(BY_HAND[version][0])
    found = damage(expected(engine, Options(ip6tables=False)), {4: ruleset}, of_version(engine.release), engine)
    return [(one.kind, one.rule) for one in found]


def test_each_kind_of_damage() -> None:
    stale = "-A POSTROUTING -s 172.30.0.0/16 ! -o br-0123456789ab -j MASQUERADE"
    assert kinds("28.3", stale, 0) == [("stale-masquerade", stale)]
    assert kinds("28.3", "-A POSTROUTING -s 10.0.0.0/8 ! -o eth0 -j MASQUERADE", 0) == []
    twice = "-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE"
    assert kinds("28.3", twice, 0) == [("duplicate", twice)]
    port = "-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT"
    assert kinds("28.3", port, 2, remove=port) == [("wrong-order", port)]
    assert kinds("28.3", "", 0, remove=port) == [("missing-port", port)]
    user = "-A FORWARD -j DOCKER-USER"
    assert kinds("28.3", user, 1, remove=user) == [("wrong-order", user)]
    assert kinds("27.5", user, 6, remove=user) == [("wrong-order", user)]
    assert kinds("28.3", "", 0, remove="-A PREROUTING -m") == [
        ("missing-jump", "-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER")
    ]
    masquerade = "-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE"
    assert kinds("29", "", 0, remove=masquerade) == [("missing-masquerade", masquerade)]
