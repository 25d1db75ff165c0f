# SPDX-License-Identifier: GPL-3.0-or-later
"""Small files that others write to as well: replaced whole, or written in place where they are mounted elsewhere."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import Callable, Optional

from .. import files
from ..errors import Conflict, HostwireError, InvalidValue, KernelRefused, VerificationFailed
from ..files import Looks
from ..plan.actions import FileEdit
from ..spot import Spot, spot

NETNS_FILES = "/etc/netns"  # a namespace's directory comes with its first file and goes with its last
BEFORE, AFTER, HALF, OTHER = "before", "after", "half", "other"


def planned(
    path: str, before: Optional[bytes], after: Optional[bytes], label: str, mounted: bool = False, private: bool = False
) -> FileEdit:
    """The edit of a file that held ``before`` when it was read. Raises as Spot.read does."""
    with spot(path) as file:
        file.read()
        edit = FileEdit(None, path, _text(before), _text(after), label, mounted, private, None)
        there = file.looks
        if there is None:
            return edit
        return edit._replace(uid=there.uid, gid=there.gid, mode=there.mode, labels=there.labels or ())


def bring(edit: FileEdit, mends: bool, begun: Callable[[], None]) -> None:
    """Make the file hold what it is to, and see to it. ``mends``: what holds half of either text was left so by us.

    ``begun`` is called once the file is not as it was any more, or nobody can tell. Where the new text has no room, the
    old one had, and comes back. Raises VerificationFailed where somebody else has written to it, KernelRefused, and
    what Spot.read raises.
    """
    directory = os.path.dirname(edit.path)
    below = directory.startswith(f"{NETNS_FILES}/")
    if edit.after is not None and below:
        files.make_directory(directory)
    try:
        with spot(edit.path, _looks(edit) or Looks(0o600 if edit.private else 0o644)) as file:
            held = stands(edit, file)
            if held == AFTER:
                if mends:
                    file.tidy()
                return
            if held == OTHER or (held == HALF and not mends):
                raise VerificationFailed(f"{edit.label}: somebody else wrote to it meanwhile; run this again")
            try:
                _write(file, edit, mends)
            except (VerificationFailed, InvalidValue, Conflict):  # it isn't the file any more that was looked at
                raise
            except BaseException:
                if not _untouched(edit):
                    begun()
                raise
            begun()
            if file.read() != content(edit.after):
                raise VerificationFailed(f"{edit.label}: somebody else wrote to it meanwhile; run this again")
            if mends:
                file.tidy()
    finally:
        if below:
            files.remove_empty(directory)


def demand(edit: FileEdit) -> None:
    """Raise VerificationFailed where the file holds something else than before the edit, and what Spot.read raises."""
    with spot(edit.path) as file:
        if stands(edit, file) != BEFORE:
            raise VerificationFailed(f"{edit.label}: somebody else wrote to it meanwhile; run this again")


def demand_room(edit: FileEdit) -> None:
    """Raise KernelRefused where the new text has no room, or can't be put there; its directory is made if it lacks."""
    wanted, directory = content(edit.after), os.path.dirname(edit.path)
    if wanted is None:
        return
    is_new = not os.path.isdir(directory)
    try:
        files.make_directory(directory)
        with spot(edit.path) as file:
            file.demand_room(wanted)
    except BaseException:
        if is_new:
            files.remove_empty(directory)
        raise


def _untouched(edit: FileEdit) -> bool:
    with contextlib.suppress(HostwireError, OSError), spot(edit.path) as file:
        return file.read() == content(edit.before) and file.is_tidy()
    return False


def stands(edit: FileEdit, file: Spot) -> str:
    """What the file holds now: the text BEFORE the edit, AFTER it, HALF of either, or some OTHER. Raises as read.

    Only what was written in place can be half of ours: another text that looks so is somebody else's.
    """
    now, before, after = file.read(), content(edit.before), content(edit.after)
    if file.looks is not None and edit.uid is not None and file.looks.uid != edit.uid:
        return OTHER
    if now in (before, after):
        if now is not None and _looks_otherwise(edit, file):
            return OTHER
        return BEFORE if now == before else AFTER
    if now is not None and before is not None and after is not None and _is_mixed(now, before, after):
        return HALF if edit.mounted or file.is_mounted() or file.is_marked() else OTHER
    return OTHER


def is_free(edit: FileEdit, file: Spot) -> bool:
    """Whether nothing of the edit is in a text of somebody else's: no line that it made, and all that it took.

    A file that was taken away has to look as it did, too.
    """
    before, after = ((content(text) or b"").splitlines() for text in (edit.before, edit.after))
    held = file.read()
    now = (held or b"").splitlines()
    if held is not None and held == content(edit.before) and _looks_otherwise(edit, file):
        return False
    return set(after).difference(before).isdisjoint(now) and set(before).difference(after) <= set(now)


def _looks(edit: FileEdit) -> Optional[Looks]:
    """How the file looked when the edit was planned, if it was there."""
    if edit.mode is None or edit.uid is None or edit.gid is None:
        return None
    return Looks(edit.mode, edit.uid, edit.gid, edit.labels)


def _looks_otherwise(edit: FileEdit, file: Spot) -> bool:
    """Whether a file that the edit takes away, or brings back, looks otherwise than it did.

    One that stays keeps the looks that it has, whoever changed them.
    """
    return None in (edit.before, edit.after) and _looks(edit) not in (None, file.looks)


def is_tidy(edit: FileEdit) -> bool:
    """Whether nothing of an edit is left beside the file."""
    with contextlib.suppress(InvalidValue, Conflict), spot(edit.path) as file:
        return file.is_tidy()
    return True


def tidy(edit: FileEdit) -> None:
    """Remove what a run that was killed amid an edit left beside the file."""
    with contextlib.suppress(InvalidValue, Conflict), spot(edit.path) as file:  # else nothing of ours is there
        file.tidy()
    directory = os.path.dirname(edit.path)
    if directory.startswith(f"{NETNS_FILES}/"):
        files.remove_empty(directory)


def content(text: Optional[str]) -> Optional[bytes]:
    """A file's text as bytes."""
    return None if text is None else text.encode("utf-8", "surrogateescape")


def _text(content: Optional[bytes]) -> Optional[str]:
    return None if content is None else content.decode("utf-8", "surrogateescape")


def _is_mixed(now: bytes, before: bytes, after: bytes) -> bool:
    """Whether each byte is that of either text in its place: a write was cut short, and perhaps its way back, too."""
    if len(now) > max(len(before), len(after)):
        return False
    shorter, longer = sorted((before, after), key=len)
    both = len(shorter)
    return now[both:] == longer[both : len(now)] and all(
        byte in (one, other) for byte, one, other in zip(now, shorter, longer)
    )


def _write(file: Spot, edit: FileEdit, mends: bool) -> None:
    wanted = content(edit.after)
    if wanted is None:
        file.remove()
    elif edit.mounted:
        _write_in_place(file, wanted, content(edit.before) or b"")
    else:
        try:
            file.replace(wanted)
        except KernelRefused as error:
            in_its_place = error.errno in (errno.ENOSPC, errno.EDQUOT) and mends  # there the old text had room
            if error.errno not in (errno.EBUSY, errno.EXDEV) and not in_its_place:
                raise
            _write_marked(file, wanted, content(edit.before) or b"")


def _write_marked(file: Spot, wanted: bytes, before: bytes) -> None:
    """What a run that is killed in it leaves half-written is known by a mark beside it."""
    with contextlib.suppress(OSError):  # there may be no room for it: then it is told as somebody else's
        file.mark()
    try:
        _write_in_place(file, wanted, before)
    except KernelRefused:
        with contextlib.suppress(HostwireError, OSError):
            if file.read() == before:
                file.tidy()
        raise
    file.tidy()


def _write_in_place(file: Spot, wanted: bytes, before: bytes) -> None:
    """Hazard 43: a mount point can't be replaced. The journal of the run tells the next one of a write cut short."""
    try:
        try:
            file.overwrite(wanted)
        except OSError:
            file.overwrite(before)
            raise
    except OSError as error:
        raise KernelRefused(f"file {file.path}: write in place", error.errno or 0) from error
