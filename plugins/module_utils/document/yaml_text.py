# SPDX-License-Identifier: GPL-3.0-or-later
"""Plain values as YAML text in block style: the managed side has no YAML library.

Written for diffs that people read. Every YAML 1.1 and 1.2 reader must get the very values back, so text that any of
them could take for something else is quoted.
"""

from __future__ import annotations

import json
import re
from typing import Any, List

# Plain only what can't be anything but text: no indicator, no date, no number in any notation (0x1f, 1_0, 1:30, 1e3).
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*(?::[A-Za-z0-9_./-]+)*|[0-9]+(?:\.[0-9]+){3}(?:/[0-9]+)?", re.ASCII)
_WORDS = frozenset(("y", "n", "yes", "no", "on", "off", "true", "false", "null"))


def to_yaml(value: Any) -> str:
    """The YAML text of dicts, lists, text, numbers, booleans and None; keys in the order of the dict.

    Raises TypeError for anything else.
    """
    lines: List[str] = []
    if isinstance(value, (dict, list)) and value:
        _block(value, "", lines)
    else:
        lines.append(_scalar(value))
    return "\n".join(lines) + "\n"


def _block(value: Any, indent: str, lines: List[str]) -> None:
    """Append the lines of a dict or list that isn't empty."""
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, (dict, list)) and item:
                lines.append(f"{indent}{_scalar(key)}:")
                _block(item, indent + "  ", lines)
            else:
                lines.append(f"{indent}{_scalar(key)}: {_scalar(item)}")
        return
    for item in value:
        if isinstance(item, (dict, list)) and item:
            start = len(lines)
            _block(item, indent + "  ", lines)
            lines[start] = f"{indent}- {lines[start][len(indent) + 2 :]}"
        else:
            lines.append(f"{indent}- {_scalar(item)}")


def _scalar(value: Any) -> str:
    """A value on one line."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return value if _PLAIN.fullmatch(value) and value.lower() not in _WORDS else _quoted(value)
    if isinstance(value, (dict, list)) and not value:
        return "{}" if isinstance(value, dict) else "[]"
    raise TypeError(f"no YAML for a value of type {type(value).__name__}")


def _quoted(text: str) -> str:
    """Double-quoted text. JSON's escapes are YAML's, but JSON writes characters beyond 16 bits in halves."""
    return '"' + "".join(_escaped(character) for character in text) + '"'


def _escaped(character: str) -> str:
    if ord(character) > 0xFFFF:
        return f"\\U{ord(character):08x}"
    return "\\x7f" if character == "\x7f" else json.dumps(character)[1:-1]
