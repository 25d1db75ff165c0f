# SPDX-License-Identifier: GPL-3.0-or-later
"""A kernel for virtual machines: Debian's for clouds, fetched by apt and unpacked, never installed.

What a machine needs of it is kept in the user's cache directory, in a directory named after package, version and
modules, so nothing is fetched twice, and a newer kernel replaces an older one.
"""

from __future__ import annotations

import fcntl
import functools
import lzma
import os
import platform
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional

from ansible_collections.hostwire.linux.tests.images.build import cache_directory

PACKAGE = "linux-image-cloud-amd64"
NEEDED = ("virtio_pci", "virtio_net", "virtio_console")  # modules; what they depend on comes along
PROGRAMS = ("apt-cache", "apt-get", "dpkg-deb")


class NoKernel(Exception):
    """There is no kernel for a virtual machine; the text says why, and what would help."""


class Kernel(NamedTuple):
    """A kernel's image, and the modules to load, in this order."""

    image: Path
    modules: List[Path]


@functools.cache
def kernel() -> Kernel:
    """The kernel, fetched first where the cache doesn't have it yet; one download at a time. Raises NoKernel.

    To be called first where apt's lists and the network are: a private host has neither.
    """
    kernels = cache_directory() / "kernels"
    kernels.mkdir(parents=True, exist_ok=True)
    with (kernels / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        kept = _kept(kernels)
        try:
            wanted = _package()
        except NoKernel:
            if not kept:
                raise
            directory = kept[-1]  # without apt's lists the last one serves as well
        else:
            directory = kernels / "_".join([wanted.removesuffix(".deb"), *NEEDED])
            if directory not in kept:
                _fetch(directory)
                for outdated in kept:
                    shutil.rmtree(outdated)
    return Kernel(directory / "vmlinuz", sorted((directory / "modules").iterdir()))


def _kept(kernels: Path) -> List[Path]:
    """The kernels in the cache, oldest first."""
    return sorted(kernels.glob("linux-image-*"), key=lambda path: path.stat().st_mtime)


def _concrete() -> str:
    """The name of the package that holds the kernel on which PACKAGE depends. Raises NoKernel."""
    if platform.machine() != "x86_64":
        raise NoKernel(f"virtual machines are tried on x86_64 only; this machine is {platform.machine()}")
    lacking = [program for program in PROGRAMS if shutil.which(program) is None]
    if lacking:
        raise NoKernel(f"a virtual machine needs Debian's kernel, and here is no {', '.join(lacking)} to fetch it with")
    found = re.search(r"Depends: (linux-image-\S+)", _run("apt-cache", "depends", PACKAGE))
    if found is None:
        raise NoKernel(f"apt's lists have no {PACKAGE}: run `apt-get update` as root")
    return found[1]


def _package() -> str:
    """The file name of the newest kernel's package, with its version. Raises NoKernel."""
    described = _run("apt-get", "download", "--print-uris", _concrete())
    found = re.search(r"'\S+' (linux-image-\S+\.deb) \d+", described)
    if found is None:
        raise NoKernel(f"apt-get names no file of the kernel's package: {described.strip()}")
    return found[1]


def _fetch(directory: Path) -> None:
    """Download the package and put image and modules into ``directory``, whole or not at all. Raises NoKernel."""
    with tempfile.TemporaryDirectory(prefix="unfinished-", dir=directory.parent) as work:
        unpacked, made = Path(work, "unpacked"), Path(work, "made")
        _run("apt-get", "download", _concrete(), cwd=work)
        package = next(Path(work).glob("*.deb"))
        _run("dpkg-deb", "-x", str(package), str(unpacked))
        (made / "modules").mkdir(parents=True)
        shutil.copy(next((unpacked / "boot").glob("vmlinuz-*")), made / "vmlinuz")
        files = {_module_name(file): file for file in unpacked.glob("**/*.ko*")}
        for number, name in enumerate(_in_order(files)):
            (made / "modules" / f"{number:02}-{name}.ko").write_bytes(_content(files[name]))
        made.rename(directory)


def _module_name(file: Path) -> str:
    return file.name.partition(".")[0].replace("-", "_")


def _content(file: Path) -> bytes:
    """A module as it is loaded: newer releases pack theirs."""
    content = file.read_bytes()
    return lzma.decompress(content) if file.suffix == ".xz" else content


def _in_order(files: Dict[str, Path]) -> List[str]:
    """The needed modules and all that they depend on, each after what it depends on (modinfo's field ``depends``)."""
    order: List[str] = []

    def add(name: str) -> None:
        found = re.search(rb"\0depends=([^\0]*)\0", _content(files[name]))
        for needed in found[1].decode().split(",") if found and found[1] else ():
            add(needed.replace("-", "_"))
        if name not in order:
            order.append(name)

    for wanted in NEEDED:
        add(wanted)
    return order


def _run(*command: str, cwd: Optional[str] = None) -> str:
    environment = {**os.environ, "LC_ALL": "C"}
    done = subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip()
        raise NoKernel(f"a virtual machine needs {PACKAGE}, and `{' '.join(command)}` failed: {said}")
    return done.stdout
