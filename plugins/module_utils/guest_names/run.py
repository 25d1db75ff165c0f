# SPDX-License-Identifier: GPL-3.0-or-later
"""Read, plan, apply, verify: names in the files of guests. Planned here; what writes is the executor."""

from __future__ import annotations

import contextlib
from typing import Any, ContextManager, Dict, List, NamedTuple, Optional, Sequence, Tuple, Type

from ..apply import file_edits
from ..apply.journals import Foretold, Job, Journals, gone_on
from ..docker_api import DOCKER_SOCKET
from ..errors import Conflict, HostwireError, InvalidValue
from ..hosts_file.entries import Entry, read_entries
from ..hosts_file.run import owner_problems
from ..hosts_file.run import planned as planned_hosts
from ..spot import spot
from ..state_directory import STATE_DIRECTORY, locked
from ..visible import visible
from . import places
from .places import HOSTS, Place
from .resolver import DOCKERS_OWN, Resolver, put_together, read_resolver, taken_apart

_MANY = 3  # changes of one file that are told one by one


class Asked(NamedTuple):
    """What is asked for, as the module's options are."""

    owner: str
    state: str = "present"
    namespaces: Sequence[Any] = ()
    containers: Sequence[Any] = ()
    host: bool = False
    entries: Sequence[Any] = ()
    nameservers: Sequence[Any] = ()
    search: Sequence[Any] = ()


class Edit(NamedTuple):
    """One file and the line of the plan for it; None is a file that isn't there."""

    place: Place
    line: str
    before: Optional[bytes]
    after: Optional[bytes]


class Outcome(NamedTuple):
    """What a run did, or would do: ``plan`` begins with what an earlier run had left."""

    plan: Tuple[str, ...]
    edits: Tuple[Edit, ...]


def run(
    asked: Asked, *, check: bool = False, state_dir: str = STATE_DIRECTORY, docker_socket: str = DOCKER_SOCKET
) -> Outcome:
    """Make the files say what is asked for, and take the owner's names out of all others; ``check`` only plans.

    Raises InvalidValue, Conflict, MissingOnHost, KernelRefused, VerificationFailed and Interrupted, after which all
    files are as they were; else UndoFailed.
    """
    entries, problems = read_entries(asked.entries)
    resolver, more = read_resolver(asked.nameservers, asked.search)
    problems += more
    problems += owner_problems(asked.owner)
    if asked.host and asked.nameservers:
        problems.append("host: is for entries alone; this host's own resolv.conf is left to whoever keeps it")
    if problems:
        raise InvalidValue(problems)
    title = f"names {asked.owner!r}"
    lock: ContextManager[None] = contextlib.nullcontext() if check else locked(state_dir, title)
    with lock:
        wanted = _wanted(asked, docker_socket)
        journals = Journals(state_dir)
        there = [*wanted, *places.left_over(wanted, asked.owner, state_dir)]
        gone = gone_on(journals, _journal(asked.owner), [place.path for place in there], check)
        there = [*wanted, *places.left_over(wanted, asked.owner, state_dir, gone.contents)]
        edits = _planned(asked.owner, there, entries, resolver, gone)
        if asked.state == "present" and not wanted:
            _refuse_slip(asked, edits)
        if edits and not check:
            _write(journals, asked.owner, edits, wanted, title, state_dir)
    return Outcome((*gone.lines, *(edit.line for edit in edits)), tuple(edits))


def _wanted(asked: Asked, docker_socket: str) -> List[Place]:
    """The files of all guests that are asked for, each once: containers may share theirs."""
    if not asked.entries and not asked.nameservers:
        return []
    found = [Place(places.HOST_FILE, HOSTS, places.HOST_FILE)] if asked.host else []
    found += places.of_namespaces(asked.namespaces)
    found += places.of_containers(asked.containers, docker_socket)
    once: Dict[str, Place] = {}
    for place in found:
        once.setdefault(place.path, place)
    return list(once.values())


def _refuse_slip(asked: Asked, edits: Sequence[Edit]) -> None:
    """Where nothing is asked for, the owner's names are not taken away; that is what ``absent`` is for."""
    if edits:
        missing = "guests" if asked.entries or asked.nameservers else "names"
        files_there = ", ".join(edit.place.label for edit in edits[:_MANY]) + (", ..." if len(edits) > _MANY else "")
        raise InvalidValue(
            f'state: no {missing} are given, and names of "{asked.owner}" stand in {files_there}; '
            f"say state: absent to take them away"
        )


def _planned(
    owner: str, there: Sequence[Place], entries: Sequence[Entry], resolver: Resolver, gone: Foretold
) -> List[Edit]:
    problems: List[str] = []
    kind: Type[HostwireError] = Conflict
    edits: List[Optional[Edit]] = []
    for place in there:
        try:
            with spot(place.path) as file:
                content = gone.contents.get(place.path, file.read())
            if place.kind == HOSTS:
                edits.append(_hosts_edit(place, content, owner, entries if place.wanted else ()))
            else:
                edits.append(_resolver_edit(place, content, owner, resolver if place.wanted else Resolver(())))
        except (Conflict, InvalidValue) as error:
            if place.wanted or isinstance(error, Conflict):  # an odd file without names of ours is no concern
                problems += error.problems
                kind = type(error)
    if problems:
        raise kind(problems)
    return [edit for edit in edits if edit is not None and edit.before != edit.after]


def _hosts_edit(place: Place, content: Optional[bytes], owner: str, entries: Sequence[Entry]) -> Edit:
    outcome = planned_hosts(place.path, content, owner, entries)
    added = [entry.line for entry in outcome.after if entry not in outcome.before]
    gone = [entry.line for entry in outcome.before if entry not in outcome.after]
    if len(added) + len(gone) > _MANY:
        words = [f"{what} {len(lines)} entries" for what, lines in (("remove", gone), ("add", added)) if lines]
    else:
        words = [f"{what} {visible(line)}" for what, lines in (("remove", gone), ("add", added)) for line in lines]
    line = f"{place.label}: {', '.join(words) or 'write the block in its usual form'}"
    return Edit(place, line, content, outcome.content_after)


def _resolver_edit(place: Place, content: Optional[bytes], owner: str, asks: Resolver) -> Optional[Edit]:
    now = None if content is None else taken_apart(content)
    ours = now is not None and now.owner == owner
    if not asks.nameservers:
        if now is None or not ours:
            return None
        return Edit(place, f"{place.label}: {'remove' if now.before is None else 'put back'}", content, now.before)
    words = ", ".join(asks.nameservers)
    if now is None:
        return Edit(place, f"{place.label}: ask {words}", None, put_together(owner, asks, None))
    if not ours and asks.nameservers in (now.asks.nameservers, place.served_by):
        return None  # it says so already
    if not ours:
        _refuse(place, now.owner, now.asks, words)
    return Edit(place, f"{place.label}: ask {words}", content, put_together(owner, asks, now.before))


def _refuse(place: Place, owner: Optional[str], asks: Resolver, words: str) -> None:
    """Only a container's file, which the engine made and makes anew, may be replaced. Raises Conflict."""
    if owner is not None:
        raise Conflict(f"{place.label}: belongs to the names {owner!r}; a guest has one name service")
    if not place.mounted:
        asked = ", ".join(asks.nameservers) or "nobody"
        raise Conflict(
            f"{place.label}: exists, isn't ours and asks {asked}: take nameservers out of the document it belongs to,"
            f" or let it ask {words}"
        )
    if DOCKERS_OWN in asks.nameservers:
        option = " ".join(f"--dns {address}" for address in words.split(", "))
        raise Conflict(
            f"{place.label}: asks Docker's own server, which alone knows the other containers of its networks; start it"
            f" with {option}, and that server will ask {words} for the rest"
        )


def _write(
    journals: Journals, owner: str, edits: Sequence[Edit], wanted: Sequence[Place], title: str, state_dir: str
) -> None:
    """Write each file, and what is remembered of containers' last; if any can't be, all of them are put back."""
    from ..apply.jobs import carry_out, step  # loaded when it is needed: most runs change nothing

    steps = []
    for number, (place, _line, before, after) in enumerate(edits):
        edit = file_edits.planned(place.path, before, after, place.label, place.mounted)
        steps.append(step(edit, number))
    memory = places.memory_of(owner, state_dir)
    was, will = places.memory(memory), places.noted(wanted)
    if was != will:
        steps.append(step(file_edits.planned(memory, was, will, f"file {memory}", private=True), len(edits)))
    lines = (*(edit.line for edit in edits), f"file {memory}")
    carry_out(Job(_journal(owner), title, lines, tuple(steps), {}), journals, lambda: None)


def _journal(owner: str) -> str:
    return f"names.{owner}"
