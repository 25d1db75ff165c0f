# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was measured of guest networks' modes: a table with a line for each network, and the sentence below it."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ansible_collections.hostwire.linux.plugins.module_utils.visible import visible_lines

from .foreign import told
from .guest_modes import CELLS, NO, PORT, YES
from .probe_rows import read_rows
from .table_action import Paint

GAP = "  "
HEADER = ("NETWORK", "MODE", *(cell.replace(" ", "") for cell in CELLS))
UNKNOWN = "-"  # nobody to ask
PARTLY = "partly"  # some of what should be alike is, some isn't


class Cell(NamedTuple):
    """One cell: what the mode promises, what was measured, and the probes that came out otherwise, as words."""

    promise: str
    measured: str
    wrong: Tuple[str, ...] = ()


class Measured(NamedTuple):
    """What is known of one host: cells by network, mode and name of the cell; or in ``unproved`` why nothing is."""

    host: str
    cells: Mapping[Tuple[str, str, str], Cell] = {}
    probes: int = 0
    unproved: Optional[str] = None


def measured(host: str, result: Optional[Mapping[str, Any]]) -> Measured:
    """Understand what the looped task registered for ``host``; None: it never ran there."""
    if result is None:
        return Measured(host, unproved="an earlier task failed, or the host can't be reached")
    if result.get("skipped"):
        return Measured(host)
    tried: Dict[Tuple[str, str, str], List[Tuple[Mapping[str, Any], Mapping[str, Any]]]] = {}
    probes = 0
    for place in result.get("results", ()):
        found, trials = place.get("matrix"), place["item"]["trials"]
        if not found:
            said = str(place.get("msg") or "check mode sends no probes").strip()
            return Measured(host, unproved=visible_lines(said))
        rows, problems = read_rows(found)
        if problems:
            return Measured(host, unproved=told("its probes", problems))
        if len(rows) != len(trials):
            return Measured(host, unproved=f"it tells of {len(rows)} probes, and {len(trials)} were asked for")
        for trial, row in zip(trials, rows):
            tried.setdefault((trial["network"], trial["mode"], trial["cell"]), []).append((trial, row))
        probes += len(rows)
    return Measured(host, {key: _cell(pairs) for key, pairs in tried.items()}, probes)


def _cell(pairs: Sequence[Tuple[Mapping[str, Any], Mapping[str, Any]]]) -> Cell:
    direct = [row["got"] == "reachable" for trial, row in pairs if trial["way"] == "direct"]
    ports = [row["got"] == "reachable" for trial, row in pairs if trial["way"] == "port"]
    if all(direct):
        found = YES
    elif any(direct) or (any(ports) and not all(ports)):
        found = PARTLY
    else:
        found = PORT if ports and all(ports) else NO
    wrong = tuple(_words(trial, row) for trial, row in pairs if not row["ok"])
    promise = pairs[0][0]["promise"]
    if promise == PORT and not ports:
        promise = NO  # where none is published, none leads in
    return Cell(promise, found, wrong)


def _words(trial: Mapping[str, Any], row: Mapping[str, Any]) -> str:
    """What one probe says."""
    source = row["from"] or f"the {trial['place']}"
    protocol = row["protocol"] if row["port"] is None else f"{row['protocol']} {row['port']}"
    return f"{source} → {row['to']} by {protocol} is {row['got']} ({row['detail']})"


def is_wrong(cell: Cell) -> bool:
    """Whether a cell is otherwise than promised."""
    return cell.measured != cell.promise or bool(cell.wrong)


def table(hosts: Sequence[Measured], paint: Paint) -> str:
    """A line for each network; with several hosts below a heading for each."""
    lines = []
    for known in hosts:
        if len(hosts) > 1 or known.unproved:
            lines.append(paint(known.host, "bright blue"))
        if known.unproved:
            lines.append(paint(f"    {known.unproved}", "red"))
        elif known.cells:
            lines += _lines(known, paint)
    if any(cell.measured == PORT for known in hosts for cell in known.cells.values()):
        lines.append(f"{PORT}: not directly, but through a published port of the host")
    return "\n".join(lines)


def _lines(known: Measured, paint: Paint) -> List[str]:
    networks = dict.fromkeys(key[:2] for key in known.cells)
    rows = [[*network, *(_shown(known.cells.get((*network, cell))) for cell in CELLS)] for network in networks]
    widths = [max(len(row[place]) for row in (HEADER, *rows)) for place in range(len(HEADER))]
    lines = [paint(GAP.join(title.ljust(width) for title, width in zip(HEADER, widths)).rstrip(), "bright gray")]
    for network, row in zip(networks, rows):
        padded = [text.ljust(width) for text, width in zip(row, widths)]
        for place, name in enumerate(CELLS, 2):
            cell = known.cells.get((*network, name))
            if cell:
                padded[place] = paint(padded[place], "red" if is_wrong(cell) else "green")
        lines.append(GAP.join(padded).rstrip())
    return lines


def _shown(cell: Optional[Cell]) -> str:
    if cell is None:
        return UNKNOWN
    return f"{cell.measured} ✘" if is_wrong(cell) else cell.measured


def verdict(hosts: Sequence[Measured], check_mode: bool) -> str:
    """What was proved, or what is otherwise than promised, in a sentence or a few."""
    cells = [(known.host, *key, cell) for known in hosts for key, cell in known.cells.items()]
    wrong = [entry for entry in cells if is_wrong(entry[-1])]
    unproved = [known.host for known in hosts if known.unproved]
    if unproved and check_mode:
        return "Nothing was proved: check mode sends no probes."
    said = []
    if wrong:
        said.append(f"{len(wrong)} of {len(cells)} cells are otherwise than their modes say:")
        said += [
            f"{host}, network {network}: {name} is {cell.measured}, and {mode} says {cell.promise}: "
            f"{'; '.join(cell.wrong)}."
            for host, network, mode, name, cell in wrong
        ]
    elif cells:
        networks = len({entry[:2] for entry in cells})
        probes = sum(known.probes for known in hosts)
        said.append(
            f"All {len(cells)} cells of {networks} guest network{'' if networks == 1 else 's'} are as their modes say, "
            f"measured by {probes} probes."
        )
    if unproved:
        said.append(f"Nothing was proved for {', '.join(unproved)}.")
    return " ".join(said) or "Nothing was proved: there are no guests to ask."
