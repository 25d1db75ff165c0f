# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to survive a run: the state before our first change.

It is JSON below /var/lib/hostwire/docker, and one of the files that a run changes, by steps as the others.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import Any, ContextManager, Dict, NamedTuple, Optional, Tuple

from ... import files, records, state_directory
from ...apply import job_records
from ...apply.job_records import DEED
from ...errors import Conflict, KernelRefused
from ...records import Unusable, all_texts, of_kind, texts_or_none

NAME, CHAINS = "docker_bridge", "docker_chains"  # of the locks and of the journals
DIRECTORY = os.path.join(state_directory.STATE_DIRECTORY, "docker")
_FORMAT = 1
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


class Store:
    """The directory; nothing is made in it before the first write."""

    def __init__(self, directory: str = DIRECTORY) -> None:
        self._directory = directory
        self.above = os.path.dirname(directory)
        self._origin = os.path.join(directory, "origin.json")
        self._earlier = os.path.join(directory, "run.json")

    def locked(self, write: bool) -> ContextManager[None]:
        """Keep other runs away, see state_directory. With ``write`` False nothing is made or locked."""
        return state_directory.locked(self.above, NAME) if write else contextlib.nullcontext()

    def origin(self) -> Optional[Origin]:
        """The state before our first change, None if there was none. Raises Conflict where it can't be used."""
        try:
            record = records.load(self._origin, "format", _FORMAT)
            return None if record is None else records.shaped(self._origin, lambda: _origin(record.found))
        except Unusable as error:
            if not error.mendable:
                raise
            raise Conflict(f"{error}: {_LOST}") from error

    def texts(self, origin: Origin) -> Tuple[str, Optional[str], str]:
        """The file that is to remember it, what it holds by now, and then; its directory is made if it isn't there."""
        self._make()
        text = records.sealed_text("format", _FORMAT, origin._asdict())
        return self._origin, state_directory.read(self._origin), text

    def forget_origin(self) -> None:
        """The host is as it was: there is nothing to go back to."""
        files.remove(self._origin)

    def demand_whole(self) -> None:
        """Raise Conflict where a run of a version before 0.4 was broken off: only that knows how to end it."""
        if os.path.lexists(self._earlier):
            raise Conflict(
                f"{self._earlier}: a run of docker_bridge of an earlier version of the collection was broken off; run"
                " that version once more, or see to Docker's configuration and docker0's addresses and move the file"
                " away, then run this again"
            )

    def _make(self) -> None:
        try:
            for directory in (self.above, self._directory):
                if not os.path.isdir(directory):
                    os.makedirs(directory, mode=0o700, exist_ok=True)
                    files.sync_directory(os.path.dirname(directory))
        except OSError as error:
            raise KernelRefused(f"directory {self._directory}: make", error.errno or 0) from error


_LOST = (
    "how Docker was set up before docker_bridge's first change isn't known any more; set it up as state: absent shall "
    "leave it, move the file away, then run this again"
)


def refuse_restart_of(name: str, directory: str) -> None:
    """Raise Conflict where a run of the other task was broken off that may have stopped Docker: it knows what ran."""
    found = job_records.read(directory, name)
    if found is not None and DEED in json.dumps(found["steps"]):
        raise Conflict(
            f"{job_records.place(directory, name)}: a run of {name} was broken off while it restarted Docker; run "
            f"{name} again first, which puts that right"
        )


def _origin(found: Dict[str, Any]) -> Origin:
    return Origin(
        _file_texts(found["texts"]),
        _words(found["addresses"]),
        of_kind(found["address"], "address", str),
        _file_texts(found["written"]),
        dict(of_kind(found["options"], "options", dict)),
    )


def _words(value: Any) -> Tuple[str, ...]:
    all_texts(of_kind(value, "a list", list))
    return tuple(value)


def _file_texts(value: Any) -> Texts:
    texts_or_none(of_kind(value, "files", dict).values())
    if not all(path.startswith("/") and "\0" not in path for path in value):
        raise ValueError("a file has no whole path")
    return dict(value)
