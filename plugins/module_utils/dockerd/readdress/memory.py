# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to survive a run: the state before our first change, and the journal of a run that is on its way.

Both are JSON below /var/lib/hostwire/docker, on disk for good before what they tell of is changed.
"""

from __future__ import annotations

import contextlib
import os
from typing import Any, Callable, ContextManager, Dict, NamedTuple, Optional, Tuple, TypeVar

from ... import files, records, state_directory
from ...errors import Conflict, KernelRefused
from ...records import Unusable, all_texts, of_kind, texts_or_none

DIRECTORY = os.path.join(state_directory.STATE_DIRECTORY, "docker")
_FORMAT = 1
T = TypeVar("T")
Texts = Dict[str, Optional[str]]  # a file's text by its path; None: the file isn't there


class Origin(NamedTuple):
    """The state before our first change: files, docker0's addresses; and the files as we left them last."""

    texts: Texts
    addresses: Tuple[str, ...]
    address: str
    written: Texts
    options: Dict[str, Any]  # our options' values by daemon.json key; those that stood nowhere aren't here


class Expected(NamedTuple):
    """What the new state has to look like; "" and None are not looked at. ``subnets`` are those of other networks.

    ``subnet6`` is docker0's IPv6 subnet.
    """

    address: str = ""
    address6: str = ""
    fixed_cidr: str = ""
    options: Dict[str, str] = {}  # of the network "bridge", as the engine calls them
    masquerade: Optional[bool] = None
    subnets: Dict[str, Tuple[str, ...]] = {}
    subnet6: str = ""


class Switch(NamedTuple):
    """One way for dockerd from one configuration to another.

    While it is stopped docker0 loses the addresses ``gone`` and gets those of ``put``. ``final`` are the texts of the
    files in the end. ``start`` are those that make it forget an address that it remembers (it does so wherever none is
    said, and whatever docker0 has): with them it is started, then they are replaced. ``kept`` are somebody else's
    addresses on docker0, which it has again after Docker's start.
    """

    start: Texts
    final: Texts
    gone: Tuple[str, ...]
    put: Tuple[str, ...]
    expected: Expected
    kept: Tuple[str, ...] = ()


class Journal(NamedTuple):
    """A run on its way: its phase, the way there, the way back, and the containers, by id, name in words.

    ``ran``: those that run, in the order in which they were started; ``resting``: those that are stopped though Docker
    starts them with every start of its own; ``dependents``: units that stopped with Docker; ``steady``: those of
    ``ran`` that weren't being restarted again and again.
    """

    phase: str
    forward: Switch
    back: Switch
    ran: Tuple[str, ...]
    resting: Tuple[str, ...]
    names: Dict[str, str]
    healthy: Tuple[str, ...]
    init: str
    socket: bool
    dependents: Tuple[str, ...] = ()
    steady: Tuple[str, ...] = ()


class Store:
    """The directory; nothing is made in it before the first write."""

    def __init__(self, directory: str = DIRECTORY) -> None:
        self._directory = directory
        self._origin = os.path.join(directory, "origin.json")
        self._journal = os.path.join(directory, "run.json")

    def locked(self, write: bool) -> ContextManager[None]:
        """Keep other runs away, see state_directory. With ``write`` False nothing is made or locked."""
        directory = os.path.dirname(self._directory)
        return state_directory.locked(directory, "docker_bridge") if write else contextlib.nullcontext()

    def origin(self) -> Optional[Origin]:
        """The state before our first change, None if there was none."""
        return self._load(self._origin, _origin)

    def keep_origin(self, origin: Origin) -> None:
        """Write it down."""
        self._save(self._origin, origin._asdict())

    def forget_origin(self) -> None:
        """The host is as it was: there is nothing to go back to."""
        files.remove(self._origin)

    def journal(self) -> Optional[Journal]:
        """The run that was broken off, None if none was."""
        return self._load(self._journal, _journal)

    def advance(self, journal: Journal) -> Journal:
        """Write down that a run enters the phase that its journal says."""
        told = journal._asdict()
        for way in ("forward", "back"):
            switch: Switch = told[way]
            told[way] = {**switch._asdict(), "expected": switch.expected._asdict()}
        self._save(self._journal, told)
        return journal

    def close(self) -> None:
        """The run has ended."""
        files.remove(self._journal)

    def _make(self) -> None:
        try:
            for directory in (os.path.dirname(self._directory), self._directory):
                if not os.path.isdir(directory):
                    os.makedirs(directory, mode=0o700, exist_ok=True)
                    files.sync_directory(os.path.dirname(directory))
        except OSError as error:
            raise KernelRefused(f"directory {self._directory}: make", error.errno or 0) from error

    def _save(self, path: str, told: Dict[str, Any]) -> None:
        self._make()
        files.write(path, records.sealed_text("format", _FORMAT, told), 0o600)

    def _load(self, path: str, shape: Callable[[Dict[str, Any]], T]) -> Optional[T]:
        """What lies there; raises Conflict where it can't be used, with the way out."""
        try:
            record = records.load(path, "format", _FORMAT)
            return None if record is None else records.shaped(path, lambda: shape(record.found))
        except Unusable as error:
            if not error.mendable:
                error.append("a run of docker_bridge may have to be finished first, with that version")
                raise
            raise Conflict(f"{error}: {_LOST[os.path.basename(path)]}") from error


_LOST = {
    "origin.json": "how Docker was set up before docker_bridge's first change isn't known any more; set it up as "
    "state: absent shall leave it, move the file away, then run this again",
    "run.json": "a run of docker_bridge was broken off, and how far it came isn't known; see to Docker's configuration "
    "and docker0's addresses, move the file away, then run this again",
}


def _origin(found: Dict[str, Any]) -> Origin:
    return Origin(
        _file_texts(found["texts"]),
        _words(found["addresses"]),
        of_kind(found["address"], "address", str),
        _file_texts(found["written"]),
        dict(of_kind(found["options"], "options", dict)),
    )


def _journal(found: Dict[str, Any]) -> Journal:
    return Journal(
        of_kind(found["phase"], "phase", str),
        _switch(found["forward"]),
        _switch(found["back"]),
        _words(found["ran"]),
        _words(found["resting"]),
        dict(zip(_words([*found["names"]]), _words([*of_kind(found["names"], "names", dict).values()]))),
        _words(found["healthy"]),
        of_kind(found["init"], "init", str),
        of_kind(found["socket"], "socket", bool),
        _words(found["dependents"]),
        _words(found.get("steady", [])),  # not written before version 0.4
    )


def _switch(found: Dict[str, Any]) -> Switch:
    expected = dict(of_kind(found["expected"], "expected", dict))
    subnets = of_kind(expected.pop("subnets"), "subnets", dict)
    options = of_kind(expected.pop("options", {}), "options", dict)
    masquerade = of_kind(expected.pop("masquerade", None), "masquerade", bool, type(None))
    put = found.get("put", [expected["address"]])  # not written before version 0.4
    all_texts((*options.values(), *expected.values()))
    return Switch(
        _file_texts(found["start"]),
        _file_texts(found["final"]),
        _words(found["gone"]),
        _words(put),
        Expected(
            **expected,
            options=options,
            masquerade=masquerade,
            subnets={name: _words(several) for name, several in subnets.items()},
        ),
        _words(found.get("kept", [])),  # nor this
    )


def _words(value: Any) -> Tuple[str, ...]:
    all_texts(of_kind(value, "a list", list))
    return tuple(value)


def _file_texts(value: Any) -> Texts:
    texts_or_none(of_kind(value, "files", dict).values())
    if not all(path.startswith("/") and "\0" not in path for path in value):
        raise ValueError("a file has no whole path")
    return dict(value)
