# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action lab: makes and removes the lab's hosts on the controller."""

from __future__ import annotations

import re
from typing import Any, Dict, List, Optional

from ansible.plugins.action import ActionBase

from ansible_collections.hostwire.linux.plugins.plugin_utils.lab import state as lab

# The same names as for namespaces: each host's network is one, under the host's name.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


def _problems(request: Dict[str, Any]) -> List[str]:
    """Return every mistake in a request."""
    names = [request["machine"], *request["hosts"]]
    problems = [
        f'"{name}" can\'t be a lab host: letters, digits, "_", "." and "-", at most 63'
        for name in names
        if not NAME.fullmatch(name)
    ]
    problems += [f'"{name}" is there twice' for name in sorted({name for name in names if names.count(name) > 1})]
    problems += [
        f'listeners[{index}].host: no lab host named "{listener["host"]}"'
        for index, listener in enumerate(request["listeners"])
        if listener["host"] not in request["hosts"]
    ]
    return problems


class ActionModule(ActionBase):
    """The lab, made or removed; the target of the task is never connected to."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: Optional[str] = None, task_vars: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
        """Compare what is asked for with what is there, and make it so unless in check mode."""
        result: Dict[str, Any] = super().run(tmp, task_vars)
        listener = {"host": {"required": True}, "netns": {"required": True}, "port": {"type": "int", "required": True}}
        options = self.validate_argument_spec(  # type: ignore[no-untyped-call]
            {
                "state": {"choices": ["present", "absent"], "default": "present"},
                "directory": {"type": "path", "default": lab.DEFAULT_DIRECTORY},
                "machine": {"default": "switchroom"},
                "hosts": {"type": "list", "elements": "str", "default": []},
                "listeners": {"type": "list", "elements": "dict", "options": listener, "default": []},
            }
        )[1]
        request = {key: options[key] for key in ("machine", "hosts", "listeners")}
        problems = _problems(request)
        if problems:
            return {**result, "failed": True, "msg": "\n".join(problems)}
        wanted = request if options["state"] == "present" else None
        directory = lab.expand(options["directory"])
        try:
            found = lab.read(directory)
            before = found.request if found and found.whole else None
            # Of a lab that is no longer whole something may be left to take away.
            result["changed"] = found is not None if wanted is None else before != wanted
            result["diff"] = {"before": before or {}, "after": wanted or {}}
            if result["changed"] and not self._task.check_mode:
                lab.replace(directory, wanted)
        except lab.LabError as error:
            return {**result, "failed": True, "changed": False, "msg": str(error)}
        return result
