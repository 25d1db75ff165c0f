# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading attributes by the thousand.

Nearly all links of a host have attributes of the same numbers and lengths in the same order, and so have addresses and
routes. The first message of a shape is walked attribute by attribute, and the walk is compiled into one struct; a
message of the same length is then read in one call, which also reads every attribute's header: only if all of them are
as expected is the message of that shape, and what was read between them what it seems to be.
"""

from __future__ import annotations

import struct
from operator import itemgetter
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple, Union

from .wire import unpack_attribute_header

Buffer = Union[bytes, bytearray]
Values = Tuple[Any, ...]

_SHAPES_PER_LENGTH = 8  # a length with more shapes than this is walked from then on


class _Shape(NamedTuple):
    unpack: Callable[[Buffer, int], Values]
    headers: Callable[[Values], Values]
    expected: Values
    pick: Callable[[Values], Values]


class Shapes:
    """Picks the payloads of wanted attributes out of messages.

    ``wanted`` maps attribute numbers, as the kernel sends them, to "I" (an unsigned 32-bit number) or "s" (bytes).
    """

    def __init__(self, wanted: Dict[int, str]) -> None:
        self._order = list(wanted)
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
        layout = ["="]
        headers: List[int] = []
        expected: List[int] = []
        places: Dict[int, int] = {}
        count = 0
        while start + 4 <= end:
            size, number = unpack_attribute_header(buffer, start)
            payload, room = size - 4, min((size + 3) & ~3, end - start) - 4
            if payload < 0 or room < payload:
                break
            layout.append("HH")
            headers += (count, count + 1)
            expected += (size, number)
            count += 2
            kind = self._wanted.get(number)
            if kind == "I" and payload == 4:
                layout.append("I")
            elif kind is not None:
                layout.append(f"{payload}s{room - payload}x")
            else:
                layout.append(f"{room}x")
            if kind is not None:
                places.setdefault(number, count)
                count += 1
            start += room + 4
        return _Shape(
            struct.Struct("".join(layout)).unpack_from,
            _getter(headers),
            tuple(expected),
            _picker([places.get(number) for number in self._order]),
        )


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
