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


SOURCE = """
import inspect, sys
sys.path.insert(0, sys.argv[1])
from engine import zip_source
from engine import errors
print(type(errors.__spec__.loader).__module__, inspect.getsource(errors.HostwireError).splitlines()[0])
"""


def test_every_module_is_compiled_once(tmp_path: Path) -> None:
    archive, said = run(tmp_path, SCRIPT)
    assert said.split() == ["engine.zip_source", f"{archive}/engine/engine.py", "1"]


def test_a_traceback_can_show_a_modules_lines(tmp_path: Path) -> None:
    _archive, said = run(tmp_path, SOURCE)
    assert said == "engine.zip_source class HostwireError(Exception):\n"


def run(folder: Path, script: str) -> tuple[Path, str]:
    """The script's output, and the archive that it has the engine in."""
    archive = folder / "task.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for file in MODULE_UTILS.rglob("*.py"):
            packed.write(file, f"engine/{file.relative_to(MODULE_UTILS)}")
    done = subprocess.run([sys.executable, "-c", script, archive], capture_output=True, text=True, check=True)
    return archive, done.stdout
