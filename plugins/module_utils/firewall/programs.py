# SPDX-License-Identifier: GPL-3.0-or-later
"""The iptables programs: running them, and saying in words what went wrong.

Which there are is in :mod:`.iptables`; what to write, and until when, in :mod:`.writing`.
"""

from __future__ import annotations

import errno
import os
import re
from typing import Dict, FrozenSet, List, NamedTuple, Optional, Sequence, Tuple

from ..errors import Conflict, HostwireError, KernelRefused, MissingOnHost
from ..netns import inside
from ..program import Done, run, run_all
from . import matches, nfnetlink
from .iptables import BASE, default_backend, environment, find, legacy_tables, required
from .tables import DEVGROUP, OWN_CHAIN, Ruleset, Tables, choose, dropping, incompatible, is_complete, parse

__all__ = [
    "READ_SECONDS",
    "blank",
    "complaint",
    "default_backend",
    "find",
    "give",
    "legacy_tables",
    "observe",
    "read_back",
    "rules_of",
    "saved",
    "where",
    "words",
]

_BRIDGED = "/proc/sys/net/bridge/bridge-nf-call-iptables"  # exists once br_netfilter is loaded
_OWN_TABLES = ("raw", "mangle", "nat", "filter")
READ_SECONDS = 10.0  # for what only reads: tens of thousands of rules take two or three
_WRITE_SECONDS = 20.0  # for what writes, the wait for the lock included


def where(netns: Optional[str]) -> str:
    """A namespace in words."""
    return "host" if netns is None else f"namespace {netns}"


def _save_commands(family: int) -> Dict[str, List[List[str]]]:
    """The commands that read a family, by backend. Nothing for a backend that can't hold a rule."""
    commands: Dict[str, List[List[str]]] = {}
    default = default_backend()
    nft = find("nft", family, "save")
    if nft is not None:
        commands["nft"] = [[nft]]
    tables = legacy_tables(family)
    if tables:
        commands["legacy"] = [[required("legacy", family, "save")]]
    elif tables is None and default == "legacy":
        program = required("legacy", family, "save")
        commands["legacy"] = [[program, "-t", table] for table in _OWN_TABLES]
    return commands


def words(netns: Optional[str], command: Sequence[str], errors: str) -> HostwireError:
    """The error that a program's complaint means."""
    name = os.path.basename(command[0])
    detail = "; ".join(line.strip() for line in errors.splitlines() if line.strip()) or "no reason given"
    subject = f"{where(netns)}: {name}"
    if "ermission denied" in detail or "not permitted" in detail:
        return MissingOnHost(f"{subject}: not allowed; reading and writing rules needs CAP_NET_ADMIN ({detail})")
    if re.search(r"Couldn't load|missing kernel module|insmod|[Nn]ot supported|Failed to initialize nft", detail):
        return MissingOnHost(f"{subject}: the kernel or the iptables package lacks something: {detail}")
    return KernelRefused(subject, errno.EINVAL, detail)


class _Saved(NamedTuple):
    """What the save programs printed, or why they didn't, by backend and family."""

    texts: Dict[Tuple[str, int], str]
    failures: Dict[Tuple[str, int], HostwireError]


def _save(netns: Optional[str], families: Sequence[int]) -> _Saved:
    """Run the save programs in the namespace that the thread is in, all at once: they don't wait for each other."""
    asked = [
        ((backend, family), command)
        for family in families
        for backend, commands in _save_commands(family).items()
        for command in commands
    ]
    found = _Saved({}, {})
    for (key, command), done in zip(asked, run_all([command for _key, command in asked], READ_SECONDS, environment())):
        failure = _unread(netns, key, command, done)
        if failure is None:
            found.texts[key] = found.texts.get(key, "") + done.output
        else:
            found.failures[key] = failure
    return found


def _unread(netns: Optional[str], key: Tuple[str, int], command: Sequence[str], done: Done) -> Optional[HostwireError]:
    """Why what a save program printed isn't all that there is, if so. ``key``: backend and family."""
    if done.status != 0:
        return words(netns, command, complaint(done))
    if not is_complete(done.output):
        return words(netns, command, "what it printed ends in the middle")
    try:
        if not done.output.strip() and _has_ours(*key):
            return words(netns, command, "it printed nothing, and rules of the collection are there")
    except OSError as error:
        return words(netns, command, f"it printed nothing, and what is there can't be told: {error.strerror}")
    return None


def _has_ours(backend: str, family: int) -> bool:
    """Whether chains of ours may stand here, told by the kernel and not by a program. Raises OSError."""
    if backend == "legacy":
        return bool(legacy_tables(family))  # of a table that exists it prints the chains
    with nfnetlink.where_there_is_any():
        return {4: "ip", 6: "ip6"}[family] in nfnetlink.families_of(OWN_CHAIN)
    return False


def complaint(done: Done) -> str:
    """What a program that failed has to say."""
    if done.status < 0:
        return f"{done.complaint}\nit was ended by signal {-done.status}"
    return done.complaint or f"exit code {done.status}"


def saved(backend: str, family: int, *options: str) -> str:
    """What one backend's save program prints, in the namespace that the thread is in. Raises as observe does."""
    command = [required(backend, family, "save"), *options]
    done = run(command, READ_SECONDS, environment=environment())
    failure = _unread(None, (backend, family), command, done)
    if failure is not None:
        raise failure
    return done.output


def observe(netns: Optional[str], families: Sequence[int] = (4, 6)) -> Tables:
    """Read the packet filter of a namespace; writes nothing, loads no legacy module.

    Raises Conflict if others' rules stand in both backends or a table holds native nft rules, MissingOnHost without
    iptables or the right to use it.
    """
    with inside(netns):
        bridged = os.path.exists(_BRIDGED)
        texts, failures = _save(netns, families)
    rulesets = {key: parse(text) for key, text in texts.items()}
    chosen = choose(texts, rulesets, default_backend(), netns)
    _refuse_native(texts, netns)
    for family in families:
        if (chosen, family) in failures:
            raise failures[chosen, family]
        rulesets.setdefault((chosen, family), {})
    return Tables(netns, chosen, rulesets, bridged, _lacking(netns, chosen), dropping(texts, chosen))


def blank(netns: Optional[str], families: Sequence[int]) -> Tables:
    """The packet filter of a namespace that is still to be made."""
    backend = default_backend()
    rulesets: Dict[Tuple[str, int], Ruleset] = {(backend, family): {} for family in families}
    return Tables(netns, backend, rulesets, os.path.exists(_BRIDGED), _lacking(None, backend))


def _lacking(netns: Optional[str], backend: str) -> FrozenSet[str]:
    """What either family lacks, whichever are read: documents share rules. With "/4" or "/6" behind it, only there."""
    by_family = {family: matches.lacking(netns, backend, family) for family in (4, 6)}
    nowhere = by_family[4] & by_family[6] | (by_family[4] | by_family[6]) & {DEVGROUP}  # a link has one group
    return nowhere | {f"{name}/{family}" for family, names in by_family.items() for name in names - nowhere}


def _refuse_native(texts: Dict[Tuple[str, int], str], netns: Optional[str]) -> None:
    for (_backend, family), text in texts.items():
        ours = [table for table in incompatible(text) if table in _OWN_TABLES]
        if ours:
            raise Conflict(
                f"{where(netns)}: native nft rules stand in {BASE[family]}'s table {', '.join(ours)}, which iptables"
                " can no longer read; move them to a table of another name"
            )


def give(command: Sequence[str], text: str) -> Done:
    """Have a restore program read one transaction, in the namespace that the thread is in."""
    return run(command, _WRITE_SECONDS, text=text, environment=environment())


def rules_of(netns: Optional[str], backend: str, family: int) -> Ruleset:
    """The rules of one backend. Raises as observe does."""
    with inside(netns):
        return read_back(backend, family)


def read_back(backend: str, family: int) -> Ruleset:
    """The rules where the thread is; a program that fails is asked once more."""
    commands = _save_commands(family).get(backend, [])
    answers = run_all(commands, READ_SECONDS, environment())
    if any(_unread(None, (backend, family), command, done) for command, done in zip(commands, answers)):
        answers = run_all(commands, READ_SECONDS, environment())
    for command, done in zip(commands, answers):
        failure = _unread(None, (backend, family), command, done)
        if failure is not None:
            raise failure
    return parse("".join(done.output for done in answers))
