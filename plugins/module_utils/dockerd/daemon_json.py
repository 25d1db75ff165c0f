# SPDX-License-Identifier: GPL-3.0-or-later
"""daemon.json: reading it, and changing single keys so that every byte of the rest stays as it was."""

from __future__ import annotations

import enum
import json
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

from ..errors import InvalidValue

PATH = "/etc/docker/daemon.json"
_BLANK = " \t\r\n"  # RFC 8259
_BOM = "\ufeff"  # dockerd leaves it out when it reads


class Delete(enum.Enum):
    """What stands for "this key is to go" among the values of merge()."""

    DELETE = "delete"


DELETE = Delete.DELETE


class Member(NamedTuple):
    """A key at the top level with the places of its parts: offsets into the text. ``line`` counts from 1."""

    key: str
    value: Any
    start: int
    key_end: int
    value_start: int
    end: int
    line: int


class Parsed(NamedTuple):
    """A daemon.json: its members in order, and the offsets of its two braces. ``duplicates``: keys there repeatedly."""

    members: Tuple[Member, ...]
    opening: int
    closing: int

    @property
    def values(self) -> Dict[str, Any]:
        """The object; of a key that is there repeatedly the last, as dockerd takes it."""
        return {member.key: member.value for member in self.members}

    @property
    def duplicates(self) -> Tuple[str, ...]:
        """The keys that are there more than once."""
        keys = [member.key for member in self.members]
        return tuple(sorted({key for key in keys if keys.count(key) > 1}))


def is_blank(text: Optional[str]) -> bool:
    """Whether there is no file, or nothing in it but blanks and a byte order mark: dockerd reads {} (from 23.0 on)."""
    return not (text or "").strip(_BLANK + _BOM)


def parse(text: str, path: str = PATH) -> Parsed:
    """Read the text of a daemon.json. Raises InvalidValue that names the place where it isn't JSON or no object."""
    try:
        return _scan(text, json.JSONDecoder(parse_constant=_no_constant))
    except json.JSONDecodeError as error:
        raise InvalidValue(_words(text, path, error.pos, error.msg)) from error
    except _NoConstant as error:
        position = max(text.find(str(error)), 0)
        raise InvalidValue(_words(text, path, position, f"{error} is not JSON")) from error
    except RecursionError as error:
        raise InvalidValue(f"{path}: nested too deeply to be a configuration of dockerd") from error


class _NoConstant(ValueError):
    """NaN or Infinity, which Python reads and dockerd doesn't."""


def _no_constant(name: str) -> Any:
    raise _NoConstant(name)


def _words(text: str, path: str, position: int, reason: str) -> str:
    """The place and the reason. What stands there may be a password, so it isn't quoted."""
    position = min(position, len(text))
    number = text.count("\n", 0, position) + 1
    column = position - (text.rfind("\n", 0, position) + 1) + 1
    return f"{path}: line {number}: broken JSON: {reason} (at character {column})"


def _after_blank(text: str, position: int) -> int:
    while position < len(text) and text[position] in _BLANK:
        position += 1
    return position


def _scan(text: str, decoder: json.JSONDecoder) -> Parsed:
    opening = _after_blank(text, len(_BOM) if text.startswith(_BOM) else 0)
    if text[opening : opening + 1] != "{":
        raise json.JSONDecodeError("dockerd wants an object in braces", text, opening)
    members: List[Member] = []
    position = _after_blank(text, opening + 1)
    while text[position : position + 1] != "}" or members:
        member = _member(text, position, decoder)
        members.append(member)
        position = _after_blank(text, member.end)
        if text[position : position + 1] == "}":
            break
        if text[position : position + 1] != ",":
            raise json.JSONDecodeError("a comma or } is missing", text, position)
        position = _after_blank(text, position + 1)
    end = _after_blank(text, position + 1)
    if end != len(text):
        raise json.JSONDecodeError("something stands behind the closing }", text, end)
    return Parsed(tuple(members), opening, position)


def _member(text: str, start: int, decoder: json.JSONDecoder) -> Member:
    if text[start : start + 1] != '"':
        raise json.JSONDecodeError('a key in "…" is missing', text, start)
    key, key_end = decoder.raw_decode(text, start)
    colon = _after_blank(text, key_end)
    if text[colon : colon + 1] != ":":
        raise json.JSONDecodeError("a colon is missing", text, colon)
    value_start = _after_blank(text, colon + 1)
    value, end = decoder.raw_decode(text, value_start)
    return Member(key, value, start, key_end, value_start, end, text.count("\n", 0, start) + 1)


def merge(text: Optional[str], changes: Mapping[str, Any], path: str = PATH) -> str:
    """The text with these keys set, or taken away where the value is DELETE; nothing else is touched.

    A key that has its value already stays as it is written. ``text`` None or blank is a file still to be made. Raises
    InvalidValue as parse() does.
    """
    if text is None or is_blank(text):
        text = "{}\n"
    for key, value in changes.items():
        text = _without(text, key, path) if value is DELETE else _with(text, key, value, path)
    return text


def _same(left: Any, right: Any) -> bool:
    """Equality that tells 1 from true."""
    return json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True)


def _with(text: str, key: str, value: Any, path: str) -> str:
    parsed = parse(text, path)
    present = [member for member in parsed.members if member.key == key]
    if len(present) > 1:  # dockerd takes the last
        text = _cut(text, parsed, parsed.members.index(present[0]))
        return _with(text, key, value, path)
    written = json.dumps(value, ensure_ascii=False)
    if present:
        member = present[0]
        if _same(member.value, value):
            return text
        return text[: member.value_start] + written + text[member.end :]
    return _appended(text, parsed, f"{json.dumps(key)}", written)


def _appended(text: str, parsed: Parsed, key: str, value: str) -> str:
    if not parsed.members:
        newline = "\r\n" if "\r\n" in text else "\n"
        inside = f"{newline}  {key}: {value}{newline}"
        return text[: parsed.opening + 1] + inside + text[parsed.closing :]
    last = parsed.members[-1]
    if len(parsed.members) > 1:
        previous = parsed.members[-2].end
        separator = text[text.index(",", previous) + 1 : last.start]
    else:
        separator = text[parsed.opening + 1 : last.start]
        if not separator.strip(" \t"):
            separator = " "
    colon = text[last.key_end : last.value_start]
    if "\n" in colon:
        colon = ": "
    return text[: last.end] + "," + separator + key + colon + value + text[last.end :]


def _without(text: str, key: str, path: str) -> str:
    parsed = parse(text, path)
    for number, member in enumerate(parsed.members):
        if member.key == key:
            return _without(_cut(text, parsed, number), key, path)
    return text


def _cut(text: str, parsed: Parsed, number: int) -> str:
    """Without one member and its comma."""
    members = parsed.members
    if len(members) == 1:
        return text[: parsed.opening + 1] + text[parsed.closing :]
    if number + 1 < len(members):
        return text[: members[number].start] + text[members[number + 1].start :]
    return text[: members[number - 1].end] + text[members[number].end :]
