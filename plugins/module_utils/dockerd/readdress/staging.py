# SPDX-License-Identifier: GPL-3.0-or-later
"""New texts beside the files that they will replace: written before Docker stops, put in place by renames alone.

A full or read-only disk shows before anything is changed, and going back needs no room. Every name is fixed, so nothing
piles up; owner, mode and labels are those of the file that is replaced.
"""

from __future__ import annotations

import contextlib
import os
from typing import Dict, Iterable, Optional

from ... import files
from ...errors import KernelRefused
from ..configuration import read_text, real_path
from .memory import Switch, Texts

FORWARD, BACK = "forward", "back"  # the ways of a run


def beside(path: str, step: str) -> str:
    """Where the text for one step of a run lies."""
    path = real_path(path)
    return os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.hostwire-{step}")


def stage(ways: Dict[str, Switch]) -> None:
    """Write all texts of a run beside; of the way NAME they are called NAME-start and NAME-final.

    Raises KernelRefused, and leaves nothing behind then.
    """
    try:
        for name, way in ways.items():
            for path, text in way.start.items():
                _write(path, beside(path, _step(name, "start")), text)
            for path, text in way.final.items():
                _write(path, beside(path, _step(name, "final")), text)
    except KernelRefused:
        clear(path for way in ways.values() for path in way.start)
        raise


def _step(name: str, step: str) -> str:
    return step if name == FORWARD else f"{name}-{step}"


def _write(path: str, target: str, text: Optional[str]) -> None:
    if text is None:
        return
    real = real_path(path)
    files.make_directory(os.path.dirname(target))
    try:
        files.make(target, text.encode("utf-8", "surrogateescape"), lambda fd: files.look_like(real, fd))
        files.sync_directory(os.path.dirname(target))
    except OSError as error:
        raise KernelRefused(f"file {path}: write beside it", error.errno or 0) from error


def put(name: str, step: str, texts: Texts) -> None:
    """Bring files into place. What lies beside is taken; what doesn't any more is written. Raises KernelRefused."""
    directories = set()
    for path, text in texts.items():
        real, staged = real_path(path), beside(path, _step(name, step))
        try:
            if read_text(real) == text:
                continue
            if text is None:
                os.unlink(real)
            elif read_text(staged) == text:
                os.rename(staged, real)
            else:
                _write(path, staged, text)
                os.rename(staged, real)
        except OSError as error:
            raise KernelRefused(f"file {path}: replace", error.errno or 0) from error
        directories.add(os.path.dirname(real))
    for directory in directories:
        files.sync_directory(directory)


def clear(paths: Iterable[str]) -> None:
    """Take away whatever still lies beside."""
    for path in paths:
        for step in ("start", "final", "back-start", "back-final"):
            with contextlib.suppress(OSError):
                os.unlink(beside(path, step))
