# SPDX-License-Identifier: GPL-3.0-or-later
"""systemd's unit docker.service: the words of the command that dockerd is started with, and where each one stands.

Syntax of unit files: systemd.syntax(7) and systemd.service(5), as far as people use it for dockerd.
"""

from __future__ import annotations

import posixpath
import re
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from .variables import Word, assignments, values, words_between

_LINE = re.compile(r"(?:[^\\\n]|\\.|\\\n)*", re.DOTALL)
_WORD = re.compile(r"""(?:"(?:[^"\\]|\\.)*"|'[^']*'|[^\s"'\\]|\\(?!\r?\n).)+""", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_VARIABLE = re.compile(r"\$\{(\w+)\}|\$(\w+)")
_EDITABLE = ("/etc/", "/run/systemd/")
_GENERATED = ("/run/systemd/generator",)  # written anew with each daemon-reload, systemd.generator(7)


class Text(NamedTuple):
    """A file with its text."""

    path: str
    text: str


class Unit(NamedTuple):
    """What the unit's files say together: the command's words, and what each variable of its environment holds."""

    command: Tuple[Word, ...] = ()
    variables: Dict[str, Tuple[Word, ...]] = {}
    environment_files: Tuple[str, ...] = ()


def is_drop_in(path: str) -> bool:
    """Whether a file adds to a unit, rather than being it."""
    return path.endswith(".conf") and ".service.d/" in path


def editable(path: str) -> bool:
    """Whether a file is the admin's; what lies elsewhere belongs to the distribution's package."""
    return path.startswith(_EDITABLE) and not path.startswith(_GENERATED)


def read_unit(
    files: Sequence[Text],
    environment_file: Callable[[str], Optional[str]],
    resolved: Optional[Sequence[str]] = None,
) -> Unit:
    """The unit whose main file and drop-ins are given in systemd's order.

    ``environment_file`` gives the text of a file of variables, None if there is none. ``resolved`` are those files as
    systemd itself names them, which knows what a specifier like %p stands for.
    """
    command: Tuple[Word, ...] = ()
    variables: Dict[str, Tuple[Word, ...]] = {}
    environment_files: List[str] = []
    for path, text in files:
        for name, start, end in _settings(text):
            words = _words(text, path, start, end)
            if name == "ExecStart":
                command = words  # an empty one takes back what was there; the next one counts
            elif name == "Environment":
                variables = {**variables, **_environment(text, words)} if words else {}
            elif name == "EnvironmentFile":
                environment_files = [*environment_files, *(word.text.lstrip("-") for word in words)] if words else []
    if resolved is not None:
        environment_files = list(resolved)
    for path in environment_files:
        content = environment_file(path)
        if content is not None:
            variables.update(values(assignments(content, path)))
    return Unit(command, variables, tuple(environment_files))


def arguments_of(unit: Unit) -> Tuple[Word, ...]:
    """The words behind the program's name, with variables put in; each with the place where it was written.

    Where another program starts dockerd (nice, numactl, env), the words behind dockerd's.
    """
    found: List[Word] = []
    for word in unit.command:
        whole = _VARIABLE.fullmatch(word.text)
        if whole is not None:
            found += unit.variables.get(whole.group(1) or whole.group(2), ())
            continue
        found.append(word._replace(text=_VARIABLE.sub(lambda match: _joined(unit, match), word.text)))
    named = [is_dockerd(word.text) for word in found]
    first = named.index(True) if True in named else 0
    while first + 1 < len(named) and named[first + 1]:  # ExecStart=@PROGRAM NAME
        first += 1
    return tuple(found[first + 1 :])


def is_dockerd(word: str) -> bool:
    """Whether a word of a command is dockerd as a program, with or without its directory and systemd's prefixes."""
    return posixpath.basename(word.lstrip("@-:+!")) == "dockerd"


def _joined(unit: Unit, match: re.Match[str]) -> str:
    return " ".join(word.text for word in unit.variables.get(match.group(1) or match.group(2), ()))


def _settings(text: str) -> List[Tuple[str, int, int]]:
    """(name, start, end) of every value in [Service]."""
    found = []
    section, position = "", 0
    while position < len(text):
        match = _LINE.match(text, position)
        end = match.end() if match else position
        line = text[position:end]
        stripped = line.strip()
        if stripped.startswith("[") and stripped.endswith("]"):
            section = stripped
        elif section == "[Service]" and "=" in line and stripped[:1] not in "#;":
            name = line.partition("=")[0]
            found.append((name.strip(), position + len(name) + 1, end))
        elif stripped[:1] in ("#", ";"):  # a comment isn't continued
            end = position + len(line.split("\n", 1)[0])
        position = end + 1
    return found


def _words(text: str, path: str, start: int, end: int) -> Tuple[Word, ...]:
    return tuple(
        Word(_unquoted(found.group()), path, found.start(), found.end(), text.count("\n", 0, found.start()) + 1)
        for found in _WORD.finditer(text, start, end)
    )


def _unquoted(word: str) -> str:
    plain = ""
    for part in re.findall(r"""("(?:[^"\\]|\\.)*"|'[^']*'|[^"']+)""", word):
        plain += part[1:-1] if part[0] in "\"'" else part
    return _ESCAPED.sub(r"\1", plain)


def _environment(text: str, words: Sequence[Word]) -> Dict[str, Tuple[Word, ...]]:
    """Variables of ``Environment=``, "NAME=words" or NAME=word."""
    found: Dict[str, Tuple[Word, ...]] = {}
    for word in words:
        raw = text[word.start : word.end]
        quoted = raw[:1] in "\"'"
        name = raw[quoted:].partition("=")[0]
        start = word.start + quoted + len(name) + 1
        found[name] = words_between(text, word.file, start, word.end - quoted)
    return found
