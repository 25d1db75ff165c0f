# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables that begin as a role's do and that the role doesn't know: most often slips of the pen."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any, FrozenSet, Iterator, List, Mapping, Set, Tuple

import yaml

from ansible_collections.hostwire.linux.plugins.module_utils.document.fields import Fields
from ansible_collections.hostwire.linux.plugins.module_utils.suggestion import closest

# The user's list of variables that begin as a role's but are somebody else's.
OTHERS = "hostwire_other_variables"
_COLLECTION = Path(__file__).resolve().parents[3]
_ANYBODYS = ("hostvars", "vars", "groups", "ansible_facts")  # what Ansible itself keeps beside the user's variables


def unknown_variables(role: str, variables: Mapping[str, Any], others: Any = None) -> List[str]:
    """A line for each variable with the role's prefix that the role doesn't know, with the one that may be meant.

    ``variables`` are all of a host as they are written, templates and all: a variable out of which another one is made
    is none of these slips. ``others`` is what the user has in OTHERS; that it is no list of names is said first.
    """
    prefix = f"{role}_"
    options, words = _known(role)
    problems: List[str] = []
    listed = {text for dummy, text in Fields({OTHERS: others}, "", problems).text_items(OTHERS, f"[{prefix}of_mine]")}
    given = [str(name) for name in variables if str(name).startswith(prefix)]
    strangers = [name for name in given if name not in words and not _is_module(name) and name not in listed]
    used = _used(strangers, variables) if strangers else set()
    return problems + [_line(role, name, options) for name in sorted(strangers) if name not in used]


def _line(role: str, name: str, options: Tuple[str, ...]) -> str:
    prefix = f"{role}_"
    close = closest(name[len(prefix) :], [option[len(prefix) :] for option in options])
    hint = f'did you mean "{prefix}{close}"?' if close else f"known are {', '.join(options)}"
    return f"{name}: the role {role} has no such variable; {hint} (If it isn't for the role, list it in {OTHERS}.)"


@cache
def _known(role: str) -> Tuple[Tuple[str, ...], FrozenSet[str]]:
    """The role's options, and every word with its prefix in its own files: also what it registers and computes."""
    directory = _COLLECTION / "roles" / role
    spec = yaml.safe_load((directory / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))
    options = {option for entry in spec["argument_specs"].values() for option in entry.get("options", {})}
    files = [path for path in directory.rglob("*") if path.suffix in (".yml", ".j2")]
    words = {word for path in files for word in re.findall(rf"\b{role}_\w+", path.read_text(encoding="utf-8"))}
    return tuple(sorted(options)), frozenset(words | options)


def _is_module(name: str) -> bool:
    """Whether a module of the collection is called so: its result is often registered under that name."""
    return (_COLLECTION / "plugins" / "modules" / f"{name}.py").is_file()


def _used(names: List[str], variables: Mapping[str, Any]) -> Set[str]:
    """Those of the names that stand in the text of another variable."""
    pattern = re.compile(rf"\b({'|'.join(map(re.escape, names))})\b")
    found: Set[str] = set()
    for name in variables:
        if name not in _ANYBODYS:
            for text in _texts(variables[name]):
                found.update(word for word in pattern.findall(text) if word != name)
    return found


def _texts(value: Any) -> Iterator[str]:
    """Every template in a value."""
    if isinstance(value, str):
        if "{{" in value or "{%" in value:
            yield value
    elif isinstance(value, Mapping):
        for entry in value.values():
            yield from _texts(entry)
    elif isinstance(value, (list, tuple)):
        for entry in value:
            yield from _texts(entry)
