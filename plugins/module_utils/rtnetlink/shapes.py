# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading attributes by the thousand.

Nearly all links of a host have attributes of the same numbers and lengths in the same order, and so have addresses and
routes. The first message of a shape is walked attribute by attribute, and the walk is compiled into one struct; a
message of the same length is then read in one call, which also reads every attribute's header: only if all of them are
as expected is the message of that shape, and what was read between them what it seems to be. Attributes within others
are read along.
"""

from __future__ import annotations

import struct
from operator import itemgetter
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple, Union

from .wire import unpack_attribute_header

Buffer = Union[bytes, bytearray]
Values = Tuple[Any, ...]
Wanted = Dict[int, Any]  # a number's value: "I", "s", or the same again for the attributes within
Path = Tuple[int, ...]  # the number of an attribute, behind those of the ones that it is in

_SHAPES_PER_LENGTH = 8  # a length with more shapes than this is walked from then on


class _Shape(NamedTuple):
    unpack: Callable[[Buffer, int], Values]
    headers: Callable[[Values], Values]
    expected: Values
    pick: Callable[[Values], Values]


class Shapes:
    """Picks the payloads of wanted attributes out of messages.

    ``wanted`` maps attribute numbers, as the kernel sends them, to "I" (an unsigned 32-bit number), "s" (bytes), or
    such a mapping of the attributes within.
    """

    def __init__(self, wanted: Wanted) -> None:
        self._order = list(_paths(wanted, ()))
        self._wanted = wanted
        self._shapes: Dict[int, List[_Shape]] = {}

    def read(self, buffer: Buffer, start: int, end: int) -> Values:
        """The payloads of the wanted attributes between two offsets, in the order of ``wanted``; None if missing."""
        shapes = self._shapes.get(end - start)
        if shapes is None:
            shapes = self._shapes[end - start] = []
        for shape in shapes:
            values = shape.unpack(buffer, start)
            if shape.headers(values) == shape.expected:
                return shape.pick(values)
        shape = self._compile(buffer, start, end)
        if len(shapes) < _SHAPES_PER_LENGTH:
            shapes.append(shape)
        return shape.pick(shape.unpack(buffer, start))

    def _compile(self, buffer: Buffer, start: int, end: int) -> _Shape:
        walk = _Walk(buffer)
        walk.through(self._wanted, (), start, end)
        return _Shape(
            struct.Struct("".join(walk.layout)).unpack_from,
            _getter(walk.headers),
            tuple(walk.expected),
            _picker([walk.places.get(path) for path in self._order]),
        )


class _Walk:
    """What one message is made of: ``layout`` for a struct, and where in its values the headers and payloads are."""

    def __init__(self, buffer: Buffer) -> None:
        self._buffer = buffer
        self.layout = ["="]
        self.headers: List[int] = []
        self.expected: List[int] = []
        self.places: Dict[Path, int] = {}
        self._count = 0

    def through(self, wanted: Wanted, within: Path, start: int, end: int) -> None:
        """Note the attributes between two offsets, and pass over what follows the last whole one."""
        while start + 4 <= end:
            size, number = unpack_attribute_header(self._buffer, start)
            payload, room = size - 4, min((size + 3) & ~3, end - start) - 4
            if payload < 0 or room < payload:
                break
            self.layout.append("HH")
            self.headers += (self._count, self._count + 1)
            self.expected += (size, number)
            self._count += 2
            self._note(wanted.get(number), (*within, number), start + 4, payload)
            self.layout.append(f"{room - payload}x")
            start += room + 4
        self.layout.append(f"{end - start}x")

    def _note(self, kind: Any, path: Path, start: int, payload: int) -> None:
        if isinstance(kind, dict):
            self.through(kind, path, start, start + payload)
        elif kind is None:
            self.layout.append(f"{payload}x")
        else:
            self.layout.append("I" if kind == "I" and payload == 4 else f"{payload}s")
            self.places.setdefault(path, self._count)
            self._count += 1


def _paths(wanted: Wanted, within: Path) -> Iterator[Path]:
    for number, kind in wanted.items():
        path = (*within, number)
        if isinstance(kind, dict):
            yield from _paths(kind, path)
        else:
            yield path


def _getter(positions: List[int]) -> Callable[[Values], Values]:
    if len(positions) < 2:  # a message has a header of two numbers, or none at all
        return lambda _values: ()
    return itemgetter(*positions)


def _picker(positions: List[Optional[int]]) -> Callable[[Values], Values]:
    """Takes the values at these positions; None stays None."""
    if len(positions) == 1:
        (only,) = positions
        return lambda values: (None if only is None else values[only],)
    if None not in positions:
        return itemgetter(*positions)
    present = [position for position in positions if position is not None]
    if not present:
        nothing = (None,) * len(positions)
        return lambda _values: nothing
    # One getter over the values with a None put in front, so that missing attributes cost nothing extra.
    shifted = itemgetter(*(0 if position is None else position + 1 for position in positions))
    return lambda values: shifted((None, *values))
