# SPDX-License-Identifier: GPL-3.0-or-later
"""What a document's wishes become as rules, and when they become any."""

from __future__ import annotations

import ipaddress
import itertools
from typing import Any, List

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.hostwire.linux.plugins.module_utils.errors import InvalidValue
from ansible_collections.hostwire.linux.plugins.module_utils.firewall import (
    FirewallWant,
    GuestNetwork,
    families,
    link_groups,
    localnet_interfaces,
    needed,
)
from ansible_collections.hostwire.linux.plugins.module_utils.firewall.rendering import render
from ansible_collections.hostwire.linux.plugins.module_utils.firewall.rules import tag_of
from ansible_collections.hostwire.linux.plugins.module_utils.firewall.shared import LEAVES, dispatch
from ansible_collections.hostwire.linux.plugins.module_utils.firewall.tables import OWN_CHAIN
from ansible_collections.hostwire.linux.plugins.module_utils.firewall.want import overlap, within
from ansible_collections.hostwire.linux.plugins.module_utils.model import Masquerade, PublishedPort

GUEST = GuestNetwork("v-net-0", ("192.168.15.0/24", "fd00:15::/64"))
WEB = PublishedPort(None, "tcp", 8080, 8080, "127.0.0.1", "192.168.15.2", 80)


def rules(table: str, chain: str, family: int = 4, bridged: bool = False, **fields: Any) -> List[str]:
    """The rules of one chain without their comments; of a shared one everybody's, and the document's part."""
    rendered = render(FirewallWant("main", **fields), family, bridged)
    found = [rule for part in rendered for rule in part.get((table, chain), ())]
    lines = [rule.line for rule in sorted(found, key=lambda rule: rule.rank)]
    return [line.partition(" -m comment")[0] + line.rpartition('"')[2] for line in lines]


def own(table: str, chain: str, family: int = 4, **fields: Any) -> List[str]:
    """The document's rules in a chain that it shares, without what is there for everybody, in order."""
    part = render(FirewallWant("main", **fields), family).parts.get((table, chain), ())
    lines = [rule.line for rule in sorted(part, key=lambda rule: rule.rank)]
    return [line.partition(" -m comment")[0] + line.rpartition('"')[2] for line in lines]


def test_security_a_network_is_closed_whether_it_is_masqueraded_or_not() -> None:
    hidden = Masquerade(None, "192.168.15.0/24", ("v-net-0",))
    for masquerade, family in itertools.product(((), (hidden,)), (4, 6)):
        fields: Any = {"guests": (GUEST,), "masquerade": masquerade}
        assert rules("mangle", "HOSTWIRE-TO", family, **fields)[-1] == "-A HOSTWIRE-TO -j DROP"
        prefix = GUEST.prefixes[family == 6]
        assert own("raw", "HOSTWIRE-SOURCE", family, **fields) == [f"-A HOSTWIRE-SOURCE -s {prefix} -j DROP"]


def test_security_a_network_that_is_hidden_in_one_family_is_called_by_nobody_in_the_other() -> None:
    fields: Any = {"guests": (GUEST,), "named": ("v-net-0", "eth0"), "forwarding": (4, 6)}
    let_in = "-A HOSTWIRE-TO -i eth0 -o v-net-0 -j RETURN"
    within = "-A HOSTWIRE-TO -i v-net-0 -o v-net-0 -j RETURN"
    assert own("mangle", "HOSTWIRE-TO", 6, **fields) == [within, let_in]
    hidden = (Masquerade(None, "192.168.15.0/24", ("v-net-0",)),)
    assert own("mangle", "HOSTWIRE-TO", 6, masquerade=hidden, **fields) == [within]
    assert rules("mangle", "HOSTWIRE-TO", 6, masquerade=hidden, **fields)[-1] == "-A HOSTWIRE-TO -j DROP"


def test_security_of_two_networks_one_that_is_hidden_in_one_family_is_called_by_nobody_in_the_other() -> None:
    """With a chain of those who may call, as there is for several routed networks."""
    more = GuestNetwork("v-net-1", ("192.168.16.0/24", "fd00:16::/64"))
    last = GuestNetwork("v-net-2", ("192.168.17.0/24", "fd00:17::/64"))
    fields: Any = {"guests": (GUEST, more, last), "named": ("v-net-0", "eth0"), "forwarding": (4, 6)}
    into = "-A HOSTWIRE-TO -o v-net-0 -g HW-INTO-main"
    assert into in own("mangle", "HOSTWIRE-TO", 6, **fields)
    assert rules("mangle", "HW-INTO-main", 6, **fields) == [
        "-A HW-INTO-main -i eth0 -j RETURN",
        "-A HW-INTO-main -i v-net-0 -j RETURN",
        "-A HW-INTO-main -i v-net-1 -j RETURN",
        "-A HW-INTO-main -i v-net-2 -j RETURN",
        "-A HW-INTO-main -j DROP",
    ]
    fields["masquerade"] = (Masquerade(None, "192.168.15.0/24", ("v-net-0",)),)
    to = own("mangle", "HOSTWIRE-TO", 6, **fields)
    assert [rule for rule in to if "-o v-net-0" in rule] == ["-A HOSTWIRE-TO -i v-net-0 -o v-net-0 -j RETURN"]
    assert "-A HW-INTO-main -i v-net-0 -j RETURN" not in rules("mangle", "HW-INTO-main", 6, **fields)
    assert rules("mangle", "HW-INTO-main", 6, **fields)[-1] == "-A HW-INTO-main -j DROP"


def test_hazard_32_the_guard_passes_bridged_frames_only_where_some_can_come() -> None:
    drop = "-A HOSTWIRE-REST -m conntrack ! --ctstate RELATED,ESTABLISHED -j DROP"
    assert rules("filter", "HOSTWIRE-REST", guard=(4,)) == [drop]
    bridged = rules("filter", "HOSTWIRE-REST", guard=(4,), bridged=True)
    assert bridged == ["-A HOSTWIRE-REST -m physdev --physdev-is-bridged -j RETURN", drop]
    assert rules("filter", "HOSTWIRE-REST", 6, guard=(4,)) == []


def test_a_namespace_looks_where_packets_come_from_and_forwards_plainly() -> None:
    fields: Any = {"netns": "red", "guests": (GUEST,), "named": ("v-net-0",), "forwarding": (4,)}
    assert own("raw", "HOSTWIRE-SOURCE", **fields) == ["-A HOSTWIRE-SOURCE -s 192.168.15.0/24 -j DROP"]
    assert not any("v-net-0" in rule for rule in rules("mangle", "HOSTWIRE-TO", **fields))
    assert link_groups(FirewallWant("main", **fields))["v-net-0"] & 0xF == 0xC  # sources of both, and no member


OTHER = GuestNetwork("v-net-1", ("192.168.16.0/24", "fd00:16::/64"))
SNAT = tuple(Masquerade(None, guest.prefixes[0], (guest.interface,)) for guest in (GUEST, OTHER))
NEIGHBOUR = Masquerade(None, "192.168.23.0/25", ("v-net-9",))  # by its last bits near the first of them
LOCAL = "-m addrtype --src-type LOCAL -j MASQUERADE"


@pytest.mark.parametrize(
    ("table", "shared", "kind", "one", "several"),
    [
        ("raw", "HOSTWIRE-SOURCE", "FORGED", {"guests": (GUEST,)}, {"guests": (GUEST, OTHER)}),
        ("nat", "HOSTWIRE-LEAVE-7", "SNATH", {"masquerade": SNAT[:1]}, {"masquerade": (*SNAT[:1], NEIGHBOUR)}),
        (
            "nat",
            "HOSTWIRE-PORTS",
            "TCP",
            {"published_ports": (WEB,)},
            {"published_ports": (WEB, WEB._replace(port=80, port_last=80))},
        ),
        (
            "nat",
            "HOSTWIRE-HAIRPIN",
            "HAIRPIN",
            {"published_ports": (WEB,), "borrowed": ("192.168.15.2",)},
            {"published_ports": (WEB,)},
        ),
        (
            "filter",
            "HOSTWIRE-OPEN",
            "OPEN",
            {"let_through": ("10.0.0.0/8",), "forwarding": (4,)},
            {"masquerade": (Masquerade(None, "10.0.0.0/8"),)},
        ),
    ],
)
def test_a_single_rule_stands_in_the_shared_chain_itself(
    table: str, shared: str, kind: str, one: Any, several: Any
) -> None:
    chain = f"HW-{kind}-main"
    for fields, alone in ((one, True), (several, False)):
        rendered = render(FirewallWant("main", **fields), 4)
        part = own(table, shared, **fields)
        assert len(part) == 1
        assert ((table, chain) not in rendered.chains) is alone
        assert part[0].endswith(f"-j {chain}") is not alone
        if not alone:
            assert len(rendered.chains[table, chain]) > 1
    (alone_rule,) = render(FirewallWant("main", **one), 4).parts[table, shared]
    (jump,) = render(FirewallWant("main", **several), 4).parts[table, shared]
    if kind != "SNATH":
        assert alone_rule.rank == jump.rank
    assert jump.label == ""


def test_a_single_rule_in_a_shared_chain_still_says_what_it_is_for() -> None:
    rendered = render(FirewallWant("main", guests=(GUEST,), masquerade=SNAT[:1], published_ports=(WEB,)), 4)
    labels = {key: [rule.label for rule in rules] for key, rules in rendered.parts.items()}
    assert labels["raw", "HOSTWIRE-SOURCE"] == ["protect guests on v-net-0"]
    assert labels["nat", "HOSTWIRE-LEAVE-7"] == ["masquerade 192.168.15.0/24 except to v-net-0"]
    assert labels["nat", "HOSTWIRE-PORTS"] == ["publish tcp 127.0.0.1:8080 -> 192.168.15.2:80"]


def test_of_documents_whose_sources_overlap_the_narrower_decides_be_it_one_rule_or_several() -> None:
    wide = (Masquerade(None, "10.0.0.0/8"),)
    narrow = Masquerade(None, "10.1.2.0/24")
    scattered = (narrow, narrow._replace(source="192.168.7.0/24"))
    one, several, whole = (
        render(FirewallWant("main", masquerade=masquerade), 4).parts for masquerade in ((narrow,), scattered, wide)
    )
    near = "nat", "HOSTWIRE-LEAVE-2"
    assert one[near][0].rank == several[near][0].rank  # however far apart the narrow ones of a document are
    for chain in LEAVES:
        assert dispatch(chain, 4).rank < whole["nat", "HOSTWIRE-LEAVE"][0].rank


def test_a_document_without_networks_drops_no_source_for_itself() -> None:
    """By IPv6 not even a chain stands for that; by IPv4 loopback is kept on lo."""
    fields: Any = {"published_ports": (WEB, WEB._replace(address="any", to_address="2001:db8::7"))}
    rendered = render(FirewallWant("main", **fields), 6)
    assert [key for part in rendered[:2] for key in part if key[0] == "raw"] == []
    assert own("raw", "HOSTWIRE-SOURCE", **fields) == ["-A HOSTWIRE-SOURCE -j HW-FORGED-main"]


def test_security_a_masqueraded_network_behind_somebody_elses_interface_is_hidden_too() -> None:
    for family, source in ((4, "10.9.0.0/24"), (6, "fd00:9::/64")):
        fields: Any = {"named": ("eth0", "eth1"), "forwarding": (4, 6)}
        fields["masquerade"] = (Masquerade(None, source, ("eth1",)),)
        hidden = f"-d {source} ! -i eth1 -m conntrack ! --ctstate DNAT -j DROP"
        assert own("mangle", "HOSTWIRE-CLOSE", family, **fields) == [f"-A HOSTWIRE-CLOSE {hidden}"]
        assert own("raw", "HOSTWIRE-SOURCE", family, **fields) == [f"-A HOSTWIRE-SOURCE -s {source} -j DROP"]
        said = own("mangle", "HOSTWIRE-CLOSE", family, let_through=(source, "192.0.2.0/24"), **fields)
        assert said == []


def test_one_routed_network_and_its_uplink_need_no_chains_of_their_own() -> None:
    fields: Any = {"guests": (GUEST,), "named": ("v-net-0", "eth0"), "forwarding": (4, 6)}
    for family in (4, 6):
        rendered = render(FirewallWant("main", **fields), family)
        assert rendered.chains == {}
        (by_uplink,) = own("filter", "HOSTWIRE-OPEN", family, **fields)
        assert by_uplink == "-A HOSTWIRE-OPEN -i eth0 -o v-net-0 -j ACCEPT"  # the other way every guest of ours may go
        rule = rendered.parts["filter", "HOSTWIRE-OPEN"][-1]
        assert rule.label == "route between eth0 and the other interfaces of the document"


def test_security_where_the_way_back_can_not_be_asked_a_source_is_told_by_its_link() -> None:
    for lacking in (frozenset({"rpfilter"}), frozenset({"rpfilter", "devgroup"})):
        for family, prefix in ((4, GUEST.prefixes[0]), (6, GUEST.prefixes[1])):
            parts = render(FirewallWant("main", guests=(GUEST,)), family, lacking=lacking).parts
            lines = [rule.line for rule in sorted(parts["raw", "HOSTWIRE-SOURCE"], key=lambda rule: rule.rank)]
            assert [line.partition(" -m comment")[0] + line.rpartition('"')[2] for line in lines] == [
                f"-A HOSTWIRE-SOURCE -i v-net-0 -s {prefix} -j RETURN",
                "-A HOSTWIRE-SOURCE -i v-net-0 -g HOSTWIRE-STRANGE",
                f"-A HOSTWIRE-SOURCE -s {prefix} ! -i v-net-0 -j DROP",
            ]
    parts = render(FirewallWant("main", guests=(GUEST,)), 4, lacking=frozenset({"devgroup"})).parts
    by_name = [rule.line for rule in parts["raw", "HOSTWIRE-SOURCE"] if "-g HOSTWIRE-STRANGE" in rule.line]
    assert [line.partition(" -m")[0] for line in by_name] == ["-A HOSTWIRE-SOURCE -i v-net-0"]


def test_two_uplinks_are_routed_both_ways_and_three_by_a_chain() -> None:
    few: Any = {"named": ("eth0", "eth1"), "forwarding": (4,)}
    assert rules("filter", "HW-OPEN-main", **few) == [
        "-A HW-OPEN-main -i eth0 -o eth1 -j ACCEPT",
        "-A HW-OPEN-main -i eth1 -o eth0 -j ACCEPT",
    ]
    assert rules("filter", "HW-NAMED-main", **few) == []
    two: Any = {"guests": (GUEST, GuestNetwork("v-net-1", ("192.168.16.0/24",))), "forwarding": (4,)}
    assert rules("filter", "HW-OPEN-main", **two) == [
        "-A HW-OPEN-main -i v-net-0 -o v-net-1 -j ACCEPT",
        "-A HW-OPEN-main -i v-net-1 -o v-net-0 -j ACCEPT",
    ]
    many: Any = {"named": ("eth0", "eth1", "eth2"), "forwarding": (4,)}
    names = ("eth0", "eth1", "eth2")
    assert rules("filter", "HW-OPEN-main", **many) == [
        *(f"-A HW-OPEN-main -i {name} -o {name} -j RETURN" for name in names),
        *(f"-A HW-OPEN-main -o {name} -j HW-NAMED-main" for name in names),
    ]
    assert rules("filter", "HW-NAMED-main", **many) == [f"-A HW-NAMED-main -i {name} -j ACCEPT" for name in names]


def test_a_target_that_is_to_answer_to_the_host_does_so_to_everybody() -> None:
    port = WEB._replace(address="any", to_address="10.0.9.2")
    fields: Any = {"published_ports": (port,), "borrowed": ("10.0.9.2",)}
    assert own("nat", "HOSTWIRE-HAIRPIN", **fields) == ["-A HOSTWIRE-HAIRPIN -d 10.0.9.2 -j MASQUERADE"]


def test_guests_who_serve_need_no_neighbours_but_those_on_their_link() -> None:
    fields: Any = {"published_ports": (WEB,), "guests": (GUEST,)}
    assert rules("nat", "HW-HAIRPIN-main", **fields) == [
        f"-A HW-HAIRPIN-main -o v-net-0 {LOCAL}",
        "-A HW-HAIRPIN-main -s 192.168.15.0/24 -d 192.168.15.0/24 -j MASQUERADE",
    ]


def test_many_named_interfaces_make_rules_in_proportion() -> None:
    many = tuple(f"eth{number}" for number in range(100))
    rendered = render(FirewallWant("main", named=many, forwarding=(4,)), 4)
    assert sum(len(chain) for chain in rendered.chains.values()) <= 3 * len(many)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ()),
        ({"named": ("eth0",)}, ()),
        ({"let_through": ("10.0.0.0/8",)}, ()),
        ({"named": ("eth0",), "forwarding": (4,)}, (4,)),
        ({"guard": (6,)}, (6,)),
        ({"guests": (GUEST,)}, (4, 6)),
        ({"guests": (GUEST,), "netns": "red"}, (4, 6)),
        ({"guests": (GuestNetwork("v-net-0"),), "forwards": (6,)}, (6,)),
        ({"guests": (GuestNetwork("v-net-0", ("192.168.15.0/24",)),)}, (4,)),
        ({"guests": (GuestNetwork("v-net-0"),)}, ()),
        ({"masquerade": (Masquerade(None, "fd00::/64"),)}, (6,)),
        ({"published_ports": (WEB,), "netns": "red"}, (4,)),
    ],
)
def test_a_family_costs_nothing_where_nothing_is_asked_of_it(fields: Any, expected: Any) -> None:
    want = FirewallWant("main", **fields)
    assert families(want) == expected
    assert needed(want) == bool(expected)
    assert tuple(family for family in (4, 6) if render(want, family).parts) == expected


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, ("v-net-0",)),
        ({"address": "any"}, ("v-net-0",)),
        ({"address": "192.168.1.2"}, ()),
        ({"to_address": "203.0.113.9"}, ()),  # beyond an uplink: never there
        ({"address": "any", "to_address": "fd00:15::2"}, ()),
        ({"address": "any", "sources": ("10.0.0.0/8",)}, ()),
        ({"address": "any", "sources": ("10.0.0.0/8", "127.0.0.1/32")}, ("v-net-0",)),
    ],
)
def test_security_route_localnet_only_where_a_guest_is_reached_by_127_0_0_1(changed: Any, expected: Any) -> None:
    want = FirewallWant("main", guests=(GUEST,), published_ports=(WEB._replace(**changed),))
    assert localnet_interfaces(want) == expected
    loopback = rules("raw", "HOSTWIRE-SOURCE", guests=want.guests, published_ports=want.published_ports)[:3]
    assert loopback == [
        f"-A HOSTWIRE-SOURCE {rest}" for rest in ("-i lo -j RETURN", "-s 127.0.0.0/8 -j DROP", "-d 127.0.0.0/8 -j DROP")
    ]


@settings(max_examples=20, deadline=None)
@given(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}", fullmatch=True))
def test_hazard_37_chain_names_fit(owner: str) -> None:
    ports = tuple(WEB._replace(port=number, port_last=number) for number in range(1, 600, 2))
    everything = FirewallWant(
        owner,
        guests=(GUEST,),
        named=("v-net-0", "eth0"),
        masquerade=(Masquerade(None, "10.0.0.0/8"),),
        published_ports=ports,
        let_through=("10.0.0.0/8",),
        forwarding=(4, 6),
    )
    for family in (4, 6):
        rendered = render(everything, family)
        names = [chain for part in rendered for _table, chain in part]
        assert max(map(len, names)) <= 28
        assert all(OWN_CHAIN.fullmatch(name) for name in names)


def test_hazard_37_no_two_documents_share_a_chain() -> None:
    digest = tag_of("a-name-that-is-too-long-for-a-chain")
    assert tag_of(digest) != digest


@pytest.mark.parametrize("owner", ["", "-", 'a"b', "a b", "a\nb", "é", "a:b", "x" * 201])
def test_an_owner_that_could_not_stand_in_a_comment_is_refused(owner: str) -> None:
    with pytest.raises(InvalidValue, match="can't mark rules"):
        tag_of(owner)


_PREFIXES = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).flatmap(
    lambda address: st.integers(0, address.max_prefixlen).map(lambda length: f"{address}/{length}")
)


@given(_PREFIXES, _PREFIXES)
def test_prefixes_lie_in_each_other_as_ipaddress_says(one: str, other: str) -> None:
    first, second = ipaddress.ip_network(one, strict=False), ipaddress.ip_network(other, strict=False)
    same_family = first.version == second.version
    assert within(str(first), str(second)) == (same_family and first.subnet_of(second))  # type: ignore[arg-type]
    assert overlap(str(first), str(second)) == (same_family and first.overlaps(second))
