# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing to a packet filter until it is so: what stands is looked at, what is wanting is given to a program again."""

from __future__ import annotations

import os
import re
import time
from typing import TYPE_CHECKING, Callable, NamedTuple, Optional, Sequence, Union

from ..errors import HostwireError, VerificationFailed
from ..netns import inside
from ..program import TimedOut
from .difference import UNDO, applicable, is_done
from .iptables import required
from .programs import complaint, give, read_back, where, words
from .tables import Ruleset

if TYPE_CHECKING:
    from .chains import Chains

_LOCK_WAIT = 5  # seconds that one call waits for another's lock
_BUSY = 4  # RESOURCE_PROBLEM, include/xtables.h: the lock, or on nft a ruleset that changed meanwhile (hazard 35)
_ATTEMPTS = 6
_TAKES_AWAY = re.compile("^-X ", re.MULTILINE)  # nobody looks for what is gone; what is made is verified by the run


class _Change(NamedTuple):
    """What is to come of some rules: ``fitted`` makes the text for those that stand, "" where it is so already.

    ``text``: what to give at once, without looking; ``watched``: what stands afterwards is looked at, whatever it said.
    """

    fitted: Callable[[Ruleset], str]
    text: Optional[str] = None
    watched: bool = True


def restore(netns: Optional[str], backend: str, family: int, text: str) -> None:
    """Hand one transaction to ``iptables-restore --noflush``; each table in it is changed as a whole or not at all.

    The ``undo`` of a Swap can be given again and again, whatever part of the change was made. Waits for others' locks,
    about half a minute at most. What stands then decides, not what the program says. Raises KernelRefused,
    MissingOnHost or TimedOut.
    """

    def fitted(there: Ruleset) -> str:
        # What is to be deleted may be gone meanwhile, what is to be made may be there.
        return "" if is_done(text, there) else applicable(text, there)

    undoes = text.startswith(UNDO)
    change = _Change(fitted, text, watched=undoes or _TAKES_AWAY.search(text) is not None)
    _bring_about(netns, backend, family, change, looks=undoes)


def lead(netns: Optional[str], backend: str, family: int, before: Chains, after: Chains) -> None:
    """Change chains that may be others' too as ``before`` became ``after``, whatever stands in them; nothing if so.

    Waits and raises as :func:`restore` does.
    """
    from .chains import leading  # loaded when it is needed: chains of our own alone are written as a whole

    _bring_about(netns, backend, family, _Change(lambda there: leading(there, before, after)), looks=True)


def _bring_about(netns: Optional[str], backend: str, family: int, change: _Change, looks: bool) -> None:
    command = [required(backend, family, "restore"), "--noflush", f"--wait={_LOCK_WAIT}"]
    with inside(netns):
        failure = _written(command, change, backend, family, looks)
    if isinstance(failure, HostwireError):
        failure.prefix(f"{where(netns)}: ")
        raise failure
    if failure:
        raise words(netns, command, failure)


def _written(
    command: Sequence[str], change: _Change, backend: str, family: int, looks: bool
) -> Union[str, HostwireError]:
    """Write it, again if that is of use; why it isn't so, "" if it is. ``looks``: at what stands, before the first."""
    failure: Union[str, HostwireError] = ""
    now, tried, again = change.text or "", "", True
    for attempt in range(_ATTEMPTS):
        if looks or attempt:
            try:
                there = read_back(backend, family)
            except HostwireError as error:
                # It fits if the change was made as a whole: better than nothing, but nobody can see what became of it.
                if attempt or change.text is None:
                    return failure or error
                return _blindly(command, change.text, error)
            now = change.fitted(there)
            if not now:
                return ""
        if not again and now == tried:
            break
        if attempt:
            time.sleep(0.01 * 2**attempt)
        tried = now
        try:
            done = give(command, now)
        except TimedOut as error:
            return error if change.fitted(read_back(backend, family)) else ""
        failure = complaint(done) + _culprit(now, done.complaint)
        again = done.status < 0 or (done.status == _BUSY and "ermission denied" not in done.complaint)
        if done.status == 0:
            if not change.watched or not change.fitted(read_back(backend, family)):
                return ""
            failure = VerificationFailed(
                f"{os.path.basename(command[0])}: it ended well, but not all of its work is done"
            )
            again = not attempt
    return failure


def _blindly(command: Sequence[str], text: str, error: HostwireError) -> HostwireError:
    try:
        done = give(command, text)
    except TimedOut as late:
        error.append(str(late))
        return error
    said = "it ended well, but what stands now could not be read" if done.status == 0 else complaint(done)
    error.append(f"{os.path.basename(command[0])}: {said}")
    return error


def _culprit(text: str, errors: str) -> str:
    """The line of the input that the program complains about."""
    found = re.search(r"line:? (\d+)", errors)
    lines = text.splitlines()
    if found is None or not 0 < int(found.group(1)) <= len(lines):
        return ""
    return f"\nthat line is: {lines[int(found.group(1)) - 1]}"
