# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the test hosts' images with debootstrap and keeps them in the user's cache directory.

An image's name holds a hash of all that it is made from: a changed recipe makes a new image, and none is built twice.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, List

from .recipes import RECIPES, Recipe

_HERE = Path(__file__).parent
_FINISH = _HERE / "finish.sh"
_SCRIPTS = Path("/usr/share/debootstrap")

# Packages' scripts run as root: here they see no network, no process and no mount of the machine.
_ISOLATED = (
    "unshare",
    "--net",
    "--mount",
    "--propagation",
    "private",
    "--pid",
    "--fork",
    "--kill-child",
    "--uts",
    "--ipc",
)


class BuildFailed(Exception):
    """An image could not be made; the text ends with what the failing program said last."""


def cache_directory() -> Path:
    """Where images and downloaded packages are kept: hostwire-linux/ in the user's cache directory."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hostwire-linux"


def digest(recipe: Recipe) -> str:
    """A short hash of everything that decides what is in the image."""
    source = repr(recipe).encode() + _FINISH.read_bytes() + Path(__file__).read_bytes()
    return hashlib.sha256(source).hexdigest()[:12]


def image(suite: str) -> Path:
    """The tarball of a release's image, built first where it isn't there yet; one build at a time."""
    recipe = RECIPES[suite]
    images = cache_directory() / "images"
    images.mkdir(parents=True, exist_ok=True)
    tarball = images / f"{suite}-{digest(recipe)}.tar.gz"
    with _lock(images / "lock"):
        if not tarball.exists():
            print(f"building the {suite} image (about a minute, once)", file=sys.stderr, flush=True)
            _build(recipe, tarball)
            for outdated in images.glob(f"{suite}-*.tar.gz"):
                if outdated != tarball:
                    outdated.unlink()
    return tarball


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(recipe: Recipe, tarball: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="hostwire-image-", dir="/var/tmp") as work:
        root, scripts = Path(work, "root"), Path(work, "debootstrap")
        # A debootstrap older than the release lacks its script; all of Debian's are sid's.
        shutil.copytree(_SCRIPTS, scripts, symlinks=True)
        script = scripts / "scripts" / recipe.suite
        if not script.exists():
            script.symlink_to("sid")
        _run(
            "env",
            f"DEBOOTSTRAP_DIR={scripts}",
            "debootstrap",
            "--foreign",  # only fetches and unpacks; the packages' own scripts run below
            "--variant=minbase",
            f"--include={','.join(recipe.packages)}",
            recipe.suite,
            str(root),
        )
        _run(*_ISOLATED, "chroot", str(root), "/debootstrap/debootstrap", "--second-stage")
        shutil.copy(_FINISH, root / "finish.sh")
        _run(*_ISOLATED, "chroot", str(root), "/bin/sh", "/finish.sh")
        (root / "finish.sh").unlink()
        unfinished = tarball.with_suffix(".unfinished")
        compress = "--use-compress-program=gzip -1"
        _run("tar", f"--directory={root}", "--numeric-owner", compress, "--create", f"--file={unfinished}", ".")
        unfinished.rename(tarball)


def _run(*command: str) -> None:
    # A bare environment: the image must not depend on whose shell builds it.
    proxies = {name: value for name, value in os.environ.items() if name.endswith("_proxy")}
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", **proxies}
    try:
        done = subprocess.run(
            ["nice", "-n", "10", *command],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    except OSError as problem:
        raise BuildFailed(f"{command[0]}: {problem.strerror}") from problem
    if done.returncode:
        raise BuildFailed("\n".join([f"{' '.join(command)} ended with {done.returncode}:", *_last(done.stdout)]))


def _last(output: str, lines: int = 20) -> List[str]:
    return output.splitlines()[-lines:]
