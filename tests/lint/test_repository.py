# SPDX-License-Identifier: GPL-3.0-or-later
"""House rules that no linter knows: licence headers, file sizes, who may import whom, what managed hosts can run."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import Iterator

REPOSITORY = Path(__file__).resolve().parents[2]
MODULE_UTILS = "plugins/module_utils/"
ADAPTERS = tuple(f"{MODULE_UTILS}ansible_{name}.py" for name in ("module", "adapter", "documents", "readers"))
LONGEST_FILE = 400  # lines

# A layer may import itself and the layers above it in this table, nothing else. This table is the architecture.
LAYERS = (
    ("visible", "search_path", "rows"),
    ("errors", "model", "bytecode", "suggestion", "stopwatch", "uplink_record", "whereabouts"),
    ("rtnetlink", "document", "docker_api", "zip_source", "directories", "interruption", "running"),
    ("parameters",),
    ("ansible_module",),
    ("netns", "sysctl", "files", "privilege", "state_directory", "tap"),
    ("program", "spot", "uplink_settings"),
    ("containers", "announce", "sockets", "records"),
    ("firewall", "peers", "probe", "uplink"),
    ("observe",),
    ("plan",),
    ("apply", "marks"),
    ("elsewhere",),
    ("task", "info", "hosts_file", "dockerd", "trial"),
    ("guest_names", "host"),
    ("others", "recall", "heirs"),
    ("engine", "paper"),
    ("rehearsal",),
    ("cli", "ansible_adapter", "ansible_readers"),
    ("ansible_documents",),
)

# The text of the licence itself, and what antsibull-changelog writes.
WITHOUT_HEADER = ("LICENSE", "CHANGELOG.md", "changelogs/changelog.yaml")


def repository_files() -> list[str]:
    """The repository's files, as git lists them (those not yet added, too)."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return sorted(name for name in set(listing.splitlines()) if (REPOSITORY / name).is_file())


FILES = repository_files()
PLUGINS = [name for name in FILES if name.startswith("plugins/") and name.endswith(".py")]
ENGINE = [name for name in PLUGINS if name.startswith(MODULE_UTILS)]
MANAGED = [*ENGINE, *(name for name in PLUGINS if name.startswith("plugins/modules/"))]


def syntax(name: str) -> ast.Module:
    return ast.parse((REPOSITORY / name).read_bytes(), name)


def imports(name: str) -> Iterator[tuple[str, str]]:
    """Every (file:line, absolute dotted name) that a file imports; the engine's own begin with ``module_utils.``."""
    package = Path(name).relative_to("plugins").parts[:-1]
    for node in ast.walk(syntax(name)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield f"{name}:{node.lineno}", alias.name
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield f"{name}:{node.lineno}", node.module or ""
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1]
            # `from .links import Link` names a module, `from . import links` one for each name.
            for module in [node.module] if node.module else [alias.name for alias in node.names]:
                yield f"{name}:{node.lineno}", ".".join((*base, module))


def test_every_file_says_its_licence() -> None:
    without = []
    for name in FILES:
        content = (REPOSITORY / name).read_bytes()
        binary_or_empty = b"\0" in content or not content
        if name in WITHOUT_HEADER or name.endswith(".json") or binary_or_empty:  # JSON has no comments
            continue
        if b"SPDX-License-Identifier: GPL-3.0-or-later" not in content[:400]:
            without.append(name)
    assert not without, "no SPDX header in the first lines"


def test_no_plugin_file_is_too_long_to_read() -> None:
    lines = {name: (REPOSITORY / name).read_text().count("\n") for name in PLUGINS}
    assert not {name: count for name, count in lines.items() if count > LONGEST_FILE}, "split where two jobs meet"


def test_only_the_adapter_knows_ansible() -> None:
    found = [
        (where, module)
        for name in ENGINE
        if name not in ADAPTERS
        for where, module in imports(name)
        if module.split(".")[0].startswith("ansible")
    ]
    assert not found, "the engine runs without Ansible; wire it up in ansible_module.py"


def test_the_engines_imports_point_one_way() -> None:
    rank = {module: height for height, layer in enumerate(LAYERS) for module in layer}
    own = {name: Path(name).relative_to(MODULE_UTILS).with_suffix("").parts[0] for name in ENGINE}
    assert set(own.values()) - {"__init__"} <= set(rank), "give it a place in LAYERS"
    wrong = []
    for name in ENGINE:
        for where, module in imports(name):
            parts = module.split(".")
            if parts[0] == "module_utils" and parts[1] != own[name] and rank[parts[1]] >= rank[own[name]]:
                wrong.append(f"{where}: {own[name]} may not import {parts[1]}")
    assert not wrong


def test_managed_hosts_need_nothing_but_python() -> None:
    allowed = {*sys.stdlib_module_names, "module_utils", "ansible_collections"}
    optional = {
        **{name: {"ansible"} for name in ADAPTERS},
        MODULE_UTILS + "cli.py": {"yaml"},  # only where PyYAML is
    }
    found = [
        (where, module)
        for name in MANAGED
        for where, module in imports(name)
        if module.split(".")[0] not in allowed | optional.get(name, set())
        and not (name.startswith("plugins/modules/") and module == "ansible.module_utils.basic")
    ]
    assert not found


def test_annotations_are_never_evaluated_on_managed_hosts() -> None:
    def postponed(body: list[ast.stmt]) -> bool:
        return any(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in body)

    evaluated = [
        name
        for name in MANAGED
        if not postponed(syntax(name).body) and any(not isinstance(node, ast.Expr) for node in syntax(name).body)
    ]
    assert not evaluated, "begin with `from __future__ import annotations`"


def test_managed_hosts_may_run_python_3_9() -> None:
    """Every file compiles with 3.9 and, where that interpreter is at hand, every module of the engine imports with it.

    Importing evaluates base classes, defaults, decorators and aliases, which compiling doesn't.
    """
    for name in MANAGED:
        ast.parse((REPOSITORY / name).read_bytes(), name, feature_version=(3, 9))

    command = [str(REPOSITORY / "tests/setup/interpreter"), "9"]
    interpreter = subprocess.run(command, check=False, capture_output=True, text=True).stdout.strip()
    if not interpreter:
        return
    dotted = [name[len("plugins/") : -len(".py")].replace("/", ".") for name in ENGINE if name not in ADAPTERS]
    program = f"import importlib\nfor name in {dotted!r}: importlib.import_module(name.removesuffix('.__init__'))"
    ran = subprocess.run(
        [interpreter, "-B", "-W", "error", "-c", program],
        cwd=REPOSITORY / "plugins",
        check=False,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
