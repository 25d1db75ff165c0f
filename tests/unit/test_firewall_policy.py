# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of guests as rules: which chains, in which order, and nothing where nothing is said."""

from __future__ import annotations

from typing import Any, Dict, FrozenSet, List, Optional

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils.firewall import (
    FirewallWant,
    GuestNetwork,
    SwitchPolicy,
    Tables,
    changes,
    families,
    link_groups,
    outcome,
)
from ansible_collections.hostwire.linux.plugins.module_utils.firewall.groups import (
    closed,
    doomed,
    led_out,
    ours,
    without_sources,
)
from ansible_collections.hostwire.linux.plugins.module_utils.firewall.rendering import render
from ansible_collections.hostwire.linux.plugins.module_utils.firewall.rules import Rule
from ansible_collections.hostwire.linux.plugins.module_utils.firewall.shared import JUMPS, dispatch
from ansible_collections.hostwire.linux.plugins.module_utils.firewall.tables import Ruleset
from ansible_collections.hostwire.linux.plugins.module_utils.model import Bridge, GuestPolicy, Masquerade, Topology
from ansible_collections.hostwire.linux.plugins.module_utils.plan.filters import firewall_wants

NEW = "-m conntrack ! --ctstate RELATED,ESTABLISHED"
WANT = FirewallWant("main", switches=(SwitchPolicy("br0", False, False, False, False), SwitchPolicy("br1")))


NO_GROUPS = frozenset({"devgroup"})
ESTABLISHED = "-m conntrack --ctstate RELATED,ESTABLISHED"
BRIDGED = "-m physdev --physdev-is-bridged"


def rules(
    want: FirewallWant, family: int = 4, bridged: bool = False, lacking: FrozenSet[str] = frozenset()
) -> Dict[str, List[str]]:
    """The document's rules in each chain, without chain and comment, in the order in which they are asked."""
    rendered = render(want, family, bridged, lacking)
    found: Dict[str, List[str]] = {}
    for part in (rendered.chains, rendered.parts):
        for (_table, chain), lines in part.items():
            found.setdefault(chain, []).extend(_plain(sorted(lines, key=lambda rule: rule.rank)))
    return found


def everybodys(family: int = 4, bridged: bool = False, lacking: FrozenSet[str] = frozenset()) -> Dict[str, List[str]]:
    """The same of what stands in shared chains for all documents; of filter and mangle."""
    parts = render(WANT, family, bridged, lacking).skeleton.items()
    kept = {chain: lines for (table, chain), lines in parts if table in ("filter", "mangle") and lines}
    return {chain: _plain(sorted(lines, key=lambda rule: rule.rank)) for chain, lines in kept.items()}


def _plain(lines: List[Rule]) -> List[str]:
    texts = [rule.line.partition(" -m comment")[0] + rule.line.rpartition('"')[2] for rule in lines]
    return [text.partition("-A ")[2].partition(" ")[2] for text in texts]


def drops(found: Dict[str, List[str]]) -> List[str]:
    return [rule for lines in found.values() for rule in lines if rule.endswith("DROP")]


def test_each_closed_direction_is_closed_for_new_connections() -> None:
    found = rules(WANT)
    assert found["HOSTWIRE-HOST"] == ["-i br0 -j DROP"]  # those that stand are asked for before
    assert found["HOSTWIRE-AWAY"] == ["-o br0 -j DROP"]
    shared = render(WANT, 4).skeleton
    for chain in ("HOSTWIRE-HOST", "HOSTWIRE-AWAY"):
        standing = [rule.rank for rule in shared["mangle", chain] if f"{ESTABLISHED} -m comment" in rule.line]
        assert len(standing) == 1
        assert all(rule.rank > standing[0] for rule in render(WANT, 4).parts["mangle", chain])
    assert f"{ESTABLISHED} -j RETURN" in everybodys()["HOSTWIRE-AWAY"]
    assert "-p udp -m udp --sport 67 --dport 68 -j RETURN" in everybodys()["HOSTWIRE-AWAY"]
    among = ["-i br0 -o br0 -m conntrack --ctstate RELATED,ESTABLISHED,DNAT -j RETURN", "-i br0 -o br0 -j DROP"]
    assert [rule for rule in found["HOSTWIRE-WITHIN"] if "br0" in rule] == among
    assert [rule for rule in found["HOSTWIRE-WITHIN"] if "br1" in rule] == ["-i br1 -o br1 -j RETURN"]
    assert link_groups(WANT)["br0"] != link_groups(WANT)["br1"]  # outside: the link says it for all rules


def test_each_closed_direction_is_closed_where_the_host_has_an_address() -> None:
    addressed = WANT._replace(guests=(GuestNetwork("br0", ("10.0.2.0/24",)),))
    assert "HOSTWIRE-WITHIN" in rules(addressed)  # for br1
    among = ["-i br0 -o br0 -m conntrack --ctstate RELATED,ESTABLISHED,DNAT -j RETURN", "-i br0 -o br0 -j DROP"]
    assert [rule for rule in rules(addressed)["HOSTWIRE-SHUT"] if "br0" in rule] == among
    assert [rule for rule in rules(addressed, 6)["HOSTWIRE-WITHIN"] if "br0" in rule] == among
    outside = addressed._replace(switches=(SwitchPolicy("br0", among=False),))
    assert [rule for rule in rules(outside)["HOSTWIRE-TO"] if "br0" in rule] == among
    assert "HOSTWIRE-WITHIN" not in rules(outside)


def test_a_switch_says_that_its_guests_reach_each_other_once() -> None:
    for lacking in (frozenset(), NO_GROUPS):
        for family in (4, 6):
            rendered = render(WANT, family, lacking=lacking)
            labels = [
                rule.label for rules in (rendered.chains, rendered.parts) for part in rules.values() for rule in part
            ]
            assert labels.count("let guests on br1 reach each other") == 1
            assert "let guests on br0 reach each other" not in labels


def test_ipv6_lets_neighbours_and_routers_be_discovered() -> None:
    """Once for all links of ours, ahead of whatever a document closes."""
    discovery = "-p ipv6-icmp -m conntrack --ctstate UNTRACKED -j RETURN"
    dhcp = {4: "-p udp -m udp --sport 67 --dport 68 -j RETURN", 6: "-p udp -m udp --sport 547 --dport 546 -j RETURN"}
    for lacking in (frozenset(), NO_GROUPS):
        for family in (4, 6):
            shared = everybodys(family, lacking=lacking)
            for chain, excepted in (("HOSTWIRE-HOST", [discovery]), ("HOSTWIRE-AWAY", [discovery, dhcp[family]])):
                there = [rule for rule in shared[chain] if rule in (discovery, *dhcp.values())]
                assert there == [rule for rule in excepted if family == 6 or rule != discovery]
                rendered = render(WANT, family, lacking=lacking)
                before = [rule.rank for rule in rendered.skeleton["mangle", chain] if "UNTRACKED" in rule.line]
                before += [rule.rank for rule in rendered.skeleton["mangle", chain] if "--dport" in rule.line]
                closing = [rule.rank for rule in rendered.parts["mangle", chain] if "-j DROP" in rule.line]
                assert closing
                assert all(rank > earlier for rank in closing for earlier in before)


def test_hazard_32_frames_that_the_bridge_lets_pass_are_not_dropped_as_hairpins() -> None:
    routed = WANT._replace(guests=(GuestNetwork("br0", ("10.0.2.0/24", "fd00:2::/64")),))
    for want, chain in ((WANT, "HOSTWIRE-WITHIN"), (routed, "HOSTWIRE-SHUT")):
        # What is everybody's stands ahead of it, for a link of a document that has no rules, too.
        assert f"{BRIDGED} -j RETURN" in everybodys(bridged=True)[chain]
        assert [rule.partition(" -j ")[2] for rule in rules(want, bridged=True)[chain] if "br0" in rule][-1] == "DROP"
        assert not any("physdev" in rule for rule in everybodys()[chain])  # no frame of a bridge comes by there


@pytest.mark.parametrize("family", [4, 6])
def test_hazard_32_bridged_frames_between_links_of_ours_are_let_through(family: int) -> None:
    within = ours("src", family), ours("dst", family)
    accept = f"-m devgroup {' '.join(within)} {BRIDGED} -j ACCEPT"
    assert everybodys(family, bridged=True)["HOSTWIRE-OPEN"].count(accept) == 1
    assert not any("physdev" in rule for rules in everybodys(family).values() for rule in rules)
    assert not any("-i br1 -o br1" in rule for rule in rules(WANT, family, True).get("HOSTWIRE-OPEN", []))
    by_link = rules(WANT, family, True, NO_GROUPS)
    assert "-i br1 -o br1 -j ACCEPT" in by_link["HW-OPEN-main"]


def test_hazard_32_frames_within_a_switch_keep_their_source() -> None:
    masqueraded = WANT._replace(masquerade=(Masquerade(None, "100.64.0.0/24", ("br0",)),))
    for bridged in (False, True):
        shared = render(masqueraded, 4, bridged).skeleton["nat", "HOSTWIRE-LEAVE"]
        untouched = [rule.rank for rule in shared if "--physdev-is-bridged" in rule.line and "-j RETURN" in rule.line]
        ranks = [rule.rank for rule in render(masqueraded, 4, bridged).parts["nat", "HOSTWIRE-LEAVE-0"]]
        assert bool(untouched) is bridged
        assert all(rank > before for rank in (*ranks, dispatch("HOSTWIRE-LEAVE-0", 4).rank) for before in untouched)
    assert rules(masqueraded)["HOSTWIRE-LEAVE-0"] == ["-s 100.64.0.0/24 ! -o br0 -j MASQUERADE"]


@pytest.mark.parametrize("field", ["to_host", "from_host", "among"])
def test_a_direction_that_is_open_has_no_rule(field: str) -> None:
    switch = SwitchPolicy("br0")
    assert drops(rules(FirewallWant("main", switches=(switch,)))) == []
    closed_one = FirewallWant("main", switches=(switch._replace(**{field: False}),))
    assert len(drops(rules(closed_one))) == 1
    assert len(drops(rules(closed_one, lacking=NO_GROUPS))) == 3  # the link is told by its name: from it, and to it


@pytest.mark.parametrize("bridged", [False, True])
def test_guests_on_a_lan_are_closed_as_is_said_and_the_lan_is_not(bridged: bool) -> None:
    """Others live behind the uplink of a bridge, too: it is no network of ours, whose links are told by their group."""
    lan = SwitchPolicy("br0", leads_out=True)
    open_lan = rules(FirewallWant("main", switches=(lan,)), 4, bridged)
    assert set(open_lan) == {"HW-FORGED-main", "HOSTWIRE-OPEN", "HOSTWIRE-SOURCE"}
    assert open_lan["HOSTWIRE-OPEN"] == ["-i br0 -o br0 -j ACCEPT"]
    apart = rules(FirewallWant("main", switches=(lan._replace(among=False, outside=False),)), 4, bridged)
    closing = [rule for rule in apart["HOSTWIRE-CLOSE"] if rule.endswith("DROP")]
    assert sorted(closing) == ["! -i br0 -o br0 -j DROP", "-i br0 ! -o br0 -j DROP", "-i br0 -o br0 -j DROP"]


def test_a_guest_network_needs_both_families() -> None:
    assert families(FirewallWant("main", switches=(SwitchPolicy("br0"),))) == (4, 6)


def test_a_network_with_addresses_is_not_opened_twice() -> None:
    want = FirewallWant("main", guests=(GuestNetwork("br0", ("10.0.2.0/24",)),), switches=(SwitchPolicy("br0"),))
    assert rules(want)["HOSTWIRE-TO"].count("-i br0 -o br0 -j RETURN") == 1
    for lacking in (frozenset(), NO_GROUPS):
        within = [rule for lines in rules(want, lacking=lacking).values() for rule in lines if "-i br0 -o br0" in rule]
        assert within == ["-i br0 -o br0 -j RETURN"] + ["-i br0 -o br0 -j ACCEPT"] * bool(lacking)


def test_guests_with_several_prefixes_on_one_link_reach_each_other_by_way_of_the_host() -> None:
    """Those packets are forwarded from a link to itself, and no frame of the bridge's passes there."""
    one = FirewallWant("main", guests=(GuestNetwork("br0", ("10.0.2.0/24", "fd00:2::/64")),))
    two = one._replace(guests=(GuestNetwork("br0", ("10.0.2.0/24", "10.7.0.0/16", "fd00:2::/64")),))
    assert "-i br0 -o br0 -j ACCEPT" in rules(two)["HOSTWIRE-OPEN"]
    for want, family in ((one, 4), (two, 6)):
        assert "-i br0 -o br0 -j ACCEPT" not in rules(want, family).get("HOSTWIRE-OPEN", [])
    namespace = two._replace(netns="red")  # forwards plainly
    assert "-i br0 -o br0 -j ACCEPT" not in rules(namespace).get("HOSTWIRE-OPEN", [])


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("lacking", [frozenset(), NO_GROUPS], ids=["groups", "names"])
def test_nothing_is_forwarded_where_the_host_has_no_address_flows_that_stand_included(
    family: int, lacking: FrozenSet[str]
) -> None:
    want = FirewallWant("main", switches=(SwitchPolicy("br0"),))
    found, shared = rules(want, family, lacking=lacking), everybodys(family, lacking=lacking)
    to_within = [f"-m devgroup {without_sources(side, family)} -g HOSTWIRE-WITHIN" for side in ("src", "dst")]
    if lacking:
        assert found["HOSTWIRE-UNROUTED"] == ["-i br0 -o br0 -j RETURN", "-i br0 -j DROP", "-o br0 -j DROP"]
        assert "-i br0 -j RETURN" in found["HOSTWIRE-CLOSE"]
    else:
        assert found["HOSTWIRE-WITHIN"] == ["-i br0 -o br0 -j RETURN"]
        assert shared["HOSTWIRE-WITHIN"] == ["-j DROP"]
        assert shared["HOSTWIRE-UNROUTED"] == shared["HOSTWIRE-CLOSE"][:2] == to_within
    after = run(empty(), want, "main")
    assert "HOSTWIRE-UNROUTED" in after["mangle"]
    (jump,) = [jump for jump in JUMPS if jump.chain == "HOSTWIRE-UNROUTED"]
    assert (jump.table, jump.parent) == ("mangle", "FORWARD")
    assert "-m conntrack" not in jump.rule.line


@pytest.mark.parametrize("lacking", [frozenset(), NO_GROUPS], ids=["groups", "names"])
def test_where_every_link_has_prefixes_of_a_family_nothing_more_is_asked_of_flows_that_stand(
    lacking: FrozenSet[str],
) -> None:
    four = FirewallWant("main", guests=(GuestNetwork("br0", ("10.0.2.0/24",)),), forwards=(4, 6))
    assert "HOSTWIRE-UNROUTED" not in rules(four, 4, lacking=lacking)
    chain = "HOSTWIRE-UNROUTED" if lacking else "HOSTWIRE-WITHIN"
    assert rules(four, 6, lacking=lacking)[chain][0] == "-i br0 -o br0 -j RETURN"
    after = run(empty(), four, "main")
    assert "HOSTWIRE-UNROUTED" not in after["mangle"]


@pytest.mark.parametrize("family", [4, 6])
def test_what_is_new_is_shut_for_links_without_prefixes_whether_a_document_has_any_or_not(family: int) -> None:
    """A link that is about to be deleted is put in such a group while no document has UNROUTED stand."""
    shut = [f"-m devgroup {without_sources(side, family)} -g HOSTWIRE-WITHIN" for side in ("src", "dst")]
    assert everybodys(family)["HOSTWIRE-CLOSE"][:2] == shut
    number, _slash, mask = shut[0].split()[3].partition("/")
    assert doomed() & int(mask, 16) == int(number, 16)
    want = FirewallWant("main", guests=(GuestNetwork("br0", ("10.0.2.0/24", "fd00:2::/64")),))
    assert "HOSTWIRE-CLOSE" not in rules(want, family)  # nothing that leads past it
    assert everybodys(family)["HOSTWIRE-SHUT"] == everybodys(family)["HOSTWIRE-WITHIN"] == ["-j DROP"]


def test_flows_that_stand_are_not_asked_what_is_closed() -> None:
    (jump,) = [jump for jump in JUMPS if jump.chain == "HOSTWIRE-CLOSE"]
    assert f"-A FORWARD {NEW} -m comment" in jump.rule.line


FROM_OTHERS = FirewallWant(
    "main",
    guests=(GuestNetwork("br0", ("10.0.2.0/24",)), GuestNetwork("br1", ("10.0.3.0/24", "fd00:3::/64"))),
    masquerade=(Masquerade(None, "10.0.3.0/24"), Masquerade(None, "fd00:3::/64")),
    switches=(SwitchPolicy("br0", from_others=True), SwitchPolicy("br1")),
)


def test_guests_of_other_networks_that_lead_out_may_call_a_network_that_is_open_to_them() -> None:
    found = rules(FROM_OTHERS)
    others = f"-o br0 -m devgroup {led_out('src', 4)}"
    assert [rule for rule in found["HOSTWIRE-TO"] if "devgroup" in rule] == [f"{others} -j RETURN"]
    assert [rule for rule in found["HOSTWIRE-OPEN"] if "br0" in rule] == [f"{others} -j ACCEPT"]
    ranks = {
        rule.rank
        for chain in (("mangle", "HOSTWIRE-TO"), ("filter", "HOSTWIRE-OPEN"))
        for rule in render(FROM_OTHERS, 4).parts[chain]
        if others in rule.line
    }
    assert ranks == {25, 22}
    (rule,) = [rule for rule in render(FROM_OTHERS, 4).parts["filter", "HOSTWIRE-OPEN"] if "-o br0" in rule.line]
    assert rule.label == "let guests of other networks call those on br0"
    # Whatever is closed to all else is asked before.
    (shut,) = [
        rule for rule in render(FROM_OTHERS, 4).skeleton["mangle", "HOSTWIRE-TO"] if closed("dst", 4) in rule.line
    ]
    assert shut.rank < 25
    assert everybodys()["HOSTWIRE-TO"][-1] == "-j DROP"


def test_guests_of_other_networks_are_told_by_name_where_groups_can_not_be_asked() -> None:
    found = rules(FROM_OTHERS, lacking=NO_GROUPS)
    assert "-o br0 -j HOSTWIRE-OTHERS" in found["HOSTWIRE-TO"]
    assert "-o br0 -j HOSTWIRE-OTHERS" in found["HOSTWIRE-OPEN"]
    rendered = render(FROM_OTHERS, 4, lacking=NO_GROUPS)
    for table in ("mangle", "filter"):
        lines = _plain(sorted(rendered.parts[table, "HOSTWIRE-OTHERS"], key=lambda rule: rule.rank))
        assert lines == ["-i br1 -j ACCEPT", "-o br0 -j RETURN"]  # br0's guests lead nowhere
    closed_one = FROM_OTHERS._replace(switches=(FROM_OTHERS.switches[0], SwitchPolicy("br1", outside=False)))
    closed_rules = rules(closed_one, lacking=NO_GROUPS)
    assert "-i br1 -j ACCEPT" not in closed_rules["HOSTWIRE-OTHERS"]


@pytest.mark.parametrize("lacking", [frozenset(), NO_GROUPS], ids=["groups", "names"])
def test_security_nobody_may_call_others_guests_that_are_open_to_none(lacking: FrozenSet[str]) -> None:
    """Neither where a network isn't open to other guests, nor in a family in which it has no prefixes."""
    shy = FROM_OTHERS._replace(switches=())
    for want, family in ((shy, 4), (shy, 6), (FROM_OTHERS, 6)):
        found = rules(want, family, lacking=lacking)
        for chain in ("HOSTWIRE-TO", "HOSTWIRE-OPEN"):
            assert not [
                rule for rule in found.get(chain, []) if rule.startswith("-o br0") and "HOSTWIRE-OTHERS" in rule
            ]
            assert not [rule for rule in found.get(chain, []) if led_out("src", family) in rule]


@pytest.mark.parametrize(
    ("services", "family", "expected"),
    [
        (("dhcp",), 4, ["-p udp -m udp --dport 67"]),
        (("dhcp",), 6, ["-p udp -m udp --dport 547"]),
        (("dns",), 4, ["-p udp -m udp --dport 53", "-p tcp -m tcp --dport 53"]),
        (("dhcp", "dns"), 4, ["-p udp -m multiport --dports 53,67", "-p tcp -m tcp --dport 53"]),
        (("dhcp", "dns"), 6, ["-p udp -m multiport --dports 53,547", "-p tcp -m tcp --dport 53"]),
    ],
)
@pytest.mark.parametrize("lacking", [frozenset(), NO_GROUPS], ids=["groups", "names"])
def test_services_are_opened_to_their_own_network_and_closed_to_all_else(
    services: Any, family: int, expected: List[str], lacking: FrozenSet[str]
) -> None:
    prefix = {4: "10.0.2.0/24", 6: "fd00:2::/64"}[family]
    want = FirewallWant(
        "main", guests=(GuestNetwork("br0", (prefix,)),), switches=(SwitchPolicy("br0", services=services),)
    )
    found = rules(want, family, lacking=lacking)
    neighbours = [f"-i br0 -p ipv6-icmp -m icmp6 --icmpv6-type {number} -j ACCEPT" for number in (133, 135, 136)]
    assert found["HOSTWIRE-SERVE"] == [f"-i br0 {asked} -j ACCEPT" for asked in expected] + neighbours * (family == 6)
    closing = [rule for rule in found["HOSTWIRE-HOST"] if prefix in rule]
    assert closing == [f"-d {prefix} ! -i br0 {asked} -j DROP" for asked in expected]
    hidden = want._replace(masquerade=(Masquerade(None, prefix),))  # nobody else reaches anything there
    closing = [rule for rule in rules(hidden, family, lacking=lacking)["HOSTWIRE-HOST"] if prefix in rule]
    assert closing == [f"-d {prefix} ! -i br0 -j DROP"]


def test_the_document_says_of_which_switches() -> None:
    closed = GuestPolicy(outside=False, services=("dns",))
    topology = Topology(bridges=(Bridge("br0", guests=closed), Bridge("br1", addresses=("10.0.2.1/24",))))
    wants = firewall_wants(topology)
    assert list(wants) == [None]
    assert wants[None].switches == (SwitchPolicy("br0", outside=False, services=("dns",)),)
    lan = topology._replace(bridges=(topology.bridges[0]._replace(uplink="eth0"),))
    assert firewall_wants(lan)[None].switches == (
        SwitchPolicy("br0", outside=False, services=("dns",), leads_out=True),
    )
    silent = firewall_wants(topology._replace(bridges=topology.bridges[1:]))
    assert [want.switches for want in silent.values()] == [()]


def run(there: Ruleset, want: Optional[FirewallWant], owner: str) -> Ruleset:
    """What is there after a document came, or with None went; a second time there is nothing to do."""
    for swap in changes(Tables(None, "nft", {("nft", 4): there}), want, None, owner, None).swaps:
        there = outcome(there, swap.text)
    assert changes(Tables(None, "nft", {("nft", 4): there}), want, None, owner, None).swaps == ()
    return there


def empty() -> Ruleset:
    found: Ruleset = {}
    for jump in JUMPS:
        found.setdefault(jump.table, {})[jump.parent] = []
    return found
