# SPDX-License-Identifier: GPL-3.0-or-later
"""A module's parameters as they were given, held against its specification: what Ansible says without a path. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Dict, Iterator, List, Tuple

from .document.fields import Fields, join, open_mapping, shown

Spec = Mapping[str, Mapping[str, Any]]

_BOOLEAN, _WHOLE, _MAPPING, _LIST = "bool", "int", "dict", "list"
_TEXTS = ("str", "path")


def unknown_keys(spec: Spec, values: Mapping[str, Any], path: str = "") -> List[str]:
    """A line for each unknown key inside a mapping, at any depth; ``path`` is that of ``values``."""
    problems: List[str] = []
    for options, value, where in _inner(spec, values, path):
        open_mapping(value, where, frozenset(options), problems)
        problems += unknown_keys(options, value, where)
    return problems


def wrong_values(spec: Spec, values: Mapping[str, Any], path: str = "") -> List[str]:
    """A line for each value that isn't of its option's type or none of its choices, or that is missing."""
    problems: List[str] = []
    fields = Fields(values, path, problems)
    for name, option in spec.items():
        value = values.get(name)
        if value is not None:
            _judge(fields, name, option, value)
        elif option.get("required"):
            fields.problem(name, f"is missing; say {_form(option)}")
    for options, value, where in _inner(spec, values, path):
        problems += wrong_values(options, value, where)
    return problems


def _inner(spec: Spec, values: Mapping[str, Any], path: str) -> Iterator[Tuple[Spec, Mapping[str, Any], str]]:
    """The mappings in ``values`` of which the specification knows the keys: those keys, the mapping and its path."""
    for name, option in spec.items():
        value = values.get(name)
        if "options" not in option:
            continue
        if isinstance(value, Mapping):
            yield option["options"], value, join(path, name)
        elif isinstance(value, (list, tuple)):
            for number, entry in enumerate(value):
                if isinstance(entry, Mapping):
                    yield option["options"], entry, f"{join(path, name)}[{number}]"


def _judge(fields: Fields, name: str, option: Mapping[str, Any], value: Any) -> None:
    kind = option.get("type", "str")
    if kind == _LIST:
        _judge_list(fields, name, option, value)
    elif kind == _BOOLEAN:
        fields.boolean(name)
    elif not _fits(kind, value):
        fields.problem(name, f"{shown(value)} is not {_form(option)}")
    elif "choices" in option:
        fields.choice(name, [str(choice) for choice in option["choices"]], "")


def _judge_list(fields: Fields, name: str, option: Mapping[str, Any], value: Any) -> None:
    """Text may be a list, too: Ansible takes its parts between commas."""
    kind = option.get("elements", "raw")
    if isinstance(value, (Mapping, bool)):
        fields.problem(name, f"{shown(value)} is not a list; say one entry per line, each with a dash")
    elif isinstance(value, (list, tuple)):
        for number, entry in enumerate(value):
            if not _fits(kind, entry):
                fields.problem(f"{name}[{number}]", f"{shown(entry)} is not {_form({**option, 'type': kind})}")


def _fits(kind: str, value: Any) -> bool:
    """Whether Ansible makes something sensible of the value; it makes text of anything."""
    if kind == _MAPPING:
        return isinstance(value, Mapping) or (isinstance(value, str) and ("=" in value or value.startswith("{")))
    if kind == _WHOLE:
        text = value.strip() if isinstance(value, str) else value
        return not isinstance(value, bool) and (isinstance(text, int) or (isinstance(text, str) and _is_whole(text)))
    return kind not in _TEXTS or not isinstance(value, (Mapping, list, tuple))


def _is_whole(text: str) -> bool:
    return text.isascii() and text.lstrip("-").isdecimal() and len(text) <= 20


def _form(option: Mapping[str, Any]) -> str:
    """What a value of this option looks like, in words."""
    forms: Dict[str, str] = {
        _MAPPING: "a mapping of fields",
        _LIST: "a list",
        _WHOLE: "a whole number",
        _BOOLEAN: "true or false",
    }
    choices = ", ".join(str(choice) for choice in option.get("choices", ()))
    form = f"one of {choices}" if choices else forms.get(option.get("type", "str"), "text")
    keys = ", ".join(sorted(option.get("options", ())))
    return f"{form} ({keys})" if keys and option.get("type") == _MAPPING else form
