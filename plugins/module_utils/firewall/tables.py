# SPDX-License-Identifier: GPL-3.0-or-later
"""What iptables-save printed, as values."""

from __future__ import annotations

import re
from typing import Dict, FrozenSet, List, NamedTuple, Optional, Set, Tuple

from ..errors import Conflict

# table -> chain -> its rules, each as the line that iptables-save prints ("-A CHAIN ...")
Ruleset = Dict[str, Dict[str, List[str]]]

OWN_CHAIN = re.compile(r"(?:HW-[A-Z]+|HOSTWIRE)-[A-Za-z0-9_.~-]+")
MARK = re.compile(r"hostwire:([A-Za-z0-9_.-]+:[0-9a-f]{10})\b")
_RANK = re.compile(r"hostwire:[A-Za-z0-9_.-]+:[0-9a-f]{10}:(\d+)")
# Targets after which the next rule is asked (iptables-extensions(8)).
GO_ON = (
    "AUDIT", "CHECKSUM", "CLASSIFY", "CONNMARK", "CONNSECMARK", "CT", "DSCP", "HL", "LED", "LOG", "MARK", "NFLOG",
    "NOTRACK", "RATEEST", "SECMARK", "SET", "TCPMSS", "TEE", "TOS", "TRACE", "TTL", "ULOG",
)  # fmt: skip
BUILT_IN = ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")
_TARGET = re.compile(r" -[jg] (\S+)")
_INCOMPATIBLE = re.compile(r"# Table `(\S+)' is incompatible")
_DROPS = re.compile(r"^:(\S+) DROP", re.MULTILINE)


class Tables(NamedTuple):
    """The packet filter of one namespace as it was read.

    ``backend`` ("nft" or "legacy") is the one to write to; ``rulesets`` holds each (backend, family) that was read.
    ``bridged``: bridged packets may pass through iptables here (br_netfilter is loaded). ``lacking``: the matches of
    interest that the kernel hasn't got.
    """

    netns: Optional[str]
    backend: str
    rulesets: Dict[Tuple[str, int], Ruleset]
    bridged: bool = False
    lacking: FrozenSet[str] = frozenset()

    def lacks(self, family: int) -> FrozenSet[str]:
        """The matches of interest that rules of a family can't be written with."""
        return frozenset(name.partition("/")[0] for name in self.lacking if name[-2:] not in ("/4", "/6")) | frozenset(
            name[:-2] for name in self.lacking if name.endswith(f"/{family}")
        )


def parse(text: str) -> Ruleset:
    """Read the output of iptables-save, in one pass."""
    ruleset: Ruleset = {}
    chains: Dict[str, List[str]] = {}
    for line in text.split("\n"):  # a comment may hold anything else that splitlines() takes for a line's end
        if line.startswith("-A "):
            chains[line.split(" ", 2)[1]].append(line)
        elif line.startswith(":"):
            chains[line[1:].split(" ", 1)[0]] = []
        elif line.startswith("*"):
            chains = ruleset.setdefault(line[1:], {})
    return ruleset


def owned_marks(lines: List[str]) -> List[Optional[str]]:
    """The mark ("owner:hash") of each rule, None for a rule that isn't ours."""
    found = MARK.findall("\n".join(lines))
    if len(found) == len(lines):  # the usual case, in one go
        return found
    matches = [MARK.search(line) for line in lines]
    return [match.group(1) if match else None for match in matches]


def own_lines(ruleset: Ruleset) -> Set[str]:
    """The rules that the collection made, whichever document, each behind its table; where they stand isn't said."""
    return {
        f"{table}: {line}"
        for table, chains in ruleset.items()
        for chain, lines in chains.items()
        for line in lines
        if MARK.search(line) or OWN_CHAIN.fullmatch(chain)
    }


def whole(ruleset: Ruleset) -> str:
    """What ``iptables-restore --noflush`` makes this ruleset of where there is none, but for policies.

    What stands in built-in chains is inserted, last first, so that it can be left out where it stands.
    """
    lines: List[str] = []
    for table, chains in ruleset.items():
        lines.append(f"*{table}")
        lines += (f":{chain} - [0:0]" for chain in chains if chain not in BUILT_IN)
        for chain, rules in chains.items():
            lines += (f"-I{line[2:]}" for line in reversed(rules)) if chain in BUILT_IN else rules
        lines.append("COMMIT")
    return "\n".join([*lines, ""])


def rank_of(line: str) -> int:
    """Where a rule of ours belongs in a shared chain; 0 for one that says nothing of it."""
    found = _RANK.search(line)
    return int(found.group(1)) if found else 0


def target_of(line: str) -> str:
    """The chain or target that a rule leads to, "" if it has none."""
    found = _TARGET.search(line)
    return found.group(1) if found else ""


def foreign_tables(text: str, ruleset: Ruleset) -> List[str]:
    """The tables in which somebody else has a rule, or a policy that drops. ``ruleset`` was read from ``text``."""
    found = []
    drops = _DROPS.search(text) is not None
    for table, chains in ruleset.items():
        strange = any(
            not MARK.search(line) for chain, lines in chains.items() if not OWN_CHAIN.fullmatch(chain) for line in lines
        )
        if strange or (drops and table == "filter"):
            found.append(table)
    return found


def choose(
    texts: Dict[Tuple[str, int], str], rulesets: Dict[Tuple[str, int], Ruleset], default: str, netns: Optional[str]
) -> str:
    """The backend to write to: the one that holds somebody else's rules, else ``default`` (hazard 36).

    Raises Conflict if both backends hold foreign rules.
    """
    foreign: Dict[str, List[str]] = {}
    for (backend, family), ruleset in rulesets.items():
        foreign.setdefault(backend, []).extend(foreign_tables(texts[backend, family], ruleset))
    users = sorted(backend for backend, tables in foreign.items() if tables)
    if len(users) > 1:
        where = "host" if netns is None else f"namespace {netns}"
        listed = " and ".join(f"iptables-{name} ({', '.join(sorted(set(foreign[name])))})" for name in users)
        raise Conflict(
            f"{where}: rules of others stand in both {listed}; neither sees the other's, so a rule of ours could not be"
            " right for both. Move them all to one of the two (iptables-save there, iptables-restore here, flush there)"
        )
    return users[0] if users else default


def incompatible(text: str) -> List[str]:
    """The tables that iptables-nft-save could not read because native nft rules stand in them."""
    return _INCOMPATIBLE.findall(text)
