# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action docker_readdress_summary: what came of docker0 on each host, and one sentence for all of it."""

from __future__ import annotations

from typing import Any, Dict, Optional

from ansible_collections.hostwire.linux.plugins.plugin_utils.docker_fleet_report import (
    Outcome,
    conclusion,
    ended_well,
    outcome_of,
    outcome_table,
)
from ansible_collections.hostwire.linux.plugins.plugin_utils.table_action import TableAction, hosts_of

# What the role and the playbook leave on each host: the module's result, the look from outside, an error beside both.
VARIABLES = ("docker_bridge_result", "docker_readdress_outside", "docker_readdress_trouble")


class ActionModule(TableAction):
    """What came of docker0 on all hosts of the play."""

    def run(self, tmp: Optional[str] = None, task_vars: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
        """Print the table and the sentence; fail unless every host is as it was to be."""
        variables = task_vars or {}
        result: Dict[str, Any] = super().run(tmp, task_vars)
        options = self.checked_options(
            {
                "left_out": {"type": "list", "elements": "str", "default": []},
                "goal": {"choices": ["new", "old"], "default": "new"},
                "paused": {"type": "bool", "default": False},
            }
        )
        outcomes = []
        for name in hosts_of(options, variables):
            known = variables["hostvars"][name]
            if name in options["left_out"]:
                outcomes.append(Outcome(name, "left out"))
            else:
                outcomes.append(outcome_of(name, *(known.get(variable) for variable in VARIABLES)))
        failed = not (ended_well(outcomes) or options["paused"])
        sentence = conclusion(outcomes, self._task.check_mode, options["goal"], options["paused"])
        self.show(lambda width, paint: outcome_table(outcomes, width, paint), None if failed else sentence)
        result.update(changed=False, failed=failed, msg=sentence)
        result["outcomes"] = {entry.host: entry.outcome for entry in outcomes}
        return result
