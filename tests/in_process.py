# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules called in this process: what ansible-playbook would get, without the second that it takes."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import pkgutil
from typing import Any

from ansible.module_utils.testing import patch_module_args

from ansible_collections.hostwire.linux.plugins import module_utils


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


def load(module: str) -> None:
    """Load all that calls of this module need: later on this process may not be allowed to read files."""
    for part in pkgutil.walk_packages(module_utils.__path__, f"{module_utils.__name__}."):
        importlib.import_module(part.name)
    refused = call(module, check=True, nonsense=True)
    assert "nonsense: unknown option" in refused["msg"]
