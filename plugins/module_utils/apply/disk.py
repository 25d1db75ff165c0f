# SPDX-License-Identifier: GPL-3.0-or-later
"""What outlives a run: each document's state, and the journal of a run that is under way."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from .. import files, state_directory
from ..errors import Conflict, KernelRefused
from ..plan.actions import Action, Step, decode, encode
from ..plan.owned import Change, Owned, SysctlKey, from_plain, merge, nothing, to_plain
from ..state_directory import unwritable

_VERSION = 1


class Memory(NamedTuple):
    """What is known of a document from earlier runs: ``document`` is the last one applied, as a canonical dict.

    ``interrupted``: a run was killed half-way, and what it may have made is counted as owned.
    """

    owned: Owned
    document: Optional[Dict[str, Any]]
    interrupted: bool


class Store:
    """The files in the state directory (0600). Nothing is made before the first write."""

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def names(self) -> List[str]:
        """Every document that has a state or a journal here."""
        try:
            entries = os.listdir(self._directory)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise KernelRefused(f"directory {self._directory}: read", error.errno or 0) from error
        return sorted({entry.rsplit(".", 1)[0] for entry in entries if entry.endswith((".state", ".journal"))})

    def load(self, name: str) -> Memory:
        """What is known of the document. After a reboot nothing that lived in the kernel is owned any more."""
        state = self._read(f"{name}.state")
        owned, document = nothing(name), None
        if state is not None:
            owned, document = _alive(from_plain(state["owned"]), state["boot"]), state["document"]
        journal = self._read(f"{name}.journal")
        if journal is None:
            return Memory(owned, document, False)
        return Memory(merge(owned, _alive(from_plain(journal["owned"]), journal["boot"])), document, True)

    def journal(self, name: str, document: Dict[str, Any], owned: Owned, steps: Tuple[Step, ...]) -> None:
        """Put a run's intent on disk: what it will own, each step, its inverse. Returns once it is there for good."""
        entry: Dict[str, Any] = {"document": document, "owned": to_plain(owned), "boot": boot_id()}
        entry["steps"] = [[encode(step.action), [encode(action) for action in step.inverse]] for step in steps]
        self._write(f"{name}.journal", entry)

    def inverses(self, name: str) -> List[Action]:
        """What undoes the run whose journal is there, in the order to do it."""
        journal = self._read(f"{name}.journal")
        steps = journal["steps"] if journal else []
        return [decode(action) for _action, inverse in reversed(steps) for action in inverse]

    def settle(self, name: str, document: Optional[Dict[str, Any]], owned: Owned) -> None:
        """A run is over: remember what it left. ``document`` None: nothing is left, forget the name."""
        if document is None:
            files.remove(self._path(f"{name}.state"))
        else:
            self._write(f"{name}.state", {"document": document, "owned": to_plain(owned), "boot": boot_id()})
        self.drop_journal(name)

    def bequeath(self, heir: str, sysctls: Dict[SysctlKey, Change]) -> bool:
        """Another document inherits these settings, with what they were before anybody touched them.

        False if it can't: it is gone, or a run of it was killed.
        """
        memory = self.load(heir)
        if memory.document is None or memory.interrupted:
            return False
        memory.owned.sysctls.update(sysctls)
        self.settle(heir, memory.document, memory.owned)
        return True

    def drop_journal(self, name: str) -> None:
        """A run is over; a journal that comes back after a power failure only makes the next run look twice."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path(f"{name}.journal"))

    def _path(self, name: str) -> str:
        return os.path.join(self._directory, name)

    def _read(self, name: str) -> Optional[Dict[str, Any]]:
        text = state_directory.read(self._path(name))
        if text is None:
            return None
        try:
            entry: Dict[str, Any] = json.loads(text)
        except ValueError:
            raise Conflict(f"{self._path(name)} is damaged (not JSON): move it away, then run again") from None
        if entry.get("version") != _VERSION:
            raise Conflict(f"{self._path(name)} was written by another version of the collection")
        return entry

    def _write(self, name: str, entry: Dict[str, Any]) -> None:
        try:
            files.write(self._path(name), json.dumps({"version": _VERSION, **entry}), 0o600)
        except KernelRefused as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES):
                raise unwritable(self._directory, error.errno) from error
            raise


class Records:
    """What a store holds of documents while one run looks at it: each is read once, whoever asks."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._names: Optional[List[str]] = None
        self._memories: Dict[str, Memory] = {}

    def names(self) -> List[str]:
        """Every document that has a state or a journal."""
        if self._names is None:
            self._names = self._store.names()
        return self._names

    def load(self, name: str) -> Memory:
        """What is known of the document; not to be changed."""
        if name not in self._memories:
            self._memories[name] = self._store.load(name)
        return self._memories[name]


def boot_id() -> str:
    """A text that is another after each boot."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def machine_id() -> str:
    """A text that is another on each machine: of two without such a text of their own at least the names differ."""
    with contextlib.suppress(OSError, ValueError), open("/etc/machine-id", encoding="ascii") as file:
        text = file.read(128).strip()
        if text not in ("", "uninitialized"):  # machine-id(5): so it is in an image
            return text
    return os.uname().nodename


def _alive(owned: Owned, boot: str) -> Owned:
    if boot == boot_id():
        return owned
    return nothing(owned.name)._replace(files=owned.files)
