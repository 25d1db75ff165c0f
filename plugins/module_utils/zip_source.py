# SPDX-License-Identifier: GPL-3.0-or-later
"""Loading the engine out of a task's zip archive, each module compiled once, and on most runs not at all.

A task comes as a zip without bytecode. zipimport compiles every module twice: once to find it, for its file's name, and
once to load it; for the engine that is a tenth of a second per task. Import this before the rest of the engine.
"""

from __future__ import annotations

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


class _Source(importlib.machinery.SourceFileLoader):
    """One module's source, which is known beforehand."""

    def __init__(self, fullname: str, path: str, source: bytes) -> None:
        super().__init__(fullname, path)
        self._source = source

    def get_data(self, path: str) -> bytes:
        """The module's source. Raises OSError for any other file."""
        if path != self.path:
            raise FileNotFoundError(path)
        return self._source

    def get_code(self, fullname: str) -> CodeType:
        """The module's code."""
        return _kept.code(fullname, self._source, self.path)


class _Finder:
    """Finds the modules of this package in the archive. It does without importlib.abc, which loads a lot more."""

    def __init__(self, archive: zipimport.zipimporter) -> None:
        self._archive = archive

    def find_spec(
        self, fullname: str, path: Optional[Sequence[str]] = None, target: Optional[ModuleType] = None
    ) -> Optional[importlib.machinery.ModuleSpec]:
        """The module's specification; None for what isn't of this package or not in the archive."""
        if not fullname.startswith(_PACKAGE + "."):
            return None
        place = os.path.join(_DIRECTORY, *fullname[len(_PACKAGE) + 1 :].split("."))
        for file in (f"{place}.py", os.path.join(place, "__init__.py")):
            try:
                source = self._archive.get_data(file)
            except OSError:
                continue
            return importlib.util.spec_from_file_location(fullname, file, loader=_Source(fullname, file, source))
        return None


def keep_bytecode() -> None:
    """What was compiled needs no compiling the next time. Writes to the state directory, if that is there."""
    _kept.keep()


_loader = __spec__.loader if __spec__ is not None else None
if isinstance(_loader, zipimport.zipimporter):
    sys.meta_path.insert(0, _Finder(_loader))
