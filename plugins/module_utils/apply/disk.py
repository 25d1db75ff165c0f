# SPDX-License-Identifier: GPL-3.0-or-later
"""What outlives a run: each document's state, and the journal of a run that is under way."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Optional, Set, Tuple

from .. import files, records, state_directory
from ..document.fields import DOCUMENT_NAME
from ..errors import Conflict, HostwireError, KernelRefused
from ..plan.actions import Step, encode
from ..plan.owned import UNKNOWN, Change, Owned, SysctlKey, inherit, merge, nothing, to_plain
from ..records import Unusable
from ..whereabouts import Whereabouts, here
from . import record_shape
from .record_shape import Entry

_VERSION = 1
_JOURNAL = ".journal"
_FOR_HOW_LONG = " for as long as the document is there"
# What keeps any file from being read just now; who isn't root is told to become it.
_NOT_ITS_FAULT = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EINTR, errno.EAGAIN)
ASIDE = ".damaged"  # behind the name of a file that was written anew though it couldn't be read


class Memory(NamedTuple):
    """What is known of a document from earlier runs: ``document`` is the last one applied, as a canonical dict.

    ``interrupted``: a run was killed half-way, and what it may have made is counted as owned. ``certain``: there is a
    record of this namespace as it lives now, undamaged; else what is owned has to be told by marks, too; ``told``: it
    was. ``former`` is what was owned in another life: where to look for what outlives one. ``texts`` are of the state
    and of the journal. ``living``: there is a state of this life; ``broken``: there is a file that can't be used.
    """

    owned: Owned
    document: Optional[Dict[str, Any]]
    interrupted: bool
    certain: bool = True
    former: Optional[Owned] = None
    texts: Tuple[Optional[str], Optional[str]] = (None, None)
    told: bool = False
    living: bool = True
    broken: bool = False


class Store:
    """The files in the state directory (0600). Nothing is made before the first write.

    ``unusable`` are those that it met and couldn't use, by path; ``remarks`` what a person has to know of that.
    """

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.unusable: Dict[str, Unusable] = {}
        self.remarks: Dict[str, None] = {}
        self._damaged: Set[str] = set()  # those of them that lie there still
        self._moved: Set[str] = set()  # those that were set aside
        self._touched: Set[str] = set()  # those that a run may have changed
        self._journals: Set[str] = set()  # the files that were listed
        self._lent: Dict[str, Optional[str]] = {}  # states of others that it may have changed, as they were before it
        self._here: Optional[Whereabouts] = None

    def names(self) -> List[str]:
        """Every document that has a state or a journal here."""
        try:
            entries = os.listdir(self.directory)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise KernelRefused(f"directory {self.directory}: read", error.errno or 0) from error
        ours = (entry.rsplit(".", 1)[0] for entry in entries if entry.endswith((".state", _JOURNAL)))
        self._journals = {entry for entry in entries if entry.endswith(_JOURNAL)}
        return sorted({name for name in ours if DOCUMENT_NAME.fullmatch(name)})

    def load(self, name: str) -> Memory:
        """What is known of the document. In another life nothing that lived in the kernel is owned any more.

        A file that can't be used is as if it weren't there, and noted in ``unusable``.
        """
        (state, text), (journal, journal_text) = (self._entry(path, name) for path in self.paths(name))
        broken = bool(self._damaged) and not self._damaged.isdisjoint(self.paths(name))
        certain = not broken and (state or journal) is not None
        owned: Owned = nothing(name)
        former: Optional[Owned] = None
        for entry in (state, journal):
            if entry is None:
                continue
            if self._is_alive(entry.where):
                known = _with_numbers(entry)
                owned = known if entry is state else merge(owned, known)
            else:
                certain = False
                former = entry.owned if former is None else merge(former, entry.owned)
                owned = merge(owned, nothing(name)._replace(files=entry.owned.files))
        document = state.document if state is not None else None
        living = state is not None and self._is_alive(state.where)
        interrupted, texts = broken or journal is not None, (text, journal_text)
        return Memory(owned, document, interrupted, certain, former, texts, living=living, broken=broken)

    def paths(self, name: str) -> Tuple[str, str]:
        """The files that there may be of a document."""
        return self._path(f"{name}.state"), self._path(name + _JOURNAL)

    def learn(self, other: Store) -> None:
        """Know what another one has met in the same directory."""
        self.unusable.update(other.unusable)
        self.remarks.update(other.remarks)
        self._damaged |= other._damaged
        self._journals |= other._journals

    def doubts(self) -> List[str]:
        """A sentence for each file that couldn't be used, with what is to be done about it."""
        told = " ".join(self.remarks)
        others = [one for path, one in self.unusable.items() if path not in told]
        words = "what its document says of this host isn't known meanwhile"
        way_out = "; apply that one again, or move the file away"
        remarks = [f"{remark}{self._kept(remark)}" for remark in self.remarks]
        return [*remarks, *(f"{one}: {words}{way_out if one.mendable else ''}" for one in others)]

    def _kept(self, remark: str) -> str:
        """Where the file is that a remark is about, if it was set aside."""
        path = next((path for path in self._moved if remark.startswith(f"{path} ")), None)
        if path is None:
            return ""
        return f" (the file is kept as {path}{ASIDE}{'' if self.is_journal(path) else _FOR_HOW_LONG})"

    @staticmethod
    def is_journal(path: str) -> bool:
        """Whether it is the path of a run's journal, not of a state."""
        return path.endswith(_JOURNAL)

    def broken_off(self, names: Iterable[str], but: str = "") -> Iterator[str]:
        """A sentence for each document of those listed, ``but`` for one, whose last run has left a journal."""
        for name in names:
            path = self.paths(name)[1]
            if name != but and name + _JOURNAL in self._journals and path not in self.unusable:
                yield (
                    f"a run of the document {name!r} hasn't come to its end ({path}): what it left half-done stays "
                    "until that one is applied again, or taken away"
                )

    @contextlib.contextmanager
    def telling(self) -> Iterator[None]:
        """An error says also what couldn't be used."""
        try:
            yield
        except HostwireError as error:
            for line in self.doubts():
                error.append(line)
            raise

    def begin(self) -> None:
        """A run begins, maybe not the first one: what it changes of others' is its own to put back."""
        self._lent.clear()

    def _is_alive(self, where: Whereabouts) -> bool:
        if self._here is None:
            self._here = here()
        return where.may_be(self._here)

    def journal(self, name: str, document: Dict[str, Any], owned: Owned, steps: Tuple[Step, ...]) -> None:
        """Put a run's intent on disk: what it will own, each step, its inverse. Returns once it is there for good."""
        entry: Dict[str, Any] = {"document": document, "owned": to_plain(owned), **here()._asdict()}
        entry["steps"] = [[encode(step.action), [encode(action) for action in step.inverse]] for step in steps]
        self._write(name + _JOURNAL, entry)

    def settle(self, name: str, document: Optional[Dict[str, Any]], owned: Owned) -> None:
        """A run is over: remember what it left. ``document`` None: nothing is left, forget the name."""
        if document is None:
            path = self._path(f"{name}.state")  # there is nothing of which it could still tell; a journal might
            self._damaged.discard(path)
            self._moved.discard(path)
            files.remove(path + ASIDE)
            self._touched.add(path)
            files.remove(path)
        else:
            self._write(f"{name}.state", {"document": document, "owned": to_plain(owned), **here()._asdict()})
        self.drop_journal(name)

    def put_back(self, name: str, memory: Memory, whole: bool) -> Tuple[str, ...]:
        """A run failed: remember what was remembered before it, to the letter; what can't be, in words.

        ``whole``: it was undone. Otherwise its journal stays, and the next run goes on from there.
        """
        (state, journal), (text, journal_text) = self.paths(name), memory.texts
        try:
            for path, before in self._lent.items():
                self._restore(path, before)
            if self._touched.isdisjoint((state, journal)):
                return ()
            self._restore(state, text)
            if whole and journal_text is not None:  # what an earlier run left is still there
                self._restore(journal, journal_text)
            elif whole:
                self.drop_journal(name)
        except OSError as error:
            return (
                f"what is remembered of it: {KernelRefused(f'directory {self.directory}: write', error.errno or 0)}",
            )
        except HostwireError as error:
            return (f"what is remembered of it: {error}",)
        return ()

    def _restore(self, path: str, text: Optional[str]) -> None:
        if state_directory.read(path) == text:
            return
        if text is None:
            files.remove(path)
        elif path in self._moved:
            os.replace(path + ASIDE, path)
            files.sync_directory(self.directory)
            self._moved.remove(path)
            self._damaged.add(path)
        else:
            files.write(path, text, 0o600)

    def bequeath(self, heir: str, sysctls: Dict[SysctlKey, Change]) -> bool:
        """Another document inherits these settings, with what they were before anybody touched them.

        What a run of it that was killed left, and its journal, stay for its next one. False if it can't: it has no
        state of this life.
        """
        path = self.paths(heir)[0]
        state, text = self._entry(path, heir)
        if state is None or not self._is_alive(state.where):
            return False
        self._lent.setdefault(path, text)
        inherit(state.owned, sysctls)
        entry = {"document": state.document, "owned": to_plain(state.owned), **state.where._asdict()}
        self._write(f"{heir}.state", entry)
        return True

    def release(self, name: str, keys: Iterable[SysctlKey]) -> None:
        """Another document no longer owns these settings; its record goes where nothing else is in it."""
        path = self.paths(name)[0]
        state, text = self._entry(path, name)
        if state is None:
            return
        self._lent.setdefault(path, text)
        for key in keys:
            state.owned.sysctls.pop(key, None)
        if state.document == {"name": name} and not any(state.owned.parts):
            files.remove(path)
            return
        entry = {"document": state.document, "owned": to_plain(state.owned), **state.where._asdict()}
        self._write(f"{name}.state", entry)

    def may_be_absent(self, name: str) -> bool:
        """Whether a document may have been taken away though it has a state; told from the text alone, it is quick."""
        with contextlib.suppress(HostwireError):
            return f'"document": {{"name": "{name}"}}, ' in (state_directory.read(self.paths(name)[0]) or "")
        return False

    def drop_journal(self, name: str) -> None:
        """A run is over; a journal that comes back after a power failure only makes the next run look twice."""
        path = self._path(name + _JOURNAL)
        self._set_aside(path)
        self._touched.add(path)
        self._journals.discard(name + _JOURNAL)
        try:
            os.unlink(path)
        except FileNotFoundError:
            return
        except OSError as error:
            raise KernelRefused(f"file {path}: remove", error.errno or 0) from error

    def _path(self, name: str) -> str:
        return os.path.join(self.directory, name)

    def _entry(self, path: str, name: str) -> Tuple[Optional[Entry], Optional[str]]:
        """What a file tells, if it can be used, and its text, if it can be read."""
        self._damaged.discard(path)
        text: Optional[str] = None
        try:
            text = state_directory.read(path)
            record = records.parsed(path, text, "version", _VERSION)
            if record is None:
                return None, None
            return records.shaped(path, lambda: record_shape.entry_of(record, name, path.endswith(_JOURNAL))), text
        except Unusable as error:
            self.unusable[path] = error
        except KernelRefused as error:
            if error.errno in _NOT_ITS_FAULT or (error.errno in (errno.EACCES, errno.EPERM) and os.geteuid()):
                raise
            reason = f"can't be read ({os.strerror(error.errno)})"
            self.unusable[path] = Unusable(
                path, reason, mendable=False, way_out="move the file away and run this again"
            )
        except Conflict as error:  # no file of ours
            if not str(error).startswith(path + " "):
                raise
            self.unusable[path] = Unusable(path, str(error)[len(path) + 1 :], mendable=False)
        self._damaged.add(path)
        return None, text

    def _set_aside(self, path: str) -> None:
        """What can't be read may still tell a person something."""
        if path in self._damaged:
            self._damaged.remove(path)
            with contextlib.suppress(OSError):
                os.replace(path, path + ASIDE)
                self._moved.add(path)

    def _write(self, name: str, entry: Dict[str, Any]) -> None:
        self._touched.add(self._path(name))
        self._set_aside(self._path(name))
        records.write(self._path(name), "version", _VERSION, entry)


def _with_numbers(entry: Entry) -> Owned:
    """What is owned. Where it isn't known in which network, no name alone makes a thing ours."""
    if entry.where.network is not None:
        return entry.owned
    owned = entry.owned
    namespaces = {name: inode for name, inode in owned.namespaces.items() if inode != UNKNOWN}
    links = {key: index for key, index in owned.links.items() if index != UNKNOWN}
    return owned._replace(namespaces=namespaces, links=links)


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

    def may_be_absent(self, name: str) -> bool:
        """Whether it may be the record of a document that was taken away, which is worth loading."""
        return name in self._memories or self._store.may_be_absent(name)
