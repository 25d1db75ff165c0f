# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens to somebody without any privilege."""

from __future__ import annotations

import codecs
import importlib
import json
import os
import traceback
from typing import Any, Callable

NOBODY = 65534


def as_nobody(work: Callable[[], Any], *modules: str) -> Any:
    """What ``work`` returns, plain values, done by the user nobody in a process of its own.

    ``modules`` below plugins/ are imported beforehand: who knows whether nobody may read them.
    """
    for name in modules:
        importlib.import_module(f"ansible_collections.hostwire.linux.plugins.{name}")
    codecs.lookup("ascii")
    answer, tell = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            with os.fdopen(tell, "w", encoding="utf-8") as stream:
                json.dump(work(), stream)
            os._exit(0)
        finally:
            traceback.print_exc()
            os._exit(1)
    os.close(tell)
    with os.fdopen(answer, encoding="utf-8") as stream:
        text = stream.read()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    return json.loads(text)
