# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action docker_readdress_plan: one plan for docker0 on all hosts of a play, printed and written to be reviewed."""

from __future__ import annotations

import ipaddress
import json
import os
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence

import yaml
from ansible.utils.display import Display

from ansible_collections.hostwire.linux.plugins.plugin_utils.docker_fleet import Host, Plan, make_plan
from ansible_collections.hostwire.linux.plugins.plugin_utils.docker_fleet_report import (
    FILE_HEADER,
    found_on,
    plan_conclusion,
    plan_record,
    plan_table,
)
from ansible_collections.hostwire.linux.plugins.plugin_utils.role.unknown import OTHERS, unknown_variables
from ansible_collections.hostwire.linux.plugins.plugin_utils.table_action import TableAction, hosts_of

# The role's variables that decide on the address; each host may have its own.
WISHES = ("bip", "bip6", "supernet", "prefix", "supernet_v6", "prefix_v6", "taken", "default_address_pools")


class PlanFileError(Exception):
    """The plan file can't be read or written, or a variable can't be right; the text says why."""


class ActionModule(TableAction):
    """One plan for docker0 on all hosts of the play."""

    def run(self, tmp: Optional[str] = None, task_vars: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
        """Plan; print it; write it. Fails, with every problem of every host, if anything speaks against it."""
        variables = task_vars or {}
        result: Dict[str, Any] = super().run(tmp, task_vars)
        options = self.checked_options(
            {
                "file": {"type": "path", "required": True},
                "variable": {"default": "docker_readdress_found"},
                "leave_out_unreachable": {"type": "bool", "default": False},
                "shared": {"type": "bool", "default": False},
            }
        )
        known = variables["hostvars"]
        try:
            hosts = [_host(name, known[name], options["variable"]) for name in hosts_of(options, variables)]
            text = _read(options["file"])
            recorded = _recorded(text, options["file"])
            plan = make_plan(hosts, recorded, options["leave_out_unreachable"], options["shared"])
            plan = plan._replace(problems=(*_slips(hosts_of(options, variables), known), *plan.problems))
            result.update(problems=list(plan.problems), left_out=list(plan.left_out))
            sentence = None if plan.problems else plan_conclusion(plan) + what_follows(variables)
            self.show(lambda width, paint: plan_table(plan, width, paint), sentence)
            _warn_of_unasked(plan)
            if plan.problems:
                return {**result, "failed": True, "changed": False, "msg": _refusal(plan)}
            after = FILE_HEADER + yaml.safe_dump({"hosts": plan_record(plan, recorded)}, sort_keys=True, width=120)
            result.update(
                changed=text != after,
                plan=_entries(plan),
                msg=plan_conclusion(plan),
                file=os.path.abspath(options["file"]),
            )
            result["diff"] = {
                "before_header": options["file"],
                "after_header": options["file"],
                "before": text or "",
                "after": after,
            }
            if result["changed"] and not self._task.check_mode:
                _write(options["file"], after)
        except PlanFileError as problem:
            return {**result, "failed": True, "changed": False, "msg": str(problem)}
        return result


def _host(name: str, variables: Mapping[str, Any], variable: str) -> Host:
    facts, trouble, unreachable = found_on(variables.get(variable))
    wish = {} if trouble else {key: variables.get(f"docker_bridge_{key}") for key in WISHES}
    known = () if trouble else tuple(_known(name, variables))
    # Ansible's values remember where they come from; the plan file and the arithmetic want plain ones.
    plain = json.loads(json.dumps([name, facts, trouble, unreachable, wish]))
    return Host(*plain)._replace(known=known)


def _known(name: str, variables: Mapping[str, Any]) -> List[str]:
    """The addresses at which the inventory knows a host: those said to be its, and the one that Ansible connects to.

    Raises PlanFileError.
    """
    said = variables.get("docker_readdress_addresses") or []
    if isinstance(said, str) or not isinstance(said, Sequence):
        raise PlanFileError(f"{name}: docker_readdress_addresses: {said!r} is not a list; say it like [192.0.2.7]")
    for place, address in enumerate(said):
        if not _is_address(address):
            where = f"{name}: docker_readdress_addresses[{place}]"
            raise PlanFileError(f"{where}: {address!r} is no IPv4 or IPv6 address; 192.0.2.7 would be one")
    reached = variables.get("ansible_host") or name
    return [*map(str, said), *([str(reached)] if _is_address(reached) else [])]


def _is_address(text: Any) -> bool:
    try:
        ipaddress.ip_address(str(text))
    except ValueError:
        return False
    return "%" not in str(text)


def _warn_of_unasked(plan: Plan) -> None:
    """Say whose ports nobody asks for from outside: a change there is proved by the host alone."""
    for name in plan.unasked:
        Display().warning(
            f"{name}: nobody asks for its published ports from outside after the change: none of its addresses is in"
            f" the inventory, or in a network in which another host of the play is. docker_readdress_addresses tells."
        )


def _slips(names: Sequence[str], known: Any) -> List[str]:
    """A line for each variable of hosts that begins as the role's do and that the role doesn't know."""
    found: Dict[str, List[str]] = {}
    for name in names:
        for line in unknown_variables("docker_bridge", known.raw_get(name), known[name].get(OTHERS)):
            found.setdefault(line, []).append(name)
    return [f"{_shortly(hosts)}: {line}" for line, hosts in found.items()]


def _shortly(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def what_follows(variables: Mapping[str, Any]) -> str:
    """Why the plays that follow have no tasks, where the user asked for the plan by its tag."""
    if {"all", "apply"} & set(variables.get("ansible_run_tags") or ("all",)):
        return ""
    return " Nothing is changed: the plays that follow are empty, for only the plan was asked for."


def _read(path: str) -> Optional[str]:
    try:
        return Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as problem:
        raise PlanFileError(f"file: {path} can't be read: {problem}") from problem


def _recorded(text: Optional[str], path: str) -> Dict[str, Dict[str, Any]]:
    try:
        content = yaml.safe_load(text or "") or {}
    except yaml.YAMLError as problem:
        raise PlanFileError(f"file: {path} is no YAML: {problem}") from problem
    hosts = content.get("hosts") if isinstance(content, dict) else None
    if content and not (isinstance(hosts, dict) and all(isinstance(entry, dict) for entry in hosts.values())):
        raise PlanFileError(f"file: {path} is no plan: it has no dictionary of hosts")
    return {str(name): entry for name, entry in (hosts or {}).items()}


def _write(path: str, text: str) -> None:
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        beside = Path(f"{path}.new")
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    except OSError as problem:
        raise PlanFileError(f"file: {path} can't be written: {problem}") from problem


def _entries(plan: Plan) -> Dict[str, Any]:
    return {
        entry.host: {
            "from": list(entry.before),
            "bip": entry.bip,
            "bip6": entry.bip6,
            "stops": list(entry.stops),
            "started_again": list(entry.ours),
            "downtime_seconds": entry.downtime,
            "changes": entry.changes,
            "probes": [{"to": address, "protocol": "tcp", "port": port} for address, port in entry.ports],
        }
        for entry in plan.entries
    }


def _refusal(plan: Plan) -> str:
    number = f"{len(plan.problems)} things speak" if len(plan.problems) > 1 else "One thing speaks"
    return "\n".join([f"{number} against this plan, so nothing is changed on any host:", *plan.problems])
