# SPDX-License-Identifier: GPL-3.0-or-later
"""The iptables programs: which are there, running them, and saying in words what went wrong. The effects are here."""

from __future__ import annotations

import errno
import functools
import os
import re
import shutil
import tempfile
import time
from typing import TYPE_CHECKING, Callable, Dict, FrozenSet, List, NamedTuple, Optional, Sequence, Tuple, Union

from ..errors import Conflict, HostwireError, KernelRefused, MissingOnHost, VerificationFailed
from ..netns import inside
from ..program import Done, TimedOut, run, run_all
from ..search_path import search_path
from . import matches, nfnetlink
from .difference import UNDO, applicable, is_done
from .rules import DEVGROUP
from .tables import OWN_CHAIN, Ruleset, Tables, choose, incompatible, is_complete, parse

if TYPE_CHECKING:
    from .chains import Chains

BACKENDS = ("nft", "legacy")
_BASE = {4: "iptables", 6: "ip6tables"}
# The tables of legacy iptables that exist in a namespace (linux/net/ipv4/netfilter/ip_tables.c). thread-self: the
# namespace of the calling thread, which may be another one than the process began in. Reading loads no module.
_LEGACY_NAMES = {4: "/proc/thread-self/net/ip_tables_names", 6: "/proc/thread-self/net/ip6_tables_names"}
_MULTI = re.compile(r"xtables-(nft|legacy)-multi")  # what all the names lead to, since iptables 1.8
_BRIDGED = "/proc/sys/net/bridge/bridge-nf-call-iptables"  # exists once br_netfilter is loaded
_OWN_TABLES = ("raw", "mangle", "nat", "filter")
_LOCK = "/run/xtables.lock"  # XT_LOCK_NAME, iptables/xshared.h
_LOCK_WAIT = 5  # seconds that one call waits for another's lock
_BUSY = 4  # RESOURCE_PROBLEM, include/xtables.h: the lock, or on nft a ruleset that changed meanwhile (hazard 35)
_ATTEMPTS = 6
_TAKES_AWAY = re.compile("^-X ", re.MULTILINE)  # nobody looks for what is gone; what is made is verified by the run
READ_SECONDS = 10.0  # for what only reads: tens of thousands of rules take two or three
_WRITE_SECONDS = 20.0  # for what writes, the wait for the lock included


def _where(netns: Optional[str]) -> str:
    return "host" if netns is None else f"namespace {netns}"


def _environment() -> Dict[str, str]:
    environment = {"LC_ALL": "C", "PATH": search_path()}
    lock = os.environ.get("XTABLES_LOCKFILE")
    if lock is None and not os.access(_LOCK if os.path.exists(_LOCK) else os.path.dirname(_LOCK), os.W_OK):
        # A user namespace sees /run but may not write there.
        lock = os.path.join(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir(), f"xtables.{os.getuid()}.lock")
    if lock is not None:
        environment["XTABLES_LOCKFILE"] = lock
    return environment


@functools.cache
def _backend_of(program: str) -> str:
    found = _MULTI.fullmatch(os.path.basename(os.path.realpath(program)))
    if found is not None:
        return found.group(1)
    version = run([program, "--version"], READ_SECONDS, environment=_environment())
    return "nft" if "nf_tables" in version.output else "legacy"


def _plain_program() -> Optional[str]:
    return shutil.which("iptables", path=search_path())


def installed() -> bool:
    """Whether this host has iptables at all."""
    return _plain_program() is not None


def default_backend() -> str:
    """The backend of the program that is plainly called ``iptables``. Raises MissingOnHost without one."""
    program = _plain_program()
    if program is None:
        raise MissingOnHost(
            "iptables: no such program on this host; masquerading, published ports, guests and protected networks need"
            " it (on most distributions the package is called iptables)"
        )
    return _backend_of(program)


def find(backend: str, family: int, verb: str) -> Optional[str]:
    """The path of e.g. ``iptables-nft-save``, or of ``iptables-save`` where that is the same; None if there is none."""
    path = search_path()
    exact = shutil.which(f"{_BASE[family]}-{backend}-{verb}", path=path)
    if exact is None and default_backend() == backend:
        exact = shutil.which(f"{_BASE[family]}-{verb}", path=path)
    return exact


def _required(backend: str, family: int, verb: str) -> str:
    program = find(backend, family, verb)
    if program is None:
        raise MissingOnHost(f"{_BASE[family]}-{backend}-{verb}: no such program on this host (package iptables)")
    return program


def legacy_tables(family: int) -> Optional[List[str]]:
    """The legacy tables that exist here; None if the kernel doesn't let us see (a user namespace)."""
    try:
        with open(_LEGACY_NAMES[family], encoding="ascii") as names:
            return names.read().split()
    except FileNotFoundError:
        return []
    except PermissionError:
        return None


def _save_commands(family: int) -> Dict[str, List[List[str]]]:
    """The commands that read a family, by backend. Nothing for a backend that can't hold a rule."""
    commands: Dict[str, List[List[str]]] = {}
    default = default_backend()
    nft = find("nft", family, "save")
    if nft is not None:
        commands["nft"] = [[nft]]
    tables = legacy_tables(family)
    if tables:
        commands["legacy"] = [[_required("legacy", family, "save")]]
    elif tables is None and default == "legacy":
        program = _required("legacy", family, "save")
        commands["legacy"] = [[program, "-t", table] for table in _OWN_TABLES]
    return commands


def _words(netns: Optional[str], command: Sequence[str], errors: str) -> HostwireError:
    name = os.path.basename(command[0])
    detail = "; ".join(line.strip() for line in errors.splitlines() if line.strip()) or "no reason given"
    subject = f"{_where(netns)}: {name}"
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
    for (key, command), done in zip(asked, run_all([command for _key, command in asked], READ_SECONDS, _environment())):
        failure = _unread(netns, key, command, done)
        if failure is None:
            found.texts[key] = found.texts.get(key, "") + done.output
        else:
            found.failures[key] = failure
    return found


def _unread(netns: Optional[str], key: Tuple[str, int], command: Sequence[str], done: Done) -> Optional[HostwireError]:
    """Why what a save program printed isn't all that there is, if so. ``key``: backend and family."""
    if done.status != 0:
        return _words(netns, command, _complaint(done))
    if not is_complete(done.output):
        return _words(netns, command, "what it printed ends in the middle")
    try:
        if not done.output.strip() and _has_ours(*key):
            return _words(netns, command, "it printed nothing, and rules of the collection are there")
    except OSError as error:
        return _words(netns, command, f"it printed nothing, and what is there can't be told: {error.strerror}")
    return None


def _has_ours(backend: str, family: int) -> bool:
    """Whether chains of ours may stand here, told by the kernel and not by a program. Raises OSError."""
    if backend == "legacy":
        return bool(legacy_tables(family))  # of a table that exists it prints the chains
    with nfnetlink.where_there_is_any():
        return {4: "ip", 6: "ip6"}[family] in nfnetlink.families_of(OWN_CHAIN)
    return False


def _complaint(done: Done) -> str:
    if done.status < 0:
        return f"{done.complaint}\nit was ended by signal {-done.status}"
    return done.complaint or f"exit code {done.status}"


def saved(backend: str, family: int, *options: str) -> str:
    """What one backend's save program prints, in the namespace that the thread is in. Raises as observe does."""
    command = [_required(backend, family, "save"), *options]
    done = run(command, READ_SECONDS, environment=_environment())
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
    return Tables(netns, chosen, rulesets, bridged, _lacking(netns, chosen))


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
                f"{_where(netns)}: native nft rules stand in {_BASE[family]}'s table {', '.join(ours)}, which iptables"
                " can no longer read; move them to a table of another name"
            )


class _Change(NamedTuple):
    """What is to come of some rules: ``fitted`` makes the text for those that stand, "" where it is so already.

    ``text``: what to give at once, without looking; ``watched``: what stands afterwards is looked at, whatever it said.
    """

    fitted: Callable[[Ruleset], str]
    text: Optional[str] = None
    watched: bool = True


def restore(netns: Optional[str], backend: str, family: int, text: str) -> None:
    """Hand one transaction to ``iptables-restore --noflush``; each table in it is changed as a whole or not at all.

    The ``undo`` of a Swap can be given again and again, whatever part of the change was made. Waits for others' locks,
    about half a minute at most. What stands then decides, not what the program says. Raises KernelRefused,
    MissingOnHost or TimedOut.
    """

    def fitted(there: Ruleset) -> str:
        # What is to be deleted may be gone meanwhile, what is to be made may be there.
        return "" if is_done(text, there) else applicable(text, there)

    undoes = text.startswith(UNDO)
    change = _Change(fitted, text, watched=undoes or _TAKES_AWAY.search(text) is not None)
    _bring_about(netns, backend, family, change, looks=undoes)


def lead(netns: Optional[str], backend: str, family: int, before: Chains, after: Chains) -> None:
    """Change chains that may be others' too as ``before`` became ``after``, whatever stands in them; nothing if so.

    Waits and raises as :func:`restore` does.
    """
    from .chains import leading  # loaded when it is needed: chains of our own alone are written as a whole

    _bring_about(netns, backend, family, _Change(lambda there: leading(there, before, after)), looks=True)


def rules_of(netns: Optional[str], backend: str, family: int) -> Ruleset:
    """The rules of one backend. Raises as observe does."""
    with inside(netns):
        return _read_back(backend, family)


def _bring_about(netns: Optional[str], backend: str, family: int, change: _Change, looks: bool) -> None:
    command = [_required(backend, family, "restore"), "--noflush", f"--wait={_LOCK_WAIT}"]
    with inside(netns):
        failure = _written(command, change, backend, family, looks)
    if isinstance(failure, HostwireError):
        failure.prefix(f"{_where(netns)}: ")
        raise failure
    if failure:
        raise _words(netns, command, failure)


def _written(
    command: Sequence[str], change: _Change, backend: str, family: int, looks: bool
) -> Union[str, HostwireError]:
    """Write it, again if that is of use; why it isn't so, "" if it is. ``looks``: at what stands, before the first."""
    failure: Union[str, HostwireError] = ""
    now, tried, again = change.text or "", "", True
    for attempt in range(_ATTEMPTS):
        if looks or attempt:
            try:
                there = _read_back(backend, family)
            except HostwireError as error:
                # It fits if the change was made as a whole: better than nothing, but nobody can see what became of it.
                if attempt or change.text is None:
                    return failure or error
                return _blindly(command, change.text, error)
            now = change.fitted(there)
            if not now:
                return ""
        if not again and now == tried:
            break
        if attempt:
            time.sleep(0.01 * 2**attempt)
        tried = now
        try:
            done = run(command, _WRITE_SECONDS, text=now, environment=_environment())
        except TimedOut as error:
            return error if change.fitted(_read_back(backend, family)) else ""
        failure = _complaint(done) + _culprit(now, done.complaint)
        again = done.status < 0 or (done.status == _BUSY and "ermission denied" not in done.complaint)
        if done.status == 0:
            if not change.watched or not change.fitted(_read_back(backend, family)):
                return ""
            failure = VerificationFailed(
                f"{os.path.basename(command[0])}: it ended well, but not all of its work is done"
            )
            again = not attempt
    return failure


def _blindly(command: Sequence[str], text: str, error: HostwireError) -> HostwireError:
    try:
        done = run(command, _WRITE_SECONDS, text=text, environment=_environment())
    except TimedOut as late:
        error.append(str(late))
        return error
    said = "it ended well, but what stands now could not be read" if done.status == 0 else _complaint(done)
    error.append(f"{os.path.basename(command[0])}: {said}")
    return error


def _read_back(backend: str, family: int) -> Ruleset:
    """The rules where the thread is; a program that fails is asked once more."""
    commands = _save_commands(family).get(backend, [])
    answers = run_all(commands, READ_SECONDS, _environment())
    if any(_unread(None, (backend, family), command, done) for command, done in zip(commands, answers)):
        answers = run_all(commands, READ_SECONDS, _environment())
    for command, done in zip(commands, answers):
        failure = _unread(None, (backend, family), command, done)
        if failure is not None:
            raise failure
    return parse("".join(done.output for done in answers))


def _culprit(text: str, errors: str) -> str:
    """The line of the input that the program complains about."""
    found = re.search(r"line:? (\d+)", errors)
    lines = text.splitlines()
    if found is None or not 0 < int(found.group(1)) <= len(lines):
        return ""
    return f"\nthat line is: {lines[int(found.group(1)) - 1]}"
