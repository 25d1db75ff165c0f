# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's bytecode, kept on the managed host from one task to the next.

A task comes as source, and compiling it takes longer than most of what it does. One file per Python version holds each
module's code with the digest of the source that it was compiled from; it lies in the state directory, which only its
owner can write to, and nothing else is ever loaded from it.
"""

from __future__ import annotations

import contextlib
import hashlib
import marshal
import os
import stat
import sys
from types import CodeType
from typing import Dict, Optional, Tuple

STATE_DIRECTORY = "/var/lib/hostwire"
_MAGIC = b"hostwire bytecode 1\n"


class Kept:
    """What is kept in ``directory``, and what of it this process added."""

    def __init__(self, directory: str = STATE_DIRECTORY) -> None:
        self._directory = directory
        self._path = os.path.join(directory, f"bytecode.{sys.implementation.cache_tag}-{sys.hexversion:x}")
        self._entries: Optional[Dict[str, Tuple[bytes, bytes]]] = None
        self._added = False

    def code(self, name: str, source: bytes, path: str) -> CodeType:
        """The code of module ``name``, compiled now if it isn't kept. Raises SyntaxError."""
        if self._entries is None:
            self._entries = self._read()
        digest = hashlib.sha256(source).digest()
        entry = self._entries.get(name)
        if entry is not None and entry[0] == digest:
            kept: CodeType = marshal.loads(entry[1])
            return kept
        compiled: CodeType = compile(source, path, "exec", dont_inherit=True)
        self._entries[name] = (digest, marshal.dumps(compiled))
        self._added = True
        return compiled

    def keep(self) -> None:
        """Write what was added, if there is a place to keep it; whoever can't keep it compiles again."""
        if not self._added or self._entries is None or not _ours(self._directory, directory=True):
            return
        beside = f"{self._path}.{os.getpid()}"
        with contextlib.suppress(OSError):
            try:
                fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
                with os.fdopen(fd, "wb") as file:
                    file.write(_sealed(marshal.dumps(self._entries)))
                os.rename(beside, self._path)
                self._added = False
            except OSError:  # a full disk
                os.unlink(beside)

    def _read(self) -> Dict[str, Tuple[bytes, bytes]]:
        if not _ours(self._directory, directory=True) or not _ours(self._path):
            return {}
        try:
            with open(self._path, "rb") as file:
                text = file.read()
        except OSError:
            return {}
        content = text[len(_MAGIC) + hashlib.sha256().digest_size :]
        if text != _sealed(content):  # cut short by a power failure
            return {}
        entries: Dict[str, Tuple[bytes, bytes]] = marshal.loads(content)
        return entries


def _sealed(content: bytes) -> bytes:
    return _MAGIC + hashlib.sha256(content).digest() + content


def _ours(path: str, directory: bool = False) -> bool:
    """Whether it is a file, or a directory, that only we can have written to. A symbolic link is not followed."""
    try:
        status = os.lstat(path)
    except OSError:
        return False
    right_kind = stat.S_ISDIR if directory else stat.S_ISREG
    others = stat.S_IWGRP | stat.S_IWOTH
    return right_kind(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & others
