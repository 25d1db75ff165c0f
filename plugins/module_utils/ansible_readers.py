# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules that only look: probes, and what is there."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NoReturn

# Before the engine, which it loads quicker.
from . import zip_source  # noqa: F401  # isort: skip  # pylint: disable=unused-import
from . import netns as namespaces
from .ansible_module import Module, Spec, answer, readable
from .document import Reading, read
from .errors import InvalidValue, MissingOnHost
from .info import info
from .model import CONTAINER
from .suggestion import suggestion


def run_probes(spec: Spec) -> NoReturn:
    """The whole of the module reachability. It changes nothing; in check mode it sends nothing either."""
    module = Module(spec)
    answer(module, lambda: _probe(module, module.fields()))


def run_info() -> NoReturn:
    """The whole of topology_info."""
    module = Module({})
    answer(module, lambda: {} if module.unknown else readable(info()))


def _probe(module: Module, fields: Mapping[str, Any]) -> Dict[str, Any]:
    """Send the probes and fail on a surprise."""
    reading = read({"probes": fields.get("probes")})
    if reading.problems:
        raise InvalidValue((*reading.problems, *module.objections))  # the reader knows nothing of timeout and attempts
    if module.unknown or module.objections:
        return {}
    if module.check_mode:
        module.warn("Nothing was sent: a probe is traffic, and check mode only looks.")
        return {"matrix": [], "results": []}
    from .probe import matrix, run

    missing = _missing_namespaces(reading)
    if missing:
        raise MissingOnHost(missing)
    rows = matrix(run(reading.topology.probes, fields["timeout"], fields["attempts"]))
    lines = [sentence(row) for row in rows]
    surprises = [line for row, line in zip(rows, lines) if not row["ok"]]
    if surprises:
        module.fail_json("\n".join(surprises), problems=surprises, kind="verify", matrix=rows, results=lines)
    return {"matrix": rows, "results": lines}


def _missing_namespaces(reading: Reading) -> List[str]:
    """A line for each probe that would start in a namespace that isn't there."""
    named = [(position, probe.source) for position, probe in enumerate(reading.topology.probes) if probe.source]
    if not named:
        return []
    there = namespaces.names()
    return [
        f'{reading.where.path("probes", position)}.from: no namespace named "{source}"{suggestion(source, there)}'
        for position, source in named
        if source not in there and not source.startswith(CONTAINER)
    ]


def sentence(row: Mapping[str, Any]) -> str:
    """A probe's result in words."""
    port = "" if row["port"] is None else f" port {row['port']}"
    taken = "" if row["milliseconds"] is None else f" in {row['milliseconds']:.1f} ms"
    verdict = "as expected" if row["ok"] else f"but {row['expect']} was expected"
    line = f"{row['from'] or 'the host'} to {row['to']} ({row['protocol']}{port}): {row['got']}{taken}, {verdict}"
    return line if row["ok"] or not row["detail"] else f"{line} ({row['detail']})"
