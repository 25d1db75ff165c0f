# SPDX-License-Identifier: GPL-3.0-or-later
"""What a topology document's record has to look like, so that all that reads it may rely on it.

Everything here raises ValueError in words, or one of records.WRONG_SHAPE, for what we can't have written.
"""

from __future__ import annotations

import re
from typing import (
    Any,
    Dict,
    Iterator,
    List,
    NamedTuple,
    Pattern,
    Sequence,
    Tuple,
    Type,
    Union,
    get_type_hints,
)

from ..plan.actions import Action, ChainsEdit, decode
from ..plan.owned import UPLINK, Owned, from_plain
from ..records import Kind, Record, all_numbers, all_texts, of_kind, texts_or_none
from ..uplink_record import notes_of
from ..whereabouts import Whereabouts

_FILE = re.compile(r"/etc/netns/[A-Za-z0-9_.-]+/(hosts|resolv\.conf)", re.ASCII)
_SYSCTL = re.compile(r"net(/(?!\.{1,2}(/|$))[^/\x00-\x1f]+)+")
_ANY = re.compile("(?s).*")
_SETTINGS: Dict[str, Pattern[str]] = {
    "up": re.compile("yes|no"),
    "mtu": re.compile("[0-9]{1,10}"),
    "bridge": _ANY,
    UPLINK: _ANY,
}
_KEYS: Dict[str, Tuple[Kind, ...]] = {
    "links": (texts_or_none, all_texts),
    "addresses": (texts_or_none, all_texts, all_texts),
    "routes": (texts_or_none, all_texts, all_numbers, all_numbers),
    "settings": (texts_or_none, all_texts, all_texts),
    "sysctls": (texts_or_none, all_texts),
    "carried": (texts_or_none, all_texts),
}
_FAMILIES = frozenset((4, 6))
_NAMED = ("name", "netns", "container")  # fields that are read off a stored document as it is


class Entry(NamedTuple):
    """A state or a journal. ``document`` is canonical, ``steps`` is what a journal holds beside."""

    owned: Owned
    document: Dict[str, Any]
    where: Whereabouts
    steps: List[Any]


def entry_of(record: Record, name: str, is_journal: bool) -> Entry:
    """The record of the document ``name``; one that isn't as it was written is looked through to the last value."""
    found = record.found
    where = Whereabouts(found["boot"], found.get("network"))
    entry = Entry(from_plain(found["owned"]), found["document"], where, found["steps"] if is_journal else [])
    if not record.sealed:
        _look_through(found["owned"], entry)
    if entry.owned.name != name or entry.document.get("name", name) != name:
        raise ValueError("it is another document's")
    return entry


def _look_through(plain: Dict[str, Any], entry: Entry) -> None:
    of_kind(entry.where.boot, "boot", str)
    of_kind(entry.where.network, "network", str, type(None))
    for part in ("links", "addresses", "routes", "settings", "sysctls", "files", "firewall", "containers", "carried"):
        of_kind(plain.get(part, []), part, list)
    of_kind(plain["namespaces"], "namespaces", dict)
    _look_through_document(of_kind(entry.document, "document", dict))
    _look_through_owned(entry.owned)
    for _action in _actions(of_kind(entry.steps, "steps", list)):
        pass


def _look_through_document(document: Dict[str, Any]) -> None:
    """As far as anybody looks into it beside document.read, which takes whatever there is."""
    for section, entries in document.items():
        if section in ("forwarding", "sysctls"):
            of_kind(entries, section, dict)
        elif section not in ("name", "state"):
            for entry in of_kind(entries, section, list):
                texts_or_none(of_kind(entry, section, dict).get(field) for field in _NAMED)


def _look_through_owned(owned: Owned) -> None:
    all_texts(owned.namespaces)
    all_numbers(owned.namespaces.values())
    all_numbers(owned.links.values())
    for part, kinds in _KEYS.items():
        for kind, column in zip(kinds, zip(*getattr(owned, part))):
            kind(column)
    for change in (*owned.settings.values(), *owned.sysctls.values()):
        all_texts(change[:2])
        texts_or_none(change[2:])
    for (_netns, _link, field), change in owned.settings.items():
        if field not in _SETTINGS or not all(word is None or _SETTINGS[field].fullmatch(word) for word in change):
            raise ValueError(f"settings has a {field!r} that can't be")
    for what, pattern, found in (
        ("files", _FILE, owned.files),
        ("sysctls", _SYSCTL, [path for _netns, path in owned.sysctls]),
    ):
        if not all(map(pattern.fullmatch, found)):
            raise ValueError(f"a value in {what} can't be")
    texts_or_none(owned.firewall)
    if not all(map(_FAMILIES.issuperset, owned.firewall.values())):
        raise ValueError("a family in firewall can't be")
    all_texts(owned.containers)
    for life in owned.containers.values():
        all_numbers((life.pid, life.inode))
        all_texts((life.started,))
    for record in owned.carried.values():
        all_texts(record)
        for note in notes_of(record):
            _of_its_kinds(note, f"a note of {note.kind}")
            for numbers in (note.header, note.others):
                all_numbers(numbers)


def _actions(steps: Sequence[Any]) -> Iterator[Tuple[Action, List[Action]]]:
    """Each step's action with its inverse."""
    for step in steps:
        action, inverse = step
        yield action_of(action), [action_of(one) for one in of_kind(inverse, "an inverse", list)]


def action_of(values: Any) -> Action:
    """The action that stands in a record."""
    name = of_kind(of_kind(values, "an action", list)[0], "an action's name", str)
    try:
        action = decode(values)
    except KeyError:
        raise ValueError(f"nobody knows the action {name[:40]!r}") from None
    except TypeError:
        raise ValueError(f"an action {name} has other fields") from None
    _of_its_kinds(action, f"an action {name}")
    if isinstance(action, ChainsEdit):
        for _table, _chain, lines in (*action.before, *action.after):
            all_texts((_table, _chain, *(lines or ())))
        if [entry[:2] for entry in action.before] != [entry[:2] for entry in action.after]:
            raise ValueError("an action ChainsEdit leads from some chains to others")
    return action


def _of_its_kinds(values: Tuple[Any, ...], what: str) -> None:
    if not all(type(value) in kinds for value, kinds in zip(values, _kinds_of(type(values)))):
        raise ValueError(f"a value in {what} is of another kind")


_kinds: Dict[Type[Any], List[Tuple[type, ...]]] = {}


def _kinds_of(cls: Type[Any]) -> List[Tuple[type, ...]]:
    """The plain kinds of value that each field of a named tuple may have."""
    if cls not in _kinds:
        hints = get_type_hints(cls)
        _kinds[cls] = [_plain(hints[field]) for field in cls._fields]
    return _kinds[cls]


def _plain(hint: Any) -> Tuple[type, ...]:
    origin = getattr(hint, "__origin__", None)
    if origin is Union:
        return tuple(kind for part in hint.__args__ for kind in _plain(part))
    return (tuple,) if origin is not None else (hint,)
