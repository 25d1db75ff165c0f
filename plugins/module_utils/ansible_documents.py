# SPDX-License-Identifier: GPL-3.0-or-later
"""The module of several documents, wired to the engine. Apart, for no other module has to bring what this one needs."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NoReturn, Sequence

# Before the engine, which it loads quicker.
from . import zip_source  # noqa: F401  # isort: skip  # pylint: disable=unused-import
from . import engine, rehearsal
from .ansible_adapter import only_checks, probe_rows, told
from .ansible_module import Module, Spec, answer
from .errors import InvalidValue
from .model import Topology


def run_documents(spec: Spec) -> NoReturn:
    """The whole of a module whose parameters are several documents."""
    module = Module(spec)

    def work() -> Dict[str, Any]:
        fields = module.fields()
        given = fields.get("documents")
        documents = given if isinstance(given, list) else []
        if module.objections and not documents:
            module.reword()
        if isinstance(given, str):
            raise InvalidValue("documents: text is not a list; say one entry per line, each with a dash")
        unnamed = _unnamed(documents)
        if unnamed:
            raise InvalidValue([*rehearsal.problems_of(documents), *unnamed])
        results = rehearsal.run_all(documents, check=only_checks(module), emptied=fields.get("emptied_namespaces", ()))
        for warning in dict.fromkeys(warning for result in results for warning in result.warnings):
            module.warn(warning)
        rows = [_document_told(document, result) for document, result in zip(documents, results)]
        return {
            "changed": any(result.changed for result in results),
            "documents": rows,
            "diff": [changes for changes in (each.pop("diff") for each in rows) if changes],
            "invocation": {"module_args": {"documents": [each["name"] for each in rows]}},
        }

    answer(module, work)


def _unnamed(documents: Sequence[Any]) -> List[str]:
    """A line for each document without a name behind another one: it would take away what that has just made.

    A name that is said may come again, where something has to stay until others have let go of it.
    """
    none = [
        position
        for position, document in enumerate(documents)
        if isinstance(document, dict) and not document.get("name") and document.get("state") != "absent"
    ]
    return [
        f"documents[{position}].name: is missing, as it is in documents[{none[0]}], and would be {Topology().name} in "
        "both; say a name for each document"
        for position in none[1:]
    ]


def _document_told(document: Mapping[str, Any], result: engine.Result) -> Dict[str, Any]:
    """What is returned of one of several documents."""
    name = document.get("name") or Topology().name
    row = told(result, result.before, result.after)
    if "before" in row["diff"]:
        row["diff"].update(before_header=f"{name} as it is", after_header=f"{name} as it will be")
    return {"name": name, **row, "reachability": probe_rows(result.reachability)}
