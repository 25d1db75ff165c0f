# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong inside a module's parameters is told with its path and what would be right, at any depth."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.hostwire.linux.plugins.module_utils.parameters import unknown_keys, wrong_values
from ansible_collections.hostwire.linux.tests.in_process import call

MODULES = Path(__file__).resolve().parents[2] / "plugins" / "modules"

NESTED: list[tuple[str, dict[str, Any], str]] = [
    (
        "hosts_file",
        {"entries": [{"nams": ["x"], "address": "10.0.0.1"}]},
        'entries[0].nams: unknown key; did you mean "names"?',
    ),
    ("guest_names", {"entries": [{}, {"nams": ["x"]}]}, 'entries[1].nams: unknown key; did you mean "names"?'),
    (
        "docker_bridge",
        {"default_address_pools": [{"base": "10.1.0.0/16", "sise": 24}]},
        'default_address_pools[0].sise: unknown key; did you mean "size"?',
    ),
    (
        "docker_chains",
        {"rules": [{"prot": 80, "action": "accept"}]},
        'rules[0].prot: unknown key; did you mean "port"?',
    ),
    ("bridge", {"name": "v", "guests": {"outsid": True}}, 'guests.outsid: unknown key; did you mean "outside"?'),
    ("veth", {"name": "v", "peer": {"name": "w", "netn": "red"}}, 'peer.netn: unknown key; did you mean "netns"?'),
    ("topologies", {"documents": [{"bridgs": []}]}, 'documents[0].bridgs: unknown key; did you mean "bridges"?'),
    ("topology", {"bridges": [{"name": "b", "guests": {"outsid": True}}]}, "bridges[0].guests.outsid: unknown key"),
    ("hosts_file", {"entries": [{"wholly": 1}]}, "entries[0].wholly: unknown key; known are address, names"),
]


@pytest.mark.parametrize(("module", "parameters", "told"), NESTED, ids=[f"{case[0]}-{case[2]}" for case in NESTED])
def test_an_unknown_key_inside_is_named_with_its_place(module: str, parameters: dict[str, Any], told: str) -> None:
    answer = call(module, check=True, **parameters)
    problems = answer["problems"]
    assert answer["kind"] == "invalid"
    assert [line for line in problems if line.startswith(told)]
    assert len({line for line in problems if "unknown key" in line}) == 1
    assert len(problems) == len(set(problems))


def nested_options() -> list[tuple[str, str, str]]:
    """Module, option and type of each option that has keys of its own."""
    found = []
    for path in sorted(MODULES.glob("*.py")):
        page = importlib.import_module(f"ansible_collections.hostwire.linux.plugins.modules.{path.stem}")
        for name, option in yaml.safe_load(page.DOCUMENTATION).get("options", {}).items():
            if "suboptions" in option and hasattr(page, "main"):
                found.append((path.stem, name, option["type"]))
    return found


@pytest.mark.parametrize(("module", "option", "kind"), nested_options())
def test_no_module_answers_out_of_the_code(module: str, option: str, kind: str) -> None:
    value: Any = {"a stranger": 1, "\x1b[31m": 2}
    answer = call(module, check=True, **{option: [value, 5, "x"] if kind == "list" else value})
    assert answer["failed"]
    assert answer["kind"] == "invalid"
    assert option in answer["msg"]
    assert not any(words in answer["msg"] for words in ("attribute", "convert", "NoneType", "<class", "tuple", "\x1b"))


SPEC: dict[str, Any] = {
    "flag": {"type": "bool"},
    "count": {"type": "int"},
    "kind": {"choices": ["red", "blue"]},
    "names": {"type": "list", "elements": "str"},
    "entry": {"type": "dict", "options": {"deep": {"type": "list", "elements": "dict", "options": {"x": {}}}}},
    "needed": {"required": True},
}
GOOD: list[dict[str, Any]] = [
    {"flag": "yes", "count": "5", "kind": "red", "names": ["a", 5], "entry": {"deep": [{"x": "y"}]}},
    {"flag": 0, "count": -1, "names": "a,b", "entry": "deep=5"},
    {"flag": None, "count": None, "kind": None, "names": None, "entry": None},
]
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"flag": "perhaps"}, 'flag: "perhaps" is neither true nor false'),
    ({"count": "many"}, 'count: "many" is not a whole number'),
    ({"count": True}, "count: true is not a whole number"),
    ({"kind": "rde"}, 'kind: "rde" is none of red, blue; did you mean "red"?'),
    ({"kind": ["red"]}, "kind: a list is not one of red, blue"),
    ({"names": {"a": 1}}, "names: a mapping is not a list; say one entry per line, each with a dash"),
    ({"names": ["a", ["b"]]}, "names[1]: a list is not text"),
    ({"entry": [1]}, "entry: a list is not a mapping of fields (deep)"),
    ({"entry": {"deep": [{}, 5]}}, "entry.deep[1]: 5 is not a mapping of fields (x)"),
    ({"entry": {"deep": [{"x": {}}]}}, "entry.deep[0].x: a mapping is not text"),
    ({"needed": None}, "needed: is missing; say text"),
]


@pytest.mark.parametrize("values", GOOD, ids=str)
def test_what_ansible_understands_is_let_pass(values: dict[str, Any]) -> None:
    given = {"needed": "x", **values}
    assert wrong_values(SPEC, given) == []
    assert unknown_keys(SPEC, given) == []


@pytest.mark.parametrize(("values", "told"), WRONG, ids=[told for dummy, told in WRONG])
def test_each_wrong_value_has_its_line(values: dict[str, Any], told: str) -> None:
    assert wrong_values(SPEC, {"needed": "x", **values}) == [told]
