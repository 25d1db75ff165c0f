# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that can go wrong, in six kinds, and mistakes of ours.

A user sees only the message. Each kind answers the question what to do about it: mend the document, mend the host,
talk to somebody else who owns the thing, read what the kernel says, or look at what is left.
"""

from __future__ import annotations

import errno as errno_names
import os
from typing import Iterable, Optional, Tuple

from .visible import visible, visible_lines

ISSUES = "https://github.com/hostwire/hostwire.linux/issues"

PUT_BACK = "everything was put back as it was"  # the end of what a failed run says, where that is so


class HostwireError(Exception):
    """The root of all errors that the engine raises on purpose.

    ``problems`` holds one readable line per problem; the message is all of them.
    """

    kind = "error"

    def __init__(self, problems: str | Iterable[str]) -> None:
        lines = (problems,) if isinstance(problems, str) else tuple(problems)
        self.problems: Tuple[str, ...] = tuple(visible_lines(line) for line in lines)
        super().__init__("\n".join(self.problems))

    def append(self, line: str) -> None:
        """Add a line to the message."""
        self.problems += (visible_lines(line),)
        self.args = ("\n".join(self.problems),)

    def prefix(self, words: str) -> None:
        """Begin each line of the message with these words."""
        self.problems = tuple(words + line for line in self.problems)
        self.args = ("\n".join(self.problems),)


class InvalidValue(HostwireError):
    """The document holds a value that can't be right. Nothing was changed."""

    kind = "invalid"


class MissingOnHost(HostwireError):
    """The host lacks a program, a kernel feature or a privilege that the document needs. Nothing was changed."""

    kind = "missing"


class Conflict(HostwireError):
    """Something that isn't ours is in the way. Nothing was changed."""

    kind = "conflict"


class KernelRefused(HostwireError):
    """The kernel said no to one request.

    ``errno`` is the positive error number; ``subject`` names the object and field the request was for.
    """

    kind = "refused"

    def __init__(self, subject: str, errno: int, detail: Optional[str] = None) -> None:
        self.subject = subject
        self.errno = errno
        self.detail = detail
        name = errno_names.errorcode.get(errno, str(errno))
        words = f"{os.strerror(errno)} ({name})"
        super().__init__(f"{subject}: the kernel refused: {words}" + (f": {detail}" if detail else ""))


class VerificationFailed(HostwireError):
    """What was read back differs from what was asked for."""

    kind = "verify"


class Interrupted(HostwireError):
    """The run was told to stop by a signal."""

    kind = "interrupted"


class UndoFailed(HostwireError):
    """The run failed and so did taking it back; ``problems`` says exactly what is left."""

    kind = "undo"


def unexpected(error: Exception) -> str:
    """One line for a mistake of ours: the kind, the words and the innermost place, as file:line in function."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = ""
    if place is not None:
        code = place.tb_frame.f_code
        where = f" at {os.path.basename(code.co_filename)}:{place.tb_lineno} in {code.co_name}"
    told = f"{type(error).__name__}: {visible(str(error))}{where}"
    return (
        f"This is a mistake in hostwire.linux, not in your document: {told}. "
        f"Please report this line, with the document, at {ISSUES}"
    )
