# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab as the controller knows it: which processes hold its hosts; starting and ending them.

One directory of the user's own, mode 0700, holds one file, which names every holder process by PID and start time, and
the boot that both belong to: a PID alone may be somebody else's by now (hazard 15).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, Iterator, NamedTuple, Optional

DEFAULT_DIRECTORY = "~/.cache/hostwire-lab"
STATE_FILE = "lab.json"
HOME = "/run/root"  # home directory inside every lab host
ENDING = 10_000  # milliseconds that the kernel gets for ending the processes of one host


class LabError(Exception):
    """Something about the lab that the user has to know; the message says it."""


class Holder(NamedTuple):
    """The first process of a lab host: its PID on the machine, and its start in clock ticks since the boot."""

    pid: int
    started: int


class Lab(NamedTuple):
    """A lab as its state file tells: what was asked for, and its holders by host name, dead ones left out."""

    request: Dict[str, Any]
    holders: Dict[str, Holder]

    @property
    def whole(self) -> bool:
        """Whether each of the hosts that were asked for is there."""
        return set(self.holders) == {self.request["machine"], *self.request["hosts"]}


def boot_id() -> str:
    """Return what names this boot of the machine, random(4)."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def started(pid: int) -> int:
    """Return the start of a process in clock ticks since the boot (field 22 of /proc/PID/stat, proc(5)).

    Raises ProcessLookupError if there is no such process, or only its zombie.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        raise ProcessLookupError(pid) from None
    state, *fields = text.rpartition(")")[2].split()  # the name before it may hold anything
    if state in "ZX":
        raise ProcessLookupError(pid)
    return int(fields[18])


def lives(holder: Holder) -> bool:
    """Whether this very process is still there."""
    try:
        return started(holder.pid) == holder.started
    except ProcessLookupError:
        return False


def expand(directory: str) -> Path:
    """Return the lab directory as an absolute path."""
    return Path(directory).expanduser().absolute()


def read(directory: Path) -> Optional[Lab]:
    """Read which lab was made; None if there is none. After a reboot it has no holders. Raises LabError."""
    try:
        state = json.loads((directory / STATE_FILE).read_text(encoding="utf-8"))
        recorded = {name: Holder(*words) for name, words in state["holders"].items()}
        same_boot = state["boot"] == boot_id()
        return Lab(state["request"], {name: held for name, held in recorded.items() if same_boot and lives(held)})
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):  # cut short, or not ours
        return None
    except OSError as error:
        raise LabError(f"The lab directory {directory} can't be read: {error.strerror}.") from error


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Hold the lab directory, made if it isn't there, for oneself. Raises LabError if it isn't safe to use."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        raise LabError(f"The lab directory {directory} can't be used: {error.strerror}.") from error
    try:
        status = os.fstat(descriptor)
        if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077:
            raise LabError(f"The lab directory {directory} must belong to the user who runs the lab, with mode 0700.")
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _start(directory: Path, request: Dict[str, Any]) -> None:
    """Make the lab that ``request`` (``machine``, ``hosts``, ``listeners``) describes. Raises LabError.

    The launcher is a program of its own: only a process with a single thread may enter a user namespace, and its
    session must not be the one of the terminal.
    """
    package = __name__.rpartition(".")[0]
    root = Path(__file__).parents[package.count(".") + 1]
    done = subprocess.run(
        [sys.executable, "-m", f"{package}.launch"],
        input=json.dumps({**request, "state_file": str(directory / STATE_FILE)}),
        env={"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd="/",
        capture_output=True,
        text=True,
        start_new_session=True,
        check=False,
    )
    try:
        error = json.loads(done.stdout)["error"]
    except (json.JSONDecodeError, KeyError):
        last = (done.stderr.strip().splitlines() or [f"it ended with status {done.returncode}"])[-1]
        error = f"The lab could not be made: {last}"
    if error:
        raise LabError(error)


def _end(holder: Holder) -> None:
    """End a holder, and with it every process of its host. Raises LabError."""
    with contextlib.suppress(ProcessLookupError):
        descriptor = os.pidfd_open(holder.pid)
        try:
            # The descriptor stays with its process: if that is the recorded one now, so is the one that is killed.
            if lives(holder):
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                poll = select.poll()
                poll.register(descriptor, select.POLLIN)
                if not poll.poll(ENDING):
                    raise LabError(f"The process {holder.pid} of the lab was killed but does not end.")
        finally:
            os.close(descriptor)


def replace(directory: Path, wanted: Optional[Dict[str, Any]]) -> None:
    """End the lab that is there, if any, and start the wanted one, if any. Raises LabError."""
    with _locked(directory):
        found = read(directory)
        if found and found.whole and found.request == wanted:
            return  # somebody else was faster
        for holder in found.holders.values() if found else ():
            _end(holder)
        if wanted is not None:
            _start(directory, wanted)
            return
        (directory / STATE_FILE).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # what else somebody keeps there stays
            directory.rmdir()
