# SPDX-License-Identifier: GPL-3.0-or-later
"""Every function, class and constant of the engine is used by something in plugins; what only tests use is dead."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Dict, Iterator, List, Set, Tuple

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(PLUGINS.rglob("*.py"))}


def module_of(path: Path) -> str:
    return path.parent.name if path.name == "__init__.py" else path.stem


def used_elsewhere() -> Set[Tuple[str, str]]:
    """Each (module, name) that some file imports, or takes as an attribute of the module."""
    used: Set[Tuple[str, str]] = set()
    for path, tree in TREES.items():
        known: Dict[str, str] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                package = node.module.rpartition(".")[2] if node.module else path.parents[node.level - 1].name
                used.update((package, alias.name) for alias in node.names)
                known.update((alias.asname or alias.name, alias.name) for alias in node.names)
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in known:
                used.add((known[node.value.id], node.attr))
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute):
                used.add((node.value.attr, node.attr))
    return used


def named(statement: ast.stmt) -> List[str]:
    """What a statement of a module gives a name to."""
    if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
        return [statement.name]
    targets: List[ast.expr] = []
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AnnAssign):
        targets = [statement.target]
    return [node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)]


def loaded(tree: ast.Module) -> Iterator[str]:
    """The names that a module uses itself, none by its own definition; also as text, as an annotation may be."""
    for statement in tree.body:
        own = named(statement)
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id not in own:
                yield node.id
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and "__all__" not in own:
                yield node.value


def test_every_name_of_the_engine_is_used() -> None:
    used = used_elsewhere()
    dead = []
    for path, tree in TREES.items():
        if "module_utils" in path.parts or "plugin_utils" in path.parts:
            inside = set(loaded(tree))
            names = [name for statement in tree.body for name in named(statement) if not name.startswith("__")]
            dead += [
                f"{path.relative_to(PLUGINS)}: {name}"
                for name in names
                if name not in inside and (module_of(path), name) not in used
            ]
    assert not dead
