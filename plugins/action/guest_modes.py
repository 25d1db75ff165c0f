# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action guest_modes: prints what was measured of guest networks, and fails unless it is what their modes say."""

from __future__ import annotations

from typing import Any, Dict, Optional

from ansible_collections.hostwire.linux.plugins.plugin_utils.guest_modes_report import (
    is_wrong,
    measured,
    table,
    verdict,
)
from ansible_collections.hostwire.linux.plugins.plugin_utils.table_action import TableAction, hosts_of


class ActionModule(TableAction):
    """The table of modes, for all hosts of the play."""

    def run(self, tmp: Optional[str] = None, task_vars: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
        """Print the table; fail on a cell that is otherwise, and on a host about which nothing is known."""
        variables = task_vars or {}
        result: Dict[str, Any] = super().run(tmp, task_vars)
        options = self.checked_options({"variable": {"default": "guest_modes_result"}})
        names = hosts_of(options, variables)
        strangers = [name for name in names if name not in variables["hostvars"]]
        if strangers:
            return {**result, "failed": True, "msg": f"hosts: not in the inventory: {', '.join(strangers)}"}
        known = [measured(name, variables["hostvars"][name].get(options["variable"])) for name in names]
        checked = self._task.check_mode
        wrong = any(is_wrong(cell) for host in known for cell in host.cells.values())
        failed = wrong or (not checked and any(host.unproved for host in known))
        said = verdict(known, checked)
        self.show(lambda dummy, paint: "" if checked else table(known, paint), None if failed else said)
        cells = [
            {"host": host.host, "network": key[0], "mode": key[1], "cell": key[2], **cell._asdict()}
            for host in known
            for key, cell in host.cells.items()
        ]
        return {**result, "changed": False, "failed": failed, "msg": said, "cells": cells}
