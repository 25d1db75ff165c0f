# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action docker_readdress_summary: what came of docker0 on each host, and one sentence for all of it."""

from __future__ import annotations

from typing import Any, Dict, Optional

from ansible import constants
from ansible.plugins.action import ActionBase
from ansible.utils.color import stringc
from ansible.utils.display import Display

from ansible_collections.hostwire.linux.plugins.plugin_utils.docker_fleet_report import (
    Outcome,
    conclusion,
    ended_well,
    outcome_of,
    outcome_table,
)

display = Display()
NO_TERMINAL = 79  # columns, as Ansible's own
# What the role and the playbook leave on each host: the module's result, the look from outside, an error beside both.
VARIABLES = ("docker_bridge_result", "docker_readdress_outside", "docker_readdress_trouble")


class ActionModule(ActionBase):
    """Runs once for all hosts of the play, on the controller; no host is connected to."""

    TRANSFERS_FILES = False
    BYPASS_HOST_LOOP = True
    _requires_connection = False

    def run(self, tmp: Optional[str] = None, task_vars: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
        """Print the table and the sentence; fail unless every host is as it was to be."""
        variables = task_vars or {}
        result: Dict[str, Any] = super().run(tmp, task_vars)
        dummy, options = self.validate_argument_spec(  # type: ignore[no-untyped-call]
            {
                "hosts": {"type": "list", "elements": "str"},
                "left_out": {"type": "list", "elements": "str", "default": []},
                "goal": {"choices": ["new", "old"], "default": "new"},
                "paused": {"type": "bool", "default": False},
            }
        )
        names = variables["ansible_play_hosts_all"] if options["hosts"] is None else options["hosts"]
        outcomes = []
        for name in names:
            known = variables["hostvars"][name]
            if name in options["left_out"]:
                outcomes.append(Outcome(name, "left out"))
            else:
                outcomes.append(outcome_of(name, *(known.get(variable) for variable in VARIABLES)))
        failed = not (ended_well(outcomes) or options["paused"])
        sentence = conclusion(outcomes, self._task.check_mode, options["goal"], options["paused"])
        # What reads standard output as JSON shouldn't meet a table there.
        aside = "json" in constants.config.get_config_value("DEFAULT_STDOUT_CALLBACK")  # type: ignore[no-untyped-call]
        parts = [outcome_table(outcomes, display.columns or NO_TERMINAL, stringc)]
        if not failed:  # Ansible itself prints the message of a failure
            parts.append(stringc(sentence, "green"))  # type: ignore[no-untyped-call]
        display.display("\n\n".join(parts), stderr=aside)
        result.update(changed=False, failed=failed, msg=sentence)
        result["outcomes"] = {entry.host: entry.outcome for entry in outcomes}
        return result
