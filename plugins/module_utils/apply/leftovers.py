# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run that was taken back has left, and no view of the host shows: it is looked for where the run put it."""

from __future__ import annotations

import os
from typing import Dict, List, Sequence

from .. import sysctl
from ..model import HostView
from ..netns import DIRECTORY, NotEntered, inside, plain_files
from ..plan.actions import FileSet, NetnsAdd, Step, SysctlSet
from ..plan.owned import SysctlKey
from ..plan.sheet import place


def leftovers(before: HostView, steps: Sequence[Step]) -> List[str]:
    """All of it, in words. Raises KernelRefused where one can't look."""
    return [*_namespaces(steps), *_directories(before, steps), *_settings(before, steps)]


def _namespaces(steps: Sequence[Step]) -> List[str]:
    """Files for namespaces that these steps made, and none is mounted on: nobody would make another of that name."""
    made = sorted({step.action.netns for step in steps if isinstance(step.action, NetnsAdd)})
    return [f"file {DIRECTORY}/{name}: is left over" for name in plain_files(made)]


def _directories(before: HostView, steps: Sequence[Step]) -> List[str]:
    """Empty ones that these steps made, or were to take away with their last file."""
    files = {step.action.path for step in steps if isinstance(step.action, FileSet)}
    where = {os.path.dirname(path) for path in files if before.files.get(path) is None}
    return [f"directory {path}: is left over" for path in sorted(where) if os.path.isdir(path) and not os.listdir(path)]


def _settings(before: HostView, steps: Sequence[Step]) -> List[str]:
    """Those that the view doesn't have, with the value that the first step on each found."""
    then: Dict[SysctlKey, str] = {}
    for step in steps:
        for action in step.inverse:
            room = before.views.get(action.netns)
            if isinstance(action, SysctlSet) and not (room and room.sysctls.get(action.path) is not None):
                then.setdefault((action.netns, action.path), action.value)
    found: List[str] = []
    for (netns, path), value in then.items():
        try:
            with inside(netns):
                now = sysctl.read(path)
        except NotEntered as error:
            if not error.is_gone:
                raise
            continue  # without its namespace it is gone
        if now is not None and now != value:
            found.append(f"{place(netns)}: sysctl {path}: is {now}, was {value}")
    return found
