# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine loads out of a zip archive as a task has it, by the loader that compiles each module once."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

MODULE_UTILS = Path(__file__).resolve().parents[2] / "plugins" / "module_utils"
SCRIPT = """
import builtins, collections, sys
compiled = collections.Counter()
real = builtins.compile
def counting(source, filename, *rest, **more):
    compiled[str(filename)] += 1
    return real(source, filename, *rest, **more)
builtins.compile = counting
sys.path.insert(0, sys.argv[1])
from engine import zip_source
from engine import engine
loader = sys.modules["engine.plan.planner"].__spec__.loader
print(type(loader).__module__, engine.__file__, max(n for name, n in compiled.items() if "planner" in name))
"""


def test_every_module_is_compiled_once(tmp_path: Path) -> None:
    archive = tmp_path / "task.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for file in MODULE_UTILS.rglob("*.py"):
            packed.write(file, f"engine/{file.relative_to(MODULE_UTILS)}")
    done = subprocess.run([sys.executable, "-c", SCRIPT, archive], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["engine.zip_source", f"{archive}/engine/engine.py", "1"]
