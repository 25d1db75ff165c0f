# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action report: prints the reachability matrix of the play's hosts, and fails unless it is as declared."""

from __future__ import annotations

from typing import Any, Dict, Optional

from ansible import constants
from ansible.plugins.action import ActionBase
from ansible.utils.color import stringc
from ansible.utils.display import Display

from ansible_collections.hostwire.linux.plugins.plugin_utils.reachability_report import (
    conclusion,
    host_probes,
    surprises,
    table,
)

display = Display()
NO_TERMINAL = 79  # columns, as Ansible's own


class ActionModule(ActionBase):
    """Runs once for all hosts of the play, on the controller; no host is connected to."""

    TRANSFERS_FILES = False
    BYPASS_HOST_LOOP = True
    _requires_connection = False

    def run(self, tmp: Optional[str] = None, task_vars: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
        """Print the table and the conclusion; fail on a surprise and on a host about which nothing is known."""
        variables = task_vars or {}
        result: Dict[str, Any] = super().run(tmp, task_vars)
        dummy, options = self.validate_argument_spec(  # type: ignore[no-untyped-call]
            {"variable": {"default": "reachability_result"}, "hosts": {"type": "list", "elements": "str"}}
        )
        names = variables["ansible_play_hosts_all"] if options["hosts"] is None else options["hosts"]
        strangers = [name for name in names if name not in variables["hostvars"]]
        if strangers:
            return {**result, "failed": True, "msg": f"hosts: not in the inventory: {', '.join(strangers)}"}
        known = [host_probes(name, variables["hostvars"][name].get(options["variable"])) for name in names]
        verdict = conclusion(known, self._task.check_mode)
        wrong = surprises(known)
        failed = bool(wrong) or any(host.unproved is not None for host in known)
        # What reads standard output as JSON shouldn't meet a table there.
        aside = "json" in constants.config.get_config_value("DEFAULT_STDOUT_CALLBACK")  # type: ignore[no-untyped-call]
        result.update(changed=False, failed=failed, msg=verdict)
        parts = [table(known, display.columns or NO_TERMINAL, stringc)]
        if failed:  # Ansible itself prints the message of a failure
            result["surprises"] = [{"host": host, **row} for host, row in wrong]
        else:
            parts.append(stringc(verdict, "green"))  # type: ignore[no-untyped-call]
            result["matrix"] = [{"host": host.host, **row} for host in known for row in host.rows]
        display.display("\n\n".join(part for part in parts if part), stderr=aside)
        return result
