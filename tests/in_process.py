# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules called in this process: what ansible-playbook would get, without the second that it takes."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
from typing import Any

from ansible.module_utils.testing import patch_module_args


def call(module: str, *, check: bool = False, **parameters: Any) -> dict[str, Any]:
    """The answer of the collection's module of this name to these parameters."""
    page = importlib.import_module(f"ansible_collections.hostwire.linux.plugins.modules.{module}")
    answer = io.StringIO()
    with (
        patch_module_args({**parameters, "_ansible_check_mode": check}),
        contextlib.redirect_stdout(answer),
        contextlib.suppress(SystemExit),
    ):
        page.main()
    returned: dict[str, Any] = json.loads(answer.getvalue())
    return returned
