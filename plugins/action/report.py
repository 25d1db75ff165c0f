# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action report: prints the reachability matrix of the play's hosts, and fails unless it is as declared."""

from __future__ import annotations

from typing import Any, Dict, Optional

from ansible_collections.hostwire.linux.plugins.plugin_utils.reachability_report import (
    conclusion,
    host_probes,
    surprises,
    table,
)
from ansible_collections.hostwire.linux.plugins.plugin_utils.table_action import TableAction, hosts_of


class ActionModule(TableAction):
    """The reachability matrix of all hosts of the play."""

    def run(self, tmp: Optional[str] = None, task_vars: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
        """Print the table and the conclusion; fail on a surprise and on a host about which nothing is known."""
        variables = task_vars or {}
        result: Dict[str, Any] = super().run(tmp, task_vars)
        options = self.checked_options({"variable": {"default": "reachability_result"}})
        names = hosts_of(options, variables)
        strangers = [name for name in names if name not in variables["hostvars"]]
        if strangers:
            return {**result, "failed": True, "msg": f"hosts: not in the inventory: {', '.join(strangers)}"}
        known = [host_probes(name, variables["hostvars"][name].get(options["variable"])) for name in names]
        verdict = conclusion(known, self._task.check_mode)
        wrong = surprises(known)
        failed = bool(wrong) or any(host.unproved is not None for host in known)
        result.update(changed=False, failed=failed, msg=verdict)
        self.show(lambda width, paint: table(known, width, paint), None if failed else verdict)
        if failed:
            result["surprises"] = [{"host": host, **row} for host, row in wrong]
        else:
            result["matrix"] = [{"host": host.host, **row} for host in known for row in host.rows]
        return result
