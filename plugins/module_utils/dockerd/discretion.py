# SPDX-License-Identifier: GPL-3.0-or-later
"""What may be told of files that aren't ours: our options in them, and of everything else only that it is there. Pure.

daemon.json and the files of dockerd's environment hold proxies' passwords and tokens of log services and registries.
"""

from __future__ import annotations

import re
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional, Set, Tuple

from ..errors import InvalidValue
from . import daemon_json
from .arguments import collected, read_arguments
from .options import BY_KEY, Option, plain

_TOKEN = re.compile(r"[^\s\"'\\]+")
_NAME = re.compile(r"^\w+=(?=-)")  # of a variable, before its unquoted value
_COMMENT = re.compile(r"^[ \t]*[#;].*$", re.MULTILINE)
_DIRECTIVE = re.compile(r"^[A-Z]\w*=", re.MULTILINE)
_UNITS = (".service", ".conf")
_SHORTEST = 4  # characters of a word that is hidden: a shorter one would stand everywhere
_CREDENTIALS = re.compile(r"(?<=://)[^/\s\"'@]+@")
_HIDDEN = "***"


def told(text: Optional[str], is_json: bool) -> Optional[Dict[str, Any]]:
    """What a result shows of a file's text: the options that docker_bridge sets, and that the rest is kept.

    None where there is no file. Raises InvalidValue for a daemon.json that is no JSON.
    """
    if text is None:
        return None
    options = {option.key: value for option, value in _options(text, is_json) if option.parameter is not None}
    if not is_json:
        return {"options": options, "kept": "all other words"}
    others = sum(member.key not in options for member in _members(text))
    return {"options": options, "kept": f"{others} other key{'' if others == 1 else 's'}"}


def _members(text: str) -> Iterable[daemon_json.Member]:
    return () if daemon_json.is_blank(text) else daemon_json.parse(text).members


def _options(text: str, is_json: bool) -> Iterator[Tuple[Option, Any]]:
    if is_json:
        for member in _members(text):
            if member.key in BY_KEY:
                yield BY_KEY[member.key], plain(member.value)
        return
    values: Dict[str, List[Any]] = {}
    tokens = [_NAME.sub("", token) for token in _TOKEN.findall(_COMMENT.sub("", text))]
    for given in read_arguments(tokens):
        values.setdefault(given.option.key, []).append(given.value)
    for key, found in values.items():
        yield BY_KEY[key], plain(collected(BY_KEY[key], found))


def foreign_words(texts: Mapping[str, Optional[str]], json_path: str) -> Set[str]:
    """The words of these files, by path, that nobody else is to read: all but the networking options."""
    found: Set[str] = set()
    for path, text in texts.items():
        if path == json_path:
            for member in _members_or_none(text or ""):
                if member.key not in BY_KEY:
                    found.update(_strings(member.value))
        else:
            tokens = _TOKEN.findall(_DIRECTIVE.sub("", text or "") if path.endswith(_UNITS) else text or "")
            known = {token for given in read_arguments(tokens) for token in tokens[given.first : given.last + 1]}
            for token in tokens:
                if token not in known and "=" in token:
                    found.update((token.partition("=")[2], token.rpartition("=")[2]))
    return {word for word in found if len(word) >= _SHORTEST and word[0] not in "/-$"}


def _members_or_none(text: str) -> Iterable[daemon_json.Member]:
    try:
        return _members(text)
    except InvalidValue:
        return ()


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for entry in value.values() if isinstance(value, dict) else value:
            yield from _strings(entry)


def discreet(said: str, words: Iterable[str] = ()) -> str:
    """What another program said, without credentials in addresses and without these words."""
    for word in sorted(words, key=len, reverse=True):
        said = re.sub(rf"(?<![\w-]){re.escape(word)}(?![\w-])", _HIDDEN, said)
    return _CREDENTIALS.sub(f"{_HIDDEN}@", said)
