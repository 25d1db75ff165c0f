# SPDX-License-Identifier: GPL-3.0-or-later
"""External programs: started, waited for and ended here and nowhere else.

Programs that run at the same time are one process group, together with a shell that waits for the end of a pipe, the
lifeline, whose other end this process holds. If this process is gone, however it ended, the shell kills the group, and
with it whatever the programs have started themselves. PR_SET_PDEATHSIG, prctl(2), would reach the programs alone, is
lost where they run in another security domain, and costs a fork of this process each time.

Programs hold the lock of the run, too: no other run begins while one of a killed run is still ending.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import signal
import subprocess
import sys
import time
from typing import IO, Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from .errors import HostwireError, KernelRefused, MissingOnHost, VerificationFailed
from .interruption import awaiting
from .search_path import search_path
from .state_directory import held_locks

# Modules are to use AnsibleModule.run_command, says ansible-test; the engine knows no Ansible.
# pylint: disable=ansible-bad-function

_SHELL = "/bin/sh"
# What tells a service manager's child, or everybody at a terminal, to end isn't meant for the one that has to be last.
_KEEP = "trap '' TERM INT HUP; read _; kill -s KILL 0"
_LOOK_SECONDS = 0.5  # from look to look whether a program that doesn't close its output has ended
_PIPE_HOLDS = 1 << 20  # at most, in bytes: pipe(7)
_LAST_SECONDS = 2.0  # for a killed program to be gone; only the kernel can hold it up


class TimedOut(VerificationFailed):
    """A program didn't end in time, and was ended; what it did is to be read back."""


class Done(NamedTuple):
    """A program that has ended: its exit status (negative: by that signal), what it printed and what it complained."""

    status: int
    output: str
    complaint: str


def run(
    command: Sequence[str],
    seconds: float,
    *,
    text: str = "",
    environment: Optional[Mapping[str, str]] = None,
    undecodable: str = "surrogateescape",
    leaves_daemon: bool = False,
) -> Done:
    """Run a program to its end; ``text`` is its input.

    ``environment`` is this process's own, in English, if not said. ``undecodable`` is what becomes of bytes that aren't
    UTF-8 (codecs' error handlers). With ``leaves_daemon`` what the program started lives on after it, without the lock.
    Raises MissingOnHost if there is no such program, KernelRefused if it can't be started, TimedOut, and Interrupted
    where that is heeded. Its exit status is the caller's to judge.
    """
    (done,) = _run([command], seconds, text, environment, undecodable, leaves_daemon)
    return done


def run_all(
    commands: Sequence[Sequence[str]], seconds: float, environment: Optional[Mapping[str, str]] = None
) -> List[Done]:
    """Run programs that don't wait for each other all at once, as :func:`run` does."""
    return _run(commands, seconds, "", environment, "surrogateescape", False) if commands else []


def _run(
    commands: Sequence[Sequence[str]],
    seconds: float,
    text: str,
    environment: Optional[Mapping[str, str]],
    undecodable: str,
    leaves_daemon: bool,
) -> List[Done]:
    if environment is None:
        environment = {**os.environ, "LC_ALL": "C", "PATH": search_path()}
    deadline = time.monotonic() + seconds
    given = text.encode("utf-8", "surrogateescape")
    with _group(leaves_daemon) as group, awaiting(group.kill) as check:
        check()
        running = [group.start(command, environment, bool(text)) for command in commands]
        found = []
        for command, process in zip(commands, running):
            try:
                said = _said(process, given, deadline)
            except subprocess.TimeoutExpired:
                if group.killed:
                    check()
                group.kill()
                raise _timed_out(command, seconds, _last_words(process)) from None
            if group.killed:
                check()
            found.append(Done(process.returncode, *(part.decode("utf-8", undecodable) for part in said)))
    return found


def _said(process: subprocess.Popen[bytes], given: bytes, deadline: float) -> Tuple[bytes, bytes]:
    """What a program prints and complains until its end; whoever it leaves behind may hold its output open.

    Raises subprocess.TimeoutExpired.
    """
    try:
        return process.communicate(given or None, max(0.0, min(_LOOK_SECONDS, deadline - time.monotonic())))
    except subprocess.TimeoutExpired:
        pass
    while process.poll() is None:
        try:
            return process.communicate(timeout=max(0.0, min(_LOOK_SECONDS, deadline - time.monotonic())))
        except subprocess.TimeoutExpired:
            if time.monotonic() > deadline:
                raise
    try:
        return process.communicate(timeout=0.0)  # which reads nothing any more
    except subprocess.TimeoutExpired as open_still:
        output, complaint = open_still.output or b"", open_still.stderr or b""
    return output + _held_by(process.stdout), complaint + _held_by(process.stderr)


def _held_by(pipe: Optional[IO[bytes]]) -> bytes:
    """What a program that has ended left in a pipe; others may still write to it, and aren't waited for."""
    if pipe is None or pipe.closed:
        return b""
    os.set_blocking(pipe.fileno(), False)
    try:
        return os.read(pipe.fileno(), _PIPE_HOLDS)
    except BlockingIOError:
        return b""


def _timed_out(command: Sequence[str], seconds: float, complaint: str) -> TimedOut:
    words = " ".join([os.path.basename(command[0]), *command[1:]])
    return TimedOut(
        f"{words}: no end after {seconds:.0f} s, so it was killed" + (f": {complaint}" if complaint else "")
    )


def _last_words(process: subprocess.Popen[bytes]) -> str:
    with contextlib.suppress(subprocess.TimeoutExpired):
        complaint = process.communicate(timeout=_LAST_SECONDS)[1].decode("utf-8", "replace")
        return "; ".join(line.strip() for line in complaint.splitlines() if line.strip())
    return ""


class _Group:
    """A process group of programs that doesn't outlive this process."""

    def __init__(self, leaves_daemon: bool) -> None:
        self.killed = False
        self._programs: List[subprocess.Popen[bytes]] = []
        self._locks = () if leaves_daemon else held_locks()
        reading, self._lifeline = os.pipe()
        try:
            # All of the programs' doing is read through pipes: nothing has to be read of the shell's.
            self._keeper = _started([_SHELL, "-c", _KEEP], 0, {}, (), (reading, _NULL, _NULL))
        except BaseException:
            os.close(self._lifeline)
            raise
        finally:
            os.close(reading)

    def start(self, command: Sequence[str], environment: Mapping[str, str], has_input: bool) -> subprocess.Popen[bytes]:
        """Start a program whose output is read. Raises MissingOnHost and KernelRefused."""
        stdin = _PIPE if has_input else _NULL
        group = self._keeper.pid
        process = _started(command, group, environment, self._locks, (stdin, _PIPE, _PIPE))
        self._programs.append(process)
        if self.killed:  # by a signal, while it began
            self._kill()
        return process

    def kill(self) -> None:
        """Kill all that is in the group."""
        self.killed = True
        self._kill()

    def _kill(self) -> None:
        if self._keeper.returncode is None:  # so the number is still this group's
            with contextlib.suppress(OSError):
                os.killpg(self._keeper.pid, signal.SIGKILL)

    def close(self, leave_daemon: bool) -> None:
        """End what is left of the group; with ``leave_daemon`` only the shell that would end it."""
        if leave_daemon and not self.killed and all(process.returncode is not None for process in self._programs):
            self._keeper.kill()
        else:
            self._kill()
        for process in self._programs:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_LAST_SECONDS)
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None:
                    with contextlib.suppress(OSError):  # input that nobody has read
                        stream.close()
        self._keeper.wait()
        os.close(self._lifeline)


_PIPE, _NULL = subprocess.PIPE, subprocess.DEVNULL


@contextlib.contextmanager
def _group(leaves_daemon: bool) -> Iterator[_Group]:
    group = _Group(leaves_daemon)
    try:
        yield group
    finally:
        group.close(leaves_daemon)


def _started(
    command: Sequence[str],
    group: int,
    environment: Mapping[str, str],
    descriptors: Sequence[int],
    streams: Tuple[int, int, int],
) -> subprocess.Popen[bytes]:
    """Start a program in a process group, 0 for a new one. It inherits these descriptors and its streams, no others."""
    where: Dict[str, Any] = {"process_group": group}
    if sys.version_info < (3, 11):
        where = {"preexec_fn": functools.partial(os.setpgid, 0, group)}  # nothing but a system call
    stdin, stdout, stderr = streams
    try:
        return subprocess.Popen(
            list(command), stdin=stdin, stdout=stdout, stderr=stderr, env=environment, pass_fds=descriptors, **where
        )
    except OSError as error:
        raise _not_started(command[0], error) from error
    except subprocess.SubprocessError as error:  # before Python 3.11: there is no such group, its leader has ended
        raise KernelRefused(f"{os.path.basename(command[0])}: start", errno.EPERM) from error


def _not_started(program: str, error: OSError) -> HostwireError:
    if error.errno == errno.ENOENT:
        return MissingOnHost(f"{os.path.basename(program)}: no such program on this host")
    return KernelRefused(f"{os.path.basename(program)}: start", error.errno or errno.EIO)
