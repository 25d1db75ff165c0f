# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens to somebody without any privilege."""

from __future__ import annotations

import json
import os
import traceback
from typing import Any, Callable, Dict

from ansible_collections.hostwire.linux.tests import in_process

NOBODY = 65534


def call_as_nobody(module: str, *, check: bool = False, **parameters: Any) -> Dict[str, Any]:
    """What the collection's module of this name answers to the user nobody, wherever its code lies."""
    in_process.load(module)
    answer: Dict[str, Any] = as_nobody(lambda: in_process.call(module, check=check, **parameters))
    return answer


def as_nobody(work: Callable[[], Any]) -> Any:
    """What ``work`` returns, plain values, done by the user nobody in a process of its own.

    All code that it needs must be loaded: who knows whether nobody may read it.
    """
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
