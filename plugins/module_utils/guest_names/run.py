# SPDX-License-Identifier: GPL-3.0-or-later
"""Read, plan, apply, verify: names in the files of guests. The effects are here and in hosts_file.writing."""

from __future__ import annotations

import contextlib
import os
from typing import Any, ContextManager, Dict, List, NamedTuple, Optional, Sequence, Tuple, Type

from .. import files
from ..docker_api import DOCKER_SOCKET
from ..errors import Conflict, HostwireError, InvalidValue, VerificationFailed
from ..hosts_file import writing
from ..hosts_file.entries import Entry, read_entries
from ..hosts_file.run import owner_problems
from ..hosts_file.run import planned as planned_hosts
from ..hosts_file.spot import Spot, spot
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


def run(
    asked: Asked, *, check: bool = False, state_dir: str = STATE_DIRECTORY, docker_socket: str = DOCKER_SOCKET
) -> List[Edit]:
    """Make the files say what is asked for, and take the owner's names out of all others; ``check`` only plans.

    Raises InvalidValue, Conflict, MissingOnHost, KernelRefused and VerificationFailed. Where a file can't be written,
    those before it are put back.
    """
    entries, problems = read_entries(asked.entries)
    resolver, more = read_resolver(asked.nameservers, asked.search)
    problems += more
    problems += owner_problems(asked.owner)
    if asked.host and asked.nameservers:
        problems.append("host: is for entries alone; this host's own resolv.conf is left to whoever keeps it")
    if problems:
        raise InvalidValue(problems)
    lock: ContextManager[None] = contextlib.nullcontext() if check else locked(state_dir, f"names {asked.owner!r}")
    with lock:
        wanted = _wanted(asked, docker_socket)
        edits = _planned(asked.owner, wanted, entries, resolver, state_dir)
        if asked.state == "present" and not wanted:
            _refuse_slip(asked, edits)
        if not check:
            _apply(edits, asked.owner, wanted, state_dir)
    return edits


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
    owner: str, wanted: Sequence[Place], entries: Sequence[Entry], resolver: Resolver, state_dir: str
) -> List[Edit]:
    problems: List[str] = []
    kind: Type[HostwireError] = Conflict
    edits: List[Optional[Edit]] = []
    for place in [*wanted, *places.left_over(wanted, owner, state_dir)]:
        try:
            with spot(place.path) as file:
                if place.kind == HOSTS:
                    edits.append(_hosts_edit(place, file, owner, entries if place.wanted else (), state_dir))
                else:
                    asks = resolver if place.wanted else Resolver(())
                    edits.append(_resolver_edit(place, file, owner, asks, state_dir))
        except (Conflict, InvalidValue) as error:
            if place.wanted or isinstance(error, Conflict):  # an odd file without names of ours is no concern
                problems += error.problems
                kind = type(error)
    if problems:
        raise kind(problems)
    return [edit for edit in edits if edit is not None and edit.before != edit.after]


def _hosts_edit(place: Place, file: Spot, owner: str, entries: Sequence[Entry], state_dir: str) -> Edit:
    outcome = planned_hosts(file, owner, entries, state_dir)
    added = [entry.line for entry in outcome.after if entry not in outcome.before]
    gone = [entry.line for entry in outcome.before if entry not in outcome.after]
    if len(added) + len(gone) > _MANY:
        words = [f"{what} {len(lines)} entries" for what, lines in (("remove", gone), ("add", added)) if lines]
    else:
        words = [f"{what} {visible(line)}" for what, lines in (("remove", gone), ("add", added)) for line in lines]
    line = f"{place.label}: {', '.join(words) or 'write the block in its usual form'}"
    return Edit(place, line, file.read(), outcome.content_after)


def _resolver_edit(place: Place, file: Spot, owner: str, asks: Resolver, state_dir: str) -> Optional[Edit]:
    content = file.read()
    torn = writing.torn(file, state_dir)
    now = None if content is None else taken_apart(content if torn is None else torn)
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


def _apply(edits: Sequence[Edit], owner: str, wanted: Sequence[Place], state_dir: str) -> None:
    """Write each file; if one can't be, put back those before it."""
    done: List[Edit] = []
    if edits:
        places.remember([*wanted, *(edit.place for edit in edits)], owner, state_dir)
    try:
        for edit in edits:
            _write(edit, state_dir)
            done.append(edit)
    except HostwireError as error:
        for edit in reversed(done):
            try:
                _write(edit._replace(before=edit.after, after=edit.before), state_dir)
            except HostwireError as undo:
                error.append(f"and it could not be put back: {undo}")
        raise
    if edits:
        places.remember(wanted, owner, state_dir)


def _write(edit: Edit, state_dir: str) -> None:
    """Make a file what it is to be, if it is still what was read; a write that fails leaves it as it was.

    A namespace's directory comes with its first file and goes with its last.
    """
    directory = os.path.dirname(edit.place.path)
    below = directory.startswith(f"{places.NETNS_FILES}/")
    if edit.after is not None and below:
        files.make_directory(directory)
    try:
        with spot(edit.place.path) as file:
            _demand(file, edit.before, edit.place)
            writing.write(file, edit.after, state_dir, in_place=edit.place.mounted)
            _demand(file, edit.after, edit.place)
    finally:
        if below:
            files.remove_empty(directory)


def _demand(file: Spot, content: Optional[bytes], place: Place) -> None:
    """Raise VerificationFailed where a file holds something else."""
    if file.read() != content:
        raise VerificationFailed(f"{place.label}: somebody else wrote to it meanwhile; run this again")


def plan(edits: Sequence[Edit]) -> Tuple[str, ...]:
    """A line for each file."""
    return tuple(edit.line for edit in edits)
