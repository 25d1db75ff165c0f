# SPDX-License-Identifier: GPL-3.0-or-later
"""What an inverse may meet that says: there is nothing to undo."""

from __future__ import annotations

import errno

from .. import netns as namespaces
from ..errors import Conflict, HostwireError, InvalidValue, KernelRefused, MissingOnHost
from ..plan import actions as act

# What an inverse may meet when its step was never done, or half: the thing is gone already, or there already, or (the
# last) it is a property of a bridge's port and the link isn't one: its bridge, once it is back, sets that again.
ALREADY_SO = frozenset(
    (
        *(errno.ENODEV, errno.ENOENT, errno.ESRCH, errno.EEXIST, errno.EADDRNOTAVAIL, errno.ENXIO, errno.ENOTCONN),
        errno.EOPNOTSUPP,
    )
)


def is_so_already(action: act.Action, error: HostwireError) -> bool:
    """Whether what an inverse meets says that there is nothing to undo: not that it can't be undone just now, or here.

    What it is about is gone: a namespace, a link with its settings; or there again; or a file is no file any more but
    somebody's link or directory.
    """
    if isinstance(error, KernelRefused):
        return error.errno in ALREADY_SO
    if isinstance(error, namespaces.NotEntered):
        return error.is_gone
    if isinstance(action, act.FileEdit):
        return isinstance(error, (Conflict, InvalidValue))
    return isinstance(action, act.SysctlSet) and isinstance(error, MissingOnHost)
