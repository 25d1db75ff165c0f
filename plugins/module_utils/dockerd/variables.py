# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of shell assignments like /etc/default/docker: a variable's words with their places, and cutting words out.

A word keeps where it stands, so that taking an option out leaves comments, other words and other lines as they were.
"""

from __future__ import annotations

import re
from typing import Dict, Iterable, List, NamedTuple, Sequence, Tuple

PATH = "/etc/default/docker"

# A word ends at a blank; a backslash before the line's end is one too.
_WORD = re.compile(r"(?:[^\s\\]|\\(?!\r?\n)(?:.|$))+")
_ASSIGNMENT = re.compile(r"^[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)=", re.MULTILINE)
_QUOTED = {'"': re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL), "'": re.compile(r"'([^']*)'", re.DOTALL)}
_BARE = re.compile(r"(?:[^\s\\;#]|\\.)*", re.DOTALL)


class Word(NamedTuple):
    """A word in a file: what it says, the file, the offsets of its first character and behind its last, its line."""

    text: str
    file: str
    start: int
    end: int
    line: int


class Assignment(NamedTuple):
    """NAME=value in a file, with the words of the value."""

    name: str
    words: Tuple[Word, ...]


def words_between(text: str, file: str, start: int, end: int) -> Tuple[Word, ...]:
    """The blank-separated words between two offsets."""
    return tuple(
        Word(found.group(), file, found.start(), found.end(), text.count("\n", 0, found.start()) + 1)
        for found in _WORD.finditer(text, start, end)
    )


def assignments(text: str, file: str = PATH) -> List[Assignment]:
    """Every assignment of the file in order; lines that are comments or anything else are passed by."""
    found: List[Assignment] = []
    position = 0
    while True:
        match = _ASSIGNMENT.search(text, position)
        if match is None:
            return found
        begin = match.end()
        quote = _QUOTED.get(text[begin : begin + 1])
        value = quote.match(text, begin) if quote else None
        if value is not None:
            found.append(Assignment(match.group(1), words_between(text, file, value.start(1), value.end(1))))
            position = value.end()
        else:
            bare = _BARE.match(text, begin)
            position = bare.end() if bare else begin
            found.append(Assignment(match.group(1), words_between(text, file, begin, position)))


def values(found: Iterable[Assignment]) -> Dict[str, Tuple[Word, ...]]:
    """What each variable holds in the end; ``A="$A more"`` adds to what it held."""
    held: Dict[str, Tuple[Word, ...]] = {}
    for assignment in found:
        own = (f"${assignment.name}", f"${{{assignment.name}}}")
        words: Tuple[Word, ...] = ()
        for word in assignment.words:
            words += held.get(assignment.name, ()) if word.text in own else (word,)
        held[assignment.name] = words
    return held


def cut(text: str, gone: Sequence[Word]) -> str:
    """The text without these words and one run of blanks at each."""
    for word in sorted(gone, key=lambda word: word.start, reverse=True):
        start, end = word.start, word.end
        blank_before = text[:start].rstrip(" \t")
        if len(blank_before) < start and blank_before[-1:] not in ("", "\n", "\\"):
            start = len(blank_before)
        else:
            end += len(text[end:]) - len(text[end:].lstrip(" \t"))
        text = text[:start] + text[end:]
    return text
