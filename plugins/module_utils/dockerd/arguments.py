# SPDX-License-Identifier: GPL-3.0-or-later
"""Options out of dockerd's command line: words in, options with the words that they took out."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional, Sequence

from .options import BOOL, BY_FLAG, INT, LIST, POOLS, Option

_TRUE = ("1", "t", "true")  # Go's strconv.ParseBool
_FALSE = ("0", "f", "false")


class Given(NamedTuple):
    """One option as it stands among the words ``first`` to ``last`` (both included), with its value.

    A value that can't be right stays the text that it is. Of a list this is one element.
    """

    option: Option
    value: Any
    first: int
    last: int


def read_arguments(words: Sequence[str]) -> List[Given]:
    """The options of the table among the arguments of dockerd (without its own name), in order; others are passed by.

    Knows ``--flag=value``, ``--flag value``, ``-Hvalue`` and ``-H value``; a boolean flag takes no word of its own.
    """
    found: List[Given] = []
    number = 0
    while number < len(words):
        word = words[number]
        if word == "--":
            break
        flag, equals, value = word.partition("=")
        option = BY_FLAG.get(flag)
        last = number
        if option is None and len(word) > 2 and word[0] == "-" and word[1] != "-":
            option, value, equals = BY_FLAG.get(word[:2]), word[2:].lstrip("="), "="
        if option is not None:
            if not equals and option.kind == BOOL:
                value = "true"
            elif not equals and number + 1 < len(words):
                last = number + 1
                value = words[last]
            found.append(Given(option, typed(option, value), number, last))
        number = last + 1
    return found


def option_of(flag: str) -> Optional[Option]:
    """The option of a flag, with its dashes; None where the table has none."""
    return BY_FLAG.get(flag)


def typed(option: Option, value: str) -> Any:
    """The text of a flag's value as the option's type has it; the text itself where it can't be read."""
    if option.kind == BOOL:
        lowered = value.lower()
        return True if lowered in _TRUE else False if lowered in _FALSE else value
    if option.kind == INT:
        return int(value) if value.lstrip("-").isdigit() else value
    if option.kind == POOLS:
        return _pool(value)
    return value


def _pool(value: str) -> Any:
    """base=10.10.0.0/16,size=24"""
    fields: Dict[str, str] = {}
    for part in value.split(","):
        name, _equals, content = part.partition("=")
        fields[name.strip()] = content.strip()
    if set(fields) != {"base", "size"} or not fields["size"].isdigit():
        return value
    return {"base": fields["base"], "size": int(fields["size"])}


def collected(option: Option, values: Sequence[Any]) -> Any:
    """The value that repeated flags make together: a list's elements, else the last."""
    return tuple(values) if option.kind in (LIST, POOLS) else values[-1]
