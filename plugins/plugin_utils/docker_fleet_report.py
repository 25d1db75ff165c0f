# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan for docker0 on a fleet as a table and as a file, and what came of it as a table and a sentence."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ansible_collections.hostwire.linux.plugins.module_utils.visible import visible

from .columns import columns, cut
from .docker_fleet import Entry, Plan

Paint = Callable[[str, str], str]  # text and one of Ansible's colour names to text

GAP = "  "
SHORTEST = 12  # columns that the last column has at least
SHOWN = 3  # addresses of docker0 in the table
LONGEST = 300  # characters of a reason in the last sentence
FILE_HEADER = """\
# SPDX-License-Identifier: GPL-3.0-or-later
# Which address docker0 gets on each host. Written by the playbook hostwire.linux.docker_readdress, which also reads it:
# a host keeps what stands here, so keep the file, and hosts that come and go change nobody else's subnet. An address
# may be changed by hand to another one of its network; a host that is taken out here gives its subnet back.
---
"""
# Outcomes, in the order in which the conclusion tells them, and their colours.
COLOURS = {
    "changed": "yellow",
    "unchanged": "green",
    "unfinished": "red",
    "put back": "red",
    "broken": "red",
    "refused": "red",
    "unreachable": "bright red",
    "left out": "bright red",
    "untouched": "cyan",
}
# Kinds of failure (module_utils/errors.py) after which nothing had been changed.
BEFORE_ANY_CHANGE = ("invalid", "missing", "conflict")
UNDONE_ONLY_IN_PART = ("undo", "unexpected")


class Outcome(NamedTuple):
    """What came of one host: a key of COLOURS, its address now where that is known, and why."""

    host: str
    outcome: str
    address: str = ""
    why: str = ""


def grid(rows: Sequence[Sequence[str]], colours: Sequence[str], width: int, paint: Paint) -> str:
    """Rows, the header first, as lines of at most ``width`` columns: what is too long is cut in the last column."""
    rows = [[visible(cell) for cell in row] for row in rows]
    widths = [max(columns(row[place]) for row in rows) for place in range(len(rows[0]) - 1)]
    rest = max(SHORTEST, width - sum(widths) - len(GAP) * len(widths))
    lines = []
    for row, colour in zip(rows, colours):
        cells = [cell + " " * (size - columns(cell)) for cell, size in zip(row, widths)]
        lines.append(paint(GAP.join([*cells, cut(row[-1], rest)]).rstrip(), colour))
    return "\n".join(lines)


def plan_table(plan: Plan, width: int, paint: Paint) -> str:
    """A line for each host: who, from, to, how long its containers may be away, and which they are."""
    rows = [("HOST", "FROM", "TO", "AWAY", "CONTAINERS THAT STOP")]
    colours = ["bright gray"]
    for entry in plan.entries:
        before = " ".join(entry.before[:SHOWN]) or "nothing"
        before += f" and {len(entry.before) - SHOWN} more" if len(entry.before) > SHOWN else ""
        after = " ".join(entry.after) or "nothing"
        away = f"≤ {entry.downtime} s" if entry.stops else ""
        rows.append((entry.host, before, after if entry.changes else "stays", away, _stopping(entry)))
        colours.append("yellow" if entry.changes else "green")
    for name in plan.left_out:
        rows.append((name, "?", "left out", "", "can't be reached"))
        colours.append("bright red")
    return grid(rows, colours, width, paint)


def _stopping(entry: Entry) -> str:
    if entry.broken_off:
        return "a run was broken off; it is taken back first"
    if not entry.stops:
        return "none" if entry.changes else ""
    names = ", ".join(f"{name}*" if name in entry.ours else name for name in entry.stops)
    return f"{len(entry.stops)}: {names}"


def plan_conclusion(plan: Plan) -> str:
    """The plan in one sentence or two."""
    changing = [entry for entry in plan.entries if entry.changes]
    stopping = sum(len(entry.stops) for entry in changing)
    said = f"{_hosts(len(changing))} of {len(plan.entries)} to change"
    said += f", {stopping} {'containers' if stopping != 1 else 'container'} to stop and come back."
    if any(entry.ours for entry in changing):
        said += " * has no restart policy: the playbook starts it again."
    return said if changing else f"Nothing to do: all {_hosts(len(plan.entries))} have their address."


def plan_record(plan: Plan, recorded: Mapping[str, Mapping[str, Any]]) -> Dict[str, Dict[str, Any]]:
    """The entries as the file holds them, after what it held before: of other hosts, and of those that stay."""
    kept = {host: dict(entry) for host, entry in recorded.items()}
    for entry in plan.entries:
        same = all(kept.get(entry.host, {}).get(name) == getattr(entry, name) for name in ("bip", "bip6"))
        if entry.changes or not same:
            kept[entry.host] = _recorded(entry)
    return kept


def _recorded(entry: Entry) -> Dict[str, Any]:
    fields: Dict[str, Any] = {"from": list(entry.before), "bip": entry.bip, "bip6": entry.bip6}
    if entry.changes:
        fields.update(stops=list(entry.stops), started_again=list(entry.ours), downtime_seconds=entry.downtime)
    return {name: value for name, value in fields.items() if value is not None}


def outcome_of(
    host: str,
    result: Optional[Mapping[str, Any]],
    checked: Optional[Mapping[str, Any]] = None,
    trouble: Optional[str] = None,
) -> Outcome:
    """Understand what docker_bridge returned on a host, and then the look from outside; None: they didn't run there.

    ``trouble`` is what failed beside them, a hook mostly.
    """
    if result is None or result.get("skipped"):
        return Outcome(host, "refused", why=trouble) if trouble else Outcome(host, "untouched")
    if result.get("unreachable"):
        return Outcome(host, "unreachable", why=_reason(result))
    if result.get("failed"):
        kind = str(result.get("kind") or "")
        bad = "broken" if kind in UNDONE_ONLY_IN_PART else "put back"
        outcome = "refused" if kind in BEFORE_ANY_CHANGE else bad
        return Outcome(host, outcome, why=_reason(result))
    after = result.get("after")
    address = visible(str(after.get("address") or "")) if isinstance(after, Mapping) else ""
    if checked is not None and checked.get("failed"):
        back = bool(checked.get("put_back"))
        return Outcome(host, "put back" if back else "broken", "" if back else address, _reason(checked))
    if checked is not None and checked.get("unreachable"):
        trouble = f"nobody could look from outside: {_reason(checked)}"
    if trouble:
        return Outcome(host, "unfinished", address, trouble)
    return Outcome(host, "changed" if result.get("changed") else "unchanged", address)


def _reason(result: Mapping[str, Any]) -> str:
    # Ansible's words, then why
    said = str(result.get("msg") or "no reason given").strip().removeprefix("Task failed: ")
    problems = result.get("problems")
    problems = problems if problems and isinstance(problems, (list, tuple)) else said.splitlines()
    return "\n".join(visible(str(problem)) for problem in problems)


def _first(why: str) -> str:
    """The first of several reasons."""
    lines = why.splitlines() or [""]
    first = lines[0] if len(lines[0]) <= LONGEST else lines[0][:LONGEST] + "…"
    return first + (f" (and {len(lines) - 1} more)" if len(lines) > 1 else "")


def outcome_table(outcomes: Sequence[Outcome], width: int, paint: Paint) -> str:
    """A line for each host: what came of it, its address, and why."""
    rows = [("HOST", "OUTCOME", "DOCKER0", "WHY"), *(entry._replace(why=_first(entry.why)) for entry in outcomes)]
    return grid(rows, ["bright gray", *(COLOURS[entry.outcome] for entry in outcomes)], width, paint)


def ended_well(outcomes: Sequence[Outcome]) -> bool:
    """Whether every host that was to be reached is as it was to be."""
    return all(entry.outcome in ("changed", "unchanged", "left out") for entry in outcomes)


def conclusion(outcomes: Sequence[Outcome], check_mode: bool = False, goal: str = "new", paused: bool = False) -> str:
    """What came of all of it, in one sentence. ``goal``: the address is the "new" or the "old" one."""
    of: Dict[str, List[str]] = {outcome: [] for outcome in COLOURS}
    for entry in outcomes:
        of[entry.outcome].append(entry.host)
    said = []
    if check_mode:
        said.append(f"{_listed(of['changed'])} would get {_its(of['changed'])} {goal} address" if of["changed"] else "")
        said.append(f"{_listed(of['unchanged'])} would stay as {_are(of['unchanged'])}" if of["unchanged"] else "")
    else:
        done = of["changed"] + of["unchanged"]
        if done:
            already = f" ({len(of['unchanged'])} had it before)" if of["unchanged"] else ""
            said.append(f"{_listed(done, len(outcomes))} {_have(done)} {_its(done)} {goal} address{already}")
    for outcome, words in (
        ("unfinished", "changed, but something failed beside it"),
        ("put back", "put back as before"),
        ("broken", "left in need of a person"),
        ("refused", "refused before any change"),
        ("unreachable", "not to be reached any more"),
        ("left out", "left out, not to be reached"),
        ("untouched", "not touched"),
    ):
        if of[outcome]:
            said.append(f"{_listed(of[outcome])} {_were(of[outcome])} {words}{_why(outcomes, outcome)}")
    sentence = "; ".join(part for part in said if part) or "There was no host to change"
    if paused:
        return f"Paused: {sentence}. Take the pause away and start the playbook again: it goes on from here."
    if ended_well(outcomes) or check_mode:
        return f"{sentence}."
    return f"{sentence}. Mend what is wrong and start the playbook again: it goes on from here."


def _why(outcomes: Sequence[Outcome], outcome: str) -> str:
    reasons = dict.fromkeys(_first(entry.why) for entry in outcomes if entry.outcome == outcome and entry.why)
    return f" ({'; '.join(reasons)})" if reasons else ""


def _listed(names: Sequence[str], whole: int = 0) -> str:
    """Names where they are few, a number where they are many."""
    if len(names) == whole and whole > 1:
        return f"All {whole} hosts"
    if len(names) > 6:
        return _hosts(len(names))
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]


def _hosts(number: int) -> str:
    return "1 host" if number == 1 else f"{number} hosts"


def _were(names: Sequence[str]) -> str:
    return "was" if len(names) == 1 else "were"


def _have(names: Sequence[str]) -> str:
    return "has" if len(names) == 1 else "have"


def _its(names: Sequence[str]) -> str:
    return "its" if len(names) == 1 else "their"


def _are(names: Sequence[str]) -> str:
    return "it is" if len(names) == 1 else "they are"


Facts = Tuple[Mapping[str, Any], Optional[str], bool]


def found_on(result: Optional[Mapping[str, Any]]) -> Facts:
    """What a task of docker_info registered: its facts, or why there are none, and whether the host is unreachable."""
    if result is None:
        return {}, "nothing is known of it: an earlier task failed", False
    if not isinstance(result, Mapping):
        return {}, "what it tells of its Docker is nothing that docker_info returns", False
    if "installed" not in result:
        return {}, _reason(result), bool(result.get("unreachable"))
    return result, None, False
