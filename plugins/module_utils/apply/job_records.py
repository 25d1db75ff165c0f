# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the journals of jobs lie, and what is in one as it was written; also for whoever only asks."""

from __future__ import annotations

import os
from typing import Any, Dict, Iterator, Optional

from .. import records
from ..errors import KernelRefused
from ..records import Unusable

VERSION = 1
END = ".steps"
DEED = '["Deed", '  # how a step begins, in JSON, that only its planner knows how to do


def place(directory: str, name: str) -> str:
    """The path of a job's journal in a state directory."""
    return os.path.join(directory, name + END)


def names(directory: str) -> Iterator[str]:
    """The jobs that have a journal there. Raises KernelRefused."""
    try:
        entries = sorted(os.listdir(directory))
    except FileNotFoundError:
        return
    except OSError as error:
        raise KernelRefused(f"directory {directory}: read", error.errno or 0) from error
    for entry in entries:
        if entry.endswith(END) and not entry.startswith("."):
            yield entry[: -len(END)]


def write(directory: str, name: str, entry: Dict[str, Any]) -> None:
    """Put a job's journal on disk for good. Raises MissingOnHost where there is no room, KernelRefused."""
    records.write(place(directory, name), "version", VERSION, entry)


def read(directory: str, name: str) -> Optional[Dict[str, Any]]:
    """What a journal says, None where there is none. Raises Unusable, KernelRefused, Conflict."""
    path = place(directory, name)
    record = records.load(path, "version", VERSION)
    if record is not None and not record.sealed:
        raise Unusable(path, "is damaged (not as it was written)")
    return None if record is None else record.found
