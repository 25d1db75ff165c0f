# SPDX-License-Identifier: GPL-3.0-or-later
"""Loading the engine out of a task's zip archive, each module compiled once, and on most runs not at all.

A task comes as a zip without bytecode. zipimport compiles every module twice: once to find it, for its file's name, and
once to load it; for the engine that is a tenth of a second per task. Import this before the rest of the engine.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
import zipimport
from types import CodeType, ModuleType
from typing import Optional, Sequence

from .bytecode import Kept

_PACKAGE = __name__.rpartition(".")[0]
_DIRECTORY = os.path.dirname(__file__)
_kept = Kept()


class _Source(importlib.abc.InspectLoader):
    """One module's source, whose place is known beforehand."""

    def __init__(self, path: str, source: bytes, is_package: bool) -> None:
        self._path = path
        self._source = source
        self._is_package = is_package

    def is_package(self, fullname: str) -> bool:
        """Whether the module is a package."""
        return self._is_package

    def get_source(self, fullname: str) -> str:
        """The module's source."""
        return importlib.util.decode_source(self._source)

    def get_code(self, fullname: str) -> CodeType:
        """The module's code."""
        return _kept.code(fullname, self._source, self._path)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the modules of this package in the archive."""

    def __init__(self, archive: zipimport.zipimporter) -> None:
        self._archive = archive

    def find_spec(
        self, fullname: str, path: Optional[Sequence[str]] = None, target: Optional[ModuleType] = None
    ) -> Optional[importlib.machinery.ModuleSpec]:
        """The module's specification; None for what isn't of this package or not in the archive."""
        if not fullname.startswith(_PACKAGE + "."):
            return None
        place = os.path.join(_DIRECTORY, *fullname[len(_PACKAGE) + 1 :].split("."))
        for file, is_package in ((f"{place}.py", False), (os.path.join(place, "__init__.py"), True)):
            try:
                source = self._archive.get_data(file)
            except OSError:
                continue
            spec = importlib.machinery.ModuleSpec(
                fullname, _Source(file, source, is_package), origin=file, is_package=is_package
            )
            spec.has_location = True
            if is_package:
                spec.submodule_search_locations = [place]
            return spec
        return None


def keep_bytecode() -> None:
    """What was compiled needs no compiling the next time. Writes to the state directory, if that is there."""
    _kept.keep()


_loader = __spec__.loader if __spec__ is not None else None
if isinstance(_loader, zipimport.zipimporter):
    sys.meta_path.insert(0, _Finder(_loader))
