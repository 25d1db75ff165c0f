# SPDX-License-Identifier: GPL-3.0-or-later
"""python tests/sanity.py VERSION PYTHON_MINOR...: ansible-test sanity of that ansible-core on a staged copy.

The copy and its virtual environment lie under build/sanity/VERSION; ansible-test keeps its own in ~/.ansible/test.
There is no ignore file, and there must be none. The exit status is 77 where no such Python is at hand.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
NO_INTERPRETER = 77

# ansible-test puts pip into its virtual environments by a script that it downloads, unless that script is in its cache
# already. This one does the same with what Python brings and pip's own configuration, so mirrors and proxies just work.
# (ensurepip runs as a process of its own because it turns that configuration off in its environment.)
GET_PIP = """\
import subprocess
import sys

subprocess.check_call([sys.executable, "-m", "ensurepip", "--default-pip"])
subprocess.check_call([sys.executable, "-m", "pip", "install", "--quiet", "pip=={version}"])
"""


def interpreter(minors: list[str]) -> str | None:
    """The path of the first of these Pythons that is at hand."""
    command = [str(REPOSITORY / "tests/setup/interpreter"), *minors]
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout.strip() or None


def make_environment(place: Path, python: str, version: str) -> Path:
    """A virtual environment with that ansible-core, made once; returns its Python."""
    inside = place / "venv" / "bin" / "python"
    if not (place / "venv" / "complete").exists():
        subprocess.run([python, "-m", "venv", "--clear", place / "venv"], check=True)
        subprocess.run(
            [inside, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", f"ansible-core~={version}.0"],
            check=True,
        )
        (place / "venv" / "complete").touch()
    return inside


def offer_pip(inside: Path) -> None:
    """Sees to it that ansible-test finds a script for the pip version that it wants."""
    ask = (
        "import types\n"
        "from ansible_test._internal.python_requirements import get_venv_packages\n"
        "print(get_venv_packages(types.SimpleNamespace(version=''))['pip'])\n"
    )
    version = subprocess.run([inside, "-c", ask], check=True, capture_output=True, text=True).stdout.strip()
    script = Path.home() / ".ansible" / "test" / "cache" / f"get_pip_{version.replace('.', '_')}.py"
    if not script.exists():
        script.parent.mkdir(parents=True, exist_ok=True)
        script.write_text(GET_PIP.format(version=version))


def stage(place: Path) -> Path:
    """A fresh copy of the repository's files at a path that ansible-test takes for a collection."""
    copy = place / "ansible_collections" / "hostwire" / "linux"
    shutil.rmtree(copy, ignore_errors=True)
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for name in sorted(set(listing.splitlines())):
        if (REPOSITORY / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / name, copy / name, follow_symlinks=False)
    # Else it would ask the repository around the copy, which ignores build/, and find nothing to test.
    subprocess.run(["git", "init", "--quiet"], cwd=copy, check=True)
    return copy


def interpreters_path() -> list[str]:
    """PATH, so that ansible-test finds each Python there is: of pyenv the programs, not the shims, which may refuse."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    programs = sorted(map(str, pyenv.glob("versions/3.*/bin")))
    return [*programs, *(entry for entry in os.environ["PATH"].split(":") if Path(entry) != pyenv / "shims")]


def main(version: str, minors: list[str]) -> int:
    python = interpreter(minors)
    if python is None:
        print(f"No Python 3.{' or 3.'.join(minors)} on this machine: sanity of ansible-core {version} was not run.")
        return NO_INTERPRETER
    place = REPOSITORY / "build" / "sanity" / version
    inside = make_environment(place, python, version)
    offer_pip(inside)
    environment = {**os.environ, "PATH": ":".join([str(inside.parent), *interpreters_path()])}
    environment.pop("ANSIBLE_CONFIG", None)
    copy = stage(place)
    command = [str(inside.parent / "ansible-test"), "sanity", "--local", "--requirements", "--junit", "--color", "no"]
    status = subprocess.run(command, cwd=copy, env=environment, check=False).returncode
    reports = list((copy / "tests" / "output" / "junit").glob("*.xml"))
    print(f"ansible-core {version} under {python}: {len(reports)} sanity tests reported.")
    return status if reports else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
