# SPDX-License-Identifier: GPL-3.0-or-later
"""Deeds of a process of its own, which may be killed, or end up in another namespace."""

from __future__ import annotations

import json
import os
from typing import Any, Callable, Dict

from ansible_collections.hostwire.linux.plugins.module_utils.errors import HostwireError

Said = Dict[str, Any]


def in_a_child(deed: Callable[[], object]) -> Said:
    """What a process that does it says: ``error`` and its ``kind``, or neither, or the dictionary that it returns.

    It may end up in another namespace.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        said: Said = {}
        write = os.write
        try:
            told = deed()
            said = told if isinstance(told, dict) else {}
        except HostwireError as error:
            said = {"kind": error.kind, "error": str(error)}
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is no error in words
            said = {"kind": "traceback", "error": repr(error)}
        write(writing, json.dumps(said).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    found: Said = json.loads(text) if status == 0 else {"kind": "killed", "status": status}
    return found
