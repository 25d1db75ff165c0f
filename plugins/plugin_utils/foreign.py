# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What managed hosts tell, read field by field: of each value the form is checked before anything is made of it.

A reader takes a value, the path at which it stands and the list of problems, to which it adds what is wrong. What is
read of a host with problems is of no use.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, List, Mapping, NamedTuple

from ansible_collections.hostwire.linux.plugins.module_utils.document.fields import shown
from ansible_collections.hostwire.linux.plugins.module_utils.visible import visible

LONGEST = 1000  # characters of a text; the longest that we make are reasons
TOLD = 3  # problems of one host; a host that tells nonsense may tell a lot of it
_ADDRESS = re.compile(r"[0-9A-Fa-f.:]+(%[\w.-]{1,15})?(/\d{1,3})?", re.ASCII)  # ipaddress takes anything behind the %

Problems = List[str]
Reader = Callable[[Any, str, Problems], Any]


class Field(NamedTuple):
    """How a field is read; what stands for one that is left out, where it may be."""

    read: Reader
    default: Any = ...


def text(value: Any, path: str, problems: Problems) -> str:
    """Read text, which comes out with all that would steer a terminal escaped."""
    if isinstance(value, str) and len(value) <= LONGEST:
        return visible(value)
    problems.append(f"{path}: {shown(value)} is not text of up to {LONGEST} characters")
    return ""


def flag(value: Any, path: str, problems: Problems) -> bool:
    """Read true or false."""
    if isinstance(value, bool):
        return value
    problems.append(f"{path}: {shown(value)} is neither true nor false")
    return False


def number(lowest: int, highest: int) -> Reader:
    """Read a whole number of that range."""

    def read(value: Any, path: str, problems: Problems) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and lowest <= value <= highest:
            return value
        problems.append(f"{path}: {shown(value)} is not a whole number from {lowest} to {highest}")
        return lowest

    return read


def milliseconds(value: Any, path: str, problems: Problems) -> float:
    """Read a time."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1e9:
        return float(value)
    problems.append(f"{path}: {shown(value)} is no time in milliseconds")
    return 0.0


def address(parse: Callable[[str], Any], words: str) -> Reader:
    """Read text that ``parse`` of the library ipaddress understands, as it stands."""

    def read(value: Any, path: str, problems: Problems) -> str:
        try:
            if isinstance(value, str) and _ADDRESS.fullmatch(value):
                parse(value)
                return value
        except ValueError:
            pass
        problems.append(f"{path}: {shown(value)} is not {words}")
        return ""

    return read


def one_of(*words: str) -> Reader:
    """Read one of these words."""

    def read(value: Any, path: str, problems: Problems) -> str:
        if isinstance(value, str) and value in words:
            return value
        problems.append(f"{path}: {shown(value)} is none of {', '.join(words)}")
        return words[0]

    return read


def or_none(read: Reader) -> Reader:
    """Read a value that may be null."""
    return lambda value, path, problems: None if value is None else read(value, path, problems)


def list_of(read: Reader) -> Reader:
    """Read a list."""

    def read_all(value: Any, path: str, problems: Problems) -> List[Any]:
        if not isinstance(value, (list, tuple)):
            problems.append(f"{path}: {shown(value)} is not a list")
            return []
        return [read(entry, f"{path}[{place}]", problems) for place, entry in enumerate(value)]

    return read_all


def mapping_of(fields: Mapping[str, Field]) -> Reader:
    """Read these fields of a mapping; others in it are of no interest."""

    def read(value: Any, path: str, problems: Problems) -> Dict[str, Any]:
        if not isinstance(value, Mapping):
            problems.append(f"{path or 'all of it'}: {shown(value)} is not a mapping")
            return {}
        found = {}
        for name, field in fields.items():
            inside = f"{path}.{name}" if path else name
            if name in value:
                found[name] = field.read(value[name], inside, problems)
            elif field.default is ...:
                problems.append(f"{inside}: is missing")
            else:
                found[name] = field.default
        return found

    return read


def told(what: str, problems: Problems) -> str:
    """Say in a sentence what is wrong with one host's facts."""
    more = f"; and {len(problems) - TOLD} more" if len(problems) > TOLD else ""
    return f"what it tells of {what} can't be so: {'; '.join(problems[:TOLD])}{more}"
