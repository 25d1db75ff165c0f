# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is told what after a change: all who may have known something, and nobody in a network that is new altogether."""

from __future__ import annotations

from typing import Dict, Optional, Sequence, Set

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils.announce import (
    Held,
    said_by_the_kernel,
    unsaid_by_the_kernel,
)
from ansible_collections.hostwire.linux.plugins.module_utils.apply.announcing import News, news_of, touched_by
from ansible_collections.hostwire.linux.plugins.module_utils.model import (
    Address,
    HostView,
    Link,
    LinkKey,
    NamespaceView,
)
from ansible_collections.hostwire.linux.plugins.module_utils.plan import actions as act
from ansible_collections.hostwire.linux.plugins.module_utils.rtnetlink.constants import (
    IFA_F_SECONDARY,
    RT_SCOPE_HOST,
)

Rooms = Dict[Optional[str], Dict[str, Link]]


def link(index: int, name: str, *, master: Optional[int] = None, up: bool = True, below: Optional[int] = None) -> Link:
    kind = "bridge" if name.startswith("br") else "veth"
    return Link(index, name, kind, up, up, 1500, f"02:00:00:00:00:{index:02x}", master, "", (), below, None, None)


def view(rooms: Rooms, held: Dict[LinkKey, Sequence[str]], peers: Dict[LinkKey, LinkKey]) -> HostView:
    views = {
        netns: NamespaceView(
            netns,
            100 + number,
            links,
            {
                links[name].index: tuple(Address(links[name].index, address, 0, 0) for address in addresses)
                for (where, name), addresses in held.items()
                if where == netns
            },
            (),
            False,
            False,
            {},
        )
        for number, (netns, links) in enumerate(rooms.items())
    }
    return HostView((), views, {}, {**peers, **{other: one for one, other in peers.items()}})


EMPTY = view({None: {"lo": link(1, "lo")}}, {}, {})
SWITCH = view({None: {"lo": link(1, "lo"), "br0": link(2, "br0")}}, {(None, "br0"): ["10.0.0.1/24"]}, {})
HELD = {(None, "br0"): ["10.0.0.1/24"], ("g", "eth0"): ["10.0.0.2/24", "fd00::2/64"]}
PEERS: Dict[LinkKey, LinkKey] = {(None, "v"): ("g", "eth0")}


def plugged(up: bool = True) -> HostView:
    rooms: Rooms = {
        None: {"lo": link(1, "lo"), "br0": link(2, "br0"), "v": link(3, "v", master=2)},
        "g": {"lo": link(1, "lo"), "eth0": link(2, "eth0", up=up)},
    }
    return view(rooms, HELD, PEERS)


ALL: Set[LinkKey] = {(None, "br0"), (None, "v"), ("g", "eth0")}


def said(news: News) -> Dict[Optional[str], Dict[str, Sequence[str]]]:
    return {
        netns: {claim.link: [held.plain for held in claim.held] for claim in claims}
        for netns, claims in news.claims.items()
    }


def test_in_a_network_that_is_new_altogether_nobody_is_told() -> None:
    assert news_of(ALL, EMPTY, plugged()) == News({}, {})


def test_a_guest_that_comes_to_a_switch_is_announced_there() -> None:
    news = news_of({(None, "v"), ("g", "eth0")}, SWITCH, plugged())
    assert said(news) == {"g": {"eth0": ["10.0.0.2", "fd00::2"]}}
    mac = "02:00:00:00:00:02"
    assert news.stale == {None: {2: {"10.0.0.2": mac, "fd00::2": mac}}}


@pytest.mark.parametrize("key", [(None, "v"), ("g", "eth0")])
def test_whichever_end_of_a_cable_changes_its_place_the_addresses_are_announced(key: LinkKey) -> None:
    assert said(news_of({key}, plugged(), plugged())) == {"g": {"eth0": ["10.0.0.2", "fd00::2"]}}


def test_a_switch_made_anew_is_announced_to_guests_that_were_there() -> None:
    before = plugged()
    before.views[None].links["br0"] = link(9, "br0")
    before.views[None].links["v"] = link(8, "v")
    assert said(news_of({(None, "br0")}, before, plugged())) == {None: {"br0": ["10.0.0.1"]}}


def test_a_namespace_of_the_same_name_that_is_another_one_has_known_nothing() -> None:
    before = view({None: {}, "other": {}, "g": plugged().views["g"].links}, {}, {})
    assert news_of(ALL, before, plugged()) == News({}, {})


def test_who_is_down_says_nothing() -> None:
    assert said(news_of({("g", "eth0")}, plugged(), plugged(up=False))) == {}


def test_links_on_top_of_others_hear_what_those_hear() -> None:
    there = plugged()
    there.views[None].links["br0.5"] = link(7, "br0.5", below=2)
    there.views[None].addresses[7] = (Address(7, "10.5.0.1/24", 0, 0),)
    assert said(news_of({(None, "br0.5")}, SWITCH, there)) == {None: {"br0.5": ["10.5.0.1"]}}


@pytest.mark.parametrize(
    ("action", "links"),
    [
        (act.AddressAdd("g", "eth0", "10.0.0.2/24"), {("g", "eth0")}),
        (act.LinkChange("g", "eth0", mac="02:00:00:00:00:09"), {("g", "eth0")}),
        (act.LinkChange(None, "v", bridge="br1"), {(None, "v")}),
        (act.LinkChange(None, "v", up=True), {(None, "v")}),
        (act.VethAdd(None, "v", None, None, "br0", "g", "eth0", None, None), {(None, "v"), ("g", "eth0")}),
        (act.UplinkAttach(None, "br0", "eth1", ()), {(None, "br0")}),
        (act.LinkChange(None, "v", up=False), set()),
        (act.LinkChange(None, "v", mtu=1400), set()),
        (act.LinkChange(None, "v", bridge=""), set()),
        (act.AddressDelete("g", "eth0", "10.0.0.2/24"), set()),
    ],
)
def test_which_deeds_are_news(action: act.Action, links: Set[LinkKey]) -> None:
    assert touched_by([action]) == links


def test_the_kernel_announces_primary_addresses_and_others_are_announced_by_hand() -> None:
    held = [
        Held("10.0.0.2/16", 0, 0),
        Held("10.0.0.3/16", 0, IFA_F_SECONDARY),
        Held("10.0.9.4/24", 0, 0),  # within the first one's subnet
        Held("192.168.1.1/32", 0, 0),
        Held("127.0.0.5/8", RT_SCOPE_HOST, 0),
        Held("fd00::2/64", 0, 0),
    ]
    assert said_by_the_kernel(held) == ["10.0.0.2", "192.168.1.1"]
    assert unsaid_by_the_kernel(held) == ["10.0.0.3", "10.0.9.4"]
