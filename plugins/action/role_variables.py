# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action role_variables: says all that is wrong with a role's variables, before anything is looked at or changed."""

from __future__ import annotations

from typing import Any, Dict, Optional

from ansible.plugins.action import ActionBase

from ansible_collections.hostwire.linux.plugins.plugin_utils.role.unknown import OTHERS, unknown_variables
from ansible_collections.hostwire.linux.plugins.plugin_utils.role.values import ROLES, judged


class ActionModule(ActionBase):
    """The check of one role's variables; no host is connected to."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: Optional[str] = None, task_vars: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
        """Fail with a line for each thing that is wrong."""
        variables = task_vars or {}
        result: Dict[str, Any] = super().run(tmp, task_vars)
        spec = {"role": {"choices": list(ROLES), "required": True}}
        dummy, options = self.validate_argument_spec(spec)  # type: ignore[no-untyped-call]

        def get(name: str) -> Any:
            return self._templar.resolve_variable_expression(name) if name in variables else None

        problems = unknown_variables(options["role"], variables, get(OTHERS))
        problems = judged(options["role"], get, problems)
        if problems:
            return {**result, "failed": True, "kind": "invalid", "msg": "\n".join(problems), "problems": problems}
        return {**result, "changed": False}
