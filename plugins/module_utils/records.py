# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading back what the collection wrote down for itself: JSON that may be damaged, cut off, or of another version.

What lies on a disk is told in words and never believed to have our shape.
"""

from __future__ import annotations

import errno
import functools
import json
import os
import re
import zlib
from array import array
from typing import Any, Callable, Dict, Iterable, NamedTuple, Optional, Pattern, Tuple, Type, TypeVar

from . import files, state_directory
from .errors import Conflict, KernelRefused

_SHOWN = 60  # characters of a value that is told
# All that a value of another shape makes plain code raise; RecursionError: brackets without an end.
WRONG_SHAPE: Tuple[Type[Exception], ...] = (
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    IndexError,
    OverflowError,
    RecursionError,
)
OPTIONAL_TEXT = frozenset((str, type(None)))

_HEAD = re.compile(r'\{"[a-z]+": [0-9]+, "seal": ([0-9]{1,10}), ')

T = TypeVar("T")
Column = Iterable[Any]
Kind = Callable[[Column], object]  # raises TypeError or OverflowError for a column of another kind

all_texts: Kind = "".join
all_numbers: Kind = functools.partial(array, "q")  # bool is a kind of int


class Unusable(Conflict):
    """A record can't be used: ``path`` says which and ``reason`` why, in words.

    ``mendable``: it is damaged, so that nothing is lost where it is written anew. Else it may be somebody else's, or
    another version's, who can read it.
    """

    def __init__(self, path: str, reason: str, mendable: bool = True, way_out: str = "") -> None:
        self.path = path
        self.reason = reason
        self.mendable = mendable
        super().__init__(f"{path} {reason}{': ' if way_out else ''}{way_out}")


class Record(NamedTuple):
    """A JSON object that was written down; ``sealed``: it is so to the letter, and need not be looked through."""

    found: Dict[str, Any]
    sealed: bool


def sealed_text(version_key: str, version: int, entry: Dict[str, Any]) -> str:
    """The text of a record that holds something: the first two values are the version and the sum of all behind it."""
    body = json.dumps(entry)
    return f'{{"{version_key}": {version}, "seal": {_sum(body)}, {body[1:]}'


def write(path: str, version_key: str, version: int, entry: Dict[str, Any]) -> None:
    """Put a record on disk for good, in the place of what was there.

    Raises MissingOnHost where there is no room or nothing may be written, KernelRefused.
    """
    try:
        files.write(path, sealed_text(version_key, version, entry), 0o600)
    except KernelRefused as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES):
            raise state_directory.unwritable(os.path.dirname(path), error.errno) from error
        raise


def _is_sealed(text: str) -> bool:
    head = _HEAD.match(text)
    return head is not None and int(head.group(1)) == _sum("{" + text[head.end() :])


def _sum(text: str) -> int:
    return zlib.crc32(text.encode("utf-8", "surrogateescape"))


def load(path: str, version_key: str, version: int) -> Optional[Record]:
    """The record in a file of the state directory, None without the file.

    Raises Unusable, and what state_directory.read raises.
    """
    return parsed(path, state_directory.read(path), version_key, version)


def parsed(path: str, text: Optional[str], version_key: str, version: int) -> Optional[Record]:
    """The same of the text that was read in the file. Raises Unusable."""
    if text is None:
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        reason = "is empty" if not text.strip() else "is damaged (not JSON)"
        raise Unusable(path, reason) from None
    if not isinstance(found, dict):
        raise Unusable(path, f"is damaged (no object but {shown(found)})")
    if found.get(version_key).__class__ is not int:
        raise Unusable(path, f"is damaged (it has no {version_key} number)")
    if found[version_key] != version:
        raise Unusable(
            path,
            f"was written by another version of the collection ({version_key} {found[version_key]}, not {version})",
            mendable=False,
            way_out="use that one, or move the file away and run this again",
        )
    return Record(found, _is_sealed(text))


def shaped(path: str, shape: Callable[[], T]) -> T:
    """What ``shape`` makes of what stood in the file; raises Unusable where that isn't of the shape."""
    try:
        return shape()
    except KeyError as error:
        raise Unusable(path, f"is damaged ({error.args[0]!r} is missing)") from None
    except WRONG_SHAPE as error:
        words = str(error) if error.__class__ is ValueError else "a value in it is of another kind"
        raise Unusable(path, f"is damaged ({words})") from None


def shown(value: Any) -> str:
    """A value in a few characters."""
    text = json.dumps(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def texts_or_none(column: Column) -> None:
    """Look whether these are texts, or None."""
    if not set(map(type, column)) <= OPTIONAL_TEXT:
        raise TypeError


def texts(value: Any, what: str, pattern: Optional[Pattern[str]] = None) -> Tuple[str, ...]:
    """A list of texts, each as the pattern wants it. Raises ValueError."""
    if value.__class__ is not list or not set(map(type, value)) <= {str}:
        raise ValueError(f"{what} is no list of texts")
    if pattern is not None and not all(map(pattern.fullmatch, value)):
        raise ValueError(f"a value in {what} can't be")
    return tuple(value)


def of_kind(value: Any, what: str, *kinds: type) -> Any:
    """The value, which is of one of these kinds and no kind of theirs. Raises ValueError."""
    if type(value) not in kinds:
        raise ValueError(f"{what} is of another kind")
    return value
