# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reachability matrix of several hosts as a table for people, and the sentence that says what it proves."""

from __future__ import annotations

import textwrap
from typing import Any, Callable, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ansible_collections.hostwire.linux.plugins.module_utils.visible import visible_lines

from .columns import columns, fit
from .foreign import told
from .probe_rows import read_rows

Row = Mapping[str, Any]
Paint = Callable[[str, str], str]  # text and one of Ansible's colour names to text

GAP = "  "
HEADER = ("FROM", "TO", "PROBE", "EXPECTED", "GOT", "TIME")
NARROW_HEADER = ("FROM", "TO", "PROBE", "GOT", "TIME")
MARK = {True: "✔", False: "✘"}
COLOUR = {True: "green", False: "red"}
SHORTEST_SOURCE = 8


class HostProbes(NamedTuple):
    """What is known of one host: its rows, or in ``unproved`` why there are none. Both empty: it has no probes."""

    host: str
    rows: Tuple[Row, ...] = ()
    unproved: Optional[str] = None


def host_probes(host: str, result: Optional[Mapping[str, Any]]) -> HostProbes:
    """Understand what a task of ``reachability`` or ``topology`` registered for ``host``; None: it never ran there."""
    if result is None:
        return HostProbes(host, unproved="an earlier task failed, or the host can't be reached")
    if result.get("skipped"):
        return HostProbes(host)
    found = result.get("matrix", result.get("reachability"))
    if found is None:
        return HostProbes(host, unproved=visible_lines(str(result.get("msg") or "no result").strip()))
    rows, problems = read_rows(found)
    return HostProbes(host, unproved=told("its probes", problems)) if problems else HostProbes(host, tuple(rows))


def surprises(hosts: Sequence[HostProbes]) -> List[Tuple[str, Row]]:
    """Each probe that came out otherwise than declared, with its host."""
    return [(known.host, row) for known in hosts for row in known.rows if not row["ok"]]


def table(hosts: Sequence[HostProbes], width: int, paint: Paint) -> str:
    """All rows, under a heading for each host, within ``width`` columns unless an address would have to be cut."""
    rows = [row for known in hosts for row in known.rows]
    narrow = _total(_columns(HEADER, [_cells(row) for row in rows])) > width
    header = NARROW_HEADER if narrow else HEADER
    cells = {id(row): _narrow_cells(row) if narrow else _cells(row) for row in rows}
    widths = _columns(header, list(cells.values()))
    excess = max(0, _total(widths) - width)
    widths[0] = max(min(widths[0], SHORTEST_SOURCE), widths[0] - excess)
    lines = [paint(_line(" ", header, widths), "bright gray")] if rows else []
    for known in hosts:
        lines += _host_lines(known, cells, widths, width, paint)
    return "\n".join(lines)


def conclusion(hosts: Sequence[HostProbes], check_mode: bool) -> str:
    """What was proved, or what was not, in one sentence or a few."""
    rows = [row for known in hosts for row in known.rows]
    wrong = surprises(hosts)
    unproved = [known for known in hosts if known.unproved is not None]
    probed = sum(1 for known in hosts if known.rows)
    said = []
    if wrong:
        claims = "; ".join(f"{host}: {_claim(row)}" for host, row in wrong)
        said.append(f"{len(wrong)} of {_count(len(rows), 'probe')} came out otherwise than declared: {claims}.")
    elif rows:
        opened = sum(1 for row in rows if row["got"] == "reachable")
        all_probes = f"All {len(rows)} probes" if len(rows) > 1 else "The one probe"
        said.append(
            f"{all_probes} on {_count(probed, 'host')} answered as declared: "
            f"{_ways(opened)} open and {_ways(len(rows) - opened)} closed."
        )
    elif check_mode:
        said.append("Nothing was proved: check mode sends no probes.")
    elif not unproved:
        said.append("Nothing was proved: no probes are declared.")
    if unproved:
        names = ", ".join(known.host for known in unproved)
        said.append(f"Nothing was proved for {_count(len(unproved), 'host')}: {names}.")
    return " ".join(said)


def _host_lines(
    known: HostProbes, cells: Mapping[int, Sequence[str]], widths: Sequence[int], width: int, paint: Paint
) -> List[str]:
    """The heading of one host and its rows; what explains a surprise stands below its row."""
    if known.unproved is not None:
        reason = textwrap.indent(textwrap.fill(known.unproved, max(20, width - 4)), "    ")
        return [f"{paint(known.host, 'bright blue')}: nothing was proved", paint(reason, "red")]
    if not known.rows:
        return []
    fine = sum(1 for row in known.rows if row["ok"])
    lines = [f"{paint(known.host, 'bright blue')}: {fine} of {len(known.rows)} as declared"]
    for row in known.rows:
        ok = bool(row["ok"])
        line = _line(MARK[ok], cells[id(row)], widths)
        lines.append(paint(MARK[ok], COLOUR[ok]) + line[1:] if ok else paint(line, COLOUR[ok]))
        if not ok:
            lines.append(paint(f"    declared {row['expect']}, but: {row['detail']}", COLOUR[ok]))
    return lines


def _cells(row: Row) -> Tuple[str, ...]:
    return (_source(row), f"→ {row['to']}", _protocol(row), row["expect"], row["got"], _time(row))


def _narrow_cells(row: Row) -> Tuple[str, ...]:
    return (_source(row), f"→ {row['to']}", _protocol(row), row["got"], _time(row))


def _source(row: Row) -> str:
    return row["from"] or "the host"


def _protocol(row: Row) -> str:
    return row["protocol"] if row["port"] is None else f"{row['protocol']} {row['port']}"


def _time(row: Row) -> str:
    return f"{row['milliseconds']:.1f} ms" if row["got"] == "reachable" else ""


def _claim(row: Row) -> str:
    reason = f" ({row['detail']})" if row.get("detail") and row["got"] == "unreachable" else ""
    return f"{_source(row)} → {row['to']} by {_protocol(row)} is {row['got']}{reason}"


def _columns(header: Sequence[str], cells: Sequence[Sequence[str]]) -> List[int]:
    return [max(columns(line[place]) for line in (header, *cells)) for place in range(len(header))]


def _total(widths: Sequence[int]) -> int:
    return 1 + sum(len(GAP) + width for width in widths)


def _line(mark: str, cells: Sequence[str], widths: Sequence[int]) -> str:
    """One line of the table: times to the right, all else to the left."""
    padded = [fit(cell, width) for cell, width in zip(cells, widths)]
    padded[-1] = " " * (widths[-1] - columns(cells[-1])) + cells[-1]
    return GAP.join([mark, *padded]).rstrip()


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _ways(number: int) -> str:
    return {0: "none is", 1: "1 way is"}.get(number, f"{number} ways are")
