# SPDX-License-Identifier: GPL-3.0-or-later
"""Loading the engine out of a task's zip archive, each module compiled once.

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
from types import ModuleType
from typing import Optional, Sequence

_PACKAGE = __name__.rpartition(".")[0]
_DIRECTORY = os.path.dirname(__file__)


class _Source(importlib.abc.SourceLoader):
    """One module's source, whose place is known beforehand."""

    def __init__(self, archive: zipimport.zipimporter, path: str, source: bytes) -> None:
        self._archive = archive
        self._path = path
        self._source = source

    def get_filename(self, fullname: str) -> str:
        """The path of the module, through the archive."""
        return self._path

    def get_data(self, path: str) -> bytes:
        """The module's source, or another file of the archive."""
        return self._source if path == self._path else self._archive.get_data(path)


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
            loader = _Source(self._archive, file, source)
            return importlib.util.spec_from_loader(fullname, loader, is_package=is_package)
        return None


_loader = __spec__.loader if __spec__ is not None else None
if isinstance(_loader, zipimport.zipimporter):
    sys.meta_path.insert(0, _Finder(_loader))
