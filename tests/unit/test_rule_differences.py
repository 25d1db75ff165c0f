# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the rules of ours are as they were: which, how often, in which order, where among those of others."""

from __future__ import annotations

from typing import Dict, List, Optional

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils.apply.differences import rule_differences
from ansible_collections.hostwire.linux.plugins.module_utils.firewall.tables import Tables


def ours(chain: str, target: str = "HW-FORWARD-X") -> str:
    return f'-A {chain} -m comment --comment "hostwire:t:0123456789" -j {target}'


def theirs(chain: str, *names: str) -> List[str]:
    return [f"-A {chain} -j {name}" for name in names]


def told(
    before: Dict[str, List[str]],
    after: Dict[str, List[str]],
    backend: str = "nft",
    family: int = 4,
    table: str = "filter",
    netns: Optional[str] = None,
) -> List[str]:
    then, now = (Tables(netns, backend, {(backend, family): {table: chains}}) for chains in (before, after))
    return rule_differences({netns: then}, {netns: now})


WHERE = pytest.mark.parametrize(
    ("backend", "family", "netns", "words"),
    [
        ("nft", 4, None, "host: iptables-nft: "),
        ("legacy", 4, "g", "g: iptables-legacy: "),
        ("nft", 6, "g", "g: ip6tables-nft: "),
        ("legacy", 6, None, "host: ip6tables-legacy: "),
    ],
)
JUMP, OTHER = ours("FORWARD"), ours("FORWARD", "HW-OTHER-X")
OWN = ["-A HW-FORWARD-X -s 10.0.0.0/8 -j DROP", "-A HW-FORWARD-X -j ACCEPT"]
DROP, DOCKER, LOG = theirs("FORWARD", "DROP", "DOCKER-FORWARD", "LOG")

CHANGED = {
    "gone": ([JUMP], [], "gone"),
    "left over": ([], [JUMP], "left over"),
    "twice": ([JUMP], [JUMP, JUMP], "left over"),
    "once of two": ([JUMP, DROP, JUMP], [JUMP, DROP], "gone"),
    "before somebody's": ([DROP, JUMP], [JUMP, DROP], "in another place"),
    "behind somebody's": ([JUMP, DROP], [DROP, JUMP], "in another place"),
    "one of two": ([JUMP, DROP, OTHER], [JUMP, OTHER, DROP], "HW-OTHER-X"),
    "in another order": ([JUMP, OTHER], [OTHER, JUMP], "in another order"),
    "among the same twice": ([LOG, JUMP, LOG], [LOG, LOG, JUMP], "in another place"),
}
OTHERS = {
    "all of theirs gone": ([DROP, JUMP, DOCKER], [JUMP]),
    "all of theirs new": ([JUMP], [DOCKER, JUMP, DROP]),
    "others before": ([DROP, JUMP], [DOCKER, LOG, DROP, JUMP]),
    "others in between": ([JUMP, OTHER], [JUMP, DOCKER, OTHER]),
    "some of theirs moved": ([DOCKER, LOG, DROP, JUMP], [LOG, DROP, JUMP, DOCKER]),
    "the same again": ([LOG, JUMP], [LOG, LOG, JUMP]),
    "one of two the same": ([LOG, JUMP, LOG], [LOG, JUMP]),
}


@WHERE
@pytest.mark.parametrize("case", CHANGED)
def test_what_has_become_of_our_rules_in_a_chain_of_others(
    case: str, backend: str, family: int, netns: Optional[str], words: str
) -> None:
    before, after, what = CHANGED[case]
    (line,) = told({"FORWARD": before}, {"FORWARD": after}, backend, family, netns=netns)
    assert line.startswith(words)
    assert what in line


@pytest.mark.parametrize("chain", ["FORWARD", "DOCKER-USER"])
@pytest.mark.parametrize("case", OTHERS)
def test_what_others_do_to_their_own_rules_is_theirs(case: str, chain: str) -> None:
    before, after = ([line.replace("FORWARD ", f"{chain} ", 1) for line in lines] for lines in OTHERS[case])
    assert told({chain: before}, {chain: after}) == []


@pytest.mark.parametrize(
    ("after", "what"),
    [
        (OWN[::-1], "in another order"),
        ([*OWN, OWN[0]], "left over"),
        (OWN[:1], "gone"),
        ([], "gone"),
        (None, "gone"),
    ],
)
def test_a_chain_of_ours_is_compared_as_it_stands(after: Optional[List[str]], what: str) -> None:
    lines = told({"HW-FORWARD-X": OWN}, {} if after is None else {"HW-FORWARD-X": after})
    assert lines
    assert all(what in line for line in lines)


def test_a_chain_of_ours_without_a_rule_is_there_or_not() -> None:
    assert told({"HW-FORWARD-X": []}, {"HW-FORWARD-X": []}) == []
    assert told({"HW-FORWARD-X": []}, {}) == ["host: iptables-nft: filter: our chain HW-FORWARD-X is gone"]
    assert told({}, {"HW-FORWARD-X": []}) == ["host: iptables-nft: filter: our chain HW-FORWARD-X is left over"]
    assert told({"THEIRS": []}, {}) == []
