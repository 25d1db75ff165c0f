# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows that a host's task of reachability, or of a document with probes, returned: what the host tells of them."""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

from .foreign import Field, Problems, flag, list_of, mapping_of, milliseconds, number, one_of, or_none, text

_GOT = one_of("reachable", "unreachable")
_ROW = {
    "from": Field(or_none(text)),
    "to": Field(text),
    "protocol": Field(text),
    "port": Field(or_none(number(0, 65535))),
    "expect": Field(_GOT),
    "got": Field(_GOT),
    "ok": Field(flag),
    "milliseconds": Field(or_none(milliseconds), None),
    "detail": Field(or_none(text), ""),
}


def read_rows(value: Any) -> Tuple[List[Dict[str, Any]], Problems]:
    """The rows, and all that is wrong with them, each with its field's path."""
    problems: Problems = []
    rows: List[Dict[str, Any]] = list_of(mapping_of(_ROW))(value, "matrix", problems)
    return rows, problems
